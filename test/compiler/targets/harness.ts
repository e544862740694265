/**
 * Runs emitted modules beside the float64 interpreter.
 *
 * The oracle is the module before any pass of the target, differentiated by the core and run by the interpreter; what is
 * tested has gone through the target's passes, autodiff, emission, `import` and a real tfjs engine.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "vitest";
import { addGradient, differentiate } from "../../../compiler/autodiff/differentiate.js";
import { runPasses } from "../../../compiler/passes/pass.js";
import type { StepProgram } from "../../../compiler/targets/step.js";
import { emitTfjs } from "../../../compiler/targets/tfjs/emit.js";
import { tfjsPasses } from "../../../compiler/targets/tfjs/passes.js";
import { bindDims, evaluate } from "../../../compiler/tensor/eval.js";
import type { Input, Module } from "../../../compiler/tensor/ir.js";
import { funcOf, typeOf } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { elementAt, sizeOf } from "../../../compiler/tensor/ndarray.js";
import { constantOf, evaluate as evaluateDim } from "../../../compiler/types/dim.js";
import type { TfjsModule, Tree } from "../../../runtime/abi.js";
import { streamOf } from "./stream.js";
import { EngineMissing, loadTf } from "../../../runtime/backends/tfjs/engine.js";
import type { LoadedTf, TfEngine } from "../../../runtime/backends/tfjs/engine.js";
import { makeKernels } from "../../../runtime/backends/tfjs/kernels.js";
import type { Kernels } from "../../../runtime/backends/tfjs/kernels.js";
import type { Tensor } from "../../../runtime/backends/tfjs/tf.js";
import { buildTree, leafAt } from "../../../runtime/backends/tfjs/tree.js";

/** A program by its main function; parameters whose path starts with `frozen` are not trained. */
export interface Source {
  readonly module: Module;
  readonly main: string;
  readonly encoders?: readonly { readonly name: string; readonly func: string }[];
  readonly sources?: ReadonlyMap<string, string>;
  readonly doc?: string;
}

const isTrained = (path: string): boolean => !path.startsWith("frozen") && !path.startsWith("teacher");

/** Passes, autodiff, passes: the way of `buildStep`, from tensor IR. */
export function stepOf(source: Source): StepProgram {
  const encoders = source.encoders ?? [];
  const roots = encoders.map((e) => e.func);
  const before = runPasses(source.module, tfjsPasses.before, { roots: [source.main, ...roots] }).module;
  const d = differentiate(before, source.main, { wrt: (i) => i.role === "param" && isTrained(i.path), outputs: [0] });
  const after = runPasses(d.module, tfjsPasses.after, { roots: [d.forward, d.backward, ...roots] }).module;
  const main = funcOf(source.module, source.main);
  const params = main.inputs.filter((i) => i.role === "param").map((i) => {
    const { shape, stack } = typeOf(main, i.value);
    return { name: i.path, shape: shape.map((x) => constantOf(x) ?? 0), stack, group: i.path.split(".")[0] ?? "", trained: isTrained(i.path) };
  });
  const images = main.inputs.filter((i) => i.role === "data").map((i) => i.path);
  return {
    name: "tiny", doc: source.doc, file: "tiny.jepa", module: after, forward: d.forward, backward: d.backward, encoders, params, images, numbers: [], draws: [], weights: [],
    sources: source.sources ?? new Map(),
  };
}

/** The text of a program's module. */
export function textOf(step: StepProgram): string {
  return emitTfjs(step).find((f) => f.path === "model.mjs")?.text ?? "";
}

/** Imports a module's text. */
export async function importText(text: string): Promise<TfjsModule<Tensor, Kernels>> {
  const folder = mkdtempSync(join(tmpdir(), "jepac-emit-"));
  try {
    const file = join(folder, "model.mjs");
    writeFileSync(file, text);
    const loaded: TfjsModule<Tensor, Kernels> = await import(pathToFileURL(file).href);
    return loaded;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Sizes and index ranges of a test's arguments. */
export interface Fill {
  readonly dims: Readonly<Record<string, number>>;
  /** Exclusive bound of the values of index inputs. */
  readonly indexBelow: number;
  readonly seed?: number;
}

/** Random arguments for a function: parameters near 0 (scales near 1 where one-dimensional), indices in range. */
export function argumentsFor(module: Module, fn: string, fill: Fill): NdArray[] {
  const func = funcOf(module, fn);
  const next = streamOf(fill.seed ?? 1);
  const env = new Map(Object.entries(fill.dims));
  return func.inputs.map((input) => {
    const { shape, stack, dtype } = typeOf(func, input.value);
    const sizes = [...stack, ...shape.map((d) => evaluateDim(d, env) ?? NaN)];
    const one = (): number => (dtype === "i32" ? Math.floor((next() + 1) * 0.49999 * fill.indexBelow) : input.role === "param" ? 0.4 * next() : next());
    return { shape: sizes, data: Float64Array.from({ length: sizeOf(sizes) }, one) };
  });
}

export interface Run {
  readonly worst: number;
  readonly tensorsPerStep: readonly number[];
  readonly peakBytes: number;
  readonly peakTensors: number;
  readonly bytesBefore: number;
}

/** Runs the module's step three times on an engine and compares with the interpreter; expects no leak. */
export async function compare(source: Source, fill: Fill, engine: LoadedTf, tolerance = 1e-4): Promise<Run> {
  const { module, main } = source;
  const func = funcOf(module, main);
  const args = argumentsFor(module, main, fill);
  const wrt = (i: Input): boolean => i.role === "param" && isTrained(i.path);
  const oracle = addGradient(module, main, { wrt, outputs: [0] });
  const wanted = evaluate(oracle.module, oracle.gradient, args, bindDims(func, args));
  const emitted = await importText(textOf(stepOf(source)));
  const { tf } = engine;
  const base = makeKernels(tf, engine);
  const meter = metered(base, () => tf.memory());
  const p = buildTree(leavesOf(module, main, args).map(([name, x]): [string, Tensor] => [name, tf.tensor(Float32Array.from(x.data), [...x.shape])]));
  const ofRole = (role: Input["role"]): Record<string, Tensor> => Object.fromEntries(func.inputs.flatMap((input, i): [string, Tensor][] => {
    const x = args[i];
    if (input.role !== role || x === undefined) return [];
    return [[input.path, role === "index" ? tf.tensor(Int32Array.from(x.data), [...x.shape], "int32") : tf.tensor(Float32Array.from(x.data), [...x.shape])]];
  }));
  const inputs = { images: ofRole("data"), masks: ofRole("index"), draws: {} };
  let worst = 0;
  const check = async (name: string, got: Tensor | undefined, want: NdArray | undefined): Promise<void> => {
    if (got === undefined || want === undefined) throw new Error(`${name}: got ${got === undefined ? "nothing" : "a tensor"}, wanted ${want === undefined ? "nothing" : "one"}`);
    expect(got.shape, name).toEqual([...want.shape]);
    const values = await got.data();
    const scale = want.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
    const error = want.data.reduce((m, x, i) => Math.max(m, Math.abs(x - (values[i] ?? NaN)) / scale), 0);
    expect(error, name).toBeLessThan(tolerance);
    worst = Math.max(worst, error);
  };
  const tensorsPerStep: number[] = [];
  const isTensor = (t: Tree<Tensor>): t is Tensor => t instanceof tf.Tensor;
  const bytesBefore = tf.memory().numBytes;
  for (let round = 0; round < 3; round++) {
    const out = emitted.step(round === 1 ? meter.k : base, p, inputs);
    const all: Tensor[] = [out.loss, ...Object.values(out.losses), ...Object.values(out.watch), ...Object.values(out.state), ...leaves(out.grads, isTensor)];
    expect(new Set(all).size, "every tensor handed out once").toBe(all.length);
    expect(all.every((t) => !t.isDisposed), "nothing handed out is freed").toBe(true);
    if (round === 0) {
      await check("loss", out.loss, wanted[0]);
      for (const [i, o] of func.outputs.entries()) {
        if (i > 0 && o.role === "loss") await check(o.path, out.losses[o.path], wanted[i]);
        if (o.role === "watch") await check(o.path, out.watch[o.path], wanted[i]);
      }
      for (const [i, at] of oracle.grads.entries()) {
        const path = func.inputs[at]?.path ?? "";
        const whole = wanted[func.outputs.length + i];
        if (whole === undefined) throw new Error(`no oracle for ${path}`);
        const { stack } = typeOf(func, func.inputs[at]?.value ?? -1);
        for (const [name, x] of unstacked(path, whole, stack)) await check(name, leafAt(out.grads, name, isTensor), x);
      }
    }
    for (const t of all) t.dispose();
    tensorsPerStep.push(tf.memory().numTensors);
  }
  expect(new Set(tensorsPerStep).size, `tensors after each step: ${tensorsPerStep.join(", ")}`).toBe(1);
  for (const t of [...leaves(p, isTensor), ...Object.values(inputs.images), ...Object.values(inputs.masks)]) t.dispose();
  base.dispose();
  return { worst, tensorsPerStep, ...meter.peak(), bytesBefore };
}

function leavesOf(module: Module, main: string, args: readonly NdArray[]): [string, NdArray][] {
  const func = funcOf(module, main);
  return func.inputs.flatMap((input, i) => {
    const x = args[i];
    return input.role === "param" && x !== undefined ? unstacked(input.path, x, typeOf(func, input.value).stack) : [];
  });
}

/** `blocks.*.w` stacked twelve deep as twelve named arrays. */
function unstacked(path: string, x: NdArray, stack: readonly number[]): [string, NdArray][] {
  const [count, ...rest] = stack;
  if (count === undefined) return [[path, x]];
  return Array.from({ length: count }, (_, i) => unstacked(path.replace("*", String(i)), elementAt(x, i), rest)).flat();
}

function leaves(tree: Tree<Tensor>, isTensor: (t: Tree<Tensor>) => t is Tensor): Tensor[] {
  return isTensor(tree) ? [tree] : Object.values(tree).flatMap((t) => leaves(t, isTensor));
}

/** Kernels that note the most memory held after any call. */
export function metered(k: Kernels, memory: () => { numBytes: number; numTensors: number }): { k: Kernels; peak: () => { peakBytes: number; peakTensors: number } } {
  let peakBytes = 0;
  let peakTensors = 0;
  const proxy = new Proxy(k, {
    get: (target, name) => {
      const kernel: unknown = Reflect.get(target, name);
      if (typeof kernel !== "function") return kernel;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(kernel, target, args);
        const now = memory();
        peakBytes = Math.max(peakBytes, now.numBytes);
        peakTensors = Math.max(peakTensors, now.numTensors);
        return result;
      };
    },
  });
  return { k: proxy, peak: () => ({ peakBytes, peakTensors }) };
}

/** The engines of this machine; what is missing is said aloud. */
export async function engines(): Promise<LoadedTf[]> {
  const found: LoadedTf[] = [];
  for (const name of ["wasm", "tfjs-node"] satisfies TfEngine[]) {
    try {
      found.push(await loadTf(name));
    } catch (error) {
      if (!(error instanceof EngineMissing)) throw error;
      console.warn(`NOT TESTED: emitted tfjs modules on ${name}: ${error.message}`);
    }
  }
  return found;
}
