/** Eigenvalues, effective rank and embedding spread against closed forms. */
import { expect, test } from "vitest";
import { effectiveRank, embeddingStd, singularValues, symmetricEigenvalues, standardizeColumns } from "../../../runtime/base/linalg.js";
import { stream } from "../../../runtime/base/random.js";

test("the second-difference matrix has its closed-form eigenvalues", () => {
  for (const n of [1, 2, 3, 17, 96]) {
    const a = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      a[i * n + i] = 2;
      if (i > 0) a[i * n + i - 1] = -1;
    }
    const values = symmetricEigenvalues(a, n);
    values.forEach((value, k) => expect(value).toBeCloseTo(2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)), 10));
  }
});

test("a dense matrix built from known eigenvalues gives them back", () => {
  const n = 24;
  const s = stream(5, "test");
  const wanted = Float64Array.from({ length: n }, (_, i) => (i - 7) * 1.5).sort();
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) a[i * n + i] = wanted[i] ?? 0;
  for (let turn = 0; turn < 400; turn++) {
    const p = s.int(n);
    const q = (p + 1 + s.int(n - 1)) % n;
    rotate(a, n, p, q, s.range(0, 6.28));
  }
  symmetricEigenvalues(a, n).forEach((value, i) => expect(value).toBeCloseTo(wanted[i] ?? 0, 9));
});

function rotate(a: Float64Array, n: number, p: number, q: number, angle: number): void {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  const mix = (i: number, j: number): void => {
    const x = a[i] ?? 0;
    const y = a[j] ?? 0;
    a[i] = c * x - s * y;
    a[j] = s * x + c * y;
  };
  for (let k = 0; k < n; k++) mix(k * n + p, k * n + q);
  for (let k = 0; k < n; k++) mix(p * n + k, q * n + k);
}

test("singular values of wide and tall matrices are those of the transpose", () => {
  const s = stream(6, "test");
  const n = 9;
  const d = 31;
  const x = Float32Array.from({ length: n * d }, () => s.normal());
  const t = Float32Array.from({ length: n * d }, (_, i) => x[(i % n) * d + Math.floor(i / n)] ?? 0);
  const wide = singularValues(x, n, d);
  singularValues(t, d, n).forEach((value, i) => expect(value).toBeCloseTo(wide[i] ?? 0, 8));
  const frobenius = x.reduce((total, value) => total + value * value, 0);
  expect(wide.reduce((total, value) => total + value * value, 0)).toBeCloseTo(frobenius, 4);
});

test("effective rank is the number of equal directions, and follows the entropy otherwise", () => {
  const d = 12;
  const n = 48;
  const equal = new Float32Array(n * d);
  for (let i = 0; i < n; i++) equal[i * d + (i % 5)] = i % 2 === 0 ? 1 : -1;
  expect(effectiveRank(equal, n, d)).toBeCloseTo(5, 1);
  const two = new Float32Array(4 * 2);
  two[0] = 3;
  two[3] = 1;
  expect(effectiveRank(two, 4, 2)).toBeCloseTo(Math.exp(-0.75 * Math.log(0.75) - 0.25 * Math.log(0.25)), 10);
});

test("a constant embedding has rank one, none when centered, and no spread", () => {
  const n = 32;
  const d = 8;
  const x = Float32Array.from({ length: n * d }, (_, i) => 1 + (i % d));
  expect(effectiveRank(x, n, d)).toBeCloseTo(1, 5);
  expect(effectiveRank(x, n, d, { center: true })).toBe(0);
  expect(embeddingStd(x, n, d)).toBeCloseTo(0, 6);
});

test("isotropic features have spread near one and full rank", () => {
  const n = 2000;
  const d = 32;
  const s = stream(8, "test");
  const x = Float32Array.from({ length: n * d }, () => 5 * s.normal());
  expect(embeddingStd(x, n, d)).toBeGreaterThan(0.97);
  expect(embeddingStd(x, n, d)).toBeLessThan(1.01);
  expect(effectiveRank(x, n, d)).toBeGreaterThan(31.5);
});

test("features that are not finite give NaN, not a hang", () => {
  expect(effectiveRank(Float32Array.of(1, Number.NaN, 2, 3), 2, 2)).toBeNaN();
});

test("standardized columns have mean 0 and deviation 1, and scale no longer counts in the rank", () => {
  const n = 200;
  const draw = stream(3, "standardize");
  const rows = Float32Array.from({ length: n * 3 }, (_, at) => (at % 3 === 0 ? 1000 : at % 3 === 1 ? 1 : 0.001) * draw.normal() + 5);
  const scaled = standardizeColumns(rows, n, 3);
  for (let j = 0; j < 3; j++) {
    const column = Array.from({ length: n }, (_, i) => scaled[i * 3 + j] ?? 0);
    const mean = column.reduce((a, b) => a + b, 0) / n;
    expect(mean).toBeCloseTo(0, 4);
    expect(Math.sqrt(column.reduce((a, b) => a + (b - mean) ** 2, 0) / n)).toBeCloseTo(1, 4);
  }
  expect(effectiveRank(rows, n, 3, { center: true })).toBeLessThan(1.1);
  expect(effectiveRank(scaled, n, 3)).toBeGreaterThan(2.9);
  expect([...standardizeColumns(new Float32Array(6).fill(2), 2, 3)]).toEqual([0, 0, 0, 0, 0, 0]);
});

test("features of another length than was said are refused", () => {
  const x = new Float32Array(12).fill(1);
  for (const f of [effectiveRank, embeddingStd, singularValues]) {
    expect(f(x, 4, 3)).toBeDefined();
    for (const [n, d] of [[4, 4], [3, 3], [2.4, 5], [-4, -3], [12, 0], [NaN, 3]] as const) expect(() => f(x, n, d)).toThrow(new RangeError(`12 numbers are not ${n} rows of width ${d}`));
  }
});
