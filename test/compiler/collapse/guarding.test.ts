/** Guards that are there and do not hold: on other codes, by a number, by a weight. Each beside one that holds. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { outcomeOf, pairOf } from "./pairs.js";

const sharp = "head d = prototypes(64)\nhead dt = ema(d, momentum: 0.99)\nc = d(za)\nloss cross_entropy(c, softmax(dt(tb), temperature: 0.04), temperature: 0.1)";

test.each([
  ["the codes that are compared", "mean_entropy(softmax(c, temperature: 0.1))", "sound"],
  ["the same head's codes of the other view", "mean_entropy(softmax(d(zb), temperature: 0.1))", "sound"],
  ["codes ten times as soft", "mean_entropy(softmax(c))", "sound"],
  ["codes a hundred times as soft", "mean_entropy(softmax(c, temperature: 10))", "error E-ONEHOT"],
  ["codes of another head", "mean_entropy(softmax(prototypes(64)(za), temperature: 0.1))", "error E-ONEHOT"],
  ["codes that the encoder is not told of", "mean_entropy(softmax(d(stopgrad(za)), temperature: 0.1))", "error E-ONEHOT"],
  ["codes of tokens, where pooled ones are compared", "mean_entropy(softmax(d(f(a)), temperature: 0.1))", "risky W-POSITION"],
  ["the codes with a weight of a hundredth", "0.01 * mean_entropy(softmax(c, temperature: 0.1))", "sound"],
  ["the codes with a weight of a millionth", "0.000001 * mean_entropy(softmax(c, temperature: 0.1))", "risky W-COEF"],
  ["the codes with a weight that ends at a millionth", "(1 -> 0.000001) * mean_entropy(softmax(c, temperature: 0.1))", "risky W-COEF"],
])("mean entropy of %s", (_, term, outcome) => {
  expect(outcomeOf(`${sharp.replace("c = d(za)", term.includes("prototypes") ? "c = d(za)\nhead o = prototypes(64)" : "c = d(za)")} + ${term.replace("prototypes(64)(za)", "o(za)")}`)).toBe(outcome);
});

const balanced = (code: string): string => `head d = prototypes(64)\nloss cross_entropy(d(za), stopgrad(${code}), temperature: 0.1)`;

test.each([
  ["sinkhorn(d(zb), temperature: 0.05)", "sound"], ["sinkhorn(d(zb), temperature: 0.1)", "error E-UNIFORM"], ["sinkhorn(0.1 * d(zb), temperature: 0.05)", "error E-UNIFORM"],
  ["softmax(d(zb), temperature: 0.04, over: images)", "sound"], ["softmax(d(zb), temperature: 1, over: images)", "error E-UNIFORM"],
])("balanced codes: %s is %s", (code, outcome) => {
  expect(outcomeOf(balanced(code))).toBe(outcome);
});

test("codes that train on both sides sharpen themselves: their loss is least where each image has one", () => {
  expect(outcomeOf(balanced("x").replace("stopgrad(x)", "sinkhorn(d(zb), temperature: 0.1)"))).toBe("sound");
});

test("a predictor may sharpen soft codes, and has nothing to do with uniform ones", () => {
  const predicted = (temperature: number): string => outcomeOf(`head d = prototypes(64)\npredictor h = mlp_bn(64)\nloss cross_entropy(d(h(za)), stopgrad(sinkhorn(d(zb), temperature: ${temperature})), temperature: 0.1)`);
  expect([0.05, 0.2, 100].map(predicted)).toEqual(["sound", "sound", "error E-UNIFORM"]);
});

test("the temperature of another head says nothing of a target's", () => {
  expect(outcomeOf("head d = prototypes(64)\nhead s = linear(64)\nids = stopgrad(sinkhorn(d(zb), temperature: 0.1))\nloss cross_entropy(d(za), stopgrad(sinkhorn(d(zb))), temperature: 0.1) + cross_entropy(s(za), ids, temperature: 0.1)")).toBe("sound");
});

test.each([
  ["info_nce(za, zb, negative_weight: 0.1)", "sound"], ["info_nce(za, zb, negative_weight: 0.05)", "risky W-WEAK-GUARD"],
  ["negative_cosine(za, zb) + 0.01 * info_nce(za, zb)", "sound"], ["negative_cosine(za, zb) + 0.0001 * info_nce(za, zb)", "risky W-COEF"],
  ["negative_cosine(za, zb) + 0.0001 * barlow(za, zb)", "risky W-COEF"], ["25 * mse(za, zb) + (25 -> 0.001) * variance(za) + covariance(za)", "risky W-COEF"],
  ["mse(za, zb) + 0.05 * sigreg(za)", "sound"], ["mse(za, zb) + 0.05 * sigreg(za, range: 0.1)", "risky W-WEAK-GUARD"],
  ["mse(batch_normalize(0.1 * za), batch_normalize(0.1 * zb))", "risky W-DIM"], ["mse(batch_normalize(1e-5 * za), batch_normalize(1e-5 * zb))", "error E-SYM"],
])("%s is %s", (loss, outcome) => {
  expect(outcomeOf(`loss ${loss}`)).toBe(outcome);
});

test("an anchor counts in the units of its data, and not beside what dynamics hold", () => {
  const anchored = (agreement: string, pixels: string): string => outcomeOf(`predictor p = mlp(64)\nhead dec = linear(48)\nloss ${agreement} + mse(dec(za), ${pixels} * pool(patches(a, 4)))`);
  expect(["1", "0.4", "0.1", "0.001"].map((by) => anchored("mse(za, zb)", by))).toEqual(["sound", "sound", "risky W-COEF", "risky W-COEF"]);
  expect(anchored("mse(p(za), tb)", "0.001")).toBe("sound");
});

const within = (module: string): string => `${module}\n${pairOf("predictor p = own()\nloss mse(p(za), tb)")}`;

test.each([
  ["learn w[width] ~ zeros\n  x + w", "E-NOPRED"], ["learn w[1, width] ~ zeros\n  x + w", "E-NOPRED"], ["learn w[1, width] ~ ones\n  x * w", "E-NOPRED"], ["learn w[1] ~ ones\n  x * w", "E-NOPRED"],
])("a predictor of %s mixes no features", (body, rule) => {
  expect(check({ file: "m.jepa", text: within(`module own() (x: Features[width]) -> Features[width] {\n  ${body}\n}`) }).analyses?.program.rules).toEqual([rule]);
});

test("a predictor of a matrix does; what passes few numbers on holds no more", () => {
  const rules = (body: string): readonly string[] | undefined => check({ file: "m.jepa", text: within(`module own() (x: Features[width]) -> Features[width] {\n  ${body}\n}`) }).analyses?.program.rules;
  expect(rules("learn w[width, width] ~ trunc_normal(std: 0.02)\n  x @ w")).toEqual([]);
  const through = (n: number, out = "outer(inner(x))"): string => `part inner = linear(${n})\n  part outer = linear(width)\n  ${out}`;
  // Of 32 features under a distance: 16 fall, as 1, 2, 4 and 8 do, and 32 hold (300 steps each). What goes around is no prediction.
  expect([1, 8, 16, 17, 32].map((n) => rules(through(n))?.join())).toEqual(["W-NARROW", "W-NARROW", "W-NARROW", "", ""]);
  expect([1, 8, 32].map((n) => rules(through(n, "x + outer(inner(x))"))?.join())).toEqual(["W-NARROW", "W-NARROW", ""]);
  const directions = (n: number): string => outcomeOf(`predictor p = mlp_bn(${n})\nloss negative_cosine(p(za), tb)`);
  expect([4, 8, 9].map(directions)).toEqual(["risky W-NARROW", "risky W-NARROW", "sound"]);
});

test.each([
  ["covariance(za)", "sound"], ["covariance(union(za, zb))", "sound"], ["barlow_off_diagonal(za, zb)", "sound"],
  ["covariance(o(za))", "risky W-DIM"], ["0 * covariance(za)", "risky W-DIM"],
])("beside variance, %s is %s: decorrelated must be what deviates", (term, outcome) => {
  expect(outcomeOf(`head o = projector(64, 32)\nloss 25 * mse(za, zb) + 25 * variance(za) + ${term}`)).toBe(outcome);
});

test.each([
  ["x - mean(x, over: images)", "sound"], ["x - stopgrad(mean(x, over: images))", "sound"],
  ["x - mean(d(za), over: images)", "error E-ONEHOT"], ["x + mean(x, over: images)", "error E-ONEHOT"], ["x", "error E-ONEHOT"],
])("codes less the mean of their batch are centered by hand: %s is %s", (code, outcome) => {
  expect(outcomeOf(`head d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.99)\nx = dt(tb)\nloss cross_entropy(d(za), stopgrad(softmax(${code}, temperature: 0.04)), temperature: 0.1)`)).toBe(outcome);
});
