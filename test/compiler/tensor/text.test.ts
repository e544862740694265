/**
 * The IR's text: what is printed parses back to the same IR, for every op and for random modules with their derivatives;
 * mistakes in edited dumps are told by line.
 */
import { expect, test } from "vitest";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { emptyModule, withFunc } from "../../../compiler/tensor/ir.js";
import { parseModule } from "../../../compiler/tensor/parse.js";
import { printModule } from "../../../compiler/tensor/print.js";
import { printProblem, verify } from "../../../compiler/tensor/verify.js";
import { randomModule } from "./random.js";
import { allCases, caseFunc } from "./support.js";

for (const { op, index, testCase } of allCases()) {
  test(`an application of ${op} prints and parses back, case ${index}`, () => {
    const module = withFunc(emptyModule, caseFunc(op, testCase));
    expect(parseModule(printModule(module))).toEqual(module);
  });
}

test("random modules and their derivatives print and parse back, and verify", { timeout: 60_000 }, () => {
  for (let seed = 100; seed < 106; seed++) {
    const module = randomModule(seed);
    const made = addGradient(module, "main", { wrt: () => true, outputs: (o) => o.role === "loss" }).module;
    expect(parseModule(printModule(made))).toEqual(made);
    expect(verify(made).map(printProblem)).toEqual([]);
  }
});

test("positions may be left out of the text", () => {
  const module = randomModule(5);
  expect(printModule(module)).toContain('@"random.jepa":3:9');
  expect(printModule(module, { origins: false })).not.toContain("random.jepa");
});

test("names with quotes, backslashes and other letters survive", () => {
  const text = 'func f() {\n  %0 "a \\"b\\" \\\\ ü" = data "x y": f32[2]\n  return data "ß" = %0\n}\n';
  expect(printModule(parseModule(text))).toBe(text);
});

test.each([
  ["func f() {\n  %0 = data \"x\": f32[2]\n  %1 = noop(%0): f32[2]\n}\n", "Line 3", "`noop`"],
  ["func f() {\n  %0 = data \"x\": f32[2\n}\n", "Line 2", "`]`"],
  ["func f() {\n  %0 = scale(%0) {with: 2}: f32[2]\n}\n", "Line 2", "`with`"],
  ["func f() {\n", "Line 1", "not closed"],
  ["func f() {\n  return truth \"x\" = %0\n}\n", "Line 2", "`truth`"],
  ["func f() {\n  %0, %1 = neg(%0): f32[2]\n}\n", "Line 2", "2 values have 1 types"],
])("a mistake in a dump is told by line: %j", (text, line, what) => {
  expect(() => parseModule(text)).toThrow(line);
  expect(() => parseModule(text)).toThrow(what);
});
