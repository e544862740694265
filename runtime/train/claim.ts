/**
 * One process trains into a run's folder at a time.
 *
 * Owns `running.json`, the sign that a process trains there, and what it is worth: two at once would mix their rows and pull
 * checkpoints from under each other. The sign of a process that is gone (killed, or before the machine was started again) is
 * taken over, and what it was writing is removed. On another machine nothing is known of a process: its sign counts for
 * nothing, so that a run can go on elsewhere.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, uptime } from "node:os";
import { join } from "node:path";
import { errorText, HostError, systemCode } from "../base/errors.js";
import { makeFolder, removeTemporaries, writeError } from "../base/files.js";
import { CHECKPOINT_FILES } from "./checkpoint-store.js";
import { isRecord } from "./guards.js";
import { RUN_FILES } from "./run-folder.js";

/** A folder that is, or may become, this process's to train into. */
export interface Claim {
  /**
   * Takes the folder, once; it is made when missing. Throws `HostError` "usage" where another process trains into it, "io" or
   * "disk-full" where nothing can be written.
   */
  take(): void;
  /** Gives it back. */
  release(): void;
}

/** A claim on a run's folder; nothing is written before it is taken. */
export function openClaim(folder: string): Claim {
  const path = join(folder, RUN_FILES.running);
  let sign: string | undefined;
  return {
    take() {
      sign ??= writeSign(folder, path);
    },
    release() {
      if (sign !== undefined && readSign(path) === sign) rmSync(path, { force: true });
      sign = undefined;
    },
  };
}

function writeSign(folder: string, path: string): string {
  refuseTaken(folder);
  const sign = `${JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() })}\n`;
  try {
    makeFolder(folder);
    rmSync(path, { force: true });
    writeFileSync(path, sign, { flag: "wx" });
  } catch (error) {
    if (systemCode(error) === "EEXIST") refuseTaken(folder);
    throw writeError(error, path);
  }
  removeTemporaries(folder, [...Object.values(CHECKPOINT_FILES), RUN_FILES.metrics, RUN_FILES.run]);
  return sign;
}

/** Throws `HostError` "usage" where another process trains into a folder, which people know as `shown`. */
export function refuseTaken(folder: string, shown = folder): void {
  const pid = holder(readSign(join(folder, RUN_FILES.running)));
  if (pid === undefined) return;
  throw new HostError("usage", `another process (${pid}) is training into ${shown}`, `wait until it ends, stop it, or give another folder with --out; if process ${pid} is no run of jepac, remove ${join(shown, RUN_FILES.running)}`);
}

function readSign(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error))) return undefined;
    throw new HostError("io", `cannot read ${path}: ${errorText(error)}`, "check that it is a file that can be read", { cause: error });
  }
}

/** The process that a sign stands for, while it is alive and another one of this machine. */
function holder(sign: string | undefined): number | undefined {
  const { pid, host, since } = parse(sign);
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid || host !== hostname()) return undefined;
  // Numbers of processes are given again when a machine starts.
  const started = Date.now() - uptime() * 1000;
  if (typeof since !== "string" || Date.parse(since) < started) return undefined;
  return isAlive(pid) ? pid : undefined;
}

function parse(sign: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(sign ?? "");
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}
