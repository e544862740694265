/**
 * The rarer operations of compiled modules, in ordinary tfjs calls.
 *
 * `kernels.ts` holds what a training step spends its time on, tuned per engine. Here is the rest of what the compiler may
 * emit, so that every op of its tensor IR has a kernel: no step of the published systems waits for one of these. The same
 * rules hold: results are new and the caller's, inputs stay, reductions have a fixed order.
 */
import type { ProjectedAttention } from "./kernels-feed-forward.js";
import type { Kernels, Queries } from "./kernels.js";
import type { Tensor, Tf } from "./tf.js";

/** A tensor, or what a kernel keeps of several (attention's memory). */
export type Held = Tensor | readonly Tensor[];

/** Tensors in nested objects and arrays: gradients in the shape of the parameters. */
export type TensorTree = Tensor | readonly TensorTree[] | { readonly [key: string]: TensorTree };

/** Operations beside {@link Kernels}. */
export type ExtraKernels = {
  /** Leaf by leaf a + b; both trees have the same form. */
  addTrees(a: TensorTree, b: TensorTree): TensorTree;
  /** Frees every leaf. */
  freeTrees(...trees: TensorTree[]): void;
  /** Another handle on the same data, to be freed on its own. Copies nothing. */
  share(x: Tensor): Tensor;
  share(x: readonly Tensor[]): Tensor[];
  share(x: Held): Held;
  /** -1, 0 or 1. */
  sign(x: Tensor): Tensor;
  /** 1 where x > 0, else 0. */
  step(x: Tensor): Tensor;
  sin(x: Tensor): Tensor;
  cos(x: Tensor): Tensor;
  reciprocal(x: Tensor): Tensor;
  minimum(a: Tensor, b: Tensor | number): Tensor;
  /** 1 where a < b, else 0. */
  less(a: Tensor, b: Tensor | number): Tensor;
  /** a where condition is not 0, else b. */
  where(condition: Tensor, a: Tensor, b: Tensor): Tensor;
  /** int32 as float32. */
  toFloat(x: Tensor): Tensor;
  fill(shape: readonly number[], value: number): Tensor;
  /** 0, 1, ... as int32. */
  range(size: number): Tensor;
  broadcast(x: Tensor, shape: readonly number[]): Tensor;
  /** indices [...] -> [..., size], 1 at the index. */
  oneHot(indices: Tensor, size: number): Tensor;
  /** The inverse of `patches`: [B, (H/h)*(W/w), h*w*C] -> [B, H, W, C]. */
  unpatches(x: Tensor, high: number, wide: number, height: number, width: number): Tensor;
  /**
   * `attention` with its usual scale, 1 / sqrt of a head's width: qkv [B, T, 3D] -> [out [B, T, D], what the gradient
   * needs]. With `first` and `count` only these rows attend, to all T, and out is [B, count, D].
   */
  selfAttention(qkv: Tensor, heads: number, first?: number, count?: number): [o: Tensor, memory: Tensor[]];
  /** {@link ExtraKernels.selfAttention} where no gradient is wanted. */
  selfAttentionOnly(qkv: Tensor, heads: number, first?: number, count?: number): Tensor;
  /** {@link ExtraKernels.selfAttention} of linear(x, w, b), with x [B, T, in], w [in, 3D] and b [3D]; its gradient by qkv is the same. */
  qkvAttention(x: Tensor, w: Tensor, b: Tensor, heads: number): [o: Tensor, memory: Tensor[]];
  /** {@link ExtraKernels.qkvAttention} where no gradient is wanted. */
  qkvAttentionOnly(x: Tensor, w: Tensor, b: Tensor, heads: number): Tensor;
  /** Its gradient, [B, T, 3D]; the caller frees `memory`. `first` as there. */
  selfAttentionGrad(memory: readonly Tensor[], dout: Tensor, heads: number, first?: number): Tensor;
  /** Attention over [B, T, D] with heads inside D; lse [B, heads, T] is the logarithm of each row's sum of exponents. With `block`, keys of later blocks of so many rows are hidden. */
  attend(q: Tensor, k: Tensor, v: Tensor, heads: number, block?: number): [o: Tensor, lse: Tensor];
  /** {@link ExtraKernels.attend} where no gradient is wanted. */
  attendOnly(q: Tensor, k: Tensor, v: Tensor, heads: number, block?: number): Tensor;
  attendGrad(q: Tensor, k: Tensor, v: Tensor, lse: Tensor, dout: Tensor, heads: number, block?: number): [dq: Tensor, dk: Tensor, dv: Tensor];
  /** Elementwise smooth L1 of x - y. */
  smoothL1Each(x: Tensor, y: Tensor, beta: number): Tensor;
  /** dy times the derivative of {@link ExtraKernels.smoothL1Each} by x. */
  smoothL1EachGrad(x: Tensor, y: Tensor, dy: Tensor, beta: number): Tensor;
};

/** The rarer kernels, over those of the engine. */
export function extraKernels(tf: Tf, base: Kernels & ProjectedAttention): ExtraKernels {
  return { ...trees(tf), ...sharing(tf), ...pointwise(tf), ...making(tf), ...attending(tf, base) };
}

function trees(tf: Tf): Pick<ExtraKernels, "addTrees" | "freeTrees"> {
  const isTensor = (t: TensorTree | undefined): t is Tensor => t instanceof tf.Tensor;
  const isList = (t: TensorTree): t is readonly TensorTree[] => Array.isArray(t);
  const child = (t: TensorTree, key: string): TensorTree => {
    const value: TensorTree | undefined = Reflect.get(t, key);
    if (value === undefined) throw new RangeError(`addTrees: the second tree has no ${key}`);
    return value;
  };
  const addTrees = (a: TensorTree, b: TensorTree): TensorTree => {
    if (isTensor(a)) {
      if (!isTensor(b)) throw new RangeError("addTrees: a tensor meets a branch");
      return tf.add(a, b);
    }
    if (isList(a)) return a.map((x, i) => addTrees(x, child(b, String(i))));
    return Object.fromEntries(Object.entries(a).map(([key, x]) => [key, addTrees(x, child(b, key))]));
  };
  const freeTree = (t: TensorTree): void => (isTensor(t) ? t.dispose() : Object.values(t).forEach(freeTree));
  return { addTrees, freeTrees: (...list) => list.forEach(freeTree) };
}

function sharing(tf: Tf): Pick<ExtraKernels, "share"> {
  function share(x: Tensor): Tensor;
  function share(x: readonly Tensor[]): Tensor[];
  function share(x: Held): Held;
  function share(x: Held): Held {
    return "dispose" in x ? tf.clone(x) : x.map((each) => tf.clone(each));
  }
  return { share };
}

function pointwise(tf: Tf) {
  return {
    sign: (x: Tensor): Tensor => tf.sign(x),
    step: (x: Tensor): Tensor => tf.tidy(() => x.greater(0).cast("float32")),
    sin: (x: Tensor): Tensor => tf.sin(x),
    cos: (x: Tensor): Tensor => tf.cos(x),
    reciprocal: (x: Tensor): Tensor => tf.reciprocal(x),
    minimum: (a: Tensor, b: Tensor | number): Tensor => tf.minimum(a, b),
    less: (a: Tensor, b: Tensor | number): Tensor => tf.tidy(() => tf.less(a, b).cast("float32")),
    where: (condition: Tensor, a: Tensor, b: Tensor): Tensor => tf.tidy(() => {
      // Broadcast by hand: backends differ in which operands of their select op may broadcast.
      const shape = [condition, a, b].reduce<readonly number[]>((s, x) => joined(s, x.shape), []);
      const wide = (x: Tensor): Tensor => tf.broadcastTo(x, [...shape]);
      return tf.where(wide(condition).notEqual(0), wide(a), wide(b));
    }),
    toFloat: (x: Tensor): Tensor => tf.cast(x, "float32"),
    smoothL1Each: (x: Tensor, y: Tensor, beta: number): Tensor => tf.tidy(() => {
      // With c = min(|d|, beta): c (|d| - c/2) / beta is both branches at once.
      const size = tf.abs(tf.sub(x, y));
      const cut = tf.minimum(size, beta);
      return cut.mul(size.sub(cut.mul(0.5))).div(beta);
    }),
    smoothL1EachGrad: (x: Tensor, y: Tensor, dy: Tensor, beta: number): Tensor =>
      tf.tidy(() => tf.sub(x, y).div(beta).clipByValue(-1, 1).mul(dy)),
  };
}

function joined(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    return x === 1 ? (b[i - rank + b.length] ?? 1) : x;
  });
}

function making(tf: Tf) {
  return {
    fill: (shape: readonly number[], value: number): Tensor => tf.fill([...shape], value, "float32"),
    range: (size: number): Tensor => tf.range(0, size, 1, "int32"),
    broadcast: (x: Tensor, shape: readonly number[]): Tensor => tf.broadcastTo(x, [...shape]),
    // tfjs refuses a depth of one, where every index is 0.
    oneHot: (indices: Tensor, size: number): Tensor => tf.tidy(() => (size === 1 ? tf.fill([...indices.shape, 1], 1, "float32") : tf.oneHot(tf.cast(indices, "int32"), size).cast("float32"))),
    unpatches: (x: Tensor, high: number, wide: number, height: number, width: number): Tensor => tf.tidy(() => {
      const [batch = 0, , inner = 0] = x.shape;
      const channels = inner / (high * wide);
      const grid = x.reshape([batch, height / high, width / wide, high, wide, channels]);
      // Rows of a patch beside the patches of a row, in two moves of rank 5 at most.
      const rows = grid.reshape([batch * (height / high), width / wide, high, wide * channels]).transpose([0, 2, 1, 3]);
      return rows.reshape([batch, height, width, channels]);
    }),
  };
}

function attending(tf: Tf, base: Kernels & ProjectedAttention) {
  const scaleOf = (q: Tensor, heads: number): number => Math.sqrt(heads / (q.shape[2] ?? 1));
  /** A large negative number where a key's block is later than the query's; an exponential of it is 0. */
  const later = (rows: number, block: number): Tensor => {
    const at: Tensor = tf.range(0, rows, 1, "float32").div(block).floor();
    return tf.greater(at.reshape([1, rows]), at.reshape([rows, 1])).cast("float32").mul(-1e30);
  };
  const scores = (q: Tensor, k: Tensor, heads: number, block: number | undefined): Tensor => {
    const all: Tensor = tf.matMul(base.splitHeads(q, heads), base.splitHeads(k, heads), false, true).mul(scaleOf(q, heads));
    return block === undefined ? all : all.add(later(q.shape[1] ?? 1, block));
  };
  const attend = (q: Tensor, k: Tensor, v: Tensor, heads: number, block?: number): [Tensor, Tensor] => tf.tidy((): [Tensor, Tensor] => {
    const s = scores(q, k, heads, block);
    const lse = tf.logSumExp(s, -1);
    return [base.mergeHeads(tf.matMul(tf.softmax(s), base.splitHeads(v, heads))), lse];
  });
  const attendOnly = (q: Tensor, k: Tensor, v: Tensor, heads: number, block?: number): Tensor => tf.tidy(() => (block !== undefined ? attend(q, k, v, heads, block)[0]
    : base.mergeHeads(base.sdpa(base.splitHeads(q, heads), base.splitHeads(k, heads), base.splitHeads(v, heads), scaleOf(q, heads))[0])));
  const attendGrad = (q: Tensor, k: Tensor, v: Tensor, lse: Tensor, dout: Tensor, heads: number, block?: number): [Tensor, Tensor, Tensor] =>
    tf.tidy((): [Tensor, Tensor, Tensor] => {
      // Large scores leave the lse too coarse for rows to sum to one, and what they sum to beside it would be taken for a gradient.
      const share = scores(q, k, heads, block).sub(lse.expandDims(-1)).exp();
      const p = share.div(share.sum(-1, true));
      const [qs, ks, vs, ds] = [base.splitHeads(q, heads), base.splitHeads(k, heads), base.splitHeads(v, heads), base.splitHeads(dout, heads)];
      const [dq, dk, dv] = base.sdpaGrad(qs, ks, vs, p, ds, scaleOf(q, heads));
      return [base.mergeHeads(dq), base.mergeHeads(dk), base.mergeHeads(dv)];
    });
  const qkvAttention = (x: Tensor, w: Tensor, b: Tensor, heads: number): [Tensor, Tensor[]] => base.projectedAttention(x, w, b, heads, headScale(b.size / 3, heads));
  const queriesOf = (first: number | undefined, count: number | undefined): Queries | undefined =>
    first === undefined || count === undefined ? undefined : { first, count };
  const headScale = (width: number, heads: number): number => Math.sqrt(heads / width);
  return {
    attend,
    attendOnly,
    attendGrad,
    selfAttention: (qkv: Tensor, heads: number, first?: number, count?: number) =>
      base.attention(qkv, heads, headScale((qkv.shape[2] ?? 3) / 3, heads), queriesOf(first, count)),
    selfAttentionOnly: (qkv: Tensor, heads: number, first?: number, count?: number) =>
      base.attentionOnly(qkv, heads, headScale((qkv.shape[2] ?? 3) / 3, heads), queriesOf(first, count)),
    selfAttentionGrad: (memory: readonly Tensor[], dout: Tensor, heads: number, first?: number) =>
      base.attentionGrad(memory, dout, headScale(dout.shape[2] ?? 1, heads), first),
    qkvAttention,
    qkvAttentionOnly: (x: Tensor, w: Tensor, b: Tensor, heads: number) => {
      const [o, memory] = qkvAttention(x, w, b, heads);
      base.free(memory);
      return o;
    },
  };
}
