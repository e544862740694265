/**
 * Diagnostics for programs: the JSON that `jepac check --format json` prints.
 *
 * Owns the shape of that output, which is public and only grows. Positions count from 1, columns in UTF-16 units, `end` is
 * exclusive. Leaves the choice of files and the printing to the command line.
 */
import { lineColumn, lineTable } from "../base/span.js";
import type { LineColumn, Span } from "../base/span.js";
import type { Diagnostic, Severity } from "./report.js";

/** Gives the text of a file that spans name; undefined when it is not known. */
export type Texts = (file: string) => string | undefined;

/** A place, readable. */
export interface JsonPlace {
  readonly file: string;
  readonly start: LineColumn;
  readonly end: LineColumn;
}

/** One diagnostic. `file` differs from the checked file when the mistake lies in one that it uses. */
export interface JsonDiagnostic extends JsonPlace {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly help: string | null;
  /** Where the literature says so, for verdicts that rest on it. */
  readonly source?: string;
  /** `guess` is true of a fix that nothing should apply without being asked. */
  readonly fixes: readonly { readonly title: string; readonly guess?: true; readonly edits: readonly (JsonPlace & { readonly text: string })[] }[];
  readonly related: readonly (JsonPlace & { readonly message: string })[];
}

/** The report on one checked file. */
export interface JsonReport {
  readonly file: string;
  readonly diagnostics: readonly JsonDiagnostic[];
}

/** Diagnostics of the check of `file` as plain data. */
export function toJson(file: string, diagnostics: readonly Diagnostic[], texts: Texts): JsonReport {
  const place = placer(texts);
  return {
    file,
    diagnostics: diagnostics.map((d) => ({
      code: d.code,
      severity: d.severity,
      message: d.message,
      ...place(d.span),
      help: d.help ?? null,
      ...(d.source === undefined ? {} : { source: d.source }),
      fixes: d.fixes.map((fix) => ({ title: fix.title, ...(fix.guess === true ? { guess: true as const } : {}), edits: fix.edits.map((e) => ({ ...place(e.span), text: e.text })) })),
      related: d.related.map((r) => ({ ...place(r.span), message: r.message })),
    })),
  };
}

/** A function from spans to lines and columns, which reads each file's lines once. */
export function placer(texts: Texts): (span: Span) => JsonPlace {
  const tables = new Map<string, readonly number[]>();
  return (span) => {
    let table = tables.get(span.file);
    if (table === undefined) {
      table = lineTable(texts(span.file) ?? "");
      tables.set(span.file, table);
    }
    return { file: span.file, start: lineColumn(table, span.start), end: lineColumn(table, span.end) };
  };
}
