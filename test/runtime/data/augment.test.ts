/** Resampling and color against closed forms, crops against their law, and arguments that make no sense. */
import sharp from "sharp";
import { expect, test } from "vitest";
import { stream } from "../../../runtime/base/random.js";
import { applyView, compileView, IMAGENET_MEAN, IMAGENET_STD } from "../../../runtime/data/augment.js";
import { blur, brightness, contrast, hue, mirror, saturation, solarize } from "../../../runtime/data/color.js";
import { centerWindow, randomWindow, resample, wholeWindow } from "../../../runtime/data/resample.js";
import type { RawImage } from "../../../runtime/data/source.js";
import { drawPicture } from "../../../runtime/data/synthetic.js";
import { view } from "./helpers.js";

const key = { seed: 1, step: 2, slot: 3 };

function apply(image: RawImage, side: number, transforms: Parameters<typeof view>[1], at = key): Float32Array {
  const out = new Float32Array(side * side * 3);
  applyView(compileView(view(side, transforms), [0, 0, 0], [1, 1, 1]), image, at, out, 0);
  return out;
}

test("a picture of the right size without transforms is only normalized", () => {
  const image = drawPicture(1, 2, 16);
  const out = new Float32Array(16 * 16 * 3);
  applyView(compileView(view(16), IMAGENET_MEAN, IMAGENET_STD), image, key, out, 0);
  image.data.forEach((value, i) => expect(out[i]).toBeCloseTo((value / 255 - (IMAGENET_MEAN[i % 3] ?? 0)) / (IMAGENET_STD[i % 3] ?? 1), 5));
});

test("halving averages with a triangle of width four, and a constant stays constant at any size", () => {
  const ramp = { width: 8, height: 1, channels: 3 as const, data: Uint8Array.from({ length: 24 }, (_, i) => 10 * Math.floor(i / 3)) };
  const half = resample(ramp, wholeWindow(ramp), 4, 1);
  // Weights 1/8 3/8 3/8 1/8 inside; at the border the missing tap is left out and the rest scaled up.
  expect(half[3]).toBeCloseTo((10 + 3 * 20 + 3 * 30 + 40) / 8, 4);
  expect(half[0]).toBeCloseTo((3 * 0 + 3 * 10 + 20) / 7, 4);
  const flat = { width: 7, height: 5, channels: 3 as const, data: new Uint8Array(105).fill(77) };
  for (const [w, h] of [[3, 2], [7, 5], [20, 31], [1, 1]] as const) for (const value of resample(flat, wholeWindow(flat), w, h)) expect(value).toBeCloseTo(77, 3);
});

test("enlarging interpolates between pixel centers and repeats the border", () => {
  const two = { width: 2, height: 1, channels: 3 as const, data: Uint8Array.from([0, 0, 0, 100, 100, 100]) };
  const out = resample(two, wholeWindow(two), 4, 1);
  expect([out[0], out[3], out[6], out[9]].map((value) => Math.round(value ?? -1))).toEqual([0, 25, 75, 100]);
});

test("resizing agrees with an image library's bilinear reduction to within a few levels", async () => {
  const image = { ...drawPicture(5, 6, 96), channels: 3 as const };
  const ours = resample(image, wholeWindow(image), 24, 24);
  const theirs = await sharp(image.data, { raw: { width: 96, height: 96, channels: 3 } }).resize(24, 24, { kernel: "linear" }).raw().toBuffer();
  let worst = 0;
  ours.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - (theirs[i] ?? 0)))));
  expect(worst).toBeLessThan(12);
});

test("random resized crops follow torchvision's law", () => {
  const source = { width: 200, height: 160 };
  const draws = stream(9, "test");
  const n = 20_000;
  let area = 0;
  let logAspect = 0;
  let corners = 0;
  for (let i = 0; i < n; i++) {
    const w = randomWindow(source, [0.3, 0.5], [3 / 4, 4 / 3], draws);
    expect(w.left >= 0 && w.top >= 0 && w.left + w.width <= 200 && w.top + w.height <= 160).toBe(true);
    area += (w.width * w.height) / 32000;
    logAspect += Math.log(w.width / w.height);
    if (w.top + w.height === 160) corners++;
  }
  expect(area / n).toBeCloseTo(0.4, 2);
  expect(logAspect / n).toBeCloseTo(0, 2);
  expect(corners).toBeGreaterThan(0);
});

test("a crop that never fits falls back to the largest centered window in range", () => {
  const draws = stream(9, "test");
  expect(randomWindow({ width: 100, height: 10 }, [1, 1], [3 / 4, 4 / 3], draws)).toEqual({ left: 43, top: 0, width: 13, height: 10 });
  expect(randomWindow({ width: 10, height: 100 }, [1, 1], [3 / 4, 4 / 3], draws)).toEqual({ left: 0, top: 43, width: 10, height: 13 });
  expect(centerWindow({ width: 300, height: 200 }, 224, 224)).toEqual({ left: 50, top: 0, width: 200, height: 200 });
});

test("the draws of a view depend on seed, step and slot, and on nothing else", () => {
  const image = drawPicture(1, 1, 32);
  const crop = [{ name: "random_resized_crop", args: { scale: [0.3, 1] } }];
  const base = apply(image, 32, crop);
  expect(apply(image, 32, crop)).toEqual(base);
  for (const other of [{ ...key, seed: 2 }, { ...key, step: 9 }, { ...key, slot: 9 }]) expect(apply(image, 32, crop, other)).not.toEqual(base);
});

test("a flip mirrors, and twice is nothing", () => {
  const image = drawPicture(1, 1, 8);
  const plain = apply(image, 8, []);
  const flipped = apply(image, 8, [{ name: "flip", args: { p: 1 } }]);
  for (let r = 0; r < 8; r++) for (let c = 0; c < 8; c++) expect(flipped[(r * 8 + c) * 3]).toBe(plain[(r * 8 + 7 - c) * 3]);
  expect(apply(image, 8, [{ name: "flip", args: { p: 1 } }, { name: "flip", args: { p: 1 } }])).toEqual(plain);
  const odd = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
  mirror(odd, 3, 3, 1);
  expect(odd).toEqual(Float32Array.of(7, 8, 9, 4, 5, 6, 1, 2, 3));
});

test("changes of color are those of their definitions", () => {
  const pixel = (): Float32Array => Float32Array.of(200, 100, 50);
  const changed = (change: (data: Float32Array) => void): number[] => {
    const data = pixel();
    change(data);
    return Array.from(data, (value) => Math.round(value * 10) / 10);
  };
  const gray = 0.299 * 200 + 0.587 * 100 + 0.114 * 50;
  expect(changed((data) => brightness(data, 1.5))).toEqual([255, 150, 75]);
  expect(changed((data) => saturation(data, 0))).toEqual([124.2, 124.2, 124.2]);
  expect(changed((data) => contrast(data, 3, 0.5))).toEqual([200, 100, 50].map((value) => Math.round((gray + 0.5 * (value - gray)) * 10) / 10));
  expect(changed((data) => hue(data, 1 / 3))).toEqual([50, 200, 100]);
  expect(changed((data) => hue(data, -1 / 3))).toEqual([100, 50, 200]);
  expect(changed((data) => solarize(data, 128))).toEqual([55, 100, 50]);
});

test("a blur keeps the mean inside and spreads a point as a gaussian", () => {
  const side = 31;
  const data = new Float32Array(side * side * 3);
  data[(15 * side + 15) * 3] = 1000;
  blur(data, 3, side, side, 2);
  let sum = 0;
  let spread = 0;
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const value = data[(r * side + c) * 3] ?? 0;
      sum += value;
      spread += value * (c - 15) ** 2;
    }
  }
  expect(sum).toBeCloseTo(1000, 1);
  expect(spread / sum).toBeCloseTo(4, 0);
});

test("every named transform changes the picture and keeps it finite", () => {
  const image = drawPicture(4, 4, 24);
  const plain = apply(image, 24, []);
  for (const name of ["random_resized_crop", "flip", "color_jitter", "grayscale", "blur", "solarize"]) {
    const out = apply(image, 24, [{ name, args: name === "random_resized_crop" ? {} : { p: 1 } }]);
    expect(out, name).not.toEqual(plain);
    expect(out.every((value) => value >= -1e-6 && value <= 1 + 1e-6), name).toBe(true);
  }
  expect(apply(image, 24, [{ name: "color_jitter", args: { p: 0 } }])).toEqual(plain);
});

test("mistakes in a view are found when it is compiled, with the way out", () => {
  const compile = (name: string, args: Parameters<typeof compileView>[0]["transforms"][number]["args"]): unknown => compileView(view(8, [{ name, args }]), [0, 0, 0], [1, 1, 1]);
  expect(() => compile("crop", {})).toThrow(/no such transform/);
  expect(() => compile("flip", { q: 1 })).toThrow(/takes no 'q'/);
  expect(() => compile("flip", { p: 2 })).toThrow(/p is 2/);
  expect(() => compile("random_resized_crop", { scale: [0.5, 0.2] })).toThrow(/scale is \[0.5,0.2\]/);
  for (const [mean, std] of [[[0, 0], [1, 1, 1]], [[0], [1, 1, 1]], [[0, NaN, 0], [1, 1, 1]], [[0], [0]], [[], []]] as const) expect(() => compileView(view(8), mean, std)).toThrow(/fit no pictures/);
  expect(() => compileView(view(1e9), [0, 0, 0], [1, 1, 1])).toThrow(/no picture size/);
});
