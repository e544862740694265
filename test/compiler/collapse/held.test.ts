/** A value that a guard of its own keeps varying is what another encoder has to follow, whatever heads made it. */
import { expect, test } from "vitest";
import { outcomeOf } from "./pairs.js";

const untied = "encoder g = vit(patch: 4, width: 32, depth: 2, heads: 2)\nhead d = projector(64, 32)\nhead e = projector(64, 32)\nd1 = d(za)\ne2 = e(pool(g(b)))\nloss agree = 25 * mse(d1, e2)\n";

test.each([
  ["variance and covariance", "25 * variance(d1) + covariance(d1)", "sound"],
  ["the same value written again", "25 * variance(d(pool(f(a)))) + covariance(d(za))", "sound"],
  ["normality", "sigreg(d1)", "sound"],
  ["the other branch", "25 * variance(e2) + covariance(e2)", "sound"],
  ["both branches", "25 * variance(d1) + covariance(d1) + 25 * variance(e2) + covariance(e2)", "sound"],
  ["variance alone", "25 * variance(d1)", "risky W-DIM"],
])("untied branches hold by a guard on one: %s", (_, guard, outcome) => {
  expect(outcomeOf(`${untied}loss guard = ${guard}`)).toBe(outcome);
});

test.each([
  ["on another value", "25 * variance(za) + covariance(za)"],
  ["without a gradient", "25 * variance(stopgrad(d1)) + covariance(stopgrad(d1))"],
  ["with a gradient for its head only", "25 * variance(d(stopgrad(za))) + covariance(d(stopgrad(za)))"],
  ["turned round", "25 * variance(2 * stopgrad(d1) - d1) + covariance(d1)"],
  ["met by next to nothing", "25 * variance(1e4 * d1) + covariance(d1)"],
  ["without variance", "covariance(d1)"],
])("and not by one %s", (_, guard) => {
  expect(outcomeOf(`${untied}loss guard = ${guard}`)).toMatch(/^(error|risky) /);
});

test("tokens that meet a guard over everything hold nothing", () => {
  expect(outcomeOf(`${untied.replaceAll("d(za)", "d(f(a))").replaceAll("pool(g(b))", "g(b)")}loss guard = 25 * variance(d1, over: all) + covariance(d1)`)).toMatch(/^error /);
});
