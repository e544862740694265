/**
 * The formatter: one way to write every program, comments and paragraphs kept.
 *
 * Owns where comments go. Each belongs to the next element (statement, setting, argument, item) when it stands on lines of
 * its own, to the last one when it stands behind it on its line; a comment in the middle of an expression moves before its
 * element, because there is no better place that stays. At most one blank line is kept between elements. Idempotent, and a
 * text with syntax errors comes back as it was.
 */
import type { Doc } from "../base/doc.js";
import type { Span } from "../base/span.js";
import type { Diagnostic } from "../messages/report.js";
import { parse } from "./parse.js";
import type { Comment } from "./parse.js";
import { printFile } from "./print.js";
import type { Around, Margin } from "./print.js";

/** The text in the formatter's style; unchanged when it has syntax errors, which are given back. */
export function format(text: string, file: string): { readonly text: string; readonly diagnostics: readonly Diagnostic[] } {
  const parsed = parse(text, file);
  if (parsed.diagnostics.some((d) => d.severity === "error")) return { text, diagnostics: parsed.diagnostics };
  return { text: printFile(parsed.ast, new TextMargin(text, parsed.comments)), diagnostics: parsed.diagnostics };
}

/** Gives out the comments of a text, in order and each once. */
class TextMargin implements Margin {
  private next = 0;
  /** Offset after the last element or comment given out. */
  private end = 0;

  constructor(private readonly text: string, private readonly comments: readonly Comment[]) {}

  around(span: Span, print: () => Doc): { doc: Doc; around: Around } {
    const before = this.take(span.start);
    const blank = this.blankBefore(before[0]?.span.start ?? span.start);
    const lines = this.lines(before, span.start);
    const doc = print();
    // What no inner element took stands in the middle of an expression.
    const inner = this.take(span.end).map((c) => (c.kind === "doc" ? tidy(c.text.replace(/^\/\/\//, "//")) : tidy(c.text)));
    this.end = span.end;
    return { doc, around: { blank, before: [...lines, ...inner], after: this.takeAfter() } };
  }

  rest(end: number): Around {
    const left = this.take(end);
    const blank = left[0] !== undefined && this.blankBefore(left[0].span.start);
    return { blank, before: this.lines(left, undefined), after: undefined };
  }

  afterBrace(header: number): string | undefined {
    const brace = this.brace(header);
    const comment = this.comments[this.next];
    if (brace < 0 || comment === undefined || comment.span.start < brace) return undefined;
    if (!/^[ \t]*$/.test(this.text.slice(brace + 1, comment.span.start)) || /\S/.test(this.restOfLine(comment.span.end))) return undefined;
    this.next += 1;
    this.end = comment.span.end;
    return tidy(comment.text);
  }

  onOneLine(header: number, end: number): boolean {
    const brace = this.brace(header);
    return brace >= 0 && !this.text.slice(brace, end).includes("\n");
  }

  /** The first `{` after `header` that is not in a comment; only brackets and comments stand before it. */
  private brace(header: number): number {
    let at = this.text.indexOf("{", header);
    for (const comment of this.comments) {
      if (comment.span.end <= header) continue;
      if (at < comment.span.start) break;
      if (at < comment.span.end) at = this.text.indexOf("{", comment.span.end);
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

  /** Comments that begin before `offset`. */
  private take(offset: number): Comment[] {
    const from = this.next;
    while ((this.comments[this.next]?.span.start ?? Infinity) < offset) this.next += 1;
    return this.comments.slice(from, this.next);
  }

  /** The comment behind the element that has just ended, on its line. */
  private takeAfter(): string | undefined {
    const comment = this.comments[this.next];
    if (comment === undefined || !/^[ \t]*[,;]?[ \t]*$/.test(this.text.slice(this.end, comment.span.start))) return undefined;
    if (/\S/.test(this.restOfLine(comment.span.end))) return undefined;
    this.next += 1;
    this.end = comment.span.end;
    return tidy(comment.text);
  }

  private restOfLine(offset: number): string {
    const stop = this.text.indexOf("\n", offset);
    return this.text.slice(offset, stop < 0 ? undefined : stop).replace(/^[ \t]*[,;)}\]]+/, "");
  }

  private blankBefore(start: number): boolean {
    return this.end > 0 && /\n[ \t\r]*\n/.test(this.text.slice(this.end, start));
  }
}

function tidy(comment: string): string {
  return comment.replace(/\r\n?/g, "\n").replace(/[ \t]+$/gm, "");
}
