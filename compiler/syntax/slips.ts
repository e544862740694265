/**
 * Mistakes that a single token shows: wrong quotes, `#` comments, `==`, `**`, `.5`, `1.2.3`, stray characters; and paths without quotes.
 *
 * Owns their reports and the repair of the token sequence, so that layout and grammar only ever see tokens of the
 * language and one slip costs one report. Every repair keeps the tokens' places in the text. Meaning by position (`=` where
 * `:` belongs) is the grammar's business.
 */
import { createTokenInstance } from "./chevrotain.js";
import type { IToken, TokenType } from "./chevrotain.js";
import { report } from "../messages/report.js";
import type { Fix } from "../messages/report.js";
import { signs, splitUnknown } from "./lookalikes.js";
import { endOf, shorten, spanOf } from "./sink.js";
import type { Sink } from "./sink.js";
import { T } from "./tokens.js";

/** Reports and repairs; tokens keep their order. Comments are only looked at. */
export function mendSlips(tokens: readonly IToken[], comments: readonly IToken[], sink: Sink): IToken[] {
  for (const comment of comments) checkComment(comment, sink);
  const out: IToken[] = [];
  const all = tokens.flatMap(splitUnknown);
  let inPath = 0;
  for (const [i, token] of all.entries()) {
    const mend = mends.get(token.tokenType);
    const last = out.at(-1);
    if (inPath > i) continue;
    inPath = pathEnd(all, i, out);
    if (inPath > i) out.push(quote(token, all.slice(i + 1, inPath), sink));
    else if (last !== undefined && token.tokenType === T.BareFraction && endOf(last) === token.startOffset && operands.has(last.tokenType)) mendPoint(last, token, sink);
    else if (last?.tokenType === T.DotDot && endOf(last) === token.startOffset && (token.tokenType === T.Dot || token.tokenType === T.BareFraction)) {
      out.push(...mendDots(last, token, all[i + 1], sink));
    } else if (last?.tokenType === T.Equals && token.image === ">" && endOf(last) === token.startOffset) mendArrow(last, token, sink);
    else if (last !== undefined && foreignLetters(last, token) && endOf(last) === token.startOffset) {
      // One name with a foreign letter in it: reported once, kept whole, so that it still means one thing.
      if (token.tokenType === T.Unknown && mend !== undefined) mend(token, sink, last);
      last.image += token.image;
      last.endOffset = token.endOffset;
      last.endColumn = token.endColumn;
    } else if (mend === undefined) out.push(token);
    else out.push(...mend(token, sink, last));
  }
  for (const token of out) {
    if (token.tokenType === T.Number && (token.image.match(/\./g)?.length ?? 0) > 1) {
      sink.add(report("JEP1014", spanOf(sink.file, token), { text: shorten(token.image), why: "a number has one point" }, { help: "Write a range as `low..high`, and the points of a schedule as `a -> b`." }));
    }
  }
  return out;
}

/** Where a path without quotes ends that begins here, as the first argument of `images`, `videos` or `arrays`; before it where none does. */
function pathEnd(all: readonly IToken[], from: number, out: readonly IToken[]): number {
  const [word, bracket] = out.slice(-2);
  if (bracket?.tokenType !== T.LParen || !["images", "videos", "arrays"].includes(word?.image ?? "")) return 0;
  let end = from;
  let slash = false;
  for (let token = all[end]; token !== undefined && token.tokenType !== T.RParen && token.tokenType !== T.Comma; token = all[end]) {
    if (quoted.has(token.tokenType)) return 0;
    const before = all[end - 1];
    if (end > from && before !== undefined && endOf(before) !== token.startOffset) break;
    slash ||= token.image.includes("/");
    end += 1;
  }
  return slash ? end : 0;
}

/** Texts, with mistakes of their own or none. */
const quoted: ReadonlySet<TokenType> = new Set([T.String, T.SingleQuoted, T.OpenString]);

/** The tokens of a path as the text that it should have been. */
function quote(first: IToken, rest: readonly IToken[], sink: Sink): IToken {
  const image = [first, ...rest].map((t) => t.image).join("");
  const end = first.startOffset + image.length;
  const fixes = [{ title: "put it in quotes", edits: [first.startOffset, end].map((at) => ({ span: { file: sink.file, start: at, end: at }, text: "\"" })) }];
  sink.add(report("JEP1009", { file: sink.file, start: first.startOffset, end }, { what: "A path", right: "`\"…\"`", wrong: shorten(image) }, { fixes }));
  const text = retype(first, T.String);
  text.image = `"${image}"`;
  text.endOffset = end - 1;
  return text;
}

/** `.5` right behind an operand: a second point of a number, or a part called by a number. No zero belongs before it. */
function mendPoint(last: IToken, token: IToken, sink: Sink): void {
  if (last.tokenType !== T.Number) {
    sink.add(report("JEP1014", spanOf(sink.file, token), { text: token.image, why: "a digit stands before the point" }));
    return;
  }
  last.image += token.image;
  last.endOffset = token.endOffset;
  last.endColumn = token.endColumn;
}

/** Three dots for two. Before a digit the third may be that of a fraction, unless the number has a point of its own. */
function mendDots(last: IToken, token: IToken, next: IToken | undefined, sink: Sink): readonly IToken[] {
  const third = token.startOffset;
  const sure = token.tokenType === T.Dot || (next?.tokenType === T.BareFraction && next.startOffset === endOf(token));
  const fixes = [...fix("write `..`", sink.file, third, third + 1, ""), ...(sure ? [] : fix("write the zero", sink.file, third, third, "0"))];
  sink.add(report("JEP1009", { file: sink.file, start: last.startOffset, end: third + 1 }, { what: "A range", right: "`..`", wrong: "..." }, { fixes }));
  if (token.tokenType === T.Dot) return [];
  token.image = token.image.slice(1);
  token.startOffset += 1;
  token.startColumn = (token.startColumn ?? 1) + 1;
  return [retype(token, T.Number)];
}

/** `=>` for an arrow. */
function mendArrow(last: IToken, token: IToken, sink: Sink): void {
  const span = { file: sink.file, start: last.startOffset, end: endOf(token) };
  sink.add(report("JEP1009", span, { what: "A schedule", right: "`->`", wrong: "=>" }, { fixes: fix("write `->`", sink.file, span.start, span.end, "->") }));
  last.image = "->";
  last.endOffset = token.endOffset;
  last.endColumn = token.endColumn;
  retype(last, T.Arrow);
}

const operands: ReadonlySet<TokenType> = new Set([T.Number, T.Ident, T.String, T.RParen, T.RBracket]);

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

/** The value of a number token's image; one too large is reported and has none. */
export function numberValue(token: IToken, sink: Sink): number | undefined {
  const value = Number(token.image.replaceAll("_", ""));
  if (Number.isFinite(value)) return value;
  if (Number.isNaN(value)) return undefined;
  sink.add(report("JEP1014", spanOf(sink.file, token), { text: shorten(token.image), why: "it is too large" }));
  return undefined;
}

/** Whether two neighbours are halves of one name, one of them in letters that names are not made of. */
function foreignLetters(last: IToken, token: IToken): boolean {
  if (last.tokenType !== T.Ident) return false;
  return token.tokenType === T.Unknown ? letters.test(token.image) : token.tokenType === T.Ident;
}

const letters = /^[\p{L}\p{M}\p{N}]+$/u;

type Mend = (token: IToken, sink: Sink, last: IToken | undefined) => readonly IToken[];

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
  const { file } = sink;
  const start = token.startOffset;
  const closing = fix("close the text", file, end, end, '"');
  // One that a single quote opens is not closed by a double one alone.
  const both = closing.map(({ title, edits }): Fix => ({ title, edits: [{ span: { file, start, end: start + 1 }, text: '"' }, ...edits] }));
  const fixes = token.image.startsWith('"') ? closing : token.image.slice(0, length).includes('"') ? [] : both;
  sink.add(report("JEP1006", { file, start, end }, {}, { fixes }));
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
    const text = shorten(token.image);
    const sign = signs.get(token.image);
    if (sign !== undefined) {
      sink.add(report("JEP1001", span, { text }, { help: `Write \`${sign.text}\`.`, fixes: fix(`write \`${sign.text}\``, sink.file, span.start, span.end, sign.text) }));
      return [retype(token, sign.type)];
    }
    if (letters.test(token.image)) {
      sink.add(report("JEP1001", span, { text }, { help: "Names are made of the letters a to z, digits and `_`." }));
      return [retype(token, T.Ident)];
    }
    const [remove] = fix("remove it", sink.file, span.start, span.end, "");
    sink.add(report("JEP1001", span, { text }, { fixes: remove === undefined ? [] : [{ ...remove, guess: true }] }));
    return [];
  }],
  [T.SingleQuoted, (token, sink, last) => {
    const span = spanOf(sink.file, token);
    const inside = token.image.slice(1, -1);
    const [title, text] = last?.image === "use" && /^std\.\w+$/.test(inside) ? [`write \`${inside}\``, inside] : ["write double quotes", `"${inside.replaceAll('"', '\\"')}"`];
    sink.add(report("JEP1016", span, {}, { fixes: fix(title, sink.file, span.start, span.end, text) }));
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
