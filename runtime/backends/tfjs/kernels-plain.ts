/**
 * The kernels in ordinary tfjs calls: right on every backend, and the text against which the two fast forms are read.
 *
 * The fast forms replace what they do better and keep the rest. Products are brought to two dims first, since most
 * backends have one good path and that is it.
 */
import type { Freeable, Kernels } from "./kernels.js";
import type { Tensor, Tf } from "./tf.js";

/** All kernels by plain tfjs. */
export function plainKernels(tf: Tf): Kernels {
  const base = pointwise(tf);
  const withRows = { ...base, ...products(tf), ...rows(tf) };
  return { ...withRows, ...picking(tf), ...attention(tf), ...losses(tf), ...shapes(tf), ...memory(tf) };
}

/** Row and column counts of a tensor seen as a matrix whose columns are its last axis. */
export function asMatrix(x: Tensor): [rows: number, columns: number] {
  const columns = x.shape.at(-1) ?? 1;
  return [columns === 0 ? 0 : x.size / columns, columns];
}

function flat(x: Tensor): Tensor {
  return x.reshape(asMatrix(x));
}

function products(tf: Tf) {
  const matmul: Kernels["matmul"] = (a, b, ta = false, tb = false) => tf.tidy(() => {
    if (b.rank !== 2 || a.rank === 2) return tf.matMul(a, b, ta, tb);
    if (ta) throw new Error("matmul: a of rank above 2 with b of rank 2 cannot be transposed");
    const product: Tensor = tf.matMul(flat(a), b, false, tb);
    return product.reshape([...a.shape.slice(0, -1), product.shape[1] ?? 0]);
  });
  const linear: Kernels["linear"] = (x, w, b) => tf.tidy(() => {
    const product: Tensor = tf.matMul(flat(x), w);
    const y = b === undefined ? product : product.add(b);
    return y.reshape([...x.shape.slice(0, -1), w.shape[1] ?? 0]);
  });
  const linearGradInput: Kernels["linearGradInput"] = (dy, w) => matmul(dy, w, false, true);
  const linearGradWeight: Kernels["linearGradWeight"] = (x, dy) => tf.tidy((): Tensor => tf.matMul(flat(x), flat(dy), true, false));
  const sumLeading: Kernels["sumLeading"] = (dy) => tf.tidy(() => flat(dy).sum(0));
  const scaleRows: Kernels["scaleRows"] = (w, s) => tf.tidy(() => tf.mul(w, s.reshape([s.size, 1])));
  return { matmul, linear, linearGradInput, linearGradWeight, sumLeading, scaleRows };
}

function pointwise(tf: Tf) {
  const phi = (x: Tensor): Tensor => x.square().mul(-0.5).exp().mul(1 / Math.sqrt(2 * Math.PI));
  const cdf = (x: Tensor): Tensor => x.mul(Math.SQRT1_2).erf().add(1).mul(0.5);
  return {
    add: (a: Tensor, b: Tensor | number): Tensor => tf.add(a, b),
    sub: (a: Tensor, b: Tensor | number): Tensor => tf.sub(a, b),
    mul: (a: Tensor, b: Tensor | number): Tensor => tf.mul(a, b),
    div: (a: Tensor, b: Tensor | number): Tensor => tf.div(a, b),
    maximum: (a: Tensor, b: Tensor | number): Tensor => tf.maximum(a, b),
    addN: (list: readonly Tensor[]): Tensor => tf.tidy(() => list.length === 1 ? tf.clone(first(list)) : list.reduce((sum, x) => tf.add(sum, x))),
    neg: (x: Tensor): Tensor => tf.neg(x),
    exp: (x: Tensor): Tensor => tf.exp(x),
    log: (x: Tensor): Tensor => tf.log(x),
    sqrt: (x: Tensor): Tensor => tf.sqrt(x),
    rsqrt: (x: Tensor): Tensor => tf.rsqrt(x),
    square: (x: Tensor): Tensor => tf.square(x),
    abs: (x: Tensor): Tensor => tf.abs(x),
    erf: (x: Tensor): Tensor => tf.erf(x),
    tanh: (x: Tensor): Tensor => tf.tanh(x),
    sigmoid: (x: Tensor): Tensor => tf.sigmoid(x),
    relu: (x: Tensor): Tensor => tf.relu(x),
    reluGrad: (x: Tensor, dy: Tensor): Tensor => tf.tidy(() => dy.mul(x.greater(0).cast("float32"))),
    gelu: (x: Tensor): Tensor => tf.tidy(() => x.mul(cdf(x))),
    geluGrad: (x: Tensor, dy: Tensor): Tensor => tf.tidy(() => dy.mul(cdf(x).add(x.mul(phi(x))))),
    geluPair: (x: Tensor): [Tensor, Tensor] => tf.tidy((): [Tensor, Tensor] => {
      const area = cdf(x);
      return [x.mul(area), area.add(x.mul(phi(x)))];
    }),
  };
}

function first(list: readonly Tensor[]): Tensor {
  const [head] = list;
  if (head === undefined) throw new Error("addN: no tensors");
  return head;
}

function rows(tf: Tf) {
  const normalize: Kernels["normalize"] = (x, eps) => tf.tidy((): [Tensor, Tensor] => {
    const centered = x.sub(x.mean(-1, true));
    const rstd: Tensor = centered.square().mean(-1, true).add(eps).rsqrt();
    return [centered.mul(rstd), rstd];
  });
  const normalizeGrad: Kernels["normalizeGrad"] = (y, rstd, dy) => tf.tidy(() =>
    dy.sub(dy.mean(-1, true)).sub(y.mul(dy.mul(y).mean(-1, true))).mul(rstd));
  const affine: Kernels["affine"] = (x, scale, offset) => tf.tidy(() => x.mul(scale).add(offset));
  const sumRows = (x: Tensor): Tensor => flat(x).sum(0);
  const layerNorm: Kernels["layerNorm"] = (x, scale, offset, eps) => {
    const [y, rstd] = normalize(x, eps);
    return [affine(y, scale, offset), y, rstd];
  };
  return {
    softmax: (x: Tensor): Tensor => tf.softmax(x),
    softmaxGrad: (y: Tensor, dy: Tensor): Tensor => tf.tidy(() => {
      const product = y.mul(dy);
      return product.sub(y.mul(product.sum(-1, true)));
    }),
    logSoftmax: (x: Tensor): Tensor => tf.logSoftmax(x),
    logSoftmaxGrad: (y: Tensor, dy: Tensor): Tensor => tf.tidy(() => dy.sub(y.exp().mul(dy.sum(-1, true)))),
    normalize, normalizeGrad, affine, layerNorm,
    layerNormGrad: (y: Tensor, rstd: Tensor, scale: Tensor, dout: Tensor): [Tensor, Tensor, Tensor] =>
      tf.tidy((): [Tensor, Tensor, Tensor] => [normalizeGrad(y, rstd, dout.mul(scale)), sumRows(dout.mul(y)), sumRows(dout)]),
    layerNormOnly: (x: Tensor, scale: Tensor, offset: Tensor, eps: number): Tensor => tf.tidy(() => layerNorm(x, scale, offset, eps)[0]),
    sum: (x: Tensor, axes?: readonly number[], keep?: boolean): Tensor => tf.sum(x, axes && [...axes], keep),
    mean: (x: Tensor, axes?: readonly number[], keep?: boolean): Tensor => tf.mean(x, axes && [...axes], keep),
    max: (x: Tensor, axes?: readonly number[], keep?: boolean): Tensor => tf.max(x, axes && [...axes], keep),
    meanAll: (x: Tensor): Tensor => tf.mean(x),
    sumTo: (x: Tensor, shape: readonly number[]): Tensor => tf.tidy(() => {
      const added = x.rank - shape.length;
      const axes = x.shape.flatMap((size, axis) => axis < added || (shape[axis - added] === 1 && size !== 1) ? [axis] : []);
      return (axes.length === 0 ? tf.clone(x) : x.sum(axes)).reshape([...shape]);
    }),
  };
}

/** Positions in [B*N] of index [M*B, K], which counts within each image. */
function flatIndex(tf: Tf, index: Tensor, batch: number, tokens: number): Tensor {
  const [count = 0] = index.shape;
  const starts = Int32Array.from({ length: count }, (_, row) => (row % batch) * tokens);
  return index.add(tf.tensor2d(starts, [count, 1], "int32")).reshape([-1]);
}

function picking(tf: Tf) {
  return {
    gatherRows: (x: Tensor, index: Tensor, copies: number): Tensor => tf.tidy(() => {
      const [count = 0, kept = 0] = index.shape;
      const [, tokens = 0, width = 0] = x.shape;
      return tf.gather(flat(x), flatIndex(tf, index, count / copies, tokens).as1D()).reshape([count, kept, width]);
    }),
    scatterRows: (dy: Tensor, index: Tensor, batch: number, tokens: number): Tensor => tf.tidy(() => {
      const [, width] = asMatrix(dy);
      const at = flatIndex(tf, index, batch, tokens).reshape([-1, 1]);
      return tf.scatterND(at, flat(dy), [batch * tokens, width]).reshape([batch, tokens, width]);
    }),
    gatherTable: (x: Tensor, index: Tensor): Tensor => tf.tidy(() => {
      const [, width = 0] = x.shape;
      return tf.gather(x, index.reshape([-1]).as1D()).reshape([...index.shape, width]);
    }),
    scatterTable: (dy: Tensor, index: Tensor, tokens: number): Tensor => tf.tidy(() =>
      tf.scatterND(index.reshape([-1, 1]), flat(dy), [tokens, asMatrix(dy)[1]])),
    tileBatch: (x: Tensor, copies: number): Tensor => tf.tile(x, x.shape.map((_, axis) => axis === 0 ? copies : 1)),
    sumTiles: (dy: Tensor, copies: number): Tensor => tf.tidy(() => {
      const [count = 0, ...rest] = dy.shape;
      return dy.reshape([copies, dy.size / copies]).sum(0).reshape([count / copies, ...rest]);
    }),
    broadcastRows: (v: Tensor, count: number, tokens: number): Tensor => tf.tidy(() => tf.tile(v.reshape([1, 1, v.size]), [count, tokens, 1])),
  };
}

function attention(tf: Tf) {
  const splitHeads: Kernels["splitHeads"] = (x, heads) => tf.tidy(() => {
    const [batch = 0, tokens = 0, width = 0] = x.shape;
    return x.reshape([batch, tokens, heads, width / heads]).transpose([0, 2, 1, 3]);
  });
  const mergeHeads: Kernels["mergeHeads"] = (x) => tf.tidy(() => {
    const [batch = 0, heads = 0, tokens = 0, size = 0] = x.shape;
    return x.transpose([0, 2, 1, 3]).reshape([batch, tokens, heads * size]);
  });
  const sdpa: Kernels["sdpa"] = (q, k, v, scale) => tf.tidy((): [Tensor, Tensor] => {
    const p: Tensor = tf.softmax(tf.matMul(q.mul(scale), k, false, true));
    return [tf.matMul(p, v), p];
  });
  const sdpaGrad: Kernels["sdpaGrad"] = (q, k, v, p, dout, scale) => tf.tidy((): [Tensor, Tensor, Tensor] => {
    const product: Tensor = tf.matMul(dout, v, false, true).mul(p);
    const ds = product.sub(p.mul(product.sum(-1, true))).mul(scale);
    return [tf.matMul(ds, k), tf.matMul(ds, q, true, false), tf.matMul(p, dout, true, false)];
  });
  const attention: Kernels["attention"] = (qkv, heads, scale, queries) => tf.tidy((): [Tensor, Tensor[]] => {
    const [all, k, v] = tf.split(qkv, 3, 2).map((part: Tensor) => splitHeads(part, heads));
    if (all === undefined || k === undefined || v === undefined) throw new Error("attention: qkv does not split in three");
    const [batch = 0, , , size = 0] = all.shape;
    const q = queries === undefined ? all : all.slice([0, 0, queries.first, 0], [batch, heads, queries.count, size]);
    const [out, p] = sdpa(q, k, v, scale);
    return [mergeHeads(out), [q, k, v, p]];
  });
  const attentionGrad: Kernels["attentionGrad"] = (saved, dout, scale, first = 0) => tf.tidy(() => {
    const [q, k, v, p] = saved;
    if (q === undefined || k === undefined || v === undefined || p === undefined) throw new Error("attentionGrad: not what attention saved");
    const [dq, dk, dv] = sdpaGrad(q, k, v, p, splitHeads(dout, q.shape[1] ?? 1), scale);
    const after = (k.shape[2] ?? 0) - (q.shape[2] ?? 0) - first;
    return tf.concat([tf.pad(mergeHeads(dq), [[0, 0], [first, after], [0, 0]]), mergeHeads(dk), mergeHeads(dv)], 2);
  });
  const attentionOnly: Kernels["attentionOnly"] = (qkv, heads, scale, queries) => tf.tidy(() => attention(qkv, heads, scale, queries)[0]);
  return { splitHeads, mergeHeads, sdpa, sdpaGrad, attention, attentionGrad, attentionOnly };
}

/**
 * Smooth-L1 without branches: with c = clip(d, -beta, beta), the value is c * (d - c / 2) / beta and the slope c / beta.
 * Both arms of the definition follow: inside, c = d; outside, c = +-beta.
 */
function losses(tf: Tf) {
  const smoothL1Pair: Kernels["smoothL1Pair"] = (x, y, beta, seed = 1) => tf.tidy((): [Tensor, Tensor] => {
    const d = tf.sub(x, y);
    const c = d.clipByValue(-beta, beta);
    return [c.mul(d.sub(c.mul(0.5))).mean().mul(1 / beta), c.mul(seed / (beta * x.size))];
  });
  return {
    smoothL1: (x: Tensor, y: Tensor, beta: number): Tensor => tf.tidy(() => smoothL1Pair(x, y, beta)[0]),
    smoothL1Grad: (x: Tensor, y: Tensor, beta: number, seed?: number): Tensor => tf.tidy(() => smoothL1Pair(x, y, beta, seed)[1]),
    smoothL1Pair,
    mse: (x: Tensor, y: Tensor): Tensor => tf.tidy(() => tf.squaredDifference(x, y).mean()),
    mseGrad: (x: Tensor, y: Tensor, seed = 1): Tensor => tf.tidy(() => tf.sub(x, y).mul((2 * seed) / x.size)),
  };
}

function shapes(tf: Tf) {
  return {
    reshape: (x: Tensor, shape: readonly number[]): Tensor => tf.reshape(x, [...shape]),
    transpose: (x: Tensor, perm: readonly number[]): Tensor => tf.transpose(x, [...perm]),
    concat: (list: readonly Tensor[], axis: number): Tensor => tf.concat([...list], axis),
    slice: (x: Tensor, begin: readonly number[], size: readonly number[]): Tensor => tf.slice(x, [...begin], [...size]),
    split: (x: Tensor, sizes: readonly number[], axis: number): Tensor[] => tf.split(x, [...sizes], axis),
    pad: (x: Tensor, paddings: readonly (readonly [number, number])[]): Tensor => tf.pad(x, paddings.map(([before, after]): [number, number] => [before, after])),
    patches: (x: Tensor, high: number, wide: number): Tensor => tf.tidy(() => {
      const [batch = 0, height = 0, width = 0, channels = 0] = x.shape;
      // Rank 4 is enough, and quick everywhere: the columns and channels of a patch lie together already.
      const cut = x.reshape([batch * (height / high), high, width / wide, wide * channels]).transpose([0, 2, 1, 3]);
      return cut.reshape([batch, (height / high) * (width / wide), high * wide * channels]);
    }),
  };
}

function memory(tf: Tf) {
  const scalars = new Map<number, Tensor>();
  return {
    scalar: (value: number): Tensor => {
      const known = scalars.get(value);
      if (known !== undefined) return known;
      const made = tf.keep(tf.scalar(value));
      scalars.set(value, made);
      return made;
    },
    free: (...list: Freeable[]): void => {
      for (const item of list) {
        if (item === undefined) continue;
        if ("dispose" in item) item.dispose();
        else for (const tensor of item) tensor.dispose();
      }
    },
    dispose: (): void => {
      for (const tensor of scalars.values()) tensor.dispose();
      scalars.clear();
    },
  };
}
