/**
 * From ops of the IR to calls of the kernel library: the total table of the tfjs target.
 *
 * A row says what to write for one application, given the texts of its operands: a call of `k` and nothing else, so that
 * emitted code depends on the kernels alone. An op with several results gives them all (as an array) or, where only the
 * first is used, the cheaper kernel that makes just that. Who owns, frees and names results is not decided here.
 */
// tidy: table
import type { Dim } from "../../types/dim.js";
import { constantOf } from "../../types/dim.js";
import type { TensorType } from "../../tensor/ir.js";
import { IrError } from "../../tensor/ir.js";
import type { Attrs, PrimitiveName } from "../../tensor/ops.js";

/** What a row may ask of the application it writes. */
export interface RowContext<O extends PrimitiveName> {
  readonly attrs: Attrs<O>;
  readonly n: number;
  /** Text of an operand, a tensor. */
  arg(i: number): string;
  /** The number that an operand is known to be. */
  number(i: number): number | undefined;
  argType(i: number): TensorType;
  resultType(i: number): TensorType;
  /** Whether a result is used. */
  used(i: number): boolean;
  /** Text of a dimension's value. */
  dim(d: Dim): string;
}

/** A call that returns the result (or the only one used); or one that returns all results as an array. */
export type Lowered = string | { readonly all: string };

/** How one op is written. */
export type Row<O extends PrimitiveName> = (cx: RowContext<O>) => Lowered;

/** Writes one application. */
export function lowerOp<O extends PrimitiveName>(op: O, cx: RowContext<O>): Lowered {
  const table: { readonly [P in PrimitiveName]: Row<P> } = lowerings;
  return table[op](cx);
}

type AnyRow = { arg(i: number): string; readonly n: number };

/** `k.name(all operands)`. */
const plain = (name: string) => (cx: AnyRow): string =>
  `k.${name}(${Array.from({ length: cx.n }, (_, i) => cx.arg(i)).join(", ")})`;

type Binary = AnyRow & { number(i: number): number | undefined };

/** A second operand that is a known number goes as a number; for commuting ops a first one too. */
const binary = (name: string, commutes: boolean) => (cx: Binary): string => {
  const [left, right] = [cx.number(0), cx.number(1)];
  if (right !== undefined) return `k.${name}(${cx.arg(0)}, ${numberText(right)})`;
  if (left !== undefined && commutes) return `k.${name}(${cx.arg(1)}, ${numberText(left)})`;
  return `k.${name}(${cx.arg(0)}, ${cx.arg(1)})`;
};

type Reducing = AnyRow & { readonly attrs: { readonly axes: readonly number[]; readonly keep: boolean }; argType(i: number): TensorType };

const reducing = (name: string) => (cx: Reducing): string => {
  const { axes, keep } = cx.attrs;
  const all = axes.length === cx.argType(0).shape.length;
  if (all && !keep) return name === "mean" ? `k.meanAll(${cx.arg(0)})` : `k.${name}(${cx.arg(0)})`;
  return `k.${name}(${cx.arg(0)}, [${axes.join(", ")}]${keep ? ", true" : ""})`;
};

/** All results where a later one is used, else the kernel that makes the first only. */
const either = (all: string, first: string) => (cx: AnyRow & { used(i: number): boolean }): Lowered =>
  cx.used(1) ? { all: plain(all)(cx) } : plain(first)(cx);

const all = (name: string) => (cx: AnyRow): Lowered => ({ all: plain(name)(cx) });

/** Text of a number. */
export function numberText(value: number): string {
  if (Object.is(value, -0)) return "-0";
  const [plain, short] = [String(value), value.toExponential()];
  return short.length < plain.length && Number(short) === value ? short : plain;
}

/** Ends of sequences are places and arrays, which `function.ts` writes. */
const sequence = (): never => {
  throw new IrError("tfjs target: no kernel takes a sequence.");
};

interface Sized {
  dim(d: Dim): string;
}

function shapeText(cx: Sized, shape: readonly Dim[]): string {
  return `[${shape.map((d) => cx.dim(d)).join(", ")}]`;
}

function axisOf(type: TensorType, axis: number): Dim {
  const d = type.shape.at(axis);
  if (d === undefined) throw new IrError(`There is no axis ${axis}.`);
  return d;
}

/** begin and size lists of a slice along one axis. */
function sliceText(cx: Sized, type: TensorType, axis: number, start: Dim, size: Dim): string {
  const begin = type.shape.map((_, i) => (i === axis ? cx.dim(start) : "0"));
  const sizes = type.shape.map((d, i) => cx.dim(i === axis ? size : d));
  return `[${begin.join(", ")}], [${sizes.join(", ")}]`;
}

/** The row of every primitive op. */
const lowerings = {
  neg: plain("neg"), exp: plain("exp"), log: plain("log"), sqrt: plain("sqrt"), rsqrt: plain("rsqrt"), square: plain("square"),
  abs: plain("abs"), sign: plain("sign"), relu: plain("relu"), step: plain("step"), tanh: plain("tanh"),
  sigmoid: plain("sigmoid"), erf: plain("erf"), gelu: plain("gelu"), sin: plain("sin"), cos: plain("cos"),
  recip: plain("reciprocal"),
  scale: (cx) => `k.mul(${cx.arg(0)}, ${numberText(cx.attrs.by)})`,
  shift: (cx) => `k.add(${cx.arg(0)}, ${numberText(cx.attrs.by)})`,
  scale_dim: (cx) => {
    const { num, den } = cx.attrs;
    const factor = constantOf(den) === 1 ? cx.dim(num) : `${grouped(cx.dim(num))} / ${grouped(cx.dim(den))}`;
    return `k.mul(${cx.arg(0)}, ${factor})`;
  },
  stop_gradient: plain("share"),
  to_f32: plain("toFloat"),
  add: binary("add", true), sub: binary("sub", false), mul: binary("mul", true), div: binary("div", false),
  max: binary("maximum", true), min: binary("minimum", true), less: binary("less", false),
  select: plain("where"),
  fill: (cx) => `k.fill(${shapeText(cx, cx.attrs.shape)}, ${numberText(cx.attrs.value)})`,
  iota: (cx) => `k.range(${cx.dim(cx.attrs.size)})`,
  reshape: (cx) => `k.reshape(${cx.arg(0)}, ${shapeText(cx, cx.attrs.shape)})`,
  transpose: (cx) => `k.transpose(${cx.arg(0)}, [${cx.attrs.perm.join(", ")}])`,
  broadcast: (cx) => {
    const { shape } = cx.attrs;
    const [rows, tokens] = shape;
    const isRow = cx.argType(0).shape.length === 1 && shape.length === 3 && constantOf(axisOf(cx.argType(0), 0)) !== 1;
    if (isRow && rows && tokens) return `k.broadcastRows(${cx.arg(0)}, ${cx.dim(rows)}, ${cx.dim(tokens)})`;
    return `k.broadcast(${cx.arg(0)}, ${shapeText(cx, shape)})`;
  },
  slice: (cx) => `k.slice(${cx.arg(0)}, ${sliceText(cx, cx.argType(0), cx.attrs.axis, cx.attrs.start, cx.attrs.size)})`,
  pad: (cx) => {
    const { axis, before, after } = cx.attrs;
    const pads = cx.argType(0).shape.map((_, i) => (i === axis ? `[${cx.dim(before)}, ${cx.dim(after)}]` : "[0, 0]"));
    return `k.pad(${cx.arg(0)}, [${pads.join(", ")}])`;
  },
  concat: (cx) => `k.concat([${Array.from({ length: cx.n }, (_, i) => cx.arg(i)).join(", ")}], ${cx.attrs.axis})`,
  sum: reducing("sum"), mean: reducing("mean"), reduce_max: reducing("max"),
  sum_leading: plain("sumLeading"),
  matmul: (cx) => {
    const { ta, tb } = cx.attrs;
    const flags = ta || tb ? `, ${ta}, ${tb}` : "";
    return `k.matmul(${cx.arg(0)}, ${cx.arg(1)}${flags})`;
  },
  linear: plain("linear"), linear_grad_x: plain("linearGradInput"), linear_grad_w: plain("linearGradWeight"), scale_rows: plain("scaleRows"),
  softmax: plain("softmax"), softmax_grad: plain("softmaxGrad"),
  log_softmax: plain("logSoftmax"), log_softmax_grad: plain("logSoftmaxGrad"),
  normalize: (cx) => ({ all: `k.normalize(${cx.arg(0)}, ${numberText(cx.attrs.eps)})` }),
  normalize_grad: plain("normalizeGrad"),
  gelu_grad: plain("geluGrad"),
  gelu_slope: either("geluPair", "gelu"),
  layer_norm: (cx) => {
    const args = `${cx.arg(0)}, ${cx.arg(1)}, ${cx.arg(2)}, ${numberText(cx.attrs.eps)}`;
    return cx.used(1) || cx.used(2) ? { all: `k.layerNorm(${args})` } : `k.layerNormOnly(${args})`;
  },
  layer_norm_grad: all("layerNormGrad"),
  feed_forward: either("feedForward", "feedForwardOnly"),
  feed_forward_grad: (cx) => [1, 2, 3, 4].some((i) => cx.used(i)) ? { all: plain("feedForwardGrad")(cx) } : `k.feedForwardGradInput(${[1, 2, 3, 4].map((i) => cx.arg(i)).join(", ")})`,
  smooth_l1_mean: (cx) => {
    const args = `${cx.arg(0)}, ${cx.arg(1)}, ${numberText(cx.attrs.beta)}`;
    return cx.used(1) ? { all: `k.smoothL1Pair(${args})` } : `k.smoothL1(${args})`;
  },
  // Without widths in the text, so that blocks of different widths come out as one function.
  attention: (cx) => {
    const args = `${cx.arg(0)}, ${cx.attrs.heads}`;
    return cx.used(1) ? { all: `k.selfAttention(${args})` } : `k.selfAttentionOnly(${args})`;
  },
  qkv_attention: (cx) => {
    const args = `${cx.arg(0)}, ${cx.arg(1)}, ${cx.arg(2)}, ${cx.attrs.heads}`;
    return cx.used(1) ? { all: `k.qkvAttention(${args})` } : `k.qkvAttentionOnly(${args})`;
  },
  attention_grad: (cx) => `k.selfAttentionGrad(${cx.arg(0)}, ${cx.arg(1)}, ${constantOf(axisOf(cx.argType(0), 1)) ?? 1})`,
  attention_rows: (cx) => {
    const args = `${cx.arg(0)}, ${cx.attrs.heads}, ${cx.dim(cx.attrs.start)}, ${cx.dim(cx.attrs.size)}`;
    return cx.used(1) ? { all: `k.selfAttention(${args})` } : `k.selfAttentionOnly(${args})`;
  },
  attention_rows_grad: (cx) => `k.selfAttentionGrad(${cx.arg(0)}, ${cx.arg(1)}, ${constantOf(axisOf(cx.argType(0), 1)) ?? 1}, ${cx.dim(cx.attrs.start)})`,
  sdpa: (cx) => {
    const args = `${cx.arg(0)}, ${cx.arg(1)}, ${cx.arg(2)}, ${cx.attrs.heads}`;
    return cx.used(1) ? { all: `k.attend(${args})` } : `k.attendOnly(${args})`;
  },
  // The output (operand 3) is not needed where the probabilities are made again.
  sdpa_grad: (cx) => ({ all: `k.attendGrad(${[0, 1, 2, 4, 5].map((i) => cx.arg(i)).join(", ")}, ${cx.attrs.heads})` }),
  sdpa_causal: (cx) => {
    const args = `${cx.arg(0)}, ${cx.arg(1)}, ${cx.arg(2)}, ${cx.attrs.heads}, ${cx.attrs.block}`;
    return cx.used(1) ? { all: `k.attend(${args})` } : `k.attendOnly(${args})`;
  },
  sdpa_causal_grad: (cx) => ({ all: `k.attendGrad(${[0, 1, 2, 4, 5].map((i) => cx.arg(i)).join(", ")}, ${cx.attrs.heads}, ${cx.attrs.block})` }),
  gather_rows: (cx) => `k.gatherRows(${cx.arg(0)}, ${cx.arg(1)}, ${cx.attrs.copies})`,
  scatter_rows: (cx) => `k.scatterRows(${cx.arg(0)}, ${cx.arg(1)}, ${cx.dim(cx.attrs.batch)}, ${cx.dim(cx.attrs.rows)})`,
  gather_table: plain("gatherTable"),
  scatter_table: (cx) => `k.scatterTable(${cx.arg(0)}, ${cx.arg(1)}, ${cx.dim(cx.attrs.rows)})`,
  tile_batch: (cx) => `k.tileBatch(${cx.arg(0)}, ${cx.attrs.copies})`,
  sum_tiles: (cx) => `k.sumTiles(${cx.arg(0)}, ${cx.attrs.copies})`,
  one_hot: (cx) => `k.oneHot(${cx.arg(0)}, ${cx.dim(cx.attrs.size)})`,
  patchify: (cx) => `k.patches(${cx.arg(0)}, ${cx.attrs.patch.join(", ")})`,
  unpatchify: (cx) => `k.unpatches(${cx.arg(0)}, ${cx.attrs.patch.join(", ")}, ${cx.dim(cx.attrs.height)}, ${cx.dim(cx.attrs.width)})`,
  stack_front: sequence, stack_last: sequence, stack_join: sequence,
  smooth_l1: (cx) => `k.smoothL1Each(${cx.arg(0)}, ${cx.arg(1)}, ${numberText(cx.attrs.beta)})`,
  smooth_l1_grad: (cx) => `k.smoothL1EachGrad(${cx.arg(0)}, ${cx.arg(1)}, ${cx.arg(2)}, ${numberText(cx.attrs.beta)})`,
} satisfies { readonly [O in PrimitiveName]: Row<O> };

function grouped(text: string): string {
  return /^[A-Za-z0-9_]+$/.test(text) ? text : `(${text})`;
}
