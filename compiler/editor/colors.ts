/**
 * What each piece of a text is, for editors that color by meaning.
 *
 * Owns the classes. Which words are the language's own is for the layout to say, as no word is reserved: a mask may be called
 * `at`. Works on texts with mistakes, as the lexer does.
 */
import type { IToken } from "../syntax/chevrotain.js";
import { layOut } from "../syntax/layout.js";
import { straighten } from "../syntax/lookalikes.js";
import { createSink, endOf } from "../syntax/sink.js";
import { lexer, T } from "../syntax/tokens.js";

/** Classes of pieces, by the names that editors know. */
export const colors = ["keyword", "comment", "string", "number", "function", "parameter", "property", "variable", "operator"] as const;
export type Color = (typeof colors)[number];

/** A piece of one color; offsets are UTF-16 units. */
export interface Colored {
  readonly start: number;
  readonly end: number;
  readonly color: Color;
}

/** The pieces of a text, in order; blanks and brackets have no color. */
export function coloring(text: string): readonly Colored[] {
  const sink = createSink("");
  const lexed = straighten(text, lexer.tokenize(text), sink);
  const comments = lexed.groups["comments"] ?? [];
  const { tokens } = layOut(lexed.tokens, comments, sink);
  const said = tokens.filter((t) => t.image !== "" && t.tokenType !== T.Sep && t.tokenType !== T.Skipped);
  const pieces = said.flatMap((token, i): Colored[] => {
    const color = colorOf(token, said[i + 1], said[i - 1]);
    return color === undefined ? [] : [piece(token, color)];
  });
  return [...pieces, ...comments.map((c) => piece(c, "comment"))].toSorted((a, b) => a.start - b.start);
}

/** Where it stands in the text; a token that was put right may read otherwise there. */
function piece(token: IToken, color: Color): Colored {
  return { start: token.startOffset, end: endOf(token), color };
}

function colorOf(token: IToken, next: IToken | undefined, previous: IToken | undefined): Color | undefined {
  const type = token.tokenType;
  if (type.name.startsWith("Word_") || type === T.UnitWord) return "keyword";
  if (type === T.SettingWord) return "property";
  if (type === T.Number || type === T.BareFraction) return "number";
  if (type === T.String || type === T.SingleQuoted || type === T.OpenString) return "string";
  if (type === T.Ident) {
    // The parser's slips.ts makes tokens of their own of these two.
    if (token.image === "true" || token.image === "false") return "keyword";
    if (previous?.tokenType === T.Dot) return "property";
    return next?.tokenType === T.LParen ? "function" : next?.tokenType === T.Colon ? "parameter" : "variable";
  }
  return operators.has(type) ? "operator" : undefined;
}

const operators: ReadonlySet<unknown> = new Set([T.Arrow, T.DotDot, T.Equals, T.Tilde, T.Plus, T.Dash, T.Star, T.Slash, T.AtSign, T.Caret]);
