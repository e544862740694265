/**
 * Diagnostics for people: message, excerpt with carets, *because* notes, help, and what a fix would make of the line.
 *
 * Owns the layout on a terminal. Colour comes in as functions, so that the core knows no terminal; without them the text is
 * plain. Source text is shown with control characters replaced, because a program may hold escape sequences, and long lines
 * are cut around the place. Widths are counted in UTF-16 units.
 */
import { said } from "../base/said.js";
import { lineColumn, lineTable } from "../base/span.js";
import type { Span } from "../base/span.js";
import { editedLines } from "./fixes.js";
import type { Texts } from "./json.js";
import type { Diagnostic, Fix, Severity } from "./report.js";

/** Colours: each wraps a piece of text. */
export interface Style {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly note: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
  readonly good: (text: string) => string;
}

/** No colour. */
export const plain: Style = { error: same, warning: same, note: same, dim: same, bold: same, good: same };

/** One diagnostic, several lines, no line break at the end. */
export function renderDiagnostic(diagnostic: Diagnostic, texts: Texts, style: Style = plain): string {
  const { span, related } = diagnostic;
  const gutter = Math.max(...[span, ...related.map((r) => r.span)].map((s) => String(endLine(s, texts)).length));
  const colour = style[diagnostic.severity];
  const pad = " ".repeat(gutter);
  const lines = [`${colour(`${diagnostic.severity}[${diagnostic.code}]`)}: ${style.bold(visible(diagnostic.message))}`];
  lines.push(...excerpt(span, texts, gutter, "-->", "^", colour, style));
  for (const note of related) {
    lines.push(`${pad} ${style.dim("|")}`, `${pad} ${style.dim("=")} ${style.note("because")} ${visible(note.message)}`);
    lines.push(...excerpt(note.span, texts, gutter, "-->", "-", style.note, style));
  }
  if (diagnostic.help !== undefined) lines.push(`${pad} ${style.dim("=")} ${style.bold("help")}: ${visible(diagnostic.help)}`);
  if (diagnostic.source !== undefined) lines.push(`${pad} ${style.dim("=")} ${style.bold("source")}: ${visible(diagnostic.source)}`);
  for (const fix of diagnostic.fixes) lines.push(...showFix(fix, texts, gutter, style));
  return lines.join("\n");
}

/**
 * All of them, a blank line between, and a last line that counts; the empty text when there are none. `given` is `texts` of what
 * check or compile returns, or a function from a file's name to its text. Plain unless a style is given.
 *
 * @throws TypeError where the texts are neither.
 */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], given: Texts | ReadonlyMap<string, string>, style: Style = plain): string {
  if (typeof given !== "function" && !(given instanceof Map)) throw new TypeError(`the texts are ${said(given)}, not a map or a function from a file's name to its text. Give \`texts\` of what check or compile returns.`);
  const texts = typeof given === "function" ? given : (file: string): string | undefined => given.get(file);
  if (diagnostics.length === 0) return "";
  return `${diagnostics.map((d) => renderDiagnostic(d, texts, style)).join("\n\n")}\n\n${renderCount(diagnostics, style)}\n`;
}

/** `2 errors, 1 warning` */
export function renderCount(diagnostics: readonly Diagnostic[], style: Style = plain): string {
  const count = (severity: Severity): string[] => {
    const n = diagnostics.filter((d) => d.severity === severity).length;
    return n === 0 ? [] : [style[severity](`${n} ${severity}${n === 1 ? "" : "s"}`)];
  };
  return [...count("error"), ...count("warning"), ...count("note")].join(", ") || "no diagnostics";
}

/** One line: `file:line:column: severity code: message`. */
export function renderShort(diagnostic: Diagnostic, texts: Texts): string {
  const { line, column } = lineColumn(lineTable(texts(diagnostic.span.file) ?? ""), diagnostic.span.start);
  return `${diagnostic.span.file}:${line}:${column}: ${diagnostic.severity} ${diagnostic.code}: ${visible(diagnostic.message)}`;
}

/** Longer lines are cut around the place. */
const widestLine = 120;

function same(text: string): string {
  return text;
}

function endLine(span: Span, texts: Texts): number {
  return lineColumn(lineTable(texts(span.file) ?? ""), Math.max(span.start, span.end - 1)).line;
}

function excerpt(span: Span, texts: Texts, gutter: number, arrow: string, mark: string, colour: (text: string) => string, style: Style): string[] {
  const pad = " ".repeat(gutter);
  const text = texts(span.file);
  if (text === undefined) return [`${pad}${style.dim(arrow)} ${span.file}`];
  const table = lineTable(text);
  const { line, column } = lineColumn(table, span.start);
  const start = table[line - 1] ?? 0;
  const source = text.slice(start, table[line] ?? text.length).replace(/(\r\n?|\n)$/, "");
  const from = Math.min(column - 1, source.length);
  const to = Math.max(from + 1, Math.min(span.end - start, source.length));
  const shown = cut(source, from, to);
  const last = endLine(span, texts);
  const more = last > line ? style.dim(` … to line ${last}`) : "";
  return [
    `${pad}${style.dim(arrow)} ${span.file}:${line}:${column}`,
    `${pad} ${style.dim("|")}`,
    `${style.dim(String(line).padStart(gutter))} ${style.dim("|")} ${shown.text}`.trimEnd(),
    `${pad} ${style.dim("|")} ${" ".repeat(shown.from)}${colour(mark.repeat(shown.to - shown.from))}${more}`,
  ];
}

/** The visible form of a line and of the range in it. */
function cut(source: string, from: number, to: number): { text: string; from: number; to: number } {
  const left = to <= widestLine ? 0 : Math.max(0, from - 40);
  const right = Math.min(source.length, left + widestLine);
  const head = left > 0 ? "…" : "";
  const tail = right < source.length ? "…" : "";
  const stop = Math.min(Math.max(to, from + 1), right + 1);
  return { text: `${head}${visible(source.slice(left, right))}${tail}`, from: from - left + head.length, to: stop - left + head.length };
}

/** One line, one character for one, none of which moves the cursor or changes the terminal. */
function visible(text: string): string {
  return text.replace(/\t/g, " ").replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, "\ufffd");
}

/** What the fix does; the new line is shown where it changes a single one. */
function showFix(fix: Fix, texts: Texts, gutter: number, style: Style): string[] {
  const pad = " ".repeat(gutter);
  const lines = [`${pad} ${style.dim("=")} ${style.good("fix")}: ${visible(fix.title)}`];
  const first = fix.edits[0];
  const text = first === undefined ? undefined : texts(first.span.file);
  if (first === undefined || text === undefined) return lines;
  const table = lineTable(text);
  const numbers = new Set(fix.edits.flatMap((e) => [lineColumn(table, e.span.start).line, lineColumn(table, e.span.end).line]));
  if (numbers.size !== 1 || fix.edits.some((e) => e.span.file !== first.span.file)) return lines;
  for (const line of editedLines(text, fix.edits)) lines.push(`${pad} ${style.dim("|")} ${style.good("+")} ${visible(line.slice(0, widestLine))}`);
  return lines;
}
