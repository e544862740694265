/** Every page of the collapse and mask families has a program that is told so, and the same program mended, which is not. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { catalogue } from "../../../compiler/messages/catalogue.js";
import { examples, exampleText, programOf } from "../../../compiler/messages/examples.js";

/** All codes that a program is told, notes included, and its verdict. */
function told(text: string): { readonly codes: readonly string[]; readonly errors: readonly string[] } {
  const { diagnostics, analyses } = check({ file: "m.jepa", text });
  const all = [...diagnostics, ...(analyses?.diagnostics ?? [])];
  return { codes: [...new Set(all.map((d) => d.code))].sort(), errors: [...new Set(all.flatMap((d) => (d.severity === "error" ? [d.code] : [])))] };
}

test("every code of the families 4 and 5 has one", () => {
  expect(Object.keys(examples).sort()).toEqual(Object.keys(catalogue).filter((code) => /^JEP[45]/.test(code)).sort());
});

test.each(Object.entries(examples))("%s: the first program is told so, the mended one is not, and is refused for nothing", (code, example) => {
  expect(told(programOf(example, example.refused)).codes).toContain(code);
  const mended = told(programOf(example, example.mended));
  expect(mended.codes).not.toContain(code);
  expect(mended.errors).toEqual([]);
});

test("a page shows both, in its frame", () => {
  expect(exampleText(examples.JEP4001, "error")).toBe("In a model with two views `a` and `b` of a picture, and an encoder `f` of 32 features:\n\n```\n// refused\npredictor h = mlp(64)\nz1 = pool(f(a))\nz2 = pool(f(b))\nloss mse(h(z1), z2)\n\n// mended\npredictor h = mlp(64)\nz1 = pool(f(a))\nz2 = pool(f(b))\nloss mse(h(z1), stopgrad(z2))\n```");
});
