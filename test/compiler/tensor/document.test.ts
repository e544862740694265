/**
 * The standard's example is IR: it reads, prints as written, verifies, runs, and has the gradient of its differences.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseModule } from "../../../compiler/tensor/parse.js";
import { printModule } from "../../../compiler/tensor/print.js";
import { draw, seeded } from "./support.js";
import { expectGradients, expectVerified } from "../autodiff/support.js";

const page = readFileSync(new URL("../../../docs/ir/tensor-ir.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```tensor-ir\n([\s\S]*?)```/g)].map((m) => m[1] ?? "");

test("the standard has an example", () => {
  expect(examples).toHaveLength(1);
});

test.each(examples)("an example of the standard reads, prints as written, verifies and differentiates", (text) => {
  const module = parseModule(text);
  expect(printModule(module)).toBe(text);
  expectVerified(module);
  const random = seeded(2);
  const args = [[8, 2], [3, 2, 2], [3, 2]].map((shape) => draw(random, { shape, domain: "any" }));
  expectGradients(module, "main", args);
});
