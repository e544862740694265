/**
 * A step program in float64, by the interpreter: what engines are held against.
 */
import { evaluate } from "../../../../compiler/tensor/eval.js";
import { funcOf, typeOf } from "../../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../../compiler/tensor/ndarray.js";
import type { StepProgram } from "../../../../compiler/targets/step.js";
import { evaluate as evaluateDim } from "../../../../compiler/types/dim.js";
import type { StepBatch } from "../../../../runtime/abi.js";

/** Largest difference of two tensors over the largest magnitude of the second. */
export function relative(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let apart = 0;
  let size = 0;
  for (let i = 0; i < wanted.length; i++) {
    apart = Math.max(apart, Math.abs((got[i] ?? NaN) - (wanted[i] ?? NaN)));
    size = Math.max(size, Math.abs(wanted[i] ?? NaN));
  }
  return got.length === wanted.length ? apart / Math.max(size, 1e-12) : Infinity;
}

/** What a step makes, by name. `state` is what running statistics become. */
export interface Interpreted {
  readonly losses: Map<string, NdArray>;
  readonly grads: Map<string, Float64Array>;
  readonly state: Map<string, Float64Array>;
}

/** Runs forward and backward in float64. */
export function interpreted(step: StepProgram, state: ReadonlyMap<string, Float32Array>, batch: StepBatch): Interpreted {
  const env = new Map([["B", batch.size], ...Object.entries(batch.masks).map(([name, m]): [string, number] => [`K_${name}`, m.length])]);
  const given = new Map<string, NdArray>();
  const run = (name: string): void => {
    const func = funcOf(step.module, name);
    const args = func.inputs.map((input): NdArray => {
      const { shape, stack } = typeOf(func, input.value);
      const sizes = [...stack, ...shape.map((d) => evaluateDim(d, env) ?? NaN)];
      const known = given.get(input.path);
      if (input.role === "saved" && known !== undefined) return known;
      if (input.role === "param") return { shape: sizes, data: stacked(state, input.path, stack) };
      if (input.role === "cotangent") return { shape: sizes, data: Float64Array.of(1) };
      return { shape: sizes, data: Float64Array.from(batch.masks[input.path]?.indices ?? batch.images[input.path] ?? batch.numbers?.[input.path] ?? batch.draws[input.path] ?? []) };
    });
    evaluate(step.module, name, args, env).forEach((value, i) => given.set(`${func.outputs[i]?.role === "grad" ? "grad " : ""}${func.outputs[i]?.path ?? ""}`, value));
  };
  run(step.forward);
  const losses = new Map([...given].filter(([name]) => funcOf(step.module, step.forward).outputs.some((o) => o.role === "loss" && o.path === name)));
  run(step.backward);
  const grads = new Map<string, Float64Array>();
  const rewritten = new Map<string, Float64Array>();
  for (const [name, role, into] of [[step.backward, "grad", grads], [step.forward, "data", rewritten]] as const) {
    const func = funcOf(step.module, name);
    for (const o of func.outputs) {
      const value = given.get(`${role === "grad" ? "grad " : ""}${o.path}`);
      if (o.role !== role || value === undefined) continue;
      const names = namesOf(o.path, typeOf(func, o.value).stack);
      names.forEach((own, i) => into.set(own, value.data.subarray((i * value.data.length) / names.length, ((i + 1) * value.data.length) / names.length)));
    }
  }
  return { losses, grads, state: rewritten };
}

function namesOf(path: string, stack: readonly number[]): string[] {
  return stack.reduce<string[]>((names, n) => names.flatMap((name) => Array.from({ length: n }, (_, i) => name.replace("*", String(i)))), [path]);
}

function stacked(state: ReadonlyMap<string, Float32Array>, path: string, stack: readonly number[]): Float64Array {
  return Float64Array.from(namesOf(path, stack).flatMap((name) => [...(state.get(name) ?? [])]));
}
