/**
 * Metrics as lines of JSON, one row per step, appended.
 *
 * Owns `metrics.jsonl`: opening it fresh or at a step, appending rows, reading it back. On resume the rows after the
 * resumed step are cut off first, so that the file always tells one story; a last line that a crash cut in half goes with
 * them. Rows are written one by one with a plain append: a lost last row is no harm, a lost checkpoint would be.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { HostError, systemCode } from "../base/errors.js";
import { writeAtomic, writeError } from "../base/files.js";

/** A row: anything that survives JSON, with the step it belongs to. */
export interface StepRow {
  readonly step: number;
}

/** An open metrics file. */
export interface RowLog<Row extends StepRow> {
  /** Appends one row. Throws `HostError` "disk-full" or "io". */
  append(row: Row): void;
}

/**
 * Opens the log at `path` for a run that has done `afterStep` steps: 0 starts the file anew, otherwise rows of later
 * steps and broken lines are removed.
 */
export async function openRows<Row extends StepRow>(path: string, afterStep: number): Promise<RowLog<Row>> {
  const kept = afterStep === 0 ? [] : wholeRows(readText(path)).filter((line) => line.row.step <= afterStep);
  await writeAtomic(path, kept.map((line) => `${line.text}\n`).join(""));
  return {
    append(row) {
      try {
        appendFileSync(path, `${JSON.stringify(row)}\n`);
      } catch (error) {
        // The file is not what it was, as one that is replaced would be: it may end in half a row, which a resumed run cuts off.
        const { code, message } = writeError(error, path);
        throw new HostError(code, message, "free some space, or let the file be written; then go on with --resume", { cause: error });
      }
    },
  };
}

/** The rows of a log, as data; lines that are not JSON objects with a step are left out. A missing file has no rows. */
export function readRows(path: string): StepRow[] {
  return wholeRows(readText(path)).map((line) => line.row);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  }
}

function wholeRows(text: string): { text: string; row: StepRow }[] {
  const rows: { text: string; row: StepRow }[] = [];
  for (const line of text.split("\n")) {
    const row = parseRow(line);
    if (row !== undefined) rows.push({ text: line, row });
  }
  return rows;
}

function parseRow(line: string): StepRow | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isStepRow(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isStepRow(value: unknown): value is StepRow {
  return typeof value === "object" && value !== null && "step" in value && typeof value.step === "number";
}
