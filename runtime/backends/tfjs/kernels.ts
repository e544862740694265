/**
 * The operations that compiled tfjs modules call.
 *
 * Generated code is for reading, so it says `k.layerNorm(x, scale, offset, eps)`; how that is done quickly differs by
 * engine, and that knowledge lives here. The native engine runs TensorFlow ops by name (`kernels-raw.ts`); the wasm engine
 * gets SIMD kernels of its own that work in place on the backend's heap (`kernels-wasm.ts`), because its batched products,
 * its erf and its transposes are ten times slower than they need be; everywhere else plain tfjs calls do
 * (`kernels-plain.ts`). `docs/decisions/tfjs-kernels.md` has the measurements behind each choice.
 *
 * Ownership: every kernel returns tensors that the caller owns, disposes its own temporaries, never disposes or returns
 * an input. A caller frees at last use (`k.free`) or wraps calls in `tf.tidy`. Every reduction has a fixed order: the same
 * inputs on the same device give the same bits.
 */
import { extraKernels } from "./kernels-extra.js";
import type { ExtraKernels } from "./kernels-extra.js";
import { composedFeedForward, composedProjectedAttention } from "./kernels-feed-forward.js";
import type { FeedForward, ProjectedAttention } from "./kernels-feed-forward.js";
import { plainKernels } from "./kernels-plain.js";
import { rawKernels } from "./kernels-raw.js";
import { wasmKernels } from "./kernels-wasm.js";
import { nodeBackend } from "./tf.js";
import type { Tensor, Tf } from "./tf.js";

/** What {@link Kernels.free} takes. */
export type Freeable = Tensor | readonly Tensor[] | undefined;

/** Rows that attend: `count` of them from `first` on. */
export type Queries = { readonly first: number; readonly count: number };

/** The operations of compiled modules. `…` stands for any leading dims; all values float32, indices int32. */
export type Kernels = {
  /** Product over the last two axes, [..., m, k] x [..., k, n]; leading dims equal, or `b` of rank 2. */
  matmul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  /** x [..., in] times w [in, out], plus b [out] if given. */
  linear(x: Tensor, w: Tensor, b?: Tensor): Tensor;
  /** Gradient of {@link linear} with respect to x: [..., out] -> [..., in]. */
  linearGradInput(dy: Tensor, w: Tensor): Tensor;
  /** Gradient of {@link linear} with respect to w: leading dims flattened, -> [in, out]. */
  linearGradWeight(x: Tensor, dy: Tensor): Tensor;
  /** w [in, out] * s [in], row by row. */
  scaleRows(w: Tensor, s: Tensor): Tensor;
  /** Sum over all but the last axis, [..., n] -> [n]: the gradient of a bias. */
  sumLeading(dy: Tensor): Tensor;

  /** a + b; the smaller one is broadcast, as in the next four. */
  add(a: Tensor, b: Tensor | number): Tensor;
  /** a - b. */
  sub(a: Tensor, b: Tensor | number): Tensor;
  /** a * b. */
  mul(a: Tensor, b: Tensor | number): Tensor;
  /** a / b. */
  div(a: Tensor, b: Tensor | number): Tensor;
  /** The larger of both, element by element. */
  maximum(a: Tensor, b: Tensor | number): Tensor;
  /** Sum of tensors of one shape, left to right. */
  addN(list: readonly Tensor[]): Tensor;
  /** -x. */
  neg(x: Tensor): Tensor;
  /** e to the power of x. */
  exp(x: Tensor): Tensor;
  /** Natural logarithm. */
  log(x: Tensor): Tensor;
  /** Square root. */
  sqrt(x: Tensor): Tensor;
  /** 1 / sqrt(x). */
  rsqrt(x: Tensor): Tensor;
  /** x * x. */
  square(x: Tensor): Tensor;
  /** |x|. */
  abs(x: Tensor): Tensor;
  /** The error function. */
  erf(x: Tensor): Tensor;
  /** Hyperbolic tangent. */
  tanh(x: Tensor): Tensor;
  /** 1 / (1 + exp(-x)). */
  sigmoid(x: Tensor): Tensor;
  /** max(x, 0). */
  relu(x: Tensor): Tensor;
  /** dy where x > 0, else 0. */
  reluGrad(x: Tensor, dy: Tensor): Tensor;
  /** x * Phi(x), Phi the normal distribution function (the exact form, not the tanh approximation). */
  gelu(x: Tensor): Tensor;
  /** dy * (Phi(x) + x * phi(x)). */
  geluGrad(x: Tensor, dy: Tensor): Tensor;
  /** The value and the slope in one sweep: [gelu(x), gelu'(x)]. Backward is then `mul(dy, slope)` and x need not be kept. */
  geluPair(x: Tensor): [y: Tensor, slope: Tensor];

  /** Softmax over the last axis. */
  softmax(x: Tensor): Tensor;
  /** y * (dy - sum(y * dy)). */
  softmaxGrad(y: Tensor, dy: Tensor): Tensor;
  /** log(softmax(x)) over the last axis. */
  logSoftmax(x: Tensor): Tensor;
  /** dy - exp(y) * sum(dy). */
  logSoftmaxGrad(y: Tensor, dy: Tensor): Tensor;
  /** (x - mean) / sqrt(variance + eps) over the last axis, biased variance; rstd is [..., 1]. */
  normalize(x: Tensor, eps: number): [y: Tensor, rstd: Tensor];
  /** rstd * (dy - mean(dy) - y * mean(dy * y)). */
  normalizeGrad(y: Tensor, rstd: Tensor, dy: Tensor): Tensor;
  /** normalize, then * scale + offset; y and rstd are what the gradient needs. */
  layerNorm(x: Tensor, scale: Tensor, offset: Tensor, eps: number): [out: Tensor, y: Tensor, rstd: Tensor];
  /** Gradients of {@link layerNorm}. */
  layerNormGrad(y: Tensor, rstd: Tensor, scale: Tensor, dout: Tensor): [dx: Tensor, dscale: Tensor, doffset: Tensor];
  /** {@link layerNorm} where no gradient is wanted. */
  layerNormOnly(x: Tensor, scale: Tensor, offset: Tensor, eps: number): Tensor;
  /** x [..., n] * scale [n] + offset [n]. */
  affine(x: Tensor, scale: Tensor, offset: Tensor): Tensor;

  /** Sum over the axes (all when absent); with `keep`, they stay with size 1. */
  sum(x: Tensor, axes?: readonly number[], keep?: boolean): Tensor;
  /** Mean over the axes, as {@link sum}. */
  mean(x: Tensor, axes?: readonly number[], keep?: boolean): Tensor;
  /** Largest over the axes, as {@link sum}. */
  max(x: Tensor, axes?: readonly number[], keep?: boolean): Tensor;
  /** Sums the dims away that broadcasting `shape` to x's shape added. */
  sumTo(x: Tensor, shape: readonly number[]): Tensor;
  /** Mean of all elements, a scalar. */
  meanAll(x: Tensor): Tensor;

  /** x [B, N, D], index [M*B, K]: row b' picks tokens of image b' mod B, -> [M*B, K, D]. */
  gatherRows(x: Tensor, index: Tensor, copies: number): Tensor;
  /** Gradient of {@link gatherRows}: sums duplicates and copies, in order of the rows, -> [B, N, D]. */
  scatterRows(dy: Tensor, index: Tensor, batch: number, tokens: number): Tensor;
  /** x [N, D], index [R, K] -> [R, K, D]. */
  gatherTable(x: Tensor, index: Tensor): Tensor;
  /** Gradient of {@link gatherTable}, -> [N, D]. */
  scatterTable(dy: Tensor, index: Tensor, tokens: number): Tensor;
  /** x [B, ...] repeated along axis 0, copy-major -> [M*B, ...]. */
  tileBatch(x: Tensor, copies: number): Tensor;
  /** Gradient of {@link tileBatch}: [M*B, ...] -> [B, ...]. */
  sumTiles(dy: Tensor, copies: number): Tensor;
  /** One row [D] (or [1, 1, D]) everywhere: [R, K, D]. Its gradient is {@link sumLeading}. */
  broadcastRows(v: Tensor, rows: number, tokens: number): Tensor;

  /**
   * Self-attention over qkv [B, N, 3D], the last axis being [Q | K | V], each head-major -> out [B, N, D]. With `queries`
   * only these rows attend, to all N: out is [B, count, D], and the gradient of the other rows of Q is nought.
   */
  attention(qkv: Tensor, heads: number, scale: number, queries?: Queries): [out: Tensor, saved: Tensor[]];
  /** Gradient of {@link attention}: -> [B, N, 3D]. The caller frees `saved`. `first`: the first of the queries, 0 where all asked. */
  attentionGrad(saved: readonly Tensor[], dout: Tensor, scale: number, first?: number): Tensor;
  /** {@link attention} where no gradient is wanted. */
  attentionOnly(qkv: Tensor, heads: number, scale: number, queries?: Queries): Tensor;
  /** [B, N, D] -> [B, heads, N, D/heads]; {@link mergeHeads} is its inverse and its gradient. */
  splitHeads(x: Tensor, heads: number): Tensor;
  /** [B, heads, N, D/heads] -> [B, N, D]. */
  mergeHeads(x: Tensor): Tensor;
  /** Attention over [B, h, N, d]; k and v may have another length than q. p is the attention matrix. */
  sdpa(q: Tensor, k: Tensor, v: Tensor, scale: number): [out: Tensor, p: Tensor];
  /** Gradients of {@link sdpa}. */
  sdpaGrad(q: Tensor, k: Tensor, v: Tensor, p: Tensor, dout: Tensor, scale: number): [dq: Tensor, dk: Tensor, dv: Tensor];

  /** Mean over all elements of 0.5 d^2 / beta where |d| < beta, else |d| - beta / 2; d = x - y. */
  smoothL1(x: Tensor, y: Tensor, beta: number): Tensor;
  /** d smoothL1 / dx, times seed; the gradient for y is its negative. */
  smoothL1Grad(x: Tensor, y: Tensor, beta: number, seed?: number): Tensor;
  /** The loss and its gradient in one sweep: {@link smoothL1} and {@link smoothL1Grad}. */
  smoothL1Pair(x: Tensor, y: Tensor, beta: number, seed?: number): [loss: Tensor, dx: Tensor];
  /** Mean over all elements of (x - y)^2. */
  mse(x: Tensor, y: Tensor): Tensor;
  /** d mse / dx, times seed; the gradient for y is its negative. */
  mseGrad(x: Tensor, y: Tensor, seed?: number): Tensor;

  /** The same elements in another shape. */
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  /** Axes in another order. */
  transpose(x: Tensor, perm: readonly number[]): Tensor;
  /** Tensors one after the other along an axis. */
  concat(list: readonly Tensor[], axis: number): Tensor;
  /** A box of x: from `begin`, `size` elements along each axis. */
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  /** Parts of these sizes along an axis; {@link concat} is the inverse. */
  split(x: Tensor, sizes: readonly number[], axis: number): Tensor[];
  /** Zeros around x: before and after, for each axis. */
  pad(x: Tensor, paddings: readonly (readonly [number, number])[]): Tensor;
  /** Images [B, H, W, C] -> [B, (H/h)*(W/w), h*w*C] of patches h high and w wide: row-major; within one: row, column, channel. */
  patches(x: Tensor, high: number, wide: number): Tensor;

  /** A constant, cached and owned by the kernels: not to be freed. */
  scalar(value: number): Tensor;
  /** Releases tensors; numbers and undefined are passed over. */
  free(...list: Freeable[]): void;
  /** Releases the caches; the kernels are not to be used afterwards. */
  dispose(): void;
};

/** The quickest kernels for the engine behind `tf`. `raw` as {@link loadTf} reported it. */
export function makeKernels(tf: Tf, options: { readonly raw: boolean }): Kernels & ExtraKernels & FeedForward & ProjectedAttention {
  const plain = plainKernels(tf);
  const node = options.raw ? nodeBackend(tf) : undefined;
  const own = node !== undefined ? rawKernels(tf, node, plain) : composed(wasmKernels(tf, plain) ?? plain);
  return { ...own, ...extraKernels(tf, own) };
}

function composed(k: Kernels): Kernels & FeedForward & ProjectedAttention {
  return { ...k, ...composedFeedForward(k), ...composedProjectedAttention(k) };
}
