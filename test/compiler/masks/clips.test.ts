/** Masks on grids with frames: what the sampler draws, what the analyses say of it, and what memory is planned for. */
import { expect, test } from "vitest";
import { kept } from "../../../compiler/masks/draws.js";
import { mostPositions } from "../../../compiler/masks/longest.js";
import { usualLength } from "../../../compiler/masks/usual.js";
import type { Mask } from "../../../compiler/model/ir.js";
import type { MaskSpec } from "../../../runtime/abi.js";
import { maskBounds, maskObjections } from "../../../runtime/masks/bounds.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";

const base: MaskSpec = {
  name: "targets", grid: { rows: 8, cols: 7 }, kind: "block", count: 4, scale: [0.15, 0.2], aspect: [0.75, 1.5], ratio: [0.5, 0.5], minKeep: 2, minus: [], sampler: "published",
  allowOverlap: false, trim: "tail",
};
const context: MaskSpec = { ...base, name: "context", count: 1, scale: [0.85, 1], aspect: [1, 1], minus: ["targets"] };
const through = (specs: readonly MaskSpec[], frames: number): readonly MaskSpec[] => specs.map((s) => ({ ...s, grid: { ...s.grid, frames } }));

function rows(specs: readonly MaskSpec[], step: number, batch = 1): ReadonlyMap<string, readonly number[][]> {
  return new Map([...sampleMasks(specs, { seed: 5, step, batch })].map(([name, { count, length, indices }]) => [name, Array.from({ length: count * batch }, (_, i) => [...indices.subarray(i * length, (i + 1) * length)])]));
}

test("blocks, what is left of a block, and quadrants are those of a picture, in every frame", () => {
  const families: readonly (readonly MaskSpec[])[] = [
    [base, context], [{ ...base, sampler: "corrected" }, { ...context, sampler: "corrected" }], [{ ...base, kind: "rasterized", count: 1 }, { ...context, kind: "all" }],
    // So large that the context gives blocks up.
    [{ ...base, scale: [0.4, 0.5] }, { ...context, scale: [0.5, 0.6], minKeep: 12 }],
  ];
  for (const specs of families) {
    for (let step = 0; step < 40; step++) {
      const [plane, clip] = [rows(specs, step, 1), rows(through(specs, 3), step, 1)];
      for (const [name, sets] of plane) expect(clip.get(name), `${name} at ${step}`).toEqual(sets.map((set) => [0, 1, 2].flatMap((frame) => set.map((at) => frame * 56 + at))));
    }
  }
});

test("random positions are drawn among those of all frames", () => {
  const specs = through([{ ...base, kind: "random", count: 1 }, { ...context, kind: "all" }], 4);
  let alike = 0;
  for (let step = 0; step < 20; step++) {
    const drawn = rows(specs, step);
    const [hidden = [], seen = []] = [drawn.get("targets")?.[0], drawn.get("context")?.[0]];
    expect(hidden).toHaveLength(112);
    expect([...hidden, ...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 224 }, (_, i) => i));
    const planes = [0, 1, 2, 3].map((frame) => hidden.filter((at) => Math.floor(at / 56) === frame).map((at) => at % 56).join());
    alike += planes.filter((p) => p === planes[0]).length - 1;
  }
  expect(alike).toBe(0);
});

test("of blocks predicted together, the targets are their union and the context is all else", () => {
  const blocks: MaskSpec = { ...base, name: "blocks", count: 8, sampler: "corrected", trim: "tail" };
  const rest = (name: string, minus: string): MaskSpec => ({ ...base, name, kind: "all", count: 1, minus: [minus] });
  const specs = through([blocks, rest("context", "blocks"), rest("targets", "context")], 2);
  for (let step = 0; step < 60; step++) {
    const drawn = rows(specs, step);
    const union = [...new Set(drawn.get("blocks")?.flat())].sort((a, b) => a - b);
    const [seen = [], hidden = []] = [drawn.get("context")?.[0], drawn.get("targets")?.[0]];
    expect(hidden).toEqual(union);
    expect([...seen, ...hidden].sort((a, b) => a - b)).toEqual(Array.from({ length: 112 }, (_, i) => i));
  }
});

const families: readonly (readonly [string, readonly MaskSpec[]])[] = [
  ["published blocks", [base, context]],
  ["corrected blocks", [{ ...base, sampler: "corrected" }, { ...context, sampler: "corrected" }]],
  ["a share at random, and the rest", [{ ...base, kind: "random", count: 1, ratio: [0.3, 0.6] }, { ...context, kind: "all" }]],
  ["two blocks that cannot cover a frame, and the rest", [{ ...base, count: 2 }, { ...context, kind: "all" }]],
  ["two blocks predicted together", [{ ...base, name: "blocks", count: 2 }, { ...context, kind: "all", minus: ["blocks"] }, { ...context, name: "targets", kind: "all", minus: ["context"] }]],
  ["three quadrants, and the rest", [{ ...base, kind: "rasterized", count: 3 }, { ...context, kind: "all" }]],
];

test.each(families)("no draw is longer than its bounds: %s", (_, plane) => {
  const specs = through(plane, 3);
  expect(maskObjections(specs)).toEqual([]);
  for (const batch of [1, 6]) {
    for (let step = 0; step < 150; step++) {
      for (const [name, { length }] of sampleMasks(specs, { seed: 2, step, batch })) {
        const spec = specs.find((s) => s.name === name) ?? base;
        const { min, max } = maskBounds(spec, specs);
        expect(length, `${name}: ${length} in ${min}..${max}`).toBeGreaterThanOrEqual(min);
        expect(length, `${name}: ${length} in ${min}..${max}`).toBeLessThanOrEqual(max);
        expect(max).toBeLessThanOrEqual(mostPositions(spec, specs));
      }
    }
  }
  // Where all frames are alike, the bounds of a clip are as many times those of a picture, and no looser.
  if (plane.some((s) => s.kind === "random")) return;
  specs.forEach((spec, i) => expect(mostPositions(spec, specs), spec.name).toBe(3 * mostPositions(plane[i] ?? base, plane)));
});

test("of blocks predicted together no more is planned for than they can cover", () => {
  const [, , , , [, plane] = ["", []]] = families;
  const specs = through(plane, 3);
  // Two blocks of at most 12 of 56 places each.
  expect(specs.map((s) => [s.name, mostPositions(s, specs)])).toEqual([["blocks", 3 * 12], ["context", 3 * 50], ["targets", 3 * 24]]);
});

const origin = { file: "m.jepa", start: 0, end: 0 };
const maskOf = ({ grid, ...rest }: MaskSpec): Mask => ({ ...rest, grid: { ...grid, patch: 4, channels: 3 }, origin });

test("what the compiler counts of a clip's masks is what the sampler gives, before and after the cut", () => {
  const cases: readonly (readonly MaskSpec[])[] = [
    [base, context], [{ ...base, kind: "random", count: 1, ratio: [0.5, 0.5] }, { ...context, minKeep: 10 }],
    [{ ...base, sampler: "corrected" }, { ...context, kind: "all", sampler: "corrected" }],
  ];
  for (const plane of cases) {
    const specs = through(plane, 3);
    const masks = specs.map(maskOf);
    const last = masks.at(-1);
    if (last?.grid === undefined) throw new Error("no mask");
    const counted = kept(last, masks, last.grid, 8);
    const [steps, sums] = [250, { one: 0, eight: 0, relaxed: 0 }];
    for (let step = 0; step < steps; step++) {
      const one = sampleMasks(specs, { seed: 3, step, batch: 1 }).get("context");
      sums.one += one?.length ?? 0;
      sums.relaxed += one?.relaxed ?? 0;
      sums.eight += sampleMasks(specs, { seed: 3, step, batch: 8 }).get("context")?.length ?? 0;
    }
    expect(counted?.cells).toBe(168);
    expect(Math.abs((counted?.mean ?? 0) - sums.one / steps), "mean").toBeLessThan(4);
    expect(Math.abs((counted?.trimmed ?? 0) - sums.eight / steps), "after the cut").toBeLessThan(4);
    expect(Math.abs((counted?.relaxes ?? 0) - sums.relaxed / steps), "given up").toBeLessThan(0.04);
    expect(Math.abs(usualLength(last, masks, 8) ?? 0) - sums.eight / steps, "usual").toBeLessThan(4);
  }
});

test("grids of other lengths do not go together, and frames are whole", () => {
  const [targets = base] = through([base], 2);
  expect(maskObjections([targets, { ...context, grid: { ...context.grid, frames: 3 } }]).join()).toMatch(/another grid/);
  expect(maskObjections([targets, context]).join()).toMatch(/another grid/);
  expect(maskObjections(through([base], 1.5)).join()).toMatch(/1.5 × 8 × 7 is not made of whole positions/);
  expect(maskObjections(through([base], 4096)).join()).toMatch(/more than 65536/);
});
