/**
 * Probing a run that is there: what `jepac probe` runs.
 *
 * Owns the way from a run folder to a table: its checkpoint, its data (as `run.json` says, unless told otherwise), an
 * engine, the probes. A truncated or foreign checkpoint ends here with the checkpoint store's words.
 */
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
import { parseOptions } from "./options.js";
import type { TrainerOptions } from "./options.js";
import { probeTable, runProbes } from "./probe.js";
import type { ProbeReport } from "./probe.js";
import { chooseFolder, RUN_FILES, withRunOptions } from "./run-folder.js";

/** What a probe of a run needs. */
export interface ProbeRun {
  readonly manifest: Manifest;
  readonly module: ProgramModule;
  /** `out` is the run folder; `resume` says which checkpoint (the latest unless said). */
  readonly options?: TrainerOptions;
  /** The folder of the compiled program. */
  readonly folder?: string;
  readonly terminal?: Terminal;
  /** Another way to an engine, for tests. */
  readonly createEngine?: (manifest: Manifest, module: ProgramModule, options: TrainerOptions, seed: number) => Promise<ChosenEngine>;
}

/** Reads a checkpoint of a run folder that fits the program. Throws the `HostError`s of the checkpoint store. */
export function loadCheckpoint(folder: string, manifest: Manifest, which: Which = "latest", options: { readonly otherSource?: boolean } = {}): Promise<Checkpoint> {
  return openCheckpoints(folder, manifest).load(which, options);
}

/** Probes the checkpoint of a run; writes `probe.json` into its folder. Undefined when nothing is labelled. */
export async function probeRun(job: ProbeRun): Promise<ProbeReport | undefined> {
  const { manifest } = job;
  const terminal = job.terminal ?? process.stderr;
  const progress = createProgress(terminal, () => performance.now(), { quiet: job.options?.quiet });
  const say = (text: string): void => progress.note(text);
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
    await writeAtomic(join(folder, RUN_FILES.probe), `${JSON.stringify(report, null, 2)}\n`);
    say(probeTable(report));
    return report;
  } finally {
    engine.dispose();
  }
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
