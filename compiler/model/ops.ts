/**
 * The table of model-level ops: operands, attributes, and whether tokens mix. // tidy: table
 *
 * One row per `ModelOp`, total by type, so that an op cannot exist without saying what it needs. `verify.ts` checks nodes
 * against it, `print.ts` writes attributes in its order, `flow.ts` reads from it whether a token of the result has seen
 * other tokens than its own. Result types are in `rules.ts`.
 */
import type { Attrs, ModelOp } from "./attrs.js";

/** Names of attributes. */
export type AttrName = keyof Attrs;

/** What one op needs, and what it does to positions. */
export interface OpRow {
  /** Least and most operands. */
  readonly args: readonly [number, number];
  readonly required: readonly AttrName[];
  readonly optional: readonly AttrName[];
  /** `tokens`: a token of the result depends on other tokens of an operand; `axes`: only if `over` removes tokens. */
  readonly mixes: "nothing" | "tokens" | "axes";
}

const many = 4096;
function row(least: number, most: number): OpRow & { readonly required: readonly [] };
function row<const R extends readonly AttrName[]>(least: number, most: number, required: R, mixes?: OpRow["mixes"], optional?: readonly AttrName[]): OpRow & { readonly required: R };
function row(least: number, most: number, required: readonly AttrName[] = [], mixes: OpRow["mixes"] = "nothing", optional: readonly AttrName[] = []): OpRow {
  return { args: [least, most], required, optional, mixes };
}

/** Every op of the model graph. */
export const opTable = {
  input: row(0, 0, ["path"]),
  param: row(0, 0, ["path"]),
  constant: row(0, 0, ["value"]),
  call: row(0, many, ["instance", "func", "dims"], "tokens"),
  repeat: row(1, many, ["func", "count", "list", "carries", "dims"], "tokens"),
  result: row(1, 1, ["index"]),
  // With `size`, tubes of so many frames.
  patches: row(1, 1, ["patch", "grid"], "nothing", ["size"]),
  at: row(1, 1, ["mask"], "nothing", ["grid", "select"]),
  // With `size`, the same rows for each of so many moments.
  table_at: row(1, 1, ["grid"], "nothing", ["mask", "size"]),
  expand_at: row(1, 1, ["grid"], "tokens", ["mask"]),
  replace_at: row(2, 2, ["mask", "grid"]),
  concat: row(1, many),
  slice_features: row(1, 1, ["start", "size"]),
  join_features: row(1, many),
  // One batch after the other: rows stay apart.
  union: row(1, many),
  slice_batch: row(1, 1, ["index", "count"]),
  slice_time: row(1, 1, ["start", "size"]),
  affine: row(2, 3),
  matmul: row(2, 2),
  transpose: row(1, 1),
  // (x, turns of its tokens: cosines, then sines).
  rotate: row(2, 2, ["heads"]),
  attend: row(3, 3, ["heads"], "tokens", ["block"]),
  // Statistics over the batch as values: products of every pair of rows, their mean over rows; and parts of such a matrix.
  similarities: row(2, 2, [], "tokens"),
  second_moments: row(2, 2, [], "tokens"),
  diagonal: row(1, 1),
  // `value`: what stands on the diagonal instead.
  off_diagonal: row(1, 1, ["value"]),
  add: row(2, 2),
  sub: row(2, 2),
  mul: row(2, 2),
  div: row(2, 2),
  scale: row(1, 1, ["value"], "nothing", ["schedule"]),
  shift: row(1, 1, ["value"]),
  neg: row(1, 1),
  exp: row(1, 1),
  log: row(1, 1),
  sqrt: row(1, 1),
  square: row(1, 1),
  abs: row(1, 1),
  relu: row(1, 1),
  gelu: row(1, 1),
  tanh: row(1, 1),
  sigmoid: row(1, 1),
  softmax: row(1, 1, ["temperature"], "axes", ["over"]),
  log_softmax: row(1, 1, ["temperature"]),
  normalize: row(1, 1, ["eps"]),
  l2_normalize: row(1, 1, ["eps"]),
  // Statistics over the batch are over all of its tokens too.
  batch_normalize: row(1, 1, ["eps"], "tokens"),
  // (x, running mean, running variance): batch statistics in training, running ones in probes.
  batch_norm: row(3, 3, ["eps", "momentum"], "tokens"),
  // (x, running center).
  center: row(2, 2, ["momentum"], "tokens"),
  whiten: row(1, 1, ["eps", "iterations"], "tokens"),
  sinkhorn: row(1, 1, ["temperature", "iterations"], "tokens"),
  // (x, codebook): one-hot of the nearest code, with the gradient of a softmax over codes.
  assign: row(2, 2, ["temperature"]),
  // The row of a queue of `size` earlier ones that is nearest, of length 1; no gradient.
  nearest: row(1, 1, ["size"], "tokens"),
  mean: row(1, 1, ["over"], "axes"),
  sum: row(1, 1, ["over"], "axes"),
  stop_gradient: row(1, 1),
  flatten: row(1, 1, [], "tokens"),
  loss: row(1, 16, ["loss"], "tokens", ["numbers", "strings"]),
} satisfies Readonly<Record<ModelOp, OpRow>>;

/** The attributes of an op's nodes: those that it needs are there. */
export type AttrsOf<Op extends ModelOp> = Attrs & Required<Pick<Attrs, (typeof opTable)[Op]["required"][number]>>;

/** Whether a word is an op. */
export function isModelOp(word: string): word is ModelOp {
  return Object.hasOwn(opTable, word);
}
