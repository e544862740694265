/** A term that is subtracted and has no largest value is refused; what is bounded, stopped or held may be subtracted. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { applyFixes } from "../../../compiler/messages/fixes.js";

/** An I-JEPA, sound on its own, with lines beside it. */
function beside(lines: string): string {
  return `use std.vit
use std.heads

model m {
  input image: Image[32, 32, 3]
  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 4)
  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 4) minus targets
  encoder student = vit(patch: 4, width: 48, depth: 1, heads: 3)
  encoder teacher = ema(student, momentum: 0.996 -> 1.0)
  predictor predict = vit_predictor(width: 24, depth: 1, heads: 3)
  head paint = linear(48)
  head other = linear(48)
  z_hat = predict(student(image at context), at: targets)
  z_target = stopgrad(normalize(teacher(image))) at targets
  x = normalize(patches(image, 4)) at targets
  loss latent_loss = smooth_l1(z_hat, z_target)
${lines.split("\n").map((line) => `  ${line}`).join("\n")}
}
`;
}

function judged(lines: string): { readonly codes: readonly string[]; readonly verdict: string | undefined } {
  const { diagnostics, analyses } = check({ file: "m.jepa", text: beside(lines) });
  return { codes: diagnostics.filter((d) => d.severity === "error").map((d) => d.code), verdict: analyses?.program.verdict };
}

const refused: readonly (readonly [string, string])[] = [
  ["a reconstruction", "loss p = -0.1 * mse(paint(z_hat), x)"],
  ["its weight in a difference", "loss p = 0.1 * smooth_l1(paint(z_hat), x) - 0.2 * l1(other(z_hat), x)"],
  ["a weight that goes below zero", "loss p = (1 -> -0.1) * l1(paint(z_hat), x)"],
  ["a difference written by hand", "loss p = -0.1 * mean(square(paint(z_hat) - x))"],
  ["a cross-entropy, whose logits may be as large as they like", "loss p = -0.1 * cross_entropy(paint(z_hat), softmax(x))"],
  ["a head alone, behind a stop", "loss p = -0.1 * mse(paint(stopgrad(z_hat)), x)"],
  ["a weaker pull to the same data", "loss p = 0.1 * mse(paint(z_hat), x) - 0.2 * mse(paint(z_hat), normalize(x * 2 + 1))"],
  ["a pull to what moves along", "loss p = mse(z_hat, stopgrad(teacher(image)) at targets) - 0.1 * mse(z_hat, z_target)"],
  ["a learned scale of a bounded value", "head scaled = layer_norm()\nloss p = -0.1 * mse(scaled(z_hat), z_target)"],
];

test.each(refused)("%s is refused", (_what, lines) => {
  expect(judged(lines)).toEqual({ codes: ["JEP4018"], verdict: "error" });
});

const allowed: readonly (readonly [string, string])[] = [
  ["the cosine of an angle", "loss p = -0.1 * negative_cosine(paint(z_hat), x)"],
  ["a difference of normalized values", "loss p = -0.1 * mse(l2_normalize(paint(z_hat)), l2_normalize(x))"],
  ["a difference of codes", "loss p = -0.1 * mse(softmax(paint(z_hat)), softmax(x))"],
  ["the entropy of a code", "c = paint(z_hat)\nloss p = -0.1 * cross_entropy(c, softmax(c))"],
  ["a term that no gradient goes through", "loss p = -0.1 * mse(stopgrad(paint(z_hat)), x)"],
  ["a term that a stronger pull to data holds", "loss p = mse(paint(z_hat), x) - 0.1 * mse(paint(z_hat), normalize(x * 2 + 1))"],
  ["a term that grows more slowly than the pull to data", "loss p = 0.1 * mse(paint(z_hat), x) - 0.2 * l1(paint(z_hat), normalize(x * 2 + 1))"],
];

test.each(allowed)("%s may be subtracted", (_what, lines) => {
  expect(judged(lines)).toEqual({ codes: [], verdict: "sound" });
});

test("a module that normalizes its result is as good as the op", () => {
  const text = `module unit(out) (x: Tokens[in]) -> Tokens[out] {\n  part embed = linear(out)\n  l2_normalize(embed(x))\n}\n`;
  const program = beside("head short = unit(48)\nloss p = -0.1 * mse(short(z_hat), l2_normalize(x))").replace("model m", `${text}\nmodel m`);
  expect(check({ file: "m.jepa", text: program }).diagnostics.filter((d) => d.severity === "error")).toEqual([]);
});

test("the refusal names the loss and what it runs off with, and its fix drops the sign", () => {
  const text = beside("loss pixel_loss = -0.1 * mse(paint(z_hat), x)");
  const found = check({ file: "m.jepa", text }).diagnostics.find((d) => d.code === "JEP4018");
  expect(found?.message).toMatch(/pixel_loss.*subtracted.*paint/);
  const { text: mended } = applyFixes(text, "m.jepa", found?.fixes ?? []);
  expect(mended).toContain("loss pixel_loss = 0.1 * mse(paint(z_hat), x)");
  expect(check({ file: "m.jepa", text: mended }).ok).toBe(true);
});

test("who allows collapse is warned of it", () => {
  const { diagnostics, ok } = check({ file: "m.jepa", text: beside('loss p = -0.1 * mse(paint(z_hat), x)\nallow collapse("an ablation")') });
  expect([ok, diagnostics.find((d) => d.code === "JEP4018")?.severity]).toEqual([true, "warning"]);
});
