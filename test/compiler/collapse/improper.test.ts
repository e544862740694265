/** A cross-entropy is with a distribution: with what may lie below zero it falls without end, or far below agreement. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { checked, outcomeOf, pairOf } from "./pairs.js";

const heads = "predictor q = mlp(64)\nhead d = dino_head(64, 32, 64)\nhead dt = ema(d, momentum: 0.99)\nhead c = center()\nhead n = layer_norm()\n";
const rulesOf = (lines: string): string => outcomeOf(`${heads}${lines}`);

const improper: readonly (readonly [string, string])[] = [
  ["features", "tb"],
  ["features behind a stop", "stopgrad(zb)"],
  ["normalized features", "normalize(tb)"],
  ["features of length one", "l2_normalize(tb)"],
  ["the negative of a code", "-softmax(tb)"],
  ["the difference of two codes", "softmax(tb) - softmax(pool(t(a)))"],
  ["a code less a number", "softmax(tb) - 0.1"],
  ["a code times what may lie below zero", "softmax(tb) * tb"],
  ["the logarithm of a code", "log_softmax(tb)"],
];

test.each(improper)("%s is no distribution", (_what, target) => {
  expect(rulesOf(`loss cross_entropy(q(za), ${target})`)).toMatch(/^error .*E-NO-CODE/);
  expect(rulesOf(`target = ${target}\nloss 0.5 * cross_entropy(q(za), stopgrad(target))`)).toMatch(/^error .*E-NO-CODE/);
  expect(rulesOf(`loss -mean(sum(stopgrad(${target}) * log_softmax(q(za)), over: features))`)).toMatch(/^error .*E-NO-CODE/);
});

const proper: readonly (readonly [string, string])[] = [
  ["a code", "softmax(tb)"],
  ["a code behind a stop", "stopgrad(softmax(zb))"],
  ["a balanced code", "sinkhorn(tb)"],
  ["the mean of two codes", "average(softmax(tb), softmax(pool(t(a))))"],
  ["a mixture", "0.9 * softmax(tb) + 0.1 * softmax(pool(t(a)))"],
  ["a smoothed code", "0.9 * softmax(tb) + 0.003"],
  ["a code that is sharpened by hand", "exp(tb) / sum(exp(tb), over: features)"],
  ["the mean of the codes of patches", "mean(softmax(t(b)), over: tokens)"],
  ["a code of normalized features", "softmax(n(tb))"],
];

test.each(proper)("%s is not refused", (_what, target) => {
  expect(rulesOf(`loss cross_entropy(q(za), ${target})`)).not.toContain("E-NO-CODE");
});

test("DINO's center belongs before the softmax", () => {
  const dino = (target: string): string => `loss cross_entropy(d(za), stopgrad(${target}), temperature: 0.1)`;
  expect(rulesOf(dino("softmax(c(dt(tb)), temperature: 0.04)"))).toBe("sound");
  expect(rulesOf(dino("c(softmax(dt(tb), temperature: 0.04))"))).toBe("error E-NO-CODE");
  expect(rulesOf(`codes = softmax(dt(tb), temperature: 0.04)\n${dino("c(codes)")}`)).toBe("error E-NO-CODE");
});

test.each([
  ["a softmax around the target", "loss cross_entropy(q(za), stopgrad(tb))", "loss cross_entropy(q(za), softmax(stopgrad(tb)))"],
  ["the center before the softmax", "loss cross_entropy(d(za), stopgrad(c(softmax(dt(tb), temperature: 0.04))), temperature: 0.1)", "loss cross_entropy(d(za), stopgrad(softmax(c(dt(tb)), temperature: 0.04)), temperature: 0.1)"],
])("the fix: %s", (_what, before, after) => {
  const text = pairOf(`${heads}${before}`);
  const { diagnostics } = check({ file: "m.jepa", text });
  const mended = applyFixes(text, "m.jepa", certainFixes(diagnostics.filter((d) => d.code === "JEP4019"))).text;
  expect(mended).toContain(after);
  expect(check({ file: "m.jepa", text: mended }).analyses?.program.verdict).toBe("sound");
});

test("the refusal names the loss and what it runs off with", () => {
  const found = checked(`${heads}loss codes = cross_entropy(q(za), stopgrad(tb))`).diagnostics.find((d) => d.code === "JEP4019");
  expect(found?.message).toMatch(/target of `cross_entropy` of `codes`.*`(?:f`, `q|q`, `f)`/);
});

test("labels are a distribution, and pictures are none", () => {
  const text = (target: string): string => `use std.vit\nuse std.heads\nmodel m {\n  input image: Image[32, 32, 3]\n  input label: Label[10]\n  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)\n  head guess = linear(10)\n  head paint = linear(192)\n  loss ${target}\n}\ntrain m {\n  data shapes(count: 256)\n  epochs 1\n  batch 64\n}\n`;
  const rules = (target: string): readonly string[] | undefined => check({ file: "m.jepa", text: text(target) }).analyses?.program.rules;
  expect(rules("cross_entropy(guess(pool(f(image))), label)")).toEqual([]);
  expect(rules("cross_entropy(paint(f(image)), patches(image, 8)) in pixels")).toContain("E-NO-CODE");
});
