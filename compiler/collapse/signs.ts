/**
 * Signs: whether a value can lie above zero, and whether it can lie below, whatever the parameters are.
 *
 * An upper bound, never less than the truth: what can do neither is zero. Owns the rule of each op; who asks is the folding of
 * constants (`fold.ts`) and the search for losses without a smallest value (`unbounded.ts`).
 */
import type { ModelOp, Node } from "../model/ir.js";
import type { Domain } from "./interpret.js";

/** What a value may be, as bits. */
const above = 1;
export const below = 2;
const any = above | below;

type Rule = (args: readonly number[], node: Node) => number;

const all: Rule = (args) => args.reduce((bits, a) => bits | a, 0);
const own: Rule = ([a = any]) => a;
const unknown: Rule = () => any;
const positive: Rule = () => above;
const turned = (a: number): number => ((a & above) !== 0 ? below : 0) | ((a & below) !== 0 ? above : 0);
const signOf = (value: number): number => (value > 0 ? above : value < 0 ? below : 0);
const times = (a: number, b: number): number => ((b & above) !== 0 ? a : 0) | ((b & below) !== 0 ? turned(a) : 0);
/** A product of a value with itself is a square. */
const product: Rule = ([a = any, b = any], node) => (node.args[0] === node.args[1] ? magnitude([a], node) : times(a, b));
const magnitude: Rule = ([a = any]) => (a === 0 ? 0 : above);

const rules: Readonly<Record<ModelOp, Rule>> = {
  // A label is one-hot; a picture is normalized.
  input: (_, node) => (node.type.space.kind === "labels" ? above : any),
  param: unknown, call: unknown, repeat: unknown, result: unknown, loss: unknown,
  constant: (_, node) => signOf(node.attrs.value ?? NaN) | (node.attrs.value === undefined ? any : 0),
  patches: own, at: own, table_at: own, expand_at: own, slice_features: own, slice_batch: own, slice_time: own, transpose: own, flatten: own, stop_gradient: own, mean: own, sum: own,
  replace_at: all, concat: all, join_features: all, union: all, add: all,
  sub: ([a = any, b = any]) => a | turned(b),
  neg: ([a = any]) => turned(a),
  mul: product, div: product,
  matmul: ([a = any, b = any]) => times(a, b),
  similarities: unknown, second_moments: unknown, diagonal: own, off_diagonal: ([a = any], { attrs }) => a | signOf(attrs.value ?? 0),
  affine: ([a = any, b = any, c = 0]) => times(a, b) | c,
  rotate: ([a = any]) => (a === 0 ? 0 : any),
  attend: ([, , v = any]) => v,
  scale: ([a = any], { attrs }) => (attrs.schedule?.points ?? [attrs.value ?? NaN]).reduce((bits, by) => bits | (Number.isNaN(by) ? any : times(a, signOf(by))), 0),
  shift: ([a = any], { attrs }) => a | signOf(attrs.value ?? 0),
  exp: positive, sigmoid: positive, softmax: positive, sinkhorn: positive, assign: positive, sqrt: magnitude, square: magnitude, abs: magnitude,
  relu: ([a = any]) => a & above,
  gelu: own, tanh: own, l2_normalize: own,
  log_softmax: () => below,
  log: unknown, normalize: unknown, batch_normalize: unknown, batch_norm: unknown, center: unknown, whiten: unknown, nearest: unknown,
};

/** Signs as a domain of facts. */
export const signDomain: Domain<number> = {
  nothing: any,
  key: String,
  rootKey: () => "",
  input: (node) => rules.input([], node),
  parameter: () => any,
  op: (node, args) => rules[node.op](args, node),
  leave: (sign) => sign,
};
