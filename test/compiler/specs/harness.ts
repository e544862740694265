/**
 * Programs in small, as text and as a step: arguments that respect masks, gradients by the interpreter.
 *
 * The oracle is the lowered program before any pass, differentiated by the core and run in float64. What is compared with
 * it has gone through every stage.
 */
import { readFileSync } from "node:fs";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { check, compile, lowerChecked } from "../../../compiler/compile.js";
import type { CompileResult } from "../../../compiler/compile.js";
import type { Lowered } from "../../../compiler/lower/program.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import type { Func } from "../../../compiler/tensor/ir.js";
import { funcOf, typeOf } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { elementAt, sizeOf } from "../../../compiler/tensor/ndarray.js";
import { evaluate as evaluateDim } from "../../../compiler/types/dim.js";
import type { Manifest } from "../../../runtime/abi.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";

/** Reads files of the repository for `use`. */
export function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** The systems with the overrides that make their small variants small enough for the interpreter. */
export const systems: readonly (readonly [name: string, set: Readonly<Record<string, number>>])[] = [
  ["simsiam", { hidden: 12, bottleneck: 6 }],
  ["byol", { hidden: 12, out: 6 }],
  ["vicreg", { hidden: 12, out: 6 }],
  ["barlow-twins", { hidden: 12, out: 6 }],
  ["simclr", { hidden: 12, out: 6 }],
  ["moco", { hidden: 12, out: 6, keys: 10 }],
  ["dino", { hidden: 12, bottleneck: 6, out: 10, crop: 8 }],
  ["mae", { decoder_width: 8, decoder_depth: 1 }],
  ["data2vec", { image_size: 32 }],
  ["lejepa", { hidden: 12, out: 6, directions: 5, crop: 8 }],
];

const tiny = { image_size: 16, width: 8, depth: 2, heads: 2 };

/** A system's small variant, smaller still. */
export function compileTiny(name: string, set: Readonly<Record<string, number>>): { compiled: CompileResult; lowered: Lowered; manifest: Manifest } {
  return compileText(`examples/${name}-small.jepa`, readFileSync(`examples/${name}-small.jepa`, "utf8"), { ...tiny, ...set });
}

/** Compiles and lowers; mistakes are thrown, as a test has no use for them. */
export function compileText(file: string, text: string, set: Readonly<Record<string, number>> = {}): { compiled: CompileResult; lowered: Lowered; manifest: Manifest } {
  const source = { file, text, read };
  const compiled = compile(source, { set });
  const { checked } = check(source, { set });
  const errors = compiled.diagnostics.filter((d) => d.severity === "error");
  if (checked === undefined || compiled.manifest === undefined || errors.length > 0) throw new Error(`${file}: ${errors.map((d) => `${d.code} ${d.message}`).join("; ")}`);
  return { compiled, lowered: lowerChecked(checked), manifest: compiled.manifest };
}

/** A seeded generator of numbers in [-1, 1). */
export function numbers(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31) - 1;
  };
}

/** Inputs of `main` with the sizes they imply. */
export interface Arguments {
  readonly func: Func;
  readonly args: readonly NdArray[];
  readonly dims: ReadonlyMap<string, number>;
}

/** Seeded arguments of the whole step for a batch: masks by the sampler, scales and variances around one. */
export function argumentsOf(lowered: Lowered, manifest: Manifest, batch: number, seed: number): Arguments {
  const func = funcOf(lowered.module, lowered.main);
  const masks = sampleMasks(manifest.masks, { seed, step: 1, batch });
  const dims = new Map<string, number>([["B", batch]]);
  for (const [name, mask] of masks) dims.set(`K_${name}`, mask.length);
  const next = numbers(seed);
  const inits = new Map(lowered.params.map((p) => [p.path, p]));
  const args = func.inputs.map((input) => {
    const type = typeOf(func, input.value);
    const shape = [...type.stack, ...type.shape.map((d) => evaluateDim(d, dims) ?? NaN)];
    if (input.role === "index") return { shape, data: Float64Array.from(masks.get(input.path)?.indices ?? []) };
    const param = inits.get(input.path);
    const offset = param?.init.kind === "ones" ? 1 : 0;
    // Keeps running variances positive and batch statistics away from nought.
    const scale = input.role !== "param" ? 1 : param?.role === "state" ? 0.3 : 0.5;
    return { shape, data: Float64Array.from({ length: sizeOf(shape) }, () => Math.fround(offset + scale * next())) };
  });
  return { func, args, dims };
}

/** The objective, every output of `main`, and the gradient of each trained parameter, in float64. */
export interface Oracle {
  readonly outputs: ReadonlyMap<string, NdArray>;
  readonly grads: ReadonlyMap<string, NdArray>;
}

/** Runs the oracle. */
export function oracle(lowered: Lowered, { func, args, dims }: Arguments): Oracle {
  const trained = new Set(lowered.params.filter((p) => p.trained).map((p) => p.path));
  const d = addGradient(lowered.module, lowered.main, { wrt: (i) => i.role === "param" && trained.has(i.path), outputs: [0] });
  const results = evaluate(d.module, d.gradient, args, dims);
  const at = (i: number): NdArray => results[i] ?? { shape: [], data: new Float64Array(1) };
  return {
    outputs: new Map(func.outputs.map((o, i) => [`${o.role}:${o.path}`, at(i)])),
    grads: new Map(d.grads.map((input, i) => [func.inputs[input]?.path ?? "", at(func.outputs.length + i)])),
  };
}

/** The objective alone. */
export function lossOf(lowered: Lowered, { func, dims }: Arguments, args: readonly NdArray[]): number {
  return evaluate(lowered.module, lowered.main, args, dims)[func.outputs.findIndex((o) => o.role === "loss")]?.data[0] ?? NaN;
}

/** `blocks.*.w` stacked twelve deep as twelve named arrays. */
export function unstacked(path: string, x: NdArray, stack: readonly number[]): [string, NdArray][] {
  const [count, ...rest] = stack;
  if (count === undefined) return [[path, x]];
  return Array.from({ length: count }, (_, i) => unstacked(path.replace("*", String(i)), elementAt(x, i), rest)).flat();
}
