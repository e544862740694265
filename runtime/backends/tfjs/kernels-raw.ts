/**
 * The kernels on the native engine: TensorFlow ops by name, in the fewest passes over memory that eager ops allow.
 *
 * Nine tenths of a step's time is matrix products, which TensorFlow does well; what can be won is everything between them.
 * Constants are folded so that one op does two things (`c - z^2` negates and scales before an exp), bias sums are products
 * with a row of ones, heads are split by one transpose for q, k and v together. What is not listed here is `plain`'s.
 */
import { rawFeedForward } from "./kernels-feed-forward.js";
import type { FeedForward, ProjectedAttention } from "./kernels-feed-forward.js";
import type { Kernels, Queries } from "./kernels.js";
import { asMatrix } from "./kernels-plain.js";
import { rawOps } from "./raw-ops.js";
import type { RawOps } from "./raw-ops.js";
import type { NodeBackend, Tensor, Tf } from "./tf.js";

type Shared = { readonly ops: RawOps; readonly plain: Kernels; constant(value: number): Tensor; readonly factors: Factors };

/** Scales of queries, a column [scale, 1, 1] for each: few, as they follow the widths of heads. */
type Factors = { column(scale: number): Tensor; dispose(): void };

/** The kernels of the native engine; what they do not do better is taken from `plain`. */
export function rawKernels(tf: Tf, node: NodeBackend, plain: Kernels): Kernels & FeedForward & ProjectedAttention {
  const ops = rawOps(tf, node);
  const factors = cached((scale) => tf.tensor2d([scale, 1, 1], [3, 1]), tf);
  const shared: Shared = { ops, plain, constant: plain.scalar, factors: { column: factors.at, dispose: factors.dispose } };
  const ones = cached((count) => tf.ones([1, count]), tf);
  const sumRows = (matrix: Tensor): Tensor => drop(ops.matmul(ones.at(matrix.shape[0] ?? 0), matrix, false, false), (sum) => ops.reshape(sum, [sum.size]));
  const sumLeading: Kernels["sumLeading"] = (dy) => dy.rank === 2 ? sumRows(dy) : drop(ops.reshape(dy, asMatrix(dy)), sumRows);
  return {
    ...plain,
    ...products(shared), sumLeading,
    ...pointwise(shared),
    ...rows(shared, sumLeading),
    ...picking(tf, shared),
    ...attention(shared, batchesAreQuick(node)),
    ...losses(shared),
    ...shapes(shared),
    ...rawFeedForward(ops, plain.scalar, sumRows),
    dispose: () => {
      ops.dispose();
      ones.dispose();
      factors.dispose();
      plain.dispose();
    },
  };
}

/** Uses a temporary once and disposes it. */
function drop<R>(temporary: Tensor, use: (x: Tensor) => R): R {
  const result = use(temporary);
  temporary.dispose();
  return result;
}

/** A chain of ops, each disposing what the one before made; the first input stays. */
function chain(x: Tensor, ...steps: ((x: Tensor) => Tensor)[]): Tensor {
  let value = x;
  for (const step of steps) {
    const next = step(value);
    if (value !== x) value.dispose();
    value = next;
  }
  return value;
}

/** Constants by a number, made once: those asked for are few (lengths follow the masks), so all are kept. */
function cached(make: (key: number) => Tensor, tf: Tf) {
  const known = new Map<number, Tensor>();
  return {
    at: (key: number): Tensor => {
      const found = known.get(key);
      if (found !== undefined) return found;
      const made = tf.keep(make(key));
      known.set(key, made);
      return made;
    },
    dispose: (): void => {
      for (const tensor of known.values()) tensor.dispose();
      known.clear();
    },
  };
}

/** Whether a batch of products is as quick as one product of its size: oneDNN's are, TensorFlow's own take four times as long. */
function batchesAreQuick(node: NodeBackend): boolean {
  return node.isUsingGpuDevice !== true && process.platform === "linux" && process.arch === "x64" && process.env["TF_ENABLE_ONEDNN_OPTS"] !== "0";
}

function products({ ops }: Shared) {
  const flatProduct = (x: Tensor, w: Tensor, transposeW: boolean, b?: Tensor): Tensor => {
    const wide = x.rank === 2 ? x : ops.reshape(x, asMatrix(x));
    const product = ops.matmul(wide, w, false, transposeW);
    if (wide !== x) wide.dispose();
    const y = b === undefined ? product : drop(product, (value) => ops.biasAdd(value, b));
    return x.rank === 2 ? y : drop(y, (value) => ops.reshape(value, [...x.shape.slice(0, -1), y.shape[1] ?? 0]));
  };
  const linearGradWeight: Kernels["linearGradWeight"] = (x, dy) => {
    const left = ops.reshape(x, asMatrix(x));
    const right = ops.reshape(dy, asMatrix(dy));
    const dw = ops.matmul(left, right, true, false);
    left.dispose();
    right.dispose();
    return dw;
  };
  const matmul: Kernels["matmul"] = (a, b, ta = false, tb = false) => {
    if (a.rank === 2 && b.rank === 2) return ops.matmul(a, b, ta, tb);
    if (b.rank === 2 && !ta) return flatProduct(a, b, tb);
    return ops.batchMatmul(a, b, ta, tb);
  };
  return {
    matmul, linearGradWeight,
    scaleRows: (w: Tensor, s: Tensor): Tensor => drop(ops.reshape(s, [s.size, 1]), (column) => ops.binary("Mul", w, column)),
    linear: (x: Tensor, w: Tensor, b?: Tensor): Tensor => flatProduct(x, w, false, b),
    linearGradInput: (dy: Tensor, w: Tensor): Tensor => flatProduct(dy, w, true),
  };
}

function pointwise({ ops, plain, constant }: Shared) {
  const other = (b: Tensor | number): Tensor => typeof b === "number" ? constant(b) : b;
  const binary = (op: string) => (a: Tensor, b: Tensor | number): Tensor => ops.binary(op, a, other(b));
  const unary = (op: string) => (x: Tensor): Tensor => ops.unary(op, x);
  const times = (value: number) => (x: Tensor): Tensor => ops.binary("Mul", x, constant(value));
  /** (1 + erf z) / 2 with z = x / sqrt 2. Not erfc: it would save an op and is slower all the same. */
  const cdf = (z: Tensor): Tensor => chain(z, unary("Erf"), times(0.5), (half) => ops.binary("AddV2", half, constant(0.5)));
  /** x * phi(x) = x * exp(c - z^2), with c the logarithm of 1 / sqrt(2 pi). */
  const density = (x: Tensor, z: Tensor): Tensor => chain(z, unary("Square"),
    (square) => ops.binary("Sub", constant(-0.5 * Math.log(2 * Math.PI)), square), unary("Exp"), (phi) => ops.binary("Mul", phi, x));
  const slope = (x: Tensor, area: Tensor, z: Tensor): Tensor => drop(density(x, z), (value) => ops.binary("AddV2", value, area));
  return {
    add: binary("AddV2"), sub: binary("Sub"), mul: binary("Mul"), div: binary("RealDiv"), maximum: binary("Maximum"),
    neg: unary("Neg"), exp: unary("Exp"), log: unary("Log"), sqrt: unary("Sqrt"), rsqrt: unary("Rsqrt"), square: unary("Square"),
    abs: unary("Abs"), erf: unary("Erf"), tanh: unary("Tanh"), sigmoid: unary("Sigmoid"), relu: unary("Relu"),
    reluGrad: (x: Tensor, dy: Tensor): Tensor => ops.binary("ReluGrad", dy, x),
    addN: (list: readonly Tensor[]): Tensor => list.length === 1 ? plain.addN(list) : ops.addN([...list]),
    gelu: (x: Tensor): Tensor => drop(drop(times(Math.SQRT1_2)(x), cdf), (area) => ops.binary("Mul", x, area)),
    geluGrad: (x: Tensor, dy: Tensor): Tensor => drop(times(Math.SQRT1_2)(x), (z) =>
      drop(cdf(z), (area) => drop(slope(x, area, z), (value) => ops.binary("Mul", dy, value)))),
    geluPair: (x: Tensor): [Tensor, Tensor] => drop(times(Math.SQRT1_2)(x), (z) =>
      drop(cdf(z), (area): [Tensor, Tensor] => [ops.binary("Mul", x, area), slope(x, area, z)])),
  };
}

function rows({ ops, plain, constant }: Shared, sumLeading: Kernels["sumLeading"]) {
  const last = (x: Tensor): number[] => [x.rank - 1];
  const mean = (x: Tensor): Tensor => ops.reduce("Mean", x, last(x), true);
  const total = (x: Tensor): Tensor => ops.reduce("Sum", x, last(x), true);
  const mul = (a: Tensor, b: Tensor): Tensor => ops.binary("Mul", a, b);
  const sub = (a: Tensor, b: Tensor): Tensor => ops.binary("Sub", a, b);
  /** From the length of each centered row, so that its squares are never written: 1 / sqrt(length^2 / width + eps). */
  const rstdOf = (centered: Tensor, eps: number): Tensor => chain(centered, (c) => ops.reduce("EuclideanNorm", c, last(c), true),
    (length) => ops.unary("Square", length), (squares) => mul(squares, constant(1 / (centered.shape.at(-1) ?? 1))),
    (variance) => ops.binary("AddV2", variance, constant(eps)), (v) => ops.unary("Rsqrt", v));
  const normalize: Kernels["normalize"] = (x, eps) => drop(drop(mean(x), (center) => sub(x, center)), (centered): [Tensor, Tensor] => {
    const rstd = rstdOf(centered, eps);
    return [mul(centered, rstd), rstd];
  });
  const normalizeGrad: Kernels["normalizeGrad"] = (y, rstd, dy) => {
    const along = drop(drop(mul(dy, y), mean), (projection) => mul(y, projection));
    const centered = drop(mean(dy), (center) => sub(dy, center));
    const inner = sub(centered, along);
    plain.free(along, centered);
    return drop(inner, (value) => mul(value, rstd));
  };
  const affine: Kernels["affine"] = (x, scale, offset) => drop(mul(x, scale), (scaled) => ops.binary("AddV2", scaled, offset));
  const layerNorm: Kernels["layerNorm"] = (x, scale, offset, eps) => {
    const [y, rstd] = normalize(x, eps);
    return [affine(y, scale, offset), y, rstd];
  };
  /**
   * With dy = dout * scale, the means of dy and of dy * y are products of dout and of dout * y with scale / width; and
   * dout * y is what the gradient of the scale sums. So neither mean takes a sweep that writes.
   */
  const layerNormGrad: Kernels["layerNormGrad"] = (y, rstd, scale, dout) => {
    const [count, width] = asMatrix(y);
    const [y2, d2, r2] = [ops.reshape(y, [count, width]), ops.reshape(dout, [count, width]), ops.reshape(rstd, [count, 1])];
    const product = mul(d2, y2);
    const weights = drop(mul(scale, constant(1 / width)), (w) => ops.reshape(w, [width, 1]));
    const along = drop(ops.matmul(product, weights, false, false), (projection) => mul(y2, projection));
    const center = ops.matmul(d2, weights, false, false);
    const dx = chain(d2, (d) => mul(d, scale), (dy) => sub(dy, along), (d) => sub(d, center), (d) => mul(d, r2), (d) => ops.reshape(d, y.shape));
    const grads: [Tensor, Tensor, Tensor] = [dx, sumLeading(product), sumLeading(d2)];
    plain.free(y2, d2, r2, product, weights, along, center);
    return grads;
  };
  return {
    normalize, normalizeGrad, affine, layerNorm,
    layerNormGrad,
    layerNormOnly: (x: Tensor, scale: Tensor, offset: Tensor, eps: number): Tensor => {
      const [y, rstd] = normalize(x, eps);
      rstd.dispose();
      return drop(y, (value) => affine(value, scale, offset));
    },
    softmax: (x: Tensor): Tensor => ops.unary("Softmax", x),
    softmaxGrad: (y: Tensor, dy: Tensor): Tensor =>
      drop(drop(drop(mul(y, dy), total), (inner) => sub(dy, inner)), (value) => mul(value, y)),
    logSoftmax: (x: Tensor): Tensor => ops.unary("LogSoftmax", x),
    sum: reduction(ops, "Sum"), mean: reduction(ops, "Mean"), max: reduction(ops, "Max"),
    meanAll: (x: Tensor): Tensor => ops.reduce("Mean", x, x.shape.map((_, axis) => axis), false),
    sumTo: (x: Tensor, shape: readonly number[]): Tensor => {
      const width = x.shape.at(-1);
      return shape.length === 1 && shape[0] === width && x.rank > 1 ? sumLeading(x) : plain.sumTo(x, shape);
    },
  };
}

function reduction(ops: RawOps, op: "Sum" | "Mean" | "Max") {
  return (x: Tensor, axes?: readonly number[], keep = false): Tensor => ops.reduce(op, x, axes ?? x.shape.map((_, axis) => axis), keep);
}

function picking(tf: Tf, { ops, plain }: Shared) {
  /** Where each image begins, as a column, cached by the op layer's key of plain numbers. */
  const flatIndex = (index: Tensor, batch: number, tokens: number): Tensor => tf.tidy(() => {
    const [count = 0] = index.shape;
    const starts = ops.ints(Array.from({ length: count }, (_, row) => (row % batch) * tokens));
    return tf.add(index, starts.reshape([count, 1]));
  });
  return {
    gatherRows: (x: Tensor, index: Tensor, copies: number): Tensor => {
      const [count = 0] = index.shape;
      return drop(ops.reshape(x, asMatrix(x)), (table) =>
        drop(flatIndex(index, count / copies, x.shape[1] ?? 0), (at) => ops.gather(table, at)));
    },
    scatterRows: (dy: Tensor, index: Tensor, batch: number, tokens: number): Tensor =>
      drop(drop(flatIndex(index, batch, tokens), (at) => ops.segmentSum(dy, at, batch * tokens)), (sum) =>
        ops.reshape(sum, [batch, tokens, dy.shape[2] ?? 0])),
    gatherTable: (x: Tensor, index: Tensor): Tensor => ops.gather(x, index),
    scatterTable: (dy: Tensor, index: Tensor, tokens: number): Tensor => ops.segmentSum(dy, index, tokens),
    tileBatch: (x: Tensor, copies: number): Tensor => ops.tile(x, x.shape.map((_, axis) => axis === 0 ? copies : 1)),
    sumTiles: (dy: Tensor, copies: number): Tensor => {
      if (copies === 1) return plain.reshape(dy, dy.shape);
      const [count = 0, ...rest] = dy.shape;
      const parts = drop(ops.reshape(dy, [copies, count / copies, ...rest]), (stacked) => ops.unpack(stacked, copies));
      const sum = ops.addN(parts);
      plain.free(parts);
      return sum;
    },
    broadcastRows: (v: Tensor, count: number, tokens: number): Tensor =>
      drop(ops.reshape(v, [1, 1, v.size]), (row) => ops.tile(row, [count, tokens, 1])),
  };
}

/** Widths up to which a product for each head is quicker than one product and a transpose of what it made. */
const narrow = 384;

function attention({ ops, plain, constant, factors }: Shared, quickBatches: boolean) {
  const splitHeads: Kernels["splitHeads"] = (x, heads) => {
    const [batch = 0, tokens = 0, width = 0] = x.shape;
    return drop(ops.reshape(x, [batch, tokens, heads, width / heads]), (parts) => ops.transpose(parts, [0, 2, 1, 3]));
  };
  const mergeHeads: Kernels["mergeHeads"] = (x) => {
    const [batch = 0, heads = 0, tokens = 0, size = 0] = x.shape;
    return drop(ops.transpose(x, [0, 2, 1, 3]), (parts) => ops.reshape(parts, [batch, tokens, heads * size]));
  };
  const sdpaScaled = (q: Tensor, k: Tensor, v: Tensor): [Tensor, Tensor] => {
    const p = drop(ops.batchMatmul(q, k, false, true), (scores) => ops.unary("Softmax", scores));
    return [ops.batchMatmul(p, v, false, false), p];
  };
  /** Gradients for q * scale, k and v; `q` is already scaled. */
  const scaledGrad = (q: Tensor, k: Tensor, v: Tensor, p: Tensor, dout: Tensor): [Tensor, Tensor, Tensor] => {
    const dp = ops.batchMatmul(dout, v, false, true);
    const ds = softmaxGradOf(ops, p, dp);
    dp.dispose();
    const grads: [Tensor, Tensor, Tensor] = [ops.batchMatmul(ds, k, false, false), ops.batchMatmul(ds, q, true, false), ops.batchMatmul(p, dout, true, false)];
    ds.dispose();
    return grads;
  };
  const times = (x: Tensor, scale: number): Tensor => ops.binary("Mul", x, constant(scale));
  /** Heads of q, k and v are [heads, B, N, d] here, so that a product for each head can make them. */
  const apart = (stacked: Tensor): [Tensor, Tensor, Tensor] => {
    const [q, k, v] = drop(stacked, (value) => ops.unpack(value, 3));
    if (q === undefined || k === undefined || v === undefined) throw new Error("attention: qkv does not split in three");
    return [q, k, v];
  };
  const toHeads = [2, 3, 0, 1, 4];
  /** One transpose for q, k and v together; unpacking along the first axis copies nothing. */
  const headsOf = (qkv: Tensor, [batch = 0, tokens = 0]: readonly number[], heads: number): [Tensor, Tensor, Tensor] =>
    apart(drop(ops.reshape(qkv, [batch, tokens, 3, heads, (qkv.shape.at(-1) ?? 0) / (3 * heads)]), (parts) => ops.transpose(parts, toHeads)));
  const joined = (out: Tensor): Tensor => {
    const [heads = 0, batch = 0, tokens = 0, size = 0] = out.shape;
    return drop(drop(out, (value) => ops.transpose(value, [1, 2, 0, 3])), (parts) => ops.reshape(parts, [batch, tokens, heads * size]));
  };
  const attend = (q: Tensor, k: Tensor, v: Tensor): [Tensor, Tensor[]] => {
    const [out, p] = sdpaScaled(q, k, v);
    return [joined(out), [q, k, v, p]];
  };
  const attention: Kernels["attention"] = (qkv, heads, scale, queries) => {
    const [all, k, v] = headsOf(qkv, qkv.shape, heads);
    const [, batch = 0, , size = 0] = all.shape;
    const asked = queries === undefined ? all : drop(all, (value) => ops.slice(value, [0, 0, queries.first, 0], [heads, batch, queries.count, size]));
    return attend(drop(asked, (value) => times(value, scale)), k, v);
  };
  /** x times w, whose columns are [3, heads, d], as heads of q, k and v: a product for each head, or one and a transpose. */
  const project = (x: Tensor, w: Tensor, heads: number): [Tensor, Tensor, Tensor] => {
    const [batch = 0, tokens = 0, width = 0] = x.shape;
    const size = w.size / (width * 3 * heads);
    if (!quickBatches || width > narrow) {
      const flat = drop(ops.reshape(w, [width, 3 * heads * size]), (matrix) => drop(ops.reshape(x, asMatrix(x)), (rows) => ops.matmul(rows, matrix, false, false)));
      return drop(flat, (qkv) => headsOf(qkv, x.shape, heads));
    }
    const perHead = drop(ops.reshape(w, [width, 3 * heads, size]), (columns) => ops.transpose(columns, [1, 0, 2]));
    const stacked = drop(perHead, (matrices) => drop(ops.reshape(x, [1, batch * tokens, width]), (rows) => ops.batchMatmul(rows, matrices, false, false)));
    return apart(drop(stacked, (value) => ops.reshape(value, [3, heads, batch, tokens, size])));
  };
  /**
   * The scale goes into the columns of q. The bias of k adds the same to all scores of a query, which a softmax does not
   * see; so it is left out, and the gradients that follow from q, k, v and p are the same without it.
   */
  const projectedAttention: ProjectedAttention["projectedAttention"] = (x, w, b, heads, scale) => {
    const third = b.size / 3;
    const scaled = drop(ops.reshape(w, [x.shape[2] ?? 0, 3, third]), (columns) => ops.binary("Mul", columns, factors.column(scale)));
    const [q, k, v] = drop(scaled, (columns) => project(x, columns, heads));
    const biases = apart(ops.reshape(b, [3, heads, 1, 1, third / heads]));
    const [bq, , bv] = biases;
    const shifted = drop(times(bq, scale), (bias) => drop(q, (value) => ops.binary("AddV2", value, bias)));
    const result = attend(shifted, k, drop(v, (value) => ops.binary("AddV2", value, bv)));
    plain.free(biases);
    return result;
  };
  return {
    splitHeads, mergeHeads, attention, projectedAttention,
    attentionOnly: (qkv: Tensor, heads: number, scale: number, queries?: Queries): Tensor => {
      const [out, saved] = attention(qkv, heads, scale, queries);
      plain.free(saved);
      return out;
    },
    attentionGrad: (saved: readonly Tensor[], dout: Tensor, scale: number, first = 0): Tensor => {
      const [q, k, v, p] = saved;
      if (q === undefined || k === undefined || v === undefined || p === undefined) throw new Error("attentionGrad: not what attention saved");
      const [batch = 0, asked = 0, width = 0] = dout.shape;
      const tokens = k.shape[2] ?? asked;
      const [heads = 1, , , size = 0] = q.shape;
      const parts = drop(ops.reshape(dout, [batch, asked, heads, size]), (value) => ops.transpose(value, [2, 0, 1, 3]));
      const [dqs, dk, dv] = drop(parts, (d) => scaledGrad(q, k, v, p, d));
      const own = drop(dqs, (value) => times(value, scale));
      const dq = asked === tokens ? own : drop(own, (value) => plain.pad(value, [[0, 0], [0, 0], [first, tokens - asked - first], [0, 0]]));
      const stacked = ops.pack([dq, dk, dv]);
      plain.free(dq, dk, dv);
      return drop(drop(stacked, (value) => ops.transpose(value, toHeads)), (value) => ops.reshape(value, [batch, tokens, 3 * width]));
    },
    sdpa: (q: Tensor, k: Tensor, v: Tensor, scale: number): [Tensor, Tensor] => drop(times(q, scale), (scaled) => sdpaScaled(scaled, k, v)),
    sdpaGrad: (q: Tensor, k: Tensor, v: Tensor, p: Tensor, dout: Tensor, scale: number): [Tensor, Tensor, Tensor] => {
      const [dqs, dk, dv] = drop(times(q, scale), (scaled) => scaledGrad(scaled, k, v, p, dout));
      return [drop(dqs, (value) => times(value, scale)), dk, dv];
    },
  };
}

function softmaxGradOf(ops: RawOps, y: Tensor, dy: Tensor): Tensor {
  const product = ops.binary("Mul", y, dy);
  const inner = drop(product, (value) => ops.reduce("Sum", value, [y.rank - 1], true));
  return drop(drop(inner, (value) => ops.binary("Sub", dy, value)), (value) => ops.binary("Mul", value, y));
}

function losses({ ops, plain, constant }: Shared) {
  const mul = (a: Tensor, b: number | Tensor): Tensor => ops.binary("Mul", a, typeof b === "number" ? constant(b) : b);
  const everything = (x: Tensor): number[] => x.shape.map((_, axis) => axis);
  const clipped = (d: Tensor, beta: number): Tensor => drop(ops.binary("Minimum", d, constant(beta)), (low) => ops.binary("Maximum", low, constant(-beta)));
  /** c * (d - c / 2), averaged: see the plain kernel for why this is both arms. */
  const value = (d: Tensor, c: Tensor, beta: number): Tensor =>
    chain(c, (x) => mul(x, 0.5), (half) => ops.binary("Sub", d, half), (rest) => mul(rest, c), (x) => ops.reduce("Mean", x, everything(x), false), (mean) => mul(mean, 1 / beta));
  const both = <R>(x: Tensor, y: Tensor, beta: number, use: (d: Tensor, c: Tensor) => R): R =>
    drop(ops.binary("Sub", x, y), (d) => drop(clipped(d, beta), (c) => use(d, c)));
  return {
    smoothL1: (x: Tensor, y: Tensor, beta: number): Tensor => both(x, y, beta, (d, c) => value(d, c, beta)),
    smoothL1Grad: (x: Tensor, y: Tensor, beta: number, seed = 1): Tensor => both(x, y, beta, (_, c) => mul(c, plain.scalar(seed / (beta * x.size)))),
    smoothL1Pair: (x: Tensor, y: Tensor, beta: number, seed = 1): [Tensor, Tensor] =>
      both(x, y, beta, (d, c): [Tensor, Tensor] => [value(d, c, beta), mul(c, seed / (beta * x.size))]),
    mse: (x: Tensor, y: Tensor): Tensor => drop(ops.binary("SquaredDifference", x, y), (square) => ops.reduce("Mean", square, everything(square), false)),
  };
}

function shapes({ ops, plain }: Shared) {
  return {
    reshape: (x: Tensor, shape: readonly number[]): Tensor => x.dtype === "float32" ? ops.reshape(x, shape) : plain.reshape(x, shape),
    transpose: (x: Tensor, perm: readonly number[]): Tensor => x.dtype === "float32" ? ops.transpose(x, perm) : plain.transpose(x, perm),
  };
}
