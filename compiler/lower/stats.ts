/**
 * Statistics over samples, as tensor ops: what batch losses and batch layers are made of.
 *
 * Owns the layout question. A statistic runs along one axis (images, tokens, time, or all rows at once); `samples` brings
 * any value into `[groups, n, features]` with that axis second to last, so that each loss is written once. Sums run in
 * the order of the reductions of the IR, which is fixed, so a batch statistic has the same bits on every run.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import type { Dim } from "../types/dim.js";
import { add, constantDim, product } from "../types/dim.js";

const one = constantDim(1);

/** A matrix of samples: rows `n`, features `width`; a leading axis of groups where `groups` is true. */
export interface Samples {
  readonly x: ValueId;
  readonly n: Dim;
  readonly width: Dim;
  readonly groups: boolean;
}

function dimAt(shape: readonly Dim[], axis: number): Dim {
  const d = shape.at(axis);
  if (d === undefined) throw new Error(`there is no axis ${axis}`);
  return d;
}

/** Brings a value into samples along the axis that `over` names; the other axes but the last become groups. */
export function samples(b: FuncBuilder, x: ValueId, axes: readonly string[], over: string): Samples {
  const shape = b.shapeOf(x);
  const width = dimAt(shape, -1);
  const leading = shape.slice(0, -1);
  const name = over === "images" ? "batch" : over === "tokens" ? "token" : over;
  const along = axes.slice(0, -1).indexOf(name);
  if (over === "all" || leading.length === 1 || along < 0) {
    const n = product(leading);
    return { x: b.op("reshape", [x], { shape: [n, width] }), n, width, groups: false };
  }
  const rest = leading.map((_, i) => i).filter((i) => i !== along);
  const n = dimAt(leading, along);
  const moved = b.op("transpose", [x], { perm: [...rest, along, leading.length] });
  const groups = product(rest.map((i) => dimAt(leading, i)));
  return { x: b.op("reshape", [moved], { shape: [groups, n, width] }), n, width, groups: true };
}

/** Index of the axis of samples. */
export const rowAxis = (s: Pick<Samples, "groups">): number => (s.groups ? 1 : 0);

/** The samples less their mean. */
export function centered(b: FuncBuilder, s: Samples): ValueId {
  return b.op("sub", [s.x, b.op("mean", [s.x], { axes: [rowAxis(s)], keep: true })]);
}

/** `x / (n - 1)`: what makes a sum of squares an unbiased variance. */
export function perFreedom(b: FuncBuilder, x: ValueId, n: Dim): ValueId {
  return b.op("scale_dim", [x], { num: one, den: add(n, constantDim(-1)) });
}

/** `x / n`. */
export function perCount(b: FuncBuilder, x: ValueId, n: Dim): ValueId {
  return b.op("scale_dim", [x], { num: one, den: n });
}

/** The identity matrix. */
export function eye(b: FuncBuilder, size: Dim): ValueId {
  return b.op("one_hot", [b.op("iota", [], { size })], { size });
}

/** `1 - x`. */
export function complement(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("shift", [b.op("neg", [x])], { by: 1 });
}

/** `aᵀ c` over the rows of samples. */
export function gram(b: FuncBuilder, a: ValueId, c: ValueId): ValueId {
  return b.op("matmul", [a, c], { ta: true, tb: false });
}

/** Each feature with mean 0 and (biased) variance 1 along the rows. */
export function standardized(b: FuncBuilder, s: Samples, eps: number): ValueId {
  const x = centered(b, s);
  const variance = b.op("mean", [b.op("square", [x])], { axes: [rowAxis(s)], keep: true });
  return b.op("mul", [x, b.op("rsqrt", [b.op("shift", [variance], { by: eps })])]);
}

/** The mean of every element. */
export function meanAll(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("mean", [x], { axes: b.shapeOf(x).map((_, i) => i), keep: false });
}

/** The sum of every element. */
export function sumAll(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("sum", [x], { axes: b.shapeOf(x).map((_, i) => i), keep: false });
}

/** Sum over the feature axis, kept with size 1. */
export function sumFeatures(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("sum", [x], { axes: [b.shapeOf(x).length - 1], keep: true });
}

/** `x / sqrt(Σ x² + eps)` over the last axis. */
export function l2Normalize(b: FuncBuilder, x: ValueId, eps: number): ValueId {
  const norm = b.op("rsqrt", [b.op("shift", [sumFeatures(b, b.op("square", [x]))], { by: eps })]);
  return b.op("mul", [x, norm]);
}

/** log Σ e^x along an axis, kept; the maximum taken out is constant to the gradient, whose value does not depend on it. */
export function logSumExp(b: FuncBuilder, x: ValueId, axis: number): ValueId {
  const top = b.op("stop_gradient", [b.op("reduce_max", [x], { axes: [axis], keep: true })]);
  return b.op("add", [b.op("log", [b.op("sum", [b.op("exp", [b.op("sub", [x, top])])], { axes: [axis], keep: true })]), top]);
}

/** The product of all axes but the last. */
export function rowCount(shape: readonly Dim[]): Dim {
  return product(shape.slice(0, -1));
}
