/**
 * What the tensor tests share: seeded arrays and one or more applications of every op.
 *
 * The case table is total over the op table: an op without a case does not compile, so shape rules, evaluators and
 * gradients are tested for every op that exists. Cases include broadcasting, sizes of 1 and of 0.
 */
import { buildFunc } from "../../../compiler/tensor/build.js";
import type { Func, TensorType, ValueId } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32, i32, makeNode } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { generate } from "../../../compiler/tensor/ndarray.js";
import type { Attrs, OpName, PrimitiveName } from "../../../compiler/tensor/ops.js";
import type { DimLike } from "../../../compiler/types/dim.js";
import { constantDim, dim, dims } from "../../../compiler/types/dim.js";

/** A seeded stream of numbers in [0, 1): splitmix32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Where an operand's elements are drawn from. */
export type Domain =
  /** -2..2, at least 0.01 from 0, so that no step crosses a kink. */
  | "any"
  /** 0.3..2.3 */
  | "positive"
  /** Exactly 0 or 1. */
  | "flag"
  /** Integers 0..below-1. */
  | { readonly below: number };

/** One operand: its shape and domain. */
export interface Operand {
  readonly shape: readonly number[];
  /** The counts of a sequence, outermost first. */
  readonly stack?: readonly number[];
  readonly domain: Domain;
}

/** One application of an op. */
export interface Case<O extends PrimitiveName> {
  readonly operands: readonly Operand[];
  readonly attrs: Attrs<O>;
}

/** Draws an operand. */
export function draw(random: () => number, { shape, stack = [], domain }: Operand): NdArray {
  return generate([...stack, ...shape], () => {
    const u = random();
    if (domain === "positive") return 0.3 + 2 * u;
    if (domain === "flag") return u < 0.5 ? 0 : 1;
    if (domain !== "any") return Math.floor(u * domain.below);
    return u < 0.5 ? -0.01 - 3.98 * u : 0.01 + 3.98 * (u - 0.5);
  });
}

/** The case as a function of one node that returns all results. */
export function caseFunc(op: PrimitiveName, testCase: { readonly operands: readonly Operand[]; readonly attrs: object }): Func {
  const b = buildFunc(emptyModule, { name: op, dims: [] });
  const args = testCase.operands.map((o, i) => b.input(`x${i}`, operandType(o), typeof o.domain === "object" ? "index" : "data"));
  const results = b.copy(makeNode({ op, args, results: [], attrs: testCase.attrs, origin: undefined }), args);
  results.forEach((r: ValueId, i) => b.output(`y${i}`, r));
  return b.finish();
}

/** The type of an operand. */
export function operandType({ shape, stack = [], domain }: Operand): TensorType {
  const sizes = shape.map(constantDim);
  return typeof domain === "object" ? i32(sizes, stack) : f32(sizes, stack);
}

/** All cases as (op, number, case). */
export function allCases(): { op: PrimitiveName; index: number; testCase: { readonly operands: readonly Operand[]; readonly attrs: object } }[] {
  return Object.keys(cases).filter(isCased).flatMap((op) => cases[op].map((testCase, index) => ({ op, index, testCase })));
}

function isCased(op: string): op is PrimitiveName & keyof typeof cases {
  return Object.hasOwn(cases, op);
}

const any = (...shape: number[]): Operand => ({ shape, domain: "any" });
const positive = (...shape: number[]): Operand => ({ shape, domain: "positive" });
const sequence = (stack: readonly number[], ...shape: number[]): Operand => ({ shape, stack, domain: "any" });
const flag = (...shape: number[]): Operand => ({ shape, domain: "flag" });
const index = (below: number, ...shape: number[]): Operand => ({ shape, domain: { below } });
const on = (...operands: Operand[]): { operands: Operand[]; attrs: object } => ({ operands, attrs: {} });
const one = [on(any(2, 3)), on(any(1)), on(any(0, 3)), on(any())];
const onPositive = [on(positive(2, 3)), on(positive(0))];
const two = [on(any(2, 3), any(2, 3)), on(any(2, 3), any(3)), on(any(4, 1, 3), any(2, 1)), on(any(3), any(2, 3)), on(any(), any(2)), on(any(0, 3), any(3)), on(any(2, 3), any(1, 1))];
const d = (x: DimLike): ReturnType<typeof dim> => dim(x);

function withAttrs<O extends PrimitiveName>(attrs: Attrs<O>, ...operands: Operand[]): Case<O> {
  return { operands, attrs };
}

/** Applications of every op. */
export const cases = {
  neg: one, exp: one, log: onPositive, sqrt: onPositive, rsqrt: onPositive, square: one, abs: one, sign: one, relu: one,
  step: one, tanh: one, sigmoid: one, erf: one, gelu: one, sin: one, cos: one, recip: onPositive,
  scale: [withAttrs<"scale">({ by: -1.5 }, any(2, 3))],
  shift: [withAttrs<"shift">({ by: 0.25 }, any(2, 3))],
  scale_dim: [withAttrs<"scale_dim">({ num: d(3), den: d(7) }, any(2, 3))],
  stop_gradient: one,
  to_f32: [on(index(5, 2, 3))],
  add: two, sub: two, mul: two,
  div: [on(any(2, 3), positive(2, 3)), on(any(2, 3), positive(3)), on(any(3), positive(2, 3))],
  max: two, min: two, less: two,
  select: [on(flag(2, 3), any(2, 3), any(2, 3)), on(flag(2, 1), any(3), any(2, 3)), on(flag(3), any(2, 1), any())],
  fill: [withAttrs<"fill">({ shape: dims([2, 3]), value: 1.5, stack: [] }), withAttrs<"fill">({ shape: [], value: 2, stack: [4] })],
  iota: [withAttrs<"iota">({ size: d(4) })],
  reshape: [withAttrs<"reshape">({ shape: dims([3, 2]) }, any(2, 3)), withAttrs<"reshape">({ shape: [] }, any(1, 1))],
  transpose: [withAttrs<"transpose">({ perm: [2, 0, 1] }, any(2, 3, 4)), withAttrs<"transpose">({ perm: [1, 0] }, any(0, 3))],
  broadcast: [withAttrs<"broadcast">({ shape: dims([4, 2, 3]) }, any(2, 1)), withAttrs<"broadcast">({ shape: dims([2, 3]) }, any())],
  slice: [withAttrs<"slice">({ axis: 1, start: d(1), size: d(2) }, any(2, 4, 3)), withAttrs<"slice">({ axis: 0, start: d(1), size: d(0) }, any(2))],
  pad: [withAttrs<"pad">({ axis: 1, before: d(1), after: d(2) }, any(2, 3, 2))],
  concat: [withAttrs<"concat">({ axis: 1 }, any(2, 3), any(2, 1), any(2, 0)), withAttrs<"concat">({ axis: 0 }, any(1), any(2))],
  sum: [withAttrs<"sum">({ axes: [0, 2], keep: false }, any(2, 3, 4)), withAttrs<"sum">({ axes: [1], keep: true }, any(2, 3)), withAttrs<"sum">({ axes: [0], keep: false }, any(0, 2))],
  mean: [withAttrs<"mean">({ axes: [0, 1], keep: false }, any(2, 3)), withAttrs<"mean">({ axes: [1], keep: true }, any(2, 3, 2))],
  reduce_max: [withAttrs<"reduce_max">({ axes: [1], keep: false }, any(2, 4)), withAttrs<"reduce_max">({ axes: [0, 1], keep: true }, any(2, 3))],
  sum_leading: [on(any(2, 3, 4)), on(any(3))],
  matmul: [
    withAttrs<"matmul">({ ta: false, tb: false }, any(2, 3), any(3, 4)),
    withAttrs<"matmul">({ ta: true, tb: false }, any(2, 3, 2), any(2, 3, 4)),
    withAttrs<"matmul">({ ta: false, tb: true }, any(2, 2, 3), any(2, 4, 3)),
    withAttrs<"matmul">({ ta: true, tb: true }, any(3, 2), any(4, 3)),
    withAttrs<"matmul">({ ta: false, tb: false }, any(2, 2, 3), any(3, 4)),
    withAttrs<"matmul">({ ta: false, tb: true }, any(2, 1, 2, 3), any(4, 3)),
    withAttrs<"matmul">({ ta: false, tb: false }, any(0, 3), any(3, 2)),
  ],
  linear: [on(any(2, 3, 4), any(4, 5), any(5)), on(any(0, 4), any(4, 1), any(1))],
  linear_grad_x: [on(any(2, 3, 5), any(4, 5))],
  linear_grad_w: [on(any(2, 3, 4), any(2, 3, 5))],
  scale_rows: [on(any(3, 4), any(3)), on(any(0, 2), any(0))],
  softmax: one.slice(0, 3), log_softmax: one.slice(0, 3),
  softmax_grad: [on(any(2, 3), any(2, 3))],
  log_softmax_grad: [on(any(2, 3), any(2, 3))],
  normalize: [withAttrs<"normalize">({ eps: 1e-3 }, any(2, 3, 4)), withAttrs<"normalize">({ eps: 1e-2 }, any(0, 4))],
  normalize_grad: [on(any(2, 4), positive(2, 1), any(2, 4))],
  gelu_grad: [on(any(2, 3), any(2, 3))],
  gelu_slope: one.slice(0, 3),
  layer_norm: [withAttrs<"layer_norm">({ eps: 1e-3 }, any(2, 3, 4), any(4), any(4)), withAttrs<"layer_norm">({ eps: 1e-2 }, any(0, 4), any(4), any(4))],
  layer_norm_grad: [on(any(2, 4), positive(2, 1), any(4), any(2, 4))],
  feed_forward: [on(any(2, 3, 4), any(4, 5), any(5), any(5, 3), any(3)), on(any(0, 4), any(4, 2), any(2), any(2, 1), any(1))],
  feed_forward_grad: [on(any(2, 3, 4), any(4, 5), any(5, 3), any(2, 3, 10), any(2, 3, 3))],
  smooth_l1_mean: [withAttrs<"smooth_l1_mean">({ beta: 1 }, any(4, 5), any(4, 5))],
  attention: [withAttrs<"attention">({ heads: 2 }, any(2, 3, 12))],
  qkv_attention: [withAttrs<"qkv_attention">({ heads: 2 }, any(2, 3, 5), any(5, 12), any(12))],
  attention_grad: [on(any(2, 2, 3, 9), any(2, 3, 4))],
  attention_rows: [
    withAttrs<"attention_rows">({ heads: 2, start: d(1), size: d(2) }, any(2, 4, 12)),
    withAttrs<"attention_rows">({ heads: 1, start: d(0), size: d(3) }, any(2, 3, 6)),
    withAttrs<"attention_rows">({ heads: 2, start: d(4), size: d(1) }, any(1, 5, 6)),
  ],
  attention_rows_grad: [withAttrs<"attention_rows_grad">({ start: d(1) }, any(2, 2, 4, 8), any(2, 2, 4))],
  sdpa: [withAttrs<"sdpa">({ heads: 2 }, any(2, 3, 4), any(2, 5, 4), any(2, 5, 4)), withAttrs<"sdpa">({ heads: 1 }, any(1, 1, 2), any(1, 1, 2), any(1, 1, 2))],
  sdpa_causal: [withAttrs<"sdpa_causal">({ heads: 2, block: 2 }, any(2, 5, 4), any(2, 5, 4), any(2, 5, 4)), withAttrs<"sdpa_causal">({ heads: 1, block: 1 }, any(1, 3, 2), any(1, 3, 2), any(1, 3, 2)), withAttrs<"sdpa_causal">({ heads: 1, block: 3 }, any(2, 6, 2), any(2, 6, 2), any(2, 6, 2))],
  sdpa_causal_grad: [withAttrs<"sdpa_causal_grad">({ heads: 2, block: 2 }, any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 2, 3), any(2, 3, 4))],
  sdpa_grad: [withAttrs<"sdpa_grad">({ heads: 2 }, any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 2, 3), any(2, 3, 4))],
  gather_rows: [withAttrs<"gather_rows">({ copies: 2 }, any(2, 4, 3), index(4, 4, 3)), withAttrs<"gather_rows">({ copies: 1 }, any(2, 4, 3), index(4, 2, 0))],
  scatter_rows: [withAttrs<"scatter_rows">({ batch: d(2), rows: d(4) }, any(4, 3, 2), index(4, 4, 3))],
  gather_table: [on(any(5, 3), index(5, 2, 4))],
  scatter_table: [withAttrs<"scatter_table">({ rows: d(5) }, any(2, 4, 3), index(5, 2, 4))],
  tile_batch: [withAttrs<"tile_batch">({ copies: 3 }, any(2, 3))],
  sum_tiles: [withAttrs<"sum_tiles">({ copies: 3 }, any(6, 2))],
  one_hot: [withAttrs<"one_hot">({ size: d(4) }, index(4, 2, 3))],
  patchify: [withAttrs<"patchify">({ patch: [2, 2] }, any(2, 4, 6, 3)), withAttrs<"patchify">({ patch: [1, 3] }, any(2, 2, 6, 2))],
  unpatchify: [withAttrs<"unpatchify">({ patch: [2, 2], height: d(4), width: d(6) }, any(2, 6, 12)), withAttrs<"unpatchify">({ patch: [4, 1], height: d(4), width: d(3) }, any(2, 3, 8))],
  smooth_l1: [withAttrs<"smooth_l1">({ beta: 1 }, any(4, 5), any(4, 5)), withAttrs<"smooth_l1">({ beta: 0.3 }, any(2, 3), any(2, 3))],
  smooth_l1_grad: [withAttrs<"smooth_l1_grad">({ beta: 1 }, any(4, 5), any(4, 5), any(4, 5))],
  stack_front: [on(sequence([3], 2, 2)), on(sequence([1], 2)), on(sequence([2, 3], 2))],
  stack_last: [on(sequence([3], 2, 2)), on(sequence([1], 2)), on(sequence([2, 3], 2))],
  stack_join: [on(sequence([2], 2, 3), any(2, 3)), on(any(2, 3)), on(sequence([1, 2], 3), sequence([2], 3)), on(sequence([0], 2), any(2))],
} satisfies { readonly [O in PrimitiveName]: readonly { readonly operands: readonly Operand[]; readonly attrs: object }[] };

/** All op names, for tests of totality. */
export const opNames: readonly OpName[] = [...Object.keys(cases).filter(isCased), "call", "repeat"];
