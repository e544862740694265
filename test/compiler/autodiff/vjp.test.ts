/**
 * Every gradient rule against central differences, generated from the case table: a new op cannot lack this test.
 */
import { expect, test } from "vitest";
import { Activity } from "../../../compiler/autodiff/activity.js";
import { vjps } from "../../../compiler/autodiff/vjp.js";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { emptyModule, withFunc } from "../../../compiler/tensor/ir.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import type { PrimitiveName } from "../../../compiler/tensor/ops.js";
import { allCases, caseFunc, draw, seeded } from "../tensor/support.js";
import { addLoss, expectGradients } from "./support.js";

for (const { op, index, testCase } of allCases()) {
  const rule = vjps[op];
  if (rule.kind === "vjp") {
    test(`the gradient of ${op} agrees with central differences, case ${index}`, () => {
      // Auxiliary results (a row's rstd, a log-sum-exp) carry no gradient by definition.
      const outputs = [0];
      const module = addLoss(withFunc(emptyModule, caseFunc(op, testCase)), op, outputs);
      const random = seeded(index * 1000 + op.length);
      const args = testCase.operands.map((o) => draw(random, o));
      const shape = evaluate(module, op, args)[0]?.shape ?? [];
      expectGradients(module, `${op}_loss`, [...args, draw(random, { shape, domain: "any" })]);
    });
  } else if (rule.kind === "zero") {
    test(`no gradient passes through ${op}, case ${index}`, () => {
      const module = withFunc(emptyModule, caseFunc(op, testCase));
      const active = testCase.operands.map(() => true);
      expect(new Activity(module).outputs(op, active)).not.toContain(true);
    });
  } else {
    test(`differentiating through ${op} says that there is no rule, case ${index}`, () => {
      const module = addLoss(withFunc(emptyModule, caseFunc(op, testCase)), op, [0]);
      expect(() => addGradient(module, `${op}_loss`, { wrt: [0], outputs: [0] })).toThrow(rule.reason);
    });
  }
}

test("an auxiliary result has no gradient, and asking for it is an error that names it", () => {
  const found = allCases().find((c) => c.op === "normalize");
  if (found === undefined) throw new Error("there is no case of normalize");
  const module = addLoss(withFunc(emptyModule, caseFunc("normalize", found.testCase)), "normalize", [1]);
  expect(() => addGradient(module, "normalize_loss", { wrt: [0], outputs: [0] })).toThrow("`rstd`");
});

/** The gradient of the first result's sum, for each operand. */
function gradientsOf(op: PrimitiveName, attrs: object, ...operands: readonly (readonly number[])[]): number[][] {
  const shaped = operands.map((data) => ({ shape: [data.length], domain: "any" as const }));
  const module = addLoss(withFunc(emptyModule, caseFunc(op, { operands: shaped, attrs })), op, [0]);
  const args = operands.map((data) => ({ shape: [data.length], data: Float64Array.from(data) }));
  const [y] = evaluate(module, op, args);
  const made = addGradient(module, `${op}_loss`, { wrt: operands.map((_, i) => i), outputs: [0] });
  const results = evaluate(made.module, made.gradient, [...args, { shape: y?.shape ?? [], data: Float64Array.from(y?.data ?? [], () => 1) }]);
  return results.slice(1).map((r) => [...r.data]);
}

// Differences say nothing at a kink; what is done there is a choice, and the same one on every target.
test.each<readonly [PrimitiveName, object, readonly (readonly number[])[], readonly (readonly number[])[]]>([
  ["max", {}, [[1, 2, 3], [3, 2, 1]], [[0, 1, 1], [1, 0, 0]]],
  ["min", {}, [[1, 2, 3], [3, 2, 1]], [[1, 1, 0], [0, 0, 1]]],
  ["reduce_max", { axes: [0], keep: false }, [[4, 1, 4, 4, 2]], [[1 / 3, 0, 1 / 3, 1 / 3, 0]]],
  ["abs", {}, [[-2, 0, 2]], [[-1, 0, 1]]],
  ["relu", {}, [[-2, 0, 2]], [[0, 0, 1]]],
  ["smooth_l1", { beta: 1 }, [[0, 1, -1], [0, 0, 0]], [[0, 1, -1], [0, -1, 1]]],
])("where %s has a kink, the gradient is the chosen one", (op, attrs, operands, expected) => {
  expect(gradientsOf(op, attrs, ...operands)).toEqual(expected.map((row) => row.map((x) => expect.closeTo(x, 12))));
});
