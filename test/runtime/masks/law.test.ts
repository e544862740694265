/** The size law against the published tables (I-JEPA facts, 2.3) and against 20,000 draws of the generator itself. */
import { expect, test } from "vitest";
import { Mt19937 } from "../../../runtime/base/mt19937.js";
import { stream } from "../../../runtime/base/random.js";
import { correctedSize, isAcceptable, publishedSize, roundHalfEven, sizeLaw } from "../../../runtime/masks/law.js";
import { ijepa, mask } from "./specs.js";

const SEEDS = 20_000;

/** Target sizes of the published configurations by grid: [height, width, frequency over 20,000 seeds]. */
const TABLE: ReadonlyMap<number, readonly (readonly [number, number, number])[]> = new Map([
  [8, [[3, 3, 0.484], [4, 3, 0.516]]],
  [14, [[5, 6, 0.268], [6, 5, 0.128], [6, 6, 0.214], [7, 5, 0.365], [8, 5, 0.026]]],
  [16, [[5, 7, 0.048], [6, 6, 0.017], [6, 7, 0.278], [7, 6, 0.287], [8, 6, 0.296], [9, 6, 0.073]]],
  [28, [[9, 12, 0.019], [10, 12, 0.171], [11, 11, 0.047], [11, 12, 0.112], [12, 11, 0.172], [13, 11, 0.168], [14, 10, 0.065], [14, 11, 0.104], [15, 10, 0.142]]],
]);

test("the exact law is the published table within its simulation error", () => {
  for (const [side, rows] of TABLE) {
    const law = sizeLaw(ijepa(side)[0]);
    expect(law.sizes.map((size) => [size.height, size.width])).toEqual(rows.map(([h, w]) => [h, w]));
    law.sizes.forEach((size, i) => {
      const [, , frequency = 0] = rows[i] ?? [];
      expect(Math.abs(size.probability - frequency), `${side}: ${size.height}x${size.width} ${size.probability}`).toBeLessThan(0.0005 + 4 * Math.sqrt((frequency * (1 - frequency)) / SEEDS));
    });
    expect(law.sizes.reduce((sum, size) => sum + size.probability, 0)).toBeCloseTo(1, 12);
  }
});

test("the mean target lengths are those of the table", () => {
  for (const [side, mean] of [[8, 10.5], [14, 33.4], [16, 44.2], [28, 136.2]] as const) {
    const law = sizeLaw(ijepa(side)[0]);
    expect(law.sizes.reduce((sum, size) => sum + size.probability * size.height * size.width, 0)).toBeCloseTo(mean, 0);
  }
});

test("drawing the first 20,000 seeds gives the law's shares", () => {
  for (const side of [8, 14, 16, 28]) {
    const [targets, context] = ijepa(side);
    const seen = new Map<string, number>();
    const seenContext = new Map<string, number>();
    for (let seed = 0; seed < SEEDS; seed++) {
      const generator = new Mt19937(seed);
      const size = publishedSize(targets, generator.uniform24());
      const other = publishedSize(context, generator.uniform24());
      seen.set(`${size.height}x${size.width}`, (seen.get(`${size.height}x${size.width}`) ?? 0) + 1);
      seenContext.set(`${other.height}x${other.width}`, (seenContext.get(`${other.height}x${other.width}`) ?? 0) + 1);
    }
    for (const [spec, counts] of [[targets, seen], [context, seenContext]] as const) {
      const law = sizeLaw(spec);
      expect(counts.size).toBe(law.sizes.length);
      for (const { height, width, probability } of law.sizes) {
        const share = (counts.get(`${height}x${width}`) ?? 0) / SEEDS;
        expect(Math.abs(share - probability)).toBeLessThan(0.0002 + 4 * Math.sqrt((probability * (1 - probability)) / SEEDS));
      }
    }
  }
});

test("the context block is a constant on the published grids of 224-pixel images", () => {
  for (const [side, block] of [[8, 7], [14, 13], [16, 15]] as const) {
    expect(sizeLaw(ijepa(side)[1]).sizes).toEqual([{ height: block, width: block, probability: 1 }]);
  }
  const large = sizeLaw(ijepa(28)[1]).sizes;
  expect(large.map((size) => size.height)).toEqual([26, 27]);
  expect(large[1]?.probability).toBeCloseTo(0.688, 2);
});

test("the share of batches that hang is known without drawing: all on 6x6, 89 % on 7x7, 48 % on 8x8, none from 9x9", () => {
  expect(sizeLaw(ijepa(4)[0]).hangs).toBe(1);
  expect(sizeLaw(ijepa(6)[0]).hangs).toBe(1);
  expect(sizeLaw(ijepa(7)[0]).hangs).toBeCloseTo(0.89, 2);
  expect(sizeLaw(ijepa(8)[0]).hangs).toBeCloseTo(0.484, 2);
  for (const side of [9, 10, 12, 14, 16, 28]) expect(sizeLaw(ijepa(side)[0]).hangs).toBe(0);
});

test("area and aspect go together in the published law and are independent in the corrected one", () => {
  const published = sizeLaw(ijepa(16)[0]).sizes;
  const corrected = sizeLaw(ijepa(16, { sampler: "corrected" })[0]).sizes;
  expect(corrected.length).toBeGreaterThan(published.length);
  // Small and tall, large and wide: impossible when one number drives both.
  for (const [height, width] of [[8, 5], [6, 8]] as const) {
    expect(corrected.some((size) => size.height === height && size.width === width)).toBe(true);
    expect(published.some((size) => size.height === height && size.width === width)).toBe(false);
  }
});

test("the corrected law is what its sampler draws", () => {
  for (const spec of [mask("t", "block", 12, { sampler: "corrected", scale: [0.05, 0.4], aspect: [0.3, 3], minKeep: 12 }), mask("c", "block", 8, { sampler: "corrected", scale: [0.85, 1], aspect: [1, 1] })]) {
    const law = sizeLaw(spec);
    const draws = stream(11, "test");
    const counts = new Map<string, number>();
    let kept = 0;
    for (let i = 0; i < 60_000; i++) {
      const size = correctedSize(spec, draws.uniform(), draws.uniform());
      if (!isAcceptable(spec, size)) continue;
      kept++;
      counts.set(`${size.height}x${size.width}`, (counts.get(`${size.height}x${size.width}`) ?? 0) + 1);
    }
    for (const { height, width, probability } of law.sizes) {
      expect(Math.abs((counts.get(`${height}x${width}`) ?? 0) / kept - probability)).toBeLessThan(1e-4 + 4.5 * Math.sqrt(probability / kept));
    }
    expect(law.sizes.reduce((sum, size) => sum + size.probability, 0)).toBeCloseTo(1, 10);
  }
});

test("the corrected context can be the whole grid", () => {
  expect(sizeLaw(mask("c", "block", 8, { sampler: "corrected", scale: [1, 1], aspect: [1, 1] })).sizes).toEqual([{ height: 8, width: 8, probability: 1 }]);
});

test("halves are rounded to even", () => {
  expect([0.5, 1.5, 2.5, 3.5, 2.4999, 2.5001].map(roundHalfEven)).toEqual([0, 2, 2, 4, 2, 3]);
});
