/**
 * A tiny real training problem behind the engine contract, for tests of everything around it.
 *
 * `linearEngine` fits `y = x·w` by gradient descent with momentum in float32, with an EMA teacher: enough state
 * (parameter, optimizer slot, moving average) for resuming to go wrong if anything is forgotten. Batches are a pure
 * function of (seed, step), as in real runs.
 */
import type { Engine, Hyper, Manifest, MonitorSpec, StepBatch, StepResult } from "../../../runtime/abi.js";
import { stream } from "../../../runtime/base/random.js";
import type { Checkpoint } from "../../../runtime/train/checkpoint.js";
import type { LastGood } from "../../../runtime/train/checkpoint-store.js";
import { initialState } from "../../../runtime/train/init.js";
import { runLoop } from "../../../runtime/train/loop.js";
import type { LoopEnd, LoopJob, MetricRow } from "../../../runtime/train/loop.js";
import type { Alarm } from "../../../runtime/train/monitors.js";
import { resolveRecipe } from "../../../runtime/train/recipe.js";

export const WIDTH = 6;

/** A manifest for the linear problem; parts can be replaced. */
export function fakeManifest(change: Partial<Manifest> = {}): Manifest {
  return {
    format: 1,
    program: "line",
    doc: "",
    compiler: "test",
    target: "tfjs",
    source: { file: "line.jepa", hash: "a".repeat(64) },
    parameters: [
      { name: "student.weight", shape: [WIDTH], group: "student", role: "trained", decay: false, init: { kind: "normal", std: 1 } },
      { name: "teacher.weight", shape: [WIDTH], group: "teacher", role: "ema", decay: false, init: { kind: "zeros" }, follows: "student.weight" },
    ],
    inputs: [{ name: "image", height: 1, width: WIDTH, channels: 1 }],
    views: [{ name: "image", input: "image", height: 1, width: WIDTH, transforms: [] }],
    masks: [],
    draws: [],
    encoders: [{ name: "student", input: "image", width: WIDTH, tokens: 0, grid: undefined, trained: true }],
    ema: [{ target: "teacher", source: "student", momentum: { kind: "linear", points: [0.9, 1], warmup: undefined, stretch: 1 } }],
    losses: [{ name: "loss", kind: "mse", weight: 1, trivial: [], verdict: "anchored" }],
    watches: [{ name: "student", width: WIDTH, over: "images" }],
    monitors: [],
    train: {
      data: { kind: "synthetic", count: 80 },
      duration: { unit: "epochs", value: 4 },
      batch: 8,
      seed: 7,
      optimizer: { kind: "sgd", momentum: 0.9 },
      learningRate: { kind: "warmup_cosine", points: [0.01, 0.05, 0.001], warmup: { unit: "epochs", value: 1 }, stretch: 1 },
      weightDecay: { kind: "cosine", points: [0.01, 0.1], warmup: undefined, stretch: 1 },
      gradientClip: undefined,
      checkpointEvery: { unit: "epochs", value: 1 },
      mean: [0, 0, 0],
      std: [1, 1, 1],
      onCollapse: "warn",
    },
    probes: [],
    allowed: [],
    counts: { parameters: WIDTH, trainable: WIDTH, flopsPerImage: 4 * WIDTH },
    ...change,
  };
}

/** How the fake engine misbehaves, by step. */
export interface Faults {
  readonly nanAt?: number;
  readonly badWeightAt?: number;
  readonly collapseFrom?: number;
}

/** Gradient descent on `mean((x·w − x·truth)²)` in float32. */
export function linearEngine(manifest: Manifest, seed: number, faults: Faults = {}): Engine {
  const state = initialState(manifest, seed);
  state.set("optimizer.momentum.student.weight", new Float32Array(WIDTH));
  const truth = Float32Array.from({ length: WIDTH }, (_, i) => i - 2);
  const part = (name: string): Float32Array => state.get(name) ?? new Float32Array(0);
  return {
    name: "fake",
    version: "1",
    step: (batch, hyper, want) => Promise.resolve(descend(batch, hyper, want, part, truth, faults)),
    encode: (_encoder, images) => Promise.resolve(images.map((value, i) => value * (part("student.weight")[i % WIDTH] ?? 0))),
    exportState: () => Promise.resolve(new Map([...state].map(([name, data]) => [name, data.slice()]))),
    importState: (from) => {
      for (const [name, data] of from) state.set(name, data.slice());
      return Promise.resolve();
    },
    memory: () => ({ tensors: 0, bytes: 0 }),
    dispose: () => undefined,
  };
}

/** The same engine behind a device's back: results of steps that may wait come in threes, up to six steps may be begun. */
export function runningAhead(engine: Engine): Engine {
  let waiting: (() => void)[] = [];
  const land = (): void => {
    waiting.forEach((give) => give());
    waiting = [];
  };
  return {
    ...engine,
    ahead: 6,
    step(batch, hyper, want) {
      const result = engine.step(batch, hyper, want);
      const held = new Promise<void>((give) => waiting.push(give));
      if (want.later !== true || waiting.length === 3) land();
      return held.then(() => result);
    },
    exportState() {
      land();
      return engine.exportState();
    },
  };
}

function descend(batch: StepBatch, hyper: Hyper, want: { watch: boolean; gradientNorm: boolean }, part: (name: string) => Float32Array, truth: Float32Array, faults: Faults): StepResult {
  const weight = part("student.weight");
  const slot = part("optimizer.momentum.student.weight");
  const teacher = part("teacher.weight");
  const x = batch.images["image"] ?? new Float32Array(0);
  const gradient = new Float32Array(WIDTH);
  let loss = 0;
  for (let i = 0; i < batch.size; i++) {
    let error = 0;
    for (let j = 0; j < WIDTH; j++) error += (x[i * WIDTH + j] ?? 0) * ((weight[j] ?? 0) - (truth[j] ?? 0));
    loss += error ** 2 / batch.size;
    for (let j = 0; j < WIDTH; j++) gradient[j] = (gradient[j] ?? 0) + (2 * error * (x[i * WIDTH + j] ?? 0)) / batch.size;
  }
  for (let j = 0; j < WIDTH; j++) {
    slot[j] = 0.5 * (slot[j] ?? 0) + (gradient[j] ?? 0);
    weight[j] = (weight[j] ?? 0) - hyper.learningRate * (slot[j] ?? 0) - hyper.learningRate * hyper.weightDecay * (weight[j] ?? 0);
    const momentum = hyper.momentum["teacher"] ?? 1;
    teacher[j] = momentum * (teacher[j] ?? 0) + (1 - momentum) * (weight[j] ?? 0);
  }
  if (hyper.step === faults.badWeightAt) weight[0] = Number.POSITIVE_INFINITY;
  if (hyper.step === faults.nanAt) loss = Number.NaN;
  const collapsed = faults.collapseFrom !== undefined && hyper.step >= faults.collapseFrom;
  const features = x.map((value, i) => (collapsed ? 1 : value * (weight[i % WIDTH] ?? 0)));
  return {
    loss,
    losses: { loss },
    watch: want.watch ? { student: features } : {},
    gradientNorm: want.gradientNorm ? { student: Math.hypot(...gradient) } : {},
  };
}

/** The batch of a step: normal numbers, a pure function of seed and step. */
export function fakeBatch(seed: number, step: number, size: number): StepBatch {
  const draws = stream(seed, "fake batch", step);
  return { size, images: { image: Float32Array.from({ length: size * WIDTH }, () => draws.normal()) }, masks: {}, draws: {} };
}

/** What a run of the loop left behind. */
export interface Recording {
  readonly end: LoopEnd;
  readonly rows: readonly MetricRow[];
  readonly alarms: readonly Alarm[];
  readonly saved: readonly Checkpoint[];
}

/** Runs the loop over the linear problem, recording everything in memory. */
export async function record(options: { manifest?: Manifest; faults?: Faults; ahead?: boolean; stopAfter?: number; resume?: Checkpoint; change?: Partial<LoopJob> } = {}): Promise<Recording> {
  const manifest = options.manifest ?? fakeManifest();
  const recipe = resolveRecipe(manifest, 80);
  const own = linearEngine(manifest, recipe.seed, options.faults);
  const engine = options.ahead === true ? runningAhead(own) : own;
  if (options.resume !== undefined) await engine.importState(options.resume.state);
  const rows: MetricRow[] = [];
  const alarms: Alarm[] = [];
  const saved: Checkpoint[] = [];
  const end = await runLoop({
    manifest,
    engine,
    recipe,
    batches: { next: (step) => Promise.resolve(fakeBatch(recipe.seed, step, recipe.batch)) },
    data: "80 numbers",
    resume: options.resume,
    stopRequested: () => rows.length === options.stopAfter,
    sink: {
      step: (report) => rows.push(report.row),
      alarm: (alarm) => alarms.push(alarm),
      save: (checkpoint) => {
        saved.push(checkpoint);
        return Promise.resolve();
      },
      lastGood: () => Promise.resolve(lastOf(saved)),
    },
    ...options.change,
  });
  return { end, rows, alarms, saved };
}

/** A monitor with the usual fields. */
export function monitor(kind: MonitorSpec["kind"], threshold: number, steps: number, change: Partial<MonitorSpec> = {}): MonitorSpec {
  return { kind, watch: undefined, loss: undefined, threshold, steps, because: "the loss is protected by dynamics only", ...change };
}

function lastOf(saved: readonly Checkpoint[]): LastGood {
  const step = saved.at(-1)?.step;
  return step === undefined ? { text: "no checkpoint had been written yet" } : { step, text: `the last good state is step ${step}` };
}
