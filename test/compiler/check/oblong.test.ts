/** Patches of two sides, and grids that are a line: what programs may say of them, what they become, and what is refused. */
import { expect, test } from "vitest";
import type { CheckResult } from "../../../compiler/compile.js";
import { check } from "../../../compiler/compile.js";
import { parseGraph } from "../../../compiler/model/parse.js";
import { printGraph } from "../../../compiler/model/print.js";
import { coverage } from "../../../compiler/masks/draws.js";
import { sizeLaw } from "../../../compiler/masks/law.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";

const signal = (patch: string, mask = "2 of block(scale: 0.1..0.2, min_keep: 1)", more = ""): string => `use std.vit
model line {
  input signal: Image[1, 96, 2]
  mask targets = ${mask}
  mask context = all minus targets
  encoder f = vit(patch: ${patch}, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor h = vit_predictor(width: 8, depth: 1, heads: 2)
  loss l1(h(f(signal at context), at: targets), stopgrad(normalize(t(signal))) at targets)
${more}}
train line {
  data images("signals")
  epochs 1
  batch 8
}
`;
const read = (text: string, set: Record<string, string | number> = {}): CheckResult => check({ file: "line.jepa", text }, { set });
const told = (result: CheckResult): string[] => result.diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message} ${d.help ?? ""}`);
const gridOf = ({ graph }: CheckResult): unknown => graph?.masks.find((m) => m.name === "targets")?.grid;

test("a patch has a height and a width, or one number for both", () => {
  const line = read(signal("[1, 4]"));
  expect(told(line)).toEqual([]);
  expect(gridOf(line)).toEqual({ rows: 1, cols: 24, patch: 1, across: 4, channels: 2 });
  const graph = line.graph ?? (() => { throw new Error("no graph"); })();
  expect(graph.instances.flatMap((i) => i.params).find((p) => p.path === "patch_embed.proj.weight")?.shape).toEqual([8, 8]);
  expect(parseGraph(printGraph(graph))).toStrictEqual(graph);
  // Two equal sides are the number.
  const square = (patch: string): string => signal(patch).replace("Image[1, 96, 2]", "Image[32, 32, 2]");
  expect(gridOf(read(square("[4, 4]")))).toEqual(gridOf(read(square("4"))));
});

test("`patches(image)` takes the size that the networks have, where the other modules have none", () => {
  const painted = `use std.vit\nmodel m {\n  input image: Image[32, 32, 3]\n  encoder f = vit(8, 16, 1, 2)\n  head paint = decode()\n  head other = mlp(8)\n  loss mse(paint(f(image)), patches(image)) + 0.1 * variance(other(pool(f(image))))\n}\ntrain m {\n  data shapes(count: 64)\n  steps 2\n}\n`;
  expect(told(read(painted))).toEqual([]);
});

test("what two sides may not be", () => {
  expect(told(read(signal("[1, 5]")))).toEqual([expect.stringMatching(/^JEP3005 A 1x96 image cannot be cut into 1x5 patches/)]);
  expect(told(read(signal("4")))).toEqual([expect.stringMatching(/^JEP3005 A 1x96 image cannot be cut into 4x4 patches.*`patch: \[1, 4\]`/)]);
  expect(told(read(signal("[1, 4, 2]")))).toEqual([expect.stringMatching(/^JEP2010 .*a list of a height and a width/)]);
  expect(told(read(signal("[0, 4]")))).toEqual([expect.stringMatching(/^JEP2011 A side of `patch`/)]);
  expect(told(read(signal("[1, 4]", undefined, "  head wide = linear(patch_size(t(signal)))\n  loss mean(square(wide(pool(f(signal)))))\n")))).toEqual([expect.stringMatching(/^JEP3003 .*square patches.*`patch_values\(x\)`/)]);
});

test("a sweep and `--set` say two sides as a program does", () => {
  const swept = read(`${signal("[1, 4]")}sweep lengths of line {\n  f.patch in [[1, 2], [1, 8]]\n}\n`);
  expect(told(swept)).toEqual([]);
  expect(swept.checked?.sweeps[0]?.points.map((p) => [...p])).toEqual([[["f.patch", "[1, 2]"]], [["f.patch", "[1, 8]"]]]);
  expect(gridOf(read(signal("[1, 4]"), { "f.patch": "[1,8]" }))).toMatchObject({ cols: 12, across: 8 });
  expect(told(read(`${signal("[1, 4]")}sweep lengths of line {\n  f.patch in [[1, 2], [1, f]]\n}\n`))).toEqual([expect.stringMatching(/^JEP2010 .*a list of numbers.*`\[1, f\]`/)]);
});

test("on a line a block is a stretch, as long as its share of it", () => {
  const line = read(signal("[1, 4]"));
  const [targets] = line.graph?.masks ?? [];
  if (targets?.grid === undefined) throw new Error("no mask");
  const grid = targets.grid;
  // Areas of 24 positions from 0.1 to 0.2 of them: trunc(2.4) to trunc(4.8), in the shares that a uniform number gives them.
  const share = [(3 - 2.4) / 2.4, 1 / 2.4, (4.8 - 4) / 2.4];
  const law = sizeLaw(targets, grid);
  expect(law.sizes.map(({ height, width }) => [height, width])).toEqual([[1, 2], [1, 3], [1, 4]]);
  law.sizes.forEach((size, i) => expect(size.share).toBeCloseTo(share[i] ?? NaN, 5));
  const counts = new Float64Array(grid.cols);
  const [steps, batch] = [1500, 4];
  for (let step = 0; step < steps; step++) {
    const { length, indices } = sampleMasks([{ ...targets, grid }], { seed: 3, step, batch }).get("targets") ?? { length: 0, indices: new Int32Array() };
    for (let row = 0; row < indices.length; row += length) {
      const set = indices.subarray(row, row + length);
      expect(set.every((at, i) => at === (set[0] ?? NaN) + i)).toBe(true);
      for (const at of set) counts[at] = (counts[at] ?? 0) + 1 / (steps * batch * 2);
    }
  }
  coverage(targets, grid).forEach((chance, at) => expect(Math.abs((counts[at] ?? 0) - chance), `position ${at}`).toBeLessThan(0.02));
  // The published sampler keeps away from the end; quadrants there are none.
  expect(counts[grid.cols - 1]).toBe(0);
  expect(told(read(signal("[1, 4]", "rasterized")))).toEqual([expect.stringMatching(/^JEP5011 .*a grid of 1x24 has no quadrants.*`block\(scale/)]);
});

test("a view may have two sides, and `augment` has no other argument", () => {
  const view = (size: string): string => signal("[1, 4]", undefined, `  view v = augment(signal, ${size}) { flip(p: 0.5) }\n  loss more = l1(pool(h(f(v at context), at: targets)), stopgrad(pool(t(signal))))\n`);
  const views = (size: string) => read(view(size)).graph?.views.map(({ height, width }) => [height, width]);
  expect(views("size: [1, 96]")).toEqual([[1, 96]]);
  expect(told(read(view("crop: 16"))).some((line) => /^JEP2004 .*`augment` has no argument `crop`/.test(line))).toBe(true);
  expect(told(read(view("size: 0"))).some((line) => line.startsWith("JEP2011"))).toBe(true);
});
