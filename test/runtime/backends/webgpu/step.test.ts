/**
 * Whole steps on WebGPU: gradients against the float64 interpreter, trajectories against tfjs, bits against themselves.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { portable } from "../../../../compiler/targets/wgsl/plan.js";
import { planTile } from "../../../../compiler/targets/wgsl/tile-book.js";
import { productsOf } from "../../../../compiler/targets/wgsl/tuning.js";
import type { Engine } from "../../../../runtime/abi.js";
import { createTfjsEngine } from "../../../../runtime/backends/tfjs/run.js";
import { loadTf } from "../../../../runtime/backends/tfjs/engine.js";
import type { WebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { initialState } from "../../../../runtime/train/init.js";
import { interpreted, relative } from "../../../compiler/targets/wgsl/oracle.js";
import { batchFor, compilePlan, engineFor, hyperFor, moduleOf, tfjsOf, tinyText } from "../../../compiler/targets/wgsl/programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const ready = compilePlan();
const none = { watch: false, gradientNorm: false };
let engine: WebgpuEngine | undefined;

beforeAll(async () => {
  engine = await engineFor(ready);
});
afterAll(() => engine?.dispose());

test("losses and all gradients of a step are the interpreter's", async () => {
  if (engine === undefined) return;
  await agree(engine);
});

test("so are those by the kernels of graphics cards, whatever device runs them", async () => {
  // Small tiles through workgroup memory, which a software driver compiles soon; large ones are compared by themselves.
  const tiles = productsOf(ready.module.plan).map((p) => planTile(p, { bm: 32, bn: 32, bk: 4, tm: 4, tn: 4 }));
  const module = moduleOf(ready, { ...portable, tiles });
  expect(module.plan.kernels.map((k) => k.name)).toEqual(expect.arrayContaining(["attention_grad_d12", "layer_norm_grad_sums"]));
  const card = await engineFor({ ...ready, module });
  if (card === undefined) return;
  await agree(card);
  card.dispose();
});

/** Two steps beside the interpreter. */
async function agree(own: WebgpuEngine): Promise<void> {
  for (const step of [1, 2]) {
    const state = await own.exportState();
    const batch = batchFor(ready.manifest, step);
    const wanted = interpreted(ready.step, state, batch);
    const got = await own.step(batch, hyperFor(ready.manifest, step), none);
    expect(Math.abs(got.loss / (wanted.losses.get("total")?.data[0] ?? NaN) - 1)).toBeLessThan(1e-5);
    const grads = await own.gradients();
    expect([...grads.keys()].sort()).toEqual([...wanted.grads.keys()].sort());
    const worst = [...wanted.grads].map(([name, w]) => ({ name, apart: relative(grads.get(name) ?? [], w) })).sort((a, b) => b.apart - a.apart)[0];
    console.info(`worst gradient: ${worst?.name} ${worst?.apart.toExponential(1)}`);
    expect(worst?.apart).toBeLessThan(1e-4);
  }
}

/** Initial values again, so that a test does not depend on those before it. */
async function restart(e: Engine): Promise<void> {
  await e.importState(initialState(ready.manifest, 1));
}

async function losses(e: Engine, from: number, to: number): Promise<number[]> {
  const out: number[] = [];
  for (let step = from; step <= to; step++) out.push((await e.step(batchFor(ready.manifest, step), hyperFor(ready.manifest, step), none)).loss);
  return out;
}

test("fifty steps go the way of tfjs: losses within 1e-3, weights after the first within 1e-4 of each tensor", async () => {
  if (engine === undefined) return;
  await restart(engine);
  const { tf, raw, name, version } = await loadTf("wasm");
  const other = await createTfjsEngine(ready.manifest, await tfjsOf(), { tf, raw, name, version, initial: initialState(ready.manifest, 1) });
  const [a, b] = [await losses(engine, 1, 1), await losses(other, 1, 1)];
  const mine = await engine.exportState();
  // A first AdamW step moves each weight by about the learning rate, whatever its gradient: compare where tfjs moved.
  for (const [key, wanted] of await other.exportState()) if (!key.startsWith("optimizer.")) expect({ key, fits: relative(mine.get(key) ?? [], wanted) < 1e-4 }).toEqual({ key, fits: true });
  a.push(...await losses(engine, 2, 50));
  b.push(...await losses(other, 2, 50));
  other.dispose();
  const worst = Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? NaN)) / Math.abs(b[i] ?? NaN)));
  console.info(`worst loss of 50 steps: ${worst.toExponential(1)} relative`);
  expect(worst).toBeLessThan(1e-3);
  expect(new Set(a.map((x) => x.toFixed(6))).size).toBeGreaterThan(40);
});

// With a small step, decay before or after it is the same to all digits that are looked at.
test.each([["is never reached", 1e3], ["always is", 1e-3]])("AdamW with large steps, decay and eps goes the way of tfjs where the limit of gradients %s", async (_, limit) => {
  const text = tinyText.replace("    batch ", `    optimizer adamw(eps: 1e-2)\n    gradient_clip ${limit}\n    batch `);
  const own = compilePlan(text);
  const card = await engineFor(own);
  if (card === undefined) return;
  const { tf, raw, name, version } = await loadTf("wasm");
  const other = await createTfjsEngine(own.manifest, await tfjsOf(text), { tf, raw, name, version, initial: initialState(own.manifest, 1) });
  const start = await other.exportState();
  for (const e of [card, other]) for (let step = 1; step <= 2; step++) await e.step(batchFor(own.manifest, step), { ...hyperFor(own.manifest, step), learningRate: 0.1, weightDecay: 1 }, none);
  const mine = await card.exportState();
  for (const [key, wanted] of await other.exportState()) expect({ key, fits: relative(mine.get(key) ?? [], wanted) < 1e-3 }).toEqual({ key, fits: true });
  const learned = own.manifest.parameters.filter((q) => q.role === "trained" && q.decay).map((q) => relative(mine.get(q.name) ?? [], start.get(q.name) ?? []));
  expect(learned.length).toBeGreaterThan(5);
  expect(Math.min(...learned)).toBeGreaterThan(0.05);
  card.dispose();
  other.dispose();
});

test("LARS moves a tensor that is zero by its plain gradient, as on tfjs", async () => {
  const text = tinyText.replace("    batch ", "    optimizer lars(momentum: 0.9)\n    batch ");
  const own = compilePlan(text);
  const card = await engineFor(own);
  if (card === undefined) return;
  const { tf, raw, name, version } = await loadTf("wasm");
  const other = await createTfjsEngine(own.manifest, await tfjsOf(text), { tf, raw, name, version, initial: initialState(own.manifest, 1) });
  const zero = own.manifest.parameters.find((q) => q.role === "trained" && q.decay && q.name.startsWith("predict."))?.name ?? "";
  const start = initialState(own.manifest, 1).set(zero, new Float32Array(initialState(own.manifest, 1).get(zero)?.length ?? 0));
  for (const e of [card, other]) {
    await e.importState(start);
    await e.step(batchFor(own.manifest, 1), hyperFor(own.manifest, 1), none);
  }
  const [mine, theirs] = [await card.exportState(), await other.exportState()];
  expect(theirs.get(zero)?.some((x) => x !== 0)).toBe(true);
  expect(relative(mine.get(zero) ?? [], theirs.get(zero) ?? [])).toBeLessThan(1e-4);
  card.dispose();
  other.dispose();
});

function sameBits(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): string[] {
  const bits = (x: Float32Array | undefined): Buffer => (x === undefined ? Buffer.alloc(0) : Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  return [...a.keys()].filter((key) => !bits(a.get(key)).equals(bits(b.get(key))));
}

test("one seed gives the same bits twice, and a run taken up from an exported state is the run that never stopped", async () => {
  if (engine === undefined) return;
  await restart(engine);
  await losses(engine, 1, 3);
  const middle = await engine.exportState();
  const rest = await losses(engine, 4, 6);
  const end = await engine.exportState();
  await restart(engine);
  await losses(engine, 1, 6);
  expect(sameBits(await engine.exportState(), end)).toEqual([]);
  await engine.importState(middle);
  expect(await losses(engine, 4, 6)).toEqual(rest);
  expect(sameBits(await engine.exportState(), end)).toEqual([]);
  expect(sameBits(middle, end).length).toBeGreaterThan(50);
});

test("memory is what the plan printed and does not grow with steps", async () => {
  if (engine === undefined) return;
  expect(engine.memory().bytes).toBe(ready.module.plan.memory.total);
  await losses(engine, 1, 2);
  expect(engine.memory().bytes).toBe(ready.module.plan.memory.total);
});

test("smaller batches, watches, gradient norms and encoders agree with tfjs", async () => {
  if (engine === undefined) return;
  await restart(engine);
  const { tf, raw, name, version } = await loadTf("wasm");
  const other = await createTfjsEngine(ready.manifest, await tfjsOf(), { tf, raw, name, version, initial: initialState(ready.manifest, 1) });
  const batch = batchFor(ready.manifest, 9, 3);
  const all = { watch: true, gradientNorm: true };
  const [got, wanted] = [await engine.step(batch, hyperFor(ready.manifest, 1), all), await other.step(batch, hyperFor(ready.manifest, 1), all)];
  expect(Object.keys(got.watch)).toEqual(Object.keys(wanted.watch));
  for (const [key, w] of Object.entries(wanted.watch)) expect(relative(got.watch[key] ?? [], w)).toBeLessThan(1e-4);
  for (const [key, w] of Object.entries(wanted.gradientNorm)) expect(Math.abs((got.gradientNorm[key] ?? NaN) / w - 1)).toBeLessThan(1e-4);
  const images = batchFor(ready.manifest, 10, 7).images[ready.manifest.views[0]?.name ?? ""] ?? new Float32Array();
  for (const { name: encoder } of ready.manifest.encoders) expect(relative(await engine.encode(encoder, images, 7), await other.encode(encoder, images, 7))).toBeLessThan(1e-4);
  other.dispose();
});

test("state that does not fit, a batch too large and a device that is lost are refused with the way out", async () => {
  const own = await engineFor(ready);
  if (own === undefined || engine === undefined) return;
  await expect(own.importState(new Map([["student.nothing", new Float32Array(1)]]))).rejects.toMatchObject({ code: "mismatch", message: expect.stringContaining("student.nothing") });
  await expect(own.importState(new Map([...initialState(ready.manifest, 1)].slice(1)))).rejects.toMatchObject({ code: "mismatch", message: expect.stringContaining(ready.manifest.parameters[0]?.name ?? "?") });
  await expect(own.encode(ready.manifest.encoders[0]?.name ?? "", new Float32Array(7), 1)).rejects.toMatchObject({ code: "mismatch", message: expect.stringContaining("7 numbers") });
  await expect(own.step(batchFor(ready.manifest, 1, 6), hyperFor(ready.manifest, 1), none)).rejects.toMatchObject({ code: "mismatch", help: expect.stringContaining("batch 6") });
  // Kernels do not check the places that they write: a position beyond the grid must not reach them.
  for (const beyond of [36, -1]) {
    const batch = batchFor(ready.manifest, 1);
    batch.masks["targets"]?.indices.set([beyond], 7);
    await expect(own.step(batch, hyperFor(ready.manifest, 1), none)).rejects.toMatchObject({ code: "mismatch", message: `mask targets has the position ${beyond}, its grid has 0 to 35` });
  }
  own.dispose();
  await expect(own.step(batchFor(ready.manifest, 1), hyperFor(ready.manifest, 1), none)).rejects.toMatchObject({ name: "HostError" });
});
