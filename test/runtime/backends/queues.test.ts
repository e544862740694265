/**
 * Queues of earlier keys (MoCo) on every engine: a linear encoder trained by a loop in plain float64 that is written out here, a
 * transformer beside the interpreter, and the same bits after a resume.
 */
import { describe, expect, test, vi } from "vitest";
import type { Engine, Manifest, StepBatch } from "../../../runtime/abi.js";
import { EngineMissing, loadTf } from "../../../runtime/backends/tfjs/engine.js";
import { createTfjsEngine } from "../../../runtime/backends/tfjs/run.js";
import { initialState } from "../../../runtime/train/init.js";
import { compileRepo, importModule } from "../../fidelity/compiled.js";
import { interpreted, relative } from "../../compiler/targets/wgsl/oracle.js";
import { batchFor, compilePlan, engineFor, hyperFor } from "../../compiler/targets/wgsl/programs.js";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const none = { watch: false, gradientNorm: false };
const SEED = 1;

/** Pairs of views, and a query encoder of one linear map of pixels: its keys by an average, or by itself with a gradient. */
const linear = (queue: number, keys: "average" | "itself", batch = 4): string => `use std.nn
module net(width) (image) -> Vector[width] { linear(width, std: 0.3)(flatten(image)) }
model tiny {
  allow collapse("only numbers are looked at")
  input image: Image[2, 2, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = net(5)
  encoder t = ema(f, momentum: 0.9)
  loss info_nce(f(a), ${keys === "average" ? "t(b)" : "f(b)"}, queue: ${queue}, temperature: 0.5)
}
train tiny {
  data       shapes(count: 64)
  batch      ${batch}
  steps      6
  optimizer  sgd(momentum: 0)
}
`;

/** NNCLR on the same encoder: neighbors of one view's embeddings against those of the other. */
const neighbors = (queue: number): string => linear(queue, "average").replace(/ {2}encoder t .*\n/, "").replace(/loss .*/, `loss info_nce(nearest(f(a), queue: ${queue}), f(b), temperature: 0.5)`);

const moco = `use std.vit
use std.heads
model tiny {
  input image: Image[8, 8, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(patch: 4, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.9)
  head g = mlp(16, out: 8)
  head tg = ema(g, momentum: 0.9)
  loss info_nce(g(pool(f(a))), tg(pool(t(b))), queue: 10, temperature: 0.2)
  loss tokens = info_nce(f(a), t(b), queue: 24, negatives: all)
}
train tiny {
  data   shapes(count: 64)
  batch  4
  steps  6
}
`;

type Target = "wasm" | "wgsl";

/** A fresh engine of the text, or undefined where the target has none here; that is said aloud. */
async function open(text: string, target: Target, precision?: "f16"): Promise<{ readonly engine: Engine; readonly manifest: Manifest } | undefined> {
  if (target === "wgsl") {
    const ready = compilePlan(text, undefined, undefined, precision === undefined ? undefined : { storage: precision, scaler: { initial: 1024, growthEvery: 100 } });
    const engine = await engineFor(ready, SEED);
    return engine === undefined ? undefined : { engine, manifest: ready.manifest };
  }
  const ready = compileRepo("examples/queue-test.jepa", { text });
  try {
    return { engine: await createTfjsEngine(ready.manifest, await importModule(ready), { ...await loadTf(target), initial: initialState(ready.manifest, SEED) }), manifest: ready.manifest };
  } catch (error) {
    if (!(error instanceof EngineMissing)) throw error;
    console.warn(`NOT TESTED: queues on ${target}: ${error.message}`);
    return undefined;
  }
}

type Matrix = number[][];

const rowsOf = (data: ArrayLike<number>, width: number): Matrix => Array.from({ length: data.length / width }, (_, i) => Array.from({ length: width }, (_, j) => data[i * width + j] ?? NaN));
const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, e, i) => sum + e * (y[i] ?? NaN), 0);
const plus = (x: readonly number[], y: readonly number[], by: number): number[] => x.map((e, i) => e + by * (y[i] ?? NaN));
const times = (x: readonly number[], by: number): number[] => x.map((e) => e * by);

/** `x W + b`, its length and its direction. */
function embed(x: readonly number[], w: Matrix, b: readonly number[]): { readonly unit: number[]; readonly length: number } {
  const y = b.map((offset, j) => offset + dot(x, w.map((row) => row[j] ?? NaN)));
  const length = Math.sqrt(dot(y, y));
  return { unit: times(y, 1 / length), length };
}

/** The gradient of a direction as one of the vector: what changes its length alone is nothing. */
const throughNorm = (d: readonly number[], { unit, length }: { readonly unit: readonly number[]; readonly length: number }): number[] => times(plus(d, unit, -dot(d, unit)), 1 / length);

interface Loop {
  readonly losses: number[];
  readonly queue: Matrix;
  readonly weight: Matrix;
}

/** MoCo's algorithm 1 on linear encoders, by plain gradient descent, in float64. */
function byHand(manifest: Manifest, batches: readonly StepBatch[], given: { readonly keys: "average" | "itself"; readonly rate: number; readonly momentum: number; readonly tau: number }): Loop {
  const start = initialState(manifest, SEED);
  const [weight, bias] = [manifest.parameters.find((p) => p.group === "f" && p.shape.length === 2), manifest.parameters.find((p) => p.group === "f" && p.shape.length === 1)];
  let w = rowsOf(start.get(weight?.name ?? "") ?? [], 5);
  let b = [...(start.get(bias?.name ?? "") ?? [])];
  let [tw, tb] = [w, b];
  let queue = rowsOf(start.get("info_nce.queue") ?? [], 5);
  const losses: number[] = [];
  for (const { images, size } of batches) {
    const [xs, ys] = [rowsOf(images["a"] ?? [], 12), rowsOf(images["b"] ?? [], 12)];
    let [dw, db] = [w.map((row) => row.map(() => 0)), b.map(() => 0)];
    const learn = (x: readonly number[], dy: readonly number[]): void => {
      dw = dw.map((row, i) => plus(row, dy, x[i] ?? NaN));
      db = plus(db, dy, 1);
    };
    let loss = 0;
    const keys: Matrix = [];
    for (let i = 0; i < size; i++) {
      const [x, y] = [xs[i] ?? [], ys[i] ?? []];
      const q = embed(x, w, b);
      const k = given.keys === "average" ? embed(y, tw, tb) : embed(y, w, b);
      const logits = [k.unit, ...queue].map((row) => dot(q.unit, row) / given.tau);
      const total = logits.reduce((sum, l) => sum + Math.exp(l), 0);
      const [own = NaN, ...others] = logits.map((l) => Math.exp(l) / total);
      loss -= Math.log(own) / size;
      const by = 1 / (size * given.tau);
      learn(x, throughNorm(others.reduce((sum, p, j) => plus(sum, queue[j] ?? [], p * by), times(k.unit, (own - 1) * by)), q));
      if (given.keys === "itself") learn(y, throughNorm(times(q.unit, (own - 1) * by), k));
      keys.push(k.unit);
    }
    losses.push(loss);
    queue = [...keys, ...queue].slice(0, queue.length);
    w = w.map((row, i) => plus(row, dw[i] ?? [], -given.rate));
    b = plus(b, db, -given.rate);
    const { momentum: m } = given;
    tw = tw.map((row, i) => plus(times(row, m), w[i] ?? [], 1 - m));
    tb = plus(times(tb, m), b, 1 - m);
  }
  return { losses, queue, weight: w };
}

/** The same for neighbors: every query is the earlier row with the largest cosine, and all of the step's keys are candidates. */
function neighborsByHand(manifest: Manifest, batches: readonly StepBatch[], { rate, tau }: { readonly rate: number; readonly tau: number }): Loop & { readonly chosen: number[] } {
  const start = initialState(manifest, SEED);
  let w = rowsOf([...start].find(([name, values]) => name.startsWith("f.") && values.length === 60)?.[1] ?? [], 5);
  let b = [0, 0, 0, 0, 0];
  let queue = rowsOf([...start].find(([name]) => name.endsWith(".queue"))?.[1] ?? [], 5);
  const losses: number[] = [];
  const chosen: number[] = [];
  for (const { images, size } of batches) {
    const [xs, ys] = [rowsOf(images["a"] ?? [], 12), rowsOf(images["b"] ?? [], 12)];
    const [own, keys] = [xs.map((x) => embed(x, w, b)), ys.map((y) => embed(y, w, b))];
    const near = own.map(({ unit }) => {
      const cosines = queue.map((row) => dot(unit, row));
      chosen.push(cosines.indexOf(Math.max(...cosines)));
      return queue[chosen.at(-1) ?? -1] ?? [];
    });
    const shares = near.map((q) => {
      const e = keys.map(({ unit }) => Math.exp(dot(q, unit) / tau));
      return e.map((x) => x / e.reduce((sum, y) => sum + y, 0));
    });
    losses.push(-shares.reduce((sum, p, i) => sum + Math.log(p[i] ?? NaN), 0) / size);
    let [dw, db] = [w.map((row) => row.map(() => 0)), b.map(() => 0)];
    keys.forEach((key, k) => {
      const d = near.reduce((sum, q, i) => plus(sum, q, ((shares[i]?.[k] ?? NaN) - (i === k ? 1 : 0)) / (size * tau)), [0, 0, 0, 0, 0]);
      const dy = throughNorm(d, key);
      dw = dw.map((row, i) => plus(row, dy, ys[k]?.[i] ?? NaN));
      db = plus(db, dy, 1);
    });
    queue = [...own.map(({ unit }) => unit), ...queue].slice(0, queue.length);
    w = w.map((row, i) => plus(row, dw[i] ?? [], -rate));
    b = plus(b, db, -rate);
  }
  return { losses, queue, weight: w, chosen };
}

describe.each(["wasm", "wgsl"] as const)("on %s", (target) => {
  test.each([
    ["longer than six steps fill", 40, "average"],
    ["of two and a half steps", 10, "average"],
    ["shorter than a step", 3, "average"],
    ["filled by the encoder itself, whose keys have a gradient", 10, "itself"],
  ] as const)("a queue %s goes the way of a loop by hand", async (_, length, keys) => {
    const opened = await open(linear(length, keys), target);
    if (opened === undefined) return;
    const { engine, manifest } = opened;
    const batches = [1, 2, 3, 4, 5, 6].map((step) => batchFor(manifest, step));
    const wanted = byHand(manifest, batches, { keys, rate: 0.5, momentum: 0.9, tau: 0.5 });
    const losses: number[] = [];
    for (const [i, batch] of batches.entries()) losses.push((await engine.step(batch, { step: i + 1, learningRate: 0.5, weightDecay: 0, momentum: { t: 0.9 } }, none)).loss);
    const state = await engine.exportState();
    engine.dispose();
    expect(relative(losses, wanted.losses)).toBeLessThan(1e-5);
    expect(relative(state.get("info_nce.queue") ?? [], wanted.queue.flat())).toBeLessThan(1e-5);
    const weight = [...state].find(([name, values]) => name.startsWith("f.") && values.length === 60)?.[1];
    expect(relative(weight ?? [], wanted.weight.flat())).toBeLessThan(1e-5);
    // The loop has moved what it is compared by.
    expect(relative(wanted.weight.flat(), byHand(manifest, [], { keys, rate: 0.5, momentum: 0.9, tau: 0.5 }).weight.flat())).toBeGreaterThan(0.05);
  });

  test("neighbors among earlier rows, and what is learned against them, go the way of a loop by hand", async () => {
    const opened = await open(neighbors(10), target);
    if (opened === undefined) return;
    const { engine, manifest } = opened;
    const batches = [1, 2, 3, 4, 5, 6].map((step) => batchFor(manifest, step));
    const wanted = neighborsByHand(manifest, batches, { rate: 0.5, tau: 0.5 });
    const losses: number[] = [];
    for (const [i, batch] of batches.entries()) losses.push((await engine.step(batch, { step: i + 1, learningRate: 0.5, weightDecay: 0, momentum: {} }, none)).loss);
    const state = await engine.exportState();
    engine.dispose();
    expect(new Set(wanted.chosen).size).toBeGreaterThan(5);
    expect(relative(losses, wanted.losses)).toBeLessThan(1e-5);
    expect(relative([...state].find(([name]) => name.endsWith(".queue"))?.[1] ?? [], wanted.queue.flat())).toBeLessThan(1e-5);
    expect(relative([...state].find(([name, values]) => name.startsWith("f.") && values.length === 60)?.[1] ?? [], wanted.weight.flat())).toBeLessThan(1e-5);
  });

  test("queues of vectors and of tokens become what the interpreter says, step by step", async () => {
    const opened = await open(moco, target);
    if (opened === undefined) return;
    const { engine, manifest } = opened;
    const { step } = compileRepo("examples/queue-test.jepa", { text: moco });
    for (let i = 1; i <= 2; i++) {
      const before = await engine.exportState();
      const wanted = interpreted(step, before, batchFor(manifest, i));
      const got = await engine.step(batchFor(manifest, i), hyperFor(manifest, i), none);
      const after = await engine.exportState();
      expect([...wanted.state.keys()]).toEqual(["info_nce.queue", "tokens.queue"]);
      for (const [name, values] of wanted.state) expect(relative(after.get(name) ?? [], values)).toBeLessThan(1e-5);
      for (const [name, value] of Object.entries(got.losses)) expect(Math.abs(value / (wanted.losses.get(name)?.data[0] ?? NaN) - 1)).toBeLessThan(1e-5);
      expect(after.get("info_nce.queue")).not.toEqual(before.get("info_nce.queue"));
    }
    engine.dispose();
  });

  test("a run that goes on from a state has the bits of the run that never stopped, its queue too", async () => {
    const text = linear(10, "average");
    const [one, two] = [await open(text, target), await open(text, target)];
    if (one === undefined || two === undefined) return;
    const go = async (engine: Engine, from: number, to: number): Promise<void> => {
      for (let i = from; i <= to; i++) await engine.step(batchFor(one.manifest, i), hyperFor(one.manifest, i), none);
    };
    await go(one.engine, 1, 3);
    const kept = await one.engine.exportState();
    await go(one.engine, 4, 5);
    await two.engine.importState(kept);
    await go(two.engine, 4, 5);
    const [a, b] = [await one.engine.exportState(), await two.engine.exportState()];
    one.engine.dispose();
    two.engine.dispose();
    const bits = (values: Float32Array | undefined): string => Buffer.from(new Uint8Array(Float32Array.from(values ?? []).buffer)).toString("hex");
    expect([...a.keys()].filter((name) => bits(a.get(name)) !== bits(b.get(name)))).toEqual([]);
  });
});

test("in f16 a queue follows the loop by hand within half a percent", async () => {
  const opened = await open(linear(10, "average"), "wgsl", "f16");
  if (opened === undefined) return;
  const { engine, manifest } = opened;
  const batches = [1, 2, 3, 4, 5, 6].map((step) => batchFor(manifest, step));
  const wanted = byHand(manifest, batches, { keys: "average", rate: 0.5, momentum: 0.9, tau: 0.5 });
  for (const [i, batch] of batches.entries()) await engine.step(batch, { step: i + 1, learningRate: 0.5, weightDecay: 0, momentum: { t: 0.9 } }, none);
  const queue = (await engine.exportState()).get("info_nce.queue") ?? new Float32Array();
  engine.dispose();
  expect(relative(queue, wanted.queue.flat())).toBeLessThan(5e-3);
});

test("a queue starts as unit rows, others for another seed, and one image in a step has negatives", async () => {
  const { manifest } = compileRepo("examples/queue-test.jepa", { text: linear(10, "average", 1) });
  const queues = [1, 2].map((seed) => rowsOf(initialState(manifest, seed).get("info_nce.queue") ?? [], 5));
  for (const row of queues.flat()) expect(dot(row, row)).toBeCloseTo(1, 6);
  expect(queues[0]).not.toEqual(queues[1]);
  const opened = await open(linear(10, "average", 1), "wasm");
  if (opened === undefined) return;
  const wanted = byHand(manifest, [batchFor(manifest, 1)], { keys: "average", rate: 0.5, momentum: 0.9, tau: 0.5 });
  const { loss } = await opened.engine.step(batchFor(manifest, 1), hyperFor(manifest, 1), none);
  opened.engine.dispose();
  expect(relative([loss], wanted.losses)).toBeLessThan(1e-5);
  expect(loss).toBeGreaterThan(0.5);
});
