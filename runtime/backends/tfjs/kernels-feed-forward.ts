/**
 * Linear maps together with what stands between or behind them, as one kernel: composed of an engine's own kernels, or of TensorFlow ops.
 *
 * On the native engine every elementwise op is a sweep over memory, and the hidden values are the largest of a block. With
 * z = h / sqrt 2, gelu(h) = z (1 + erf z) / sqrt 2, and its slope is (1 + erf z + z * 2 / sqrt pi * exp(-z^2)) / 2. So the
 * factors go into the weights, which are small: the first map takes 1 / sqrt 2 for z, the second takes the one behind, and
 * what is kept for the gradient is twice the slope. Rows are flattened once, for both maps and for all five gradients.
 */
import type { Kernels } from "./kernels.js";
import { asMatrix } from "./kernels-plain.js";
import type { RawOps } from "./raw-ops.js";
import type { Tensor } from "./tf.js";

/** Kernels of a feed-forward block. `…` stands for any leading dims. */
export type FeedForward = {
  /** linear(gelu(linear(x, w1, b1)), w2, b2): x […, in], w1 [in, hidden], w2 [hidden, out] -> y […, out], and what the gradient needs. */
  feedForward(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor): [y: Tensor, memory: Tensor[]];
  /** {@link FeedForward.feedForward} where no gradient is wanted. */
  feedForwardOnly(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor): Tensor;
  /** Gradients of {@link FeedForward.feedForward}. The caller frees `memory`. */
  feedForwardGrad(x: Tensor, w1: Tensor, w2: Tensor, memory: readonly Tensor[], dy: Tensor): [dx: Tensor, dw1: Tensor, db1: Tensor, dw2: Tensor, db2: Tensor];
  /** The first of {@link FeedForward.feedForwardGrad} alone: weights that are not trained. */
  feedForwardGradInput(w1: Tensor, w2: Tensor, memory: readonly Tensor[], dy: Tensor): Tensor;
};

/** Attention together with the map before it. */
export type ProjectedAttention = {
  /** `attention` of linear(x, w, b): x [B, N, in], w [in, 3D], b [3D]. What it keeps is what `attention` keeps. */
  projectedAttention(x: Tensor, w: Tensor, b: Tensor, heads: number, scale: number): [out: Tensor, saved: Tensor[]];
};

/** Composed of the kernels of an engine. */
export function composedProjectedAttention(k: Pick<Kernels, "linear" | "attention">): ProjectedAttention {
  return { projectedAttention: (x, w, b, heads, scale) => using(k.linear(x, w, b), (qkv) => k.attention(qkv, heads, scale)) };
}

type Parts = Pick<Kernels, "linear" | "gelu" | "geluPair" | "mul" | "linearGradInput" | "linearGradWeight" | "sumLeading" | "free">;

/** Composed of the kernels of an engine, each in one sweep of its own. */
export function composedFeedForward(k: Parts): FeedForward {
  const hiddenGrad = (w2: Tensor, memory: readonly Tensor[], dy: Tensor): Tensor => {
    const [, slope] = kept(memory);
    return using(k.linearGradInput(dy, w2), (d) => k.mul(d, slope));
  };
  return {
    feedForward: (x, w1, b1, w2, b2) => {
      const [a, slope] = using(k.linear(x, w1, b1), (h) => k.geluPair(h));
      return [k.linear(a, w2, b2), [a, slope]];
    },
    feedForwardOnly: (x, w1, b1, w2, b2) => using(using(k.linear(x, w1, b1), (h) => k.gelu(h)), (a) => k.linear(a, w2, b2)),
    feedForwardGrad: (x, w1, w2, memory, dy) => {
      const [a] = kept(memory);
      return using(hiddenGrad(w2, memory, dy), (dh) => [
        k.linearGradInput(dh, w1), k.linearGradWeight(x, dh), k.sumLeading(dh), k.linearGradWeight(a, dy), k.sumLeading(dy),
      ]);
    },
    feedForwardGradInput: (w1, w2, memory, dy) => using(hiddenGrad(w2, memory, dy), (dh) => k.linearGradInput(dh, w1)),
  };
}

/** Of TensorFlow ops by name; `constant` gives a scalar that stays the kernels' own. */
export function rawFeedForward(ops: RawOps, constant: (value: number) => Tensor, sumRows: (matrix: Tensor) => Tensor): FeedForward {
  const mul = (a: Tensor, b: Tensor): Tensor => ops.binary("Mul", a, b);
  const add = (a: Tensor, b: Tensor): Tensor => ops.binary("AddV2", a, b);
  const times = (x: Tensor, by: number): Tensor => mul(x, constant(by));
  const linear = (x: Tensor, w: Tensor, b: Tensor): Tensor => using(ops.matmul(x, w, false, false), (product) => ops.biasAdd(product, b));
  const flat = (x: Tensor): Tensor => ops.reshape(x, asMatrix(x));
  const like = (matrix: Tensor, x: Tensor): Tensor => using(matrix, (m) => ops.reshape(m, [...x.shape.slice(0, -1), m.shape[1] ?? 0]));
  /** z of each hidden value, and 1 + erf z. */
  const hidden = (x: Tensor, w1: Tensor, b1: Tensor): [z: Tensor, area: Tensor] => {
    const z = using(flat(x), (rows) => using(times(w1, Math.SQRT1_2), (w) => using(times(b1, Math.SQRT1_2), (b) => linear(rows, w, b))));
    return [z, using(ops.unary("Erf", z), (e) => add(e, constant(1)))];
  };
  /** z * (2 / sqrt pi) exp(-z^2), the factor as its logarithm, so that one op adds it and turns the sign. */
  const density = (z: Tensor): Tensor => using(
    using(using(ops.unary("Square", z), (square) => ops.binary("Sub", constant(Math.log(2 / Math.sqrt(Math.PI))), square)), (power) => ops.unary("Exp", power)),
    (phi) => mul(phi, z),
  );
  const second = (x: Tensor, a: Tensor, w2: Tensor, b2: Tensor): Tensor => like(using(times(w2, Math.SQRT1_2), (w) => linear(a, w, b2)), x);
  /** Twice the slope was kept, so half of the weight makes it right. */
  const hiddenGrad = (w2: Tensor, slope: Tensor, dy: Tensor): Tensor =>
    using(using(times(w2, 0.5), (w) => ops.matmul(dy, w, false, true)), (d) => mul(d, slope));
  const firstGrad = (dh: Tensor, w1: Tensor, dy: Tensor): Tensor => like(ops.matmul(dh, w1, false, true), dy);
  return {
    feedForward: (x, w1, b1, w2, b2) => {
      const [z, area] = hidden(x, w1, b1);
      const a = mul(z, area);
      const slope = using(z, () => using(area, () => using(density(z), (value) => add(value, area))));
      return [second(x, a, w2, b2), [a, slope]];
    },
    feedForwardOnly: (x, w1, b1, w2, b2) => {
      const [z, area] = hidden(x, w1, b1);
      return using(using(z, () => using(area, () => mul(z, area))), (a) => second(x, a, w2, b2));
    },
    feedForwardGrad: (x, w1, w2, memory, dy) => {
      const [a, slope] = kept(memory);
      return using(flat(dy), (d) => using(hiddenGrad(w2, slope, d), (dh) => {
        const dw1 = using(flat(x), (rows) => ops.matmul(rows, dh, true, false));
        const dw2 = using(ops.matmul(a, d, true, false), (dw) => times(dw, Math.SQRT1_2));
        return [firstGrad(dh, w1, dy), dw1, sumRows(dh), dw2, sumRows(d)];
      }));
    },
    feedForwardGradInput: (w1, w2, memory, dy) => {
      const [, slope] = kept(memory);
      return using(flat(dy), (d) => using(hiddenGrad(w2, slope, d), (dh) => firstGrad(dh, w1, dy)));
    },
  };
}

function kept(memory: readonly Tensor[]): readonly [a: Tensor, slope: Tensor] {
  const [a, slope] = memory;
  if (a === undefined || slope === undefined) throw new Error("feedForwardGrad: not what feedForward kept");
  return [a, slope];
}

/** Uses a temporary once and disposes it. */
function using<R>(temporary: Tensor, use: (x: Tensor) => R): R {
  const result = use(temporary);
  temporary.dispose();
  return result;
}
