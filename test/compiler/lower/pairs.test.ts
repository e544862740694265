/**
 * Losses written out of products over the batch, against the losses of the language: the same numbers in float64, and gradients
 * against differences. What is compared was written by other hands in other places (`lower/losses-batch.ts`), or is a closed
 * form of its paper.
 */
import { expect, it } from "vitest";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { funcOf } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { argumentsFor, compileStep, numbers } from "./programs.js";

const dims = new Map([["B", 6]]);

const program = (loss: string): string => `use std.vit
use std.nn
model m {
  allow collapse("only the numbers count here")
  input image: Image[4, 4, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(2, width: 8, depth: 1, heads: 2)
  head g = linear(5)
  z1 = g(pool(f(a)))
  z2 = g(pool(f(b)))
  x1 = z1 - mean(z1, over: images)
  ${loss}
}
train m { batch 6 }
`;

interface Ran {
  readonly loss: number;
  readonly lossAt: (path: string, move: (x: NdArray) => NdArray) => number;
  readonly grads: ReadonlyMap<string, NdArray>;
  readonly given: ReadonlyMap<string, NdArray>;
}

function run(loss: string, seed = 5): Ran {
  const step = compileStep(program(loss));
  const forward = funcOf(step.module, step.forward);
  const backward = funcOf(step.module, step.backward);
  const args = argumentsFor(forward, dims, seed);
  const at = forward.outputs.findIndex((o) => o.role === "loss");
  const lossOf = (with_: readonly NdArray[]): number => evaluate(step.module, step.forward, with_, dims)[at]?.data[0] ?? NaN;
  const results = evaluate(step.module, step.forward, args, dims);
  const none: NdArray = { shape: [], data: Float64Array.of(1) };
  const byPath = new Map(forward.inputs.map((input, i) => [`${input.role}:${input.path}`, args[i] ?? none]));
  const saved = new Map(forward.outputs.flatMap((o, i) => (o.role === "saved" ? [[o.path, results[i] ?? none] as const] : [])));
  const back = backward.inputs.map((i) => (i.role === "cotangent" ? none : i.role === "saved" ? saved.get(i.path) : byPath.get(`${i.role}:${i.path}`)) ?? none);
  const grads = new Map(evaluate(step.module, step.backward, back, dims).map((g, i) => [backward.outputs[i]?.path ?? "", g]));
  const given = new Map(forward.inputs.flatMap((input, i) => (input.role === "param" ? [[input.path, args[i] ?? none] as const] : [])));
  const lossAt = (path: string, move: (x: NdArray) => NdArray): number =>
    lossOf(args.map((a, i) => (forward.inputs[i]?.role === "param" && forward.inputs[i]?.path === path ? move(a) : a)));
  return { loss: lossOf(args), lossAt, grads, given };
}

const written: readonly (readonly [string, string, string])[] = [
  ["VICReg's covariance", "loss covariance(z1)", "loss sum(square(off_diagonal(second_moments(x1) * (6 / 5)))) / 5"],
  ["VICReg's variance", "loss variance(z1)", "loss mean(relu(1 - sqrt(diagonal(second_moments(x1)) * (6 / 5) + 0.0001)))"],
  ["Barlow Twins", "loss barlow(z1, z2)", "c = second_moments(batch_normalize(z1), batch_normalize(z2))\n  loss sum(square(diagonal(c) - 1)) + 0.0051 * sum(square(off_diagonal(c)))"],
  ["contrast", "loss info_nce(z1, z2)", "s = similarities(l2_normalize(z1), l2_normalize(z2))\n  loss -mean(diagonal(log_softmax(s / 0.1, over: columns)))"],
  ["SimCLR's two directions, no image its own negative", "loss info_nce(z1, z2, candidates: both)",
    "n1 = l2_normalize(z1)\n  n2 = l2_normalize(z2)\n  all = union(n1, n2)\n  s = off_diagonal(similarities(all) / 0.1, fill: -1e9)\n  loss mean(log(sum(exp(s), over: columns))) - mean(diagonal(similarities(n1, n2))) / 0.1"],
  ["TiCo's penalty, from either side", "loss mean(sum((z1 @ second_moments(z1)) * z1, over: features))", "loss mean(square(similarities(z1)))"],
  ["weights of a row applied to the batch", "loss mean(square(softmax(similarities(z1, z2), over: columns) @ z2))", "p = softmax(similarities(z2, z1), over: images)\n  loss mean(square(transpose(p) @ z2))"],
  ["a transposed matrix of pairs", "loss mean(relu(transpose(similarities(z1, z2)) - 0.1))", "loss mean(relu(similarities(z2, z1) - 0.1))"],
];

it.each(written)("%s", (_, left, right) => {
  const [own, other] = [run(left), run(right)];
  expect(Math.abs(own.loss)).toBeGreaterThan(1e-6);
  expect(Math.abs(own.loss - other.loss)).toBeLessThan(1e-10 * Math.max(1, Math.abs(own.loss)));
  const paths = [...own.grads.keys()];
  expect(paths.length).toBeGreaterThan(5);
  for (const path of paths) {
    const [g, h] = [own.grads.get(path)?.data ?? [], other.grads.get(path)?.data ?? []];
    const scale = Math.max(1e-6, ...g.map(Math.abs));
    g.forEach((x, i) => expect(Math.abs(x - (h[i] ?? NaN)), path).toBeLessThan(1e-8 * scale + 1e-12));
  }
});

it("gradients through every op of pairs equal central differences", () => {
  const { lossAt, grads, given } = run(`s = similarities(z1, z2)
  c = second_moments(x1, z2)
  loss mean(exp(off_diagonal(s, fill: 0.3))) + mean(square(diagonal(c) - 1)) + mean(square(z1 @ transpose(off_diagonal(c)))) - mean(diagonal(log_softmax(s, over: columns))) + mean(log(sum(exp(s), over: columns)))`);
  const next = numbers(11);
  for (const path of ["g.weight", "g.bias"]) {
    const [original, grad] = [given.get(path), grads.get(path)];
    if (original === undefined || grad === undefined) throw new Error(path);
    const direction = Float64Array.from(original.data, () => next());
    const moved = (h: number) => (x: NdArray): NdArray => ({ shape: x.shape, data: x.data.map((v, j) => v + h * (direction[j] ?? 0)) });
    const numeric = (lossAt(path, moved(1e-5)) - lossAt(path, moved(-1e-5))) / 2e-5;
    const analytic = grad.data.reduce((sum, g, j) => sum + g * (direction[j] ?? 0), 0);
    expect(Math.abs(numeric), path).toBeGreaterThan(1e-4);
    expect(Math.abs(numeric - analytic), path).toBeLessThan(1e-7 + 1e-5 * Math.abs(numeric));
  }
});
