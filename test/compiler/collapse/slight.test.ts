/** What a guard asks for counts, not its name: a deviation that a constant has, or hardly lacks, protects nothing. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { checked, outcomeOf, pairOf } from "./pairs.js";

const vicreg = (guard: string): string => `loss 25 * mse(za, zb) + 25 * ${guard} + covariance(za)`;
/** `max(0, target - sqrt(Var + eps))` by hand. */
const hinge = (target: string, eps = "1e-4", z = "za"): string => `mean(relu(${target} - sqrt(mean(square(${z} - mean(${z}, over: images)), over: images) + ${eps})))`;
const large = "y = 1e6 * za\n";

test.each([
  "variance(za, target: 0)", "variance(za, target: -1)", "variance(za, target: 0.01)", "variance(za, target: 0.005)", "variance(za, eps: 1)", "variance(za, target: 0.5, eps: 0.25)", "variance(1e6 * za, target: 0)",
  hinge("0"), hinge("0.01"), hinge("1", "1"), "mean(relu(0 - mean(square(za - mean(za, over: images)), over: images)))",
])("%s is fulfilled by a constant", (guard) => {
  expect(outcomeOf(vicreg(guard))).toBe("error E-NOGUARD");
  expect(outcomeOf(`loss mse(za, zb) + ${guard}`)).toBe("error E-SYM");
});

test.each([
  "variance(za, target: 0.02)", "variance(za, target: 0.09)", "variance(1e6 * za)", "variance(-1000 * za)", "variance(za / 0.001)", "variance(100 * za, target: 2)", "variance(2 * (50 * za) + 1)", "sigreg(1e6 * za)",
  hinge("0.05"), hinge("1", "1e-4", "(1e6 * za)"), "mean(relu(1 - 1000 * sqrt(mean(square(za - mean(za, over: images)), over: images) + 1e-12)))",
])("%s is content with next to nothing", (guard) => {
  expect(outcomeOf(vicreg(guard))).toBe("risky W-WEAK-GUARD");
});

test.each([
  "variance(za)", "variance(za, target: 0.1)", "variance(za, target: 2)", "variance(0.001 * za)", "variance(10 * za)", "variance(100 * za, target: 100)", "variance(za, target: 1, eps: 1e-8)", "variance(6 * l2_normalize(za))", "sigreg(za)",
  hinge("1"), hinge("0.5"), hinge("1", "1e-4", "(2 * pool(f(a)))"), "mean(relu(1 - mean(square(za - mean(za, over: images)), over: images)))", "mean(relu(1 - 2 * sqrt(mean(square(za - mean(za, over: images)), over: images) + 1e-4)))",
])("%s holds", (guard) => {
  expect(outcomeOf(vicreg(guard))).toBe("sound");
});

test("a factor on both sides of everything is a unit of its own", () => {
  expect(outcomeOf("y = 1e6 * za\nloss 25 * mse(y, 1e6 * zb) + 25 * variance(y) + covariance(y)")).toBe("sound");
  expect(outcomeOf("head g = linear(32)\nloss 25 * mse(g(1e6 * za), g(1e6 * zb)) + 25 * variance(g(1e6 * za)) + covariance(g(za))")).toBe("sound");
});

test("a factor under a name is a factor", () => {
  expect(outcomeOf(`${large}${vicreg("variance(y)")}`)).toBe("risky W-WEAK-GUARD");
  expect(outcomeOf(`${large}${vicreg(hinge("1", "1e-4", "y"))}`)).toBe("risky W-WEAK-GUARD");
});

test("what dynamics hold needs no guard", () => {
  const byol = "predictor p = mlp(64)\nloss mse(p(za), tb)";
  expect(outcomeOf(`${byol} + variance(za, target: 0)`)).toBe("sound");
  expect(outcomeOf(`${byol} + variance(1e6 * za)`)).toBe("sound");
});

test("a term that a constant fulfils is named, and its fix asks for a deviation", () => {
  const text = pairOf(vicreg("variance(za, target: 0.01)"));
  const { diagnostics } = check({ file: "m.jepa", text });
  expect(diagnostics.map((d) => d.code).filter((code) => code !== "JEP4055").toSorted()).toEqual(["JEP4007", "JEP4054"]);
  expect(diagnostics.find((d) => d.code === "JEP4054")?.message).toMatch(/`variance` has no effect: a constant fulfils it/);
  const mended = applyFixes(text, "m.jepa", certainFixes(diagnostics)).text;
  expect(mended).toContain("25 * variance(za, target: 1) + covariance(za)");
  expect(check({ file: "m.jepa", text: mended }).analyses?.program.verdict).toBe("sound");
});

test("the way out of a weak guard, and of a diagonal alone, is that of the term", () => {
  const help = (lines: string, code: string): string | undefined => checked(lines).diagnostics.find((d) => d.code === code)?.help;
  expect(help(vicreg("variance(1e6 * za)"), "JEP4025")).toMatch(/`variance` is content .* take the factor off/);
  expect(help("loss barlow_diagonal(za, zb)", "JEP4027")).toMatch(/barlow_off_diagonal/);
  expect(outcomeOf("loss barlow_diagonal(za, zb) + 0.005 * barlow_off_diagonal(za, zb)")).toBe("sound");
  expect(help("loss mse(za, zb) + variance(za)", "JEP4027")).toMatch(/covariance\(z\)/);
});
