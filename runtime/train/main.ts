/**
 * A trainer from start to end: what `node train.mjs` and `jepac train` run.
 *
 * Owns the order of a run as a person sees it: options, data, engine, training with progress, probes, report; and the
 * exit code: 0 done, 1 the run failed (a loss that is not a number), 2 usage, files or engine, 3 stopped on collapse, 130
 * interrupted. Each part is a file of its own; this one only connects them and says what happens. Process, clock and
 * engine come in through `TrainerHost`, so that whole runs are tested in one process.
 */
import { existsSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join, relative } from "node:path";
import { performance } from "node:perf_hooks";
import type { Engine, Manifest } from "../abi.js";
import { counted } from "../base/counted.js";
import { errorText, HostError } from "../base/errors.js";
import { writeAtomic } from "../base/files.js";
import { wordsOf } from "../data/source.js";
import { openRows } from "../log/jsonl.js";
import { createProgress } from "../log/progress.js";
import type { Progress, Terminal } from "../log/progress.js";
import { openBatches } from "./batches.js";
import type { Batches } from "./batches.js";
import type { Checkpoint } from "./checkpoint.js";
import { openCheckpoints } from "./checkpoint-store.js";
import type { CheckpointStore } from "./checkpoint-store.js";
import { openClaim } from "./claim.js";
import type { Claim } from "./claim.js";
import { loadCompiled } from "./compiled.js";
import { openTestData, openTrainingData, probeSets } from "./datasets.js";
import type { TestData, TrainingData } from "./datasets.js";
import { createEngine } from "./engines.js";
import type { ChosenEngine, PlannedRun, ProgramModule } from "./engines.js";
import { initialState } from "./init.js";
import { INTERRUPTED, outliveReader, watchInterrupts } from "./interrupt.js";
import type { SignalSource } from "./interrupt.js";
import { gainText } from "./gains.js";
import { runLoop } from "./loop.js";
import type { LoopEnd, MetricRow } from "./loop.js";
import { alarmText } from "./monitors.js";
import { checkOptions, optionsHelp, parseOptions } from "./options.js";
import type { TrainerOptions } from "./options.js";
import { CHECKPOINT_MINUTES, createPace } from "./pace.js";
import { readPretrained } from "./pretrained.js";
import { probeTable, runProbes } from "./probe.js";
import type { ProbeReport } from "./probe.js";
import { resolveRecipe, warmupNote } from "./recipe.js";
import { throughLosses } from "./recover.js";
import type { Recipe } from "./recipe.js";
import { writeReport } from "./report-file.js";
import { chooseFolder, keptOptions, resumeCommand, RUN_FILES, shellWord, stoppedEarly, withRunOptions, writeRunOptions } from "./run-folder.js";
import { Speed } from "./speed.js";

/** What a trainer is made of. */
export interface Trainer {
  readonly manifest: Manifest;
  readonly module: ProgramModule;
  /** Words of the command line, after the program; `options` win over them. */
  readonly argv?: readonly string[];
  readonly options?: TrainerOptions;
  /** The folder of the compiled program: relative data paths and `graph.svg` are looked for there too. */
  readonly folder?: string;
  /** The model graph as SVG, when the caller has it; else `graph.svg` of the folder. */
  readonly graph?: string;
  /** What a person should know of the compiled program's files; see `loadCompiled`. */
  readonly warnings?: readonly string[];
  /** What a person typed to get here, for the hint on resuming. */
  readonly command?: string;
  readonly host?: Partial<TrainerHost>;
}

/** The world around a trainer; `process` and the real engines unless replaced. */
export interface TrainerHost {
  readonly terminal: Terminal;
  readonly signals: SignalSource;
  /** Milliseconds. */
  clock(): number;
  /** Makes the engine that was asked for, holding initial parameters for the seed. */
  createEngine(manifest: Manifest, module: ProgramModule, options: TrainerOptions, seed: number, run: PlannedRun): Promise<ChosenEngine>;
}

/** What a run left. */
export interface RunSummary {
  readonly end: LoopEnd;
  readonly folder: string;
  readonly probe: ProbeReport | undefined;
  readonly exitCode: number;
}

/** Runs a trainer; says everything on the terminal, errors included (help on standard output), and returns the exit code. */
export function runTrainer(trainer: Trainer): Promise<number> {
  return told(trainer.host?.terminal, async () => {
    const options = { ...parseOptions(trainer.argv ?? []), ...trainer.options };
    if (options.help === true) {
      (trainer.host?.terminal ?? process.stdout).write(`${optionsHelp(trainer.manifest.program)}\n`);
      return 0;
    }
    return (await train({ ...trainer, options })).exitCode;
  });
}

/** Runs the compiled program of a folder (absolute): what its `train.mjs` does. A folder that is damaged is told like any other error. */
export function runCompiled(folder: string, argv: readonly string[], host: Partial<TrainerHost> = {}): Promise<number> {
  return told(host.terminal, async () => runTrainer({ ...await loadCompiled(folder, relative(process.cwd(), folder) || "."), argv, folder, host }));
}

/** Runs; says an error with its way out, and returns the exit code. */
async function told(own: Terminal | undefined, run: () => Promise<number>): Promise<number> {
  const terminal = own ?? process.stderr;
  if (terminal === process.stderr) outliveReader(process.stderr);
  try {
    return await run();
  } catch (error) {
    terminal.write(`error: ${errorText(error)}\n`);
    if (error instanceof HostError) terminal.write(`help: ${error.help}\n`);
    else if (error instanceof Error) terminal.write(`this is a mistake of jepac, please report it:\n${error.stack ?? ""}\n`);
    return exitCodeOf(error);
  }
}

/** Runs a trainer and returns what it left. Throws `HostError`s; `argv` is not read here. */
export async function train(trainer: Trainer): Promise<RunSummary> {
  checkOptions(trainer.options ?? {});
  const folder = chooseFolder(trainer.manifest.program, trainer.options ?? {});
  const host = fullHost(trainer.host);
  const progress = createProgress(host.terminal, host.clock, { quiet: trainer.options?.quiet });
  const claim = openClaim(folder, (text) => progress.note(text));
  try {
    return await trainInto(folder, claim, progress, { ...trainer, host });
  } finally {
    claim.release();
  }
}

async function trainInto(folder: string, claim: Claim, progress: Progress, trainer: Trainer & { readonly host: TrainerHost }): Promise<RunSummary> {
  const { host } = trainer;
  const asked = trainer.options ?? {};
  // Nothing of a run that goes on is read before it is known that no other process is changing it.
  if (asked.resume !== undefined && existsSync(folder)) claim.take();
  const options = asked.resume === undefined ? asked : await withRunOptions(folder, asked);
  for (const warning of trainer.warnings ?? []) progress.note(`warning: ${warning}`);
  const data = await openTrainingData(trainer.manifest, options.data, trainer.folder);
  for (const line of data.lines) progress.note(line);
  const test = options.probe === false && asked.evalData === undefined ? undefined : await openTestData(trainer.manifest, data, options.evalData);
  const duration = options.steps !== undefined ? ({ unit: "steps", value: options.steps } as const) : options.epochs !== undefined ? ({ unit: "epochs", value: options.epochs } as const) : undefined;
  const recipe = resolveRecipe(trainer.manifest, data.source.size, { duration, batch: options.batch, seed: options.seed });
  const store = openCheckpoints(folder, trainer.manifest);
  const early = options.resume !== undefined && stoppedEarly(folder);
  if (early) progress.note(`the run in ${folder} was stopped before its first checkpoint: it begins again`);
  const resume = options.resume === undefined || early ? undefined : await store.load(options.resume, { otherSource: options.otherSource });
  if (resume !== undefined) checkSameRun(resume, recipe, data, progress);
  // What goes on has the weights in its checkpoint.
  const given = resume === undefined ? await readPretrained(trainer.manifest, { given: options.pretrained, folder: trainer.folder, note: (text) => progress.note(text) }) : undefined;
  const open = async (): Promise<ChosenEngine> => {
    const made = await host.createEngine(trainer.manifest, trainer.module, options, recipe.seed, { folder: trainer.folder, batch: recipe.batch, steps: recipe.totalSteps, replicas: options.replicas });
    if (given === undefined) return made;
    try {
      await made.engine.importState(initialState(trainer.manifest, recipe.seed, given));
      return made;
    } catch (error) {
      made.engine.dispose();
      throw error;
    }
  };
  // Before the engine: what is opened here ends by itself when an engine cannot be had, an engine's processes do not.
  const batches = await openBatches(trainer.manifest, data.source, recipe, { workers: options.workers, onNote: (text) => progress.note(text) });
  try {
    let chosen = await open();
    try {
      for (const note of chosen.notes) progress.note(`passed over ${note}`);
      progress.note(`engine: ${chosen.engine.name} ${chosen.engine.version} (${chosen.why})${chosen.replicas === undefined ? "" : `, ${chosen.replicas} replicas`}`);
      if (resume !== undefined && resume.step > 0 && resume.engine !== chosen.engine.name) progress.note(`the run began on ${resume.engine}: on ${chosen.engine.name} it goes on soundly, but not to the same last bits`);
      const [before, now] = [(await keptOptions(folder))?.replicas ?? 1, chosen.replicas ?? 1];
      if (resume !== undefined && resume.step > 0 && before !== now) progress.note(`the run began in ${before === 1 ? "one process" : `${before} processes`}: in ${now === 1 ? "one" : now} it goes on soundly, but not to the same last bits`);
      if (resume !== undefined) await chosen.engine.importState(resume.state);
      claim.take();
      // Of a run that goes on too: what it was given last is what it is, and the next `--resume` alone goes on with that.
      await writeRunOptions(folder, { ...options, replicas: chosen.replicas ?? 1 });
      const reopen = async (): Promise<Engine> => {
        chosen.engine.dispose();
        chosen = await open();
        return chosen.engine;
      };
      const summary = await trainAndTell({ trainer, host, options, folder, claim, progress, data, test, recipe, store, resume, engine: chosen.engine, batches }, reopen);
      await tellProfile(chosen, folder, progress);
      return summary;
    } finally {
      chosen.engine.dispose();
    }
  } finally {
    await batches.close();
  }
}

/** Writes the profile, where one was asked for. */
async function tellProfile(chosen: ChosenEngine, folder: string, progress: Progress): Promise<void> {
  if (chosen.profile === undefined) return;
  const profile = await chosen.profile();
  if (profile === undefined) {
    progress.note("no profile: the run was too short; give more --steps, or look at fewer with --profile=2");
    return;
  }
  await writeAtomic(join(folder, RUN_FILES.profile), `${JSON.stringify(profile.data, undefined, 1)}\n`);
  await writeAtomic(join(folder, RUN_FILES.trace), profile.trace);
  progress.note(profile.text);
  progress.note(`profile: ${join(folder, RUN_FILES.profile)}; trace for chrome://tracing or ui.perfetto.dev: ${join(folder, RUN_FILES.trace)}`);
}

interface Session {
  readonly trainer: Trainer;
  readonly host: TrainerHost;
  readonly options: TrainerOptions;
  readonly folder: string;
  readonly claim: Claim;
  readonly progress: Progress;
  readonly data: TrainingData;
  readonly test: TestData | undefined;
  readonly recipe: Recipe;
  readonly store: CheckpointStore;
  readonly resume: Checkpoint | undefined;
  readonly engine: Engine;
  readonly batches: Batches;
}

async function trainAndTell(first: Session, reopen: () => Promise<Engine>): Promise<RunSummary> {
  const { host, folder, progress, recipe, options } = first;
  const started = host.clock();
  progress.note(`${first.resume === undefined ? "training" : `going on after step ${first.resume.step}`}: ${counted(recipe.totalSteps, "step")}, batches of ${recipe.batch}, seed ${recipe.seed}, into ${folder}`);
  const short = warmupNote(first.trainer.manifest, recipe);
  if (short !== undefined) progress.note(short);
  const { end, speed, session } = await throughLosses({ engine: first.engine, from: first.resume }, {
    run: (engine, from) => loop({ ...first, engine, resume: from }),
    reopen,
    last: () => lastCheckpoint(first.store),
    note: (text) => progress.note(text),
  });
  const seconds = (host.clock() - started) / 1000;
  const faults = session.batches.faults();
  if (faults !== undefined) progress.note(faults);
  if (end.kind === "interrupted") {
    progress.note(`stopped after step ${end.step} of ${recipe.totalSteps}; go on with: ${resumeCommand(session.trainer.command ?? startedAs(), folder, options)}`);
    return { end, folder, probe: undefined, exitCode: INTERRUPTED };
  }
  // What cannot be probed or written ends the run, once all that can be told and written has been.
  const failures: unknown[] = [];
  const attempt = <T>(work: Promise<T>): Promise<T | undefined> => work.catch((error: unknown) => {
    failures.push(error);
    return undefined;
  });
  const probe = options.probe === false ? undefined : await attempt(probeAtEnd(session, end));
  session.claim.hold("now");
  if (probe !== undefined) await attempt(writeAtomic(join(folder, RUN_FILES.probe), `${JSON.stringify(probe, null, 2)}\n`));
  if (options.report !== false) {
    const graph = session.trainer.graph;
    await attempt(writeReport({ ...session, manifest: session.trainer.manifest, compiled: session.trainer.folder, graph, end, after: first.resume?.step ?? 0, probe, seconds, imagesPerSecond: speed.overall(), environment: environment(session) })
      .then((path) => progress.note(`report: ${path}`)));
  }
  for (const later of failures.slice(1)) progress.note(`error: ${errorText(later)}`);
  if (failures.length > 0) throw failures[0];
  if (end.kind === "collapsed") progress.note(`stopped after step ${end.step}: the features are collapsing, and the program says on_collapse stop`);
  return { end, folder, probe, exitCode: end.kind === "collapsed" ? 3 : 0 };
}

/** The last whole checkpoint; undefined before the first. */
async function lastCheckpoint(store: CheckpointStore): Promise<Checkpoint | undefined> {
  try {
    return await store.load("latest");
  } catch (error) {
    if (error instanceof HostError && error.code === "not-found") return undefined;
    throw error;
  }
}

async function loop(session: Session): Promise<{ end: LoopEnd; speed: Speed; session: Session }> {
  const { host, folder, claim, progress, recipe, store } = session;
  const rows = await openRows<MetricRow>(join(folder, RUN_FILES.metrics), session.resume?.step ?? 0);
  const interrupts = watchInterrupts(host.signals, (text) => progress.note(text));
  const speed = new Speed(host.clock);
  const pace = createPace(host.clock, session.options.checkpointMinutes ?? CHECKPOINT_MINUTES);
  let alarmed = false;
  try {
    const end = await runLoop({
      manifest: session.trainer.manifest,
      engine: session.engine,
      recipe,
      batches: session.batches,
      data: session.data.signature,
      resume: session.resume,
      stopRequested: () => interrupts.requested(),
      saveDue: () => pace.due(),
      sink: {
        step({ row, signals, images }) {
          claim.hold();
          rows.append(row);
          speed.add(images);
          const rate = speed.recent();
          progress.tick({
            step: row.step,
            total: recipe.totalSteps,
            epoch: row.epoch,
            epochs: Math.ceil(recipe.totalSteps / recipe.stepsPerEpoch),
            loss: row.loss,
            terms: row.losses,
            learningRate: row.lr,
            imagesPerSecond: rate,
            clips: session.trainer.manifest.inputs[0]?.frames !== undefined,
            secondsLeft: ((recipe.totalSteps - row.step) * recipe.batch) / rate,
            signals,
          });
        },
        alarm(alarm) {
          progress.note(alarmText(alarm));
          if (recipe.onCollapse === "warn" && !alarmed) progress.note("the run goes on, as such a number may recover: curves and probes tell what became of it; `on_collapse stop` in the program would end the run here");
          alarmed = true;
        },
        async save(checkpoint) {
          claim.hold("now");
          await pace.writing(() => store.save(checkpoint));
        },
        lastGood: () => store.lastGood(),
      },
    });
    return { end, speed, session };
  } finally {
    progress.end();
    interrupts.release();
  }
}

async function probeAtEnd(session: Session, end: LoopEnd): Promise<ProbeReport | undefined> {
  const { trainer, engine, recipe, progress } = session;
  const sets = await probeSets(trainer.manifest, session.data, session.test, (text) => progress.note(text));
  if (sets === undefined) return undefined;
  progress.note(`probing on ${counted(sets.train.feed.count, ...wordsOf(session.data.source))}, testing on ${sets.test.feed.count} (${sets.testName})`);
  const report = await runProbes({ manifest: trainer.manifest, engine, seed: recipe.seed, step: end.step, ...sets, onProgress: (text) => progress.status(text) });
  progress.note(probeTable(report));
  for (const score of report.encoders) progress.note(gainText(score, report.testImages));
  return report;
}

/** Batch, seed and data make a run what it is; another length only bends the schedules and is said aloud. */
function checkSameRun(resume: Checkpoint, recipe: Recipe, data: TrainingData, progress: Progress): void {
  // Before the first step there is no run yet: a checkpoint of imported weights goes on with any batch, seed and data.
  if (resume.step === 0) return;
  const differs = (what: string, then: string | number, now: string | number, way: string): HostError => new HostError("mismatch", `the checkpoint was made with ${what} ${then}, this run has ${now}`, way);
  if (resume.batch !== recipe.batch) throw differs("batches of", resume.batch, recipe.batch, `resume with --batch ${resume.batch}, or start anew in another folder with --out`);
  if (resume.seed !== recipe.seed) throw differs("seed", resume.seed, recipe.seed, `resume with --seed ${resume.seed}, or start anew in another folder with --out`);
  if (resume.data !== data.signature) throw differs("data", resume.data, data.signature, "resume with the same pictures (--data), or start anew in another folder with --out");
  if (resume.step > recipe.totalSteps) throw differs("more steps:", resume.step, recipe.totalSteps, "give a longer run with --steps or --epochs");
  if (resume.totalSteps !== recipe.totalSteps) progress.note(`the run was planned for ${counted(resume.totalSteps, "step")} and now has ${recipe.totalSteps}: schedules follow the new length from here on`);
}

function environment(session: Session): [string, string][] {
  const cpu = cpus()[0]?.model ?? "unknown processor";
  return [
    ["engine", `${session.engine.name} ${session.engine.version}`],
    ["node", process.version],
    ["system", `${platform()} ${arch()}`],
    ["processor", `${cpu} (${cpus().length} logical)`],
    ["loading threads", String(session.batches.workers)],
  ];
}

function fullHost(part: Partial<TrainerHost> = {}): TrainerHost {
  return {
    terminal: part.terminal ?? process.stderr,
    signals: part.signals ?? process,
    clock: part.clock ?? (() => performance.now()),
    createEngine: part.createEngine ?? ((manifest, module, options, seed, run) => createEngine(manifest, module, options.engine, seed, { profile: options.profile, run })),
  };
}

function startedAs(): string {
  const script = process.argv[1];
  return script === undefined ? "node train.mjs" : `node ${shellWord(relative(process.cwd(), script))}`;
}

function exitCodeOf(error: unknown): number {
  return error instanceof HostError && error.code !== "not-a-number" ? 2 : 1;
}
