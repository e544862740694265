/** The samplers against the published tables (I-JEPA facts, 2.4) and the properties that programs rely on. */
import { expect, test } from "vitest";
import type { MaskSpec } from "../../../runtime/abi.js";
import { HostError } from "../../../runtime/base/errors.js";
import { maskBounds, maskObjections } from "../../../runtime/masks/bounds.js";
import { sampleMasks, type MaskDraw } from "../../../runtime/masks/sample.js";
import { ijepa, mask } from "./specs.js";

function draw(specs: readonly MaskSpec[], step: number, batch: number, seed = 0): (name: string) => MaskDraw {
  const drawn = sampleMasks(specs, { seed, step, batch });
  return (name) => {
    const found = drawn.get(name);
    if (found === undefined) throw new Error(`no mask ${name}`);
    return found;
  };
}

function row(draws: MaskDraw, batch: number, m: number, b: number): number[] {
  const at = (m * batch + b) * draws.length;
  return Array.from(draws.indices.subarray(at, at + draws.length));
}

test("trimmed context lengths are those of the release", () => {
  // Expected: a second program of the published rules, written apart from this one, 250 to 1500 batches each. The table in
  // the I-JEPA facts (2.4: 70.3, 83.9, 51.2, 275.6) lies 1 to 3 % above both programs, for a reason not known; it is held to
  // 5 %. A user's log of ViT-H/14 at batch 112 prints 68.8.
  for (const [side, batch, steps, expected, error, table] of [
    [16, 128, 200, 68.4, 1, 70.3],
    [16, 16, 600, 80.9, 0.7, 83.9],
    [14, 128, 200, 51.1, 1, 51.2],
    [28, 16, 300, 269.2, 4, 275.6],
  ] as const) {
    let sum = 0;
    for (let step = 0; step < steps; step++) sum += draw(ijepa(side), step, batch)("context").length;
    expect(Math.abs(sum / steps - expected), `${side}x${side}, batch ${batch}: ${sum / steps}`).toBeLessThan(2.5 * error);
    expect(Math.abs(sum / steps / table - 1)).toBeLessThan(0.05);
  }
});

test("cutting tails starves the bottom rows just as in the release, and raw rows are symmetric", () => {
  const expected = [0.77, 0.64, 0.53, 0.43, 0.34, 0.26, 0.22, 0.21, 0.2, 0.21, 0.2, 0.18, 0.12, 0.06, 0.02, 0];
  const raw = [0.77, 0.64, 0.53, 0.44, 0.36, 0.31, 0.28, 0.27, 0.28, 0.31, 0.37, 0.44, 0.54, 0.65, 0.78, 0];
  const share = (batch: number, steps: number): number[] => {
    const counts = new Float64Array(16);
    for (let step = 0; step < steps; step++) for (const at of draw(ijepa(16), step, batch, 3)("context").indices) counts[Math.floor(at / 16)] = (counts[Math.floor(at / 16)] ?? 0) + 1;
    return Array.from(counts, (count) => count / (steps * batch * 16));
  };
  share(128, 100).forEach((value, r) => expect(Math.abs(value - (expected[r] ?? 0)), `row ${r}: ${value}`).toBeLessThan(0.03));
  share(1, 6000).forEach((value, r) => expect(Math.abs(value - (raw[r] ?? 0)), `raw row ${r}: ${value}`).toBeLessThan(0.03));
});

test("the published sampler never touches the last row and column; the corrected one does", () => {
  for (const [sampler, reached] of [["published", false], ["corrected", true]] as const) {
    const used = { targets: new Set<number>(), context: new Set<number>() };
    for (let step = 0; step < 60; step++) {
      const drawn = draw(ijepa(14, { sampler }), step, 32);
      for (const name of ["targets", "context"] as const) for (const at of drawn(name).indices) used[name].add(at);
    }
    for (const set of [used.targets, used.context]) {
      expect([...set].some((at) => Math.floor(at / 14) === 13)).toBe(reached);
      expect([...set].some((at) => at % 14 === 13)).toBe(reached);
    }
  }
});

test("rows are set-major, ascending, in the grid, and target rows are rectangles of one size", () => {
  const batch = 6;
  const drawn = draw(ijepa(14), 5, batch);
  const targets = drawn("targets");
  expect(targets.count).toBe(4);
  expect(targets.indices.length).toBe(4 * batch * targets.length);
  const sizes = new Set<string>();
  for (let m = 0; m < 4; m++) {
    for (let b = 0; b < batch; b++) {
      const list = row(targets, batch, m, b);
      expect([...list].sort((x, y) => x - y)).toEqual(list);
      const rows = new Set(list.map((at) => Math.floor(at / 14)));
      const cols = new Set(list.map((at) => at % 14));
      expect(rows.size * cols.size).toBe(list.length);
      sizes.add(`${rows.size}x${cols.size}`);
    }
  }
  expect(sizes.size).toBe(1);
});

test("rows of every kind are ascending, cut or thinned too", () => {
  const specs = [
    mask("random", "random", 14, { count: 2, ratio: [0.3, 0.7] }), mask("quadrants", "rasterized", 14, { count: 2 }), mask("rest", "all", 14, { minus: ["quadrants"] }),
    mask("block", "block", 14, { scale: [0.6, 0.8], sampler: "corrected", trim: "random", minus: ["random"], minKeep: 1 }),
  ];
  for (let step = 0; step < 10; step++) {
    for (const [name, draws] of sampleMasks(specs, { seed: 2, step, batch: 3 })) {
      for (let m = 0; m < draws.count; m++) for (let b = 0; b < 3; b++) expect(row(draws, 3, m, b), name).toEqual([...new Set(row(draws, 3, m, b))].sort((x, y) => x - y));
    }
  }
});

test("where no try keeps enough, a corrected block takes the place that keeps most", () => {
  // One quadrant is free, and exactly one of 64 places of the block is that quadrant.
  const specs = [mask("taken", "rasterized", 14, { count: 3 }), mask("block", "block", 14, { scale: [0.25, 0.25], aspect: [1, 1], sampler: "corrected", minus: ["taken"], minKeep: 48 })];
  for (let step = 0; step < 30; step++) expect(draw(specs, step, 1, 5)("block").length).toBe(49);
});

test("an image's rows do not depend on the batch around it", () => {
  const small = draw(ijepa(14), 5, 2, 9)("targets");
  const large = draw(ijepa(14), 5, 8, 9)("targets");
  for (let m = 0; m < 4; m++) for (let b = 0; b < 2; b++) expect(row(large, 8, m, b)).toEqual(row(small, 2, m, b));
});

test("a context shares no position with its image's targets unless the sampler says that it gave up", () => {
  for (const sampler of ["published", "corrected"] as const) {
    for (let step = 0; step < 30; step++) {
      const drawn = draw(ijepa(14, { sampler }), step, 16);
      expect(drawn("context").relaxed).toBe(0);
      for (let b = 0; b < 16; b++) {
        const covered = new Set([0, 1, 2, 3].flatMap((m) => row(drawn("targets"), 16, m, b)));
        expect(row(drawn("context"), 16, 0, b).filter((at) => covered.has(at))).toEqual([]);
      }
    }
  }
});

test("large published targets make the context give up complements, and the draw says so", () => {
  let relaxed = 0;
  for (let step = 0; step < 60; step++) relaxed += draw(ijepa(14, { scale: [0.45, 0.5], minKeep: 10 }).map((spec) => (spec.name === "context" ? { ...spec, scale: [0.5, 0.6] as const } : spec)), step, 32)("context").relaxed;
  expect(relaxed).toBeGreaterThan(0);
});

test("the same key draws the same masks; seed, step and image all matter; published sizes hang on the step alone", () => {
  const one = draw(ijepa(14), 3, 8, 1);
  expect(draw(ijepa(14), 3, 8, 1)("targets").indices).toEqual(one("targets").indices);
  expect(draw(ijepa(14), 3, 8, 1)("context").indices).toEqual(one("context").indices);
  expect(draw(ijepa(14), 3, 8, 2)("targets").indices).not.toEqual(one("targets").indices);
  expect(draw(ijepa(14), 3, 8, 2)("targets").length).toBe(one("targets").length);
  expect(row(one("targets"), 8, 0, 0)).not.toEqual(row(one("targets"), 8, 0, 1));
  // Seed 0 draws u = 0.49626: 14·14·0.17481 = 34.26 -> 34, aspect 1.12219 -> 6 × 6 (I-JEPA facts, 2.1).
  expect(draw(ijepa(14), 0, 1)("targets").length).toBe(36);
});

test("a size that can never be accepted is an error that names everything, not an endless loop", () => {
  let refused = 0;
  for (let step = 0; step < 40; step++) {
    try {
      draw(ijepa(8), step, 4);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      expect(error.code).toBe("bad-mask");
      expect(error.message).toMatch(/'targets' at step \d+: a block of 3 × 3 on the 8 × 8 grid .*min_keep = 10/);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(8);
  expect(refused).toBeLessThan(32);
  expect(maskObjections(ijepa(8)).join("\n")).toMatch(/'targets': in 48 % of batches/);
  expect(maskObjections(ijepa(6)).join("\n")).toMatch(/in 100 % of batches/);
  expect(maskObjections(ijepa(14))).toEqual([]);
  expect(() => draw(ijepa(4, { sampler: "corrected" }), 0, 1)).toThrow(/min_keep = 10/);
});

test("random hides the given share, and the rest is the context", () => {
  const specs = [mask("targets", "random", 14, { ratio: [0.6, 0.6] }), mask("context", "all", 14, { minus: ["targets"] })];
  const drawn = draw(specs, 2, 5);
  expect(drawn("targets").length).toBe(196 - Math.trunc(196 * 0.4));
  expect(drawn("context").length).toBe(Math.trunc(196 * 0.4));
  for (let b = 0; b < 5; b++) expect([...row(drawn("targets"), 5, 0, b), ...row(drawn("context"), 5, 0, b)].sort((x, y) => x - y)).toEqual(Array.from({ length: 196 }, (_, i) => i));
  const lengths = new Set(Array.from({ length: 50 }, (_, step) => draw([mask("t", "random", 14, { ratio: [0.4, 0.6] })], step, 1)("t").length));
  expect(lengths.size).toBeGreaterThan(10);
});

test("three rasterized quadrants and their complement tile the grid, and every quadrant gets to be the context", () => {
  const specs = [mask("targets", "rasterized", 14, { count: 3 }), mask("context", "complement", 14, { minus: ["targets"] })];
  const seen = new Set<number>();
  for (let step = 0; step < 20; step++) {
    const drawn = draw(specs, step, 3);
    expect(drawn("targets").length).toBe(49);
    for (let b = 0; b < 3; b++) {
      const context = row(drawn("context"), 3, 0, b);
      seen.add(context[0] ?? -1);
      const all = [...context, ...[0, 1, 2].flatMap((m) => row(drawn("targets"), 3, m, b))];
      expect(new Set(all).size).toBe(196);
    }
  }
  expect(seen).toEqual(new Set([0, 7, 98, 105]));
});

test("a random trim keeps the bottom rows as often as the top ones", () => {
  const counts = new Float64Array(14);
  for (let step = 0; step < 200; step++) for (const at of draw(ijepa(14, { sampler: "corrected", trim: "random" }), step, 64)("context").indices) counts[Math.floor(at / 14)] = (counts[Math.floor(at / 14)] ?? 0) + 1;
  for (let r = 0; r < 7; r++) expect(Math.abs((counts[r] ?? 0) / (counts[13 - r] ?? 0) - 1), `rows ${r} and ${13 - r}`).toBeLessThan(0.06);
});

test("every length lies in its static bounds, and the bounds are not idle", () => {
  const programs: readonly (readonly MaskSpec[])[] = [
    ijepa(14),
    ijepa(16),
    ijepa(14, { sampler: "corrected", trim: "random" }),
    ijepa(14, { allowOverlap: true }),
    ijepa(9, { scale: [0.3, 0.5] }).map((spec) => (spec.name === "context" ? { ...spec, scale: [0.6, 1] as const } : spec)),
    [mask("t", "random", 7, { ratio: [0.2, 0.9] }), mask("c", "all", 7, { minus: ["t"] })],
    [mask("t", "rasterized", 7, { count: 3 }), mask("c", "all", 7, { minus: ["t"] })],
    [mask("t", "block", 10, { scale: [0.6, 0.6], aspect: [0.75, 1.5] }), mask("c", "all", 10, { minus: ["t"] })],
    [mask("a", "block", 12), mask("b", "random", 12, { ratio: [0.3, 0.5], minus: ["a"] }), mask("c", "block", 12, { scale: [0.8, 1], aspect: [1, 1], minus: ["a", "b"] })],
  ];
  for (const specs of programs) {
    for (const batch of [1, 8]) {
      for (let step = 0; step < 150; step++) {
        const drawn = draw(specs, step, batch, 4);
        for (const spec of specs) {
          const { min, max } = maskBounds(spec, specs);
          const { length } = drawn(spec.name);
          expect(length, `${spec.name} of ${spec.grid.rows}: ${length} in ${min}..${max}`).toBeGreaterThanOrEqual(min);
          expect(length, `${spec.name} of ${spec.grid.rows}: ${length} in ${min}..${max}`).toBeLessThanOrEqual(max);
        }
      }
    }
  }
  const [targets, context] = ijepa(14);
  expect(maskBounds(targets, ijepa(14))).toEqual({ min: 30, max: 40 });
  expect(maskBounds(context, ijepa(14))).toEqual({ min: 11, max: 139 });
});

test("specs that make no sense are refused in words", () => {
  const cases: readonly (readonly [readonly MaskSpec[], RegExp])[] = [
    [[mask("c", "all", 8, { minus: ["t"] })], /no such mask/],
    [[mask("c", "all", 8, { minus: ["d"] }), mask("d", "all", 8, { minus: ["c"] })], /taken out of itself/],
    [[mask("c", "all", 8), mask("c", "all", 8)], /one name/],
    [[mask("c", "all", 1e9)], /more than 65536/],
    [[mask("c", "all", 1.5)], /whole positions/],
    [[mask("c", "block", 14, { scale: [0.5, 0.2] })], /scale lies in/],
    [[mask("c", "block", 14, { aspect: [0, 1] })], /aspect is positive/],
    [[mask("c", "random", 14, { ratio: [0.5, 1.2] })], /ratio lies in/],
    [[mask("c", "rasterized", 14, { count: 5 })], /four quadrants/],
    [[mask("c", "all", 8, { count: 0 })], /count is a whole number/],
    [[mask("t", "all", 8), mask("c", "all", 9, { minus: ["t"] })], /another grid/],
  ];
  for (const [specs, words] of cases) {
    expect(maskObjections(specs).join("\n")).toMatch(words);
    expect(() => sampleMasks(specs, { seed: 0, step: 0, batch: 1 })).toThrow(words);
  }
});

test("a batch of no images is refused with words about the batch", () => {
  for (const batch of [0, -1, 1.5]) {
    let refusal: unknown;
    try {
      sampleMasks([mask("c", "all", 8)], { seed: 1, step: 0, batch });
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: "bad-mask", message: expect.stringContaining(`at least one image, not ${batch}`), help: "give a batch that is a whole number from 1" });
  }
});
