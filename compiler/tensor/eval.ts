/**
 * The float64 interpreter: runs a function of a module on arrays.
 *
 * The oracle for gradients, passes and targets. Owns binding dimensions (from the arguments of the entry function, then
 * through `call` and `repeat`) and the two control ops; the meaning of the primitives is in `kernels.ts`.
 * Does not plan memory and is not fast: it keeps every value of a function until the function returns.
 */
import type { Dim, DimEnv } from "../types/dim.js";
import { evaluate as evaluateDim, printDim, symbolsOf } from "../types/dim.js";
import type { Func, Module, Node, ValueId } from "./ir.js";
import { IrError, funcOf, typeOf } from "./ir.js";
import { evaluateOp } from "./kernels.js";
import type { NdArray } from "./ndarray.js";
import { elementAt, stackArrays } from "./ndarray.js";
import type { PrimitiveName } from "./ops.js";

/**
 * Runs `fn`. Dimensions are solved from the arguments' shapes; `env` gives those that no shape decides.
 * @throws IrError where arguments do not fit the signature or an index leaves its range.
 */
export function evaluate(module: Module, fn: string, args: readonly NdArray[], env: DimEnv = new Map()): readonly NdArray[] {
  const func = funcOf(module, fn);
  if (args.length !== func.inputs.length) throw new IrError(`\`${fn}\` takes ${func.inputs.length} arguments, got ${args.length}.`);
  const bound = bindDims(func, args, env);
  func.inputs.forEach((input, i) => {
    const type = typeOf(func, input.value);
    const wanted = [...type.stack, ...type.shape.map((d) => valueOf(d, bound))];
    const got = args[i]?.shape ?? [];
    if (wanted.length === got.length && wanted.every((d, j) => d === got[j])) return;
    throw new IrError(`Argument \`${input.path}\` of \`${fn}\` has shape [${wanted.join(", ")}], got [${got.join(", ")}].`);
  });
  return runFunc(module, func, args, bound);
}

/** The dimensions of a function from the shapes of its arguments: every axis that is `a*s + b` in one unknown decides it. */
export function bindDims(func: Func, args: readonly { readonly shape: readonly number[] }[], env: DimEnv = new Map()): Map<string, number> {
  const bound = new Map(env);
  const equations = func.inputs.flatMap((input, i) => {
    const type = typeOf(func, input.value);
    const shape = args[i]?.shape.slice(type.stack.length) ?? [];
    return type.shape.map((d, axis): [Dim, number] => [d, shape[axis] ?? NaN]);
  });
  // Each round decides at least one symbol or is the last.
  for (let before = -1; before !== bound.size; ) {
    before = bound.size;
    for (const [d, size] of equations) solve(d, size, bound);
  }
  return bound;
}

/** Decides the one unknown symbol of `d = size`, where it is one and linear. */
function solve(d: Dim, size: number, bound: Map<string, number>): void {
  const [symbol, another] = symbolsOf(d).filter((s) => !bound.has(s));
  if (symbol === undefined || another !== undefined) return;
  if (d.terms.some((t) => t.powers.some(([s, p]) => s === symbol && p > 1))) return;
  const at = (x: number): number => evaluateDim(d, new Map(bound).set(symbol, x)) ?? NaN;
  const slope = at(1) - at(0);
  const solution = (size - at(0)) / slope;
  if (slope !== 0 && Number.isInteger(solution)) bound.set(symbol, solution);
}

function valueOf(d: Dim, env: DimEnv): number {
  const value = evaluateDim(d, env);
  if (value === undefined) throw new IrError(`Dimension ${printDim(d)} has no value.`);
  return value;
}

function runFunc(module: Module, func: Func, args: readonly NdArray[], env: DimEnv): NdArray[] {
  const values = new Map<ValueId, NdArray>();
  const read = (id: ValueId): NdArray => {
    const value = values.get(id);
    if (value === undefined) throw new IrError(`In function \`${func.name}\`: %${id} has no value.`);
    return value;
  };
  func.inputs.forEach((input, i) => {
    const value = args[i];
    if (value !== undefined) values.set(input.value, value);
  });
  for (const node of func.nodes) {
    const results = runNode(module, node, node.args.map(read), env);
    node.results.forEach((r, i) => {
      const value = results[i];
      if (value !== undefined) values.set(r, value);
    });
  }
  return func.outputs.map((o) => read(o.value));
}

function runNode(module: Module, node: Node, args: readonly NdArray[], env: DimEnv): readonly NdArray[] {
  if (node.op === "call") return runFunc(module, funcOf(module, node.attrs.fn), args, innerEnv(node.attrs.dims, env));
  if (node.op === "repeat") return runRepeat(module, node, args, env);
  return evaluateOp<PrimitiveName>(node.op, args, node.attrs, (d) => valueOf(d, env));
}

function innerEnv(bindings: Readonly<Record<string, Dim>>, env: DimEnv): DimEnv {
  return new Map(Object.entries(bindings).map(([s, d]) => [s, valueOf(d, env)]));
}

function runRepeat(module: Module, node: Extract<Node, { op: "repeat" }>, args: readonly NdArray[], env: DimEnv): NdArray[] {
  const { fn, dims, count, reverse, carries, consts } = node.attrs;
  const func = funcOf(module, fn);
  const inner = innerEnv(dims, env);
  const fixed = args.slice(carries, carries + consts);
  const stacked = args.slice(carries + consts);
  let state = args.slice(0, carries);
  const made: NdArray[][] = [];
  for (let step = 0; step < count; step++) {
    const at = reverse ? count - 1 - step : step;
    const results = runFunc(module, func, [...state, ...fixed, ...stacked.map((s) => elementAt(s, at))], inner);
    state = results.slice(0, carries);
    made[at] = results.slice(carries);
  }
  const outputs = func.outputs.slice(carries).map((o, i) => {
    const type = typeOf(func, o.value);
    const shape = [...type.stack, ...type.shape.map((d) => valueOf(d, inner))];
    return stackArrays(made.flatMap((m) => m[i] ?? []), shape);
  });
  return [...state, ...outputs];
}
