/**
 * The interpreter against closed forms and against definitions written another way; shapes against the shape rules for
 * every op; dimensions bound from arguments.
 */
import { expect, test } from "vitest";
import { buildFunc, defineFunc } from "../../../compiler/tensor/build.js";
import { bindDims, evaluate } from "../../../compiler/tensor/eval.js";
import { emptyModule, f32, funcOf, i32, typeOf, withFunc } from "../../../compiler/tensor/ir.js";
import { erf } from "../../../compiler/tensor/kernels.js";
import { ndarray, zeros } from "../../../compiler/tensor/ndarray.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { funcFlops } from "../../../compiler/tensor/flops.js";
import { makeNode } from "../../../compiler/tensor/ir.js";
import type { PrimitiveName } from "../../../compiler/tensor/ops.js";
import { dims, evaluate as evaluateDim, printDim } from "../../../compiler/types/dim.js";
import { allCases, caseFunc, draw, operandType, seeded } from "./support.js";

for (const { op, index, testCase } of allCases()) {
  test(`the evaluator of ${op} makes the shapes that its rule infers, twice the same bits, case ${index}`, () => {
    const module = withFunc(emptyModule, caseFunc(op, testCase));
    const random = seeded(index);
    const args = testCase.operands.map((o) => draw(random, o));
    const results = evaluate(module, op, args);
    const func = funcOf(module, op);
    expect(results.map((r) => r.shape)).toEqual(
      func.outputs.map((o) => {
        const type = typeOf(func, o.value);
        return [...type.stack, ...type.shape.map((d) => evaluateDim(d, new Map()))];
      }),
    );
    results.forEach((r) => expect(r.data.length).toBe(r.shape.reduce((n, d) => n * d, 1)));
    expect(evaluate(module, op, args)).toEqual(results);
  });
}

/** One application on given arrays; the first result's numbers. */
function run(op: PrimitiveName, args: readonly NdArray[], attrs: object = {}, isIndex: readonly boolean[] = []): number[] {
  const b = buildFunc(emptyModule, { name: "main", dims: [] });
  const ids = args.map((a, i) => b.input(`x${i}`, operandType({ shape: a.shape, domain: isIndex[i] ? { below: 1 } : "any" }), "data"));
  const [y = -1] = b.copy(makeNode({ op, args: ids, results: [], attrs, origin: undefined }), ids);
  b.output("y", y);
  return [...(evaluate(withFunc(emptyModule, b.finish()), "main", args)[0]?.data ?? [])];
}

const vector = (...xs: number[]): NdArray => ndarray([xs.length], xs);
const count = (shape: readonly number[]): NdArray => ndarray(shape, Array.from(zeros(shape).data, (_, i) => i));

test("erf has the tabulated values", () => {
  // Abramowitz & Stegun, table 7.1, and far values by their asymptotic series.
  const table: readonly (readonly [number, number])[] = [[0, 0], [0.5, 0.5204998778130465], [1, 0.8427007929497149], [2, 0.9953222650189527], [3, 0.9999779095030014], [3.5, 0.9999992569016276], [-1, -0.8427007929497149], [7, 1]];
  for (const [x, y] of table) expect(Math.abs(erf(x) - y), `erf(${x})`).toBeLessThan(1e-15);
  expect(erf(NaN)).toBeNaN();
});

test("gelu is the exact form", () => {
  const [y] = run("gelu", [vector(1)]);
  expect(y).toBeCloseTo(0.8413447460685429, 14);
});

test("normalize uses the biased variance", () => {
  const y = run("normalize", [ndarray([1, 4], [1, 2, 3, 4])], { eps: 0 });
  expect(y[0]).toBeCloseTo(-1.5 / Math.sqrt(1.25), 14);
});

test("smooth L1 is quadratic within beta and linear outside", () => {
  expect(run("smooth_l1", [vector(0.5, 3, -3), vector(0, 0, 0)], { beta: 1 })).toEqual([0.125, 2.5, 2.5]);
});

test("patches are row-major, and within one by row, column, channel", () => {
  const y = run("patchify", [count([1, 4, 4, 1])], { patch: [2, 2] });
  expect(y).toEqual([0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]);
  const oblong = run("patchify", [count([1, 2, 6, 1])], { patch: [2, 3] });
  expect(oblong).toEqual([0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]);
});

test("gather_rows reads image b mod B in copy-major order", () => {
  const x = ndarray([2, 3, 1], [0, 1, 2, 10, 11, 12]);
  const indices = ndarray([4, 1], [0, 1, 2, 0]);
  expect(run("gather_rows", [x, indices], { copies: 2 }, [false, true])).toEqual([0, 11, 2, 10]);
});

test("an index outside its range is an error, not a wrong row", () => {
  const x = ndarray([1, 3, 1], [0, 1, 2]);
  expect(() => run("gather_rows", [x, ndarray([1, 1], [3])], { copies: 1 }, [false, true])).toThrow("Index 3 is outside 0..2");
});

test.each([[7, 1], [7, 2], [6, 3], [5, 9]])("of %d rows in blocks of %d each sees what attention to the rows up to its block's end sees", (rows, block) => {
  const random = seeded(5);
  const [q, k, v] = [0, 1, 2].map(() => draw(random, { shape: [2, rows, 4], domain: "any" }));
  if (!q || !k || !v) throw new Error("three operands are drawn");
  const y = run("sdpa_causal", [q, k, v], { heads: 2, block });
  for (let image = 0; image < 2; image++) {
    for (let t = 0; t < rows; t++) {
      const [first, end] = [image * rows, Math.min(rows, (Math.floor(t / block) + 1) * block)];
      const cut = (x: NdArray, from: number, to: number): NdArray => ndarray([1, to - from, 4], [...x.data.slice((first + from) * 4, (first + to) * 4)]);
      const own = run("sdpa", [cut(q, t, t + 1), cut(k, 0, end), cut(v, 0, end)], { heads: 2 });
      for (let c = 0; c < 4; c++) expect(y[(first + t) * 4 + c]).toBeCloseTo(own[c] ?? NaN, 12);
    }
  }
});

test("attention by head agrees with its definition written out", () => {
  const random = seeded(4);
  const [q, k, v] = [0, 1, 2].map(() => draw(random, { shape: [1, 2, 4], domain: "any" }));
  if (!q || !k || !v) throw new Error("three operands are drawn");
  const y = run("sdpa", [q, k, v], { heads: 2 });
  const at = (x: NdArray, t: number, h: number, c: number): number => x.data[t * 4 + h * 2 + c] ?? NaN;
  for (let t = 0; t < 2; t++) {
    for (let h = 0; h < 2; h++) {
      const weights = [0, 1].map((s) => Math.exp((at(q, t, h, 0) * at(k, s, h, 0) + at(q, t, h, 1) * at(k, s, h, 1)) / Math.SQRT2));
      const [w0 = NaN, w1 = NaN] = weights;
      for (let c = 0; c < 2; c++) {
        expect(y[t * 4 + h * 2 + c]).toBeCloseTo((w0 * at(v, 0, h, c) + w1 * at(v, 1, h, c)) / (w0 + w1), 12);
      }
    }
  }
});

test("a repeat carries, keeps constants, reads stacked elements in its direction and stacks outputs", () => {
  const body = defineFunc(emptyModule, { name: "body", dims: [] }, (b) => {
    const [carry, fixed, element] = ["carry", "fixed", "element"].map((n) => b.input(n, f32([]), "data"));
    const next = b.op("add", [b.op("mul", [carry ?? -1, fixed ?? -1]), element ?? -1]);
    b.output("carry", next);
    b.output("trace", b.op("neg", [next]));
  });
  const horner = (reverse: boolean): number[][] => {
    const module = defineFunc(body, { name: "main", dims: [] }, (b) => {
      const x = b.input("x", f32([]), "data");
      const c = b.input("c", f32([], [3]), "param");
      const { carries, stacked } = b.repeat("body", { carries: [b.fill([], 0)], consts: [x], stacked: [c] }, { count: 3, reverse });
      b.output("y", carries[0] ?? -1);
      b.output("traces", stacked[0] ?? -1);
    });
    return evaluate(module, "main", [ndarray([], [10]), vector(1, 2, 3)]).map((r) => [...r.data]);
  };
  expect(horner(false)).toEqual([[123], [-1, -12, -123]]);
  expect(horner(true)).toEqual([[321], [-321, -32, -3]]);
});

test("dimensions are solved from shapes, products and sums included", () => {
  const b = buildFunc(emptyModule, { name: "main", dims: ["B", "K", "N"] });
  b.input("both", f32(dims(["4*B*(K+16)"])), "data");
  b.input("rows", i32(dims(["4*B", "N+K"])), "index");
  b.input("tokens", f32(dims(["B", "K"])), "data");
  const func = b.finish();
  const bound = bindDims(func, [{ shape: [4 * 2 * 21] }, { shape: [8, 12] }, { shape: [2, 5] }]);
  expect(Object.fromEntries(bound)).toEqual({ B: 2, K: 5, N: 7 });
});

test("arguments that do not fit are refused by name", () => {
  const module = defineFunc(emptyModule, { name: "main", dims: ["B"] }, (b) => {
    const x = b.input("x", f32(dims(["B", 2])), "data");
    b.output("y", b.op("add", [x, b.input("z", f32(dims(["B", 2])), "data")]));
  });
  expect(() => evaluate(module, "main", [zeros([3, 2]), zeros([4, 2])])).toThrow("Argument `z` of `main` has shape [3, 2], got [4, 2].");
});

test("flops of a repeated linear layer are depth times two per weight and row, plus the bias", () => {
  const body = defineFunc(emptyModule, { name: "body", dims: ["B"] }, (b) => {
    const x = b.input("x", f32(dims(["B", 8])), "data");
    b.output("x", b.op("linear", [x, b.input("w", f32(dims([8, 8])), "param"), b.input("b", f32(dims([8])), "param")]));
  });
  const module = defineFunc(body, { name: "main", dims: ["B"] }, (b) => {
    const x = b.input("x", f32(dims(["B", 8])), "data");
    const stacked = [b.input("w", f32(dims([8, 8]), [12]), "param"), b.input("b", f32(dims([8]), [12]), "param")];
    b.output("x", b.repeat("body", { carries: [x], stacked }, { count: 12 }).carries[0] ?? -1);
  });
  expect(printDim(funcFlops(module, "main"))).toBe(`${12 * (2 * 64 + 8)}*B`);
});
