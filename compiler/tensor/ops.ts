/**
 * The op table of the tensor IR.
 *
 * Owns the list of ops: for each its operands by name, its number of results, the attributes with their kinds, and one
 * line of documentation. Every other table (shape rules, evaluator, gradients, cost, and the targets' lowerings) is a
 * mapped type over this one, so that an op added here does not compile until each of them has a row.
 *
 * Attribute kinds are data, not only types, so that printing, parsing and renaming dimensions are written once for all ops.
 * Shape rules live in `shapes.ts`, meaning in float64 in `kernels.ts`, gradients in `autodiff/vjp.ts`.
 */
// tidy: table
import type { Dim } from "../types/dim.js";

/** Element types. Indices are i32, everything else is f32 on targets and float64 in the interpreter. */
export type DType = "f32" | "i32";

/** From attribute kind to the type of its value. */
export interface AttrTypes {
  /** Any finite number. */
  number: number;
  /** A non-negative integer known at compile time. */
  integer: number;
  boolean: boolean;
  /** A list of integers: axes, a permutation, repeat counts. */
  integers: readonly number[];
  /** One dimension, known at run time. */
  dim: Dim;
  /** A shape. */
  dims: readonly Dim[];
  /** The name of a function. */
  name: string;
  /** For each dimension symbol of a called function, what it is in the caller. */
  bindings: Readonly<Record<string, Dim>>;
}

/** The kinds of attribute. */
export type AttrKind = keyof AttrTypes;

/** One row of the op table. */
export interface OpSpec {
  /** Operand names, in order; "many" for any number of them. */
  readonly args: readonly string[] | "many";
  /** Result names, in order; "many" where the op's attributes decide. */
  readonly results: readonly string[] | "many";
  readonly attrs: Readonly<Record<string, AttrKind>>;
  readonly doc: string;
}

const y = ["y"] as const;
const unary = { args: ["x"], results: y, attrs: {} } as const;
const binary = { args: ["a", "b"], results: y, attrs: {} } as const;

/** Every op of the IR. */
export const ops = {
  // Elementwise, one operand.
  neg: { ...unary, doc: "-x" },
  exp: { ...unary, doc: "e^x" },
  log: { ...unary, doc: "natural logarithm" },
  sqrt: { ...unary, doc: "square root" },
  rsqrt: { ...unary, doc: "1 / sqrt(x)" },
  square: { ...unary, doc: "x * x" },
  abs: { ...unary, doc: "absolute value" },
  sign: { ...unary, doc: "-1, 0 or 1" },
  relu: { ...unary, doc: "max(x, 0)" },
  step: { ...unary, doc: "1 where x > 0, else 0" },
  tanh: { ...unary, doc: "hyperbolic tangent" },
  sigmoid: { ...unary, doc: "1 / (1 + e^-x)" },
  erf: { ...unary, doc: "error function" },
  gelu: { ...unary, doc: "x * Phi(x), the exact form with erf" },
  sin: { ...unary, doc: "sine" },
  cos: { ...unary, doc: "cosine" },
  recip: { ...unary, doc: "1 / x" },
  scale: { args: ["x"], results: y, attrs: { by: "number" }, doc: "x * by" },
  shift: { args: ["x"], results: y, attrs: { by: "number" }, doc: "x + by" },
  scale_dim: { args: ["x"], results: y, attrs: { num: "dim", den: "dim" }, doc: "x * num / den, dimensions of the run" },
  stop_gradient: { ...unary, doc: "x; gradient does not pass" },
  to_f32: { ...unary, doc: "an i32 as f32" },

  // Elementwise, two and three operands; shapes broadcast from the right.
  add: { ...binary, doc: "a + b" },
  sub: { ...binary, doc: "a - b" },
  mul: { ...binary, doc: "a * b" },
  div: { ...binary, doc: "a / b" },
  max: { ...binary, doc: "the larger" },
  min: { ...binary, doc: "the smaller" },
  less: { ...binary, doc: "1 where a < b, else 0" },
  select: { args: ["condition", "a", "b"], results: y, attrs: {}, doc: "a where condition is not 0, else b" },

  // Making and moving.
  fill: { args: [], results: y, attrs: { shape: "dims", value: "number", stack: "integers" }, doc: "a constant tensor" },
  iota: { args: [], results: y, attrs: { size: "dim" }, doc: "0, 1, ..., size-1 as i32" },
  reshape: { args: ["x"], results: y, attrs: { shape: "dims" }, doc: "same elements in row-major order, another shape" },
  transpose: { args: ["x"], results: y, attrs: { perm: "integers" }, doc: "result axis i is operand axis perm[i]" },
  broadcast: { args: ["x"], results: y, attrs: { shape: "dims" }, doc: "x repeated to shape, aligned from the right" },
  slice: { args: ["x"], results: y, attrs: { axis: "integer", start: "dim", size: "dim" }, doc: "size elements from start on along axis" },
  pad: { args: ["x"], results: y, attrs: { axis: "integer", before: "dim", after: "dim" }, doc: "zeros around x along axis" },
  concat: { args: "many", results: y, attrs: { axis: "integer" }, doc: "operands one after another along axis" },

  // Reductions, each in a fixed order. An axis that `keep` keeps has size 1.
  sum: { args: ["x"], results: y, attrs: { axes: "integers", keep: "boolean" }, doc: "sum over axes" },
  mean: { args: ["x"], results: y, attrs: { axes: "integers", keep: "boolean" }, doc: "mean over axes" },
  reduce_max: { args: ["x"], results: y, attrs: { axes: "integers", keep: "boolean" }, doc: "maximum over axes" },
  sum_leading: { args: ["x"], results: y, attrs: {}, doc: "sum over all axes but the last: the gradient of a bias" },

  // Products.
  matmul: { args: ["a", "b"], results: y, attrs: { ta: "boolean", tb: "boolean" }, doc: "matrix product over the last two axes; b may be one matrix for all of a" },
  linear: { args: ["x", "w", "b"], results: y, attrs: {}, doc: "x[..., in] * w[in, out] + b[out]" },
  linear_grad_x: { args: ["dy", "w"], results: ["dx"], attrs: {}, doc: "dy[..., out] * w[in, out]^T" },
  linear_grad_w: { args: ["x", "dy"], results: ["dw"], attrs: {}, doc: "x[..., in]^T * dy[..., out], summed over all leading axes" },
  scale_rows: { args: ["w", "s"], results: y, attrs: {}, doc: "w[in, out] * s[in], row by row: what makes linear(x * s, w, b) a linear map of x" },

  // Fused rows over the last axis.
  softmax: { ...unary, doc: "e^x / sum e^x over the last axis" },
  softmax_grad: { args: ["y", "dy"], results: ["dx"], attrs: {}, doc: "y * (dy - sum(y * dy))" },
  log_softmax: { ...unary, doc: "x - log sum e^x over the last axis" },
  log_softmax_grad: { args: ["y", "dy"], results: ["dx"], attrs: {}, doc: "dy - e^y * sum(dy)" },
  normalize: { args: ["x"], results: ["y", "rstd"], attrs: { eps: "number" }, doc: "(x - mean) * rstd over the last axis, rstd = 1 / sqrt(variance + eps), biased variance; no affine part" },
  normalize_grad: { args: ["y", "rstd", "dy"], results: ["dx"], attrs: {}, doc: "rstd * (dy - mean(dy) - y * mean(y * dy))" },
  gelu_grad: { args: ["x", "dy"], results: ["dx"], attrs: {}, doc: "dy * (Phi(x) + x * phi(x))" },

  // Training forms: what the backward pass will want is made in the same sweep. A target's passes put them in.
  gelu_slope: { args: ["x"], results: ["y", "slope"], attrs: {}, doc: "gelu and its derivative at x" },
  layer_norm: { args: ["x", "scale", "offset"], results: ["out", "y", "rstd"], attrs: { eps: "number" }, doc: "y = normalize(x), out = y * scale + offset" },
  layer_norm_grad: { args: ["y", "rstd", "scale", "dout"], results: ["dx", "dscale", "doffset"], attrs: {}, doc: "gradient of layer_norm" },
  feed_forward: { args: ["x", "w1", "b1", "w2", "b2"], results: ["y", "memory"], attrs: {}, doc: "linear(gelu(linear(x, w1, b1)), w2, b2); memory[..., 2 * hidden] holds the hidden values and their slopes for the gradient, in a form of the target's own" },
  feed_forward_grad: { args: ["x", "w1", "w2", "memory", "dy"], results: ["dx", "dw1", "db1", "dw2", "db2"], attrs: {}, doc: "gradient of feed_forward" },
  smooth_l1_mean: { args: ["a", "b"], results: ["loss", "slope"], attrs: { beta: "number" }, doc: "mean over all elements of smooth_l1, and its derivative by a" },
  attention: { args: ["qkv"], results: ["o", "memory"], attrs: { heads: "integer" }, doc: "sdpa of the thirds of qkv[B, T, 3 * heads * d]; memory[B, heads, T, T + 3*d] holds probabilities, q, k and v for the gradient, in a layout of the target's own" },
  qkv_attention: { args: ["x", "w", "b"], results: ["o", "memory"], attrs: { heads: "integer" }, doc: "attention(linear(x, w, b)): a target may make heads without making qkv" },
  attention_grad: { args: ["memory", "do"], results: ["dqkv"], attrs: {}, doc: "gradient of attention" },
  attention_rows: { args: ["qkv"], results: ["o", "memory"], attrs: { heads: "integer", start: "dim", size: "dim" }, doc: "attention of size queries from start on, over all keys: o[B, size, heads * d]; memory[B, heads, T, size + 3*d]" },
  attention_rows_grad: { args: ["memory", "do"], results: ["dqkv"], attrs: { start: "dim" }, doc: "gradient of attention_rows" },

  // Attention: q, k, v are [B, T, heads * d], head-major. lse is the log-sum-exp of each row of scores, [B, heads, T].
  sdpa: { args: ["q", "k", "v"], results: ["o", "lse"], attrs: { heads: "integer" }, doc: "softmax(q k^T / sqrt(d)) v per head" },
  sdpa_grad: { args: ["q", "k", "v", "o", "lse", "do"], results: ["dq", "dk", "dv"], attrs: { heads: "integer" }, doc: "gradient of sdpa; probabilities are recomputed from lse" },
  sdpa_causal: { args: ["q", "k", "v"], results: ["o", "lse"], attrs: { heads: "integer", block: "integer" }, doc: "sdpa in which row i sees the keys of its own block of so many rows and of those before: j < (floor(i / block) + 1) * block" },
  sdpa_causal_grad: { args: ["q", "k", "v", "o", "lse", "do"], results: ["dq", "dk", "dv"], attrs: { heads: "integer", block: "integer" }, doc: "gradient of sdpa_causal" },

  // Rows by index. gather_rows reads image (row mod B): copies lie one block of B after another.
  gather_rows: { args: ["x", "indices"], results: y, attrs: { copies: "integer" }, doc: "x[B, N, D], indices[copies*B, K] -> [copies*B, K, D], row b reads x[b mod B]" },
  scatter_rows: { args: ["dy", "indices"], results: ["dx"], attrs: { batch: "dim", rows: "dim" }, doc: "gradient of gather_rows: [batch, rows, D], sums over copies and repeated indices in order" },
  gather_table: { args: ["x", "indices"], results: y, attrs: {}, doc: "x[N, D], indices[R, K] -> [R, K, D]" },
  scatter_table: { args: ["dy", "indices"], results: ["dx"], attrs: { rows: "dim" }, doc: "gradient of gather_table: [rows, D]" },
  tile_batch: { args: ["x"], results: y, attrs: { copies: "integer" }, doc: "x repeated copies times along axis 0, block after block" },
  sum_tiles: { args: ["x"], results: y, attrs: { copies: "integer" }, doc: "sum of the copies equal blocks of axis 0, in order" },
  one_hot: { args: ["indices"], results: y, attrs: { size: "dim" }, doc: "indices[...] -> [..., size], 1 at the index" },

  // Images: [B, H, W, C] and patches [B, (H/p)*(W/q), p*q*C] of `patch` [p, q] pixels, patches row-major, within one (py, px, c).
  patchify: { args: ["x"], results: y, attrs: { patch: "integers" }, doc: "an image as a row of flattened patches of patch = [height, width]" },
  unpatchify: { args: ["x"], results: y, attrs: { patch: "integers", height: "dim", width: "dim" }, doc: "the inverse of patchify" },

  // Losses.
  smooth_l1: { args: ["a", "b"], results: y, attrs: { beta: "number" }, doc: "d^2 / (2 beta) where |d| < beta, else |d| - beta/2, with d = a - b; elementwise" },
  smooth_l1_grad: { args: ["a", "b", "dy"], results: ["da"], attrs: { beta: "number" }, doc: "dy * clamp((a - b) / beta, -1, 1)" },

  // Sequences: the ends of a stacked value, and one from both.
  stack_front: { args: ["x"], results: y, attrs: {}, doc: "all elements of a stacked value but the last" },
  stack_last: { args: ["x"], results: y, attrs: {}, doc: "the last element of a stacked value" },
  stack_join: { args: "many", results: y, attrs: {}, doc: "the elements of the first operand and then the second; of one operand, a sequence of it alone" },

  // Control.
  call: { args: "many", results: "many", attrs: { fn: "name", dims: "bindings" }, doc: "the results of a function" },
  repeat: {
    args: "many",
    results: "many",
    attrs: { fn: "name", dims: "bindings", count: "integer", reverse: "boolean", carries: "integer", consts: "integer", stacked: "integer" },
    doc: "count applications of fn: args = carries ++ consts ++ stacked, results = final carries ++ stacked outputs",
  },
} as const satisfies Readonly<Record<string, OpSpec>>;

/** The name of an op. */
export type OpName = keyof typeof ops;

/** The ops that call functions; their rules need the module and live in the drivers, not in tables. */
export type ControlName = "call" | "repeat";

/** The ops that tables give a meaning. */
export type PrimitiveName = Exclude<OpName, ControlName>;

/** The attributes of an op, derived from its row. */
export type Attrs<O extends OpName> = {
  readonly [K in keyof (typeof ops)[O]["attrs"]]: (typeof ops)[O]["attrs"][K] extends AttrKind
    ? AttrTypes[(typeof ops)[O]["attrs"][K]]
    : never;
};

/** Elementwise ops: result element i depends on operand element i only. Of those that compute, they alone work under a stack. */
export const elementwise: ReadonlySet<OpName> = new Set<OpName>([
  "neg", "exp", "log", "sqrt", "rsqrt", "square", "abs", "sign", "relu", "step", "tanh", "sigmoid", "erf", "gelu", "sin",
  "cos", "recip", "scale", "shift", "scale_dim", "stop_gradient", "to_f32", "add", "sub", "mul", "div", "max", "min",
  "less", "select", "gelu_grad", "smooth_l1", "smooth_l1_grad",
]);

/** Ops on sequences as such: they take stacked values apart and put them together. */
export const sequencing: ReadonlySet<OpName> = new Set<OpName>(["stack_front", "stack_last", "stack_join"]);

/** The row of an op, by its general type. */
export function specOf(op: OpName): OpSpec {
  return ops[op];
}

/** Whether a word names an op. */
export function isOpName(word: string): word is OpName {
  return Object.hasOwn(ops, word);
}
