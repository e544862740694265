/**
 * How tokens are called in messages, and the report that one of them lacks a comma before it.
 *
 * Owns words only: which mistake it is, is decided where it is found (the grammar, or `parse.ts` from what chevrotain
 * expected).
 */
import { EOF } from "./chevrotain.js";
import type { IToken, TokenType } from "./chevrotain.js";
import { report } from "../messages/report.js";
import type { Diagnostic, Fix } from "../messages/report.js";
import { endOf, shorten, spanOf } from "./sink.js";
import { infixWords, T } from "./tokens.js";

/** A token as a message names it. */
export function describeToken(token: IToken): string {
  switch (token.tokenType) {
    case EOF: return "the end of the file";
    case T.Ident: return `the name \`${shorten(token.image)}\``;
    case T.Number: return `the number \`${shorten(token.image)}\``;
    case T.String: return `the text ${shorten(token.image)}`;
    case T.Skipped: return "text that cannot be read";
    default: return `\`${shorten(token.image)}\``;
  }
}

/** A comma written before an offset. Where the two touch (`4px`), one word was more likely meant, and it is a guess. */
export function commaFix(file: string, at: number, previousEnd: number): Fix {
  const edits = [{ span: { file, start: at, end: at }, text: ", " }];
  return { title: "write `,`", edits, ...(previousEnd === at ? { guess: true as const } : {}) };
}

/** What stands around the place of a missing comma. */
interface Lack {
  readonly previous: IToken;
  readonly token: IToken;
  readonly next: IToken;
  /** What stands before it: an argument with a name, a word alone that may be one, or a value. */
  readonly argument: "named" | "word" | "value";
  /** The comma before the previous element is missing too. */
  readonly again: boolean;
}

/**
 * Two elements of a list with nothing between them. `heads 4` and `at targets` may lack a colon as well, two values behind a
 * name an arrow or two dots (`momentum: 0.9 1.0`), and a word with no comma on either side may be an operator's (`x att
 * mask`): then the comma is a guess.
 */
export function lacksComma(file: string, { previous, token, next, argument, again }: Lack): Diagnostic {
  const at = token.startOffset;
  const comma = commaFix(file, at, endOf(previous));
  const colon: Fix = { title: "write `:`", edits: [{ span: { file, start: endOf(previous), end: endOf(previous) }, text: ":" }] };
  const mayBeName = argument === "word" && previous.tokenType === T.Ident && (token.tokenType === T.Number || token.tokenType === T.String || infix.includes(previous.image));
  const mayBeSign = again || (argument === "named" && next.tokenType !== T.Colon) || (token.tokenType === T.Ident && words.has(next.tokenType) && next.startLine === token.endLine);
  const fixes: Fix[] = mayBeName ? [colon, comma] : [mayBeSign ? { ...comma, guess: true } : comma];
  return report("JEP1002", spanOf(file, token), { expected: mayBeName ? "`:` or `,`" : "`,`", found: describeToken(token) }, { fixes });
}

const infix: readonly string[] = infixWords;
const words: ReadonlySet<TokenType> = new Set([T.Ident, T.Number, T.String]);
