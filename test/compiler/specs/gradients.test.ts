/**
 * Every system of the paper: its gradient in float64 against finite differences, and the compiled module on an engine
 * against float64, parameter by parameter, with running state.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { CompileResult } from "../../../compiler/compile.js";
import type { Lowered } from "../../../compiler/lower/program.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import type { TfjsModule, Tree } from "../../../runtime/abi.js";
import { EngineMissing, loadTf } from "../../../runtime/backends/tfjs/engine.js";
import type { LoadedTf } from "../../../runtime/backends/tfjs/engine.js";
import { makeKernels } from "../../../runtime/backends/tfjs/kernels.js";
import type { Kernels } from "../../../runtime/backends/tfjs/kernels.js";
import type { Tensor } from "../../../runtime/backends/tfjs/tf.js";
import { buildTree, leafAt } from "../../../runtime/backends/tfjs/tree.js";
import { argumentsOf, compileText, compileTiny, lossOf, numbers, oracle, systems, unstacked } from "./harness.js";
import type { Arguments } from "./harness.js";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const batch = 6;
let engine: LoadedTf | undefined;
beforeAll(async () => {
  try {
    engine = await loadTf("wasm");
  } catch (error) {
    if (!(error instanceof EngineMissing)) throw error;
    console.warn(`NOT TESTED: compiled systems on an engine: ${error.message}`);
  }
});

/** Imports the module of a compiled program. */
async function importModule(compiled: CompileResult): Promise<TfjsModule<Tensor, Kernels>> {
  const folder = mkdtempSync(join(tmpdir(), "jepac-specs-"));
  try {
    const file = join(folder, "model.mjs");
    writeFileSync(file, compiled.files.find((f) => f.path === "model.mjs")?.text ?? "");
    const loaded: TfjsModule<Tensor, Kernels> = await import(pathToFileURL(file).href);
    return loaded;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Uploads arguments as the runtime does, and runs one step. */
async function stepOn(tf: LoadedTf, compiled: CompileResult, { func, args }: Arguments): Promise<{ value: (kind: "loss" | "grad" | "state", name: string) => Promise<Float32Array | undefined>; left: number }> {
  const module = await importModule(compiled);
  const k = makeKernels(tf.tf, tf);
  const before = tf.tf.memory().numTensors;
  const tensor = (x: NdArray, integer: boolean): Tensor => (integer ? tf.tf.tensor(Int32Array.from(x.data), [...x.shape], "int32") : tf.tf.tensor(Float32Array.from(x.data), [...x.shape]));
  const at = (i: number): NdArray => args[i] ?? { shape: [], data: new Float64Array(1) };
  const draws = new Set(compiled.step?.draws ?? []);
  const pick = (want: (role: string, path: string) => boolean): Record<string, Tensor> =>
    Object.fromEntries(func.inputs.flatMap((input, i): [string, Tensor][] => (want(input.role, input.path) ? [[input.path, tensor(at(i), input.role === "index")]] : [])));
  const stacks = new Map((compiled.step?.params ?? []).map((p) => [p.name, p.stack]));
  const p = buildTree(func.inputs.flatMap((input, i) => (input.role === "param" ? unstacked(input.path, at(i), stacks.get(input.path) ?? []) : [])).map(([name, x]): [string, Tensor] => [name, tensor(x, false)]));
  const inputs = {
    images: pick((role, path) => role === "data" && !draws.has(path)), masks: pick((role) => role === "index"), draws: pick((role, path) => role === "data" && draws.has(path)),
  };
  const out = module.step(k, p, inputs);
  const isTensor = (t: Tree<Tensor>): t is Tensor => t instanceof tf.tf.Tensor;
  const left = tf.tf.memory().numTensors - before;
  const value = async (kind: "loss" | "grad" | "state", name: string): Promise<Float32Array | undefined> => {
    const found = kind === "loss" ? out.loss : kind === "state" ? out.state[name] : leafAt(out.grads, name, isTensor);
    return found === undefined ? undefined : Float32Array.from(await found.data());
  };
  return { value, left };
}

/** SimSiam with its stopped side through copies: the same loss and, by the trained names, the same gradient. */
function splitTargets(from: Arguments): { lowered: Lowered; args: Arguments } {
  const { lowered, manifest } = compileText("split.jepa", `use "./examples/simsiam-small.jepa"
variant split of simsiam_small {
  encoder still   = ema(student, momentum: 0.5)
  head    still_p = ema(project, momentum: 0.5)
  t_a = still_p(pool(still(a)))
  t_b = still_p(pool(still(b)))
  loss 0.5 * negative_cosine(predict(z_a), stopgrad(t_b)) + 0.5 * negative_cosine(predict(z_b), stopgrad(t_a))
}
`, { image_size: 16, width: 8, depth: 2, heads: 2, ...systems.find(([name]) => name === "simsiam")?.[1] });
  const base = argumentsOf(lowered, manifest, batch, 11);
  const values = new Map(from.func.inputs.map((input, i) => [`${input.role}:${input.path}`, from.args[i]]));
  const args = base.func.inputs.map((input, i) => {
    const path = input.path.replace(/^still_p\./, "project.").replace(/^still\./, "student.");
    const value = values.get(`${input.role}:${path}`) ?? base.args[i];
    if (value === undefined) throw new Error(path);
    return value;
  });
  return { lowered, args: { ...base, args } };
}

function error(got: Float32Array | undefined, want: NdArray, floor: number): number {
  if (got === undefined || got.length !== want.data.length) return Infinity;
  const scale = want.data.reduce((m, x) => Math.max(m, Math.abs(x)), floor);
  return want.data.reduce((m, x, i) => Math.max(m, Math.abs(x - (got[i] ?? NaN)) / scale), 0);
}

describe.each(systems)("%s", (name, set) => {
  const { compiled, lowered, manifest } = compileTiny(name, set);
  const args = argumentsOf(lowered, manifest, batch, 11);
  const wanted = oracle(lowered, args);
  const largest = Math.max(...[...wanted.grads.values()].map((g) => g.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0)));

  it("has a gradient for every trained parameter, equal to central differences", () => {
    const trained = lowered.params.filter((p) => p.trained).map((p) => p.path);
    expect([...wanted.grads.keys()].sort()).toEqual([...trained].sort());
    const next = numbers(5);
    // Where a stopped side has the trained weights themselves, differences are taken with copies of them that stay.
    const split = name === "simsiam" ? splitTargets(args) : { lowered, args };
    for (const [path, grad] of wanted.grads) {
      const at = split.args.func.inputs.findIndex((i) => i.role === "param" && i.path === path);
      const direction = Float64Array.from(grad.data, () => next());
      const moved = (h: number): NdArray[] => split.args.args.map((a, i) => (i === at ? { shape: a.shape, data: a.data.map((x, j) => x + h * (direction[j] ?? 0)) } : a));
      const slope = (h: number): number => (lossOf(split.lowered, split.args, moved(h)) - lossOf(split.lowered, split.args, moved(-h))) / (2 * h);
      const analytic = grad.data.reduce((sum, g, j) => sum + g * (direction[j] ?? 0), 0);
      expect(Math.abs(slope(1e-6) - analytic), path).toBeLessThan(1e-6 * largest + 1e-4 * Math.abs(analytic));
    }
  });

  it("computes the same on an engine: loss, gradients, running state", async () => {
    if (engine === undefined) return;
    const { value, left } = await stepOn(engine, compiled, args);
    expect(error(await value("loss", ""), wanted.outputs.get("loss:total") ?? { shape: [], data: new Float64Array(1) }, 1e-6)).toBeLessThan(1e-5);
    let worst = 0;
    const stacks = new Map(lowered.params.map((p) => [p.path, p.stack]));
    for (const [path, grad] of wanted.grads) {
      for (const [leaf, x] of unstacked(path, grad, stacks.get(path) ?? [])) {
        // What is exactly nought (a bias before a batch normalization) is rounding noise in 32 bits: small beside the rest.
        const none = x.data.every((g) => Math.abs(g) < 1e-12 * largest);
        const e = error(await value("grad", leaf), x, none ? largest : 0);
        expect(e, leaf).toBeLessThan(none ? 1e-5 : 1e-4);
        if (!none) worst = Math.max(worst, e);
      }
    }
    const states = lowered.params.filter((p) => p.role === "state");
    for (const { path } of states) {
      const want = wanted.outputs.get(`data:${path}`);
      expect(want, path).toBeDefined();
      if (want !== undefined) expect(error(await value("state", path), want, 1e-6), path).toBeLessThan(1e-5);
    }
    expect(left).toBeGreaterThan(0);
    console.info(`${name}: ${wanted.grads.size} gradients, ${states.length} states, worst relative error ${worst.toExponential(1)}`);
  });
});
