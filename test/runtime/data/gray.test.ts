/** Gray pictures and those of 16 bits: every way from a file to a view, beside the way of color and of 8 bits, and files that are not read. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applyView, compileView, viewSize } from "../../../runtime/data/augment.js";
import { evalSet } from "../../../runtime/data/eval-set.js";
import { folderSource } from "../../../runtime/data/folder.js";
import { createLoader } from "../../../runtime/data/loader.js";
import type { ImageSource, RawImage } from "../../../runtime/data/source.js";
import { drawPicture, syntheticSource } from "../../../runtime/data/synthetic.js";
import { view } from "./helpers.js";
import { tiff } from "./tiff.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-gray-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const gray = { mean: [0.459], std: [0.226] };
const color = { mean: [0.459, 0.459, 0.459], std: [0.226, 0.226, 0.226] };

function apply(image: RawImage, side: number, transforms: Parameters<typeof view>[1], { mean, std }: typeof gray): Float32Array {
  const compiled = compileView(view(side, transforms), mean, std);
  const out = new Float32Array(viewSize(compiled));
  applyView(compiled, image, { seed: 3, step: 4, slot: 5 }, out, 0);
  return out;
}

const weighed = ([red, green, blue]: readonly [number, number, number], rgb: ArrayLike<number>, at: number): number => red * (rgb[at] ?? 0) + green * (rgb[at + 1] ?? 0) + blue * (rgb[at + 2] ?? 0);
/** Luma of ITU-R 601, and as Pillow rounds it. */
const exact = (rgb: ArrayLike<number>, at: number): number => weighed([0.299, 0.587, 0.114], rgb, at);
const luma = (rgb: ArrayLike<number>, at: number): number => Math.floor((weighed([19595, 38470, 7471], rgb, at) + 32768) / 65536);
const grayOf = ({ width, height, data }: RawImage): RawImage => ({ width, height, data: Uint8Array.from({ length: width * height }, (_, i) => luma(data, 3 * i)) });
const deepOf = ({ width, height, data }: RawImage): RawImage => ({ width, height, data: Uint16Array.from(data, (value) => value * 257) });

const transforms = [
  ["nothing", []],
  ["random_resized_crop", [{ name: "random_resized_crop", args: { scale: [0.3, 0.9] } }]],
  ["resize", [{ name: "resize", args: {} }]],
  ["flip", [{ name: "flip", args: { p: 1 } }]],
  ["color_jitter", [{ name: "color_jitter", args: { p: 1, saturation: 0.9, hue: 0.4 } }]],
  ["grayscale", [{ name: "grayscale", args: { p: 1 } }]],
  ["blur", [{ name: "blur", args: { p: 1 } }]],
  ["solarize", [{ name: "solarize", args: { p: 1 } }]],
  ["all", [{ name: "random_resized_crop", args: { scale: [0.3, 0.9] } }, { name: "flip", args: {} }, { name: "color_jitter", args: {} }, { name: "grayscale", args: {} }, { name: "blur", args: { p: 1 } }, { name: "solarize", args: { p: 1 } }]],
] as const;

test.each(transforms)("%s: a gray view is each channel of the color view of the same gray picture, and 16 bits are 8 in finer steps", (_, steps) => {
  const picture = grayOf(drawPicture(4, 4, 24));
  const [one, three] = [apply(picture, 16, steps, gray), apply(picture, 16, steps, color)];
  expect([one.length, three.length]).toEqual([16 * 16, 3 * 16 * 16]);
  const deep = apply(deepOf(picture), 16, steps, gray);
  one.forEach((value, i) => {
    for (let c = 0; c < 3; c++) expect(three[3 * i + c]).toBeCloseTo(value, 4);
    expect(deep[i]).toBeCloseTo(value, 4);
  });
});

test("a color picture is its luma to a gray program, in 8 and 16 bits", () => {
  const picture = drawPicture(1, 2, 32);
  const near = (values: Float32Array, white: number, wanted: (i: number) => number): void => values.forEach((value, i) => {
    expect(Math.abs((value * 0.226 + 0.459) * white - wanted(i))).toBeLessThan(white === 255 ? 0.51 : 0.8);
  });
  near(apply(picture, 32, [], gray), 255, (i) => exact(picture.data, 3 * i));
  const deep = { ...picture, data: Uint16Array.from(picture.data, (value, i) => value * 251 + (i % 7)) };
  near(apply(deep, 32, [], gray), 65535, (i) => exact(deep.data, 3 * i));
  const [white, equal] = [new Uint16Array(12).fill(65535), Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3))];
  for (const value of apply({ width: 2, height: 2, data: white }, 2, [], { mean: [0], std: [1] })) expect(value).toBeCloseTo(1, 6);
  apply({ width: 16, height: 16, data: equal }, 16, [], { mean: [0], std: [1] }).forEach((value, i) => expect(value * 255).toBeCloseTo(i, 3));
});

test("a gray program sees the same in color files, gray files and generated pictures, in batches and in sets for probes", async () => {
  const drawn = syntheticSource({ count: 6, side: 20, seed: 9 });
  for (let i = 0; i < 6; i++) {
    const picture = await drawn.decode(i);
    const raw = (image: RawImage, channels: 1 | 3) => sharp(image.data, { raw: { width: 20, height: 20, channels } });
    const written = i % 2 === 0 ? raw(picture, 3) : raw(grayOf(picture), 1).toColourspace("b-w");
    await writeFile(join(folder, `${i}.png`), await written.png().toBuffer());
  }
  const files = await folderSource(folder);
  const crop = view(12, [{ name: "random_resized_crop", args: { scale: [0.4, 1] } }]);
  const batches: Float32Array[] = [];
  for (const source of [drawn, files]) {
    const loader = await createLoader(source, { batch: 6, seed: 1, views: [crop], ...gray, workers: 0 });
    batches.push((await loader.next(0)).images["image"] ?? new Float32Array());
    await loader.close();
  }
  expect(batches[0]?.length).toBe(6 * 12 * 12);
  expect(batches[1]).toEqual(batches[0]);
  const [set, same] = [await evalSet(drawn, { side: 20, ...gray }), await evalSet(files, { side: 20, ...gray })];
  expect(set.images.length).toBe(6 * 20 * 20);
  expect(same.images).toEqual(set.images);
});

test("files of 16 bits keep all of them, gray or in color, with a profile too", async () => {
  const values = Uint16Array.from([0, 1, 1000, 1001, 40_000, 65_535]);
  const tall = { raw: { width: 6, height: 1, channels: 1 } } as const;
  await sharp(values, tall).toColourspace("grey16").png().toFile(join(folder, "a.png"));
  await sharp(values, tall).toColourspace("grey16").tiff({ compression: "none" }).toFile(join(folder, "b.tif"));
  const wide = { raw: { width: 2, height: 1, channels: 3 } } as const;
  await sharp(values, wide).toColourspace("rgb16").png().toFile(join(folder, "c.png"));
  await sharp(values, wide).toColourspace("rgb16").withIccProfile("srgb").png().toFile(join(folder, "d.png"));
  const source = await folderSource(folder);
  for (const i of [0, 1]) expect(Array.from((await source.decode(i)).data)).toEqual([...values].flatMap((value) => [value, value, value]));
  expect(Array.from((await source.decode(2)).data)).toEqual([...values]);
  // What the file says in sRGB, which its bytes are. Turning by the profile costs some levels of 8 bits at the edge of what sRGB has; taken for Display P3, red would be 4600 off.
  const bytes = await sharp(join(folder, "d.png"), { ignoreIcc: true }).toColourspace("rgb16").raw({ depth: "ushort" }).toBuffer();
  const said = new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  (await source.decode(3)).data.forEach((value, i) => expect(Math.abs(value - (said[i] ?? 0)), `value ${i}`).toBeLessThan(1500));
  const set = await evalSet(source, { height: 1, width: 6, mean: [0], std: [1] });
  expect(set.images.subarray(0, 6)).toEqual(Float32Array.from(values, (value) => value / 65_535));
});

/** A TIFF of one row. */
const row = (bits: 8 | 16 | 32, format: 1 | 2 | 3, data: ArrayBufferView, bands = 1): Uint8Array => tiff({ width: 2, height: 1, bands, bits, format, pages: [data] });

test("values that are no shades, and bands that are no colors, are not read as if they were", async () => {
  await writeFile(join(folder, "counts.tif"), row(16, 1, Uint16Array.of(7, 4095)));
  const bad = async (name: string, file: Uint8Array, said: string): Promise<void> => {
    await writeFile(join(folder, name), file);
    const source = await folderSource(folder, { onCorrupt: "refuse" });
    const at = Array.from({ length: source.size }, (_, i) => i).find((i) => source.describe(i).endsWith(name)) ?? -1;
    await expect(source.decode(at)).rejects.toMatchObject({ code: "bad-image", message: expect.stringContaining(said) });
    await rm(join(folder, name));
  };
  await bad("hounsfield.tif", row(16, 2, Int16Array.of(-1000, 400)), "its values are of type short; pictures have 8 or 16 bits without a sign");
  await bad("float.tif", row(32, 3, Float32Array.of(0.25, 300)), "its values are of type float");
  await bad("bands.tif", row(8, 1, Uint8Array.from({ length: 10 }, (_, i) => i), 5), "it has 5 bands; a picture is gray or in color, and may have an alpha channel, which is left out. A program takes them all with `5` as the channels of its input");
  expect(Array.from((await (await folderSource(folder)).decode(0)).data)).toEqual([7, 7, 7, 4095, 4095, 4095]);
});

test("where no file can be used, the reason of the first is told", async () => {
  await writeFile(join(folder, "a.tif"), row(32, 3, Float32Array.of(0.25, 300)));
  const loader = await createLoader(await folderSource(folder), { batch: 1, seed: 1, views: [view(2)], ...gray, workers: 0 });
  await expect(loader.next(0)).rejects.toMatchObject({ code: "bad-image", message: expect.stringMatching(/not one picture of .* can be used: cannot decode .*a\.tif: its values are of type float/) });
  await loader.close();
});

test("pictures of 16 bits that normalization leaves no contrast are told of once, and none that fill their range or whose recipe knows them", async () => {
  const notes = async (most: number, std: number): Promise<string[]> => {
    const source: ImageSource = {
      name: "counts", size: 4, factors: [], report: { images: 4, stray: [], strayCount: 0, lines: [] }, spec: undefined, onCorrupt: "refuse", onSmall: "scale",
      describe: (index) => `picture ${index}`, label: () => -1,
      decode: (index) => Promise.resolve({ width: 4, height: 4, data: Uint16Array.from({ length: 16 }, (_, i) => (i === index ? most : 9)) }),
    };
    const heard: string[] = [];
    const loader = await createLoader(source, { batch: 2, seed: 1, views: [view(4)], mean: [0.459], std: [std], workers: 0, onNote: (text) => heard.push(text) });
    for (let step = 0; step < 4; step++) await loader.next(step);
    await loader.close();
    return heard;
  };
  expect(await notes(4095, 0.226)).toEqual(["the pictures of 16 bits are dark: the largest value of the first ones is 4095 of 65535, and normalization hardly tells them apart; these would have normalize(mean: [0.0040], std: [0.015])"]);
  expect(await notes(60_000, 0.226)).toEqual([]);
  expect(await notes(4095, 0.02)).toEqual([]);
});

test("a source of one's own that gives other channels than are taken, or not as many for each pixel, is refused by name", async () => {
  const source: ImageSource = { ...syntheticSource({ count: 2, side: 8, seed: 1 }), spec: undefined, describe: (index) => `mine ${index}`, decode: () => Promise.resolve({ width: 8, height: 8, data: new Uint8Array(8 * 8 * 4) }) };
  const wrong = { code: "bad-data", message: "mine 0 has 4 channels, and the program takes 1", help: expect.stringContaining("as many bands as the program's input has channels") };
  await expect(evalSet(source, { side: 8, ...gray })).rejects.toMatchObject(wrong);
  const cut: ImageSource = { ...source, decode: () => Promise.resolve({ width: 8, height: 8, data: new Uint8Array(8 * 8 * 3 - 1) }) };
  await expect(evalSet(cut, { side: 8, ...gray })).rejects.toMatchObject({ code: "bad-data", message: "mine 0 of 8 × 8 pixels has 191 values", help: expect.stringContaining("64 of a gray picture, 192 of one in color") });
  const loader = await createLoader(source, { batch: 2, seed: 1, views: [view(8)], ...color, workers: 0 });
  await expect(loader.next(0)).rejects.toMatchObject({ code: "bad-data" });
  await loader.close();
});
