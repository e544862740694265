/**
 * Training in f16 on WebGPU: gradients against the float64 interpreter, fifty steps beside f32, an overflow that is skipped,
 * the same bits twice and after a resume, and the forms by subgroups beside the portable ones.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Engine } from "../../../../runtime/abi.js";
import type { WebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { initialState } from "../../../../runtime/train/init.js";
import { interpreted, relative } from "../../../compiler/targets/wgsl/oracle.js";
import { batchFor, compilePlan, engineFor, hyperFor } from "../../../compiler/targets/wgsl/programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const wide = compilePlan();
const half = compilePlan(undefined, undefined, undefined, { storage: "f16", scaler: { initial: 65536, growthEvery: 4 } });
const none = { watch: false, gradientNorm: false };
let engine: WebgpuEngine | undefined;

beforeAll(async () => {
  engine = await engineFor(half);
});
afterAll(() => engine?.dispose());

async function losses(e: Engine, from: number, to: number, batches = wide.manifest): Promise<number[]> {
  const out: number[] = [];
  for (let step = from; step <= to; step++) out.push((await e.step(batchFor(batches, step), hyperFor(batches, step), none)).loss);
  return out;
}

function sameBits(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): string[] {
  const bits = (x: Float32Array | undefined): Buffer => (x === undefined ? Buffer.alloc(0) : Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  return [...a.keys()].filter((key) => !bits(a.get(key)).equals(bits(b.get(key))));
}

/** Places in the state of the loss scale. */
const [SCALE, GOOD, SKIPPED] = [0, 1, 7];

async function scaleOf(e: Engine): Promise<Float32Array> {
  return (await e.exportState()).get("optimizer.loss_scale") ?? new Float32Array();
}

test("losses and all gradients of an f16 step are near the interpreter's", async () => {
  if (engine === undefined) return;
  const state = await engine.exportState();
  const weights = new Map([...state].filter(([name]) => !name.startsWith("optimizer.")));
  const batch = batchFor(half.manifest, 1);
  const wanted = interpreted(wide.step, weights, batch);
  const got = await engine.step(batch, hyperFor(half.manifest, 1), none);
  const apart = Math.abs(got.loss / (wanted.losses.get("total")?.data[0] ?? NaN) - 1);
  const grads = await engine.gradients();
  expect([...grads.keys()].sort()).toEqual([...wanted.grads.keys()].sort());
  const errors = [...wanted.grads].map(([name, w]) => ({ name, apart: relative(grads.get(name) ?? [], w) })).sort((a, b) => b.apart - a.apart);
  console.info(`f16: loss ${apart.toExponential(1)}, worst gradient ${errors[0]?.name} ${errors[0]?.apart.toExponential(1)}, median ${errors[Math.floor(errors.length / 2)]?.apart.toExponential(1)}`);
  expect(apart).toBeLessThan(1e-3);
  expect(errors[0]?.apart).toBeLessThan(5e-3);
});

test("fifty steps in f16 go the way of f32: each loss within 1e-3", async () => {
  const other = await engineFor(wide);
  if (engine === undefined || other === undefined) return;
  await engine.importState(initialState(half.manifest, 1));
  const [a, b] = [await losses(engine, 1, 50), await losses(other, 1, 50)];
  other.dispose();
  const apart = a.map((x, i) => Math.abs(x / (b[i] ?? NaN) - 1));
  console.info(`worst loss of 50 steps: ${Math.max(...apart).toExponential(1)} relative, last ${apart.at(-1)?.toExponential(1)}; steps skipped: ${(await scaleOf(engine))[SKIPPED]}`);
  expect(Math.max(...apart)).toBeLessThan(1e-3);
});

test("an overflow skips the step, whole, and halves the scale; good steps double it again", async () => {
  if (engine === undefined) return;
  await engine.importState(initialState(half.manifest, 1));
  await losses(engine, 1, 2);
  const before = new Map(await engine.exportState());
  const huge = Float32Array.from(before.get("optimizer.loss_scale") ?? []);
  huge[SCALE] = 2 ** 40;
  await engine.importState(new Map(before).set("optimizer.loss_scale", huge));
  const { loss } = await engine.step(batchFor(half.manifest, 3), hyperFor(half.manifest, 3), none);
  const after = await engine.exportState();
  expect(Number.isFinite(loss)).toBe(true);
  expect(sameBits(new Map([...before].filter(([name]) => name !== "optimizer.loss_scale")), after)).toEqual([]);
  const scale = await scaleOf(engine);
  expect([scale[SCALE], scale[GOOD], scale[SKIPPED]]).toEqual([2 ** 39, 0, 1]);
  await engine.importState(before);
  expect((await scaleOf(engine))[GOOD]).toBe(2);
  await losses(engine, 3, 4);
  expect([...(await scaleOf(engine))].slice(0, 2)).toEqual([131072, 0]);
  expect(sameBits(before, await engine.exportState()).length).toBeGreaterThan(50);
});

test("in f16 one seed gives the same bits twice, and a resumed run is the run that never stopped", async () => {
  if (engine === undefined) return;
  await engine.importState(initialState(half.manifest, 1));
  await losses(engine, 1, 3);
  const middle = await engine.exportState();
  const rest = await losses(engine, 4, 6);
  const end = await engine.exportState();
  await engine.importState(initialState(half.manifest, 1));
  await losses(engine, 1, 6);
  expect(sameBits(await engine.exportState(), end)).toEqual([]);
  await engine.importState(middle);
  expect(await losses(engine, 4, 6)).toEqual(rest);
  expect(sameBits(await engine.exportState(), end)).toEqual([]);
});
