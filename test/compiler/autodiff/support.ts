/**
 * Checking gradients against central differences.
 *
 * Independent of the rules under test: it runs the original function twice per element with the interpreter. The error is
 * relative to the largest gradient element of the input (elements near zero carry the rounding of the difference).
 */
import { expect } from "vitest";
import type { DifferentiateOptions } from "../../../compiler/autodiff/differentiate.js";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { FuncBuilder } from "../../../compiler/tensor/build.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import type { Module, ValueId } from "../../../compiler/tensor/ir.js";
import { funcOf, typeOf, withFunc } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { verify, printProblem } from "../../../compiler/tensor/verify.js";
import { headOf } from "../../../compiler/tensor/visit.js";
import type { DimEnv } from "../../../compiler/types/dim.js";

const step = 1e-5;

/**
 * Adds `<fn>_loss`: the sum over the flagged outputs of output * weight, the weights being further inputs, so that every
 * element of every output has a cotangent of its own.
 */
export function addLoss(module: Module, fn: string, outputs: readonly number[]): Module {
  const func = funcOf(module, fn);
  const b = new FuncBuilder(module, { ...headOf(func), name: `${fn}_loss` });
  const args = func.inputs.map((i) => b.input(i.path, typeOf(func, i.value), i.role));
  const results = b.call(fn, args);
  let loss = b.fill([], 0);
  for (const i of outputs) {
    const y = results[i] ?? -1;
    const weighted = b.op("mul", [y, b.input(`weight ${i}`, b.typeOf(y), "data")]);
    for (const part of elements(b, weighted)) {
      loss = b.op("add", [loss, b.op("sum", [part], { axes: b.shapeOf(part).map((_, axis) => axis), keep: false })]);
    }
  }
  b.output("loss", loss, "loss");
  return withFunc(module, b.finish());
}

/** The tensors of a sequence, or the one tensor. */
function elements(b: FuncBuilder, x: ValueId): ValueId[] {
  const [count] = b.typeOf(x).stack;
  if (count === undefined) return [x];
  return count === 0 ? [] : [...elements(b, b.op("stack_front", [x])), ...elements(b, b.op("stack_last", [x]))];
}

/** Expects the module to verify, with its problems as the message. */
export function expectVerified(module: Module): void {
  expect(verify(module).map(printProblem)).toEqual([]);
}

/** Expects all gradients of the scalar function `fn` to agree with central differences. Returns the largest error. */
export function expectGradients(module: Module, fn: string, args: readonly NdArray[], options: Partial<DifferentiateOptions> = {}, env: DimEnv = new Map(), tolerance = 1e-6): number {
  const func = funcOf(module, fn);
  const wrt = options.wrt ?? ((input) => typeOf(func, input.value).dtype === "f32" && !input.path.startsWith("weight "));
  const made = addGradient(module, fn, { outputs: [0], ...options, wrt });
  expectVerified(made.module);
  const results = evaluate(made.module, made.gradient, args, env);
  const flags = func.inputs.map((input, i) => (typeof wrt === "function" ? wrt(input) : wrt.includes(i)));
  let worst = 0;
  flags.forEach((on, input) => {
    const numeric = on ? differences(module, fn, args, input, env) : undefined;
    const at = made.grads.indexOf(input);
    if (numeric === undefined) return expect(at).toBe(-1);
    const exact = at < 0 ? new Float64Array(numeric.length) : (results[func.outputs.length + at]?.data ?? new Float64Array());
    expect(exact.length).toBe(numeric.length);
    const scale = numeric.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3);
    numeric.forEach((x, i) => (worst = Math.max(worst, Math.abs(x - (exact[i] ?? NaN)) / scale)));
    expect(worst, `${fn}: gradient of ${func.inputs[input]?.path}`).toBeLessThan(tolerance);
  });
  return worst;
}

function differences(module: Module, fn: string, args: readonly NdArray[], input: number, env: DimEnv): number[] {
  const x = args[input];
  if (x === undefined) return [];
  const at = (i: number, delta: number): number => {
    const moved = { shape: x.shape, data: x.data.slice() };
    moved.data[i] = (moved.data[i] ?? NaN) + delta;
    return evaluate(module, fn, args.map((a, j) => (j === input ? moved : a)), env)[0]?.data[0] ?? NaN;
  };
  return Array.from(x.data, (_, i) => (at(i, step) - at(i, -step)) / (2 * step));
}
