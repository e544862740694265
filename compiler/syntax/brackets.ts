/**
 * Which bracket closes which, in a text where some may be missing.
 *
 * Owns the decision "this one is never closed" and "this one closes nothing". Brackets are paired plainly first; only when
 * a `{` is left over does indentation judge, because people indent what they mean and a missing `}` would otherwise be
 * blamed on the outermost block. Linear in the number of tokens, whatever the input.
 */
import type { IToken, TokenType } from "./chevrotain.js";
import { T } from "./tokens.js";

/** The brackets that have no partner. Indices are into the token list. */
export interface Brackets {
  readonly unclosed: ReadonlySet<IToken>;
  readonly stray: ReadonlySet<IToken>;
  /** Column of the first token on each token's line, by token index. */
  readonly indent: Int32Array;
}

/** The closer of an opening bracket's type. */
export const closerOf: ReadonlyMap<TokenType, TokenType> = new Map([
  [T.LParen, T.RParen], [T.LBracket, T.RBracket], [T.LBrace, T.RBrace],
]);

/** Pairs the brackets of `tokens`. */
export function matchBrackets(tokens: readonly IToken[]): Brackets {
  const indent = lineIndents(tokens);
  const plain = pair(tokens, indent, false);
  const lostBrace = [...plain.unclosed].some((t) => t.tokenType === T.LBrace);
  return { ...(lostBrace ? pair(tokens, indent, true) : plain), indent };
}

interface Open {
  readonly token: IToken;
  readonly index: number;
}

function pair(tokens: readonly IToken[], indent: Int32Array, byIndent: boolean): { unclosed: Set<IToken>; stray: Set<IToken> } {
  const unclosed = new Set<IToken>();
  const stray = new Set<IToken>();
  const stack: Open[] = [];
  // Openers per type since the last open brace, so that a closer knows in constant time whether it has a partner.
  let braces = 0;
  const counts: { paren: number; bracket: number }[] = [{ paren: 0, bracket: 0 }];
  const pop = (): Open | undefined => {
    const open = stack.pop();
    const count = counts[counts.length - 1];
    if (open === undefined || count === undefined) return open;
    if (open.token.tokenType === T.LBrace) {
      braces -= 1;
      counts.pop();
    } else if (open.token.tokenType === T.LParen) count.paren -= 1;
    else count.bracket -= 1;
    return open;
  };
  const popTo = (type: TokenType): void => {
    for (let open = pop(); open !== undefined && open.token.tokenType !== type; open = pop()) unclosed.add(open.token);
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const count = counts[counts.length - 1];
    if (token === undefined || count === undefined) continue;
    if (braces > 0 && count.paren + count.bracket > 0 && beginsDefinition(tokens, i)) {
      // A definition that stands no deeper than the line of an open `(` says that the `(` was forgotten.
      for (let top = stack.at(-1); top !== undefined && isOutdented(top, tokens, indent, i); top = stack.at(-1)) {
        unclosed.add(top.token);
        pop();
      }
    }
    const open = counts[counts.length - 1] ?? count;
    switch (token.tokenType) {
      case T.LParen: open.paren += 1; stack.push({ token, index: i }); break;
      case T.LBracket: open.bracket += 1; stack.push({ token, index: i }); break;
      case T.LBrace: braces += 1; counts.push({ paren: 0, bracket: 0 }); stack.push({ token, index: i }); break;
      case T.RParen: if (open.paren > 0) popTo(T.LParen); else stray.add(token); break;
      case T.RBracket: if (open.bracket > 0) popTo(T.LBracket); else stray.add(token); break;
      case T.RBrace:
        if (byIndent) dropInner(stack, pop, unclosed, indent, i);
        if (braces > 0) popTo(T.LBrace);
        else stray.add(token);
        break;
      default:
    }
  }
  for (const open of stack) unclosed.add(open.token);
  return { unclosed, stray };
}

/** Whether the token at `i` is the first of its line and begins `name =` or `name name`. */
function beginsDefinition(tokens: readonly IToken[], i: number): boolean {
  const token = tokens[i];
  if (token?.tokenType !== T.Ident || tokens[i - 1]?.endLine === token.startLine) return false;
  const next = tokens[i + 1];
  return next?.tokenType === T.Equals || (next?.tokenType === T.Ident && next.startLine === token.endLine);
}

function isOutdented(open: Open, tokens: readonly IToken[], indent: Int32Array, i: number): boolean {
  return open.token.tokenType !== T.LBrace && (tokens[i]?.startColumn ?? 1) <= (indent[open.index] ?? 1);
}

/** Before a `}`: leaves out open braces that are indented deeper than it, when an outer one stands at its column. */
function dropInner(stack: readonly Open[], pop: () => Open | undefined, unclosed: Set<IToken>, indent: Int32Array, at: number): void {
  const column = indent[at] ?? 1;
  const depth = stack.findLastIndex((open) => open.token.tokenType === T.LBrace && (indent[open.index] ?? 1) <= column);
  const partner = stack[depth];
  if (partner === undefined || indent[partner.index] !== column) return;
  while (stack.length > depth + 1) {
    const open = pop();
    if (open !== undefined) unclosed.add(open.token);
  }
}

function lineIndents(tokens: readonly IToken[]): Int32Array {
  const indent = new Int32Array(tokens.length);
  let line = -1;
  let column = 1;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token?.startLine !== undefined && token.startLine !== line) {
      line = token.startLine;
      column = token.startColumn ?? 1;
    }
    indent[i] = column;
  }
  return indent;
}
