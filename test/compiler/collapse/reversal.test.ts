/** A value with minus its own gradient trains what made it against the loss, however the reversal is spelled. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { outcomeOf, pairOf } from "./pairs.js";

const predicted = (z: string): string => `predictor p = mlp(64)\nloss mse(p(${z}), tb)`;
const reversed = ["2 * stopgrad(za) - za", "stopgrad(za) - (za - stopgrad(za))", "-za + 2 * stopgrad(za)", "stopgrad(za) * 4 / 2 - za", "-(za - 2 * stopgrad(za))", "0.1 * (2 * stopgrad(za) - za)"];

test.each(reversed)("an encoder behind %s learns against a prediction", (z) => {
  expect(outcomeOf(predicted(z))).toBe("error E-REVERSED");
});

test.each(reversed)("%s under a guard rewards what it should forbid", (z) => {
  expect(outcomeOf(`loss 25 * mse(za, zb) + 25 * variance(${z}) + covariance(za)`)).toBe("error E-NOGUARD E-REVERSED");
});

test.each(["za", "-za", "0.1 * za + 0.9 * stopgrad(za)", "2 * za - stopgrad(za)", "stopgrad(za) + (za - stopgrad(za))", "za - 0.5 * stopgrad(za)"])("%s learns as it should", (z) => {
  expect(outcomeOf(predicted(z))).toBe("sound");
});

test("a prediction that is given less of its target is told of the target, not of its gradient", () => {
  expect(outcomeOf(predicted("za - 0.5 * stopgrad(tb)"))).toBe("error M-LEAK");
});

test("a reversal inside of a module is one", () => {
  const within = (value: string): string => `module turned(out) (x: Vector[width]) -> Vector[out] {\n  part map = linear(out)\n  map(${value})\n}\n\n${pairOf("predictor p = mlp(64)\nhead g = turned(32)\nloss mse(p(g(za)), tb)")}`;
  const rules = (text: string): readonly string[] => check({ file: "m.jepa", text }).analyses?.program.rules ?? ["not analyzed"];
  expect(rules(within("2 * stopgrad(x) - x"))).toEqual(["E-REVERSED"]);
  expect(rules(within("0.5 * stopgrad(x) + 0.5 * x"))).toEqual([]);
});

test("an adversary may stand beside what protects, and is told of where only dynamics do", () => {
  const adversary = "head d = linear(32)\nencoder r = frozen(f)\nloss fool = 0.1 * mse(d(2 * stopgrad(za) - za), pool(r(a)))";
  expect(outcomeOf(`loss info_nce(za, zb)\n${adversary}`)).toBe("sound");
  expect(outcomeOf(`${predicted("za")}\n${adversary}`)).toBe("risky E-REVERSED");
});

test("the term that is turned round is named at its place", () => {
  const text = pairOf(`loss 25 * mse(za, zb) + 25 * variance(2 * stopgrad(za) - za) + covariance(za)`);
  const told = check({ file: "m.jepa", text }).diagnostics.find((d) => d.code === "JEP4041");
  expect(told?.message).toBe("`variance` trains `f` against what it asks: the gradient is turned round on the way.");
  expect(text.slice(told?.span.start, told?.span.end)).toBe("variance(2 * stopgrad(za) - za)");
});
