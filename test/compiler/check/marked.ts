/**
 * Diagnostics as drawn in the source: `checkMarked` holds a program to the carets in its comments.
 *
 * A line such as `//    ^^^^^^ JEP2001 did you mean` marks the text above its carets: a report with this code must begin
 * there, end there (or at the end of that line, when it goes on), and say the words in its message, its help or a note.
 * Nothing may be reported that is not marked, and every mark must be met. Then each offered fix is applied on its own,
 * and must remove what it mends without a new mistake; `fixed` compares the text with all certain fixes applied.
 */
import { expect } from "vitest";
import type { ProgramOptions } from "../../../compiler/compile.js";
import { check } from "../../../compiler/compile.js";
import { lineColumn, lineTable } from "../../../compiler/base/span.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import type { Diagnostic } from "../../../compiler/messages/report.js";

/** The file name that marked programs have. */
export const markedFile = "marked.jepa";

interface Mark {
  readonly line: number;
  readonly from: number;
  readonly to: number;
  readonly code: string;
  readonly words: string;
}

const markPattern = /^([ \t]*\/\/[ \t]*)(\^+)[ \t]+(JEP\d{4})[ \t]*(.*)$/;

function readMarks(text: string): Mark[] {
  const marks: Mark[] = [];
  let target = 0;
  text.split("\n").forEach((line, i) => {
    const found = markPattern.exec(line);
    if (found === null) {
      target = i + 1;
      return;
    }
    const from = (found[1] ?? "").length + 1;
    marks.push({ line: target, from, to: from + (found[2] ?? "").length, code: found[3] ?? "", words: found[4] ?? "" });
  });
  return marks;
}

/** Where a diagnostic is drawn: its line, and the columns of that line that it covers. */
function drawn(d: Diagnostic, text: string): { line: number; from: number; to: number } {
  const table = lineTable(text);
  const start = lineColumn(table, d.span.start);
  const end = lineColumn(table, d.span.end);
  const width = (text.split("\n")[start.line - 1] ?? "").length;
  return { line: start.line, from: start.column, to: end.line === start.line ? Math.max(end.column, start.column + 1) : width + 1 };
}

function describeReport(d: Diagnostic, text: string): string {
  const { line, from, to } = drawn(d, text);
  return `${line}:${from}-${to} ${d.code} ${d.message}${d.help === undefined ? "" : ` | ${d.help}`}`;
}

function meets(mark: Mark, d: Diagnostic, text: string): boolean {
  const { line, from, to } = drawn(d, text);
  const said = [d.message, d.help ?? "", ...d.related.map((r) => r.message)].join("\n").toLowerCase();
  return mark.code === d.code && mark.line === line && mark.from === from && mark.to === to && said.includes(mark.words.toLowerCase());
}

/** Checks a marked program; see the header. Returns the diagnostics for further questions. */
export function checkMarked(text: string, { fixed, files, ...given }: ProgramOptions & { readonly fixed?: string; readonly files?: Readonly<Record<string, string>> } = {}): readonly Diagnostic[] {
  const run = (source: string): readonly Diagnostic[] => check({ file: markedFile, text: source, read: (path) => files?.[path] }, given).diagnostics;
  const diagnostics = run(text);
  const marks = readMarks(text);
  const left = [...diagnostics];
  const unmet = marks.filter((mark) => {
    const at = left.findIndex((d) => meets(mark, d, text));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  expect({ notReported: unmet, notMarked: left.map((d) => describeReport(d, text)) }).toEqual({ notReported: [], notMarked: [] });
  for (const d of diagnostics) {
    expect(d.span.start).toBeGreaterThanOrEqual(0);
    expect(d.span.end).toBeGreaterThanOrEqual(d.span.start);
    for (const fix of d.fixes) {
      const mended = applyFixes(text, markedFile, [fix]).text;
      expect(mended).not.toBe(text);
      expect(run(mended).filter((x) => x.code === d.code).length, `after "${fix.title}"`).toBeLessThan(diagnostics.filter((x) => x.code === d.code).length);
    }
  }
  if (fixed !== undefined) expect(applyFixes(text, markedFile, certainFixes(diagnostics)).text).toBe(fixed);
  return diagnostics;
}

/** A sound I-JEPA of 32x32 pictures with `lines` added to its model, `tail` behind it, and `train` as its recipe. */
export function sound(lines = "", tail = "", train = "  epochs 1\n"): string {
  return `use std.vit
model m {
  input image: Image[32, 32, 3]
  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 4)
  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 4) minus targets
  encoder student = vit(4, 64, 2, 4)
  encoder teacher = ema(student, momentum: 0.996 -> 1.0)
  predictor predict = vit_predictor(32, 1, 4)
  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, z_target)
${lines}}
train m {
${train}}
${tail}`;
}
