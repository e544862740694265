/**
 * Edits of a program's text: the small changes of which fixes are made.
 *
 * Places come from origins of nodes and declarations; what stands there is read from the text, and an edit is made only
 * where it reads as expected (a call, a declaration, a factor), so that a program written in another way gets no fix rather
 * than a wrong one. Knows nothing of rules: which edit mends what is in `mend.ts`.
 */
import type { Span } from "../base/span.js";
import type { Edit } from "../messages/report.js";

/** Texts of files by name. */
export type Texts = ReadonlyMap<string, string>;

/** What stands at a place. */
export function textAt(span: Span, texts: Texts): string {
  return texts.get(span.file)?.slice(span.start, span.end) ?? "";
}

/** Puts a call around what stands at a place. */
export function wrap(span: Span, name: string): Edit[] {
  return [{ span: { ...span, end: span.start }, text: `${name}(` }, { span: { ...span, start: span.end }, text: ")" }];
}

/** Takes a call away and leaves its first argument; nothing where something else stands there. */
export function unwrap(call: Span, name: string, texts: Texts): Edit[] | undefined {
  const inner = argumentSpan(call, texts, 0);
  if (inner === undefined || !new RegExp(`^${name}\\s*\\(`).test(textAt(call, texts))) return undefined;
  return [{ span: { ...call, end: inner.start }, text: "" }, { span: { ...call, start: inner.end }, text: "" }];
}

/** Replaces the name that a call begins with. */
export function recall(call: Span, from: string, to: string, texts: Texts): Edit[] | undefined {
  return new RegExp(`^${from}\\s*\\(`).test(textAt(call, texts)) ? [{ span: { ...call, end: call.start + from.length }, text: to }] : undefined;
}

/** Replaces the first match of a pattern within a place. */
export function replaceIn(span: Span, pattern: RegExp, to: string, texts: Texts): Edit[] | undefined {
  const found = pattern.exec(textAt(span, texts));
  if (found === null) return undefined;
  const start = span.start + found.index;
  return [{ span: { ...span, start, end: start + found[0].length }, text: to }];
}

/** An argument `name: value` of a call: said anew, or added behind the others. */
export function setArgument(call: Span, name: string, value: string, texts: Texts): Edit[] | undefined {
  const known = replaceIn(call, new RegExp(`\\b${name}:\\s*[^,)]+`), `${name}: ${value}`, texts);
  if (known !== undefined) return known;
  return textAt(call, texts).endsWith(")") ? [{ span: { ...call, start: call.end - 1, end: call.end - 1 }, text: `, ${name}: ${value}` }] : undefined;
}

/** A line of its own behind the line of a declaration. */
export function lineAfter(span: Span, line: string, texts: Texts): Edit[] | undefined {
  const text = texts.get(span.file);
  const end = text?.indexOf("\n", span.end) ?? -1;
  if (text === undefined || end < 0) return undefined;
  const indent = /[^\S\n]*$/.exec(text.slice(0, span.start))?.[0] ?? "  ";
  return [{ span: { ...span, start: end, end }, text: `\n${indent}${line}` }];
}

/** Turns round the sign in front of a term: `a - 2 * term` becomes `a + 2 * term`, `-term` becomes `term`. */
export function turnSign(term: Span, texts: Texts): Edit[] | undefined {
  const before = texts.get(term.file)?.slice(0, term.start) ?? "";
  const found = /-\s*(?:[\w.]+\s*\*\s*)?$/.exec(before);
  if (found === null) return undefined;
  const first = /(?:=|\bloss|[(,*])\s*$/.test(before.slice(0, found.index));
  const span = { ...term, start: found.index, end: found.index + 1 };
  return [{ span, text: first ? "" : "+" }];
}

/** The place of one argument in the text of a call `name(a, b, …)`. */
export function argumentSpan(call: Span, texts: Texts, index: number): Span | undefined {
  const text = texts.get(call.file)?.slice(call.start, call.end);
  const open = text?.indexOf("(") ?? -1;
  if (text === undefined || open < 0 || !/^\s*[\w.]+\s*\(/.test(text)) return undefined;
  let depth = 0;
  let start = open + 1;
  let argument = 0;
  for (let i = open; i < text.length; i++) {
    const c = text[i] ?? "";
    if ("([{".includes(c)) depth++;
    if (")]}".includes(c)) depth--;
    if ((depth !== 1 || c !== ",") && depth !== 0) continue;
    if (argument === index) {
      const raw = text.slice(start, i);
      const lead = raw.length - raw.trimStart().length;
      return { ...call, start: call.start + start + lead, end: call.start + start + raw.trimEnd().length };
    }
    if (depth === 0) return undefined;
    argument++;
    start = i + 1;
  }
  return undefined;
}
