/**
 * Attention, its gradient and matrix products through subgroup matrices, which no driver at hand has: the kernels' own texts run by an
 * emulator on the host, beside the float64 interpreter, for several shapes of matrices; lengths and widths that fit no tile.
 * Texts that are wrong in one place, or lack one barrier, are noticed.
 *
 * That is no run on a device: what a driver makes of the text stays untested.
 */
import { expect, test } from "vitest";
import { evaluate } from "../../../../compiler/tensor/eval.js";
import { funcOf } from "../../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../../compiler/tensor/ndarray.js";
import type { Bound, Draft } from "../../../../compiler/targets/wgsl/kernel.js";
import type { Tile } from "../../../../compiler/targets/wgsl/kernels/tiles.js";
import { sizeExpr } from "../../../../compiler/targets/wgsl/plan.js";
import { constantDim } from "../../../../compiler/types/dim.js";
import { fitted } from "../../../../runtime/backends/webgpu/forms.js";
import { groupCounts, sizeValue } from "../../../../runtime/backends/webgpu/sizes.js";
import type { Memory } from "./emulator.js";
import { emulate } from "./emulator.js";
import type { Case } from "./on-device.js";
import { argumentsOf, build, data, draftsOfCase, t, weight, worstOf } from "./on-device.js";

/** Attention and its gradient, of keys and values apart. */
const cross = (heads: number, d: number): Case["body"] => (b) => {
  const [q, k, v] = [data(b, "q", t("B", "T", heads * d)), data(b, "k", t("B", "S", heads * d)), data(b, "v", t("B", "S", heads * d))];
  const [o = -1, lse = -1] = b.multi("sdpa", [q, k, v], { heads });
  return [o, lse, ...b.multi("sdpa_grad", [q, k, v, o, lse, data(b, "do", t("B", "T", heads * d))], { heads })];
};
/** The same of thirds of one tensor. */
const own = (heads: number, d: number): Case["body"] => (b) => {
  const [o = -1, memory = -1] = b.multi("attention", [data(b, "qkv", t("B", "T", 3 * heads * d))], { heads });
  return [o, b.op("attention_grad", [memory, data(b, "do", t("B", "T", heads * d))])];
};

interface Titled extends Case {
  readonly title: string;
  readonly kernels: readonly string[];
}

const apart = ["attention", "attention_dq", "attention_dkv"];
const together = ["attention", "attention_grad"];
const cases: readonly Titled[] = [
  { op: "sdpa", title: "keys that are not as many as queries, heads of 16", env: { B: 1, T: 66, S: 19 }, body: cross(2, 16), kernels: apart },
  { op: "attention", title: "thirds of one tensor, heads of 12", env: { B: 2, T: 19 }, body: own(2, 12), kernels: together },
  { op: "sdpa", title: "one query and one key, heads of 33", env: { B: 1, T: 1, S: 1 }, body: cross(1, 33), kernels: apart },
  { op: "attention", title: "the heads of ViT-B, a row more than a workgroup owns", env: { B: 1, T: 65 }, body: own(1, 64), kernels: together },
  { op: "attention", title: "a head too wide for padded scores", env: { B: 1, T: 17 }, body: own(1, 100), kernels: together },
];
const shapes = [{ subgroup: 32, matrix: { m: 16, n: 16, k: 16 } }, { subgroup: 8, matrix: { m: 8, n: 16, k: 16 } }, { subgroup: 16, matrix: { m: 16, n: 8, k: 8 } }] as const;
type Shape = (typeof shapes)[number];

/** Names of a text's bindings, in order, and how many elements each holds in one. */
function bindingsOf(text: string): { readonly name: string; readonly lanes: number }[] {
  return [...text.matchAll(/var<storage, \w+> (\w+): array<(vec4<(\w+)>)?/g)].map((m) => ({ name: m[1] ?? "", lanes: m[2] === undefined ? 1 : m[3] === "u32" ? 8 : 4 }));
}

/** Runs a draft's text; the memory of each tensor that it binds. */
function run(draft: Draft, text: string, env: ReadonlyMap<string, number>, memoryOf: (b: Bound) => number[]): Map<Bound, number[]> {
  const fields = /struct Sizes \{ (.*?) \}/.exec(text)?.[1]?.split(", ").map((f) => f.replace(": u32", "")) ?? [];
  const sizes = Object.fromEntries(fields.map((field, i) => [field, sizeValue(sizeExpr(draft.sizes[i] ?? constantDim(0)), env)]));
  const bindings = bindingsOf(text).map(({ name, lanes }, i) => {
    const bound = draft.binds[i];
    if (bound === undefined) throw new Error(`nothing is bound to ${name}`);
    const flat = memoryOf(bound);
    return { name, bound, memory: lanes === 1 ? [...flat] : Array.from({ length: flat.length / lanes }, (_, j): Memory[number] => flat.slice(lanes * j, lanes * (j + 1))) };
  });
  emulate(text).run(sizes, Object.fromEntries(bindings.map((b) => [b.name, b.memory])), groupCounts(draft.groups.map(sizeExpr), env));
  return new Map(bindings.map((b) => [b.bound, b.memory.flat()]));
}

/** Runs the forms of a case's kernels, changed by `mutate`; the worst error of each result against the interpreter. */
function errorsOf(c: Titled, shape: Shape, mutate = (text: string, _kernel: string): string => text): number[] {
  const module = build(c);
  const args = argumentsOf(c, module, true);
  const env = new Map(Object.entries(c.env));
  const wanted = evaluate(module, "f", args, env);
  const { drafts, results } = draftsOfCase(c, module, "card", true);
  expect(drafts.map((d) => d.name.replace(/_d\d+$/, ""))).toEqual(c.kernels);
  const inputs = funcOf(module, "f").inputs;
  const given = (b: Bound): NdArray | undefined => ("home" in b && "name" in b.home ? args[inputs.findIndex((i) => "home" in b && "name" in b.home && i.path === b.home.name)] : undefined);
  const count = (b: Bound): number => ("home" in b ? b.shape.reduce((n, d) => n * sizeValue(sizeExpr(d), env), 1) : b.count);
  const memory = new Map<Bound, number[]>();
  const memoryOf = (b: Bound): number[] => memory.get(b) ?? [...given(b)?.data ?? Array.from({ length: count(b) }, () => NaN)];
  for (const draft of drafts) {
    const text = draft.name === "add_parts_two" ? draft.text : draft.forms.find((f) => f.needs === "subgroup-matrix")?.text;
    if (text === undefined) throw new Error(`${draft.name} has no form by subgroup matrices`);
    const form = fitted(mutate(text, draft.name), { needs: "subgroup-matrix" }, { ...shape, asks: false }) ?? "";
    for (const [bound, values] of run(draft, form, env, memoryOf)) memory.set(bound, values);
  }
  return results.map((result, i) => worstOf(Float32Array.from(memory.get(result) ?? []), wanted[i] ?? { shape: [], data: new Float64Array() }));
}

test.each(cases.flatMap((c) => shapes.map((shape) => ({ c, shape, title: `${c.title}; ${Object.values(shape.matrix).join(" x ")} by ${shape.subgroup}` }))))("attention and its gradient by subgroup matrices: $title", ({ c, shape }) => {
  const errors = errorsOf(c, shape);
  console.info(`${c.title}, ${Object.values(shape.matrix).join(" x ")}: ${errors.map((e) => e.toExponential(1)).join(", ")}`);
  errors.forEach((error, i) => expect(error, `result ${i}`).toBeLessThan(2e-3));
});

const product = (ta: boolean, tb: boolean): Case["body"] => (b) => [b.op("matmul", [data(b, "a", ta ? t("K", "M") : t("M", "K")), weight(b, "b", tb ? t("N", "K") : t("K", "N"))], { ta, tb })];
const tileOf = (bm: number, bn: number): Tile => ({ bm, bn, bk: 16, tm: 8, tn: 4 });
const sizes = { odd: { M: 67, K: 35, N: 37 }, even: { M: 132, K: 44, N: 68 }, wide: { M: 136, K: 40, N: 72 } } as const;

const products: readonly Titled[] = [
  ...([[false, false], [false, true], [true, false], [true, true]] as const).flatMap(([ta, tb]) => (["odd", "even", "wide"] as const).map((which): Titled =>
    ({ op: "matmul", title: `${ta ? "t" : "n"}${tb ? "t" : "n"}, ${which} sizes`, env: sizes[which], body: product(ta, tb), tile: which === "odd" ? tileOf(64, 64) : tileOf(128, 64), kernels: [`gemm_${ta ? "t" : "n"}${tb ? "t" : "n"}_${which === "odd" ? 64 : 128}x64`] }))),
  { op: "matmul", title: "the largest tile", env: sizes.even, body: product(false, true), tile: tileOf(128, 128), kernels: ["gemm_nt_128x128"] },
  { op: "matmul", title: "the smallest tile, in batches", env: { B: 2, M: 20, K: 50, N: 33 }, tile: tileOf(32, 32), kernels: ["gemm_nn_32x32"], body: (b) => [b.op("matmul", [data(b, "a", t("B", "M", "K")), weight(b, "b", t("B", "K", "N"))], { ta: false, tb: false })] },
  { op: "linear_grad_w", title: "a weight's gradient in parts", env: { N: 600 }, tile: tileOf(32, 32), kernels: ["gemm_tn_32x32_split_sums", "add_parts_two"], body: (b) => { const dy = data(b, "dy", t("N", 40)); return [b.op("linear_grad_w", [data(b, "x", t("N", 36)), dy]), b.op("sum_leading", [dy])]; } },
  { op: "linear_grad_w", title: "a weight's gradient with the bias", env: { N: 70 }, tile: tileOf(32, 32), kernels: ["gemm_tn_32x32_sums"], body: (b) => { const dy = data(b, "dy", t("N", 40)); return [b.op("linear_grad_w", [data(b, "x", t("N", 36)), dy]), b.op("sum_leading", [dy])]; } },
];

test.each(products.flatMap((c) => shapes.map((shape) => ({ c, shape, title: `${c.title}; ${Object.values(shape.matrix).join(" x ")} by ${shape.subgroup}` }))))("a product by subgroup matrices: $title", ({ c, shape }) => {
  const errors = errorsOf(c, shape);
  console.info(`${c.title}, ${Object.values(shape.matrix).join(" x ")}: ${errors.map((e) => e.toExponential(1)).join(", ")}`);
  errors.forEach((error, i) => expect(error, `result ${i}`).toBeLessThan(2e-3));
});

/** Texts with one barrier less each. */
function withoutBarrier(text: string): string[] {
  const parts = text.split("workgroupBarrier();");
  return parts.slice(1).map((_, n) => [parts.slice(0, n + 1).join("workgroupBarrier();"), parts.slice(n + 1).join("workgroupBarrier();")].join(""));
}

const small: Titled = { op: "attention", title: "", env: { B: 1, T: 19 }, body: own(1, 20), kernels: together };
const smallApart: Titled = { op: "sdpa", title: "", env: { B: 1, T: 18, S: 19 }, body: cross(1, 20), kernels: apart };

const smallProduct: Titled = { op: "matmul", title: "", env: { M: 40, K: 70, N: 40 }, body: product(false, false), tile: tileOf(64, 64), kernels: ["gemm_nn_64x64"] };

/** What becomes of a kernel's changed text: its worst error, or what the emulator complains of. */
function outcome(c: Titled, kernel: string, mutant: (text: string) => string): number | string {
  try {
    return Math.max(...errorsOf(c, shapes[1], (text, name) => (name.replace(/_d\d+$/, "") === kernel ? mutant(text) : text)));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test.each([["attention", small, 10], ["attention_grad", small, 22], ["attention_dq", smallApart, 10], ["attention_dkv", smallApart, 12], ["gemm_nn_64x64", smallProduct, 4]] as const)("%s has no barrier too many: without any of them invocations race", (kernel, c, count) => {
  let barriers = 0;
  expect(outcome(c, kernel, (text) => { barriers = withoutBarrier(text).length; return text; })).toBeLessThan(2e-3);
  expect(barriers).toBe(count);
  for (let n = 0; n < barriers; n++) expect(outcome(c, kernel, (text) => withoutBarrier(text)[n] ?? text), `without barrier ${n}`).toMatch(/^a race/);
});

/** What an H100 computed wrongly: Dawn sets a variable without a value to zero in a loop's first turn only. */
const FORGETFUL = "var sum: subgroup_matrix_result<f32, MN, MM>;";

const wrongs: readonly (readonly [kernel: string, Titled, what: RegExp, instead: string])[] = [
  ["attention", small, /var sum = nothing;/, FORGETFUL],
  ["attention_grad", small, /var sum = nothing;/, FORGETFUL],
  ["attention", small, /first \+ c \* 4u \+ l >= p\.keys/, "false"],
  ["attention", small, /tops\[at\] \+= log\(totals\[at\]\);/, ""],
  ["attention_grad", small, / - lses\[row\]/, " - lses[0u]"],
  ["attention_grad", small, /if \(first \+ 16u > p\.keys\)/, "if (false)"],
  ["attention_grad", small, /if \(first \+ 16u > p\.rows\)/, "if (false)"],
  ["attention_grad", small, / - deltas\[row\]/, ""],
  ["attention_grad", small, / - delta_four/, ""],
  ["attention_grad", small, /\+ parts\[thread \* 8u \+ 2u\]/, ""],
  ["attention", small, /k_quad\(image \* p\.keys \+ min\(first \+ 16u \+ r/, "k_quad(image * p.keys + min(first + r"],
  ["attention_grad", small, /next_lse = lse\[group\.y \* p\.rows \+ min\(first \+ 16u/, "next_lse = lse[group.y * p.rows + min(first"],
  ["attention_grad", small, /\+ parts\[r \* 8u \+ 3u\]/, ""],
  ["attention_grad", small, /col_major>\(&stage, 16u \* ROW/, "col_major>(&stage, 0u"],
  ["attention_grad", small, /row_major>\(&stage, 16u \* ROW \+ k \* MK \* ROW/, "row_major>(&stage, k * MK * ROW"],
  ["attention_grad", small, /dqs\[i\]\[j\], LINE\);/, "dqs[0u][j], LINE);"],
  ["attention_grad", small, /dks\[i\]\[j\] = subgroup/, "dks[i][0u] = subgroup"],
  ["attention_dq", smallApart, /delta\[\(?group\.y \* p\.rows \+ row\)?\] = sum;/, ""],
  ["attention_dkv", smallApart, /column \+ 3u/, "column + 2u"],
  ["gemm_nn_64x64", smallProduct, /k \* \d+u \+ \(col_own/, "k * 16u + (col_own"],
  ["gemm_nn_64x64", smallProduct, /let row_own = own \/ 2u/, "let row_own = own % 2u"],
  ["attention_dkv", smallApart, /own_keys\[i\]\[k\], right/, "own_keys[0u][k], right"],
];

test.each(wrongs)("%s that is wrong in one place is noticed: %#", (kernel, c, what, instead) => {
  const found = outcome(c, kernel, (text) => {
    expect(text).toMatch(what);
    return text.replace(what, instead);
  });
  expect(typeof found === "number" ? found > 2e-3 : found).toBe(true);
});

test("an emulator that is told nonsense says so: an index beyond an array, matrices that do not fit, a barrier that not all meet, a race", () => {
  const kernel = (body: string): string => `const SUBGROUP = 4u;\nvar<workgroup> x: array<f32, 4>;\n@compute @workgroup_size(SUBGROUP)\nfn main(@builtin(local_invocation_index) thread: u32) {\n${body}\n}`;
  const runs = (body: string) => () => emulate(kernel(body)).run({}, {}, [1, 1, 1]);
  expect(runs("x[thread] = 1f; workgroupBarrier(); let y = x[3u - thread]; workgroupBarrier(); x[thread] = y / 2f;")).not.toThrow();
  expect(runs("x[thread] = 1f; workgroupBarrier(); x[thread] = x[3u - thread] / 2f;")).toThrow("a race: element 1 was written by 1 and is read by 2");
  expect(runs("let y = x[3u - thread]; x[thread] = y;")).toThrow("a race");
  expect(runs("x[thread + 1u] = 1f;")).toThrow("store to 4 of 4");
  expect(runs("let m = subgroupMatrixLoad<subgroup_matrix_left<f32, 2, 2>, row_major>(&x, 0u, 2u);")).not.toThrow();
  // Its last element is within the array, but the proposal counts whole strides.
  expect(runs("let m = subgroupMatrixLoad<subgroup_matrix_left<f32, 1, 2>, row_major>(&x, 1u, 2u);")).toThrow("a matrix from 1, 2 times 2, in 4");
  expect(runs("let m = subgroupMatrixLoad<subgroup_matrix_left<f32, 4, 1>, row_major>(&x, 0u, 2u);")).toThrow("a stride of 2 for slices of 4");
  expect(runs("x[thread] = 1f; let m = subgroupMatrixLoad<subgroup_matrix_left<f32, 2, 2>, row_major>(&x, 0u, 2u);")).toThrow("a race");
  expect(runs("let m = subgroupMatrixLoad<subgroup_matrix_left<f32, 2, 1>, row_major>(&x, thread / 2u, 2u);")).toThrow("the same matrix");
  expect(runs("if (thread < 2u) { workgroupBarrier(); }")).toThrow("same barriers");
  const sums = (body: string): number => {
    const out = [0];
    emulate(`const SUBGROUP = 4u;\nvar<storage, read_write> out: array<f32>;\n@compute @workgroup_size(1u)\nfn main(@builtin(local_invocation_index) thread: u32) {\n${body}\n}`).run({}, { out }, [1, 1, 1]);
    return out[0] ?? 0;
  };
  expect(sums("var sum: f32; for (var i = 0u; i < 3u; i++) { sum += 1f; } out[0u] = sum;")).toBe(3);
  expect(sums("for (var i = 0u; i < 3u; i++) { var sum: f32; sum += 1f; out[0u] = sum; }")).toBeNaN();
  expect(sums("for (var i = 0u; i < 3u; i++) { var four: array<vec4<f32>, 2>; out[0u] = four[1u][3u]; }")).toBeNaN();
  expect(runs("var a: subgroup_matrix_left<f16, 8, 8>; var b: subgroup_matrix_right<f16, 8, 16>; var c: subgroup_matrix_result<f32, 8, 8>; c = subgroupMatrixMultiplyAccumulate(a, b, c);")).toThrow("8 x 8 times 16 x 8");
});
