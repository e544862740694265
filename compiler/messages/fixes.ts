/**
 * Applying fixes: edits as data, onto a text.
 *
 * Owns the rule that edits never overlap: a fix goes in whole or not at all, first come first served, and what was left out
 * is told, so that a caller can check again and go on. Reads and writes nothing.
 */
import type { Span } from "../base/span.js";
import { lineColumn, lineTable } from "../base/span.js";
import type { Diagnostic, Edit, Fix } from "./report.js";

/** A text with fixes applied. */
export interface Fixed {
  readonly text: string;
  readonly applied: readonly Fix[];
  /** Fixes that would have touched a place that an earlier one touches. */
  readonly skipped: readonly Fix[];
}

/** Applies those `fixes` that do not collide, in order, to the text of `file`; edits of other files are not its business. */
export function applyFixes(text: string, file: string, fixes: readonly Fix[]): Fixed {
  const taken: Edit[] = [];
  const applied: Fix[] = [];
  const skipped: Fix[] = [];
  for (const fix of fixes) {
    const edits = fix.edits.filter((e) => e.span.file === file);
    if (edits.length === 0) continue;
    const sound = edits.every((e) => e.span.start >= 0 && e.span.start <= e.span.end && e.span.end <= text.length);
    const clear = edits.every((e, i) => [...taken, ...edits.slice(0, i)].every((t) => !collide(e, t)));
    if (!sound || !clear) {
      skipped.push(fix);
      continue;
    }
    taken.push(...edits);
    applied.push(fix);
  }
  return { text: applyEdits(text, taken), applied, skipped };
}

/**
 * The fixes that can be applied without asking: of each diagnostic that offers exactly one, and that one is no guess. While
 * there are mistakes of grammar, theirs alone: a line that cannot be read may declare what is not known elsewhere.
 */
export function certainFixes(diagnostics: readonly Diagnostic[]): readonly Fix[] {
  const unread = diagnostics.filter((d) => d.severity === "error" && d.code.startsWith("JEP1"));
  return (unread.length > 0 ? unread : diagnostics).flatMap((d) => (d.fixes.length === 1 ? d.fixes.filter((fix) => fix.guess !== true) : []));
}

/**
 * The fixes of a finding at `at`, where they take something away with what stands beside it: comments there that speak of a
 * neighbor stay. Those are comments between the element before and this one, and comments on lines of their own behind it.
 */
export function sparingComments(fixes: readonly Fix[], at: Span, texts: ReadonlyMap<string, string>): readonly Fix[] {
  return fixes.map((fix) => ({ ...fix, edits: fix.edits.map((edit) => {
    const { file, start, end } = edit.span;
    const text = texts.get(file);
    if (text === undefined || edit.text !== "" || file !== at.file || start > at.start || end < at.end) return edit;
    const before = text.slice(start, at.start);
    const after = text.slice(at.end, end);
    const next = after.slice(after.indexOf("\n") + 1);
    const kept = `${comment.test(before) ? before.replace(/^\s*,/, "").trimEnd() : ""}${after.includes("\n") && comment.test(next) ? next.trimStart() : ""}`;
    return { ...edit, text: kept };
  }) }));
}
const comment = /\/[/*]|#/;

/** Applies edits that do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const ordered = edits.toSorted((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
  const parts: string[] = [];
  let at = 0;
  for (const edit of ordered) {
    parts.push(text.slice(at, edit.span.start), edit.text);
    at = edit.span.end;
  }
  parts.push(text.slice(at));
  return parts.join("");
}

/** The lines that stand, after edits that do not overlap, where the lines that they touch stood; what lies between those included. */
export function editedLines(text: string, edits: readonly Edit[]): readonly string[] {
  const table = lineTable(text);
  const from = table[lineColumn(table, Math.min(...edits.map((e) => e.span.start))).line - 1] ?? 0;
  const to = table[lineColumn(table, Math.max(...edits.map((e) => e.span.end))).line] ?? text.length;
  const moved = edits.map((e) => ({ text: e.text, span: { ...e.span, start: e.span.start - from, end: e.span.end - from } }));
  return applyEdits(text.slice(from, to), moved).replace(/(\r\n?|\n)$/, "").split("\n");
}

/** Two insertions at one offset collide too: their order would be a guess. */
function collide(a: Edit, b: Edit): boolean {
  if (a.span.start === a.span.end && b.span.start === b.span.end) return a.span.start === b.span.start;
  return a.span.start < b.span.end && b.span.start < a.span.end;
}
