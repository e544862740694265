/**
 * The folder of a run: where it is, and what a later command must know to go on with it.
 *
 * Owns the choice of a folder (a run never writes over another one) and `run.json`, the options a run was last started with,
 * so that `--resume` alone is enough. The files inside belong to others: checkpoints, metrics, probe, report.
 */
import { existsSync } from "node:fs";
import { join, sep } from "node:path";
import { asHostError, HostError } from "../base/errors.js";
import { readBytes, writeAtomic } from "../base/files.js";
import { CHECKPOINT_FILES } from "./checkpoint-store.js";
import { isRecord } from "./guards.js";
import type { TrainerOptions } from "./options.js";

/** File names in a run folder, beside the checkpoints. */
export const RUN_FILES = { metrics: "metrics.jsonl", probe: "probe.json", report: "report.html", run: "run.json", running: "running.json", profile: "profile.json", trace: "trace.json" } as const;

/** Options that make a run what it is; a resumed run takes them from its folder unless they are given again. */
export type RunOptions = Pick<TrainerOptions, "data" | "evalData" | "steps" | "epochs" | "batch" | "seed" | "replicas" | "pretrained">;

/**
 * The folder for a run. With `--out` it is that one, and a folder that holds another run is refused; without, it is
 * `runs/<program>`, or the next free `runs/<program>-2` and so on. A resumed run takes the folder that is there, the last
 * one when there are several. Throws `HostError` "usage".
 */
export function chooseFolder(program: string, options: Pick<TrainerOptions, "out" | "resume">): string {
  if (options.out === "") throw new HostError("usage", "the run's folder has no name", "name one with --out, or leave it away for runs/<program>");
  if (options.out !== undefined) {
    if (options.resume === undefined && holdsRun(options.out)) {
      throw new HostError("usage", `${options.out} already holds a run`, "go on with it with --resume, or give another folder with --out");
    }
    return options.out;
  }
  const base = join("runs", program);
  const numbered = (n: number): string => (n === 1 ? base : `${base}-${n}`);
  let n = 1;
  while (holdsRun(numbered(n))) n += 1;
  return numbered(options.resume === undefined ? n : Math.max(1, n - 1));
}

/** Writes what a later `--resume` must know. */
export async function writeRunOptions(folder: string, options: TrainerOptions): Promise<void> {
  const { data, evalData, steps, epochs, batch, seed, replicas, pretrained } = options;
  await writeAtomic(join(folder, RUN_FILES.run), `${JSON.stringify({ data, evalData, steps, epochs, batch, seed, replicas, pretrained }, null, 2)}\n`);
}

/** The options given, with those of the folder's run where none are given. A folder without `run.json` adds none. */
export async function withRunOptions(folder: string, given: TrainerOptions): Promise<TrainerOptions> {
  const kept = await keptOptions(folder);
  if (kept === undefined) return given;
  const length = given.steps !== undefined || given.epochs !== undefined ? { steps: given.steps, epochs: given.epochs } : { steps: kept.steps, epochs: kept.epochs };
  return { ...given, ...length, data: given.data ?? kept.data, evalData: given.evalData ?? kept.evalData, batch: given.batch ?? kept.batch, seed: given.seed ?? kept.seed, replicas: given.replicas ?? kept.replicas, pretrained: given.pretrained ?? kept.pretrained };
}

/** What a folder's run was last started with; undefined without `run.json`. */
export async function keptOptions(folder: string): Promise<RunOptions | undefined> {
  const path = join(folder, RUN_FILES.run);
  return existsSync(path) ? parseRun(await readBytes(path), path) : undefined;
}

/**
 * What to type to go on with the run in a folder, given what starts the trainer. Options that `run.json` does not keep,
 * because they may differ from one start to the next, are repeated.
 */
export function resumeCommand(command: string, folder: string, options: TrainerOptions = {}): string {
  const { engine, workers, checkpointMinutes, probe, report, quiet } = options;
  const again = [
    ...(engine === undefined ? [] : ["--engine", engine]),
    ...(workers === undefined ? [] : ["--workers", String(workers)]),
    ...(checkpointMinutes === undefined ? [] : ["--checkpoint-minutes", String(checkpointMinutes)]),
    ...(probe === false ? ["--no-probe"] : []),
    ...(report === false ? ["--no-report"] : []),
    ...(quiet === true ? ["--quiet"] : []),
  ];
  return [command, "--out", shellWord(folder), "--resume", ...again].join(" ");
}

/** A path, or an option with its value, as one word of a command: in single quotes, in which a shell replaces nothing, where it has more than plain letters. */
export function shellWord(path: string): string {
  const plain = sep === "\\" ? /^[\w./\\:=,@%+-]+$/ : /^[\w./:=,@%+-]+$/;
  return plain.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Whether a folder holds a run that another one would write over, be it one that was stopped before its first checkpoint. */
export function holdsRun(folder: string): boolean {
  return existsSync(join(folder, RUN_FILES.metrics)) || holdsCheckpoint(folder);
}

/** Whether a run was begun in a folder, or is just being begun: its options are there, or anything of it. */
export function wasBegun(folder: string): boolean {
  return [RUN_FILES.run, RUN_FILES.running].some((name) => existsSync(join(folder, name))) || holdsRun(folder);
}

/**
 * Whether a run was begun in a folder and stopped before its first checkpoint: going on with it means to begin it again,
 * with the options that it was started with.
 */
export function stoppedEarly(folder: string): boolean {
  return wasBegun(folder) && !holdsCheckpoint(folder);
}

function holdsCheckpoint(folder: string): boolean {
  return Object.values(CHECKPOINT_FILES).some((name) => existsSync(join(folder, name)));
}

function parseRun(bytes: Uint8Array, path: string): RunOptions {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw asHostError(error, "bad-file", path, "remove this file and give the options of the run again");
  }
  const fields = isRecord(value) ? value : {};
  const text = (key: string): string | undefined => (typeof fields[key] === "string" ? fields[key] : undefined);
  const texts = (key: string): Record<string, string> | undefined => {
    const record = fields[key];
    return isRecord(record) ? Object.fromEntries(Object.entries(record).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : []))) : undefined;
  };
  const count = (key: string): number | undefined => (typeof fields[key] === "number" ? fields[key] : undefined);
  return { data: text("data"), evalData: text("evalData"), steps: count("steps"), epochs: count("epochs"), batch: count("batch"), seed: count("seed"), replicas: count("replicas"), pretrained: texts("pretrained") };
}
