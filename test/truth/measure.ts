/**
 * Trains one program by the recipe and measures it, before and after.
 *
 * Owns the run (compiled and trained in this process, through the functions that a compiled trainer uses) and the
 * measurements, which know nothing of verdicts: spread, rank and position share of every encoder; each loss on pairs of
 * views of one picture and on pairs of strangers; how much closer two views of a picture are than two pictures; first
 * gradients; alarms of the compiled monitors. All on pictures that were not trained on.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Engine, Hyper, Manifest, StepBatch } from "../../runtime/abi.js";
import { HostError } from "../../runtime/base/errors.js";
import { effectiveRank, embeddingStd } from "../../runtime/base/linalg.js";
import { evalSet } from "../../runtime/data/eval-set.js";
import { createLoader } from "../../runtime/data/loader.js";
import { openNumbers } from "../../runtime/data/numbers.js";
import { sampleMasks } from "../../runtime/masks/sample.js";
import { drawTensor } from "../../runtime/train/draws.js";
import type { CompiledModule } from "../../runtime/train/engines.js";
import { createEngine } from "../../runtime/train/engines.js";
import { meanPool } from "../../runtime/train/features.js";
import { initialState } from "../../runtime/train/init.js";
import type { MetricRow } from "../../runtime/train/loop.js";
import { runLoop } from "../../runtime/train/loop.js";
import type { Alarm } from "../../runtime/train/monitors.js";
import type { Recipe } from "../../runtime/train/recipe.js";
import { resolveRecipe } from "../../runtime/train/recipe.js";
import { tokenRatio } from "../../runtime/train/signals.js";
import type { Case } from "./corpus.js";
import { codeOf, prepare } from "./corpus.js";
import { weightsFor } from "./pretraining.js";
import { BATCHES, byRecipe, HELD_OUT, SEEDS, STEPS } from "./recipe.js";
import { sourceFor } from "./sources.js";
import type { Trace } from "./trace.js";
import { LOOKS, traceOf } from "./trace.js";

/** What an encoder's features of the held-out pictures look like. */
export interface EncoderReading {
  /** Spread of l2-normalized pooled features over pictures, times √width. */
  readonly std: number;
  /** RankMe of the centered pooled features. */
  readonly rank: number;
  /** Spread over pictures by spread over tokens; undefined where there are no tokens. */
  readonly ratio: number | undefined;
  /** Squared distance of two views of a picture by that of two pictures; undefined without two views of the input's size. */
  readonly views: number | undefined;
}

/** A loss term on two views of one picture, and on views of different pictures. */
export interface TermReading {
  readonly kind: string;
  readonly matched: number;
  readonly strangers: number;
}

export interface Reading {
  readonly encoders: Readonly<Record<string, EncoderReading>>;
  /** By loss; empty where a program has one view. */
  readonly terms: Readonly<Record<string, TermReading>>;
}

/** One program, measured. Numbers have five digits. */
export interface Measured {
  readonly id: string;
  readonly seed: number;
  readonly steps: number;
  /** A run that ended by itself, in words. */
  readonly failed?: string;
  /** With its version. */
  readonly engine: string;
  readonly before: Reading;
  readonly after: Reading;
  /** Mean of the first and of the last ten steps. */
  readonly loss: { readonly first: number; readonly last: number };
  /** Loss on held-out pictures before and after, with the parameters still. */
  readonly heldOut: { readonly before: number; readonly after: number };
  /** Gradient norm on the first step, by group. */
  readonly gradient: Readonly<Record<string, number>>;
  /** Losses of the first steps: by them a program is known again that is compiled in another way. */
  readonly opening: readonly Readonly<Record<string, number>>[];
  /** Alarms of the run's own monitors. */
  readonly alarms: readonly Pick<Alarm, "monitor" | "subject" | "step">[];
  /** What its monitors looked at, so that a later version of them can look again. */
  readonly seen: Trace;
  /** Processor seconds. */
  readonly seconds: number;
}

const OPENING = 5;

const unread = { reading: { encoders: {}, terms: {} }, loss: NaN };

/** Trains and measures. */
export async function measure(one: Case, seed: number, steps: number): Promise<Measured> {
  const clock = process.cpuUsage();
  return opened(one, seed, steps, async (bench) => {
    await bench.engine.importState(bench.begin);
    // A sampler that gives up does so here already; the run then says why.
    const before = await read(bench).catch((error: unknown) => {
      if (error instanceof HostError) return unread;
      throw error;
    });
    await bench.engine.importState(bench.begin);
    const run = await trained(bench);
    const after = run.failed === undefined ? await read(bench) : unread;
    const usage = process.cpuUsage(clock);
    return rounded<Measured>({
      id: one.id, seed, steps, engine: `${bench.engine.name} ${bench.engine.version}`, ...run, before: before.reading, after: after.reading,
      heldOut: { before: before.loss, after: after.loss }, seconds: (usage.user + usage.system) / 1e6,
    }, 5);
  });
}

/** Whether a program still does what a measurement says of its first steps and gradients. */
export async function isAs(measured: Measured, one: Case): Promise<boolean> {
  const near = (x: number | undefined, y: number | undefined): boolean => x === y || (x !== undefined && y !== undefined && Math.abs(x - y) <= 1e-3 * Math.max(Math.abs(x), Math.abs(y), 1e-3));
  const alike = (x: Readonly<Record<string, number>> = {}, y: Readonly<Record<string, number>> = {}): boolean => [...new Set([...Object.keys(x), ...Object.keys(y)])].every((name) => near(x[name], y[name]));
  if (measured.failed !== undefined || measured.opening.length < OPENING) return false;
  const { opening, gradient } = await opened(one, measured.seed, OPENING, async (bench) => {
    await bench.engine.importState(bench.begin);
    return trained(bench);
  });
  return opening.length === OPENING && alike(gradient, measured.gradient) && opening.every((losses, at) => alike(losses, measured.opening[at]));
}

async function opened<T>(one: Case, seed: number, steps: number, use: (bench: Bench) => Promise<T>): Promise<T> {
  const plain = prepare(one).manifest;
  if (plain === undefined) throw new Error(`${one.id} cannot be trained`);
  const manifest = byRecipe(plain, steps);
  const module = await loadModule(codeOf(one));
  // As often as a trace keeps them: a look makes the engine wait.
  const recipe = { ...resolveRecipe(manifest, BATCHES * manifest.train.batch, { seed }), signalsEvery: Math.max(1, Math.round(steps / LOOKS)) };
  const begin = initialState(manifest, seed, await weightsFor(manifest, finalState));
  const { engine } = await createEngine(manifest, module, "auto", seed);
  try {
    return await use({ manifest, engine, recipe, begin });
  } finally {
    engine.dispose();
  }
}

/** Parameters after a run by the recipe, from the first seed: what a pretrained module of another program begins with. */
async function finalState(one: Case): Promise<ReadonlyMap<string, Float32Array>> {
  return opened(one, SEEDS[0], STEPS, async (bench) => {
    await bench.engine.importState(bench.begin);
    const { failed } = await trained(bench);
    if (failed !== undefined) throw new Error(`${one.id}: ${failed}`);
    return bench.engine.exportState();
  });
}

/** With short numbers; names and words as they are. */
function rounded<T>(value: T, digits: number): T {
  const short: T = JSON.parse(JSON.stringify(value, (_, v: unknown) => (typeof v === "number" ? (Number.isFinite(v) ? Number(v.toPrecision(digits)) : "NaN") : v)), (_, v: unknown) => (v === "NaN" ? NaN : v));
  return short;
}

interface Bench {
  readonly manifest: Manifest;
  readonly engine: Engine;
  readonly recipe: Recipe;
  /** Parameters of the first step. */
  readonly begin: ReadonlyMap<string, Float32Array>;
}

async function loadModule(text: string): Promise<CompiledModule> {
  const folder = mkdtempSync(join(tmpdir(), "jepac-truth-"));
  try {
    const file = join(folder, "model.mjs");
    writeFileSync(file, text);
    const module: CompiledModule = await import(/* @vite-ignore */ pathToFileURL(file).href);
    return module;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Run = Pick<Measured, "failed" | "loss" | "gradient" | "opening" | "alarms" | "seen">;

async function trained(bench: Bench): Promise<Run> {
  const rows: MetricRow[] = [];
  const alarms: Alarm[] = [];
  const mean = (part: readonly MetricRow[]): number => part.reduce((sum, row) => sum + row.loss, 0) / Math.max(1, part.length);
  const told = (failed?: string): Run => ({
    ...(failed === undefined ? {} : { failed }), loss: { first: mean(rows.slice(0, 10)), last: mean(rows.slice(-10)) }, gradient: rows[0]?.gradientNorm ?? {},
    opening: rows.slice(0, OPENING).map((row) => row.losses),
    alarms: alarms.map(({ monitor, subject, step }) => ({ monitor, subject, step })),
    seen: traceOf(rows),
  });
  try {
    const batches = { next: (step: number) => batchOf(bench, "train", step) };
    await runLoop({
      ...bench, batches, data: "generated", stopRequested: () => false,
      sink: { step: ({ row }) => rows.push(row), alarm: (alarm) => alarms.push(alarm), save: () => Promise.resolve(), lastGood: () => Promise.resolve({ text: "no state is kept", step: undefined }) },
    });
    return told();
  } catch (error) {
    return told(error instanceof Error ? error.message : String(error));
  }
}

/** Batches of views by what they are made from: programs with the same views share them. */
const pool = new Map<string, Promise<Drawn[]>>();

/** What is drawn of a batch: masks and noise are another matter. */
type Drawn = Pick<StepBatch, "images" | "numbers">;

async function batchOf({ manifest, recipe }: Bench, set: "train" | "held out", step: number): Promise<StepBatch> {
  const { batch, seed } = recipe;
  const count = set === "train" ? BATCHES : Math.ceil(HELD_OUT / batch);
  const key = JSON.stringify([set, manifest.views, batch, manifest.inputs, manifest.numbers]);
  const views = pool.get(key) ?? drawn(manifest, batch, count, set === "train" ? 0 : 1);
  pool.set(key, views);
  const drawnOf = (await views)[step % count] ?? { images: {} };
  const masks = Object.fromEntries(sampleMasks(manifest.masks, { seed, step, batch }));
  return { size: batch, ...drawnOf, masks, draws: Object.fromEntries(manifest.draws.map((d) => [d.name, drawTensor(d, seed, step)])) };
}

async function drawn(manifest: Manifest, batch: number, count: number, seed: number): Promise<Drawn[]> {
  const { mean, std } = manifest.train;
  const source = sourceFor(manifest, { count: count * batch, side: sideOf(manifest), seed });
  const numbers = openNumbers(manifest.numbers, source, seed);
  const loader = await createLoader(source, { batch, seed, views: manifest.views, mean, std, workers: 0 });
  const out: Drawn[] = [];
  for (let step = 0; step < count; step++) {
    const { images, indices } = await loader.next(step);
    const rows = numbers.batch(step, indices);
    out.push({ images, ...(rows === undefined ? {} : { numbers: rows }) });
  }
  await loader.close();
  return out;
}

function sideOf(manifest: Manifest): number {
  return Math.max(...manifest.inputs.map((input) => input.height));
}

/** Everything that is measured of a state; leaves the parameters as they are, but not the optimizer. */
async function read(bench: Bench): Promise<{ reading: Reading; loss: number }> {
  const { manifest, engine } = bench;
  const encoders: Record<string, EncoderReading> = {};
  for (const { name } of manifest.encoders) encoders[name] = await readEncoder(bench, name);
  const state = await engine.exportState();
  const terms = await readTerms(bench);
  const loss = (await engine.step(await batchOf(bench, "held out", 0), still(bench), none)).loss;
  await engine.importState(state);
  return { reading: { encoders, terms }, loss };
}

const whole = new Map<string, Promise<Float32Array>>();

async function readEncoder(bench: Bench, name: string): Promise<EncoderReading> {
  const { manifest, engine } = bench;
  const info = manifest.encoders.find((e) => e.name === name);
  const input = manifest.inputs.find((i) => i.name === info?.input);
  const side = input?.height;
  if (info === undefined || side === undefined) throw new Error(`no encoder ${name}`);
  const size = `${side} ${input?.frames ?? ""}`;
  const clip = input?.frames === undefined ? {} : { frames: input.frames };
  const images = whole.get(size) ?? evalSet(sourceFor(manifest, { count: HELD_OUT, side, seed: 1 }), { side, ...clip, mean: manifest.train.mean, std: manifest.train.std, limit: HELD_OUT }).then((set) => set.images);
  whole.set(size, images);
  const features = await engine.encode(name, await images, HELD_OUT);
  const pooled = meanPool(features, HELD_OUT, info.width);
  return {
    std: embeddingStd(pooled, HELD_OUT, info.width),
    rank: effectiveRank(pooled, HELD_OUT, info.width, { center: true }),
    ratio: info.tokens > 1 ? tokenRatio(features, HELD_OUT, info.width) : undefined,
    views: await viewsApart(bench, name, info.input, side, info.width),
  };
}

async function viewsApart(bench: Bench, encoder: string, input: string, side: number, width: number): Promise<number | undefined> {
  const [a, b] = bench.manifest.views.filter((v) => v.input === input && v.height === side && v.width === side);
  if (a === undefined || b === undefined) return undefined;
  const parts: [Float32Array, Float32Array][] = [];
  for (let step = 0; step * bench.recipe.batch < HELD_OUT; step++) {
    const { images, size } = await batchOf(bench, "held out", step);
    const of = async (view: string): Promise<Float32Array> => normalized(meanPool(await bench.engine.encode(encoder, images[view] ?? new Float32Array(0), size), size, width), width);
    parts.push([await of(a.name), await of(b.name)]);
  }
  let same = 0;
  let other = 0;
  for (const [x, y] of parts) {
    same += apart(x, y, 0);
    other += apart(x, y, width);
  }
  return same / other;
}

/** Sum of squared differences of `x` and `y` shifted by `by` around. */
function apart(x: Float32Array, y: Float32Array, by: number): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += ((x[i] ?? 0) - (y[(i + by) % y.length] ?? 0)) ** 2;
  return sum;
}

function normalized(rows: Float32Array, width: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let at = 0; at < rows.length; at += width) {
    let norm = 0;
    for (let j = 0; j < width; j++) norm += (rows[at + j] ?? 0) ** 2;
    for (let j = 0; j < width; j++) out[at + j] = (rows[at + j] ?? 0) / Math.sqrt(norm || 1);
  }
  return out;
}

const none = { watch: false, gradientNorm: false } as const;

/** A step that moves no parameter. */
function still({ manifest, recipe }: Bench): Hyper {
  return { ...recipe.hyperAt(1), learningRate: 0, weightDecay: 0, momentum: Object.fromEntries(manifest.ema.map((e) => [e.target, 1])) };
}

async function readTerms(bench: Bench): Promise<Readonly<Record<string, TermReading>>> {
  const { manifest, engine } = bench;
  if (manifest.views.length < 2) return {};
  const batch = await batchOf(bench, "held out", 0);
  const matched = (await engine.step(batch, still(bench), none)).losses;
  const images = Object.fromEntries(Object.entries(batch.images).map(([name, rows], at) => [name, at === 0 ? rows : rolled(rows, rows.length / batch.size)]));
  const strangers = (await engine.step({ ...batch, images }, still(bench), none)).losses;
  return Object.fromEntries(manifest.losses.map((l) => [l.name, { kind: l.kind, matched: matched[l.name] ?? NaN, strangers: strangers[l.name] ?? NaN }]));
}

function rolled(rows: Float32Array, by: number): Float32Array {
  const out = new Float32Array(rows.length);
  out.set(rows.subarray(by));
  out.set(rows.subarray(0, by), rows.length - by);
  return out;
}
