/**
 * Mistakes that a single token shows: wrong quotes, `#` comments, `==`, `**`, `.5`, stray characters.
 *
 * Owns their reports and the repair of the token sequence, so that layout and grammar only ever see tokens of the
 * language and one slip costs one report. Every repair keeps the tokens' places in the text. Meaning by position (`=` where
 * `:` belongs) is the grammar's business.
 */
import { createTokenInstance } from "chevrotain";
import type { IToken, TokenType } from "chevrotain";
import { report } from "../messages/report.js";
import type { Fix } from "../messages/report.js";
import { endOf, spanOf } from "./sink.js";
import type { Sink } from "./sink.js";
import { T } from "./tokens.js";

/** Reports and repairs; tokens keep their order. Comments are only looked at. */
export function mendSlips(tokens: readonly IToken[], comments: readonly IToken[], sink: Sink): IToken[] {
  for (const comment of comments) checkComment(comment, sink);
  const out: IToken[] = [];
  for (const token of tokens) {
    const mend = mends.get(token.tokenType);
    const last = out.at(-1);
    if (last !== undefined && foreignLetters(last, token) && endOf(last) === token.startOffset) {
      // One name with a foreign letter in it: reported once, kept whole, so that it still means one thing.
      if (token.tokenType === T.Unknown && mend !== undefined) mend(token, sink);
      last.image += token.image;
      last.endOffset = token.endOffset;
      last.endColumn = token.endColumn;
    } else if (mend === undefined) out.push(token);
    else out.push(...mend(token, sink));
  }
  return out;
}

/** The value of a string token's image, its quotes removed and its escapes undone; bad escapes are reported to `sink`. */
export function stringValue(token: IToken, sink: Sink): string {
  const body = token.image.replace(/^["']/, "").replace(/["']$/, "");
  return body.replace(/\\(.?)/g, (whole, escaped: string, at: number) => {
    const value = escapes.get(escaped);
    if (value !== undefined) return value;
    const start = token.startOffset + 1 + at;
    sink.add(report("JEP1015", { file: sink.file, start, end: start + whole.length }, { text: whole }));
    return escaped;
  });
}

/** The value of a number token's image; one too large is reported and becomes the largest. */
export function numberValue(token: IToken, sink: Sink): number {
  const value = Number(token.image.replaceAll("_", ""));
  if (Number.isFinite(value)) return value;
  sink.add(report("JEP1014", spanOf(sink.file, token), { text: shorten(token.image), why: "it is too large" }));
  return Number.MAX_VALUE;
}

/** The text, cut so that a message stays one line. */
export function shorten(text: string, limit = 40): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`;
}

/** Whether two neighbours are halves of one name, one of them in letters that names are not made of. */
function foreignLetters(last: IToken, token: IToken): boolean {
  if (last.tokenType !== T.Ident) return false;
  return token.tokenType === T.Unknown ? letters.test(token.image) : token.tokenType === T.Ident;
}

const letters = /^[\p{L}\p{M}\p{N}]+$/u;

type Mend = (token: IToken, sink: Sink) => readonly IToken[];

const escapes: ReadonlyMap<string, string> = new Map([['"', '"'], ["'", "'"], ["\\", "\\"], ["n", "\n"], ["t", "\t"]]);

function retype(token: IToken, type: TokenType): IToken {
  token.tokenType = type;
  token.tokenTypeIdx = type.tokenTypeIdx ?? token.tokenTypeIdx;
  return token;
}

function fix(title: string, file: string, start: number, end: number, text: string): Fix[] {
  return [{ title, edits: [{ span: { file, start, end }, text }] }];
}

function checkComment(comment: IToken, sink: Sink): void {
  const start = comment.startOffset;
  if (comment.tokenType === T.HashComment) {
    sink.add(report("JEP1008", { file: sink.file, start, end: start + 1 }, {}, { fixes: fix("write `//`", sink.file, start, start + 1, "//") }));
  } else if (comment.tokenType === T.OpenComment) {
    const end = endOf(comment);
    sink.add(report("JEP1007", { file: sink.file, start, end: start + 2 }, {}, { fixes: fix("close the comment", sink.file, end, end, " */") }));
  }
}

function mendSign(type: TokenType, what: string, right: string): Mend {
  return (token, sink) => {
    const span = spanOf(sink.file, token);
    const params = { what, right: `\`${right}\``, wrong: token.image };
    sink.add(report("JEP1009", span, params, { fixes: fix(`write \`${right}\``, sink.file, span.start, span.end, right) }));
    token.image = right;
    return [retype(token, type)];
  };
}

function mendOpenString(token: IToken, sink: Sink): readonly IToken[] {
  // Brackets at the end of the line were most likely meant to close what stands before the text.
  const tail = /[)\]}{,;\s]*$/.exec(token.image)?.[0] ?? "";
  const length = Math.max(1, token.image.length - tail.length);
  const end = token.startOffset + length;
  sink.add(report("JEP1006", { file: sink.file, start: token.startOffset, end }, {}, { fixes: fix("close the text", sink.file, end, end, '"') }));
  const rest: IToken[] = [];
  for (let i = length; i < token.image.length; i++) {
    const image = token.image.charAt(i);
    const type = tails.get(image);
    if (type === undefined) continue;
    const at = token.startOffset + i;
    const line = token.startLine ?? 1;
    const column = (token.startColumn ?? 1) + i;
    rest.push(createTokenInstance(type, image, at, at, line, line, column, column));
  }
  token.image = token.image.slice(0, length);
  token.endOffset = end - 1;
  return [retype(token, T.String), ...rest];
}

const tails: ReadonlyMap<string, TokenType> = new Map([
  [")", T.RParen], ["]", T.RBracket], ["}", T.RBrace], ["{", T.LBrace], [",", T.Comma], [";", T.Semicolon],
]);

const mends: ReadonlyMap<TokenType, Mend> = new Map<TokenType, Mend>([
  [T.Unknown, (token, sink) => {
    const span = spanOf(sink.file, token);
    const fixes = letters.test(token.image) ? [] : fix("remove it", sink.file, span.start, span.end, "");
    const help = letters.test(token.image) ? "Names are made of the letters a to z, digits and `_`." : undefined;
    sink.add(report("JEP1001", span, { text: shorten(token.image) }, { fixes, ...(help === undefined ? {} : { help }) }));
    return letters.test(token.image) ? [retype(token, T.Ident)] : [];
  }],
  [T.SingleQuoted, (token, sink) => {
    const span = spanOf(sink.file, token);
    const text = `"${token.image.slice(1, -1).replaceAll('"', '\\"')}"`;
    sink.add(report("JEP1016", span, {}, { fixes: fix("write double quotes", sink.file, span.start, span.end, text) }));
    return [retype(token, T.String)];
  }],
  [T.OpenString, mendOpenString],
  [T.BareFraction, (token, sink) => {
    const span = spanOf(sink.file, token);
    const extras = { help: `Write \`0${token.image}\`.`, fixes: fix("write the zero", sink.file, span.start, span.start, "0") };
    sink.add(report("JEP1014", span, { text: token.image, why: "a digit stands before the point" }, extras));
    return [retype(token, T.Number)];
  }],
  [T.StarStar, mendSign(T.Caret, "A power", "^")],
  [T.EqualsEquals, mendSign(T.Equals, "A definition", "=")],
  [T.Ident, (token) => {
    if (token.image === "true") return [retype(token, T.True)];
    if (token.image === "false") return [retype(token, T.False)];
    return [token];
  }],
]);
