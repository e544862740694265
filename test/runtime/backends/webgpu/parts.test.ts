/**
 * Batches in parts, and blocks made again: the same step in less memory.
 */
import { expect, test, vi } from "vitest";
import { createTfjsEngine } from "../../../../runtime/backends/tfjs/run.js";
import { loadTf } from "../../../../runtime/backends/tfjs/engine.js";
import type { Precision } from "../../../../compiler/targets/wgsl/plan.js";
import { initialState } from "../../../../runtime/train/init.js";
import { interpreted, relative } from "../../../compiler/targets/wgsl/oracle.js";
import type { WithPlan } from "../../../compiler/targets/wgsl/programs.js";
import { batchFor, compilePlan, engineFor, hyperFor, tfjsOf, tinyText } from "../../../compiler/targets/wgsl/programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const textOf = (lines: string): string => tinyText.replace("batch          5", lines).replace("param depth      = 2", "param depth      = 4");
const compiled = (lines: string, precision?: Precision): WithPlan => compilePlan(textOf(lines), undefined, undefined, precision);
const all = { watch: true, gradientNorm: true };

test("a batch in three parts has the gradients of the whole one: the interpreter's, with its losses, watches and norms", async () => {
  const [whole, parts] = [compiled("batch 6"), compiled("batch 6\n    accumulate 3")];
  const { memory } = whole.module.plan;
  expect(parts.module.plan.memory.work).toBeLessThan(0.6 * memory.work);
  const [one, three] = [await engineFor(whole), await engineFor(parts)];
  if (one === undefined || three === undefined) return;
  const { tf, raw, name, version } = await loadTf("cpu");
  const other = await createTfjsEngine(parts.manifest, await tfjsOf(textOf("batch 6\n    accumulate 3")), { tf, raw, name, version, initial: initialState(parts.manifest, 1) });
  try {
    for (const step of [1, 2]) {
      const batch = batchFor(whole.manifest, step);
      const wanted = interpreted(parts.step, await three.exportState(), batch);
      const hyper = hyperFor(whole.manifest, step);
      const [a, b, c] = [await one.step(batch, hyper, all), await three.step(batch, hyper, all), await other.step(batch, hyper, all)];
      expect(Math.abs(b.loss / (wanted.losses.get("total")?.data[0] ?? NaN) - 1)).toBeLessThan(1e-5);
      expect(Math.abs(c.loss / b.loss - 1)).toBeLessThan(1e-5);
      const grads = await three.gradients();
      const worst = Math.max(...[...wanted.grads].map(([key, w]) => relative(grads.get(key) ?? [], w)));
      console.info(`worst gradient of a batch in parts: ${worst.toExponential(1)}`);
      expect(worst).toBeLessThan(1e-4);
      for (const [key, w] of Object.entries(a.watch)) {
        expect(relative(b.watch[key] ?? [], w)).toBeLessThan(1e-4);
        expect(relative(c.watch[key] ?? [], w)).toBeLessThan(1e-4);
      }
      for (const [key, w] of Object.entries(a.gradientNorm)) {
        expect(Math.abs((b.gradientNorm[key] ?? NaN) / w - 1)).toBeLessThan(1e-4);
        expect(Math.abs((c.gradientNorm[key] ?? NaN) / w - 1)).toBeLessThan(1e-4);
      }
    }
    expect(three.memory().bytes).toBe(parts.module.plan.memory.total);
    await expect(three.step(batchFor(whole.manifest, 3, 4), hyperFor(whole.manifest, 3), all)).rejects.toMatchObject({ code: "mismatch", help: expect.stringContaining("multiple of 3") });
  } finally {
    [one, three, other].forEach((e) => e.dispose());
  }
});

test("rows cut within groups of two images: a batch of six runs in three parts of lengths of their own, and has the mean of their gradients", async () => {
  const text = textOf("batch 6").replace("min_keep: 2) minus", "min_keep: 2, trim_group: 2) minus");
  const ready = compilePlan(text);
  expect(ready.module.plan.accumulate?.parts).toBe(3);
  const engine = await engineFor(ready);
  if (engine === undefined) return;
  const { tf, raw, name, version } = await loadTf("cpu");
  const other = await createTfjsEngine(ready.manifest, await tfjsOf(text), { tf, raw, name, version, initial: initialState(ready.manifest, 1) });
  const lengths = new Set<number>();
  try {
    for (const step of [1, 2, 3]) {
      const batch = batchFor(ready.manifest, step);
      const start = await engine.exportState();
      // Each group as a batch of its own, put together here: its pictures, its rows of the context, and its rows of each of the four targets.
      const { context, targets } = batch.masks;
      if (context?.groups === undefined || targets === undefined) throw new Error("the context has groups");
      const groups = context.groups.map((own, g) => {
        const rows = [0, 1, 2, 3].flatMap((set) => [...targets.indices.subarray((set * 6 + 2 * g) * targets.length, (set * 6 + 2 * g + 2) * targets.length)]);
        const pixels = (batch.images["image"] ?? new Float32Array()).subarray(g * 2 * 24 * 24 * 3, (g + 1) * 2 * 24 * 24 * 3);
        lengths.add(own.length);
        return interpreted(ready.step, start, { size: 2, images: { image: pixels }, masks: { context: own, targets: { ...targets, indices: Int32Array.from(rows) } }, draws: {} });
      });
      const mean = (read: (g: (typeof groups)[number]) => number | undefined): number => groups.reduce((sum, g) => sum + (read(g) ?? Number.NaN) / 3, 0);
      const [a, b] = [await engine.step(batch, hyperFor(ready.manifest, step), all), await other.step(batch, hyperFor(ready.manifest, step), all)];
      const loss = mean((g) => g.losses.get("total")?.data[0]);
      expect(Math.abs(a.loss / loss - 1)).toBeLessThan(1e-5);
      expect(Math.abs(b.loss / loss - 1)).toBeLessThan(1e-5);
      const grads = await engine.gradients();
      for (const [key, first] of groups[0]?.grads ?? []) expect(relative(grads.get(key) ?? [], first.map((_, i) => mean((g) => g.grads.get(key)?.[i]))), key).toBeLessThan(1e-4);
      for (const [key, w] of Object.entries(b.watch)) expect(relative(a.watch[key] ?? [], w), key).toBeLessThan(1e-4);
      expect(a.watch["student by position"]).toHaveLength(36 * Math.min(...context.groups.map((g) => g.length)));
      for (const [key, w] of Object.entries(b.gradientNorm)) expect(Math.abs((a.gradientNorm[key] ?? NaN) / w - 1)).toBeLessThan(1e-4);
    }
    expect(lengths.size, "groups differ in length").toBeGreaterThan(2);
  } finally {
    [engine, other].forEach((e) => e.dispose());
  }
});

test("blocks made again in the backward pass leave every bit as it was, in less memory", async () => {
  const [kept, again] = [compiled("batch 5"), compiled("batch 5\n    recompute blocks")];
  const [a, b] = [kept.module.plan, again.module.plan];
  console.info(`values within a step: ${a.memory.work} bytes kept, ${b.memory.work} made again; ${a.step.dispatches.length} and ${b.step.dispatches.length} dispatches`);
  expect(b.memory.work).toBeLessThan(0.75 * a.memory.work);
  expect(b.memory.work).toBeLessThan(1.25 * b.memory.lowerBound);
  expect(b.kernels.length).toBeLessThan(a.kernels.length + 8);
  const [one, other] = [await engineFor(kept), await engineFor(again)];
  if (one === undefined || other === undefined) return;
  try {
    for (const step of [1, 2, 3]) {
      const batch = batchFor(kept.manifest, step);
      const results = [await one.step(batch, hyperFor(kept.manifest, step), all), await other.step(batch, hyperFor(kept.manifest, step), all)];
      expect(results[1]).toEqual(results[0]);
      expect(await other.gradients()).toEqual(await one.gradients());
    }
    expect(await other.exportState()).toEqual(await one.exportState());
  } finally {
    [one, other].forEach((e) => e.dispose());
  }
});

test("parts, blocks made again and f16 together: the interpreter's gradients within f16, one scale for all parts, the same bits twice", async () => {
  const half: Precision = { storage: "f16" };
  const [plain, all3] = [compiled("batch 6", half), compiled("batch 6\n    accumulate 3\n    recompute blocks", half)];
  expect(all3.module.plan.memory.work).toBeLessThan(0.6 * plain.module.plan.memory.work);
  expect(all3.module.plan.accumulate?.parts).toBe(3);
  const engine = await engineFor(all3);
  if (engine === undefined) return;
  try {
    const start = await engine.exportState();
    const weights = new Map([...start].filter(([name]) => !name.startsWith("optimizer.")));
    const batch = batchFor(all3.manifest, 1);
    const wanted = interpreted(compiled("batch 6").step, weights, batch);
    const { loss } = await engine.step(batch, hyperFor(all3.manifest, 1), all);
    const grads = await engine.gradients();
    expect([...grads.keys()].sort()).toEqual([...wanted.grads.keys()].sort());
    const worst = Math.max(...[...wanted.grads].map(([key, w]) => relative(grads.get(key) ?? [], w)));
    const apart = Math.abs(loss / (wanted.losses.get("total")?.data[0] ?? NaN) - 1);
    console.info(`f16 in three parts with blocks made again: loss ${apart.toExponential(1)}, worst gradient ${worst.toExponential(1)}`);
    expect(apart).toBeLessThan(1e-3);
    expect(worst).toBeLessThan(5e-3);
    const once = await engine.exportState();
    expect(once.get("optimizer.loss_scale")?.[1], "good steps: the parts are one").toBe(1);
    await engine.importState(start);
    await engine.step(batch, hyperFor(all3.manifest, 1), all);
    expect(await engine.exportState()).toEqual(once);
  } finally {
    engine.dispose();
  }
});
