/** Targets that are the same for all images, however they are spelled, are no data. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { checked, outcomeOf, pairOf } from "./pairs.js";

const predictor = "predictor p = mlp(64)\n";

/** Ways to write a value that is the same for all images, where `v` is one that differs. */
const constants: readonly (readonly [string, string])[] = [
  ["a factor of zero", "v * 0"],
  ["a factor of zero in front of a norm", "0 * normalize(v)"],
  ["a factor with the name of a number, and an offset", "k * v + 1"],
  ["a difference of a value and itself", "v - v"],
  ["a difference of two spellings", "(2 * v + 1) - (v + 1 + v)"],
  ["a sum with its negative", "v + -v"],
  ["a value that is taken off again", "v + 0.1 * v - 1.1 * v"],
  ["a quotient of a value and itself", "v / v"],
  ["a quotient of squares", "v^2 / v^2"],
  ["a quotient of multiples", "(3 * v) / (2 * v)"],
  ["what is left above zero of what is below", "relu(0 - square(v))"],
  ["the same with a magnitude", "relu(-abs(v)) * v"],
  ["what is left above zero of a logarithm of codes", "relu(log_softmax(v))"],
  ["a code of nothing", "softmax(0 * v)"],
  ["a module asked twice the same", "frozen_map(v) - frozen_map(v)"],
  ["two norms of one value", "normalize(v) - normalize(v)"],
  ["what deviates from the batch of nothing", "batch_normalize(v - v)"],
  ["nothing, whitened", "whiten(v - v)"],
  ["balanced codes of nothing", "sinkhorn(v - v, temperature: 0.05)"],
];

const module = "module nothing_of() (x: Features[w]) -> Features[w] {\n  y = x\n  x - y\n}\n\n";
const outcome = (lines: string): string => outcomeOf(`k = 0\n${predictor}${lines.includes("frozen_map") ? `head frozen_map = frozen(linear(${lines.includes("patches(a, 4)") ? 48 : 32}))\n` : ""}${lines}`);

test.each(constants)("%s makes no target, behind an average or a stop", (_what, constant) => {
  expect(outcome(`v = tb\nloss mse(p(za), ${constant})`)).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome(`v = tb\nloss mse(p(za), stopgrad(${constant}))`)).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome(`v = zb\nloss negative_cosine(p(za), stopgrad(${constant}))`)).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome(`v = zb\nlater = ${constant}\nloss mse(stopgrad(later), p(za))`)).toBe("risky W-TARGET-UNINFORMED");
});

test.each(constants)("%s is no data beside a symmetric agreement", (_what, constant) => {
  const lines = (value: string): string => `head d = linear(48)\nv = patches(a, 4)\nloss mse(d(f(a)), ${value}) + mse(za, zb)`;
  expect(outcome(lines("v"))).toBe("sound");
  expect(outcome(lines(constant))).toBe("error E-SYM W-TARGET-UNINFORMED");
  expect(outcome(lines(`stopgrad(${constant})`))).toBe("error E-SYM W-TARGET-UNINFORMED");
});

test("without a predictor, the encoder must become the constant that it follows, unless it has more to follow", () => {
  expect(outcome("loss mse(za, 0 * tb)")).toBe("error W-TARGET-UNINFORMED");
  expect(outcome("loss negative_cosine(za, stopgrad(zb - zb + 1))")).toBe("error W-TARGET-UNINFORMED");
  expect(outcome("head still = frozen(linear(32))\nloss mse(still(za), 0 * tb) + 0.1 * l1(za, tb / tb)")).toBe("error W-TARGET-UNINFORMED");
  expect(outcome("loss mse(za, 0 * tb) + l1(p(za), 0 * tb)")).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome("loss mse(p(za), tb) + 0.01 * mse(za, 0 * tb)")).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome("loss mse(za, zb) + variance(za) + covariance(za) + 0.01 * mse(za, 0 * zb)")).toBe("risky W-COEF");
  expect(outcome("loss 25 * mse(za, zb) + 25 * variance(za) + covariance(za) + 0.01 * mse(za, 0 * zb)")).toBe("sound");
});

test.each([
  ["joined again", "q, r = split(v, 2)", "join(q, r)", "join(r, q)"],
  ["joined before it was split", "q, r = split(join(v, zb), 2)", "q", "r"],
])("what was split and is %s is the value that it was", (_what, lines, same, other) => {
  expect(outcome(`v = tb\n${lines}\nloss mse(p(za), stopgrad(${same} - v))`)).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome(`v = tb\n${lines}\nloss mse(p(za), stopgrad(${other} - v))`).split(" ")[0]).toBe("sound");
});

test("a stop on data makes no difference to what is taken off it", () => {
  const head = "head d = linear(48)\nx = patches(a, 4)\n";
  expect(outcome(`${head}loss mse(d(f(a)), x - stopgrad(x)) + mse(za, zb)`)).toBe("error E-SYM W-TARGET-UNINFORMED");
});

test("a module that takes a value off itself makes no target", () => {
  const text = pairOf(`${predictor}loss mse(p(za), nothing_of()(tb))`).replace("model m", `${module}model m`);
  expect(check({ file: "m.jepa", text }).analyses?.program).toMatchObject({ verdict: "risky", rules: ["W-TARGET-UNINFORMED"] });
});

/** Ways to write a value that differs from image to image. */
const varying: readonly string[] = ["v", "v * 0.5", "v - 1", "v - 0.5 * v", "v + v", "v - stopgrad(zb)", "v / (1 + v^2)", "relu(v)", "relu(square(v))", "v - normalize(v)", "softmax(v)", "v * v", "v - mean(v, over: images)"];

test.each(varying)("%s is a target", (value) => {
  expect(outcome(`v = tb\nloss mse(p(za), stopgrad(${value}))`).split(" ")[0]).toBe("sound");
});

test("an average with momentum 0 less the encoder is nothing", () => {
  expect(outcome("encoder now = ema(f, momentum: 0)\nloss mse(p(za), pool(now(b)) - stopgrad(zb))")).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome("encoder now = ema(f, momentum: 0.9)\nloss mse(p(za), pool(now(b)) - stopgrad(zb))").split(" ")[0]).not.toBe("risky");
});

test("keys that are the same for all images tell no pair from another", () => {
  expect(outcome("loss info_nce(za, tb)")).toBe("sound");
  expect(outcome("loss info_nce(za, 0 * tb + 1)")).toBe("risky W-TARGET-UNINFORMED");
  expect(outcome("loss barlow(za, stopgrad(zb - zb))")).toBe("risky W-TARGET-UNINFORMED");
});

test("the target is named", () => {
  const found = checked(`${predictor}loss pull = mse(p(za), stopgrad(0 * tb))`).diagnostics.filter((d) => d.code === "JEP4021");
  expect(found.map((d) => [d.severity, d.message])).toEqual([["warning", "The target of `mse` of `pull` does not depend on the image."]]);
});

/** Ways to write what is the same for all images, hidden behind what an operation does not tell: lengths, offsets, signs. */
const hidden: readonly string[] = [
  "normalize(v) - normalize(2 * v)", "normalize(v) + normalize(-v)", "normalize(v) - normalize(v + 1)", "normalize(normalize(v)) - normalize(v)", "normalize(l2_normalize(v)) - normalize(v)",
  "l2_normalize(v) - l2_normalize(3 * v)", "l2_normalize(l2_normalize(v)) - l2_normalize(v)", "l2_normalize(normalize(v)) - l2_normalize(2 * normalize(v - 3))",
  "batch_normalize(v) - batch_normalize(2 * v + 1)", "batch_normalize(batch_normalize(v)) - batch_normalize(v)", "whiten(v) - whiten(v + 1)", "whiten(v) + whiten(-v)",
  "softmax(v) - softmax(v + 1)", "softmax(v, temperature: 0.5) - softmax(2 * v)", "sinkhorn(v) - sinkhorn(v - 2)", "log_softmax(v) - log_softmax(v + 1)", "exp(log_softmax(v)) - softmax(v)", "log(softmax(v)) - log_softmax(v)",
  "relu(v) - relu(-v) - v", "relu(v) + relu(-v) - abs(v)", "relu(2 * v) - 2 * relu(v)", "gelu(v) - gelu(-v) - v", "sigmoid(v) + sigmoid(-v)", "tanh(v) + tanh(-v)", "abs(v) - abs(-v)", "sqrt(square(v)) - abs(v)",
  "square(v) - square(-v)", "square(v) - v * v", "square(v + 1) - square(v) - 2 * v", "v * (v + 1) - v * v - v", "exp(v) / exp(v - 1)", "log(exp(v)) - v",
  "v - mean(v, over: images) - 0.5 * (2 * v - mean(2 * v, over: images))", "v * mean(batch_normalize(v), over: images)", "v * mean(v - mean(v, over: images), over: images)",
];

/** Their neighbors, which differ from image to image. */
const shown: readonly string[] = [
  "normalize(v) - normalize(2 * v, eps: 1)", "normalize(v) - normalize(0.001 * v)", "normalize(v) - normalize(-v)", "l2_normalize(v) - l2_normalize(v + 1)", "l2_normalize(v) - normalize(v)", "normalize(v) - batch_normalize(v)",
  "batch_normalize(normalize(v)) - batch_normalize(v)", "whiten(v) - whiten(3 * v)", "whiten(v) - batch_normalize(v)", "softmax(v) - softmax(2 * v)", "softmax(v) - softmax(-v)", "softmax(v) - sinkhorn(v)", "log(softmax(v)) - v",
  "relu(v) - relu(-v)", "relu(v) + relu(-v)", "relu(v + 1) - relu(v) - 1", "gelu(2 * v) - 2 * gelu(v)", "sigmoid(v) - sigmoid(-v)", "tanh(v) - tanh(-v)", "abs(v) - v", "sqrt(square(v)) - v", "square(v) - square(v + 1)", "exp(v) / exp(-v)",
  "v * mean(v, over: images)", "v - mean(v, over: images)", "v * mean(normalize(v), over: images)",
];

/** Of each value whether it is called a target that says nothing, all asked in one program. */
const uninformed = (values: readonly string[]): readonly string[] => {
  const losses = values.map((value, i) => `loss c${i} = mse(p(${i + 2} * za), stopgrad(${value}))`);
  const said = checked(`${predictor}v = zb\n${losses.join("\n")}`).diagnostics;
  expect(said.filter((d) => d.severity === "error")).toEqual([]);
  return values.filter((_, i) => said.some((d) => d.code === "JEP4021" && d.message.includes(`\`c${i}\``)));
};

test("lengths, offsets and signs that an operation does not tell make no target", () => {
  expect(uninformed(hidden)).toEqual(hidden);
  expect(uninformed(shown)).toEqual([]);
  expect(outcome("head d = linear(1)\nhead e = frozen(linear(1))\nloss mse(d(za), stopgrad(normalize(e(zb))))")).toContain("W-TARGET-UNINFORMED");
});

test("what an eps leaves of a length has a direction, and next to no size", () => {
  const of = (make: (v: string) => string, loss: string): string => outcome(`wa = ${make("za")}\nwb = ${make("zb")}\nloss ${loss}`);
  const deviations = (v: string): string => `normalize(${v}) - normalize(2 * ${v})`;
  expect(of(deviations, "mse(p(wa), stopgrad(wb))")).toBe("error E-BLIND");
  // Measured: after 300 steps a pair is at 0.7 and strangers at 10.2 of 4.2.
  expect(of(deviations, "info_nce(wa, wb)")).toBe("sound");
  // Measured: 4.16 for both after 300 steps.
  expect(of((v) => `l2_normalize(${v}) - l2_normalize(3 * ${v})`, "info_nce(wa, wb)")).toBe("error E-BLIND");
});
