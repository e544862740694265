/**
 * Every gradient rule against central differences, generated from the case table: a new op cannot lack this test.
 */
import { expect, test } from "vitest";
import { Activity } from "../../../compiler/autodiff/activity.js";
import { vjps } from "../../../compiler/autodiff/vjp.js";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { emptyModule, withFunc } from "../../../compiler/tensor/ir.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
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
