/** Dead parts: what is declared and does nothing is named, and an average of unlike parameters is refused. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import type { Diagnostic } from "../../../compiler/messages/report.js";

function diagnose(lines: string, modules = ""): readonly Diagnostic[] {
  const text = `use std.vit\nuse std.heads\n${modules}model m {\n  input image: Image[32, 32, 3]\n  view a, b = augment(image) {\n    flip(p: 0.5)\n  }\n  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)\n  predictor h = mlp_bn(64)\n  z1 = pool(f(a))\n  z2 = pool(f(b))\n${lines}\n}\ntrain m {\n  data shapes(count: 64)\n  epochs 1\n  batch 16\n}\n`;
  return check({ file: "m.jepa", text }).diagnostics;
}

const simsiam = "  loss mse(h(z1), stopgrad(z2))";
const codes = (lines: string, modules?: string): readonly string[] => diagnose(lines, modules).map((d) => d.code);

test("a program without dead parts says nothing", () => {
  expect(codes(simsiam)).toEqual([]);
});

test("JEP4038: a head that no gradient reaches", () => {
  expect(codes(`  head p = linear(32)\n  loss mse(h(z1), stopgrad(p(z2)))`)).toContain("JEP4038");
});

test("an average that was forgotten is told once, with the fix that makes it one", () => {
  const told = (teacher: string, rest = ""): readonly (readonly [string, readonly string[]])[] => diagnose(`  encoder t = ${teacher}\n  loss mse(h(z1), stopgrad(pool(t(b))))${rest}`).map((d) => [d.code, d.fixes.map((f) => f.title)] as const);
  expect(told("vit(patch: 8, width: 32, depth: 1, heads: 2)")).toEqual([["JEP4035", ["Let the target follow the encoder"]]]);
  // A term of its own with the same target is told of as well, and an encoder that reaches no target still is not trained.
  expect(told("vit(patch: 8, width: 32, depth: 1, heads: 2)", "\n  loss again = l1(h(z2), stopgrad(pool(t(a))))").map(([code]) => code)).toEqual(["JEP4035", "JEP4035"]);
  expect(told("ema(f, momentum: 0.99)")).toEqual([]);
});

test("a view that shows what the input shows is used where it is named, and another that shows it is not", () => {
  const view = (name: string): string => `  view ${name} = augment(image) {\n  }\n`;
  const loss = "  loss mse(h(z1), stopgrad(pool(f(c)))) + mse(h(z2), stopgrad(pool(f(image))))";
  expect(codes(`${view("c")}${loss}`)).toEqual([]);
  expect(codes(`${view("c")}${view("d")}${loss}`)).toEqual(["JEP4051"]);
});

test("JEP4050 and JEP4051: a mask and a view that nobody uses", () => {
  expect(codes(`  mask idle = random(0.5)\n  view c = augment(image) {\n    flip(p: 0.5)\n  }\n${simsiam}`)).toEqual(expect.arrayContaining(["JEP4050", "JEP4051"]));
});

test("JEP4052: a loss without a gradient", () => {
  expect(codes(`${simsiam}\n  loss seen = mse(stopgrad(z1), stopgrad(z2))`)).toContain("JEP4052");
});

test("JEP4054: a loss whose weight is zero, or that another cancels", () => {
  expect(codes(`${simsiam}\n  loss idle = 0 * variance(z1)`)).toContain("JEP4054");
  expect(diagnose(`${simsiam}\n  loss idle = variance(z1) - variance(z1)`).find((d) => d.code === "JEP4054")?.message).toContain("cancels");
});

test("JEP4055: an instance that reaches no loss", () => {
  expect(codes(`  head unused = linear(32)\n${simsiam}`)).toContain("JEP4055");
  expect(diagnose(`  head unused = linear(32)\n${simsiam}`).find((d) => d.code === "JEP4055")?.related).toEqual([]);
});

test("a module without parameters is used where it is applied, be it a loss or a way of writing", () => {
  const modules = "module sided (p: Vector[w], z: Vector[w]) {\n  mse(p, twice(stopgrad(z)))\n}\nmodule twice (x: Vector[w]) -> Vector[w] {\n  x + x\n}\n";
  expect(codes("  loss sided(h(z1), z2)", modules)).toEqual([]);
  expect(codes("  head two = twice()\n  loss mse(two(h(z1)), stopgrad(z2))", modules)).toEqual([]);
  expect(codes(`  head two = twice()\n  idle = two(z1)\n${simsiam}`, modules)).toEqual(["JEP4055"]);
});

test("JEP4053: an average whose parameters have other shapes than those that it follows", () => {
  const found = diagnose(`  head p = linear(32)\n  head pt = ema(p, momentum: 0.99)\n  loss mse(h(p(z1)), pt(pool(patches(b, 8))))`).find((d) => d.code === "JEP4053");
  expect(found?.severity).toBe("error");
  expect(found?.message).toContain("192");
});

test("JEP4055: what a variant does without names the variant, as the line is its base's", () => {
  const text = "use std.vit\nmodel m {\n  input image: Image[32, 32, 3]\n  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)\n  predictor h = mlp(64)\n  z = pool(f(image))\n  loss mse(h(z), stopgrad(z))\n}\nvariant v of m {\n  loss variance(z)\n}\ntrain m {\n  epochs 1\n}\n";
  const [found] = check({ file: "m.jepa", text }, { program: "v" }).diagnostics.filter((d) => d.code === "JEP4055");
  expect(found?.message).toBe("`h` reaches no loss.");
  expect(found?.related.map((r) => [r.message, text.slice(r.span.start, r.span.end)])).toEqual([["unused in `v`", "v"]]);
});
