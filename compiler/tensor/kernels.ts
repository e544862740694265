/**
 * The meaning of every op, in float64.
 *
 * Total over the op table; the oracle against which gradients, passes and targets are tested. Written straight from each
 * op's definition, on purpose unlike the targets' code (no blocking beyond four sums of a product side by side, no online softmax), so that agreement says something.
 * Every reduction runs in row-major order, so the same arguments give the same bits.
 * Operands have been checked by the shape rules; nothing is checked again here but indices, which are data.
 */
// tidy: table
import type { Dim } from "../types/dim.js";
import { IrError } from "./ir.js";
import type { NdArray } from "./ndarray.js";
import { around, broadcastTo, eachOffset, elementAt, gather, generate, joinShapes, map, sizeOf, stridesOf, zeros, zip } from "./ndarray.js";
import type { Attrs, PrimitiveName } from "./ops.js";

/** What a kernel may ask beside its operands: the value of a dimension in this run. */
export type DimValue = (d: Dim) => number;

/** The evaluator of an op: one array per result. */
export type Kernel<O extends PrimitiveName> = (args: readonly NdArray[], attrs: Attrs<O>, value: DimValue) => readonly NdArray[];

/** Evaluates a primitive op. */
export function evaluateOp<O extends PrimitiveName>(op: O, args: readonly NdArray[], attrs: Attrs<O>, value: DimValue): readonly NdArray[] {
  const table: { readonly [P in PrimitiveName]: Kernel<P> } = kernels;
  return table[op](args, attrs, value);
}

/** The error function to float64 accuracy: a positive series up to |x| = 3, a continued fraction beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return NaN;
  if (a > 6) return Math.sign(x);
  if (a > 3) return Math.sign(x) * (1 - erfcFraction(a));
  let term = a;
  let sum = a;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return Math.sign(x) * sum * Math.exp(-a * a) * (2 / Math.sqrt(Math.PI));
}

function erfcFraction(a: number): number {
  let tail = 0;
  for (let k = 60; k >= 1; k--) tail = k / 2 / (a + tail);
  return Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + tail);
}

function phi(x: number): number {
  return Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
}

function bigPhi(x: number): number {
  return 0.5 * (1 + erf(x / Math.SQRT2));
}

function arg(args: readonly NdArray[], i: number): NdArray {
  const x = args[i];
  if (x === undefined) throw new IrError(`Operand ${i} is missing.`);
  return x;
}

type Arrays = readonly NdArray[];

function first(results: Arrays): NdArray {
  return arg(results, 0);
}

const each = (f: (x: number) => number) => (args: Arrays): Arrays => [map(arg(args, 0), f)];
const both = (f: (a: number, b: number) => number) => (args: Arrays): Arrays => [zip(arg(args, 0), arg(args, 1), f)];
const three = (f: (a: number, b: number, c: number) => number) => (args: Arrays): Arrays => {
  const [a, b, c] = [arg(args, 0), arg(args, 1), arg(args, 2)];
  const shape = joinShapes(joinShapes(a.shape, b.shape), c.shape);
  const [x, y, z] = [a, b, c].map((t) => broadcastTo(t, shape).data);
  return [generate(shape, (i) => f(x?.[i] ?? NaN, y?.[i] ?? NaN, z?.[i] ?? NaN))];
};

/** Applies f to each row (last axis) of the operands; f fills the row of the result. */
function rows(args: Arrays, f: (out: Float64Array, ...rows: Float64Array[]) => void): NdArray {
  const x = arg(args, 0);
  const out = zeros(x.shape);
  const width = x.shape.at(-1) ?? 1;
  for (let at = 0; at < out.data.length; at += width) {
    f(out.data.subarray(at, at + width), ...args.map((a) => a.data.subarray(at, at + width)));
  }
  return out;
}

function fold(row: Float64Array, f: (total: number, x: number, i: number) => number, start: number): number {
  let total = start;
  for (let i = 0; i < row.length; i++) total = f(total, row[i] ?? NaN, i);
  return total;
}

function reduce(x: NdArray, axes: readonly number[], keep: boolean, start: number, f: (total: number, x: number) => number): NdArray {
  const kept = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const out = generate(kept, () => start);
  const own = stridesOf(kept);
  const strides = own.map((s, i) => (axes.includes(i) ? 0 : s));
  eachOffset(x.shape, strides, 0, (offset, i) => {
    out.data[offset] = f(out.data[offset] ?? NaN, x.data[i] ?? NaN);
  });
  return { shape: keep ? kept : x.shape.filter((_, i) => !axes.includes(i)), data: out.data };
}

/**
 * c[m, n] = a[m, k] b[k, n] with strides, at offsets into whole arrays. Each element is one sum in the order of k; four of a row
 * are summed side by side, for an addition need not wait for that of another sum.
 */
function product(
  out: Float64Array, at: number, m: number, n: number, k: number,
  a: Float64Array, aAt: number, aRow: number, aCol: number,
  b: Float64Array, bAt: number, bRow: number, bCol: number,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j += 4) {
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      // Columns past the last are the first of the four again, and not kept.
      const y1 = j + 1 < n ? bCol : 0;
      const y2 = j + 2 < n ? 2 * bCol : 0;
      const y3 = j + 3 < n ? 3 * bCol : 0;
      for (let l = 0, x = aAt + i * aRow, y = bAt + j * bCol; l < k; l++, x += aCol, y += bRow) {
        const v = a[x] ?? NaN;
        s0 += v * (b[y] ?? NaN);
        s1 += v * (b[y + y1] ?? NaN);
        s2 += v * (b[y + y2] ?? NaN);
        s3 += v * (b[y + y3] ?? NaN);
      }
      const to = at + i * n + j;
      out[to] = s0;
      if (j + 1 < n) out[to + 1] = s1;
      if (j + 2 < n) out[to + 2] = s2;
      if (j + 3 < n) out[to + 3] = s3;
    }
  }
}

function matmul(a: NdArray, b: NdArray, ta: boolean, tb: boolean): NdArray {
  const [p = 0, q = 0] = a.shape.slice(-2);
  const [r = 0, s = 0] = b.shape.slice(-2);
  const [m, k] = ta ? [q, p] : [p, q];
  const n = tb ? r : s;
  const lead = a.shape.slice(0, -2);
  const shared = b.shape.length === 2;
  const out = zeros([...lead, m, n]);
  for (let i = 0; i < sizeOf(lead); i++) {
    product(out.data, i * m * n, m, n, k, a.data, i * p * q, ta ? 1 : q, ta ? q : 1, b.data, shared ? 0 : i * r * s, tb ? 1 : s, tb ? s : 1);
  }
  return out;
}

/** x as a matrix of its rows. */
function matrix(x: NdArray): NdArray {
  const width = x.shape.at(-1) ?? 1;
  return { shape: [sizeOf(x.shape.slice(0, -1)), width], data: x.data };
}

/** [B, T, H*d] as [B, H, T, d]. */
function splitHeads(x: NdArray, heads: number): NdArray {
  const [b = 0, t = 0, w = 0] = x.shape;
  const d = w / heads;
  return gather(x, [b, heads, t, d], [t * w, d, w, 1], 0);
}

/** [B, H, T, d] as [B, T, H*d]. */
function joinHeads(x: NdArray): NdArray {
  const [b = 0, h = 0, t = 0, d = 0] = x.shape;
  const moved = gather(x, [b, t, h, d], [h * t * d, d, t * d, 1], 0);
  return { shape: [b, t, h * d], data: moved.data };
}

/** Scores q k^T / sqrt(d) per head: [B, H, Tq, Tk]. */
function scores(q: NdArray, k: NdArray): NdArray {
  const d = q.shape.at(-1) ?? 1;
  return map(matmul(q, k, false, true), (x) => x / Math.sqrt(d));
}

/** Scores without those of keys in later blocks than the query's. */
function seen(s: NdArray, block: number | undefined): NdArray {
  const [width, rows] = [s.shape.at(-1) ?? 1, s.shape.at(-2) ?? 1];
  return block === undefined ? s : generate(s.shape, (i) => (Math.floor((i % width) / block) > Math.floor((Math.floor(i / width) % rows) / block) ? -Infinity : s.data[i] ?? NaN));
}

function attend(args: Arrays, heads: number, block: number | undefined): Arrays {
  const [q, k, v] = [0, 1, 2].map((i) => splitHeads(arg(args, i), heads));
  if (q === undefined || k === undefined || v === undefined) throw new IrError("sdpa needs three operands.");
  const s = seen(scores(q, k), block);
  const width = s.shape.at(-1) ?? 1;
  const lse = generate(s.shape.slice(0, -1), (i) => logSumExp(s.data.subarray(i * width, (i + 1) * width)));
  const p = generate(s.shape, (i) => Math.exp((s.data[i] ?? NaN) - (lse.data[Math.floor(i / width)] ?? NaN)));
  return [joinHeads(matmul(p, v, false, false)), lse];
}

function attendGrad(args: Arrays, heads: number, block: number | undefined): Arrays {
  const [q, k, v, o, dO] = [0, 1, 2, 3, 5].map((i) => splitHeads(arg(args, i), heads));
  if (!q || !k || !v || !o || !dO) throw new IrError("sdpa_grad needs six operands.");
  const lse = arg(args, 4);
  const d = q.shape.at(-1) ?? 1;
  const s = seen(scores(q, k), block);
  const width = s.shape.at(-1) ?? 1;
  const p = generate(s.shape, (i) => Math.exp((s.data[i] ?? NaN) - (lse.data[Math.floor(i / width)] ?? NaN)));
  const dp = matmul(dO, v, false, true);
  const delta = reduce(zip(o, dO, (a, b) => a * b), [3], false, 0, (n, x) => n + x);
  const ds = generate(p.shape, (i) => ((p.data[i] ?? NaN) * ((dp.data[i] ?? NaN) - (delta.data[Math.floor(i / width)] ?? NaN))) / Math.sqrt(d));
  return [matmul(ds, k, false, false), matmul(ds, q, true, false), matmul(p, dO, true, false)].map(joinHeads);
}

/** Softmax of each row. */
function rowSoftmax(x: NdArray): NdArray {
  return rows([x], (out, row = out) => {
    const lse = logSumExp(row);
    out.forEach((_, i) => (out[i] = Math.exp((row[i] ?? NaN) - lse)));
  });
}

/** Pieces of the last axis. */
function splitLast(x: NdArray, sizes: readonly number[]): NdArray[] {
  const own = stridesOf(x.shape);
  let start = 0;
  return sizes.map((size) => {
    const piece = gather(x, [...x.shape.slice(0, -1), size], own, start);
    start += size;
    return piece;
  });
}

function thirds(x: NdArray): NdArray[] {
  const width = (x.shape.at(-1) ?? 0) / 3;
  return splitLast(x, [width, width, width]);
}

/** Arrays side by side along the last axis. */
function joinLast(parts: readonly NdArray[]): NdArray {
  const widths = parts.map((x) => x.shape.at(-1) ?? 0);
  const lead = parts[0]?.shape.slice(0, -1) ?? [];
  const out = zeros([...lead, widths.reduce((n, w) => n + w, 0)]);
  let at = 0;
  for (let row = 0; row < sizeOf(lead); row++) {
    parts.forEach((x, i) => {
      const width = widths[i] ?? 0;
      out.data.set(x.data.subarray(row * width, (row + 1) * width), at);
      at += width;
    });
  }
  return out;
}

/** Rows of axis 1 of [B, T, D]; past either end they are zeros. */
function rowsFrom(x: NdArray, start: number, size: number): NdArray {
  const [batch = 0, rows = 0, width = 0] = x.shape;
  return generate([batch, size, width], (i) => {
    const row = start + (Math.floor(i / width) % size);
    return row < 0 || row >= rows ? 0 : (x.data[(Math.floor(i / (width * size)) * rows + row) * width + (i % width)] ?? NaN);
  });
}

/** Attention of some queries over the thirds of qkv; what it keeps is [p transposed, q (where none is asked, zeros), k, v] side by side. */
function attendRows(qkv: NdArray, heads: number, start: number, size: number): NdArray[] {
  const [all, k, v] = thirds(qkv).map((x) => splitHeads(x, heads));
  const [whole] = thirds(qkv);
  if (!all || !k || !v || !whole) throw new IrError("attention needs three parts.");
  const rows = whole.shape[1] ?? 0;
  if (start < 0 || start + size > rows) throw new IrError(`Queries ${start}..${start + size} leave ${rows} rows.`);
  const asked = rowsFrom(whole, start, size);
  const p = rowSoftmax(scores(splitHeads(asked, heads), k));
  const q = splitHeads(rowsFrom(asked, 0, rows), heads);
  return [joinHeads(matmul(p, v, false, false)), joinLast([flip(p), q, k, v])];
}

function attendRowsGrad(memory: NdArray, dout: NdArray, start: number): NdArray {
  const [, heads = 1, rows = 0, whole = 0] = memory.shape;
  const size = dout.shape[1] ?? 0;
  const d = (whole - size) / 3;
  const [turned, padded, k, v] = splitLast(memory, [size, d, d, d]);
  if (!turned || !padded || !k || !v) throw new IrError("the gradient of attention needs four parts.");
  const [p, q] = [flip(turned), splitHeads(rowsFrom(joinHeads(padded), 0, size), heads)];
  const dO = splitHeads(dout, heads);
  const dp = matmul(dO, v, false, true);
  const dot = reduce(zip(p, dp, (a, b) => a * b), [3], true, 0, (n, x) => n + x);
  const ds = zip(zip(p, zip(dp, dot, (a, b) => a - b), (a, b) => a * b), { shape: [], data: Float64Array.of(Math.sqrt(d)) }, (a, b) => a / b);
  const dq = rowsFrom(joinHeads(matmul(ds, k, false, false)), -start, rows);
  return joinLast([dq, joinHeads(matmul(ds, q, true, false)), joinHeads(matmul(p, dO, true, false))]);
}

/** The last two axes of four, exchanged. */
function flip(x: NdArray): NdArray {
  const [a = 0, b = 0, m = 0, n = 0] = x.shape;
  return gather(x, [a, b, n, m], [b * m * n, m * n, 1, n], 0);
}

function logSumExp(row: Float64Array): number {
  const top = fold(row, Math.max, -Infinity);
  return top + Math.log(fold(row, (n, x) => n + Math.exp(x - top), 0));
}

function indexIn(x: number, size: number): number {
  if (!Number.isInteger(x) || x < 0 || x >= size) throw new IrError(`Index ${x} is outside 0..${size - 1}.`);
  return x;
}

/** Adds rows of dy to rows of the result; `target` gives the row of the result for row i, or throws. */
function scatter(dy: NdArray, nRows: number, shape: readonly number[], target: (i: number) => number): NdArray {
  const out = zeros(shape);
  const width = dy.shape.at(-1) ?? 1;
  for (let i = 0; i < nRows; i++) {
    const to = target(i) * width;
    for (let j = 0; j < width; j++) out.data[to + j] = (out.data[to + j] ?? 0) + (dy.data[i * width + j] ?? NaN);
  }
  return out;
}

/** Row of x[B, N] that row i of indices[M*B, K] names. */
function imageRow(indices: NdArray, batch: number, n: number): (i: number) => number {
  const k = indices.shape[1] ?? 1;
  return (i) => (Math.floor(i / k) % batch) * n + indexIn(indices.data[i] ?? NaN, n);
}

function takeRows(x: NdArray, shape: readonly number[], source: (i: number) => number): NdArray {
  const width = x.shape.at(-1) ?? 1;
  const out = zeros(shape);
  for (let i = 0; i < sizeOf(shape.slice(0, -1)); i++) {
    const from = source(i) * width;
    out.data.set(x.data.subarray(from, from + width), i * width);
  }
  return out;
}

/** Offsets of image pixels in patch order: [B, H/p, W/q, p, q, C] with the strides of [B, H, W, C]. */
function patchView(batch: number, height: number, width: number, channels: number, [p = 1, q = 1]: readonly number[]): { shape: number[]; strides: number[] } {
  const row = width * channels;
  return {
    shape: [batch, height / p, width / q, p, q, channels],
    strides: [height * row, p * row, q * channels, row, channels, 1],
  };
}

function smoothL1(d: number, beta: number): number {
  const a = Math.abs(d);
  return a < beta ? (d * d) / (2 * beta) : a - beta / 2;
}

/** The evaluator of every primitive op. */
const kernels = {
  neg: each((x) => -x),
  exp: each(Math.exp),
  log: each(Math.log),
  sqrt: each(Math.sqrt),
  rsqrt: each((x) => 1 / Math.sqrt(x)),
  square: each((x) => x * x),
  abs: each(Math.abs),
  sign: each((x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
  relu: each((x) => (x > 0 ? x : 0)),
  step: each((x) => (x > 0 ? 1 : 0)),
  tanh: each(Math.tanh),
  sigmoid: each((x) => 1 / (1 + Math.exp(-x))),
  erf: each(erf),
  gelu: each((x) => x * bigPhi(x)),
  sin: each(Math.sin),
  cos: each(Math.cos),
  recip: each((x) => 1 / x),
  scale: (args, { by }) => [map(arg(args, 0), (v) => v * by)],
  shift: (args, { by }) => [map(arg(args, 0), (v) => v + by)],
  scale_dim: (args, { num, den }, value) => {
    const by = value(num) / value(den);
    return [map(arg(args, 0), (v) => v * by)];
  },
  stop_gradient: (args) => [arg(args, 0)],
  to_f32: (args) => [arg(args, 0)],
  add: both((a, b) => a + b),
  sub: both((a, b) => a - b),
  mul: both((a, b) => a * b),
  div: both((a, b) => a / b),
  max: both((a, b) => (a < b ? b : a)),
  min: both((a, b) => (b < a ? b : a)),
  less: both((a, b) => (a < b ? 1 : 0)),
  select: three((c, a, b) => (c !== 0 ? a : b)),
  fill: (_, { shape, value: x, stack }, value) => [generate([...stack, ...shape.map(value)], () => x)],
  iota: (_, { size }, value) => [generate([value(size)], (i) => i)],
  reshape: (args, { shape }, value) => [{ shape: shape.map(value), data: arg(args, 0).data }],
  transpose: (args, { perm }) => {
    const x = arg(args, 0);
    const own = stridesOf(x.shape);
    return [gather(x, perm.map((p) => x.shape[p] ?? 0), perm.map((p) => own[p] ?? 0), 0)];
  },
  broadcast: (args, { shape }, value) => [broadcastTo(arg(args, 0), shape.map(value))],
  slice: (args, { axis, start, size }, value) => {
    const x = arg(args, 0);
    const own = stridesOf(x.shape);
    const [from, n] = [value(start), value(size)];
    if (from < 0 || from + n > (x.shape[axis] ?? 0)) throw new IrError(`Slice ${from}..${from + n} leaves axis ${axis} of [${x.shape.join(", ")}].`);
    return [gather(x, x.shape.map((d, i) => (i === axis ? n : d)), own, from * (own[axis] ?? 0))];
  },
  pad: (args, { axis, before, after }, value) => {
    const x = arg(args, 0);
    const shape = x.shape.map((d, i) => (i === axis ? value(before) + d + value(after) : d));
    const out = zeros(shape);
    const strides = stridesOf(shape);
    eachOffset(x.shape, strides, value(before) * (strides[axis] ?? 0), (offset, i) => {
      out.data[offset] = x.data[i] ?? NaN;
    });
    return [out];
  },
  concat: (args, { axis }) => {
    const shape = arg(args, 0).shape.map((d, i) => (i === axis ? args.reduce((n, a) => n + (a.shape[axis] ?? 0), 0) : d));
    const out = zeros(shape);
    const { outer, inner } = around(shape, axis);
    const whole = (shape[axis] ?? 0) * inner;
    let at = 0;
    for (const a of args) {
      const part = (a.shape[axis] ?? 0) * inner;
      for (let o = 0; o < outer; o++) out.data.set(a.data.subarray(o * part, (o + 1) * part), o * whole + at);
      at += part;
    }
    return [out];
  },
  sum: (args, { axes, keep }) => [reduce(arg(args, 0), axes, keep, 0, (n, x) => n + x)],
  mean: (args, { axes, keep }) => {
    const x = arg(args, 0);
    const n = axes.reduce((m, axis) => m * (x.shape[axis] ?? 1), 1);
    return [map(reduce(x, axes, keep, 0, (t, v) => t + v), (v) => v / n)];
  },
  reduce_max: (args, { axes, keep }) => [reduce(arg(args, 0), axes, keep, -Infinity, Math.max)],
  sum_leading: (args) => {
    const x = arg(args, 0);
    return [reduce(x, x.shape.slice(0, -1).map((_, i) => i), false, 0, (n, v) => n + v)];
  },
  matmul: (args, { ta, tb }) => [matmul(arg(args, 0), arg(args, 1), ta, tb)],
  linear: (args) => {
    const x = arg(args, 0);
    const out = matmul(matrix(x), arg(args, 1), false, false);
    const shape = [...x.shape.slice(0, -1), out.shape[1] ?? 0];
    return [zip({ shape, data: out.data }, arg(args, 2), (a, b) => a + b)];
  },
  linear_grad_x: (args) => {
    const dy = arg(args, 0);
    const out = matmul(matrix(dy), arg(args, 1), false, true);
    return [{ shape: [...dy.shape.slice(0, -1), out.shape[1] ?? 0], data: out.data }];
  },
  linear_grad_w: (args) => [matmul(matrix(arg(args, 0)), matrix(arg(args, 1)), true, false)],
  scale_rows: (args) => {
    const s = arg(args, 1);
    return [zip(arg(args, 0), { shape: [...s.shape, 1], data: s.data }, (a, b) => a * b)];
  },
  softmax: (args) => [
    rows(args, (out, x = out) => {
      const lse = logSumExp(x);
      out.forEach((_, i) => (out[i] = Math.exp((x[i] ?? NaN) - lse)));
    }),
  ],
  softmax_grad: (args) => [
    rows(args, (out, y = out, dy = out) => {
      const dot = fold(y, (n, v, i) => n + v * (dy[i] ?? NaN), 0);
      out.forEach((_, i) => (out[i] = (y[i] ?? NaN) * ((dy[i] ?? NaN) - dot)));
    }),
  ],
  log_softmax: (args) => [
    rows(args, (out, x = out) => {
      const lse = logSumExp(x);
      out.forEach((_, i) => (out[i] = (x[i] ?? NaN) - lse));
    }),
  ],
  log_softmax_grad: (args) => [
    rows(args, (out, y = out, dy = out) => {
      const total = fold(dy, (n, v) => n + v, 0);
      out.forEach((_, i) => (out[i] = (dy[i] ?? NaN) - Math.exp(y[i] ?? NaN) * total));
    }),
  ],
  normalize: (args, { eps }) => {
    const x = arg(args, 0);
    const width = x.shape.at(-1) ?? 1;
    const rstds: number[] = [];
    const out = rows(args, (y, row = y) => {
      const mean = fold(row, (n, v) => n + v, 0) / width;
      const variance = fold(row, (n, v) => n + (v - mean) ** 2, 0) / width;
      const rstd = 1 / Math.sqrt(variance + eps);
      rstds.push(rstd);
      y.forEach((_, i) => (y[i] = ((row[i] ?? NaN) - mean) * rstd));
    });
    const shape = [...x.shape.slice(0, -1), 1];
    // A width of zero has rows without elements, whose statistic is 0 / 0.
    return [out, generate(shape, (i) => rstds[i] ?? NaN)];
  },
  normalize_grad: (args) => {
    const [y, rstd, dy] = [arg(args, 0), arg(args, 1), arg(args, 2)];
    const width = y.shape.at(-1) ?? 1;
    let at = 0;
    return [
      rows([y, dy], (out, yRow = out, dyRow = out) => {
        const r = rstd.data[at++] ?? NaN;
        const mean = fold(dyRow, (n, v) => n + v, 0) / width;
        const dot = fold(dyRow, (n, v, i) => n + v * (yRow[i] ?? NaN), 0) / width;
        out.forEach((_, i) => (out[i] = r * ((dyRow[i] ?? NaN) - mean - (yRow[i] ?? NaN) * dot)));
      }),
    ];
  },
  gelu_grad: both((x, dy) => dy * (bigPhi(x) + x * phi(x))),
  gelu_slope: (args) => [map(arg(args, 0), (x) => x * bigPhi(x)), map(arg(args, 0), (x) => bigPhi(x) + x * phi(x))],
  layer_norm: (args, attrs, value) => {
    const [y, rstd] = evaluateOp("normalize", [arg(args, 0)], attrs, value);
    if (y === undefined || rstd === undefined) throw new IrError("normalize has two results.");
    return [zip(zip(y, arg(args, 1), (a, b) => a * b), arg(args, 2), (a, b) => a + b), y, rstd];
  },
  layer_norm_grad: (args, attrs, value) => {
    const [y, rstd, scale, dout] = [arg(args, 0), arg(args, 1), arg(args, 2), arg(args, 3)];
    const dy = zip(dout, scale, (a, b) => a * b);
    const rowsOf = (x: NdArray): Arrays => evaluateOp("sum_leading", [x], {}, value);
    return [...evaluateOp("normalize_grad", [y, rstd, dy], attrs, value), ...rowsOf(zip(dout, y, (a, b) => a * b)), ...rowsOf(dout)];
  },
  feed_forward: (args, attrs, value) => {
    const linear = (x: NdArray, w: number): NdArray => first(evaluateOp("linear", [x, arg(args, w), arg(args, w + 1)], attrs, value));
    const [a, slope] = evaluateOp("gelu_slope", [linear(arg(args, 0), 1)], attrs, value);
    if (a === undefined || slope === undefined) throw new IrError("gelu_slope has two results.");
    return [linear(a, 3), joinLast([a, slope])];
  },
  feed_forward_grad: (args, attrs, value) => {
    const [x, w1, w2, memory, dy] = [arg(args, 0), arg(args, 1), arg(args, 2), arg(args, 3), arg(args, 4)];
    const hidden = (memory.shape.at(-1) ?? 0) / 2;
    const [a, slope] = splitLast(memory, [hidden, hidden]);
    if (a === undefined || slope === undefined) throw new IrError("feed_forward_grad needs two parts.");
    const back = (d: NdArray, w: NdArray): NdArray => first(evaluateOp("linear_grad_x", [d, w], attrs, value));
    const dh = zip(back(dy, w2), slope, (p, q) => p * q);
    const sums = (from: NdArray, d: NdArray): Arrays => [...evaluateOp("linear_grad_w", [from, d], attrs, value), ...evaluateOp("sum_leading", [d], attrs, value)];
    return [back(dh, w1), ...sums(x, dh), ...sums(a, dy)];
  },
  smooth_l1_mean: (args, { beta }) => {
    const difference = zip(arg(args, 0), arg(args, 1), (a, b) => a - b);
    const n = difference.data.length;
    const total = difference.data.reduce((sum, d) => sum + smoothL1(d, beta), 0);
    return [{ shape: [], data: Float64Array.of(total / n) }, map(difference, (d) => Math.max(-1, Math.min(1, d / beta)) / n)];
  },
  attention: (args, { heads }) => attendRows(arg(args, 0), heads, 0, arg(args, 0).shape[1] ?? 0),
  attention_grad: (args) => [attendRowsGrad(arg(args, 0), arg(args, 1), 0)],
  attention_rows: (args, { heads, start, size }, value) => attendRows(arg(args, 0), heads, value(start), value(size)),
  attention_rows_grad: (args, { start }, value) => [attendRowsGrad(arg(args, 0), arg(args, 1), value(start))],
  qkv_attention: (args, attrs, value) => evaluateOp("attention", evaluateOp("linear", args, {}, value), attrs, value),
  sdpa: (args, { heads }) => attend(args, heads, undefined),
  sdpa_grad: (args, { heads }) => attendGrad(args, heads, undefined),
  sdpa_causal: (args, { heads, block }) => attend(args, heads, block),
  sdpa_causal_grad: (args, { heads, block }) => attendGrad(args, heads, block),
  gather_rows: (args) => {
    const [x, indices] = [arg(args, 0), arg(args, 1)];
    const [batch = 0, n = 0, d = 0] = x.shape;
    return [takeRows(x, [...indices.shape, d], imageRow(indices, batch, n))];
  },
  scatter_rows: (args, attrs, value) => {
    const [dy, indices] = [arg(args, 0), arg(args, 1)];
    const [batch, n] = [value(attrs.batch), value(attrs.rows)];
    return [scatter(dy, sizeOf(indices.shape), [batch, n, dy.shape[2] ?? 0], imageRow(indices, batch, n))];
  },
  gather_table: (args) => {
    const [x, indices] = [arg(args, 0), arg(args, 1)];
    const [n = 0, d = 0] = x.shape;
    return [takeRows(x, [...indices.shape, d], (i) => indexIn(indices.data[i] ?? NaN, n))];
  },
  scatter_table: (args, attrs, value) => {
    const [dy, indices] = [arg(args, 0), arg(args, 1)];
    const n = value(attrs.rows);
    return [scatter(dy, sizeOf(indices.shape), [n, dy.shape[2] ?? 0], (i) => indexIn(indices.data[i] ?? NaN, n))];
  },
  tile_batch: (args, { copies }) => {
    const x = arg(args, 0);
    const [first = 0, ...rest] = x.shape;
    return [generate([copies * first, ...rest], (i) => x.data[i % x.data.length] ?? NaN)];
  },
  sum_tiles: (args, { copies }) => {
    const x = arg(args, 0);
    const [first = 0, ...rest] = x.shape;
    const tiles: NdArray = { shape: [copies, first / copies, ...rest], data: x.data };
    return [reduce(tiles, [0], false, 0, (n, v) => n + v)];
  },
  one_hot: (args, { size }, value) => {
    const x = arg(args, 0);
    const n = value(size);
    return [generate([...x.shape, n], (i) => (x.data[Math.floor(i / n)] === i % n ? 1 : 0))];
  },
  patchify: (args, { patch }) => {
    const x = arg(args, 0);
    const [b = 0, h = 0, w = 0, c = 0] = x.shape;
    const view = patchView(b, h, w, c, patch);
    const [, down = 0, across = 0, p = 0, q = 0] = view.shape;
    return [{ shape: [b, down * across, p * q * c], data: gather(x, view.shape, view.strides, 0).data }];
  },
  unpatchify: (args, { patch, height, width }, value) => {
    const x = arg(args, 0);
    const [b = 0, , inner = 0] = x.shape;
    const [h, w] = [value(height), value(width)];
    const c = inner / patch.reduce((a, side) => a * side, 1);
    const view = patchView(b, h, w, c, patch);
    const out = zeros([b, h, w, c]);
    eachOffset(view.shape, view.strides, 0, (offset, i) => {
      out.data[offset] = x.data[i] ?? NaN;
    });
    return [out];
  },
  smooth_l1: (args, { beta }) => [zip(arg(args, 0), arg(args, 1), (a, b) => smoothL1(a - b, beta))],
  smooth_l1_grad: (args, { beta }) => three((a, b, dy) => dy * Math.max(-1, Math.min(1, (a - b) / beta)))(args),
  stack_front: (args) => {
    const { shape: [count = 0, ...rest], data } = arg(args, 0);
    return [{ shape: [count - 1, ...rest], data: data.slice(0, (count - 1) * sizeOf(rest)) }];
  },
  stack_last: (args) => [elementAt(arg(args, 0), (arg(args, 0).shape[0] ?? 0) - 1)],
  stack_join: (args) => {
    const element = arg(args, args.length - 1);
    const before = args.length === 1 ? new Float64Array() : arg(args, 0).data;
    const count = args.length === 1 ? 0 : (arg(args, 0).shape[0] ?? 0);
    return [generate([count + 1, ...element.shape], (i) => before[i] ?? element.data[i - before.length] ?? NaN)];
  },
} satisfies { readonly [O in PrimitiveName]: Kernel<O> };
