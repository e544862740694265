/** A deviation over a batch that is put together protects only where its parts cannot be constants of their own. */
import { expect, test } from "vitest";
import { outcomeOf } from "./pairs.js";

const untied = "encoder g = vit(patch: 4, width: 32, depth: 2, heads: 2)\nzg = pool(g(b))";
const heads = "head d = projector(64, 32)\nhead e = projector(64, 32)\npredictor p = mlp(64, out: 32)\nda = d(za)\neb = e(zb)";

test.each([
  "loss 25 * mse(za, zb) + 25 * variance(union(za, -za))",
  "loss 25 * mse(za, zb) + 25 * variance(union(za, -zb)) + covariance(za)",
  "loss 25 * mse(za, zb) + 25 * variance(union(za, za + 3))",
  "loss 25 * mse(za, zb) + 25 * variance(union(za, 0 * za, zb))",
  "loss 25 * mse(za, zb) + 25 * variance(2 * union(zb, 3 * za))",
])("one constant satisfies %s", (lines) => {
  expect(outcomeOf(lines)).toMatch(/^error E-(SYM|NOGUARD)$/);
});

test("two heads, and two encoders whose angle alone is compared, may have a constant each", () => {
  expect(outcomeOf(`${heads}\nloss 25 * mse(p(da), eb) + 25 * variance(union(da, eb))`)).toMatch(/^error /);
  expect(outcomeOf(`${untied}\nloss 25 * negative_cosine(za, zg) + 25 * variance(union(za, zg))`)).toMatch(/^error /);
});

test.each([
  ["views of one network", "loss 25 * mse(za, zb) + 25 * variance(union(za, zb)) + covariance(union(za, zb))"],
  ["views of one network, scaled and shifted alike", "loss 25 * mse(za, zb) + 25 * variance(union(2 * za + 1, 2 * zb + 1)) + covariance(za)"],
  ["one network on a union", "u = pool(f(union(a, b)))\nx, y = separate(u, 2)\nloss 25 * mse(x, y) + 25 * variance(u) + covariance(u)"],
  ["a stopped view", "loss 25 * mse(za, zb) + 25 * variance(union(za, stopgrad(zb))) + covariance(za)"],
  ["a network and its average", "loss 25 * mse(za, zb) + 25 * variance(union(za, tb)) + covariance(za)"],
  ["two heads that must agree", `${heads}\nloss 25 * mse(da, eb) + 25 * variance(union(da, eb)) + covariance(da)`],
  ["parts taken apart again", "x, y = separate(union(za, -zb), 2)\nloss 25 * mse(x, -y) + 25 * variance(x) + covariance(x)"],
  ["crops of two sizes", "view c = augment(image, size: 16) { flip(p: 0.5) }\nzc = pool(f(c))\nloss 25 * mse(za, zc) + 25 * variance(union(za, zc)) + covariance(za)"],
  ["two places", "mask one = random(0.4)\nmask two = random(0.4)\nx = pool(f(a at one))\ny = pool(f(b at two))\nloss 25 * mse(x, y) + 25 * variance(union(x, y)) + covariance(x)"],
])("what is one value stays one: %s", (_, lines) => {
  expect(outcomeOf(lines)).toBe("sound");
});

test("what constants cannot be besides, decorrelated or normal, holds", () => {
  expect(outcomeOf("u = union(za, -zb)\nloss 25 * mse(za, zb) + 25 * variance(u) + covariance(u)")).toBe("sound");
  expect(outcomeOf("loss mse(za, zb) + sigreg(union(za, -zb))")).toBe("sound");
});
