/**
 * Several contexts with several targets: a program of both gives the mean of programs of one context and one target, each with
 * its own pair of the drawn sets, in float64; and of as many of each, the first goes with the first.
 */
import { expect, test } from "vitest";
import type { StepProgram } from "../../../compiler/targets/step.js";
import type { Manifest, StepBatch } from "../../../runtime/abi.js";
import { initialState } from "../../../runtime/train/init.js";
import { compileRepo } from "../../fidelity/compiled.js";
import { interpreted, relative } from "../targets/wgsl/oracle.js";
import type { Interpreted } from "../targets/wgsl/oracle.js";
import { batchFor } from "../targets/wgsl/programs.js";

const lines = "loss smooth_l1(z_hat, z_target)";
const text = (contexts: number, targets: number, losses = lines): string => `use std.vit
model tiny {
  input image: Image[24, 24, 3]
  mask targets = ${targets} of block(scale: 0.1..0.2, aspect: 0.75..1.5, min_keep: 1)
  mask context = ${contexts} of block(scale: 0.6..0.9, aspect: 1.0, min_keep: 1)${targets === 1 ? "" : " minus targets"}
  encoder student = vit(patch: 4, width: 8, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.99)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = predict(z_context, at: targets)
  ${losses}
  allow leak("only numbers are looked at")
}
train tiny {
  data   shapes(count: 64)
  batch  2
}
`;

const compiled = (source: string): { readonly manifest: Manifest; readonly step: StepProgram } => compileRepo("examples/contexts-test.jepa", { text: source });

/** One set of each mask. */
function pairOf(batch: StepBatch, chosen: Readonly<Record<string, number>>): StepBatch {
  return { ...batch, masks: Object.fromEntries(Object.entries(batch.masks).map(([name, m]) => {
    const rows = batch.size * m.length;
    return [name, { ...m, count: 1, indices: m.indices.slice((chosen[name] ?? NaN) * rows, ((chosen[name] ?? NaN) + 1) * rows) }];
  })) };
}

const single = compiled(text(1, 1));

/** The mean over pairs (context, targets) of losses and gradients of the program of one of each. */
function meanOf(state: ReadonlyMap<string, Float32Array>, batch: StepBatch, pairs: readonly (readonly [number, number])[]): { readonly loss: number; readonly grads: ReadonlyMap<string, Float64Array> } {
  const runs = pairs.map(([context, targets]) => interpreted(single.step, state, pairOf(batch, { context, targets })));
  const mean = (read: (run: Interpreted) => number): number => runs.reduce((sum, run) => sum + read(run), 0) / runs.length;
  const grads = new Map([...runs[0]?.grads ?? []].map(([name, first]) => [name, first.map((_, i) => mean((run) => run.grads.get(name)?.[i] ?? NaN))]));
  return { loss: mean((run) => run.losses.get("total")?.data[0] ?? NaN), grads };
}

const every = (contexts: number, targets: number): readonly (readonly [number, number])[] => Array.from({ length: contexts * targets }, (_, i) => [i % contexts, Math.floor(i / contexts)] as const);

test.each([
  ["each of two contexts with each of four targets", 2, 4, lines, every(2, 4)],
  ["each of three with each of two", 3, 2, lines, every(3, 2)],
  ["two contexts with one set of targets", 2, 1, lines, every(2, 1)],
  ["as many one by one", 3, 3, lines, [[0, 0], [1, 1], [2, 2]]],
  ["the second context alone, by `separate`", 2, 4, "x, y = separate(z_hat, 2)\n  loss smooth_l1(y, z_target)", [[1, 0], [1, 1], [1, 2], [1, 3]]],
  ["weights for each pair where the program gives them", 2, 4, "x, y = separate(z_hat, 2)\n  loss 0.75 * smooth_l1(x, z_target) + 0.25 * smooth_l1(y, z_target)", [0, 1, 2, 3].flatMap((t) => [[0, t], [0, t], [0, t], [1, t]] as const)],
] as const)("%s", (_, contexts, targets, losses, pairs) => {
  const { manifest, step } = compiled(text(contexts, targets, losses));
  const batch = batchFor(manifest, 1);
  const state = initialState(manifest, 3);
  const got = interpreted(step, state, batch);
  const wanted = meanOf(state, batch, pairs);
  expect(got.losses.get("total")?.data[0]).toBeCloseTo(wanted.loss, 12);
  expect([...got.grads.keys()].sort()).toEqual([...wanted.grads.keys()].sort());
  for (const [name, grad] of wanted.grads) expect({ name, fits: relative(got.grads.get(name) ?? [], grad) < 1e-10 }).toEqual({ name, fits: true });
});
