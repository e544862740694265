/**
 * The most positions of a mask, which memory is planned for: no draw of the runtime's samplers is longer, and its own bounds
 * are not above it. The fewest that are told are no more than any draw has.
 */
import { expect, test } from "vitest";
import { mostPositions, positionBounds } from "../../../compiler/masks/longest.js";
import type { MaskSpec } from "../../../runtime/abi.js";
import { maskBounds } from "../../../runtime/masks/bounds.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";

const base: MaskSpec = {
  name: "targets", grid: { rows: 14, cols: 14 }, kind: "block", count: 4, scale: [0.15, 0.2], aspect: [0.75, 1.5], ratio: [0, 0], minKeep: 10, minus: [], sampler: "published",
  allowOverlap: false, trim: "tail",
};
const less = (name: string, kind: MaskSpec["kind"], more: Partial<MaskSpec> = {}): MaskSpec => ({ ...base, name, kind, count: 1, minus: ["targets"], ...more });
const context = less("context", "block", { scale: [0.85, 1], aspect: [1, 1] });

const families: readonly (readonly [string, readonly MaskSpec[], Readonly<Record<string, number>>])[] = [
  ["published blocks on 14 x 14: the context misses a row and a column", [base, context], { context: 169 }],
  ["corrected blocks", [{ ...base, sampler: "corrected" }, { ...context, sampler: "corrected" }], { context: 196 }],
  ["blocks on an oblong grid", [{ ...base, grid: { rows: 6, cols: 11 }, minKeep: 2 }, { ...context, grid: { rows: 6, cols: 11 }, minKeep: 2 }], { context: 40 }],
  ["stretches of a line: a block has a length alone", [{ ...base, grid: { rows: 1, cols: 40 }, minKeep: 2 }, { ...context, grid: { rows: 1, cols: 40 }, minKeep: 2 }], { targets: 7, context: 39 }],
  ["stretches of a column, corrected", [{ ...base, sampler: "corrected", grid: { rows: 40, cols: 1 }, minKeep: 2 }, { ...context, sampler: "corrected", grid: { rows: 40, cols: 1 }, minKeep: 2 }], { targets: 8 }],
  ["three quarters at random, and the rest", [less("targets", "random", { minus: [], ratio: [0.75, 0.75] }), less("context", "complement")], { targets: 147, context: 49 }],
  ["a range of shares, and the rest", [less("targets", "random", { minus: [], ratio: [0.3, 0.6], sampler: "corrected" }), less("context", "all")], { context: 137 }],
  ["two blocks that cannot cover the grid, and the rest", [{ ...base, count: 2 }, less("context", "all")], { context: 166 }],
  ["four blocks that might", [{ ...base, count: 8 }, less("context", "all")], { context: 196 }],
  ["three quadrants, and the rest", [less("targets", "rasterized", { minus: [], count: 3, grid: { rows: 7, cols: 6 } }), less("context", "all", { grid: { rows: 7, cols: 6 } })], { targets: 12 }],
];

test.each(families)("%s", (_, specs, known) => {
  const bounds = new Map(specs.map((s) => [s.name, mostPositions(s, specs)]));
  const longest = new Map<string, number>();
  const shortest = new Map<string, number>();
  for (let step = 0; step < 400; step++) {
    for (const [name, { length }] of sampleMasks(specs, { seed: 1, step, batch: 1 })) {
      longest.set(name, Math.max(longest.get(name) ?? 0, length));
      shortest.set(name, Math.min(shortest.get(name) ?? Infinity, length));
    }
  }
  for (const spec of specs) {
    const bound = bounds.get(spec.name) ?? 0;
    console.info(`${spec.name}: ${longest.get(spec.name)} drawn, at most ${bound} of ${spec.grid.rows * spec.grid.cols}`);
    expect(longest.get(spec.name)).toBeLessThanOrEqual(bound);
    expect(maskBounds(spec, specs).max).toBeLessThanOrEqual(bound);
    const { least, most } = positionBounds(spec, specs);
    expect(most).toBe(bound);
    expect(least).toBeGreaterThan(0);
    expect(shortest.get(spec.name)).toBeGreaterThanOrEqual(least);
  }
  for (const [name, bound] of Object.entries(known)) expect(bounds.get(name), name).toBe(bound);
});
