/** Masks and leaks: what is refused, what is remarked, and the figures that go with it. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import type { CheckResult } from "../../../compiler/compile.js";
import { coverage, kept } from "../../../compiler/masks/draws.js";
import { sizeLaw } from "../../../compiler/masks/law.js";
import type { Mask } from "../../../compiler/model/ir.js";
import type { MaskSpec } from "../../../runtime/abi.js";
import { sizeLaw as runtimeLaw } from "../../../runtime/masks/law.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";

const origin = { file: "m.jepa", start: 0, end: 0 };
const targets: Mask = {
  name: "targets", kind: "block", count: 4, scale: [0.15, 0.2], aspect: [0.75, 1.5], ratio: [0.6, 0.6], minKeep: 10, minus: [], sampler: "published",
  allowOverlap: false, trim: "tail", grid: undefined, origin,
};
const context: Mask = { ...targets, name: "context", count: 1, scale: [0.85, 1], aspect: [1, 1], minus: ["targets"] };
const square = (side: number): { rows: number; cols: number } => ({ rows: side, cols: side });
const specOf = (mask: Mask, side: number): MaskSpec => {
  const { name, kind, count, scale, aspect, ratio, minKeep, minus, sampler, allowOverlap, trim } = mask;
  return { name, grid: square(side), kind, count, scale, aspect, ratio, minKeep, minus, sampler, allowOverlap, trim };
};

function program(masks: string, lines = "", image = 64): CheckResult {
  const text = `use std.vit\nmodel m {\n  input image: Image[${image}, ${image}, 3]\n${masks}\n  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  encoder t = ema(f, momentum: 0.996 -> 1)\n  predictor h = vit_predictor(width: 16, depth: 1, heads: 2)\n${lines === "" ? "  z = stopgrad(normalize(t(image))) at targets\n  loss smooth_l1(z, h(f(image at context), at: targets))" : lines}\n}\ntrain m {\n  data shapes(count: 64)\n  epochs 1\n  batch 16\n}\n`;
  return check({ file: "m.jepa", text });
}

const heard = (result: CheckResult): readonly string[] => result.analyses?.program.reasons ?? result.diagnostics.map((d) => d.code);
const published = "  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 10)\n  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 10) minus targets";

test("the share of batches that never end is that of the published sampler: 100, 89, 48 and 0 percent", () => {
  const shares = [6, 7, 8, 9].map((side) => sizeLaw(targets, square(side)).hangs);
  expect(shares.map((s) => Math.round(100 * s))).toEqual([100, 89, 48, 0]);
});

test("the compiler's law of sizes is the runtime's, for both samplers", () => {
  for (const sampler of ["published", "corrected"] as const) {
    for (const side of [7, 8, 14, 16, 28]) {
      for (const mask of [targets, context]) {
        const own = sizeLaw({ ...mask, sampler }, square(side));
        const theirs = runtimeLaw(specOf({ ...mask, sampler }, side));
        expect(own.hangs).toBeCloseTo(theirs.hangs, 9);
        const table = new Map(theirs.sizes.map((s) => [`${s.height}x${s.width}`, s.probability]));
        expect(own.sizes.length).toBe(table.size);
        for (const s of own.sizes) expect(s.share).toBeCloseTo(table.get(`${s.height}x${s.width}`) ?? -1, 6);
      }
    }
  }
});

test("the published sampler never reaches the last row and column: 27 of 196 positions, 31 of 256", () => {
  const never = [14, 16].map((side) => [...coverage(targets, square(side))].filter((p) => p === 0).length);
  expect(never).toEqual([27, 31]);
  const sum = [...coverage(targets, square(16))].reduce((a, b) => a + b, 0);
  expect(sum).toBeCloseTo(sizeLaw(targets, square(16)).sizes.reduce((a, s) => a + s.share * s.height * s.width, 0), 6);
});

test("what a context keeps, and keeps after the cut, is what the sampler itself gives", () => {
  const counted = kept(context, [targets], square(16), 16);
  const specs = [specOf(targets, 16), specOf(context, 16)];
  let raw = 0;
  let cut = 0;
  const batches = 200;
  for (let step = 0; step < batches; step++) {
    cut += sampleMasks(specs, { seed: 1, step, batch: 16 }).get("context")?.length ?? 0;
    raw += sampleMasks(specs, { seed: 1, step, batch: 1 }).get("context")?.length ?? 0;
  }
  expect(Math.abs((counted?.mean ?? 0) - raw / batches)).toBeLessThan(6);
  expect(Math.abs((counted?.trimmed ?? 0) - cut / batches)).toBeLessThan(6);
});

test("the shortest row of a large batch is as short as the sampler's, which a few hundred draws do not have", () => {
  const specs = [specOf(targets, 16), specOf(context, 16)];
  const batches = 40;
  let cut = 0;
  for (let step = 0; step < batches; step++) cut += sampleMasks(specs, { seed: 1, step, batch: 1024 }).get("context")?.length ?? 0;
  expect(Math.abs((kept(context, [targets], square(16), 1024)?.trimmed ?? 0) - cut / batches)).toBeLessThan(4);
});

test("how often masks are given up is told to two in a hundred", () => {
  // Exact: the hypergeometric chance that at most 10 of 16 free positions lie in the 49 of the block; one quadrant in four leaves it 9.
  for (const [hidden, exact] of [["random(0.75)", 11.8], ["3 of rasterized", 25]] as const) {
    const { diagnostics } = program(`  mask targets = ${hidden}\n  mask context = block(scale: 0.85..1.0, aspect: 1.0) minus targets`, "", 32);
    const said = /in (\d+) % of images/.exec(diagnostics.find((d) => d.code === "JEP5012")?.message ?? "")?.[1];
    expect(Math.abs(Number(said) - exact), `${hidden}: ${said} %`).toBeLessThan(2);
  }
});

test("a mask that may overlap what is taken out of it is counted so where it is itself taken out", () => {
  const random = (name: string, rest: Partial<Mask> = {}): Mask => ({ ...targets, name, kind: "random", count: 1, ratio: [0.5, 0.5], ...rest });
  const rest: Mask = { ...targets, name: "rest", kind: "all", count: 1, minus: ["one", "other"] };
  const masks = [random("one"), random("other", { minus: ["one"], allowOverlap: true }), rest];
  const counted = kept(rest, masks, square(14), 1);
  let sum = 0;
  for (let step = 0; step < 200; step++) sum += sampleMasks(masks.map((m) => specOf(m, 14)), { seed: 1, step, batch: 1 }).get("rest")?.length ?? 0;
  expect(sum / 200).toBeCloseTo(49, -1);
  expect(Math.abs((counted?.mean ?? 0) - sum / 200)).toBeLessThan(2);
  expect(counted?.relaxes).toBe(0);
});

test("JEP5010: the published sampler on an 8x8 grid is refused with the share of batches that hang", () => {
  const result = program(published, "", 32);
  const found = result.diagnostics.find((d) => d.code === "JEP5010");
  expect(found?.severity).toBe("error");
  expect(found?.message).toContain("48 %");
  expect(result.analyses?.program.verdict).toBe("error");
});

test("JEP5011: a mask whose complement covers everything is empty", () => {
  expect(heard(program("  mask targets = all\n  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets"))).toContain("JEP5011");
});

test("JEP5011: the largest published block covers all that a published block can hold, and not all that a corrected one can", () => {
  const of = (sampler: string): readonly string[] => heard(program(`  mask targets = block(scale: 1.0..1.0, aspect: 1.0, min_keep: 1)\n  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1, sampler: ${sampler}) minus targets`));
  expect(of("published")).toContain("JEP5011");
  expect(of("corrected")).not.toContain("JEP5011");
});

test("JEP5012: targets so large that a context sometimes has to overlap them are a warning", () => {
  expect(heard(program("  mask targets = 4 of block(scale: 0.3..0.4, aspect: 0.75..1.5, min_keep: 10)\n  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 10) minus targets", "", 56))).toContain("JEP5012");
  // The help names the masks of the program.
  const helpOf = (context: string): string => program(`  mask targets = 4 of block(scale: 0.3..0.4, aspect: 0.75..1.5, min_keep: 10)\n  mask context = ${context} minus targets`, "", 56).diagnostics.find((d) => d.code === "JEP5012")?.help ?? "";
  expect(helpOf("block(scale: 0.85..1.0, aspect: 1.0, min_keep: 10)")).toBe("Make `targets` smaller or fewer, or `context` larger. With `sampler: corrected` it never shares a position, and a run stops where none is left.");
});

test("JEP5013, JEP5014, JEP5023 and JEP5024 are notes on the published setting, which is sound", () => {
  const result = program(published);
  expect(heard(result)).toEqual(expect.arrayContaining(["JEP5013", "JEP5014", "JEP5023", "JEP5024"]));
  expect(result.analyses?.program.verdict).toBe("sound");
  expect(result.diagnostics).toEqual([]);
});

test("JEP5025: a film whose positions are hidden one by one is remarked; a picture's are not", () => {
  const film = (mask: string): CheckResult => {
    const text = `use std.vit\nmodule net(width) (clip) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = block(2)\n  mix(embed(tubes(clip, 4, 2)) + sincos2d(width))\n}\nmodel m {\n  input video: Video[8, 32, 32, 3]\n  mask targets = ${mask}\n  mask context = all minus targets\n  encoder f = net(32)\n  encoder t = ema(f, momentum: 0.99)\n  predictor h = vit_predictor(width: 16, depth: 1, heads: 2)\n  loss l1(h(f(video at context), at: targets), normalize(t(video)) at targets)\n}\n`;
    return check({ file: "m.jepa", text });
  };
  expect(heard(film("random(0.5)"))).toContain("JEP5025");
  expect(heard(film("4 of block(scale: 0.15..0.2, min_keep: 1)"))).not.toContain("JEP5025");
  expect(heard(program("  mask targets = random(0.5)\n  mask context = all minus targets"))).not.toContain("JEP5025");
});

test("JEP5012: everything less blocks that can cover it together is a warning, less smaller ones is not", () => {
  const of = (scale: string): readonly string[] => heard(program(`  mask targets = 4 of block(scale: ${scale}, min_keep: 1, sampler: corrected)\n  mask context = all minus targets`));
  expect(of("0.3..0.4")).toContain("JEP5012");
  expect(of("0.15..0.2")).not.toContain("JEP5012");
  const helpOf = (masks: string): string => program(masks).diagnostics.find((d) => d.code === "JEP5012")?.help ?? "";
  expect(helpOf("  mask targets = 4 of block(scale: 0.3..0.4, min_keep: 1, sampler: corrected)\n  mask context = all minus targets")).toBe("Make `targets` smaller or fewer.");
  expect(helpOf("  mask targets = rasterized\n  mask context = rasterized minus targets")).toBe("Take fewer quadrants for `targets`.");
});

test("JEP5011: of a mask that hides all but a thousandth, nothing is left on a grid of 256", () => {
  expect(heard(program("  mask targets = random(0.999)\n  mask context = all minus targets"))).toContain("JEP5011");
  expect(heard(program("  mask targets = random(0.99)\n  mask context = all minus targets"))).not.toContain("JEP5011");
});

test("the grid of a mask is that of the tokens at hand, whichever line comes first", () => {
  const result = program("  mask targets = random(0.5)\n  mask context = all minus targets", "  loss smooth_l1(h(f(image at context), at: targets), normalize(t(image)) at targets)");
  expect(result.diagnostics).toEqual([]);
  expect(result.graph?.masks.map((m) => m.grid?.rows)).toEqual([16, 16]);
});

test("JEP5022: weak settings are remarked", () => {
  const result = program("  mask targets = block(scale: 0.05..0.1, min_keep: 1)\n  mask context = block(scale: 0.4..1.0, aspect: 1.0, min_keep: 1) minus targets");
  expect(result.analyses?.diagnostics.filter((d) => d.code === "JEP5022").length).toBe(3);
});

test("JEP5022: a context of one or two positions is remarked, and no other small mask", () => {
  const weak = (masks: string, lines?: string): readonly string[] => (program(masks, lines).analyses?.diagnostics ?? []).filter((d) => d.code === "JEP5022").map((d) => d.message);
  expect(weak("  mask context = random(0.008)\n  mask targets = all minus context")).toEqual([expect.stringContaining("`context` usually leaves 2 positions of 256 at a batch of 16")]);
  expect(weak("  mask targets = random(0.994)\n  mask context = all minus targets")).toEqual([expect.stringMatching(/`context` usually leaves 1 position of 256/)]);
  expect(weak("  mask context = random(0.05)\n  mask targets = all minus context")).toEqual([]);
  expect(weak("  mask targets = random(0.008)\n  mask context = all minus targets")).toEqual([]);
  expect(weak("  mask targets = random(0.008)\n  mask context = all minus targets", "  loss mse(pool(h(f(image at context), at: targets)), pool(normalize(t(image)) at targets))")).toEqual([]);
});

test("JEP5015: a prediction that has seen its target is refused, whether before the mask or by the same mask", () => {
  expect(heard(program(published, "  loss mse(t(image) at targets, h(f(image), at: targets))"))).toContain("JEP5015");
  expect(heard(program(published, "  loss mse(f(image) at targets, t(image) at targets)"))).toContain("JEP5015");
});

test("JEP5016: masks that nothing keeps apart are a warning", () => {
  expect(heard(program("  mask targets = 4 of block(scale: 0.15..0.2, min_keep: 1)\n  mask context = block(scale: 0.85..1.0, min_keep: 1)"))).toContain("JEP5016");
});

test("JEP5017, JEP5018, JEP5019, JEP5020 and JEP5021 name what reaches the prediction, or does not", () => {
  expect(heard(program(published, "  loss mse(h(f(image at context), at: targets), t(image at targets))"))).toContain("JEP5020");
  const blind = "module bag(width) (image) -> Tokens[width] {\n  part embed = patch_embedding(4, width)\n  part mix = attention(2)\n  mix(embed(image))\n}\n";
  const text = `use std.vit\nuse std.heads\n${blind}model m {\n  input image: Image[64, 64, 3]\n${published}\n  encoder f = bag(32)\n  encoder t = ema(f, momentum: 0.99)\n  predictor h = vit_predictor(width: 16, depth: 1, heads: 2)\n  loss mse(h(f(image at context), at: targets), t(image) at targets)\n}\n`;
  expect(heard(check({ file: "m.jepa", text }))).toContain("JEP5019");
  const whole = `use std.vit\nuse std.heads\nmodel m {\n  input image: Image[64, 64, 3]\n  mask hidden = random(0.6)\n  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  head token = mask_tokens()\n  encoder t = ema(f, momentum: 0.99)\n  head out = linear(32)\n  x = token(patches(image, 4), at: hidden)\n  encoder g = inner(32)\n  encoder u = ema(g, momentum: 0.99)\n  loss mse(out(g(x)), u(patches(image, 4)))\n}\nmodule inner(width) (x: Tokens[in]) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = attention(2)\n  mix(embed(x) + sincos2d(width))\n}\n`;
  expect(heard(check({ file: "m.jepa", text: whole, }))).toContain("JEP5021");
  const unplaced = "module lost(width) (context: Tokens[outer], at: Positions) -> Tokens[outer] {\n  part embed = linear(width)\n  part out = linear(outer)\n  part mixing = attention(2)\n  learn token[1, 1, width] ~ trunc_normal(std: 0.02)\n  out(pick(mixing(concat(embed(context), spread(token, at))), at))\n}\n";
  const program2 = `use std.vit\nuse std.heads\n${unplaced}model m {\n  input image: Image[64, 64, 3]\n${published}\n  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  encoder t = ema(f, momentum: 0.99)\n  predictor h = lost(16)\n  loss mse(h(f(image at context), at: targets), t(image) at targets)\n}\n`;
  expect(heard(check({ file: "m.jepa", text: program2 }))).toContain("JEP5018");
  const statistics = `use std.vit\nuse std.heads\nmodule inner(width) (x: Tokens[in]) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = attention(2)\n  mix(embed(x) + sincos2d(width))\n}\nmodel m {\n  input image: Image[64, 64, 3]\n${published}\n  encoder g = inner(32)\n  encoder u = ema(g, momentum: 0.99)\n  predictor h = vit_predictor(width: 16, depth: 1, heads: 2)\n  loss mse(h(g(batch_normalize(patches(image, 4)) at context), at: targets), u(patches(image, 4)) at targets)\n}\n`;
  expect(heard(check({ file: "m.jepa", text: statistics }))).toContain("JEP5017");
});

test("JEP5018: queries that differ get one answer where all keys or all values are alike", () => {
  const of = (keys: string, values: string): readonly string[] => {
    const module = `module asks(width) (context: Tokens[outer], at: Positions) -> Tokens[outer] {\n  part out = linear(outer)\n  learn token[1, 1, width] ~ trunc_normal(std: 0.02)\n  same = spread(token, at)\n  placed = same + sincos2d(width)\n  out(attend(placed, ${keys}, ${values}, 2))\n}\n`;
    const text = `use std.vit\n${module}model m {\n  input image: Image[64, 64, 3]\n${published}\n  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  encoder t = ema(f, momentum: 0.99)\n  predictor h = asks(16)\n  loss mse(h(f(image at context), at: targets), t(image) at targets)\n}\n`;
    return heard(check({ file: "m.jepa", text }));
  };
  expect(of("placed", "placed")).not.toContain("JEP5018");
  expect(of("same", "placed")).toContain("JEP5018");
  expect(of("placed", "same")).toContain("JEP5018");
});
