/**
 * One process trains into a run's folder at a time.
 *
 * Owns `running.json`, the sign that a process trains there, and what it is worth: two at once would mix their rows and pull
 * checkpoints from under each other. The sign of a process that is gone (killed, or before the machine was started again) is
 * taken over, and what it was writing is removed. Nothing is known of processes of another machine that shares the folder:
 * there the sign counts while it is renewed, as every run does with its own: from a thread, for a step, a probe or the start of
 * an engine may take minutes in which the main one does nothing else. Whoever finds another sign in the place of its own has lost
 * the folder, and writes nothing more.
 */
import { readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { hostname, uptime } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { errorText, HostError, systemCode } from "../base/errors.js";
import { makeFolder, removeTemporaries, writeError } from "../base/files.js";
import { findScript } from "../base/scripts.js";
import { CHECKPOINT_FILES } from "./checkpoint-store.js";
import { isRecord } from "./guards.js";
import type { PulseStart } from "./pulse.js";
import { RUN_FILES } from "./run-folder.js";
import { clockOf, LOOK, readSign, renew } from "./sign.js";
import type { Sign } from "./sign.js";

/** A folder that is, or may become, this process's to train into. */
export interface Claim {
  /**
   * Takes the folder, once; it is made when missing. Throws `HostError` "usage" where another process trains into it, "io" or
   * "disk-full" where nothing can be written.
   */
  take(): void;
  /**
   * Renews the sign of a folder that was taken, where a look at it was long ago, or is wanted `now`. Throws `HostError` "usage"
   * where another process has taken the folder over.
   */
  hold(now?: "now"): void;
  /** Gives it back; never throws, for it is what is left to do where something else went wrong. */
  release(): void;
}

/** Milliseconds after which the sign of another machine that was not renewed counts for nothing. */
const GONE = 120_000;

/** A claim on a run's folder; nothing is written before it is taken. `say` hears of a folder that is taken over from another machine. */
export function openClaim(folder: string, say: (text: string) => void): Claim {
  const path = join(folder, RUN_FILES.running);
  let sign: string | undefined;
  let pulse: Worker | undefined;
  let looked = -Infinity;
  return {
    take() {
      if (sign !== undefined) return;
      sign = writeSign(folder, path, say);
      pulse = startPulse(path, sign);
    },
    hold(now) {
      if (now === undefined && performance.now() - looked < LOOK) return;
      looked = performance.now();
      const there = sign === undefined ? undefined : readSign(path);
      if (there === undefined) return;
      if (there.text !== sign) throw lost(folder, there);
      renew(path, there);
    },
    release() {
      void pulse?.terminate();
      pulse = undefined;
      try {
        if (sign !== undefined && readSign(path)?.text === sign) rmSync(path, { force: true });
      } catch (error) {
        // What ended the run is the error to tell; a sign that stays is found to be of nobody.
        say(`cannot remove ${path}: ${errorText(error)}`);
      }
      sign = undefined;
    },
  };
}

/** Renews a sign from a thread of its own; it keeps no process alive. Where it cannot run, steps alone renew the sign. */
function startPulse(path: string, text: string): Worker | undefined {
  const script = findScript(import.meta.url, "pulse", ["train", "base"]);
  if (script === undefined) return undefined;
  const start: PulseStart = { path, text };
  // Without the words of this process: a thread refuses some (--input-type).
  const pulse = new Worker(script, { workerData: start, execArgv: [] });
  pulse.unref();
  pulse.on("error", () => undefined);
  return pulse;
}

function writeSign(folder: string, path: string, say: (text: string) => void): string {
  refuseTaken(folder);
  const before = parse(readSign(path)?.text);
  if (typeof before["pid"] === "number" && isElsewhere(before)) say(`process ${before["pid"]} on ${String(before["host"])} was training into ${folder} and gives no sign of life: this run takes its place`);
  const sign = `${JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString(), ...birth(process.pid) })}\n`;
  try {
    makeFolder(folder);
    rmSync(path, { force: true });
    writeFileSync(path, sign, { flag: "wx" });
  } catch (error) {
    if (systemCode(error) === "EEXIST") refuseTaken(folder);
    throw writeError(error, path);
  }
  removeTemporaries(folder, [...Object.values(CHECKPOINT_FILES), RUN_FILES.metrics, RUN_FILES.run, RUN_FILES.running]);
  return sign;
}

/** Throws `HostError` "usage" where another process trains into a folder, which people know as `shown`. */
export function refuseTaken(folder: string, shown = folder): void {
  const path = join(folder, RUN_FILES.running);
  const there = readSign(path);
  const sign = parse(there?.text);
  const { pid } = sign;
  if (there === undefined || typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) return;
  const shownSign = join(shown, RUN_FILES.running);
  if (isElsewhere(sign)) {
    const silent = Math.max(0, Math.round((clockOf(path) - there.renewed) / 1000));
    if (silent * 1000 >= GONE) return;
    const where = sign["host"] === hostname() ? "before this machine was started, in another container, or on another machine of its name" : `on the machine ${String(sign["host"])}`;
    throw new HostError("usage", `a process ${where} (${pid}) is training into ${shown}, by its sign of ${silent} s ago`, `wait until it ends, stop it there, or give another folder with --out; if it is gone, wait until its sign is ${GONE / 1000} s old, or remove ${shownSign}`);
  }
  if (isHere(pid, sign)) throw new HostError("usage", `another process (${pid}) is training into ${shown}`, `wait until it ends, stop it, or give another folder with --out; if process ${pid} is no run of jepac, remove ${shownSign}`);
}

function lost(folder: string, { text }: Sign): HostError {
  const { pid, host } = parse(text);
  return new HostError("usage", `another process (${String(pid)} on ${String(host)}) has taken over ${folder}: this one stops, and writes nothing more there`, "let that one go on, or stop it and go on with --resume");
}

/** Whether a sign is of another machine: nothing is known of its processes here. Two may have one name, and then differ in what they call their start. */
function isElsewhere({ host, boot }: Fields): boolean {
  const own = birth(process.pid)?.boot;
  return typeof host === "string" && (host !== hostname() || (typeof boot === "string" && own !== undefined && boot !== own));
}

/** Whether the process of a sign of this machine is alive, and another one. */
function isHere(pid: number, { since, began }: Fields): boolean {
  if (pid === process.pid || !isAlive(pid)) return false;
  // Numbers of processes are given again. The system says when one began; where it does not, one of before the machine started is gone.
  const own = birth(pid)?.began;
  if (own !== undefined && typeof began === "string") return own === began;
  return typeof since === "string" && Date.parse(since) >= Date.now() - uptime() * 1000;
}

/**
 * What Linux calls this start of the machine and the set of processes that are seen here (containers of one name and start see
 * each their own, with numbers of their own), and how long after it a process began: by no clock that somebody sets.
 */
function birth(pid: number): { readonly boot: string; readonly began: string } | undefined {
  try {
    // The name of a program, in parentheses, may hold anything; the start is the twentieth word after it (proc_pid_stat(5)).
    const began = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19];
    return began === undefined ? undefined : { boot: `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`, began };
  } catch {
    return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parse(sign: string | undefined): Fields {
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
