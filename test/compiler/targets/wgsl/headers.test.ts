/**
 * Headers of kernels: what is done with a product, which sizes are which, and for whom a kernel works. Their words come from the
 * expressions that the text comes from, and never enter it.
 */
import { expect, test } from "vitest";
import { compile } from "../../../../compiler/compile.js";
import { large } from "../../../../compiler/targets/wgsl/plan.js";
import { readRepo } from "../../../fidelity/compiled.js";
import { tinyText } from "./programs.js";

interface Kernel {
  readonly name: string;
  /** The lines of the header, and the text below. */
  readonly head: readonly string[];
  readonly body: string;
}

function kernelsOf(file: string, text: string, program?: string): Kernel[] {
  const { files, diagnostics } = compile({ file, text, read: readRepo }, { target: "wgsl", device: large, ...(program === undefined ? {} : { program }) });
  if (files.length === 0) throw new Error(JSON.stringify(diagnostics));
  return files.filter((f) => f.path.endsWith(".wgsl")).map(({ path, text: whole }) => {
    const lines = whole.split("\n");
    const end = lines.findIndex((l) => !l.startsWith("// "));
    return { name: path.replace(/\.wgsl$/, ""), head: lines.slice(0, end), body: lines.slice(end).join("\n") };
  });
}

const tiny = kernelsOf("examples/wgsl-test.jepa", tinyText, "tiny");
const products = tiny.filter((k) => /^gemm_n/.test(k.name));
const firstLine = (k: Kernel): string => k.head[0] ?? "";
const called = (k: Kernel | undefined): string => k?.head.find((l) => l.startsWith("// For ")) ?? "";

test("a product's first line says what is done with it, as its text does", () => {
  const line = (has: string): string[] => products.filter((k) => k.body.includes(has)).map(firstLine);
  // gelu with its slope, gelu alone (the teacher's), bias alone, bias and residual, a slope's product, nothing.
  expect(line("result1[0] = gelu_slope((acc + v0));")).toEqual(expect.arrayContaining([expect.stringContaining("y0 = gelu(a b + bias), y1 = gelu_slope(a b + bias), with bias (e0) for each column.")]));
  expect(line("result0[0] = (acc * v0);")).toEqual(expect.arrayContaining([expect.stringContaining("y = a b * e0, with e0 for each element.")]));
  expect(line("result0[0] = (v0 + (acc + v1));")).toEqual(expect.arrayContaining([expect.stringContaining("y = e0 + a b + bias, with e0 for each element, bias (e1) for each column.")]));
  for (const k of products) {
    const slopes = k.body.includes("result1[0] = gelu_slope(");
    expect(firstLine(k).includes("y1 = gelu_slope(a b + bias)"), k.name).toBe(slopes);
    expect(firstLine(k).includes("gelu("), k.name).toBe(/result0\[0\] = gelu\(/.test(k.body));
    expect(firstLine(k).includes("y = a b. "), k.name).toBe(!k.body.includes("result0"));
  }
  expect(new Set(products.map((k) => /: (.*)\. Tile/.exec(firstLine(k))?.[1])).size).toBeGreaterThanOrEqual(6);
});

test("gradients of norms say what is added to them", () => {
  const grads = tiny.filter((k) => k.name.startsWith("layer_norm_grad"));
  expect(grads.map((k) => k.body.includes("y[i] = (v0 + acc);"))).toEqual(grads.map((k) => firstLine(k).includes("y = e0 + dx, with e0 for each element")));
  expect(grads.map((k) => k.body.includes("y[i] = acc;"))).toEqual(grads.map((k) => firstLine(k).includes("y = dx")));
  expect(grads.some((k) => firstLine(k).includes("y = e0 + dx"))).toBe(true);
});

test("sizes of products have names", () => {
  for (const k of products) expect(k.head[1], k.name).toMatch(/ Shapes: batch 1, m [^,]+, n \d+, k \d+[;.]/);
  const grads = tiny.filter((k) => k.name.startsWith("gemm_tn"));
  expect(grads.length).toBeGreaterThan(0);
  for (const k of grads) expect(k.head[1], k.name).toMatch(/ Shapes: m \d+, n \d+, k [^;]+[;.]/);
});

test("a kernel says for whom it works: by its parameters, by those of its function, by an arena; and nothing where that is not known", () => {
  const named = (name: string): Kernel[] => tiny.filter((k) => k.name.startsWith(name));
  expect(named("adamw_ema").map(called)).toContain("// For student, teacher.");
  // Attention binds no parameter; its block has some. Only encoders that are trained have gradients.
  expect(named("attention_d").map(called).sort()).toEqual(["// For predict.", "// For student, teacher."]);
  expect(named("attention_grad").map(called).sort()).toEqual(["// For predict.", "// For student."]);
  for (const k of tiny.filter((t) => t.body.includes("gelu_slope((acc"))) expect(called(k)).toMatch(/^\/\/ For (student|predict|student, predict)\.$/);
  for (const k of named("gemm_tn")) expect(called(k)).toMatch(/^\/\/ For (student|predict|student, predict)\.$/);
  const losses = named("target_smooth_l1");
  expect(losses.length).toBeGreaterThan(0);
  expect(losses.map(called)).toEqual(losses.map(() => ""));
});

test("elementwise kernels say their formula, with numbers and quotients for people", () => {
  const file = "examples/vicreg-small.jepa";
  const kernels = kernelsOf(file, readRepo(file) ?? "");
  const maps = kernels.filter((k) => k.name.startsWith("map"));
  expect(maps.map(firstLine)).toEqual(expect.arrayContaining([
    "// Elementwise: y = inverseSqrt(x0 + 0.00001).", "// Elementwise: y = -x0 + 1.", "// Elementwise: y = sqrt(x0 * (1 / (B-1)) + 0.0001).",
  ]));
  expect(new Set(maps.map((k) => k.body)).size).toBe(maps.length);
});
