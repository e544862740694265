/**
 * The sign that a process trains into a folder, as a file.
 *
 * Owns reading it and renewing its time, by the clock of whoever keeps the files. What a sign is worth is `claim.ts`.
 */
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { threadId } from "node:worker_threads";
import { errorText, HostError, systemCode } from "../base/errors.js";

/** Milliseconds after which a run looks at its sign, and after which it renews it. */
export const LOOK = 1000;
const RENEW = 15_000;

/** A sign as it is in its file. */
export interface Sign {
  readonly text: string;
  /** When it was renewed last, by the clock of whoever keeps the files. */
  readonly renewed: number;
}

/** The sign at a path; undefined where there is none. Throws `HostError` "io". */
export function readSign(path: string): Sign | undefined {
  try {
    return { text: readFileSync(path, "utf8"), renewed: statSync(path).mtimeMs };
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error))) return undefined;
    throw new HostError("io", `cannot read ${path}: ${errorText(error)}`, "check that it is a file that can be read", { cause: error });
  }
}

/** Sets the time of an own sign, as whoever keeps the files has it, where it has become old. Where that cannot be done, the sign ages. */
export function renew(path: string, { renewed }: Sign): void {
  if (Math.abs(Date.now() - renewed) < RENEW) return;
  try {
    const now = new Date(clockOf(path));
    utimesSync(path, now, now);
  } catch (error) {
    if (systemCode(error) === "") throw error;
  }
}

/** Milliseconds, by the clock that the times of files beside `path` have: machines that share a disk may not agree. This machine's where nothing can be written. */
export function clockOf(path: string): number {
  const trial = join(dirname(path), `.${basename(path)}.${process.pid}.${threadId}.tmp`);
  try {
    writeFileSync(trial, "");
    return statSync(trial).mtimeMs;
  } catch {
    return Date.now();
  } finally {
    rmSync(trial, { force: true });
  }
}
