/**
 * The little linear algebra of monitors and probes, in float64.
 *
 * Owns symmetric eigenvalues (Householder reduction, then implicit QL), the singular values of a feature matrix through
 * its smaller Gram matrix, and the two live collapse signals: effective rank (RankMe, Garrido et al. 2023) and the
 * standard deviation of normalized embeddings (Chen and He 2021, SimSiam, figure 2). Gram matrices square the condition
 * number: relative singular values under about 1e-8 are noise, which an entropy does not notice.
 */
import { requireRows } from "./rows.js";

/** Reduces a symmetric matrix (row-major, overwritten) to tridiagonal form; returns diagonal and sub-diagonal (from 1). */
function tridiagonalize(a: Float64Array, n: number): { diagonal: Float64Array; off: Float64Array } {
  const diagonal = new Float64Array(n);
  const off = new Float64Array(n);
  const at = (i: number, j: number): number => a[i * n + j] ?? 0;
  for (let i = n - 1; i > 0; i--) {
    let scale = 0;
    for (let k = 0; k < i; k++) scale += Math.abs(at(i, k));
    if (i === 1 || scale === 0) {
      off[i] = at(i, i - 1);
      continue;
    }
    let h = 0;
    for (let k = 0; k < i; k++) {
      const value = at(i, k) / scale;
      a[i * n + k] = value;
      h += value * value;
    }
    const f = at(i, i - 1);
    const g = f >= 0 ? -Math.sqrt(h) : Math.sqrt(h);
    off[i] = scale * g;
    h -= f * g;
    a[i * n + i - 1] = f - g;
    reflect(a, n, i, h, off);
  }
  for (let i = 0; i < n; i++) diagonal[i] = at(i, i);
  return { diagonal, off };
}

/** Applies the reflection of row `i` to the leading block; `off[0..i-1]` is scratch. */
function reflect(a: Float64Array, n: number, i: number, h: number, off: Float64Array): void {
  let f = 0;
  for (let j = 0; j < i; j++) {
    let g = 0;
    for (let k = 0; k <= j; k++) g += (a[j * n + k] ?? 0) * (a[i * n + k] ?? 0);
    for (let k = j + 1; k < i; k++) g += (a[k * n + j] ?? 0) * (a[i * n + k] ?? 0);
    off[j] = g / h;
    f += (off[j] ?? 0) * (a[i * n + j] ?? 0);
  }
  const half = f / (h + h);
  for (let j = 0; j < i; j++) {
    const u = a[i * n + j] ?? 0;
    const g = (off[j] ?? 0) - half * u;
    off[j] = g;
    for (let k = 0; k <= j; k++) a[j * n + k] = (a[j * n + k] ?? 0) - (u * (off[k] ?? 0) + g * (a[i * n + k] ?? 0));
  }
}

/** Implicit QL with shifts on a tridiagonal matrix; leaves the eigenvalues in `d`. */
function implicitQl(d: Float64Array, e: Float64Array, n: number): void {
  for (let i = 1; i < n; i++) e[i - 1] = e[i] ?? 0;
  if (n > 0) e[n - 1] = 0;
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l;
      for (; m < n - 1; m++) {
        const size = Math.abs(d[m] ?? 0) + Math.abs(d[m + 1] ?? 0);
        if (Math.abs(e[m] ?? 0) <= Number.EPSILON * size || Math.abs(e[m] ?? 0) < 1e-300) break;
      }
      if (m === l) break;
      if (sweep === 60) throw new RangeError("eigenvalues did not converge: the matrix holds values that are not finite");
      qlSweep(d, e, l, m);
    }
  }
}

function qlSweep(d: Float64Array, e: Float64Array, l: number, m: number): void {
  let g = ((d[l + 1] ?? 0) - (d[l] ?? 0)) / (2 * (e[l] ?? 0));
  let r = Math.hypot(g, 1);
  g = (d[m] ?? 0) - (d[l] ?? 0) + (e[l] ?? 0) / (g + (g >= 0 ? r : -r));
  let s = 1;
  let c = 1;
  let p = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = s * (e[i] ?? 0);
    const b = c * (e[i] ?? 0);
    r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] = (d[i + 1] ?? 0) - p;
      e[m] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = (d[i + 1] ?? 0) - p;
    r = ((d[i] ?? 0) - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
  }
  d[l] = (d[l] ?? 0) - p;
  e[l] = g;
  e[m] = 0;
}

/** Eigenvalues of a symmetric `n × n` matrix (row-major; only the lower half is read), ascending. `a` is not changed. */
export function symmetricEigenvalues(a: Float64Array, n: number): Float64Array {
  const { diagonal, off } = tridiagonalize(Float64Array.from(a), n);
  implicitQl(diagonal, off, n);
  return diagonal.sort();
}

/** Column means of `x [n, d]`. */
function columnMeans(x: Float32Array, n: number, d: number): Float64Array {
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j] = (mean[j] ?? 0) + (x[i * d + j] ?? 0);
  for (let j = 0; j < d; j++) mean[j] = (mean[j] ?? 0) / Math.max(1, n);
  return mean;
}

/** The smaller of `x xᵀ` and `xᵀ x` for rows of `x [n, d]` less `shift [d]`; row-major, lower half filled. */
function smallGram(x: Float32Array, n: number, d: number, shift: Float64Array): { gram: Float64Array; size: number } {
  const size = Math.min(n, d);
  const gram = new Float64Array(size * size);
  if (d <= n) {
    const row = new Float64Array(d);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < d; j++) row[j] = (x[i * d + j] ?? 0) - (shift[j] ?? 0);
      for (let j = 0; j < d; j++) {
        const value = row[j] ?? 0;
        for (let k = 0; k <= j; k++) gram[j * d + k] = (gram[j * d + k] ?? 0) + value * (row[k] ?? 0);
      }
    }
    return { gram, size };
  }
  const rows = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) rows[i * d + j] = (x[i * d + j] ?? 0) - (shift[j] ?? 0);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k <= i; k++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += (rows[i * d + j] ?? 0) * (rows[k * d + j] ?? 0);
      gram[i * n + k] = sum;
    }
  }
  return { gram, size };
}

/**
 * Singular values of `x [n, d]`, descending, `min(n, d)` of them; with `center`, of `x` less its column means. Throws a RangeError
 * where `x` has another length, or values that are not finite.
 */
export function singularValues(x: Float32Array, n: number, d: number, options: { readonly center?: boolean } = {}): Float64Array {
  requireRows(x, n, d);
  const shift = options.center === true ? columnMeans(x, n, d) : new Float64Array(d);
  const { gram, size } = smallGram(x, n, d, shift);
  const values = symmetricEigenvalues(gram, size);
  return values.map((value) => Math.sqrt(Math.max(0, value))).reverse();
}

/**
 * RankMe: `exp(H(p))` with `p = σ / Σσ` over the singular values of `features [n, d]`. Between 1 and `min(n, d)`;
 * 0 for features that are all zero, and NaN when any value is not finite. Throws a RangeError where `features` has another length.
 */
export function effectiveRank(features: Float32Array, n: number, d: number, options: { readonly center?: boolean } = {}): number {
  requireRows(features, n, d);
  if (!features.every(Number.isFinite)) return Number.NaN;
  const sigma = singularValues(features, n, d, options);
  let total = 0;
  for (const value of sigma) total += value;
  if (total === 0) return 0;
  let entropy = 0;
  for (const value of sigma) {
    const p = value / total;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return Math.exp(entropy);
}

/**
 * Features `[n, d]` with each column shifted to mean 0 and scaled to deviation 1; constant columns become zeros. What a
 * linear probe sees, so the rank of these counts directions by what a probe can use, not by their scale.
 */
export function standardizeColumns(features: Float32Array, n: number, d: number): Float32Array {
  const mean = columnMeans(features, n, d);
  const scale = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) scale[j] = (scale[j] ?? 0) + ((features[i * d + j] ?? 0) - (mean[j] ?? 0)) ** 2;
  for (let j = 0; j < d; j++) scale[j] = (scale[j] ?? 0) > 0 ? 1 / Math.sqrt((scale[j] ?? 0) / n) : 0;
  return Float32Array.from({ length: n * d }, (_, at) => ((features[at] ?? 0) - (mean[at % d] ?? 0)) * (scale[at % d] ?? 0));
}

/**
 * Spread of l2-normalized rows of `features [n, d]`: the mean over dimensions of the standard deviation over rows, times
 * `√d`. About 1 for isotropic features, 0 for a constant embedding. Rows of zeros count as zero vectors. Throws a RangeError where
 * `features` has another length.
 */
export function embeddingStd(features: Float32Array, n: number, d: number): number {
  requireRows(features, n, d);
  const sum = new Float64Array(d);
  const rows = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    let norm = 0;
    for (let j = 0; j < d; j++) norm += (features[i * d + j] ?? 0) ** 2;
    const inverse = norm > 0 ? 1 / Math.sqrt(norm) : 0;
    for (let j = 0; j < d; j++) {
      const value = (features[i * d + j] ?? 0) * inverse;
      rows[i * d + j] = value;
      sum[j] = (sum[j] ?? 0) + value;
    }
  }
  let spread = 0;
  for (let j = 0; j < d; j++) {
    const mean = (sum[j] ?? 0) / n;
    let variance = 0;
    for (let i = 0; i < n; i++) variance += ((rows[i * d + j] ?? 0) - mean) ** 2;
    spread += Math.sqrt(variance / n);
  }
  return (spread / d) * Math.sqrt(d);
}
