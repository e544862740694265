/**
 * Float64 forms of the kernels, as naive loops over flat arrays, and gradients by central differences.
 *
 * The reference for `kernels.test.ts`: written from the definitions, sharing nothing with the code under test. Gradients
 * are not derived but measured, so a wrong derivation cannot be wrong twice.
 */

/** A row-major array in double precision. */
export type Nd = { readonly shape: readonly number[]; readonly data: Float64Array };

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export function nd(shape: readonly number[], value: (index: number) => number): Nd {
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, index) => Math.fround(value(index))) };
}

/** Numbers between -2 and 2 that depend only on the seed. */
export function noise(shape: readonly number[], seed: number): Nd {
  let state = (seed * 2654435761) >>> 0;
  return nd(shape, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 4 - 2;
  });
}

const get = (x: Nd, index: number): number => x.data[index] ?? NaN;
const dim = (x: Nd, axis: number): number => x.shape.at(axis) ?? 1;
const make = (shape: readonly number[], value: (index: number) => number): Nd =>
  ({ shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, index) => value(index)) });

/** [..., m, k] x [..., k, n] with optional transposes; b may have rank 2. */
export function matmul(a: Nd, b: Nd, ta = false, tb = false): Nd {
  const [m, k] = ta ? [dim(a, -1), dim(a, -2)] : [dim(a, -2), dim(a, -1)];
  const n = tb ? dim(b, -2) : dim(b, -1);
  const lead = a.shape.slice(0, -2);
  return make([...lead, m, n], (index) => {
    const [batch, row, column] = [Math.floor(index / (m * n)), Math.floor(index / n) % m, index % n];
    const bBatch = b.shape.length === 2 ? 0 : batch;
    let sum = 0;
    for (let l = 0; l < k; l++) {
      const left = get(a, batch * m * k + (ta ? l * m + row : row * k + l));
      sum += left * get(b, bBatch * k * n + (tb ? column * k + l : l * n + column));
    }
    return sum;
  });
}

export function linear(x: Nd, w: Nd, b: Nd): Nd {
  const product = matmul({ shape: [sizeOf(x.shape) / dim(x, -1), dim(x, -1)], data: x.data }, w);
  const width = dim(w, -1);
  return make([...x.shape.slice(0, -1), width], (index) => get(product, index) + get(b, index % width));
}

/** erf by its Maclaurin series, and by the continued fraction of erfc where that converges faster. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; n < 200; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(x) * sum * (2 / Math.sqrt(Math.PI));
  }
  let fraction = z;
  for (let n = 80; n > 0; n--) fraction = z + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * fraction));
}

export const gelu = (x: Nd): Nd => make(x.shape, (i) => get(x, i) * 0.5 * (1 + erf(get(x, i) / Math.SQRT2)));

function perRow(x: Nd, f: (row: number[]) => number[]): Nd {
  const width = dim(x, -1);
  const rows = sizeOf(x.shape) / width;
  return { shape: x.shape, data: Float64Array.from(Array.from({ length: rows }, (_, r) => f([...x.data.slice(r * width, (r + 1) * width)])).flat()) };
}

const total = (row: readonly number[]): number => row.reduce((sum, value) => sum + value, 0);

export const softmax = (x: Nd): Nd => perRow(x, (row) => {
  const e = row.map((value) => Math.exp(value - Math.max(...row)));
  return e.map((value) => value / total(e));
});

export const logSoftmax = (x: Nd): Nd => { const y = softmax(x); return make(x.shape, (i) => Math.log(get(y, i))); };

export const normalize = (x: Nd, eps: number): Nd => perRow(x, (row) => {
  const mean = total(row) / row.length;
  const variance = total(row.map((value) => (value - mean) ** 2)) / row.length;
  return row.map((value) => (value - mean) / Math.sqrt(variance + eps));
});

export function layerNorm(x: Nd, scale: Nd, offset: Nd, eps: number): Nd {
  const y = normalize(x, eps);
  return make(x.shape, (i) => get(y, i) * get(scale, i % dim(x, -1)) + get(offset, i % dim(x, -1)));
}

/** x [B, N, D], index [R, K]: row r reads image r mod B. */
export function gatherRows(x: Nd, index: readonly (readonly number[])[]): Nd {
  const [batch = 1, tokens = 1, width = 1] = x.shape;
  const kept = index[0]?.length ?? 0;
  return make([index.length, kept, width], (i) => {
    const [row, slot, column] = [Math.floor(i / (kept * width)), Math.floor(i / width) % kept, i % width];
    return get(x, ((row % batch) * tokens + (index[row]?.[slot] ?? NaN)) * width + column);
  });
}

export const tile = (x: Nd, copies: number): Nd =>
  make([copies * dim(x, 0), ...x.shape.slice(1)], (i) => get(x, i % sizeOf(x.shape)));

/** q [B, h, Nq, d], k and v [B, h, Nk, d]. */
export function sdpa(q: Nd, k: Nd, v: Nd, scale: number): Nd {
  const scores = matmul(q, k, false, true);
  return matmul(softmax(make(scores.shape, (i) => get(scores, i) * scale)), v);
}

export function splitHeads(x: Nd, heads: number): Nd {
  const [batch = 1, tokens = 1, width = 1] = x.shape;
  const size = width / heads;
  return make([batch, heads, tokens, size], (i) => {
    const [image, head, token, column] = [Math.floor(i / (width * tokens)), Math.floor(i / (size * tokens)) % heads, Math.floor(i / size) % tokens, i % size];
    return get(x, (image * tokens + token) * width + head * size + column);
  });
}

export function attention(qkv: Nd, heads: number, scale: number): Nd {
  const [batch = 1, tokens = 1, triple = 1] = qkv.shape;
  const width = triple / 3;
  const part = (which: number): Nd => splitHeads(make([batch, tokens, width], (i) => get(qkv, Math.floor(i / width) * triple + which * width + (i % width))), heads);
  const out = sdpa(part(0), part(1), part(2), scale);
  const size = width / heads;
  return make([batch, tokens, width], (i) => {
    const [image, token, column] = [Math.floor(i / (width * tokens)), Math.floor(i / width) % tokens, i % width];
    return get(out, ((image * heads + Math.floor(column / size)) * tokens + token) * size + (column % size));
  });
}

/** `count` rows of axis 1 of [B, N, D], from `first` on. */
export function rowsOf(x: Nd, first: number, count: number): Nd {
  const [batch = 1, tokens = 1, width = 1] = x.shape;
  return make([batch, count, width], (i) => {
    const [image, row, column] = [Math.floor(i / (width * count)), Math.floor(i / width) % count, i % width];
    return get(x, (image * tokens + first + row) * width + column);
  });
}

const averaged = (x: Nd, y: Nd, f: (d: number) => number): Nd =>
  make([], () => total([...x.data].map((value, i) => f(value - get(y, i)))) / x.data.length);

export const smoothL1 = (x: Nd, y: Nd, beta: number): Nd =>
  averaged(x, y, (d) => Math.abs(d) < beta ? (0.5 * d * d) / beta : Math.abs(d) - beta / 2);
export const mse = (x: Nd, y: Nd): Nd => averaged(x, y, (d) => d * d);

/** d sum(f(x) * dy) / dx by central differences. */
export function gradient(f: (x: Nd) => Nd, x: Nd, dy: Nd): Nd {
  const h = 1e-5;
  const weigh = (y: Nd): number => total([...y.data].map((value, i) => value * get(dy, i)));
  return make(x.shape, (index) => {
    const moved = (step: number): Nd => make(x.shape, (i) => get(x, i) + (i === index ? step : 0));
    return (weigh(f(moved(h))) - weigh(f(moved(-h)))) / (2 * h);
  });
}
