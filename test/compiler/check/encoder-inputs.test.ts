/** Which pictures an encoder runs alone on, for probes and exports: those that the program applies it to. */
import { expect, test } from "vitest";
import { compile } from "../../../compiler/compile.js";
import type { Manifest } from "../../../runtime/abi.js";

function manifestOf(text: string): Manifest {
  const { manifest, diagnostics } = compile({ file: "two.jepa", text });
  if (manifest === undefined) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join("\n"));
  return manifest;
}

const head = (inputs: string, masks: string): string => `use std.vit
model two {
  ${inputs}
  ${masks}
`;
const tail = `
}
train two {
  data shapes(count: 64)
  steps 2
  batch 16
  learning_rate 1e-3
}
`;
const block = (prefix: string): string => `
  mask ${prefix}targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask ${prefix}context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus ${prefix}targets`;
const pair = (prefix: string, image: string): string => `
  encoder s${prefix} = vit(4, 16, depth: 1, heads: 2)
  encoder q${prefix} = ema(s${prefix}, momentum: 0.99 -> 1.0)
  predictor p${prefix} = vit_predictor(width: 8, depth: 1, heads: 2)
  y${prefix} = stopgrad(normalize(q${prefix}(${image}))) at ${prefix}targets
  loss smooth_l1(p${prefix}(s${prefix}(${image} at ${prefix}context), at: ${prefix}targets), y${prefix})`;

const parametersOf = (manifest: Manifest, group: string): string[] => manifest.parameters.filter((p) => p.group === group && p.name.includes("pos_embed")).map((p) => `${p.name} ${p.shape.join("x")}`);

test("with two inputs each encoder has the input that the program applies it to, and no table of another", () => {
  const manifest = manifestOf(head("input a: Image[16, 16, 3]\n  input b: Image[32, 32, 3]", block("a") + block("b")) + pair("a", "a") + pair("b", "b") + tail);
  expect(manifest.encoders.map((e) => [e.name, e.input, e.tokens])).toEqual([["sa", "a", 16], ["qa", "a", 16], ["sb", "b", 64], ["qb", "b", 64]]);
  expect(manifest.encoders[3]?.grid).toEqual({ rows: 8, cols: 8, patch: 4 });
  expect(parametersOf(manifest, "qb")).toEqual(["qb.pos_embed_8x8 64x16"]);
});

test("an encoder of small views alone is run on pictures of their size, and has no table for whole ones", () => {
  const views = `input image: Image[16, 16, 3]
  view a = augment(image, size: 8) { random_resized_crop(scale: 0.3..1) }
  view b = augment(image, size: 8) { random_resized_crop(scale: 0.3..1) }`;
  const manifest = manifestOf(`${head(views, "")}
  encoder student = vit(4, 16, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = mlp(32)
  loss mse(predict(mean(student(a), over: token)), stopgrad(mean(teacher(b), over: token)))${tail}`);
  expect(manifest.encoders.map((e) => [e.name, e.input, e.size, e.tokens])).toEqual([
    ["student", "a", { height: 8, width: 8, channels: 3 }, 4], ["teacher", "b", { height: 8, width: 8, channels: 3 }, 4],
  ]);
  expect(parametersOf(manifest, "teacher")).toEqual(["teacher.pos_embed 4x16"]);
});

test("an encoder of whole views and of crops is run on whole pictures", () => {
  const views = `input image: Image[16, 16, 3]
  view crop = augment(image, size: 8) { random_resized_crop(scale: 0.3..1) }
  view whole, other = augment(image) { flip(p: 0.5) }`;
  const manifest = manifestOf(`${head(views, "")}
  encoder student = vit(4, 16, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = mlp(32)
  target = stopgrad(mean(teacher(whole), over: token))
  loss mse(predict(mean(student(crop), over: token)), target) + mse(predict(mean(student(other), over: token)), target)${tail}`);
  expect(manifest.encoders.map((e) => [e.name, e.input, e.size, e.tokens])).toEqual([["student", "image", undefined, 16], ["teacher", "image", undefined, 16]]);
});
