/**
 * Initial values: bits from (seed, name), laws of the distributions, the sine-cosine table against its formula.
 */
import { expect, test } from "vitest";
import type { Initializer } from "../../../runtime/abi.js";
import { initialState, initialValue, sincos2d, sincos3d } from "../../../runtime/train/init.js";
import { fakeManifest } from "./fakes.js";

function draw(init: Initializer, name = "w", seed = 3): Float32Array {
  return initialValue({ name, shape: [100, 200], init }, seed);
}

function moments(values: Float32Array): { mean: number; std: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, std: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) };
}

test("the same seed and name give the same bits, another seed or name gives others", () => {
  const init = { kind: "normal", std: 0.02 } as const;
  expect(draw(init)).toEqual(draw(init));
  expect(draw(init, "w", 4)).not.toEqual(draw(init));
  expect(draw(init, "v")).not.toEqual(draw(init));
});

test("a normal has the mean and deviation asked for", () => {
  const { mean, std } = moments(draw({ kind: "normal", std: 0.02 }));
  expect(Math.abs(mean)).toBeLessThan(0.02 * 4 / Math.sqrt(20000));
  expect(Math.abs(std / 0.02 - 1)).toBeLessThan(0.02);
});

test("a truncated normal stays inside its cut and has the deviation of the closed form", () => {
  const values = draw({ kind: "trunc_normal", std: 1, cut: 1 });
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1);
  // Var of N(0,1) cut at ±1: 1 − 2φ(1)/(2Φ(1)−1) = 0.29112.
  expect(Math.abs(moments(values).std - Math.sqrt(0.291125))).toBeLessThan(0.01);
});

test("a normal cut far inside its deviation is nearly uniform, and does not take for ever", () => {
  const values = draw({ kind: "trunc_normal", std: 1, cut: 1e-7 });
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(Math.fround(1e-7));
  expect(Math.abs(moments(values).std / (1e-7 / Math.sqrt(3)) - 1)).toBeLessThan(0.02);
  // Var of N(0,1) cut at ±0.9: 1 − 2·0.9·φ(0.9)/(2Φ(0.9)−1) = 0.24202.
  expect(Math.abs(moments(draw({ kind: "trunc_normal", std: 1, cut: 0.9 })).std - Math.sqrt(0.24202))).toBeLessThan(0.01);
});

test("the table of clips codes frame, row and column in that order, and is cut off at its width", () => {
  // Written apart, as the published one is made: three tables of one dimension side by side, then the first `width` columns.
  const line = (place: number, size: number): number[] => {
    const angles = Array.from({ length: size / 2 }, (_, k) => place / 10000 ** (k / (size / 2)));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  };
  for (const width of [10, 16, 32, 48, 1024]) {
    const each = 2 * Math.ceil(width / 6);
    const wanted: number[] = [];
    for (let f = 0; f < 3; f++) for (let r = 0; r < 4; r++) for (let c = 0; c < 5; c++) wanted.push(...[...line(f, each), ...line(r, each), ...line(c, each)].slice(0, width));
    const table = sincos3d(3, 4, 5, width);
    expect(table.length).toBe(wanted.length);
    expect(Math.max(...table.map((x, i) => Math.abs(x - (wanted[i] ?? NaN))))).toBeLessThan(1e-7);
    expect(initialValue({ name: "pos_embed", shape: [60, width], init: { kind: "sincos3d", frames: 3, rows: 4, cols: 5 } }, 1)).toEqual(table);
    // Of the narrowest too: no two places have one code.
    expect(new Set(Array.from({ length: 60 }, (_, at) => table.subarray(at * width, (at + 1) * width).join())).size).toBe(60);
  }
  expect(() => sincos3d(2, 2, 2, 8)).toThrow(/even width of at least 10/);
});

test("the table of a picture is repeated for every row of tubes", () => {
  const [plane, clip] = [sincos2d(3, 4, 8), initialValue({ name: "pos_embed", shape: [24, 8], init: { kind: "sincos2d", rows: 3, cols: 4, frames: 2 } }, 1)];
  expect([...clip]).toEqual([...plane, ...plane]);
  expect(() => initialValue({ name: "pos_embed", shape: [25, 8], init: { kind: "sincos2d", rows: 3, cols: 4, frames: 2 } }, 1)).toThrow(/2 by 3 by 4 places/);
});

test("xavier takes its bound from the last two axes", () => {
  const bound = Math.sqrt(6 / 300);
  const values = draw({ kind: "xavier_uniform" });
  expect(Math.max(...values)).toBeLessThanOrEqual(bound);
  expect(Math.max(...values)).toBeGreaterThan(bound * 0.99);
  expect(Math.abs(moments(values).std - bound / Math.sqrt(3))).toBeLessThan(0.002);
});

test("constants are constant", () => {
  expect(new Set(draw({ kind: "zeros" }))).toEqual(new Set([0]));
  expect(new Set(draw({ kind: "ones" }))).toEqual(new Set([1]));
  expect(new Set(draw({ kind: "constant", value: 0.5 }))).toEqual(new Set([0.5]));
});

test("the sine-cosine table codes the column first, sines before cosines", () => {
  const [rows, cols, width] = [3, 5, 16];
  const table = sincos2d(rows, cols, width);
  const code = (position: number, channel: number): number => {
    const d = width / 2;
    const k = channel % (d / 2);
    const angle = position / Math.pow(10000, (2 * k) / d);
    return channel < d / 2 ? Math.sin(angle) : Math.cos(angle);
  };
  for (let token = 0; token < rows * cols; token++) {
    for (let channel = 0; channel < width; channel++) {
      const expected = channel < width / 2 ? code(token % cols, channel) : code(Math.floor(token / cols), channel - width / 2);
      expect(Math.abs((table[token * width + channel] ?? NaN) - expected)).toBeLessThan(6e-8);
    }
  }
  expect(table[0]).toBe(0);
  expect(table[width / 4]).toBe(1);
});

test("a table parameter finds its width in its shape, and a width that is no multiple of 4 is refused", () => {
  const init = { kind: "sincos2d", rows: 2, cols: 2 } as const;
  expect(initialValue({ name: "p", shape: [1, 4, 8], init }, 0)).toEqual(sincos2d(2, 2, 8));
  expect(() => initialValue({ name: "p", shape: [1, 4, 6], init }, 0)).toThrow(/multiple of 4/);
});

test("a moving average starts as a copy of what it follows, in memory of its own", () => {
  const state = initialState(fakeManifest(), 7);
  expect(state.get("teacher.weight")).toEqual(state.get("student.weight"));
  expect(state.get("teacher.weight")).not.toBe(state.get("student.weight"));
});

test("a circle of followers is refused instead of walked forever", () => {
  const [first, second] = fakeManifest().parameters;
  if (first === undefined || second === undefined) throw new Error("the fake has two parameters");
  expect(() => initialState({ parameters: [{ ...first, follows: "teacher.weight" }, second] }, 1)).toThrow(/follows itself/);
});
