/**
 * Loops and arrays of a kernel's text written out: what is marked and countable is, the rest stays as it is.
 */
import { expect, test } from "vitest";
import { unrolled } from "../../../../runtime/backends/webgpu/unroll.js";

const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && line !== "{" && line !== "}");

test("nested loops and arrays become blocks and variables, by constants that are computed from others", () => {
  const text = unrolled(`const SIDE = 16u;
const ROWS = (32u + SIDE) / SIDE - 1u;
fn main() {
  var acc: array<array<subgroup_matrix_result<f32, N, M>, 3u>, ROWS>; // split
  var next: array<subgroup_matrix_left<f16, K, M>, ROWS>; // split
  for (var i = 0u; i < ROWS; i++) { // unrolled
    next[i] = load(i * SIDE);
    for (var j = 0u; j < 3u; j++) { // unrolled
      if (turn == i * 3u + j) { acc[i][j] = add(next[i], acc[i][j]); }
    }
  }
}`);
  expect(lines(text)).toEqual([
    "const SIDE = 16u;", "const ROWS = (32u + SIDE) / SIDE - 1u;", "fn main() {",
    ...[0, 1].flatMap((i) => [0, 1, 2].map((j) => `var acc_${i}_${j}: subgroup_matrix_result<f32, N, M>;`)),
    "var next_0: subgroup_matrix_left<f16, K, M>;", "var next_1: subgroup_matrix_left<f16, K, M>;",
    ...[0, 1].flatMap((i) => [`next_${i} = load(${i}u * SIDE);`, ...[0, 1, 2].map((j) => `if (turn == ${i}u * 3u + ${j}u) { acc_${i}_${j} = add(next_${i}, acc_${i}_${j}); }`)]),
  ]);
});

test("loops without the mark, and those whose count is no constant, stay", () => {
  const text = `const N = 2u;
for (var i = 0u; i < N; i++) {
  a[i] = i;
}
for (var i = 0u; i < p.rows; i++) { // unrolled
  a[i] = i;
}
var b: array<f32, p.rows>; // split`;
  expect(unrolled(text)).toBe(text);
});

test("names that only contain the counter's are left alone", () => {
  expect(lines(unrolled("for (var k = 0u; k < 2u; k++) { // unrolled\n  k_quad(k, block, k0);\n}"))).toEqual(["k_quad(0u, block, k0);", "k_quad(1u, block, k0);"]);
});
