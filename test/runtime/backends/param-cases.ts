/** The parameter store against PyTorch's update rules in float64, resumption bit for bit, averages and leaks; per engine. */
import { expect, test } from "vitest";
import type { TfEngine } from "../../../runtime/backends/tfjs/engine.js";
import { createParamStore, ParamMismatch } from "../../../runtime/backends/tfjs/params.js";
import type { ParamSpec, ParamStore } from "../../../runtime/backends/tfjs/params.js";
import type { Tf } from "../../../runtime/backends/tfjs/tf.js";
import { isPresent, load } from "./engines.js";
import { noise, sizeOf } from "./reference.js";

const specs: readonly ParamSpec[] = [
  { name: "student.w", shape: [5, 7], group: "student", decay: true, trainable: true },
  { name: "student.b", shape: [7], group: "student", decay: false, trainable: true },
  { name: "student.token", shape: [1, 1, 4], group: "student", decay: true, trainable: true },
  { name: "student.idle", shape: [3], group: "student", decay: true, trainable: true },
  { name: "teacher.w", shape: [5, 7], group: "teacher", decay: true, trainable: false },
];
const learned = specs.slice(0, 3);
const start = new Map(specs.map(({ name, shape }, i) => [name, Float32Array.from(noise(shape, 40 + i).data)]));
const gradient = (step: number, i: number): Float32Array => Float32Array.from(noise(learned[i]?.shape ?? [], 100 * step + i).data, (x) => x * 0.01);
const rate = (t: number): number => 1e-3 * (1 + t / 10);
const adam = { weightDecay: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** Applies gradients of steps `from`..`to` and frees them. */
function train(tf: Tf, store: ParamStore, from: number, to: number, update: (grads: Parameters<ParamStore["adamw"]>[0], t: number) => void): void {
  for (let t = from; t <= to; t++) {
    const grads = Object.fromEntries(learned.map(({ name, shape }, i) => [name, tf.tensor(gradient(t, i), [...shape], "float32")]));
    update(grads, t);
    store.ema([["teacher.w", "student.w"]], 0.9);
    for (const grad of Object.values(grads)) grad.dispose();
  }
}

const withAdam = (store: ParamStore) => (grads: Parameters<ParamStore["adamw"]>[0], t: number): void => store.adamw(grads, { ...adam, lr: rate(t), t });

/** Settings under which nothing hides in rounding: decay before or after the step, eps inside or outside of the correction, betas as float32. */
const strong = { weightDecay: 0.5, beta1: 0.9, beta2: 0.9999, eps: 1e-2 };

/** PyTorch's AdamW, written out in double precision. */
function adamInDouble(i: number, steps: number, onStep: (p: Float64Array) => void = () => {}, settings = adam, rateOf = rate): Float64Array {
  const { name = "", decay = false } = learned[i] ?? {};
  const p = Float64Array.from(start.get(name) ?? []);
  const [m, v] = [new Float64Array(p.length), new Float64Array(p.length)];
  for (let t = 1; t <= steps; t++) {
    const g = gradient(t, i);
    for (let j = 0; j < p.length; j++) {
      const gj = g[j] ?? NaN;
      m[j] = settings.beta1 * (m[j] ?? 0) + (1 - settings.beta1) * gj;
      v[j] = settings.beta2 * (v[j] ?? 0) + (1 - settings.beta2) * gj * gj;
      const kept = (p[j] ?? NaN) * (decay ? 1 - rateOf(t) * settings.weightDecay : 1);
      p[j] = kept - (rateOf(t) / (1 - settings.beta1 ** t)) * ((m[j] ?? 0) / (Math.sqrt(v[j] ?? 0) / Math.sqrt(1 - settings.beta2 ** t) + settings.eps));
    }
    onStep(p);
  }
  return p;
}

function worst(actual: Float32Array | undefined, expected: ArrayLike<number>): number {
  const scale = Math.max(...Array.from(expected, Math.abs));
  expect(actual?.length).toBe(expected.length);
  return Math.max(...Array.from(expected, (value, i) => Math.abs((actual?.[i] ?? NaN) - value) / scale));
}

/** Declares the tests for an engine, if it is here. */
export async function paramTests(engine: TfEngine): Promise<void> {
  if (!(await isPresent(engine))) return;
  const open = async (): Promise<{ tf: Tf; store: ParamStore; before: number }> => {
    const { tf, raw } = await load(engine);
    const before = tf.memory().numTensors;
    return { tf, store: createParamStore(tf, { raw }, specs, start), before };
  };

  test(`${engine}: ten AdamW steps with changing rate follow PyTorch's rule in float64, and the average follows them`, async () => {
    const { tf, store, before } = await open();
    train(tf, store, 1, 10, withAdam(store));
    const values = await store.export();
    learned.forEach(({ name }, i) => expect(worst(values.get(name), adamInDouble(i, 10)), name).toBeLessThan(1e-6));
    const teacher = Float64Array.from(start.get("teacher.w") ?? []);
    adamInDouble(0, 10, (p) => teacher.forEach((value, j) => { teacher[j] = 0.9 * value + 0.1 * (p[j] ?? NaN); }));
    expect(worst(values.get("teacher.w"), teacher)).toBeLessThan(1e-6);
    expect(values.get("student.idle")).toEqual(start.get("student.idle"));
    store.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test(`${engine}: AdamW with large steps, decay and eps follows PyTorch's rule in float64 too`, async () => {
    const { tf, store } = await open();
    train(tf, store, 1, 10, (grads, t) => store.adamw(grads, { ...strong, lr: 0.1, t }));
    const values = await store.export();
    learned.forEach(({ name }, i) => expect(worst(values.get(name), adamInDouble(i, 10, () => {}, strong, () => 0.1)), name).toBeLessThan(5e-6));
    store.dispose();
  });

  test(`${engine}: an optimizer's state that is taken in replaces what was there, parameters without any included`, async () => {
    const { tf, store } = await open();
    train(tf, store, 1, 2, withAdam(store));
    const kept = [...await store.exportOptimizer()].filter(([key]) => key.endsWith("/student.w"));
    store.importOptimizer(new Map(kept));
    expect(await store.exportOptimizer()).toEqual(new Map(kept));
    store.dispose();
  });

  test(`${engine}: momentum SGD follows PyTorch's rule in float64`, async () => {
    const { tf, store, before } = await open();
    train(tf, store, 1, 5, (grads) => store.sgd(grads, { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }));
    const values = await store.export();
    learned.forEach(({ name, decay }, i) => {
      const p = Float64Array.from(start.get(name) ?? []);
      const velocity = new Float64Array(p.length);
      for (let t = 1; t <= 5; t++) {
        gradient(t, i).forEach((g, j) => {
          velocity[j] = 0.9 * (velocity[j] ?? 0) + g + (decay ? 0.01 * (p[j] ?? NaN) : 0);
          p[j] = (p[j] ?? NaN) - 0.1 * (velocity[j] ?? 0);
        });
      }
      expect(worst(values.get(name), p), name).toBeLessThan(1e-6);
    });
    store.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test(`${engine}: a store rebuilt from its exports goes on bit for bit`, async () => {
    const { tf, store } = await open();
    train(tf, store, 1, 3, withAdam(store));
    const [values, state] = [await store.export(), await store.exportOptimizer()];
    expect([...state.keys()].sort()).toEqual(learned.flatMap(({ name }) => [`adam.m/${name}`, `adam.v/${name}`]).sort());
    train(tf, store, 4, 8, withAdam(store));
    const resumed = (await open()).store;
    train(tf, resumed, 1, 1, withAdam(resumed));
    resumed.import(values);
    resumed.importOptimizer(state);
    train(tf, resumed, 4, 8, withAdam(resumed));
    expect(await resumed.export()).toEqual(await store.export());
    expect(await resumed.exportOptimizer()).toEqual(await store.exportOptimizer());
    store.dispose();
    resumed.dispose();
  });

  test(`${engine}: steps neither leak tensors nor change what an export handed out`, async () => {
    const { tf, store } = await open();
    train(tf, store, 1, 2, withAdam(store));
    store.read();
    const tensors = tf.memory().numTensors;
    const handedOut = await store.export();
    const copy = new Map([...handedOut].map(([name, data]) => [name, data.slice()]));
    for (let t = 3; t <= 6; t++) {
      train(tf, store, t, t, withAdam(store));
      store.read();
      expect(tf.memory().numTensors).toBe(tensors);
    }
    expect(handedOut).toEqual(copy);
    store.dispose();
  });

  test(`${engine}: a product with a parameter sees every update`, async () => {
    const { tf, store } = await open();
    const x = tf.tensor2d(Float32Array.from(noise([16, 5], 60).data), [16, 5]);
    for (let t = 1; t <= 3; t++) {
      train(tf, store, t, t, withAdam(store));
      const w = store.read()["student.w"];
      if (w === undefined) throw new Error("student.w was not read");
      const product = tf.tidy(() => tf.matMul(x, w).dataSync());
      const values = (await store.export()).get("student.w") ?? new Float32Array();
      const expected = Float64Array.from({ length: 16 * 7 }, (_, i) => {
        let sum = 0;
        for (let l = 0; l < 5; l++) sum += (noise([16, 5], 60).data[Math.floor(i / 7) * 5 + l] ?? NaN) * (values[l * 7 + (i % 7)] ?? NaN);
        return sum;
      });
      expect(worst(Float32Array.from(product), expected)).toBeLessThan(1e-6);
    }
    x.dispose();
    store.dispose();
  });

  test(`${engine}: what does not fit is refused by name`, async () => {
    const { tf, store } = await open();
    const wrong = tf.zeros([2]);
    expect(() => store.adamw({ "student.w": wrong }, { ...adam, lr: 1, t: 1 })).toThrow(/student\.w/);
    expect(() => store.adamw({ "teacher.w": wrong }, { ...adam, lr: 1, t: 1 })).toThrow(/not trainable/);
    expect(() => store.adamw({ nobody: wrong }, { ...adam, lr: 1, t: 1 })).toThrow(ParamMismatch);
    expect(() => store.import(new Map([["student.b", new Float32Array(sizeOf([8]))]]))).toThrow(/student\.b/);
    expect(() => createParamStore(tf, { raw: false }, specs, new Map())).toThrow(/no values for student\.w/);
    wrong.dispose();
    store.dispose();
  });
}
