/**
 * Characters that look like a sign of the language and are another: what word processors, web pages and other keyboards
 * put in the place of `(`, `,`, `-`, `"`, `->` or `..`.
 *
 * Owns the table of them, the reports, and the text with the plain signs in their place. Signs of one character are put
 * right before the text is lexed again, at the same offsets, so that a text between curly quotes is one text whatever
 * stands in it; those that stand for two are put right as tokens. Inside texts and comments every character may stand, and
 * nothing is looked at there.
 */
import { createTokenInstance } from "./chevrotain.js";
import type { ILexingResult, IToken, TokenType } from "./chevrotain.js";
import { report } from "../messages/report.js";
import type { Fix } from "../messages/report.js";
import { shorten } from "./sink.js";
import type { Sink } from "./sink.js";
import { lexer, T } from "./tokens.js";

/** A sign of the language: its kind of token and its text. */
interface Sign {
  readonly type: TokenType;
  readonly text: string;
}

const arrows = "→⟶➔➜➝➞⇒⟹￫";
const dots = "…‥";

/** Signs of two characters, by the one that looks like them. */
export const signs: ReadonlyMap<string, Sign> = new Map<string, Sign>([
  ...[...arrows].map((c): [string, Sign] => [c, { type: T.Arrow, text: "->" }]),
  ...[...dots].map((c): [string, Sign] => [c, { type: T.DotDot, text: ".." }]),
]);

const quotes = "“”„‟″‘’‚‛′＂＇";
const dashes = "–—―";

/** Signs, letters and digits of one character; the wide forms of ASCII are all of it, at a fixed distance. */
const plain: ReadonlyMap<string, string> = new Map([
  ...Array.from({ length: 0x5e }, (_, i) => [String.fromCharCode(0xff01 + i), String.fromCharCode(0x21 + i)] as const),
  ...[...quotes].map((c) => [c, '"'] as const),
  ...[...dashes, ..."‐‑‒−﹣"].map((c) => [c, "-"] as const),
  ...[..."×∗⋅·✕"].map((c) => [c, "*"] as const),
  ...[..."÷∕⁄"].map((c) => [c, "/"] as const),
  ...[..."，、﹐"].map((c) => [c, ","] as const),
  ...[..."∶︰﹕"].map((c) => [c, ":"] as const),
  ...[..."﹙"].map((c) => [c, "("] as const),
  ...[..."﹚"].map((c) => [c, ")"] as const),
  ["【", "["], ["】", "]"], ["∼", "~"], ["；", ";"],
  ...[..."\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"].map((c) => [c, " "] as const),
]);

/** The tokens of a text, once its look-alikes are reported and in their place stand the signs that they look like. */
export function straighten(source: string, lexed: ILexingResult, sink: Sink): ILexingResult {
  const suspects = lexed.tokens.filter((t) => t.tokenType === T.Unknown || t.tokenType === T.OpenString);
  if (suspects.length === 0) return lexed;
  const edits: Edit[] = [];
  let done = 0;
  for (const token of suspects) {
    for (let at = Math.max(token.startOffset, done); at < token.startOffset + token.image.length; at = done) {
      done = token.tokenType === T.OpenString ? closeQuote(source, at, token, edits) : replaceAt(source, at, edits);
    }
  }
  if (edits.length === 0) return lexed;
  for (const { start, end, text, instead } of edits) {
    const span = { file: sink.file, start, end };
    const words = [text, ...instead].map((right) => (right === " " ? "a plain blank" : `\`${shorten(right)}\``));
    const fixes: Fix[] = [text, ...instead].map((right, i) => ({ title: `write ${words[i] ?? ""}`, edits: [{ span, text: right }] }));
    sink.add(report("JEP1001", span, { text: shorten(source.slice(start, end)) }, { help: `Write ${words.join(" or ")}.`, fixes }));
  }
  return lexer.tokenize(applied(source, edits));
}

/** Characters to be replaced by as many others. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Other signs that may be meant: then nothing is certain. */
  readonly instead: readonly string[];
}

/** Looks at the character at `at`; the offset to go on from. A run of look-alikes is one edit, a pair of quotes two. */
function replaceAt(source: string, at: number, edits: Edit[]): number {
  const char = source.charAt(at);
  const right = plain.get(char);
  if (right === undefined) return at + 1;
  if (right === '"') {
    const close = closing(source, at + 1);
    if (close === undefined) return at + 1;
    edits.push({ start: at, end: at + 1, text: right, instead: [] });
    if (source.charAt(close) !== '"') edits.push({ start: close, end: close + 1, text: right, instead: [] });
    return close + 1;
  }
  if (dashes.includes(char) && /\d\s*$/.test(source.slice(Math.max(0, at - 8), at)) && /^\s*[\d.]/.test(source.slice(at + 1, at + 9))) {
    // Between two numbers a long dash is how ranges are printed.
    edits.push({ start: at, end: at + 1, text: right, instead: [".."] });
    return at + 1;
  }
  let end = at + 1;
  const parts = [right];
  for (let next = plain.get(source.charAt(end)); next !== undefined && next !== '"' && (next === " ") === (right === " ") && !dashes.includes(source.charAt(end)); next = plain.get(source.charAt(end))) {
    parts.push(next);
    end += 1;
  }
  edits.push({ start: at, end, text: right === " " ? " " : parts.join(""), instead: [] });
  return end;
}

/** A text that begins with a plain quote and ends with a curly one; the offset after it. */
function closeQuote(source: string, at: number, token: IToken, edits: Edit[]): number {
  const end = token.startOffset + token.image.length;
  const close = closing(source, at + 1);
  if (close === undefined || close >= end || source.charAt(at) !== '"') return end;
  edits.push({ start: close, end: close + 1, text: '"', instead: [] });
  return end;
}

/** The next quote of any kind on the line. */
function closing(source: string, from: number): number | undefined {
  for (let at = from; at < source.length; at++) {
    const char = source.charAt(at);
    if (char === "\n" || char === "\r") return undefined;
    if (char === '"' || quotes.includes(char)) return at;
  }
  return undefined;
}

/** The text with the edits made, none of which changes its length. */
function applied(source: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, text } of edits) {
    parts.push(source.slice(at, start), text.padEnd(end - start));
    at = end;
  }
  return parts.join("") + source.slice(at);
}

/** A token of unknown characters as tokens of one kind each: letters together, signs alone, anything else together. */
export function splitUnknown(token: IToken): readonly IToken[] {
  if (token.tokenType !== T.Unknown) return [token];
  const parts = token.image.match(pieces) ?? [];
  if (parts.length < 2) return [token];
  let offset = 0;
  return parts.map((image) => {
    const start = token.startOffset + offset;
    const column = (token.startColumn ?? 1) + offset;
    const line = token.startLine ?? 1;
    offset += image.length;
    return createTokenInstance(T.Unknown, image, start, start + image.length - 1, line, line, column, column + image.length - 1);
  });
}

const pieces = new RegExp(`[\\p{L}\\p{M}\\p{N}]+|[${arrows}${dots}]|[^\\p{L}\\p{M}\\p{N}${arrows}${dots}]+`, "gu");
