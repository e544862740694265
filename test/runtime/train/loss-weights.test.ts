/**
 * Weights of losses that change over training: their courses against closed forms, steps against programs in which the weights of
 * that step stand as numbers, on every engine; in parts, in f16, resumed, and as monitors and reports see them.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { printModule } from "../../../compiler/tensor/print.js";
import type { Engine, Hyper, Manifest } from "../../../runtime/abi.js";
import { loadTf } from "../../../runtime/backends/tfjs/engine.js";
import { createTfjsEngine } from "../../../runtime/backends/tfjs/run.js";
import { readSafetensors } from "../../../runtime/base/safetensors.js";
import { readRows } from "../../../runtime/log/jsonl.js";
import { initialState } from "../../../runtime/train/init.js";
import { train } from "../../../runtime/train/main.js";
import { createMonitors } from "../../../runtime/train/monitors.js";
import { resolveRecipe } from "../../../runtime/train/recipe.js";
import { interpreted, relative } from "../../compiler/targets/wgsl/oracle.js";
import { batchFor, compilePlan, engineFor } from "../../compiler/targets/wgsl/programs.js";
import type { Ready } from "../../fidelity/compiled.js";
import { compileRepo, importModule } from "../../fidelity/compiled.js";
import { fakeManifest } from "./fakes.js";
import { withWeights } from "../../fuzz/compare.js";

vi.setConfig({ testTimeout: 300_000 });

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jepac-weights-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Weights {
  readonly linear: string;
  readonly cosine: string;
  readonly warm: string;
}

const courses: Weights = { linear: "(0 -> 1)", cosine: "cosine(2 -> 0.5)", warm: "3 * cosine(0 -> 1 -> 0.25, warmup: 2 steps)" };

/** A head for each term, so that each term's gradient can be seen by itself. */
function textOf({ linear, cosine, warm }: Weights, lines = "batch 4"): string {
  return `use std.vit
use std.heads
model weighed {
  input image: Image[8, 8, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(4, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor p1 = mlp(8)
  predictor p2 = mlp(8)
  predictor p3 = mlp(8)
  predictor p4 = mlp(8)
  z = f(a)
  aim = stopgrad(t(b))
  loss first = ${linear} * mse(p1(z), aim)
  loss second = ${cosine} * smooth_l1(p2(z), aim, beta: 0.5)
  loss third = ${warm} * negative_cosine(p3(z), aim)
  loss fourth = 0.5 * smooth_l1(p4(z), aim)
}
train weighed {
  data shapes(count: 16)
  steps 5
  ${lines}
  learning_rate 1e-3
  checkpoint_every 3 steps
}
`;
}

const STEPS = 5;

/** The courses by their definition: linear from the first to the last, half cosines, of `t - 1` steps that are behind. */
function wanted(t: number): Record<string, number> {
  const i = t - 1;
  const half = (x: number): number => (1 + Math.cos(Math.PI * x)) / 2;
  return {
    first: i / STEPS,
    second: 0.5 + 1.5 * half(i / STEPS),
    third: 3 * (i < 2 ? i / 2 : 0.25 + 0.75 * half((i - 2) / (STEPS - 2))),
  };
}

function hyperOf(manifest: Manifest, step: number): Hyper {
  return resolveRecipe(manifest, 16).hyperAt(step);
}

async function onWasm(ready: Ready): Promise<Engine> {
  return createTfjsEngine(ready.manifest, await importModule(ready), { ...await loadTf("wasm"), initial: initialState(ready.manifest, 1) });
}

const none = { watch: false, gradientNorm: false };
const ready = compileRepo("examples/weights.jepa", { text: textOf(courses) });

test("a course begins with its first value and goes by its formula; what does not change is no scalar of the step", () => {
  for (let t = 1; t <= STEPS; t++) {
    const weights = hyperOf(ready.manifest, t).weights ?? {};
    expect(Object.keys(weights).sort()).toEqual(["first", "second", "third"]);
    for (const [loss, w] of Object.entries(wanted(t))) expect(Math.abs((weights[loss] ?? NaN) - w), `${loss} at step ${t}`).toBeLessThan(1e-12);
  }
  expect(hyperOf(ready.manifest, 1).weights).toEqual({ first: 0, second: 2, third: 0 });
  expect(ready.manifest.losses.map(({ weight, course }) => [weight, course?.points])).toEqual([[0, [0, 1]], [2, [2, 0.5]], [0, [0, 3, 0.75]], [0.5, undefined]]);
  const plain = compileRepo("examples/weights.jepa", { text: textOf({ linear: "1", cosine: "2", warm: "(2 / 4)" }) });
  expect(hyperOf(plain.manifest, 1)).not.toHaveProperty("weights");
  const scalars = ({ step }: Ready): number => printModule(step.module).split(" = scalar ").length - 1;
  expect([scalars(ready), scalars(plain)]).toEqual([6, 0]);
});

test("a step has the losses and gradients of the program whose weights are the numbers of that step", () => {
  const state = initialState(ready.manifest, 1);
  for (const t of [1, 2, 4]) {
    const { first = NaN, second = NaN, third = NaN } = wanted(t);
    const fixed = compileRepo("examples/weights.jepa", { text: textOf({ linear: `${first}`, cosine: `${second}`, warm: `${third}` }) });
    const batch = batchFor(ready.manifest, t);
    // The scalar is handed over in f32.
    const [got, want] = [interpreted(ready.step, state, withWeights(batch, hyperOf(ready.manifest, t))), interpreted(fixed.step, state, batch)];
    for (const [name, { data }] of want.losses) expect(relative(got.losses.get(name)?.data ?? [], data), `${name} at step ${t}`).toBeLessThan(1e-7);
    for (const [name, g] of want.grads) expect(relative(got.grads.get(name) ?? [], g), `${name} at step ${t}`).toBeLessThan(1e-6);
  }
});

/** All steps of an engine beside the interpreter: the objective, the terms without weights, and gradients where they can be had. */
async function agree(engine: Engine, own: Ready, within: { readonly loss: number; readonly gradient: number }, gradients?: () => Promise<ReadonlyMap<string, Float32Array>>): Promise<void> {
  for (let t = 1; t <= STEPS; t++) {
    const [batch, hyper] = [batchFor(own.manifest, t), hyperOf(own.manifest, t)];
    const oracle = interpreted(own.step, await engine.exportState(), withWeights(batch, hyper));
    const got = await engine.step(batch, hyper, none);
    const parts = Object.entries({ ...wanted(t), fourth: 0.5 }).map(([loss, w]) => w * (got.losses[loss] ?? NaN));
    // One term is negative: what the others cancel of it is no measure.
    const size = parts.reduce((n, x) => n + Math.abs(x), 0);
    expect(Math.abs(got.loss - parts.reduce((n, x) => n + x, 0)) / size, `the sum at step ${t}`).toBeLessThan(within.loss);
    expect(Math.abs(got.loss - (oracle.losses.get("total")?.data[0] ?? NaN)) / size, `the objective at step ${t}`).toBeLessThan(within.loss);
    for (const [loss, value] of Object.entries(got.losses)) expect(Math.abs(value / (oracle.losses.get(loss)?.data[0] ?? NaN) - 1), `${loss} at step ${t}`).toBeLessThan(within.loss);
    if (gradients === undefined) continue;
    const grads = await gradients();
    const least = 1e-3 * Math.max(...[...oracle.grads.values()].map((g) => Math.max(...g.map(Math.abs))));
    for (const [name, g] of oracle.grads) {
      const apart = Math.max(...g.map((x, i) => Math.abs(x - (grads.get(name)?.[i] ?? NaN))));
      expect(apart / Math.max(least, ...g.map(Math.abs)), `${name} at step ${t}`).toBeLessThan(within.gradient);
    }
  }
}

test("so on wasm; what has the weight 0 learns nothing in that step, and learns once it has another", async () => {
  const engine = await onWasm(ready);
  const step = (t: number): Promise<{ readonly gradientNorm: Readonly<Record<string, number>> }> => engine.step(batchFor(ready.manifest, t), hyperOf(ready.manifest, t), { watch: false, gradientNorm: true });
  const [one, two] = [(await step(1)).gradientNorm, (await step(2)).gradientNorm];
  expect([one["p1"], one["p3"]]).toEqual([0, 0]);
  expect(Math.min(one["p2"] ?? 0, one["p4"] ?? 0, two["p1"] ?? 0, two["p3"] ?? 0)).toBeGreaterThan(1e-6);
  await engine.importState(initialState(ready.manifest, 1));
  await agree(engine, ready, { loss: 1e-5, gradient: 1e-4 });
  const before = engine.memory().tensors;
  await step(STEPS);
  expect(engine.memory().tensors).toBe(before);
  await expect(engine.step(batchFor(ready.manifest, 1), { ...hyperOf(ready.manifest, 1), weights: { first: 0 } }, none)).rejects.toMatchObject({ code: "mismatch", message: expect.stringContaining("no weight for the loss second") });
  engine.dispose();
});

test.each([["", "f32", "batch 4"], [" in two parts", "f32", "batch 4\n  accumulate 2"], [" in f16", "f16", "batch 4"]] as const)("so on a device%s", async (_, storage, lines) => {
  const own = compilePlan(textOf(courses, lines), "weighed", undefined, { storage });
  const engine = await engineFor(own);
  if (engine === undefined) return;
  await agree(engine, own, storage === "f32" ? { loss: 1e-5, gradient: 1e-4 } : { loss: 2e-2, gradient: 5e-2 }, () => engine.gradients());
  await expect(engine.step(batchFor(own.manifest, 1), { ...hyperOf(own.manifest, 1), weights: { first: 0 } }, none)).rejects.toMatchObject({ code: "mismatch" });
  engine.dispose();
});

test("in two parts on wasm the step is that of the whole batch", async () => {
  const parts = compileRepo("examples/weights.jepa", { text: textOf(courses, "batch 4\n  accumulate 2") });
  const [one, two] = [await onWasm(ready), await onWasm(parts)];
  for (let t = 1; t <= 3; t++) {
    const [batch, hyper] = [batchFor(ready.manifest, t), hyperOf(ready.manifest, t)];
    const [a, b] = [await one.step(batch, hyper, none), await two.step(batch, hyper, none)];
    expect(Math.abs(b.loss / a.loss - 1)).toBeLessThan(1e-5);
  }
  const [a, b] = [await one.exportState(), await two.exportState()];
  for (const [name, x] of a) if (!name.startsWith("optimizer.")) expect(relative(b.get(name) ?? [], x), name).toBeLessThan(1e-3);
  one.dispose();
  two.dispose();
});

test("a resumed run is the run that never stopped, and rows and report tell the weights", async () => {
  const module = { target: "tfjs", module: await importModule(ready) } as const;
  const host = { terminal: { write: () => true } };
  const options = { out: join(folder, "run"), engine: "wasm", probe: false, workers: 0 } as const;
  const last = (): Map<string, unknown> => new Map([...readSafetensors(readFileSync(join(folder, "run", "checkpoint.safetensors"))).tensors].map(([name, { data }]) => [name, data]));
  await train({ manifest: ready.manifest, module: module.module, options, host });
  const whole = last();
  await train({ manifest: ready.manifest, module: module.module, options: { ...options, resume: "previous" }, host });
  expect(last()).toEqual(whole);
  const rows = await readRows(join(folder, "run", "metrics.jsonl"));
  expect(rows.map((r) => r.step)).toEqual([1, 2, 3, 4, 5]);
  for (const row of rows) expect(Reflect.get(row, "weights")).toEqual(hyperOf(ready.manifest, row.step).weights);
  const report = readFileSync(join(folder, "run", "report.html"), "utf8");
  expect(report).toContain("<h3>Weights of losses</h3>");
  expect(report).toContain("cosine 2 → 0.5");
});

test("a loss at its trivial value is no alarm while it weighs nothing", () => {
  const spec = { kind: "loss-trivial", watch: undefined, loss: "late", trivial: { value: 0, of: "one code" }, threshold: 1e-3, steps: 3, because: "" } as const;
  const alarms = (from: number): number[] => {
    const monitors = createMonitors(fakeManifest({ monitors: [spec] }), 1000);
    return Array.from({ length: 12 }, (_, i) => i + 1).flatMap((step) => monitors.observe({ step, losses: { late: 0 }, weights: { late: step < from ? 0 : 0.5 } })).map((a) => a.step);
  };
  expect(alarms(1)).toEqual([3]);
  expect(alarms(6)).toEqual([8]);
  expect(alarms(100)).toEqual([]);
});
