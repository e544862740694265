/**
 * The formatter: one way to write every program, comments and paragraphs kept.
 *
 * Owns where comments go. Each belongs to the next element (statement, setting, argument, item) when it stands on lines of
 * its own, to the last one when it stands behind it on its line, and never leaves the brackets that it stands in; the
 * operands of a sum or another operator are such elements where a comment ends a line between them. Any other comment in
 * the middle of an expression moves before its element, because there is no better place that stays. At most one blank
 * line is kept between elements. Idempotent, and a text with syntax errors comes back as it was.
 */
import type { Doc } from "../base/doc.js";
import { said } from "../base/said.js";
import type { Span } from "../base/span.js";
import type { Diagnostic } from "../messages/report.js";
import { parse } from "./parse.js";
import type { Comment } from "./parse.js";
import { printFile } from "./print.js";
import type { Around, Margin, Region } from "./print.js";

/**
 * The text in the formatter's style; unchanged when it has syntax errors, which are given back. `file` is the name that they show.
 * Throws a `TypeError` for a text or a name that is no string: the caller's mistake.
 */
export function format(text: string, file: string): { readonly text: string; readonly diagnostics: readonly Diagnostic[] } {
  for (const [name, given] of [["text", text], ["file", file]] as const) if (typeof given !== "string") throw new TypeError(`\`${name}\` is ${said(given)}, not a string. Give format(text, file): the program's text and the name that messages show.`);
  const parsed = parse(text, file);
  if (parsed.diagnostics.some((d) => d.severity === "error")) return { text, diagnostics: parsed.diagnostics };
  return { text: printFile(parsed.ast, new TextMargin(text, parsed.comments)), diagnostics: parsed.diagnostics };
}

/** Gives out the comments of a text, each once. */
class TextMargin implements Margin {
  private readonly given = new Set<Comment>();
  /** Offset after the last element or comment given out. */
  private end = 0;

  constructor(private readonly text: string, private readonly comments: readonly Comment[]) {}

  whole(end: number): Region {
    return { from: 0, to: end };
  }

  inside(open: string, close: string, header: number, last: number | undefined): Region {
    const from = this.find(open, header);
    if (from < 0) return { from: header, to: header };
    const to = this.find(close, last ?? from + 1);
    return { from: from + 1, to: to < 0 ? from + 1 : to };
  }

  around(span: Span, region: Region, print: () => Doc): { doc: Doc; around: Around } {
    const before = this.take(region.from, span.start);
    const blank = this.blankBefore(before[0]?.span.start ?? span.start);
    const lines = this.lines(before, span.start);
    const doc = print();
    // What no inner element took stands in the middle of an expression.
    const inner = this.take(span.start, span.end).map((c) => (c.kind === "doc" ? tidy(c.text.replace(/^\/\/\//, "//")) : tidy(c.text)));
    this.end = span.end;
    region.from = span.end;
    return { doc, around: { blank, before: aboveDoc(lines, inner), after: this.behind(span.end, region.to, /^[ \t)]*[,;]?[ \t]*$/) } };
  }

  rest(region: Region): Around {
    const left = this.take(region.from, region.to);
    const blank = left[0] !== undefined && this.blankBefore(left[0].span.start);
    return { blank, before: this.lines(left, undefined), after: undefined };
  }

  between(end: number, start: number): Omit<Around, "blank"> {
    const found = this.left(end, start);
    const closes = found.map(() => false);
    for (let i = found.length - 1; i >= 0; i--) {
      const stop = found[i]?.span.end ?? start;
      const next = found[i + 1];
      closes[i] = next !== undefined && closes[i + 1] === true && /^[ \t]*$/.test(this.text.slice(stop, next.span.start)) ? true : /^[ \t)]*$/.test(this.lineAfter(stop));
    }
    // A comment before something on its line speaks of a part of the expression, which has no line of its own.
    const ending = found.filter((_, i) => closes[i]);
    const behind = ending.filter((c) => !lineBreak.test(this.text.slice(end, c.span.start)));
    const own = ending.filter((c) => !behind.includes(c) && this.beginsLine(c, ending));
    for (const comment of [...behind, ...own]) this.given.add(comment);
    return { before: own.map((c) => tidy(c.text)), after: behind.length === 0 ? undefined : behind.map((c) => tidy(c.text)).join(" ") };
  }

  behindOpen(region: Region): string | undefined {
    return this.behind(region.from, region.to, /^[ \t]*$/);
  }

  onOneLine(region: Region): boolean {
    return region.from > 0 && !lineBreak.test(this.text.slice(region.from, region.to));
  }

  /** The first such sign from `offset` on that is not in a comment; only signs and comments stand before it. */
  private find(sign: string, offset: number): number {
    let at = this.text.indexOf(sign, offset);
    for (let i = this.firstFrom(offset); at >= 0; i++) {
      const comment = this.comments[i];
      if (comment === undefined || at < comment.span.start) break;
      if (at < comment.span.end) at = this.text.indexOf(sign, comment.span.end);
    }
    return at;
  }

  /** Comments as lines, with an empty one for a blank line between two or before `end`. */
  private lines(comments: readonly Comment[], end: number | undefined): string[] {
    const lines: string[] = [];
    for (const comment of comments) {
      if (lines.length > 0 && this.blankBefore(comment.span.start)) lines.push("");
      lines.push(tidy(comment.text));
      this.end = comment.span.end;
    }
    if (lines.length > 0 && end !== undefined && this.blankBefore(end)) lines.push("");
    return lines;
  }

  /** Comments that begin in `[from, to)` and have not been given out. */
  private left(from: number, to: number): Comment[] {
    const found: Comment[] = [];
    for (let i = this.firstFrom(from); ; i++) {
      const comment = this.comments[i];
      if (comment === undefined || comment.span.start >= to) return found;
      if (!this.given.has(comment)) found.push(comment);
    }
  }

  private take(from: number, to: number): Comment[] {
    const found = this.left(from, to);
    for (const comment of found) this.given.add(comment);
    return found;
  }

  /** The index of the first comment that begins at `offset` or after it. */
  private firstFrom(offset: number): number {
    let low = 0;
    let high = this.comments.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.comments[mid]?.span.start ?? Infinity) < offset) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** The comments behind an element that ends at `end`, up to the end of its line; `gap` is what may stand before the first. */
  private behind(end: number, to: number, gap: RegExp): string | undefined {
    const run: Comment[] = [];
    let at = end;
    for (let i = this.firstFrom(end); ; i++) {
      const comment = this.comments[i];
      if (comment === undefined || comment.span.start >= to || this.given.has(comment)) break;
      if (!(run.length === 0 ? gap : /^[ \t]*[,;]?[ \t]*$/).test(this.text.slice(at, comment.span.start))) break;
      run.push(comment);
      at = comment.span.end;
    }
    if (run.length === 0 || /\S/.test(this.lineAfter(at).replace(/^[ \t]*[,;)}\]]+/, ""))) return undefined;
    for (const comment of run) this.given.add(comment);
    this.end = at;
    return run.map((c) => tidy(c.text)).join(" ");
  }

  /** Whether nothing but other comments stands before a comment on its line. */
  private beginsLine(comment: Comment, others: readonly Comment[]): boolean {
    let at = comment.span.start - 1;
    while (at >= 0 && (this.text[at] === " " || this.text[at] === "\t")) at -= 1;
    if (at < 0 || lineBreak.test(this.text.charAt(at))) return true;
    const last = others.findLast((c) => c.span.end <= comment.span.start);
    return last !== undefined && /^[ \t]*$/.test(this.text.slice(last.span.end, comment.span.start)) && this.beginsLine(last, others);
  }

  private lineAfter(offset: number): string {
    const stop = this.text.slice(offset).search(lineBreak);
    return this.text.slice(offset, stop < 0 ? undefined : offset + stop);
  }

  private blankBefore(start: number): boolean {
    return this.end > 0 && /\n[ \t\r]*\n|\r[ \t]*\r/.test(this.text.slice(this.end, start));
  }
}

/** Lines with others put after them, but before a description at their end, which must stand right above what it describes. */
function aboveDoc(lines: readonly string[], inner: readonly string[]): string[] {
  const other = lines.findLastIndex((l) => l !== "" && !/^\/\/\/(?!\/)/.test(l));
  return [...lines.slice(0, other + 1), ...inner, ...lines.slice(other + 1)];
}

const lineBreak = /[\n\r]/;

function tidy(comment: string): string {
  return comment.replace(/\r\n?/g, "\n").replace(/[ \t]+$/gm, "");
}
