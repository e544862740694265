/**
 * Every kernel of compiled tfjs modules against a float64 loop: values to 1e-5, gradients against central differences of
 * the same loop, odd sizes, and not one tensor more afterwards than before. One test file per engine calls this, because
 * copies of tfjs in one process share their registry.
 */
import { expect, test } from "vitest";
import { makeKernels } from "../../../runtime/backends/tfjs/kernels.js";
import type { Tensor } from "../../../runtime/backends/tfjs/tf.js";
import type { TfEngine } from "../../../runtime/backends/tfjs/engine.js";
import { expectClose, isPresent, load, tensorOf } from "./engines.js";
import * as ref from "./reference.js";
import type { Nd } from "./reference.js";

/** One comparison: `run` gets the inputs as tensors and returns outputs to hold against `want`, in order. */
type Case = {
  readonly inputs: readonly Nd[];
  readonly index?: readonly (readonly number[])[];
  readonly run: (k: ReturnType<typeof makeKernels>, x: readonly [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], index: Tensor) => Tensor | readonly (Tensor | readonly Tensor[])[];
  readonly want: () => readonly (Nd | undefined)[];
};

const n = ref.noise;
const grad = ref.gradient;
const ones = ref.nd([], () => 1);

const pickedTwice = [[0, 2, 2, 4], [1, 0, 3, 4], [4, 4, 4, 4], [3, 2, 1, 0]];

const cases: Record<string, () => Case> = {};

for (const [m, k, width] of [[3, 5, 7], [8, 16, 32], [21, 33, 11]] as const) {
  for (const [ta, tb] of [[false, false], [true, false], [false, true], [true, true]] as const) {
    cases[`matmul ${m}x${k}x${width}, transposes ${ta} ${tb}`] = () => {
      const [a, b] = [n(ta ? [k, m] : [m, k], 1), n(tb ? [width, k] : [k, width], 2)];
      return { inputs: [a, b], run: (kernels, [x, y]) => [kernels.matmul(x, y, ta, tb)], want: () => [ref.matmul(a, b, ta, tb)] };
    };
    cases[`batched matmul 2x3x${m}x${k}x${width}, transposes ${ta} ${tb}`] = () => {
      const [a, b] = [n([2, 3, ...(ta ? [k, m] : [m, k])], 1), n([2, 3, ...(tb ? [width, k] : [k, width])], 2)];
      return { inputs: [a, b], run: (kernels, [x, y]) => [kernels.matmul(x, y, ta, tb)], want: () => [ref.matmul(a, b, ta, tb)] };
    };
  }
}

cases["matmul of rank 3 with rank 2"] = () => {
  const [a, b, c] = [n([2, 3, 5], 1), n([5, 4], 2), n([4, 5], 3)];
  return { inputs: [a, b, c], run: (k, [x, y, z]) => [k.matmul(x, y), k.matmul(x, z, false, true)], want: () => [ref.matmul(a, b), ref.matmul(a, c, false, true)] };
};

for (const lead of [[], [4], [2, 9], [3, 64]]) {
  cases[`linear and its gradients, leading dims ${lead}`] = () => {
    const [x, w, b, dy] = [n([...lead, 6], 1), n([6, 10], 2), n([10], 3), n([...lead, 10], 4)];
    const small = ref.sizeOf(lead) < 50;
    return {
      inputs: [x, w, b, dy],
      run: (k, [tx, tw, tb, tdy]) => [k.linear(tx, tw, tb), k.linearGradInput(tdy, tw), k.linearGradWeight(tx, tdy), k.sumLeading(tdy), k.sumTo(tdy, [10])],
      want: () => [
        ref.linear(x, w, b),
        small ? grad((v) => ref.linear(v, w, b), x, dy) : undefined,
        small ? grad((v) => ref.linear(x, v, b), w, dy) : undefined,
        grad((v) => ref.linear(x, w, v), b, dy),
        grad((v) => ref.linear(x, w, v), b, dy),
      ],
    };
  };
}

for (const shape of [[7], [3, 33]]) {
  cases[`gelu and its slope, shape ${shape}`] = () => {
    const base = n(shape, 5);
    const x = ref.nd(shape, (i) => (base.data[i] ?? 0) * 3);
    const dy = n(shape, 6);
    const slope = (): Nd => grad(ref.gelu, x, ref.nd(shape, () => 1));
    return {
      inputs: [x, dy],
      run: (k, [tx, tdy]) => [k.gelu(tx), k.geluGrad(tx, tdy), ...k.geluPair(tx)],
      want: () => [ref.gelu(x), grad(ref.gelu, x, dy), ref.gelu(x), slope()],
    };
  };
}

cases["a linear map whose bias is a linear map of a vector"] = () => {
  const [x, w, b, o] = [n([2, 3, 6], 43), n([6, 10], 44), n([10], 45), n([6], 46)];
  return {
    inputs: [x, w, b, o],
    run: (k, [tx, tw, tb, to]) => {
      const bias = k.linear(to, tw, tb);
      return [k.linear(tx, tw, bias), bias];
    },
    want: () => [ref.linear(x, w, ref.linear(o, w, b)), ref.linear(o, w, b)],
  };
};

cases["a weight scaled row by row"] = () => {
  const [w, s] = [n([6, 10], 41), n([6], 42)];
  return { inputs: [w, s], run: (k, [tw, ts]) => [k.scaleRows(tw, ts)], want: () => [ref.nd([6, 10], (i) => (w.data[i] ?? 0) * (s.data[Math.floor(i / 10)] ?? 0))] };
};

for (const lead of [[5], [2, 9], [3, 1, 4]]) {
  cases[`two linear maps with a gelu between them and their gradients, leading dims ${lead}`] = () => {
    const [x, w1, w2, dy] = [n([...lead, 6], 51), n([6, 10], 52), n([10, 7], 53), n([...lead, 7], 54)];
    const [b1, b2] = [n([10], 55), n([7], 56)];
    const whole = (v: Nd, w: Nd, b: Nd, u: Nd, c: Nd): Nd => ref.linear(ref.gelu(ref.linear(v, w, b)), u, c);
    return {
      inputs: [x, w1, w2, dy, b1, b2],
      run: (k, [tx, tw1, tw2, tdy, tb1, tb2]) => {
        const [y, memory] = k.feedForward(tx, tw1, tb1, tw2, tb2);
        const grads = k.feedForwardGrad(tx, tw1, tw2, memory, tdy);
        return [y, k.feedForwardOnly(tx, tw1, tb1, tw2, tb2), ...grads, k.feedForwardGradInput(tw1, tw2, memory, tdy), memory];
      },
      want: () => [
        whole(x, w1, b1, w2, b2), whole(x, w1, b1, w2, b2),
        grad((v) => whole(v, w1, b1, w2, b2), x, dy), grad((v) => whole(x, v, b1, w2, b2), w1, dy), grad((v) => whole(x, w1, v, w2, b2), b1, dy),
        grad((v) => whole(x, w1, b1, v, b2), w2, dy), grad((v) => whole(x, w1, b1, w2, v), b2, dy),
        grad((v) => whole(v, w1, b1, w2, b2), x, dy), undefined, undefined,
      ],
    };
  };
}

for (const shape of [[3, 5], [2, 3, 17], [4, 32]]) {
  const eps = 1e-6;
  cases[`softmax and its gradient, shape ${shape}`] = () => {
    const [x, dy] = [n(shape, 7), n(shape, 8)];
    return {
      inputs: [x, dy],
      run: (k, [tx, tdy]) => {
        const y = k.softmax(tx);
        const log = k.logSoftmax(tx);
        return [y, k.softmaxGrad(y, tdy), log, k.logSoftmaxGrad(log, tdy)];
      },
      want: () => [ref.softmax(x), grad(ref.softmax, x, dy), ref.logSoftmax(x), grad(ref.logSoftmax, x, dy)],
    };
  };
  cases[`layer normalisation and its gradients, shape ${shape}`] = () => {
    const width = shape.at(-1) ?? 1;
    const [x, scale, offset, dy] = [n(shape, 9), n([width], 10), n([width], 11), n(shape, 12)];
    return {
      inputs: [x, scale, offset, dy],
      run: (k, [tx, ts, to, tdy]) => {
        const [out, y, rstd] = k.layerNorm(tx, ts, to, eps);
        const [plainY, plainRstd] = k.normalize(tx, eps);
        return [out, y, plainY, k.layerNormOnly(tx, ts, to, eps), k.normalizeGrad(y, rstd, tdy), k.layerNormGrad(y, rstd, ts, tdy), [rstd, plainRstd]];
      },
      want: () => [
        ref.layerNorm(x, scale, offset, eps), ref.normalize(x, eps), ref.normalize(x, eps), ref.layerNorm(x, scale, offset, eps),
        grad((v) => ref.normalize(v, eps), x, dy), grad((v) => ref.layerNorm(v, scale, offset, eps), x, dy),
        grad((v) => ref.layerNorm(x, v, offset, eps), scale, dy), grad((v) => ref.layerNorm(x, scale, v, eps), offset, dy), undefined, undefined,
      ],
    };
  };
}

cases["gathering rows for copies of the batch, with duplicates, and its gradient"] = () => {
  const [x, dy] = [n([2, 5, 6], 13), n([4, 4, 6], 14)];
  return {
    inputs: [x, dy], index: pickedTwice,
    run: (k, [tx, tdy], index) => [k.gatherRows(tx, index, 2), k.scatterRows(tdy, index, 2, 5)],
    want: () => [ref.gatherRows(x, pickedTwice), grad((v) => ref.gatherRows(v, pickedTwice), x, dy)],
  };
};

cases["gathering from one table, and its gradient"] = () => {
  const [x, dy] = [n([5, 3], 15), n([4, 4, 3], 16)];
  const table = (v: Nd): Nd => ref.gatherRows({ shape: [1, 5, 3], data: v.data }, pickedTwice);
  return {
    inputs: [x, dy], index: pickedTwice,
    run: (k, [tx, tdy], index) => [k.gatherTable(tx, index), k.scatterTable(tdy, index, 5)],
    want: () => [table(x), grad(table, x, dy)],
  };
};

cases["copies of a batch, their sum, and one row everywhere"] = () => {
  const [x, dy, v] = [n([2, 3, 4], 17), n([6, 3, 4], 18), n([4], 19)];
  return {
    inputs: [x, dy, v],
    run: (k, [tx, tdy, tv]) => [k.tileBatch(tx, 3), k.sumTiles(tdy, 3), k.broadcastRows(tv, 2, 3), k.tileBatch(tx, 1), k.sumTiles(tx, 1)],
    want: () => [ref.tile(x, 3), grad((value) => ref.tile(value, 3), x, dy), ref.nd([2, 3, 4], (i) => v.data[i % 4] ?? NaN), x, x],
  };
};

for (const [batch, tokens, heads, size] of [[2, 5, 2, 3], [1, 9, 3, 4]] as const) {
  cases[`attention of ${heads} heads over ${tokens} tokens, and its gradient`] = () => {
    const width = heads * size;
    const scale = 1 / Math.sqrt(size);
    const [qkv, dout] = [n([batch, tokens, 3 * width], 20), n([batch, tokens, width], 21)];
    return {
      inputs: [qkv, dout],
      run: (k, [tqkv, tdout]) => {
        const [out, saved] = k.attention(tqkv, heads, scale);
        const dqkv = k.attentionGrad(saved, tdout, scale);
        k.free(saved);
        return [out, dqkv, k.attentionOnly(tqkv, heads, scale)];
      },
      want: () => [ref.attention(qkv, heads, scale), grad((v) => ref.attention(v, heads, scale), qkv, dout), ref.attention(qkv, heads, scale)],
    };
  };
}

for (const [tokens, heads, size, width] of [[5, 2, 3, 7], [4, 3, 8, 12], [3, 2, 2, 400]] as const) {
  cases[`attention of ${heads} heads with its map from width ${width}, and the gradient by qkv`] = () => {
    const [x, w, b, dout] = [n([2, tokens, width], 61), n([width, 3 * heads * size], 62), n([3 * heads * size], 63), n([2, tokens, heads * size], 64)];
    const scale = 1 / Math.sqrt(size);
    const small = ref.nd(w.shape, (i) => (w.data[i] ?? 0) / Math.sqrt(width));
    const qkv = (): Nd => ref.linear(x, small, b);
    return {
      inputs: [x, small, b, dout],
      run: (k, [tx, tw, tb, tdout]) => {
        const [out, saved] = k.projectedAttention(tx, tw, tb, heads, scale);
        const dqkv = k.attentionGrad(saved, tdout, scale);
        k.free(saved);
        return [out, dqkv];
      },
      want: () => [ref.attention(qkv(), heads, scale), grad((v) => ref.attention(v, heads, scale), qkv(), dout)],
    };
  };
}

for (const [batch, tokens, heads, size, first, count] of [[2, 5, 2, 3, 1, 3], [1, 9, 3, 4, 0, 1], [3, 7, 1, 2, 3, 4], [2, 4, 2, 4, 0, 4]] as const) {
  cases[`attention of ${heads} heads by ${count} rows from ${first} over ${tokens} tokens, and its gradient`] = () => {
    const width = heads * size;
    const scale = 1 / Math.sqrt(size);
    const queries = { first, count };
    const [qkv, dout] = [n([batch, tokens, 3 * width], 26), n([batch, count, width], 27)];
    const rows = (v: Nd): Nd => ref.rowsOf(ref.attention(v, heads, scale), first, count);
    return {
      inputs: [qkv, dout],
      run: (k, [tqkv, tdout]) => {
        const [out, saved] = k.attention(tqkv, heads, scale, queries);
        const dqkv = k.attentionGrad(saved, tdout, scale, first);
        k.free(saved);
        return [out, dqkv, k.attentionOnly(tqkv, heads, scale, queries)];
      },
      want: () => [rows(qkv), grad(rows, qkv, dout), rows(qkv)],
    };
  };
}

cases["attention to a sequence of another length, and its gradients"] = () => {
  const [q, key, v, dout] = [n([2, 2, 3, 4], 22), n([2, 2, 7, 4], 23), n([2, 2, 7, 4], 24), n([2, 2, 3, 4], 25)];
  return {
    inputs: [q, key, v, dout],
    run: (k, [tq, tk, tv, td]) => {
      const [out, p] = k.sdpa(tq, tk, tv, 0.5);
      return [out, k.sdpaGrad(tq, tk, tv, p, td, 0.5), [p]];
    },
    want: () => [
      ref.sdpa(q, key, v, 0.5), grad((x) => ref.sdpa(x, key, v, 0.5), q, dout),
      grad((x) => ref.sdpa(q, x, v, 0.5), key, dout), grad((x) => ref.sdpa(q, key, x, 0.5), v, dout), undefined,
    ],
  };
};

// All keys of a row are one, so that nothing depends on the query; scores of 800, of which float32 holds four decimals.
cases["no gradient for what large scores have in common"] = () => {
  const [q, key, v, dout, tiny] = [ref.nd([2, 3, 4], (i) => 20 + 0.37 * Math.floor(i / 4)), ref.nd([2, 5, 4], () => 20), ref.nd([2, 5, 4], (i) => 3 + Math.sin(i)), ref.nd([2, 3, 4], (i) => 1 + 0.1 * i), ref.nd([], () => 1e-4)];
  return {
    inputs: [q, key, v, dout, tiny],
    run: (k, [tq, tk, tv, td, small]) => {
      const [o, lse] = k.attend(tq, tk, tv, 1);
      const [dq, dk, dv] = k.attendGrad(tq, tk, tv, lse, td, 1);
      const scaled = k.mul(dq, small);
      k.free([dq, dk, dv, lse]);
      return [o, scaled];
    },
    want: () => [ref.nd([2, 3, 4], (i) => [0, 1, 2, 3, 4].reduce((sum, row) => sum + (v.data[20 * Math.floor(i / 12) + 4 * row + (i % 4)] ?? NaN) / 5, 0)), ref.nd([2, 3, 4], () => 0)],
  };
};

for (const block of [1, 2, 7]) {
  cases[`attention that hides later blocks of ${block}, and its gradients`] = () => {
    const [q, key, v, dout] = [n([2, 5, 4], 31), n([2, 5, 4], 32), n([2, 5, 4], 33), n([2, 5, 4], 34)];
    /** One head, a row at a time: a mean of values up to the end of the row's block. */
    const wanted = (a: Nd, b: Nd, c: Nd): Nd => ({ shape: [2, 5, 4], data: Float64Array.from({ length: 40 }, (_, i) => {
      const [row, first] = [Math.floor(i / 4), 5 * Math.floor(i / 20)];
      const end = first + Math.min(5, (Math.floor((row - first) / block) + 1) * block);
      const at = (x: Nd, r: number, f: number): number => x.data[4 * r + f] ?? NaN;
      let [total, sum] = [0, 0];
      for (let r = first; r < end; r++) {
        const share = Math.exp([0, 1, 2, 3].reduce((s, f) => s + at(a, row, f) * at(b, r, f), 0) / 2);
        total += share;
        sum += share * at(c, r, i % 4);
      }
      return sum / total;
    }) });
    return {
      inputs: [q, key, v, dout],
      run: (k, [tq, tk, tv, td]) => {
        const [o, lse] = k.attend(tq, tk, tv, 1, block);
        const grads = k.attendGrad(tq, tk, tv, lse, td, 1, block);
        k.free(lse);
        return [o, k.attendOnly(tq, tk, tv, 1, block), ...grads];
      },
      want: () => [wanted(q, key, v), wanted(q, key, v), grad((x) => wanted(x, key, v), q, dout), grad((x) => wanted(q, x, v), key, dout), grad((x) => wanted(q, key, x), v, dout)],
    };
  };
}

cases["splitting and merging heads"] = () => {
  const x = n([2, 3, 8], 26);
  return {
    inputs: [x],
    run: (k, [tx]) => {
      const heads = k.splitHeads(tx, 2);
      return [heads, k.mergeHeads(heads)];
    },
    want: () => [ref.splitHeads(x, 2), x],
  };
};

for (const beta of [1, 0.5]) {
  cases[`losses and their gradients, beta ${beta}`] = () => {
    const [x, y] = [n([3, 5], 27), n([3, 5], 28)];
    const smooth = (v: Nd): Nd => ref.smoothL1(v, y, beta);
    const tripled = (g: Nd): Nd => ref.nd(g.shape, (i) => 3 * (g.data[i] ?? NaN));
    return {
      inputs: [x, y],
      run: (k, [tx, ty]) => [k.smoothL1(tx, ty, beta), k.smoothL1Grad(tx, ty, beta), k.smoothL1Pair(tx, ty, beta, 3), k.mse(tx, ty), k.mseGrad(tx, ty)],
      want: () => [smooth(x), grad(smooth, x, ones), smooth(x), tripled(grad(smooth, x, ones)), ref.mse(x, y), grad((v) => ref.mse(v, y), x, ones)],
    };
  };
}

for (const [high, wide] of [[2, 2], [1, 3], [4, 2]] as const) cases[`patches of ${high} x ${wide}, row by row`] = () => {
  const x = n([2, 4, 6, 3], 29);
  const [across, size] = [6 / wide, high * wide * 3];
  const want = ref.nd([2, 72 / size, size], (i) => {
    const [image, patch, inside] = [Math.floor(i / 72), Math.floor(i / size) % (72 / size), i % size];
    const row = Math.floor(patch / across) * high + Math.floor(inside / (wide * 3));
    const column = (patch % across) * wide + (Math.floor(inside / 3) % wide);
    return x.data[((image * 4 + row) * 6 + column) * 3 + (inside % 3)] ?? NaN;
  });
  return { inputs: [x], run: (k, [tx]) => [k.patches(tx, high, wide)], want: () => [want] };
};

cases["sums, and plain arithmetic with numbers and with rows"] = () => {
  const [x, row] = [n([2, 3, 5], 30), n([5], 31)];
  const each = (f: (value: number, across: number) => number): Nd => ref.nd([2, 3, 5], (i) => f(x.data[i] ?? NaN, row.data[i % 5] ?? NaN));
  const lead = ref.nd([2, 1, 1], (i) => [...x.data.slice(15 * i, 15 * i + 15)].reduce((sum, value) => sum + value, 0));
  return {
    inputs: [x, row],
    run: (k, [tx, tr]) => [
      k.add(tx, tr), k.sub(tx, 2), k.mul(tx, tr), k.div(tx, 4), k.maximum(tx, tr), k.relu(tx), k.reluGrad(tx, tx), k.erf(tx),
      k.addN([tx, tx, tx]), k.addN([tx]), k.sum(tx, [1, 2], true), k.sumTo(tx, [2, 1, 1]), k.affine(tx, tr, tr),
    ],
    want: () => [
      each((a, b) => a + b), each((a) => a - 2), each((a, b) => a * b), each((a) => a / 4), each((a, b) => Math.max(a, b)), each((a) => Math.max(a, 0)),
      each((a) => Math.max(a, 0)), each((a) => ref.erf(a)), each((a) => 3 * a), x, lead, lead, each((a, b) => a * b + b),
    ],
  };
};

/** Declares the tests for an engine, if it is here. */
export async function kernelTests(engine: TfEngine): Promise<void> {
  if (!(await isPresent(engine))) return;
  for (const [name, build] of Object.entries(cases)) {
    test(`${engine}: ${name}, agrees with float64 and leaks nothing`, async () => {
      const { tf, raw } = await load(engine);
      const { inputs, index, run, want } = build();
      const kernels = makeKernels(tf, { raw });
      const before = tf.memory().numTensors;
      const tensors = inputs.map((x) => tensorOf(tf, x));
      const at = tf.tensor2d(Int32Array.from((index ?? [[0]]).flat()), [index?.length ?? 1, index?.[0]?.length ?? 1], "int32");
      const [a = at, b = at, c = at, d = at, e = at, f = at] = tensors;
      const made = [run(kernels, [a, b, c, d, e, f], at)].flat(2);
      const wanted = want();
      expect(made.length).toBe(wanted.length);
      wanted.forEach((reference, i) => {
        const actual = made[i];
        if (reference !== undefined && actual !== undefined) expectClose(actual, reference, 1e-5, `${name}, output ${i}`);
      });
      kernels.free(made, tensors, at);
      kernels.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  }
}
