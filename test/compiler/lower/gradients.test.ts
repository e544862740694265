/** Whole programs from text: the gradient of the objective against finite differences in float64. */
import { expect, it } from "vitest";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { funcOf } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import type { StepProgram } from "../../../compiler/targets/step.js";
import { argumentsFor, compileStep, numbers, tinyIjepa } from "./programs.js";

const dims = new Map([["B", 2], ["K_context", 5], ["K_targets", 3]]);

/** Runs forward then backward; gradients by parameter path. */
function gradients(step: StepProgram, args: readonly NdArray[]): { loss: number; grads: Map<string, NdArray> } {
  const forward = funcOf(step.module, step.forward);
  const backward = funcOf(step.module, step.backward);
  const results = evaluate(step.module, step.forward, args, dims);
  const byPath = new Map<string, NdArray>();
  forward.inputs.forEach((input, i) => byPath.set(`${input.role}:${input.path}`, args[i] ?? { shape: [], data: new Float64Array(1) }));
  const saved = new Map<string, NdArray>();
  forward.outputs.forEach((output, i) => { if (output.role === "saved") saved.set(output.path, results[i] ?? { shape: [], data: new Float64Array(1) }); });
  const back = backward.inputs.map((input) => {
    if (input.role === "cotangent") return { shape: [], data: Float64Array.of(1) };
    const found = input.role === "saved" ? saved.get(input.path) : byPath.get(`${input.role}:${input.path}`);
    if (found === undefined) throw new Error(`backward wants ${input.role} ${input.path}`);
    return found;
  });
  const grads = new Map<string, NdArray>();
  evaluate(step.module, step.backward, back, dims).forEach((g, i) => grads.set(backward.outputs[i]?.path ?? "", g));
  return { loss: results[forward.outputs.findIndex((o) => o.role === "loss")]?.data[0] ?? NaN, grads };
}

function lossAt(step: StepProgram, args: readonly NdArray[]): number {
  const forward = funcOf(step.module, step.forward);
  return evaluate(step.module, step.forward, args, dims)[forward.outputs.findIndex((o) => o.role === "loss")]?.data[0] ?? NaN;
}

it("the gradient of a small I-JEPA equals central differences, parameter by parameter", () => {
  const step = compileStep(tinyIjepa);
  const forward = funcOf(step.module, step.forward);
  const args = argumentsFor(forward, dims, 7);
  const { loss, grads } = gradients(step, args);
  expect(loss).toBeGreaterThan(0);
  const trained = step.params.filter((p) => p.trained).map((p) => p.name);
  expect([...grads.keys()].sort()).toEqual([...trained].sort());
  const next = numbers(3);
  for (const [path, grad] of grads) {
    const at = forward.inputs.findIndex((i) => i.role === "param" && i.path === path);
    const original = args[at];
    if (original === undefined) throw new Error(path);
    const direction = Float64Array.from(original.data, () => next());
    const moved = (h: number): readonly NdArray[] => args.map((a, i) => (i === at ? { shape: a.shape, data: a.data.map((x, j) => x + h * (direction[j] ?? 0)) } : a));
    const h = 1e-5;
    const numeric = (lossAt(step, moved(h)) - lossAt(step, moved(-h))) / (2 * h);
    const analytic = grad.data.reduce((sum, g, j) => sum + g * (direction[j] ?? 0), 0);
    expect(Math.abs(numeric - analytic), path).toBeLessThan(1e-7 + 1e-5 * Math.abs(numeric));
  }
});

it("no gradient reaches the teacher, and none is asked of the position tables", () => {
  const step = compileStep(tinyIjepa);
  const backward = funcOf(step.module, step.backward);
  const paths = backward.outputs.map((o) => o.path);
  expect(paths.filter((p) => p.startsWith("teacher") || p.endsWith("pos_embed"))).toEqual([]);
});

it("a deeper program has the same functions and as many nodes", () => {
  const size = (depth: number) => {
    const step = compileStep(tinyIjepa.replace("depth = 2", `depth = ${depth}`));
    return [...step.module.funcs.values()].reduce((n, f) => n + f.nodes.length, 0);
  };
  expect(size(48)).toBe(size(12));
});

it("a module that asks for the places of four sets of tokens gives what the same lines give in the model", () => {
  const text = (lines: string): string => `use std.vit
module placed(width) (x: Tokens[width]) -> Tokens[width] {
  x * 0.5 + sincos2d(width)
}
model m {
  input image: Image[8, 8, 3]
  mask targets = 4 of block(scale: 0.15..0.20, min_keep: 0)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus targets
  encoder student = vit(2, 8, 1, 2)
  encoder teacher = ema(student, momentum: 0.99)
  predictor predict = vit_predictor(width: 4, depth: 1, heads: 1)
  z_hat = predict(student(image at context), at: targets)
  ${lines}
  loss smooth_l1(y, stopgrad(normalize(teacher(image))) at targets)
}
train m { epochs 1 }
`;
  const losses = ["head p = placed(8)\n  y = p(z_hat)", "y = z_hat * 0.5 + sincos2d(8)"].map((lines) => {
    const step = compileStep(text(lines));
    const forward = funcOf(step.module, step.forward);
    // By path: the two programs have the same parameters in another order.
    const byPath = new Map(forward.inputs.map((input, i) => [`${input.role} ${input.path.replace(/^(positions|p)\.pos_embed$/, "pos_embed")}`, i]));
    const args: NdArray[] = [];
    const own = argumentsFor(forward, dims, 11);
    [...byPath.keys()].sort().forEach((key, seed) => {
      const i = byPath.get(key) ?? -1;
      const found = own[i];
      if (found === undefined) throw new Error(key);
      const next = numbers(seed + 1);
      args[i] = key.startsWith("index") ? found : { shape: found.shape, data: Float64Array.from(found.data, () => next()) };
    });
    return { loss: lossAt(step, args), paths: [...byPath.keys()].sort(), indices: forward.inputs.flatMap((input, i) => (input.role === "index" ? [[input.path, [...(own[i]?.data ?? [])]]] : [])) };
  });
  expect(losses[0]).toEqual(losses[1]);
  expect(losses[0]?.loss).toBeGreaterThan(0.1);
});
