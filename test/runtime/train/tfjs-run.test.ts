/**
 * The tfjs engine over a compiled module written by hand: one encoder, a head, running state and a teacher. Numbers are
 * held against the same step in plain float64; memory must not grow; export and import are exact.
 */
import { expect, test } from "vitest";
import type { Engine, Hyper, Manifest, StepBatch, TfjsModule, Tree } from "../../../runtime/abi.js";
import { EngineMissing, loadTf } from "../../../runtime/backends/tfjs/engine.js";
import type { LoadedTf, TfEngine } from "../../../runtime/backends/tfjs/engine.js";
import { clipGradients, larsUpdates } from "../../../runtime/backends/tfjs/gradients.js";
import type { Kernels } from "../../../runtime/backends/tfjs/kernels.js";
import { createTfjsEngine } from "../../../runtime/backends/tfjs/run.js";
import type { Tensor } from "../../../runtime/backends/tfjs/tf.js";
import { buildTree, leafAt } from "../../../runtime/backends/tfjs/tree.js";
import { stream } from "../../../runtime/base/random.js";
import { createEngine } from "../../../runtime/train/engines.js";
import { initialState } from "../../../runtime/train/init.js";
import { fakeManifest } from "./fakes.js";

const [SIZE, IN, OUT] = [4, 12, 3];

function manifestOf(change: Partial<Manifest["train"]> = {}): Manifest {
  const base = fakeManifest({
    parameters: [
      { name: "student.layers.0.weight", shape: [IN, OUT], group: "student", role: "trained", decay: true, init: { kind: "normal", std: 0.5 } },
      { name: "student.layers.0.bias", shape: [OUT], group: "student", role: "trained", decay: false, init: { kind: "zeros" } },
      { name: "teacher.layers.0.weight", shape: [IN, OUT], group: "teacher", role: "ema", decay: true, init: { kind: "zeros" }, follows: "student.layers.0.weight" },
      { name: "teacher.layers.0.bias", shape: [OUT], group: "teacher", role: "ema", decay: false, init: { kind: "zeros" }, follows: "student.layers.0.bias" },
      { name: "student.count", shape: [1], group: "student", role: "state", decay: false, init: { kind: "zeros" } },
      { name: "student.table", shape: [2], group: "student", role: "fixed", decay: false, init: { kind: "constant", value: 3 } },
    ],
    inputs: [{ name: "image", height: 2, width: 2, channels: 3 }],
    views: [{ name: "image", input: "image", height: 2, width: 2, transforms: [] }],
    draws: [{ name: "goal", shape: [SIZE, OUT], distribution: "normal" }],
    encoders: [{ name: "student", input: "image", width: OUT, tokens: 0, grid: undefined, trained: true }, { name: "teacher", input: "image", width: OUT, tokens: 0, grid: undefined, trained: false }],
    watches: [{ name: "student", width: OUT, over: "images" }],
  });
  return { ...base, train: { ...base.train, optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8 }, ...change } };
}

function isTensor(value: Tree<Tensor>): value is Tensor {
  return "dataSync" in value;
}

function leaf(p: Tree<Tensor>, name: string): Tensor {
  return leafAt(p, name, isTensor) ?? raise(`no parameter ${name}`);
}

/** loss = mean((x·w + b − goal)²); the gradients are written out, as a compiled module does. */
const module: TfjsModule<Tensor, Kernels> = {
  step(k, p, inputs) {
    const image = inputs.images["image"] ?? raise("no image");
    const goal = inputs.draws["goal"] ?? raise("no goal");
    const x = k.reshape(image, [SIZE, IN]);
    const y = k.linear(x, leaf(p, "student.layers.0.weight"), leaf(p, "student.layers.0.bias"));
    const loss = k.mse(y, goal);
    const dy = k.mseGrad(y, goal);
    const grads = { student: { layers: [{ weight: k.linearGradWeight(x, dy), bias: k.sumLeading(dy) }] } };
    const count = k.add(leaf(p, "student.count"), 1);
    k.free(x, dy);
    return { loss, losses: { loss }, grads, watch: { student: y }, state: { "student.count": count } };
  },
  encoders: {
    student: (k, p, image) => encodeWith(k, p, image, "student"),
    teacher: (k, p, image) => encodeWith(k, p, image, "teacher"),
  },
};

function encodeWith(k: Kernels, p: Tree<Tensor>, image: Tensor, which: string): Tensor {
  const x = k.reshape(image, [image.shape[0] ?? 0, IN]);
  const y = k.linear(x, leaf(p, `${which}.layers.0.weight`), leaf(p, `${which}.layers.0.bias`));
  k.free(x);
  return y;
}

function batchOf(step: number): StepBatch {
  const draws = stream(1, "batch", step);
  const make = (n: number): Float32Array => Float32Array.from({ length: n }, () => draws.normal());
  return { size: SIZE, images: { image: make(SIZE * IN) }, masks: { unused: { count: 1, length: 1, indices: new Int32Array(SIZE) } }, draws: { goal: make(SIZE * OUT) } };
}

function hyperOf(step: number): Hyper {
  return { step, learningRate: 0.01 * step, weightDecay: 0.1, momentum: { teacher: 0.9 } };
}

const want = { watch: true, gradientNorm: true };

async function engines(): Promise<LoadedTf[]> {
  const found: LoadedTf[] = [];
  for (const name of ["cpu", "wasm", "tfjs-node"] satisfies TfEngine[]) {
    try {
      found.push(await loadTf(name));
    } catch (error) {
      if (!(error instanceof EngineMissing)) throw error;
      console.warn(`NOT TESTED: the step order on ${name}: ${error.message}`);
    }
  }
  return found;
}

/** Every engine in turn: wasm and cpu share one tfjs, whose backend must be the right one. */
async function onEngines(check: (host: LoadedTf) => Promise<void>): Promise<void> {
  for (const { name } of await engines()) await check(await loadTf(name));
}

function open(manifest: Manifest, host: LoadedTf): Promise<Engine> {
  return createTfjsEngine(manifest, module, { ...host, initial: initialState(manifest, 5) });
}

/** The same training in float64, by the formulas of AdamW and the moving average. */
function reference(manifest: Manifest, steps: number): { loss: number[]; norm: number; state: Map<string, number[]> } {
  const initial = initialState(manifest, 5);
  const w = [...(initial.get("student.layers.0.weight") ?? [])];
  const b = [...(initial.get("student.layers.0.bias") ?? [])];
  const [tw, tb] = [[...w], [...b]];
  const moments = [w, b].map((p) => ({ m: p.map(() => 0), v: p.map(() => 0) }));
  const loss: number[] = [];
  let norm = 0;
  for (let t = 1; t <= steps; t++) {
    const { images, draws } = batchOf(t);
    const [x, goal] = [images["image"] ?? new Float32Array(0), draws["goal"] ?? new Float32Array(0)];
    const [gw, gb] = [w.map(() => 0), b.map(() => 0)];
    let sum = 0;
    for (let i = 0; i < SIZE; i++) {
      for (let o = 0; o < OUT; o++) {
        let y = b[o] ?? 0;
        for (let j = 0; j < IN; j++) y += (x[i * IN + j] ?? 0) * (w[j * OUT + o] ?? 0);
        const error = y - (goal[i * OUT + o] ?? 0);
        sum += error ** 2 / (SIZE * OUT);
        const d = (2 * error) / (SIZE * OUT);
        gb[o] = (gb[o] ?? 0) + d;
        for (let j = 0; j < IN; j++) gw[j * OUT + o] = (gw[j * OUT + o] ?? 0) + d * (x[i * IN + j] ?? 0);
      }
    }
    loss.push(sum);
    norm = Math.hypot(...gw, ...gb);
    const { learningRate: lr, weightDecay } = hyperOf(t);
    [w, b].forEach((p, at) => {
      const grad = at === 0 ? gw : gb;
      const { m, v } = moments[at] ?? raise("no moments");
      p.forEach((value, i) => {
        const g = grad[i] ?? 0;
        m[i] = 0.9 * (m[i] ?? 0) + 0.1 * g;
        v[i] = 0.999 * (v[i] ?? 0) + 0.001 * g * g;
        const decayed = at === 0 ? value * (1 - lr * weightDecay) : value;
        p[i] = decayed - (lr * (m[i] ?? 0) / (1 - 0.9 ** t)) / (Math.sqrt((v[i] ?? 0) / (1 - 0.999 ** t)) + 1e-8);
      });
    });
    tw.forEach((value, i) => (tw[i] = 0.9 * value + 0.1 * (w[i] ?? 0)));
    tb.forEach((value, i) => (tb[i] = 0.9 * value + 0.1 * (b[i] ?? 0)));
  }
  return { loss, norm, state: new Map([["student.layers.0.weight", w], ["student.layers.0.bias", b], ["teacher.layers.0.weight", tw], ["teacher.layers.0.bias", tb], ["student.count", [steps]], ["student.table", [3, 3]]]) };
}

test("a step is forward, backward, AdamW, moving average of the updated weights, running state: as in float64", async () => {
  await onEngines(async (host) => {
    const manifest = manifestOf();
    const engine = await open(manifest, host);
    const expected = reference(manifest, 6);
    for (let t = 1; t <= 6; t++) {
      const result = await engine.step(batchOf(t), hyperOf(t), want);
      expect(Math.abs(result.loss / (expected.loss[t - 1] ?? NaN) - 1)).toBeLessThan(1e-5);
      expect(result.losses).toEqual({ loss: result.loss });
      expect(result.watch["student"]?.length).toBe(SIZE * OUT);
      if (t === 6) expect(Math.abs((result.gradientNorm["student"] ?? NaN) / expected.norm - 1)).toBeLessThan(1e-4);
    }
    const state = await engine.exportState();
    for (const [name, values] of expected.state) {
      const held = state.get(name) ?? raise(`no ${name}`);
      values.forEach((value, i) => expect(Math.abs((held[i] ?? NaN) - value), `${host.name} ${name}[${i}]`).toBeLessThan(2e-5));
    }
    engine.dispose();
  });
}, 60_000);

test("not one tensor is leaked by steps, encoding, export or import, and dispose leaves nothing", async () => {
  await onEngines(async (host) => {
    const before = host.tf.memory().numTensors;
    const engine = await open(manifestOf({ gradientClip: 0.1 }), host);
    await engine.step(batchOf(1), hyperOf(1), want);
    const settled = engine.memory().tensors;
    for (let t = 2; t <= 5; t++) {
      await engine.step(batchOf(t), hyperOf(t), { watch: t % 2 === 0, gradientNorm: t % 2 === 1 });
      await engine.encode("teacher", new Float32Array(3 * IN), 3);
      await engine.importState(await engine.exportState());
      expect(engine.memory().tensors, `${host.name} after step ${t}`).toBe(settled);
    }
    engine.dispose();
    expect(host.tf.memory().numTensors, `${host.name} after dispose`).toBe(before);
  });
}, 60_000);

test("export, import into a fresh engine, and go on: the same bits as never stopping", async () => {
  await onEngines(async (host) => {
    for (const optimizer of [{ kind: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8 }, { kind: "sgd", momentum: 0.9 }, { kind: "lars", momentum: 0.9, trust: 0.01 }] as const) {
      const manifest = manifestOf({ optimizer });
      const first = await open(manifest, host);
      for (let t = 1; t <= 3; t++) await first.step(batchOf(t), hyperOf(t), want);
      const middle = await first.exportState();
      const second = await open(manifest, host);
      await second.importState(middle);
      expect(await second.exportState()).toEqual(middle);
      for (let t = 4; t <= 6; t++) {
        const [a, b] = [await first.step(batchOf(t), hyperOf(t), want), await second.step(batchOf(t), hyperOf(t), want)];
        expect(b).toEqual(a);
      }
      expect(await second.exportState()).toEqual(await first.exportState());
      expect([...middle.keys()].filter((name) => name.startsWith("optimizer.")).length).toBeGreaterThan(0);
      first.dispose();
      second.dispose();
    }
  });
}, 60_000);

test("encoding is the module's encoder in any chunking", async () => {
  await onEngines(async (host) => {
    const engine = await open(manifestOf(), host);
    const draws = stream(3, "images");
    const images = Float32Array.from({ length: 300 * IN }, () => draws.normal());
    const all = await engine.encode("student", images, 300);
    const last = await engine.encode("student", images.slice(299 * IN), 1);
    expect(all.length).toBe(300 * OUT);
    last.forEach((value, i) => expect(Math.abs(value - (all[299 * OUT + i] ?? NaN))).toBeLessThan(1e-5));
    await expect(engine.encode("teecher", images, 300)).rejects.toThrow(/no encoder teecher/);
    engine.dispose();
  });
}, 60_000);

test("a state with a name that the program does not have is refused", async () => {
  const host = await loadTf("cpu");
  const engine = await open(manifestOf(), host);
  await expect(engine.importState(new Map([["student.other", Float32Array.of(1)]]))).rejects.toThrow(/student\.other/);
  engine.dispose();
});

test("a state that lacks parameters or has one of another size is refused by name, and nothing is replaced", async () => {
  const host = await loadTf("cpu");
  const engine = await open(manifestOf(), host);
  const before = await engine.exportState();
  const other = new Map([...before].map(([name, values]) => [name, values.map((v) => v + 1)]));
  const [first = "", second = ""] = other.keys();
  other.delete(first);
  await expect(engine.importState(other)).rejects.toMatchObject({ code: "mismatch", message: `the state has no ${first}, and the program needs every parameter` });
  await expect(engine.importState(new Map())).rejects.toMatchObject({ code: "mismatch", message: expect.stringContaining(`${first}, ${second}`) });
  await expect(engine.importState(new Map(before).set(second, new Float32Array(1)))).rejects.toThrow(second);
  expect(await engine.exportState()).toEqual(before);
  engine.dispose();
});

test("an engine is made by name with the initial values of a seed; other targets, formats and missing engines are refused", async () => {
  const manifest = manifestOf();
  const { engine, why } = await createEngine(manifest, module, "cpu", 9);
  expect([engine.name, why]).toEqual(["cpu", "as asked"]);
  expect((await engine.exportState()).get("student.layers.0.weight")).toEqual(initialState(manifest, 9).get("student.layers.0.weight"));
  engine.dispose();
  await expect(createEngine({ ...manifest, target: "wgsl" }, module, "cpu")).rejects.toThrow(/compiled for wgsl/);
  await expect(createEngine({ ...manifest, encoders: [{ ...(manifest.encoders[0] ?? raise("no encoder")), name: "other" }] }, module, "cpu")).rejects.toThrow(/no encoder other/);
  const gpu = await loadTf("tfjs-node-gpu").then(() => true, () => false);
  if (gpu) console.warn("NOT TESTED: the refusal of a missing engine (this machine has tfjs-node-gpu)");
  else await expect(createEngine(manifest, module, "tfjs-node-gpu")).rejects.toMatchObject({ code: "no-engine" });
});

test("clipping scales all gradients by one factor, and leaves small ones alone", async () => {
  const { tf } = await loadTf("cpu");
  const grads = new Map<string, Tensor>([["a", tf.tensor([3, 0])], ["b", tf.tensor([[4]])]]);
  const read = (limit: number): number[] => [...clipGradients(tf, grads, limit).values()].flatMap((grad) => [...grad.dataSync()]);
  expect(read(1).map((value) => Math.round(value * 1e6) / 1e6)).toEqual([0.6, 0, 0.8]);
  expect(read(10)).toEqual([3, 0, 4]);
});

test("LARS scales matrices by trust times weight norm over update norm, and leaves others and zeros alone", async () => {
  const { tf } = await loadTf("cpu");
  const grads = new Map<string, Tensor>([["w", tf.tensor([[3, 4]])], ["b", tf.tensor([2])], ["zero", tf.tensor([[5]])]]);
  const values = { w: tf.tensor([[0, 2]]), b: tf.tensor([1]), zero: tf.tensor([[0]]) };
  const trained = [{ name: "w", decay: true }, { name: "b", decay: false }, { name: "zero", decay: true }];
  const updates = larsUpdates(tf, grads, values, trained, { trust: 0.5, weightDecay: 0.5 });
  const norm = Math.hypot(3, 5);
  const read = (name: string): number[] => [...(updates.get(name)?.dataSync() ?? [])];
  read("w").forEach((value, i) => expect(value).toBeCloseTo((0.5 * 2 / norm) * ([3, 5][i] ?? 0), 5));
  expect(read("b")).toEqual([2]);
  expect(read("zero")).toEqual([5]);
});

test("names become nested lists and objects, and lead back to their leaves", () => {
  const tree = buildTree<number>([["a.blocks.1.w", 2], ["a.blocks.0.w", 1], ["a.10.w", 3], ["__proto__.x", 4]]);
  expect(JSON.stringify(tree)).toBe('{"a":{"10":{"w":3},"blocks":[{"w":1},{"w":2}]},"__proto__":{"x":4}}');
  const number = (value: Tree<number>): value is number => typeof value === "number";
  expect(leafAt(tree, "a.blocks.1.w", number)).toBe(2);
  expect(leafAt(tree, "__proto__.x", number)).toBe(4);
  expect(leafAt(tree, "a.blocks", number)).toBeUndefined();
  expect(leafAt(tree, "a.constructor.name", number)).toBeUndefined();
  expect(Object.prototype).not.toHaveProperty("x");
  expect(() => buildTree([["a", 1], ["a.b", 2]])).toThrow(/lies under/);
  expect(() => buildTree([["a.b", 1], ["a", 2]])).toThrow(RangeError);
});

function raise(message: string): never {
  throw new Error(message);
}
