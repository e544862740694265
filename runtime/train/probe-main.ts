/**
 * Probing a run that is there: what `jepac probe` runs.
 *
 * Owns the way from a run folder to a table: its checkpoint, its data (as `run.json` says, unless told otherwise), an
 * engine, the probes, and whether the result becomes the run's. A truncated or foreign checkpoint ends here with the checkpoint store's words.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Manifest } from "../abi.js";
import { errorText, HostError } from "../base/errors.js";
import { writeAtomic } from "../base/files.js";
import { createProgress } from "../log/progress.js";
import type { Terminal } from "../log/progress.js";
import { openCheckpoints } from "./checkpoint-store.js";
import type { Checkpoint } from "./checkpoint.js";
import type { Which } from "./checkpoint-store.js";
import { openTestData, openTrainingData, probeSets } from "./datasets.js";
import { createEngine } from "./engines.js";
import type { ChosenEngine, ProgramModule } from "./engines.js";
import { gainText } from "./gains.js";
import { checkOptions, parseOptions } from "./options.js";
import type { TrainerOptions } from "./options.js";
import { probeTable, runProbes } from "./probe.js";
import type { ProbeReport } from "./probe.js";
import { chooseFolder, keptOptions, RUN_FILES, withRunOptions } from "./run-folder.js";

/** What a probe of a run needs. */
export interface ProbeRun {
  readonly manifest: Manifest;
  readonly module: ProgramModule;
  /** `out` is the run folder; `resume` says which checkpoint (the latest unless said). */
  readonly options?: TrainerOptions;
  /** The folder of the compiled program. */
  readonly folder?: string;
  readonly terminal?: Terminal;
  /** What a person should know of the compiled program's files; see `loadCompiled`. */
  readonly warnings?: readonly string[];
  /** Another way to an engine, for tests. */
  readonly createEngine?: (manifest: Manifest, module: ProgramModule, options: TrainerOptions, seed: number) => Promise<ChosenEngine>;
}

/** Reads a checkpoint of a run folder that fits the program. Throws the `HostError`s of the checkpoint store. */
export function loadCheckpoint(folder: string, manifest: Manifest, which: Which = "latest", options: { readonly otherSource?: boolean } = {}): Promise<Checkpoint> {
  return openCheckpoints(folder, manifest).load(which, options);
}

/**
 * Probes the checkpoint of a run, says the table, and keeps it as `probe.json` in the run's folder. What is there is replaced
 * only by a probe of the run's latest checkpoint and its own pictures; another one is said and not kept. Undefined when
 * nothing is labelled. Throws `HostError` "io" where it cannot be kept, after the table.
 */
export async function probeRun(job: ProbeRun): Promise<ProbeReport | undefined> {
  const { manifest } = job;
  const terminal = job.terminal ?? process.stderr;
  const progress = createProgress(terminal, () => performance.now(), { quiet: job.options?.quiet });
  const say = (text: string): void => progress.note(text);
  for (const warning of job.warnings ?? []) say(`warning: ${warning}`);
  checkOptions(job.options ?? {});
  const which = job.options?.resume ?? "latest";
  const folder = chooseFolder(manifest.program, { ...job.options, resume: which });
  const options = await withRunOptions(folder, job.options ?? {});
  const checkpoint = await loadCheckpoint(folder, manifest, which, { otherSource: options.otherSource });
  const data = await openTrainingData(manifest, options.data, job.folder);
  const sets = await probeSets(manifest, data, await openTestData(manifest, data, options.evalData), say);
  if (sets === undefined) return undefined;
  const make = job.createEngine ?? ((program, module, chosen, seed) => createEngine(program, module, chosen.engine, seed));
  const { engine, why } = await make(manifest, job.module, options, checkpoint.seed);
  try {
    say(`engine: ${engine.name} ${engine.version} (${why}); checkpoint of step ${checkpoint.step} in ${folder}`);
    await engine.importState(checkpoint.state);
    const report = await runProbes({ manifest, engine, seed: checkpoint.seed, step: checkpoint.step, ...sets, onProgress: (text) => progress.status(text) });
    say(probeTable(report));
    for (const score of report.encoders) say(gainText(score, report.testImages));
    const kept = join(folder, RUN_FILES.probe);
    if (existsSync(kept) && !(await isOwn(folder, which, job.options ?? {}))) {
      say(`not kept: ${kept} stays, which may be of another checkpoint or other pictures; move it away to keep this one there`);
    } else await writeAtomic(kept, `${JSON.stringify(report, null, 2)}\n`);
    return report;
  } finally {
    engine.dispose();
  }
}

/** Whether a probe is that of the run itself: of its latest checkpoint, on the pictures that it was started with. */
async function isOwn(folder: string, which: Which, given: TrainerOptions): Promise<boolean> {
  const kept = await keptOptions(folder);
  const same = (one: string | undefined, other: string | undefined): boolean => one === undefined || one === other;
  return which === "latest" && same(given.data, kept?.data) && same(given.evalData, kept?.evalData);
}

/** `probeRun` from words of a command line; errors are said, the exit code is returned. */
export async function runProbe(job: ProbeRun & { readonly argv?: readonly string[] }): Promise<number> {
  const terminal = job.terminal ?? process.stderr;
  try {
    const report = await probeRun({ ...job, options: { ...parseOptions(job.argv ?? []), ...job.options } });
    return report === undefined ? 2 : 0;
  } catch (error) {
    terminal.write(`error: ${errorText(error)}\n`);
    if (error instanceof HostError) terminal.write(`help: ${error.help}\n`);
    return error instanceof HostError ? 2 : 1;
  }
}
