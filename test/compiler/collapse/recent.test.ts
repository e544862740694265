/** Weights and places at which protection holds or loses, each as it was measured; and codes of the very value that is compared. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { checked, outcomeOf } from "./pairs.js";

const logits = "head d = linear(16)\nca = d(za)\ncb = d(zb)";
const clustered = (loss: string): string => outcomeOf(`${logits}\nloss ${loss}`);

test.each([
  [0.2, "error E-NOGUARD"], [0.5, "error E-NOGUARD"], [0.7, "risky W-WEAK-GUARD"], [1, "sound"], [2, "sound"], [5, "sound"],
])("mean entropy of weight %d beside codes that train on both sides is %s", (weight, outcome) => {
  expect(clustered(`cross_entropy(ca, softmax(cb)) + ${weight} * mean_entropy(softmax(ca))`)).toBe(outcome);
});

test.each([
  ["of softer codes, as heavy", "cross_entropy(ca, softmax(cb)) + 2 * mean_entropy(softmax(ca, temperature: 2))", "error E-NOGUARD"],
  ["of softer codes, heavier", "cross_entropy(ca, softmax(cb)) + 8 * mean_entropy(softmax(ca, temperature: 2))", "sound"],
  ["of half its weight on each view", "cross_entropy(ca, softmax(cb)) + 0.5 * mean_entropy(softmax(ca)) + 0.5 * mean_entropy(softmax(cb))", "sound"],
  ["against two agreements", "cross_entropy(ca, softmax(cb)) + cross_entropy(cb, softmax(ca)) + mean_entropy(softmax(ca))", "error E-NOGUARD"],
  ["as diversity, which divides by the codes", "cross_entropy(ca, softmax(cb)) + diversity(softmax(ca))", "error E-NOGUARD"],
  ["as diversity, weighed for the codes", "cross_entropy(ca, softmax(cb)) + 16 * diversity(softmax(ca))", "sound"],
  ["where nothing sharpens", "mse(softmax(ca), softmax(cb)) + 2 * mean_entropy(softmax(ca))", "error E-NOGUARD"],
])("mean entropy %s", (_, loss, outcome) => {
  expect(clustered(loss)).toBe(outcome);
});

test("the help for a mean entropy that is too light is its weight, and no fix adds a deviation", () => {
  const told = checked(`${logits}\nloss cross_entropy(ca, softmax(cb)) + 0.5 * mean_entropy(softmax(ca))`).diagnostics.filter((d) => d.code === "JEP4007");
  expect(told.map((d) => [d.help?.includes("as much as all of these together"), d.fixes.length])).toEqual([[true, 0]]);
});

test.each([
  ["mse(softmax(d(za), temperature: 0.1), stopgrad(sinkhorn(d(zb), temperature: 0.1)))", "error E-UNIFORM"],
  ["mse(softmax(d(za), temperature: 0.1), stopgrad(sinkhorn(d(zb), temperature: 0.04)))", "sound"],
])("codes that are compared by a distance must be sharpened as well: %s is %s", (loss, outcome) => {
  expect(outcomeOf(`head d = prototypes(64)\nloss ${loss}`)).toBe(outcome);
});

const pixels = (agreement: string, weight: number): string => outcomeOf(`predictor q = mlp(64)\nhead dec = linear(48)\nloss ${agreement} + ${weight} * mse(dec(za), pool(patches(a, 4)))`);

test("data hold against an agreement with a tenth of its weight, and beside one that dynamics hold with any", () => {
  expect([0.3, 0.1, 0.03, 0.01].map((w) => pixels("negative_cosine(za, zb)", w))).toEqual(["sound", "sound", "risky W-COEF", "risky W-COEF"]);
  expect(pixels("mse(q(za), tb)", 0.01)).toBe("sound");
  expect(pixels("mse(q(za), tb) + mse(za, zb)", 0.01)).toBe("risky W-COEF");
});

test("a regularizer is weighed against what nothing else holds: C-JEPA's against its own agreement", () => {
  const regularized = (weights: readonly [number, number, number]): string => outcomeOf(`predictor q = mlp(64)\nhead p = projector(64, 64)\nc = p(za)\ng = p(zb)\nloss mse(q(za), tb) + ${weights[0]} * mse(c, g) + ${weights[1]} * variance(c) + ${weights[2]} * covariance(c)`);
  expect(regularized([0.025, 0.025, 0.001])).toBe("sound");
  expect(regularized([0.1, 0.001, 0.0001])).toBe("risky W-COEF");
});

const head = "head p = projector(64, 64)\nua = p(za)\nub = p(zb)";

test.each([
  ["mse(za, zb) + variance(ua) + 0.04 * covariance(ua)", "risky W-WEAK-GUARD"],
  ["mse(ua, ub) + variance(ua) + 0.04 * covariance(ua)", "sound"],
  ["mse(za, zb) + mse(ua, ub) + variance(ua) + 0.04 * covariance(ua)", "sound"],
  ["mse(za, zb) + info_nce(ua, ub)", "sound"],
  ["mse(za, zb) + barlow(ua, ub)", "sound"],
  ["mse(za, zb) + variance(za) + 0.04 * covariance(za) + variance(ua)", "sound"],
])("in front of a head and behind it: %s is %s", (loss, outcome) => {
  expect(outcomeOf(`${head}\nloss ${loss}`)).toBe(outcome);
});

test("a head without batch statistics must grow to give back what agreement takes, and does not", () => {
  expect(outcomeOf("head p = linear(64)\nua = p(za)\nloss mse(za, zb) + variance(ua) + 0.04 * covariance(ua)")).toBe("sound");
});

test.each([
  ["commitment beside negatives", "q, code = k(za)\nloss info_nce(q, zb) + 0.25 * mse(za, stopgrad(q)) + mse(stopgrad(za), q)", "sound"],
  ["commitment to a codebook alone", "q, code = k(za)\nloss mse(za, stopgrad(q)) + mse(stopgrad(za), q)", "error E-NOPRED"],
  ["a prediction of the very value", "predictor h = mlp(64)\nloss mse(h(za), stopgrad(za)) + info_nce(za, zb)", "error M-LEAK"],
  ["nearest codes of a codebook that never learns", "head c = frozen(quantizer(32))\nhead d = linear(32)\nq, code = c(zb)\nloss cross_entropy(d(za), stopgrad(code))", "error E-UNBALANCED"],
])("codes of a value: %s", (_, lines, outcome) => {
  expect(outcomeOf(`head k = quantizer(32)\n${lines}`.replace(/^head k.*\n(?!q, code = k)/, ""))).toBe(outcome);
});

const visible = (losses: string): string => {
  const text = `use std.vit\n\nmodel m {\n  input image: Image[48, 48, 3]\n  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)\n  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets\n  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  encoder t = ema(f, momentum: 0.996 -> 1)\n  predictor h = vit_predictor(width: 16, depth: 1, heads: 2)\n  z = f(image at context)\n  y = normalize(t(image))\n  hidden = l1(h(z, at: targets), y at targets)\n  seen = l1(h(z, at: context), y at context)\n  loss ${losses}\n}\n`;
  const rules = check({ file: "m.jepa", text }).analyses?.program.rules ?? [];
  return rules.filter((rule) => rule === "M-LEAK" || rule === "M-LOSS-CTX").join();
};

test("what is visible may be predicted beside what is hidden, and not alone", () => {
  expect([visible("hidden"), visible("hidden + 0.5 * seen"), visible("seen")]).toEqual(["", "M-LOSS-CTX", "M-LEAK"]);
});
