/**
 * What each op becomes in ONNX (opset 17), or the reason that it does not.
 *
 * Total over the op table: an op without a row does not compile. Encoders run alone and without gradients, so ops that only
 * training has are reasons, not code. GELU is written with Erf (the exact form), norms are LayerNormalization, attention is
 * two products around a Softmax per head.
 */
// tidy: table
import type { TensorType } from "../../tensor/ir.js";
import { IrError } from "../../tensor/ir.js";
import type { Attrs, PrimitiveName } from "../../tensor/ops.js";
import { add, constantOf, dim, printShape } from "../../types/dim.js";
import type { Dim } from "../../types/dim.js";
import type { OnnxGraph } from "./graph.js";
import { NotInOnnx } from "./graph.js";

/** One application: names and types of the operands, and which results anybody reads. */
export interface OnnxCall<O extends PrimitiveName> {
  readonly g: OnnxGraph;
  readonly args: readonly string[];
  readonly types: readonly TensorType[];
  readonly attrs: Attrs<O>;
  readonly used: (result: number) => boolean;
}

/** The names of the results, or why ONNX models of encoders do not have this op. */
export type OnnxRow<O extends PrimitiveName> = ((call: OnnxCall<O>) => readonly string[]) | { readonly why: string };

type Any = OnnxCall<PrimitiveName>;

const simple = (op: string) => ({ g, args }: Pick<Any, "g" | "args">): string[] => [g.op(op, args)];
const training = { why: "it only occurs in training" };
const partial = { why: "it is made where only some rows of a training step are read" };
const batch = { why: "it picks tokens by a mask, and an exported encoder sees whole images" };

function x(call: Pick<Any, "args">): string {
  return call.args[0] ?? "";
}

function shapeOf(call: Pick<Any, "types">, operand = 0): readonly Dim[] {
  return call.types[operand]?.shape ?? [];
}

/** The number of an axis that must be known. */
function known(d: Dim | undefined, what: string): number {
  const n = d === undefined ? undefined : constantOf(d);
  if (n === undefined) throw new NotInOnnx(`${what} that is not known before the model runs`);
  return n;
}

function unread(call: Pick<Any, "used">, result: number, what: string): string {
  if (call.used(result)) throw new NotInOnnx(what);
  return "";
}

function condition({ g }: Pick<Any, "g">, value: string): string {
  return g.op("Cast", [value], { to: 9 });
}

function number({ g }: Pick<Any, "g">, value: string): string {
  return g.op("Cast", [value], { to: 1 });
}

function gelu({ g, args }: Pick<Any, "g" | "args">): string {
  const value = args[0] ?? "";
  const erf = g.op("Erf", [g.op("Mul", [value, g.fill(Math.SQRT1_2)])]);
  return g.op("Mul", [g.op("Mul", [value, g.fill(0.5)]), g.op("Add", [erf, g.fill(1)])], {}, "gelu");
}

function layerNorm(g: OnnxGraph, value: string, scale: string, offset: string | undefined, eps: number): string {
  return g.op("LayerNormalization", offset === undefined ? [value, scale] : [value, scale, offset], { axis: -1, epsilon: { real: eps } }, "layer_norm");
}

/** softmax(q kᵀ / √d) v per head, of operands [B, T, heads · d]. */
function attention(g: OnnxGraph, [q = "", k = "", v = ""]: readonly string[], heads: number, width: number, hidden?: string): string {
  const each = width / heads;
  const perHead = (value: string, perm: readonly number[]): string => g.op("Transpose", [g.op("Reshape", [value, g.ints([0, 0, heads, each])])], { perm });
  const scores = g.op("MatMul", [perHead(q, [0, 2, 1, 3]), perHead(k, [0, 2, 3, 1])], {}, "scores");
  const scaled = g.op("Mul", [scores, g.fill(1 / Math.sqrt(each))]);
  const shares = g.op("Softmax", [hidden === undefined ? scaled : g.op("Add", [scaled, hidden])], { axis: -1 });
  const mixed = g.op("Transpose", [g.op("MatMul", [shares, perHead(v, [0, 2, 1, 3])])], { perm: [0, 2, 1, 3] });
  return g.op("Reshape", [mixed, g.ints([0, 0, width])], {}, "attention");
}

/** Axes of a reduction without any axis leave the operand as it is; ONNX would reduce all. */
function reduce(op: "ReduceSum" | "ReduceMean" | "ReduceMax", call: OnnxCall<"sum" | "mean" | "reduce_max">): string[] {
  const { axes, keep } = call.attrs;
  if (axes.length === 0) return [call.g.op("Identity", call.args)];
  // Sums take their axes as an operand since opset 13, the others only from 18 on.
  if (op === "ReduceSum") return [call.g.op(op, [x(call), call.g.ints(axes)], { keepdims: keep ? 1 : 0 })];
  return [call.g.op(op, call.args, { axes, keepdims: keep ? 1 : 0 })];
}

function flipped(g: OnnxGraph, value: string, rank: number, flip: boolean): string {
  if (!flip) return value;
  const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
  return g.op("Transpose", [value], { perm });
}

/** Every op's row. */
export const onnxRows: { readonly [O in PrimitiveName]: OnnxRow<O> } = {
  neg: simple("Neg"), exp: simple("Exp"), log: simple("Log"), sqrt: simple("Sqrt"), abs: simple("Abs"), sign: simple("Sign"),
  relu: simple("Relu"), tanh: simple("Tanh"), sigmoid: simple("Sigmoid"), erf: simple("Erf"), sin: simple("Sin"), cos: simple("Cos"), recip: simple("Reciprocal"),
  rsqrt: (c) => [c.g.op("Reciprocal", [c.g.op("Sqrt", c.args)])],
  square: (c) => [c.g.op("Mul", [x(c), x(c)])],
  step: (c) => [number(c, c.g.op("Greater", [x(c), c.g.fill(0)]))],
  gelu: (c) => [gelu(c)],
  scale: (c) => [c.g.op("Mul", [x(c), c.g.fill(c.attrs.by)])],
  shift: (c) => [c.g.op("Add", [x(c), c.g.fill(c.attrs.by)])],
  scale_dim: (c) => [c.g.op("Mul", [x(c), c.g.op("Div", [number(c, c.g.dim(c.attrs.num)), number(c, c.g.dim(c.attrs.den))])])],
  stop_gradient: simple("Identity"),
  to_f32: (c) => [number(c, x(c))],
  add: simple("Add"), sub: simple("Sub"), mul: simple("Mul"), div: simple("Div"), max: simple("Max"), min: simple("Min"),
  less: (c) => [number(c, c.g.op("Less", c.args))],
  select: (c) => [c.g.op("Where", [condition(c, x(c)), c.args[1] ?? "", c.args[2] ?? ""])],
  fill: (c) => {
    if (c.attrs.stack.length > 0) throw new NotInOnnx("a constant for every turn of a loop");
    return [c.g.op("Expand", [c.g.fill(c.attrs.value), c.g.shape(c.attrs.shape)])];
  },
  iota: batch,
  reshape: (c) => [c.g.op("Reshape", [x(c), c.g.shape(c.attrs.shape, true)])],
  transpose: (c) => [c.g.op("Transpose", c.args, { perm: c.attrs.perm })],
  broadcast: (c) => [c.g.op("Expand", [x(c), c.g.shape(c.attrs.shape)])],
  slice: (c) => [c.g.op("Slice", [x(c), c.g.dim(c.attrs.start), c.g.dim(add(c.attrs.start, c.attrs.size)), c.g.ints([c.attrs.axis])])],
  pad: (c) => {
    const rank = shapeOf(c).length;
    const at = (side: Dim): readonly Dim[] => Array.from({ length: rank }, (_, i) => (i === c.attrs.axis ? side : dim(0)));
    return [c.g.op("Pad", [x(c), c.g.shape([...at(c.attrs.before), ...at(c.attrs.after)])])];
  },
  concat: (c) => [c.g.op("Concat", c.args, { axis: c.attrs.axis })],
  sum: (c) => reduce("ReduceSum", c),
  mean: (c) => reduce("ReduceMean", c),
  reduce_max: (c) => reduce("ReduceMax", c),
  sum_leading: training,
  matmul: (c) => [c.g.op("MatMul", [flipped(c.g, x(c), shapeOf(c).length, c.attrs.ta), flipped(c.g, c.args[1] ?? "", shapeOf(c, 1).length, c.attrs.tb)])],
  linear: (c) => [c.g.op("Add", [c.g.op("MatMul", [x(c), c.args[1] ?? ""]), c.args[2] ?? ""], {}, "linear")],
  linear_grad_x: training, linear_grad_w: training,
  scale_rows: (c) => [c.g.op("Mul", [x(c), c.g.op("Reshape", [c.args[1] ?? "", c.g.ints([-1, 1])])])],
  softmax: (c) => [c.g.op("Softmax", c.args, { axis: -1 })],
  softmax_grad: training,
  log_softmax: (c) => [c.g.op("LogSoftmax", c.args, { axis: -1 })],
  log_softmax_grad: training,
  normalize: (c) => [
    layerNorm(c.g, x(c), c.g.fill(1, [known(shapeOf(c).at(-1), "a width")]), undefined, c.attrs.eps),
    unread(c, 1, "the deviation of a normalization as a value of its own"),
  ],
  normalize_grad: training, gelu_grad: training,
  gelu_slope: (c) => [gelu(c), unread(c, 1, "the slope of a GELU")],
  layer_norm: (c) => [
    layerNorm(c.g, x(c), c.args[1] ?? "", c.args[2], c.attrs.eps),
    unread(c, 1, "a norm without its scale beside one with it"), unread(c, 2, "the deviation of a normalization as a value of its own"),
  ],
  layer_norm_grad: training, smooth_l1_mean: training,
  feed_forward: (c) => {
    const linear = (value: string, w: number): string => c.g.op("Add", [c.g.op("MatMul", [value, c.args[w] ?? ""]), c.args[w + 1] ?? ""], {}, "linear");
    return [linear(gelu({ ...c, args: [linear(x(c), 1)] }), 3), unread(c, 1, "what a feed-forward block keeps for its gradient")];
  },
  feed_forward_grad: training,
  attention: (c) => {
    const all = known(shapeOf(c).at(-1), "a width");
    const parts = [0, 1, 2].map((i) => c.g.op("Slice", [x(c), c.g.ints([(i * all) / 3]), c.g.ints([((i + 1) * all) / 3]), c.g.ints([2])]));
    return [attention(c.g, parts, c.attrs.heads, all / 3), unread(c, 1, "what attention keeps for its gradient")];
  },
  qkv_attention: (c) => {
    const qkv = c.g.op("Add", [c.g.op("MatMul", [x(c), c.args[1] ?? ""]), c.args[2] ?? ""], {}, "linear");
    const all = known(shapeOf(c, 2).at(-1), "a width");
    const parts = [0, 1, 2].map((i) => c.g.op("Slice", [qkv, c.g.ints([(i * all) / 3]), c.g.ints([((i + 1) * all) / 3]), c.g.ints([2])]));
    return [attention(c.g, parts, c.attrs.heads, all / 3), unread(c, 1, "what attention keeps for its gradient")];
  },
  attention_grad: training,
  sdpa: (c) => [attention(c.g, c.args, c.attrs.heads, known(shapeOf(c).at(-1), "a width")), unread(c, 1, "the normalizer of attention as a value of its own")],
  sdpa_grad: training,
  sdpa_causal: (c) => {
    const { g, args, attrs: { heads, block } } = c;
    const rows = known(shapeOf(c)[1], "a number of tokens");
    const blocks = g.ints(Array.from({ length: rows }, (_, i) => Math.floor(i / block)));
    const [keys, queries] = [g.op("Reshape", [blocks, g.ints([1, rows])]), g.op("Reshape", [blocks, g.ints([rows, 1])])];
    const hidden = g.op("Mul", [number(c, g.op("Greater", [keys, queries])), g.fill(-1e30)]);
    return [attention(g, args, heads, known(shapeOf(c).at(-1), "a width"), hidden), unread(c, 1, "the normalizer of attention as a value of its own")];
  },
  sdpa_causal_grad: training,
  gather_rows: batch, scatter_rows: training, gather_table: batch, scatter_table: training, tile_batch: batch, sum_tiles: training, one_hot: batch,
  patchify: (c) => {
    const [, height, width, channels] = shapeOf(c).map((d, i) => (i === 0 ? 0 : known(d, "an image size")));
    const [p = 1, q = 1] = c.attrs.patch;
    if (height === undefined || width === undefined || channels === undefined) throw new IrError(`patchify of ${printShape(shapeOf(c))}`);
    const cut = c.g.op("Reshape", [x(c), c.g.ints([-1, height / p, p, width / q, q, channels])]);
    const near = c.g.op("Transpose", [cut], { perm: [0, 1, 3, 2, 4, 5] });
    return [c.g.op("Reshape", [near, c.g.ints([-1, (height / p) * (width / q), p * q * channels])], {}, "patches")];
  },
  unpatchify: { why: "it makes images, which encoders read" },
  smooth_l1: training, smooth_l1_grad: training,
  attention_rows: partial, attention_rows_grad: training, stack_front: partial, stack_last: partial, stack_join: partial,
};
