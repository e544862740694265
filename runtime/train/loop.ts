/**
 * The training loop: batches in, steps on an engine, rows and checkpoints out.
 *
 * Owns the order of things around a step (I-JEPA facts, section 5): scalars of the step, batch, engine step, check for
 * numbers that are not finite, metrics, monitors, checkpoint. The next batch is asked for before the step runs, so that
 * loading hides behind computing. An engine that can run ahead is given the next steps before the results of earlier ones
 * have come; whatever is made of results (checks, metrics, monitors) comes in the order of steps, and nothing is saved
 * before all steps up to it are known to be good. It knows no file, clock or terminal: those come in as functions, and an engine is
 * whatever answers to the contract. Given the same state and step it does the same thing, which is what makes resuming
 * exact.
 */
import type { Engine, Hyper, Manifest, StepBatch, StepResult } from "../abi.js";
import { HostError } from "../base/errors.js";
import type { Checkpoint } from "./checkpoint.js";
import type { LastGood } from "./checkpoint-store.js";
import { createMonitors } from "./monitors.js";
import type { Alarm, Monitors, Observation } from "./monitors.js";
import type { Recipe } from "./recipe.js";
import { createSignals } from "./signals.js";
import type { Signals, WatchSignal } from "./signals.js";

/** Where batches come from; a pure function of the step. */
export interface BatchSource {
  /** The batch of a step, counted from 0. */
  next(step: number): Promise<StepBatch>;
}

/** One line of metrics.jsonl. */
export interface MetricRow {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  /** Terms without their weights. */
  readonly losses: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly wd: number;
  readonly momentum: Readonly<Record<string, number>>;
  /** Weights of the losses whose weight changes over training. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Tokens kept by mask. */
  readonly kept: Readonly<Record<string, number>>;
  /** Live collapse signals, on the steps they are read. */
  readonly signals?: Readonly<Record<string, WatchSignal>>;
  readonly gradientNorm?: Readonly<Record<string, number>>;
  readonly alarms?: readonly Alarm[];
}

/** What happened in a step, for displays. */
export interface StepReport {
  readonly row: MetricRow;
  /** The last signals read, perhaps of an earlier step. */
  readonly signals: Readonly<Record<string, WatchSignal>>;
  /** Images of this step. */
  readonly images: number;
}

/** Where the loop's results go. */
export interface LoopSink {
  /** After every step. */
  step(report: StepReport): void;
  /** When a signal of collapse has held for long enough. */
  alarm(alarm: Alarm): void;
  /** Keeps a checkpoint; a throw ends the run. */
  save(checkpoint: Checkpoint): Promise<void>;
  /** The last good checkpoint, for errors. */
  lastGood(): Promise<LastGood>;
}

/** Everything the loop needs. */
export interface LoopJob {
  readonly manifest: Manifest;
  readonly engine: Engine;
  readonly recipe: Recipe;
  readonly batches: BatchSource;
  readonly sink: LoopSink;
  /** A description of the data that goes into checkpoints. */
  readonly data: string;
  /** The checkpoint that the engine's state was taken from, when resuming. */
  readonly resume?: Checkpoint;
  /** Asked after every step; true ends the run with a checkpoint. */
  stopRequested(): boolean;
  /** Asked after every step that the recipe writes no checkpoint after; true writes one, of which the numbers of the run know nothing. */
  saveDue?(): boolean;
}

/** How a run ended, after `step` steps. */
export interface LoopEnd {
  readonly kind: "finished" | "interrupted" | "collapsed";
  readonly step: number;
  readonly alarms: readonly Alarm[];
}

/** The step at which teachers are first held against their students; later looks come with the checkpoints. */
const FIRST_DISTANCE_STEP = 10;

/**
 * Trains from the engine's present state to the end of the recipe. Throws `HostError` "not-a-number" (with step and last
 * good checkpoint) when a loss is not finite, and lets errors of the batches and the sink through. A collapse that stops
 * the run, or an interrupt, ends it after the steps that had been begun.
 */
export async function runLoop(job: LoopJob): Promise<LoopEnd> {
  const { recipe, engine } = job;
  const run = openRun(job);
  const ahead = Math.max(1, engine.ahead ?? 1);
  let step = job.resume?.step ?? 0;
  let pending = step < recipe.totalSteps ? ask(job.batches, step) : undefined;
  while (pending !== undefined) {
    const batch = await pending;
    step += 1;
    pending = step < recipe.totalSteps ? ask(job.batches, step) : undefined;
    const planned = step === recipe.totalSteps || step % recipe.checkpointEvery === 0;
    const must = planned || run.wantsDistance(step);
    begin(job, run, step, batch, must);
    const wants = run.flight.at(-1)?.awaited === true;
    while (run.flight.length > 0 && (must || wants || run.flight.length >= ahead || run.flight[0]?.done === true)) await settle(job, run);
    const interrupted = step < recipe.totalSteps && job.stopRequested();
    const due = !planned && job.saveDue?.() === true;
    const state = interrupted || due || run.stopping ? await settleAll(job, run) : undefined;
    if (state !== undefined || planned) await save(job, run, step, state ?? await engine.exportState());
    if (run.stopping || interrupted) return { kind: run.stopping ? "collapsed" : "interrupted", step, alarms: run.alarms };
    await breathe();
  }
  return { kind: "finished", step, alarms: run.alarms };
}

/** Begins a step; `must` says that its result is wanted before the next one. */
function begin(job: LoopJob, run: Run, step: number, batch: StepBatch, must: boolean): void {
  const hyper = job.recipe.hyperAt(step);
  const want = { watch: run.signals.wants(step), gradientNorm: run.wantsNorm(step) };
  const awaited = want.watch || want.gradientNorm;
  const result = job.engine.step(batch, hyper, must || awaited ? want : { ...want, later: true });
  const kept = Object.fromEntries(Object.entries(batch.masks).map(([name, mask]) => [name, mask.length]));
  const overlap = Object.fromEntries(Object.entries(batch.masks).flatMap(([name, { relaxed }]) => (relaxed === undefined ? [] : [[name, relaxed / batch.size]])));
  const begun: Begun = { step, hyper, size: batch.size, kept, overlap, awaited, result, done: false };
  const done = (): void => { begun.done = true; };
  result.then(done, done);
  run.flight.push(begun);
}

/** Waits for the oldest step that is out, and does with its result what is to be done. */
async function settle(job: LoopJob, run: Run): Promise<void> {
  const begun = run.flight.shift();
  if (begun === undefined) return;
  const result = await begun.result;
  await checkFinite(result, begun.step, job.sink);
  const seen = await observe(job, run, begun, result);
  const fresh = run.monitors.observe(seen);
  run.alarms.push(...fresh);
  run.stopping ||= fresh.length > 0 && job.recipe.onCollapse === "stop";
  report(job, run, begun, result, seen, fresh);
}

/** The results of all steps that are out, and the state after them: asking for it makes an engine hand results over. */
async function settleAll(job: LoopJob, run: Run): Promise<State> {
  const state = job.engine.exportState();
  state.catch(() => undefined);
  while (run.flight.length > 0) await settle(job, run);
  return state;
}

/**
 * Relative distance of every moving average from its source, `‖target − source‖ / ‖source‖`, by EMA target, over all
 * parameters that follow another.
 */
export function teacherDistance(manifest: Pick<Manifest, "ema" | "parameters">, state: ReadonlyMap<string, Float32Array>): Record<string, number> {
  const sums = new Map(manifest.ema.map((edge) => [edge.target, { apart: 0, size: 0 }]));
  for (const { name, group, follows } of manifest.parameters) {
    const sum = sums.get(group);
    const target = state.get(name);
    const source = follows === undefined ? undefined : state.get(follows);
    if (sum === undefined || target === undefined || source === undefined) continue;
    for (let i = 0; i < source.length; i++) {
      const value = source[i] ?? 0;
      sum.apart += ((target[i] ?? 0) - value) ** 2;
      sum.size += value * value;
    }
  }
  return Object.fromEntries([...sums].map(([name, { apart, size }]) => [name, Math.sqrt(apart) / Math.sqrt(size)]));
}

/** A step whose result is still out. */
interface Begun {
  readonly step: number;
  readonly hyper: Hyper;
  readonly size: number;
  /** Tokens kept by mask. */
  readonly kept: Readonly<Record<string, number>>;
  /** See `Observation`. */
  readonly overlap: Readonly<Record<string, number>>;
  /** It hands back more than losses. */
  readonly awaited: boolean;
  readonly result: Promise<StepResult>;
  done: boolean;
}

interface Run {
  readonly signals: Signals;
  readonly monitors: Monitors;
  readonly flight: Begun[];
  readonly alarms: Alarm[];
  /** A collapse has been seen, and the program says to stop. */
  stopping: boolean;
  latest: Readonly<Record<string, WatchSignal>>;
  wantsNorm(step: number): boolean;
  wantsDistance(step: number): boolean;
}

function openRun(job: LoopJob): Run {
  const { manifest, recipe, resume } = job;
  const signals = createSignals(manifest.watches, recipe.batch, recipe.signalsEvery, recipe.totalSteps);
  const monitors = createMonitors(manifest, recipe.totalSteps);
  if (resume !== undefined) {
    signals.importState(resume.queues);
    monitors.importState(resume.monitors);
  }
  const has = (kind: string): boolean => manifest.monitors.some((monitor) => monitor.kind === kind);
  const norms = has("gradient-norm");
  const distances = has("teacher-distance");
  return {
    signals,
    monitors,
    flight: [],
    alarms: [],
    stopping: false,
    latest: {},
    wantsNorm: (step) => norms && (step === 1 || signals.due(step)),
    wantsDistance: (step) => distances && (step === FIRST_DISTANCE_STEP || step % recipe.checkpointEvery === 0),
  };
}

/** Asks for a batch now; a failure waits until the batch is awaited instead of ending the process as unhandled. */
function ask(batches: BatchSource, step: number): Promise<StepBatch> {
  const batch = batches.next(step);
  batch.catch(() => undefined);
  return batch;
}

/** Before the first update no rate can be too high. */
const undefinedAtStart = "nothing has been trained yet, so the program computes something that has no value here: a deviation over one token or image, a root or a logarithm of what is not above 0, a division by 0; change that";

async function checkFinite(result: StepResult, step: number, sink: LoopSink): Promise<void> {
  const entries: [string, number][] = [["the loss", result.loss], ...Object.entries(result.losses).map(([name, value]): [string, number] => [`loss ${name}`, value]), ...Object.entries(result.gradientNorm).map(([name, value]): [string, number] => [`the gradient of ${name}`, value])];
  const wrong = entries.find(([, value]) => !Number.isFinite(value));
  if (wrong === undefined) return;
  const last = await sink.lastGood();
  const then = last.step === undefined ? "then start again" : "then go on from the last good state with --resume";
  throw new HostError("not-a-number", `step ${step}: ${wrong[0]} is ${wrong[1]}; ${last.text}`, `${step === 1 ? undefinedAtStart : "lower the learning rate, warm up for longer or clip the gradient (gradient_clip)"}; ${then}`);
}

async function observe(job: LoopJob, run: Run, { step, hyper, overlap }: Begun, result: StepResult): Promise<Observation> {
  run.signals.push(result.watch);
  const signals = run.signals.due(step) ? run.signals.read() : undefined;
  if (signals !== undefined) run.latest = signals;
  const norms = run.wantsNorm(step) ? result.gradientNorm : undefined;
  const distance = run.wantsDistance(step) ? teacherDistance(job.manifest, await job.engine.exportState()) : undefined;
  return { step, losses: result.losses, ...(hyper.weights === undefined ? {} : { weights: hyper.weights }), signals, gradientNorm: norms, teacherDistance: distance, overlap };
}

function report(job: LoopJob, run: Run, { step, hyper, size, kept }: Begun, result: StepResult, seen: Observation, alarms: readonly Alarm[]): void {
  const row: MetricRow = {
    step,
    epoch: Math.floor((step - 1) / job.recipe.stepsPerEpoch) + 1,
    loss: result.loss,
    losses: result.losses,
    lr: hyper.learningRate,
    wd: hyper.weightDecay,
    momentum: hyper.momentum,
    ...(hyper.weights === undefined ? {} : { weights: hyper.weights }),
    kept,
    ...(seen.signals === undefined ? {} : { signals: seen.signals }),
    ...(seen.gradientNorm === undefined ? {} : { gradientNorm: seen.gradientNorm }),
    ...(alarms.length === 0 ? {} : { alarms }),
  };
  job.sink.step({ row, signals: run.latest, images: size });
  for (const alarm of alarms) job.sink.alarm(alarm);
}

type State = Awaited<ReturnType<Engine["exportState"]>>;

async function save(job: LoopJob, run: Run, step: number, state: State): Promise<void> {
  const { manifest, recipe, engine } = job;
  const checkpoint: Checkpoint = {
    step,
    totalSteps: recipe.totalSteps,
    seed: recipe.seed,
    batch: recipe.batch,
    data: job.data,
    program: manifest.program,
    hash: manifest.source.hash,
    engine: engine.name,
    state,
    queues: run.signals.exportState(),
    monitors: run.monitors.exportState(),
  };
  try {
    await job.sink.save(checkpoint);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError(error.code, `${error.message}; ${(await job.sink.lastGood()).text}`, error.help, { cause: error });
  }
}

/** Lets signals, timers and worker messages in: an engine that computes synchronously would never yield to them. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
