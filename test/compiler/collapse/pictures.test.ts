/** Views that draw nothing at random are one picture, and a prediction that was given what its target shows predicts nothing. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { outcomeOf, pairOf } from "./pairs.js";

const between = (c: string, d: string): string => `view c = augment(image) {\n${c}\n}\nview d = augment(image) {\n${d}\n}\npredictor p = mlp(64)\nloss mse(p(pool(f(c))), pool(t(d)))`;

test.each([
  ["nothing and nothing", "", ""],
  ["a flip that never comes", "flip(p: 0)", "color_jitter(p: 0)\nblur(p: 0)\ngrayscale(p: 0)\nsolarize(p: 0)"],
  ["the same flip always", "flip(p: 1)", "flip(p: 1)"],
  ["one size", "resize()", "resize()"],
  ["a jitter of nothing", "", "color_jitter(brightness: 0, contrast: 0, saturation: 0, hue: 0)"],
])("%s: both sides see one picture", (_, c, d) => {
  expect(outcomeOf(between(c, d))).toBe("error M-LEAK");
});

test.each([
  ["a flip that may come", "", "flip(p: 0.5)"],
  ["a flip of one of them", "", "flip(p: 1)"],
  ["colors drawn for each", "color_jitter(p: 1)", "color_jitter(p: 1)"],
  ["crops drawn for each", "random_resized_crop(scale: 1.0..1.0)", "random_resized_crop(scale: 1.0..1.0)"],
  ["another threshold", "solarize(p: 1, threshold: 0.5)", "solarize(p: 1, threshold: 0.8)"],
])("%s: two pictures", (_, c, d) => {
  expect(outcomeOf(between(c, d))).toBe("sound");
});

test("a gray picture has no color to change: views that only that tells apart are one", () => {
  const rules = (channels: number): readonly string[] | undefined => check({ file: "m.jepa", text: pairOf(between("grayscale(p: 0.5)", "color_jitter(brightness: 0, contrast: 0)")).replace(/Image\[(\d+), (\d+), 3\]/, `Image[$1, $2, ${channels}]`) }).analyses?.program.rules;
  expect(rules(3)).toEqual([]);
  expect(rules(1)).toEqual(["M-LEAK"]);
});

test("a view without transforms is the input, unless the recipe transforms that", () => {
  const text = pairOf("view c = augment(image) {\n}\npredictor p = mlp(64)\nloss mse(p(pool(f(image))), pool(t(c)))");
  const rules = (source: string): readonly string[] | undefined => check({ file: "m.jepa", text: source }).analyses?.program.rules;
  expect(rules(text)).toEqual(["M-LEAK"]);
  expect(rules(text.replace("shapes(count: 256)", "shapes(count: 256) { flip(p: 0.5) }"))).toEqual([]);
});

test("agreement of a picture with itself attracts nothing", () => {
  expect(outcomeOf("view c, d = augment(image) {\n}\nx = pool(f(c))\ny = pool(f(d))\nloss 25 * mse(x, y) + 25 * variance(x) + covariance(x)")).toBe("error E-NOATTRACT");
});

const joined = "predictor p = mlp(64, out: 32)";

test.each([
  ["the target", `${joined}\nloss mse(p(join(za, tb)), tb)`],
  ["the target, stopped", `${joined}\nloss mse(p(join(za, stopgrad(zb))), stopgrad(zb))`],
  ["the picture that the target shows", `${joined}\nloss mse(p(join(za, pool(patches(b, 4)))), tb)`],
])("a prediction that is told %s is a leak", (_, lines) => {
  expect(outcomeOf(lines)).toContain("M-LEAK");
});

test.each([
  ["a third view", `view c = augment(image) { flip(p: 0.5) }\n${joined}\nloss mse(p(join(za, pool(f(c)))), tb)`],
  ["a part of what the target shows", `mask some = random(0.3)\n${joined}\nloss mse(p(join(za, pool(f(b at some)))), tb)`],
  ["the target, which trains against it in a contrast", `${joined}\nloss info_nce(p(join(za, zb)), zb)`],
])("a prediction that is told of %s is none", (_, lines) => {
  expect(outcomeOf(lines)).toBe("sound");
});

const crossed = "view c = augment(image) { flip(p: 0.5) }\npredictor p = mlp(64)\nta = pool(t(a))";
const all = "stopgrad(average(ta, tb))";

test.each([
  ["the views exchanged", "p(union(za, zb)), union(tb, ta)", "sound"],
  ["each view for itself", "p(union(za, zb)), union(ta, tb)", "error M-LEAK"],
  ["one view for itself, behind one that is not", "p(union(za, zb)), union(tb, tb)", "error M-LEAK"],
  ["each view and the mean of both", `p(union(za, zb)), union(${all}, ${all})`, "sound"],
  ["a third view that is given the second, behind one that is not", "p(union(pool(f(c)), average(pool(f(c)), zb))), union(tb, tb)", "error M-LEAK"],
])("unions are compared row by row: %s", (_, sides, outcome) => {
  expect(outcomeOf(`${crossed}\nloss mse(${sides})`)).toBe(outcome);
});

test.each([["union(normalize(t(b)) at some, normalize(t(a)) at some)", "sound"], ["union(normalize(t(a)) at some, normalize(t(b)) at some)", "error M-LEAK"]])("so are unions at the places of a mask: %s", (target, outcome) => {
  const given = "mask some = random(0.5)\npredictor h = vit_predictor(width: 32, depth: 1, heads: 2)";
  expect(outcomeOf(`${given}\nloss mse(union(h(f(a), at: some), h(f(b), at: some)), stopgrad(${target}))`)).toBe(outcome);
});
