/**
 * The gradient of every op: from cotangents of its results to cotangents of its operands.
 *
 * Total over the op table. A rule is one of three: `vjp` builds the cotangents; `zero` says that the derivative is nought
 * (piecewise constant, or stopped by definition) so that nothing flows; `none` says that there is a derivative but no rule,
 * and differentiating through it is a bug. Rules ask for operands and results only where they read them: what a rule asks
 * for is what the forward function has to save.
 */
// tidy: table
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { IrError } from "../tensor/ir.js";
import type { Attrs, PrimitiveName } from "../tensor/ops.js";
import type { Dim } from "../types/dim.js";
import { constantDim, constantOf, divide, equal, product, sub, total } from "../types/dim.js";

/** What a rule sees. Ids are values of the backward function under construction. */
export interface VjpContext<O extends PrimitiveName = PrimitiveName> {
  readonly b: FuncBuilder;
  readonly attrs: Attrs<O>;
  readonly nArgs: number;
  /** The cotangent of the first result. */
  readonly dy: ValueId;
  /** An operand of the forward op; asking makes it saved. */
  arg(i: number): ValueId;
  /** A result of the forward op; asking makes it saved. */
  result(i: number): ValueId;
  /** Shapes are known without saving anything. */
  argShape(i: number): readonly Dim[];
  argStack(i: number): readonly number[];
  /** Whether the cotangent of operand i is needed. */
  wants(i: number): boolean;
}

/** The gradient of an op. */
export type VjpRule<O extends PrimitiveName> =
  | {
      readonly kind: "vjp";
      /** Whether a gradient passes to operand i at all; all others have none (an index, a condition). */
      readonly passes: (i: number) => boolean;
      /** The cotangent of each wanted operand; undefined for the others. */
      readonly run: (cx: VjpContext<O>) => readonly (ValueId | undefined)[];
    }
  | { readonly kind: "zero"; readonly reason: string }
  | { readonly kind: "none"; readonly reason: string };

/** Sums the axes along which a value of shape `shape` was broadcast to the shape of `dy`. */
function reduceTo(b: FuncBuilder, dy: ValueId, shape: readonly Dim[]): ValueId {
  const own = b.shapeOf(dy);
  const offset = own.length - shape.length;
  const axes = own.flatMap((d, i) => {
    const target = shape[i - offset];
    return target === undefined || (!equal(target, d) && equal(target, one)) ? [i] : [];
  });
  if (axes.length === 0) return dy;
  const last = own.length - 1;
  const allButLast = axes.length === last && !axes.includes(last);
  const summed = allButLast ? b.op("sum_leading", [dy]) : b.op("sum", [dy], { axes, keep: false });
  return b.op("reshape", [summed], { shape });
}

/** Whether a gradient passes from the results of an op to its operand i. */
export function passesTo(op: PrimitiveName, i: number): boolean {
  const rule = vjps[op];
  return rule.kind === "none" || (rule.kind === "vjp" && rule.passes(i));
}

/** Builds the cotangents of an op's wanted operands. @throws IrError where the op has a derivative but no rule. */
export function applyVjp<O extends PrimitiveName>(op: O, cx: VjpContext<O>): readonly (ValueId | undefined)[] {
  const table: { readonly [P in PrimitiveName]: VjpRule<P> } = vjps;
  const rule: VjpRule<O> = table[op];
  if (rule.kind === "none") throw new IrError(`There is no gradient through \`${op}\`: ${rule.reason}.`);
  return rule.kind === "vjp" ? rule.run(cx) : [];
}

const one = constantDim(1);

/** Ops whose gradient the table says to be nought. */
function zero(reason: string): { readonly kind: "zero"; readonly reason: string } {
  return { kind: "zero", reason };
}

/** Ops that only autodiff makes: a second derivative is not needed by any target. */
const second = { kind: "none", reason: "it is itself a gradient, and second derivatives are not built" } as const;
const indices = zero("indices are not numbers to differentiate");
const constant = zero("it is a constant");
const flat = zero("piecewise constant");

type Rule<O extends PrimitiveName> = (cx: VjpContext<O>) => ValueId;

/** A rule for each operand in turn; `null` where none passes. */
function each<O extends PrimitiveName>(...rules: readonly (Rule<O> | null)[]): VjpRule<O> {
  return {
    kind: "vjp",
    passes: (i) => rules[i] != null,
    run: (cx) => rules.map((rule, i) => (rule !== null && cx.wants(i) ? rule(cx) : undefined)),
  };
}

/** A rule that makes the cotangents of all operands together. */
function joint<O extends PrimitiveName>(run: (cx: VjpContext<O>) => readonly (ValueId | undefined)[]): VjpRule<O> {
  return { kind: "vjp", passes: () => true, run };
}

/** dy times a factor. */
function times<O extends PrimitiveName>(factor: Rule<O>): VjpRule<O> {
  return each<O>((cx) => cx.b.op("mul", [cx.dy, factor(cx)]));
}

/** Rules of a broadcasting op: cotangents of the result's shape, summed to the operands' shapes. */
function pair<O extends PrimitiveName>(left: Rule<O>, right: Rule<O>): VjpRule<O> {
  return each<O>(
    (cx) => reduceTo(cx.b, left(cx), cx.argShape(0)),
    (cx) => reduceTo(cx.b, right(cx), cx.argShape(1)),
  );
}

/** 1 - x. */
function complement(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("shift", [b.op("neg", [x])], { by: 1 });
}

/** The result of a reduction given back the axes it lost, then repeated to the operand's shape. */
function spread<O extends PrimitiveName>(cx: VjpContext<O>, y: ValueId, axes: readonly number[]): ValueId {
  const shape = cx.argShape(0);
  const kept = shape.map((d, i) => (axes.includes(i) ? one : d));
  return cx.b.op("broadcast", [cx.b.op("reshape", [y], { shape: kept })], { shape });
}

function invert(perm: readonly number[]): number[] {
  return perm.map((_, i) => perm.indexOf(i));
}

function dimAt(shape: readonly Dim[], axis: number): Dim {
  const d = shape[axis];
  if (d === undefined) throw new IrError(`There is no axis ${axis}.`);
  return d;
}

/** dA of a batched product op(a) op(b): dy op(b)^T, transposed where a was. */
function matmulLeft(cx: VjpContext<"matmul">): ValueId {
  const { ta, tb } = cx.attrs;
  const b = cx.arg(1);
  if (ta) return cx.b.op("matmul", [b, cx.dy], { ta: tb, tb: true });
  return cx.b.op("matmul", [cx.dy, b], { ta: false, tb: !tb });
}

/** dB: op(a)^T dy; one matrix for all of a batch takes the sum over the batch, without making it first. */
function matmulRight(cx: VjpContext<"matmul">): ValueId {
  const { ta, tb } = cx.attrs;
  const a = cx.arg(0);
  if (cx.argShape(0).length > cx.argShape(1).length) return cx.b.op("linear_grad_w", tb ? [cx.dy, a] : [a, cx.dy]);
  if (tb) return cx.b.op("matmul", [cx.dy, a], { ta: true, tb: ta });
  return cx.b.op("matmul", [a, cx.dy], { ta: !ta, tb: false });
}

/** dy / number of averaged elements, which may be known at run time only. */
function overCount<O extends "mean">(cx: VjpContext<O>, axes: readonly number[]): ValueId {
  const count = product(axes.map((axis) => dimAt(cx.argShape(0), axis)));
  const known = constantOf(count);
  if (known !== undefined && known > 0) return cx.b.op("scale", [cx.dy], { by: 1 / known });
  return cx.b.op("scale_dim", [cx.dy], { num: one, den: count });
}

/** The maximum's cotangent goes to the elements that attain it, in equal parts. */
function maxShare(cx: VjpContext<"reduce_max">): ValueId {
  const { b } = cx;
  const { axes } = cx.attrs;
  const attained = complement(b, b.op("less", [cx.arg(0), spread(cx, cx.result(0), axes)]));
  const ties = b.op("sum", [attained], { axes, keep: true });
  const dy = b.op("reshape", [cx.dy], { shape: b.shapeOf(ties) });
  return b.op("mul", [attained, b.op("div", [dy, ties])]);
}

function concatParts(cx: VjpContext<"concat">, n: number): (ValueId | undefined)[] {
  const { axis } = cx.attrs;
  const sizes = Array.from({ length: n }, (_, i) => dimAt(cx.argShape(i), axis));
  return sizes.map((size, i) =>
    cx.wants(i) ? cx.b.op("slice", [cx.dy], { axis, start: total(sizes.slice(0, i)), size }) : undefined,
  );
}

/** The rule of every primitive op. */
export const vjps = {
  neg: each((cx) => cx.b.op("neg", [cx.dy])),
  exp: times((cx) => cx.result(0)),
  log: each((cx) => cx.b.op("div", [cx.dy, cx.arg(0)])),
  sqrt: each((cx) => cx.b.op("scale", [cx.b.op("div", [cx.dy, cx.result(0)])], { by: 0.5 })),
  rsqrt: each((cx) => {
    const y = cx.result(0);
    const cube = cx.b.op("mul", [y, cx.b.op("square", [y])]);
    return cx.b.op("scale", [cx.b.op("mul", [cx.dy, cube])], { by: -0.5 });
  }),
  square: each((cx) => cx.b.op("scale", [cx.b.op("mul", [cx.dy, cx.arg(0)])], { by: 2 })),
  abs: times((cx) => cx.b.op("sign", [cx.arg(0)])),
  sign: flat,
  relu: times((cx) => cx.b.op("step", [cx.arg(0)])),
  step: flat,
  tanh: times((cx) => complement(cx.b, cx.b.op("square", [cx.result(0)]))),
  sigmoid: times((cx) => cx.b.op("mul", [cx.result(0), complement(cx.b, cx.result(0))])),
  erf: times((cx) => cx.b.op("scale", [cx.b.op("exp", [cx.b.op("neg", [cx.b.op("square", [cx.arg(0)])])])], { by: 2 / Math.sqrt(Math.PI) })),
  gelu: each((cx) => cx.b.op("gelu_grad", [cx.arg(0), cx.dy])),
  sin: times((cx) => cx.b.op("cos", [cx.arg(0)])),
  cos: times((cx) => cx.b.op("neg", [cx.b.op("sin", [cx.arg(0)])])),
  recip: times((cx) => cx.b.op("neg", [cx.b.op("square", [cx.result(0)])])),
  scale: each((cx) => cx.b.op("scale", [cx.dy], { by: cx.attrs.by })),
  shift: each((cx) => cx.dy),
  scale_dim: each((cx) => cx.b.op("scale_dim", [cx.dy], cx.attrs)),
  stop_gradient: zero("that is what it is for"),
  to_f32: indices,
  add: pair((cx) => cx.dy, (cx) => cx.dy),
  sub: pair((cx) => cx.dy, (cx) => cx.b.op("neg", [cx.dy])),
  mul: pair(
    (cx) => cx.b.op("mul", [cx.dy, cx.arg(1)]),
    (cx) => cx.b.op("mul", [cx.dy, cx.arg(0)]),
  ),
  div: pair(
    (cx) => cx.b.op("div", [cx.dy, cx.arg(1)]),
    (cx) => cx.b.op("neg", [cx.b.op("div", [cx.b.op("mul", [cx.dy, cx.result(0)]), cx.arg(1)])]),
  ),
  // Where the operands are equal the first one takes the whole cotangent, as it does the value.
  max: pair(
    (cx) => cx.b.op("mul", [cx.dy, complement(cx.b, cx.b.op("less", [cx.arg(0), cx.arg(1)]))]),
    (cx) => cx.b.op("mul", [cx.dy, cx.b.op("less", [cx.arg(0), cx.arg(1)])]),
  ),
  min: pair(
    (cx) => cx.b.op("mul", [cx.dy, complement(cx.b, cx.b.op("less", [cx.arg(1), cx.arg(0)]))]),
    (cx) => cx.b.op("mul", [cx.dy, cx.b.op("less", [cx.arg(1), cx.arg(0)])]),
  ),
  less: flat,
  select: each(
    null,
    (cx) => reduceTo(cx.b, cx.b.op("select", [cx.arg(0), cx.dy, cx.b.zerosLike(cx.dy)]), cx.argShape(1)),
    (cx) => reduceTo(cx.b, cx.b.op("select", [cx.arg(0), cx.b.zerosLike(cx.dy), cx.dy]), cx.argShape(2)),
  ),
  fill: constant,
  iota: constant,
  reshape: each((cx) => cx.b.op("reshape", [cx.dy], { shape: cx.argShape(0) })),
  transpose: each((cx) => cx.b.op("transpose", [cx.dy], { perm: invert(cx.attrs.perm) })),
  broadcast: each((cx) => reduceTo(cx.b, cx.dy, cx.argShape(0))),
  slice: each((cx) => {
    const { axis, start, size } = cx.attrs;
    return cx.b.op("pad", [cx.dy], { axis, before: start, after: sub(sub(dimAt(cx.argShape(0), axis), start), size) });
  }),
  pad: each((cx) => {
    const { axis, before } = cx.attrs;
    return cx.b.op("slice", [cx.dy], { axis, start: before, size: dimAt(cx.argShape(0), axis) });
  }),
  concat: joint((cx) => concatParts(cx, cx.nArgs)),
  sum: each((cx) => spread(cx, cx.dy, cx.attrs.axes)),
  mean: each((cx) => spread(cx, overCount(cx, cx.attrs.axes), cx.attrs.axes)),
  reduce_max: each(maxShare),
  sum_leading: each((cx) => cx.b.op("broadcast", [cx.dy], { shape: cx.argShape(0) })),
  matmul: each(matmulLeft, matmulRight),
  linear: each(
    (cx) => cx.b.op("linear_grad_x", [cx.dy, cx.arg(1)]),
    (cx) => cx.b.op("linear_grad_w", [cx.arg(0), cx.dy]),
    (cx) => cx.b.op("sum_leading", [cx.dy]),
  ),
  linear_grad_x: second,
  linear_grad_w: second,
  scale_rows: each(
    (cx) => cx.b.op("scale_rows", [cx.dy, cx.arg(1)]),
    (cx) => cx.b.op("sum", [cx.b.op("mul", [cx.dy, cx.arg(0)])], { axes: [1], keep: false }),
  ),
  softmax: each((cx) => cx.b.op("softmax_grad", [cx.result(0), cx.dy])),
  softmax_grad: second,
  log_softmax: each((cx) => cx.b.op("log_softmax_grad", [cx.result(0), cx.dy])),
  log_softmax_grad: second,
  normalize: each((cx) => cx.b.op("normalize_grad", [cx.result(0), cx.result(1), cx.dy])),
  normalize_grad: second,
  gelu_grad: second,
  gelu_slope: times((cx) => cx.result(1)),
  layer_norm: joint((cx) => cx.b.multi("layer_norm_grad", [cx.result(1), cx.result(2), cx.arg(1), cx.dy])),
  layer_norm_grad: second,
  feed_forward: joint((cx) => cx.b.multi("feed_forward_grad", [cx.arg(0), cx.arg(1), cx.arg(3), cx.result(1), cx.dy])),
  feed_forward_grad: second,
  smooth_l1_mean: each(
    (cx) => cx.b.op("mul", [cx.result(1), cx.dy]),
    (cx) => cx.b.op("neg", [cx.b.op("mul", [cx.result(1), cx.dy])]),
  ),
  attention: each((cx) => cx.b.op("attention_grad", [cx.result(1), cx.dy])),
  qkv_attention: {
    kind: "vjp",
    passes: () => true,
    run: (cx) => {
      const dqkv = cx.b.op("attention_grad", [cx.result(1), cx.dy]);
      return [
        cx.wants(0) ? cx.b.op("linear_grad_x", [dqkv, cx.arg(1)]) : undefined,
        cx.wants(1) ? cx.b.op("linear_grad_w", [cx.arg(0), dqkv]) : undefined,
        cx.wants(2) ? cx.b.op("sum_leading", [dqkv]) : undefined,
      ];
    },
  },
  attention_grad: second,
  attention_rows: each((cx) => cx.b.op("attention_rows_grad", [cx.result(1), cx.dy], { start: cx.attrs.start })),
  attention_rows_grad: second,
  sdpa: joint((cx) => {
    const saved = [cx.arg(0), cx.arg(1), cx.arg(2), cx.result(0), cx.result(1)];
    return cx.b.multi("sdpa_grad", [...saved, cx.dy], cx.attrs);
  }),
  sdpa_grad: second,
  sdpa_causal: joint((cx) => {
    const saved = [cx.arg(0), cx.arg(1), cx.arg(2), cx.result(0), cx.result(1)];
    return cx.b.multi("sdpa_causal_grad", [...saved, cx.dy], cx.attrs);
  }),
  sdpa_causal_grad: second,
  gather_rows: each(
    (cx) => {
      const [batch, rows] = cx.argShape(0);
      return cx.b.op("scatter_rows", [cx.dy, cx.arg(1)], { batch: batch ?? one, rows: rows ?? one });
    },
    null,
  ),
  // A row of the cotangent that was summed over copies goes back to each of them.
  scatter_rows: each(
    (cx) => {
      const copies = constantOf(divide(dimAt(cx.argShape(1), 0), cx.attrs.batch) ?? constantDim(0));
      if (copies === undefined) throw new IrError("The number of copies of a scatter must be known.");
      return cx.b.op("gather_rows", [cx.dy, cx.arg(1)], { copies });
    },
    null,
  ),
  gather_table: each((cx) => cx.b.op("scatter_table", [cx.dy, cx.arg(1)], { rows: dimAt(cx.argShape(0), 0) }), null),
  scatter_table: each((cx) => cx.b.op("gather_table", [cx.dy, cx.arg(1)]), null),
  tile_batch: each((cx) => cx.b.op("sum_tiles", [cx.dy], cx.attrs)),
  sum_tiles: each((cx) => cx.b.op("tile_batch", [cx.dy], cx.attrs)),
  one_hot: indices,
  patchify: each((cx) => {
    const [, height, width] = cx.argShape(0);
    return cx.b.op("unpatchify", [cx.dy], { patch: cx.attrs.patch, height: height ?? one, width: width ?? one });
  }),
  unpatchify: each((cx) => cx.b.op("patchify", [cx.dy], { patch: cx.attrs.patch })),
  smooth_l1: each(
    (cx) => cx.b.op("smooth_l1_grad", [cx.arg(0), cx.arg(1), cx.dy], cx.attrs),
    (cx) => cx.b.op("neg", [cx.b.op("smooth_l1_grad", [cx.arg(0), cx.arg(1), cx.dy], cx.attrs)]),
  ),
  smooth_l1_grad: second,
  stack_front: each((cx) => {
    const { shape, stack } = cx.b.typeOf(cx.dy);
    return cx.b.op("stack_join", [cx.dy, cx.b.fill(shape, 0, stack.slice(1))]);
  }),
  stack_last: each((cx) => {
    const { shape, stack } = cx.b.typeOf(cx.dy);
    const [count = 1] = cx.argStack(0);
    return cx.b.op("stack_join", count === 1 ? [cx.dy] : [cx.b.fill(shape, 0, [count - 1, ...stack]), cx.dy]);
  }),
  stack_join: joint((cx) => {
    const ends = cx.nArgs === 1 ? (["stack_last"] as const) : (["stack_front", "stack_last"] as const);
    return ends.map((end, i) => (cx.wants(i) ? cx.b.op(end, [cx.dy]) : undefined));
  }),
} satisfies { readonly [O in PrimitiveName]: VjpRule<O> };
