/** Rotary positions: products of what is turned depend on offsets alone, and every token is turned by its own place. */
import { expect, it } from "vitest";
import { lowerRotate } from "../../../compiler/lower/rotary.js";
import { buildFunc } from "../../../compiler/tensor/build.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { emptyModule, f32, funcOf, withFunc } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import type { StepProgram } from "../../../compiler/targets/step.js";
import { constantDim } from "../../../compiler/types/dim.js";
import { initialValue } from "../../../runtime/train/init.js";
import { argumentsFor, compileStep, numbers } from "./programs.js";

const dims = new Map([["B", 2], ["K_a", 5], ["K_b", 3], ["K_hidden", 6], ["K_context", 5], ["K_targets", 3]]);

/** `x` `[1, places, heads · head]` turned at every place of a grid. */
function turned(x: Float64Array, sides: readonly number[], heads: number, head: number, base: number): Float64Array {
  const places = sides.reduce((n, s) => n * s, 1);
  const size = 2 * sides.length * Math.floor(head / (2 * sides.length));
  const table = initialValue({ name: "t", shape: [places, size], init: { kind: "rotary", sides, base } }, 0);
  const b = buildFunc(emptyModule, { name: "turn", dims: [], doc: "", origin: undefined });
  const shapes = [[1, places, heads * head], [places, size]].map((s) => s.map(constantDim));
  const [at, by] = shapes.map((s, i) => b.input(`x${i}`, f32(s), "data"));
  b.output("out", lowerRotate(b, at ?? 0, by ?? 0, heads), "data");
  const [out] = evaluate(withFunc(emptyModule, b.finish()), "turn", [{ shape: [1, places, heads * head], data: x }, { shape: [places, size], data: Float64Array.from(table) }], new Map());
  return out?.data instanceof Float64Array ? out.data : new Float64Array();
}

/** The product of a query and a key, the query `offset` behind, as the real part of complex numbers (RoFormer, eq. 12, axis by axis). */
function product(q: readonly number[], k: readonly number[], offset: readonly number[], base: number): number {
  const each = Math.floor(q.length / (2 * offset.length));
  const half = each * offset.length;
  let sum = 0;
  offset.forEach((away, axis) => {
    for (let n = 0; n < each; n++) {
      const [i, angle] = [axis * each + n, away / base ** (n / each)];
      const [re, im] = [(q[i] ?? 0) * (k[i] ?? 0) + (q[i + half] ?? 0) * (k[i + half] ?? 0), (q[i + half] ?? 0) * (k[i] ?? 0) - (q[i] ?? 0) * (k[i + half] ?? 0)];
      sum += re * Math.cos(angle) - im * Math.sin(angle);
    }
  });
  for (let i = 2 * half; i < q.length; i++) sum += (q[i] ?? 0) * (k[i] ?? 0);
  return sum;
}

it.each([[[3, 5], 8, 10000], [[2, 3, 4], 13, 10000], [[7], 6, 100], [[2, 3], 5, 50]] as const)("on %j, heads of %d, base %d: a product knows how far apart, and no more", (sides, head, base) => {
  const next = numbers(head);
  const heads = 2;
  const [q, k] = [0, 1].map(() => Array.from({ length: heads * head }, next));
  const places = sides.reduce((n, s) => n * s, 1);
  const all = (v: readonly number[] = []): Float64Array => Float64Array.from({ length: places * heads * head }, (_, i) => v[i % (heads * head)] ?? 0);
  const [tq, tk] = [turned(all(q), sides, heads, head, base), turned(all(k), sides, heads, head, base)];
  const placeOf = (token: number): number[] => sides.map((side, axis) => Math.floor(token / sides.slice(axis + 1).reduce((n, s) => n * s, 1)) % side);
  for (let i = 0; i < places; i++) {
    for (let j = 0; j < places; j++) {
      for (let h = 0; h < heads; h++) {
        const own = (x: Float64Array, token: number): Float64Array => x.subarray((token * heads + h) * head, (token * heads + h + 1) * head);
        const found = own(tq, i).reduce((sum, x, n) => sum + x * (own(tk, j)[n] ?? 0), 0);
        const [a, b] = [placeOf(i), placeOf(j)];
        const part = (v: readonly number[] = []): number[] => v.slice(h * head, (h + 1) * head);
        // The table is float32.
        expect(Math.abs(found - product(part(q), part(k), a.map((x, axis) => x - (b[axis] ?? 0)), base))).toBeLessThan(2e-6);
      }
    }
  }
});

const program = (left: string, right: string, modules = ""): string => `use std.vit
${modules}
model m {
  allow collapse("only places count here")
  allow leak("only places count here")
  input image: Image[8, 8, 3]
  mask b = 3 of block(scale: 0.2, min_keep: 0)
  mask a = all minus b
  encoder f = patch_embedding(2, 12)
  x = f(image)
  loss mse(${left}, stopgrad(${right}))
}
train m { data shapes(count: 64) epochs 1 batch 2 }
`.replaceAll("64) epochs 1", "64)\n  epochs 1\n ").replace("batch 2 }", "batch 2\n}");

/** Drawn arrays, and the tables as they are. */
function argumentsOf(step: StepProgram, seed: number): NdArray[] {
  const forward = funcOf(step.module, step.forward);
  return argumentsFor(forward, dims, seed).map((value, i) => {
    if (forward.inputs[i]?.path.includes("rotary_") !== true) return value;
    const one = initialValue({ name: "rotary", shape: value.shape.slice(-2), init: { kind: "rotary", sides: [4, 4], base: 10000 } }, 0);
    return { shape: value.shape, data: Float64Array.from(value.data, (_, j) => one[j % one.length] ?? 0) };
  });
}

function lossOf(step: StepProgram, args: readonly NdArray[] = argumentsOf(step, 3)): number {
  const forward = funcOf(step.module, step.forward);
  return evaluate(step.module, step.forward, args, dims)[forward.outputs.findIndex((o) => o.role === "loss")]?.data[0] ?? NaN;
}

const inModule = "module net(heads) (x: Tokens[width], at: Positions) -> Tokens[width] {\n  pick(rotary(x, heads), at)\n}\n";
it.each([
  ["of a mask", "rotary(x at b, 2)", "rotary(x, 2) at b"],
  ["of a run behind another, with several sets for each image", "pick(rotary(concat(x at a, x at b), 2), at: b)", "rotary(x, 2) at b"],
  ["of a run in front", "pick(rotary(concat(x at b, x at a), 3), at: b)", "rotary(x at b, 3)"],
  ["behind all positions", "pick(rotary(concat(x, x at b), 2), at: b)", "rotary(x, 2) at b"],
  ["in a module", "h(concat(x at a, x at b), at: b)\n  head h = net(2)", "rotary(x, 2) at b"],
])("tokens %s are turned by their own places", (_, left, right) => {
  const text = (l: string, r: string): string => {
    const [expr = "", ...lines] = l.split("\n");
    return program(expr, r, inModule).replace("loss", `${lines.join("\n")}\n  loss`);
  };
  expect(lossOf(compileStep(text(left, right)))).toBe(0);
  // Not because nothing is turned.
  expect(lossOf(compileStep(text(left, "x at b")))).toBeGreaterThan(1e-3);
});

const film = (loss: string): string => `use std.vit
model m {
  allow collapse("only places count here")
  allow leak("only places count here")
  input image: Image[8, 8, 3]
  mask hidden = random(0.4)
  mask context = all minus hidden
  encoder student = rotary_vit(2, 10, 2, 2)
  encoder teacher = ema(student, momentum: 0.9)
  predictor predict = rotary_predictor(width: 8, depth: 1, heads: 2)
  loss ${loss}
}
train m {
  data   shapes(count: 64)
  batch  2
}
`;

it("the gradient of an I-JEPA with rotary positions equals central differences, and its tables never train", () => {
  const step = compileStep(film("smooth_l1(predict(student(image at context), at: hidden), stopgrad(normalize(teacher(image))) at hidden)"));
  const forward = funcOf(step.module, step.forward);
  const backward = funcOf(step.module, step.backward);
  const args = argumentsOf(step, 7);
  const results = evaluate(step.module, step.forward, args, dims);
  const known = new Map<string, NdArray>([...forward.inputs.map((input, i) => [`${input.role}:${input.path}`, args[i]] as const), ...forward.outputs.map((o, i) => [`${o.role}:${o.path}`, results[i]] as const)].flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
  const grads = evaluate(step.module, step.backward, backward.inputs.map((i) => known.get(`${i.role}:${i.path}`) ?? { shape: [], data: Float64Array.of(1) }), dims);
  const trained = step.params.filter((p) => p.trained).map((p) => p.name);
  expect(trained.filter((name) => name.includes("rotary"))).toEqual([]);
  expect(step.params.map((p) => p.name)).toEqual(expect.arrayContaining(["student.blocks.*.attn.rotary_4x4", "predict.blocks.*.attn.rotary_4x4"]));
  const next = numbers(3);
  for (const [o, { path }] of backward.outputs.entries()) {
    const at = forward.inputs.findIndex((i) => i.role === "param" && i.path === path);
    const [original, grad] = [args[at], grads[o]];
    if (original === undefined || grad === undefined) throw new Error(path);
    const direction = Float64Array.from(original.data, () => next());
    const moved = (h: number): readonly NdArray[] => args.map((a, i) => (i === at ? { shape: a.shape, data: a.data.map((x, j) => x + h * (direction[j] ?? 0)) } : a));
    const numeric = (lossOf(step, moved(1e-5)) - lossOf(step, moved(-1e-5))) / 2e-5;
    const analytic = grad.data.reduce((sum, g, j) => sum + g * (direction[j] ?? 0), 0);
    expect(Math.abs(numeric - analytic), path).toBeLessThan(1e-7 + 1e-5 * Math.abs(numeric));
  }
});

it("tokens of frames at a mask are turned by their moments and places", () => {
  const text = (left: string, right: string): string => `model m {
  allow collapse("only places count here")
  allow leak("only places count here")
  input clip: Video[3, 8, 8, 3]
  mask b = 3 of block(scale: 0.2, min_keep: 0)
  head f = linear(13)
  x = f(patches(clip, 2))
  loss mse(${left}, stopgrad(${right}))
}
train m {
  data   shapes(count: 64)
  batch  2
}
`;
  const step = compileStep(text("rotary(x at b, 1)", "rotary(x, 1) at b"));
  const forward = funcOf(step.module, step.forward);
  const args = argumentsFor(forward, dims, 3).map((value, i) => (forward.inputs[i]?.path.includes("rotary_") === true
    ? { shape: value.shape, data: Float64Array.from(initialValue({ name: "rotary", shape: value.shape, init: { kind: "rotary", sides: [3, 4, 4], base: 10000 } }, 0)) } : value));
  expect(args.some(({ shape }) => shape.join() === "3,16,12")).toBe(true);
  expect(lossOf(step, args)).toBe(0);
  expect(lossOf(compileStep(text("rotary(x at b, 1)", "x at b")), args)).toBeGreaterThan(1e-3);
});
