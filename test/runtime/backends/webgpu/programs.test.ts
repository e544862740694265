/**
 * Every program of examples/ on WebGPU beside tfjs (wasm), and every system of specs/ with its own optimizer: one step, all
 * losses, all gradients, and everything that the step leaves behind (weights, optimizer slots, moving averages, running
 * statistics), each tensor within 1e-4 of its size. The worst tensor is printed by name.
 *
 * Sizes are smaller still than those of examples/, so that a software driver gets through. AdamW's eps is the size of the
 * largest gradient here: with 1e-8 it makes steps of full size out of rounding, where a gradient is 0 in exact arithmetic.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { openSource } from "../../../../compiler/cli/source.js";
import { sweepRows } from "../../../../compiler/cli/sweep-rows.js";
import type { Manifest, StepBatch, Tree } from "../../../../runtime/abi.js";
import type { LoadedTf } from "../../../../runtime/backends/tfjs/engine.js";
import { loadTf } from "../../../../runtime/backends/tfjs/engine.js";
import { makeKernels } from "../../../../runtime/backends/tfjs/kernels.js";
import { createTfjsEngine } from "../../../../runtime/backends/tfjs/run.js";
import type { Tensor } from "../../../../runtime/backends/tfjs/tf.js";
import { buildTree, leafAt } from "../../../../runtime/backends/tfjs/tree.js";
import { initialState } from "../../../../runtime/train/init.js";
import type { CompiledModule } from "../../../../runtime/train/engines.js";
import { batchFor, engineFor, hyperFor, moduleOf } from "../../../compiler/targets/wgsl/programs.js";
import { compileRepo, importModule, readRepo } from "../../../fidelity/compiled.js";

vi.setConfig({ testTimeout: 600_000 });

const root = join(import.meta.dirname, "../../../..");

interface Case {
  readonly name: string;
  readonly file: string;
  readonly program?: string;
  readonly text?: string;
  /**
   * Gradients count against their own size, or this share of the largest gradient where that is more: behind batch
   * normalization some are 0 in exact arithmetic, and what float32 leaves of them is noise.
   */
  readonly floor: number;
}

/** With tensors that are noise, 1e-4 of this share of the largest: 2e-5 of the largest gradient of all. */
const FLOOR = 0.2;

const normalized = /barlow|byol|simclr|simsiam|vicreg|lejepa/;
const small = readdirSync(join(root, "examples")).filter((f) => f.endsWith("-small.jepa")).sort();
const cases: Case[] = [
  ...small.map((file) => ({ name: file, file: `examples/${file}`, floor: normalized.test(file) ? FLOOR : 0 })),
  // The optimizers of the published recipes, where the small ones train with another.
  ...small.flatMap((file) => {
    const text = readRepo(`examples/${file}`)?.replace(/^ *optimizer .*\n/m, "") ?? "";
    const spec = /use "\.\.\/(specs\/[^"]*)"/.exec(text)?.[1] ?? "";
    const optimizer = /optimizer +(\w+)/.exec(readRepo(spec) ?? "")?.[1];
    return optimizer === "adamw" ? [] : [{ name: `${spec} with its ${optimizer}`, file: `examples/${file}`, text, floor: FLOOR }];
  }),
];

test("the cases are all systems of specs, and three kinds of optimizer", () => {
  const specs = readdirSync(join(root, "specs")).filter((f) => f.endsWith(".jepa")).map((f) => f.replace(".jepa", "")).sort();
  expect(cases.flatMap((c) => /examples\/(.*)-small/.exec(c.file)?.[1] ?? []).filter((name, i, all) => all.indexOf(name) === i).sort()).toEqual(specs);
  expect(new Set(cases.map((c) => /with its (\w+)/.exec(c.name)?.[1] ?? "adamw"))).toEqual(new Set(["adamw", "lars", "sgd"]));
});

test.each(cases)("one step of $name", async (given) => {
  await oneStep(given);
});

const folder = join(root, "examples/ablations");
/** Programs that were compared already, by what they compute: rows of several tables are the same baseline. */
const seen = new Set<string>();

test.each(readdirSync(folder).filter((f) => f.endsWith(".jepa")).sort())("one step of every row of ablations/%s", async (file) => {
  const rows = sweepRows([openSource(join(folder, file), { cwd: root })], {});
  expect(rows.length).toBeGreaterThan(1);
  for (const row of rows) {
    const { program } = row.options;
    if (await oneStep({ name: row.name, file: `examples/ablations/${file}`, program, floor: 0 }, seen) === "no device") return;
  }
});

/** Takes one step on both; with `seen`, only if no program before had the same code and masks. */
async function oneStep({ name, file, program, text, floor }: Case, seen?: Set<string>): Promise<"compared" | "seen" | "no device"> {
  const options = { program, text, set: { width: 32, depth: 2, heads: 4 } };
  const compiled = compileRepo(file, options);
  const { masks, parameters } = compiled.manifest;
  const code = compiled.files.find((f) => f.path === "model.mjs")?.text.replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
  const key = JSON.stringify([code, masks, parameters.map((p) => p.shape)]);
  if (seen?.has(key)) return "seen";
  seen?.add(key);
  const module = await importModule(compiled);
  const loaded = await loadTf("wasm");
  const initial = initialState(compiled.manifest, 1);
  const batch = batchFor(compiled.manifest, 1, floor > 0 ? 12 : 2);
  const wanted = await tfjsGradients(compiled.manifest, module, loaded, initial, batch);
  const { optimizer } = compiled.manifest.train;
  const manifest: Manifest = { ...compiled.manifest, train: { ...compiled.manifest.train, optimizer: optimizer.kind === "adamw" ? { ...optimizer, eps: largest([...wanted.values()]) } : optimizer } };
  const ready = { ...compiled, manifest, module: moduleOf({ ...compileRepo(file, { ...options, target: "wgsl" }), manifest }) };
  const { plan } = ready.module;
  expect(plan.memory.work).toBeLessThanOrEqual(1.25 * plan.memory.lowerBound);
  const engine = await engineFor(ready);
  if (engine === undefined) return "no device";
  const other = await createTfjsEngine(manifest, module, { ...loaded, initial });
  try {
    const hyper = { ...hyperFor(manifest, 1), learningRate: 0.01 };
    const none = { watch: false, gradientNorm: false };
    const [got, reference] = [await engine.step(batch, hyper, none), await other.step(batch, hyper, none)];
    // Losses of normalized features are differences of numbers near 1.
    const near = floor > 0 ? 1e-4 : 1e-5;
    expect(Math.abs(got.loss / reference.loss - 1), "loss").toBeLessThan(near);
    for (const [part, value] of Object.entries(reference.losses)) expect(Math.abs((got.losses[part] ?? NaN) / value - 1), part).toBeLessThan(near);
    const grads = await engine.gradients();
    expect([...grads.keys()].sort()).toEqual([...wanted.keys()].sort());
    const gradient = worst(grads, wanted, floor * largest([...wanted.values()]));
    const [mine, theirs] = [await engine.exportState(), await other.exportState()];
    expect([...mine.keys()].sort()).toEqual([...theirs.keys()].sort());
    const moved = new Map([...theirs].map(([key, x]) => [key, x.map((v, i) => v - (initial.get(key)?.[i] ?? 0))]));
    const slots = ([key]: [string, Float32Array]): boolean => key.startsWith("optimizer.");
    const weights = new Map([...theirs].filter((e) => !slots(e)));
    // SGD and LARS pass gradients of biases as they are, with what is noise in them.
    const noise = optimizer.kind === "adamw" ? 0 : floor * largest([...wanted.values()]);
    const after = worst(mine, weights, Math.max(hyper.learningRate * noise, floor * largest([...moved].filter((e) => !slots(e)).map(([, x]) => x))));
    const kinds = new Map([...theirs].filter(slots).map((e) => [/^optimizer\.([^.]*)/.exec(e[0])?.[1] ?? "", e]));
    const slot = worstOf([...kinds.keys()].map((kind) => {
      const ofKind = new Map([...theirs].filter(([key]) => key.startsWith(`optimizer.${kind}.`)));
      return worst(mine, ofKind, Math.max(noise, floor * (kind.endsWith("v") ? floor : 1) * largest([...ofKind.values()])));
    }));
    console.info(`${name}: loss ${got.loss.toFixed(4)}; worst gradient ${said(gradient)}, weight ${said(after)}, slot ${said(slot)}`);
    expect(weights.size).toBe(manifest.parameters.length);
    expect([...moved].some(([key, x]) => !key.startsWith("optimizer.") && largest([x]) > 1e-6), "weights moved").toBe(true);
    for (const found of [gradient, after, slot]) expect(found.apart, found.name).toBeLessThan(1e-4);
    return "compared";
  } finally {
    engine.dispose();
    other.dispose();
  }
}

/** Gradients of the compiled module, before any optimizer. */
async function tfjsGradients(manifest: Manifest, module: CompiledModule, loaded: LoadedTf, initial: ReadonlyMap<string, Float32Array>, batch: StepBatch): Promise<Map<string, Float32Array>> {
  const { tf } = loaded;
  const isTensor = (t: Tree<Tensor>): t is Tensor => t instanceof tf.Tensor;
  const k = makeKernels(tf, loaded);
  const p = buildTree(manifest.parameters.map(({ name, shape }): [string, Tensor] => [name, tf.tensor(initial.get(name) ?? [], [...shape])]));
  const out = module.step(k, p, {
    images: Object.fromEntries(manifest.views.map((v) => [v.name, tf.tensor(batch.images[v.name] ?? [], [batch.size, ...(v.frames === undefined ? [] : [v.frames]), v.height, v.width, 3])])),
    masks: Object.fromEntries(Object.entries(batch.masks).map(([name, m]) => [name, tf.tensor(m.indices, [m.count * batch.size, m.length], "int32")])),
    draws: Object.fromEntries(manifest.draws.map((d) => [d.name, tf.tensor(batch.draws[d.name] ?? [], [...d.shape])])),
  });
  const grads = new Map<string, Float32Array>();
  for (const { name } of manifest.parameters) {
    const grad = await leafAt(out.grads, name, isTensor)?.data();
    if (grad !== undefined) grads.set(name, Float32Array.from(grad));
  }
  k.dispose();
  return grads;
}

interface Found { readonly name: string; readonly apart: number }

/** The tensor that is furthest off, in shares of its largest value, or of `least` where that is more. */
function worst(got: ReadonlyMap<string, Float32Array>, wanted: ReadonlyMap<string, Float32Array>, least: number): Found {
  return worstOf([...wanted].map(([name, w]) => {
    const own = got.get(name);
    const apart = w.reduce((m, v, i) => Math.max(m, Math.abs(v - (own?.[i] ?? Infinity))), 0);
    return { name, apart: own?.length !== w.length || Number.isNaN(apart) ? Infinity : apart === 0 ? 0 : apart / Math.max(largest([w]), least) };
  }));
}

function worstOf(found: readonly Found[]): Found {
  return found.reduce((a, b) => (b.apart > a.apart ? b : a), { name: "nothing", apart: 0 });
}

function largest(tensors: readonly Float32Array[]): number {
  return tensors.reduce((m, x) => x.reduce((n, v) => Math.max(n, Math.abs(v)), m), 0);
}

function said({ name, apart }: Found): string {
  return `${apart.toExponential(1)} at ${name}`;
}
