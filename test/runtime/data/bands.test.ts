/** Pictures of other bands than gray and color: what a file says comes out as it stands, some of it where some is wanted, and augmented like any picture. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { applyView, compileView, viewSize } from "../../../runtime/data/augment.js";
import { evalSet } from "../../../runtime/data/eval-set.js";
import { filmSource } from "../../../runtime/data/films.js";
import { folderSource } from "../../../runtime/data/folder.js";
import { createLoader } from "../../../runtime/data/loader.js";
import type { RawImage } from "../../../runtime/data/source.js";
import { view } from "./helpers.js";
import { tiff } from "./tiff.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-bands-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const [WIDTH, HEIGHT] = [7, 5];

/** Values `[HEIGHT, WIDTH, bands]` that differ in every place. */
function values(bands: number, bits: 8 | 16): Uint8Array | Uint16Array {
  const length = WIDTH * HEIGHT * bands;
  return bits === 8 ? Uint8Array.from({ length }, (_, i) => (i * 37 + 11) % 256) : Uint16Array.from({ length }, (_, i) => (i * 7919 + 13) % 65536);
}

/** One whole band after the other. */
function planes(data: Uint8Array | Uint16Array, bands: number): Uint8Array[] | Uint16Array[] {
  const take = (band: number) => data.filter((_, i) => i % bands === band);
  return Array.from({ length: bands }, (_, band) => take(band)) as Uint8Array[] | Uint16Array[];
}

function joined(parts: readonly (Uint8Array | Uint16Array)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength))));
}

async function decoded(name: string, file: Uint8Array, options: Parameters<typeof folderSource>[1]): Promise<RawImage> {
  await writeFile(join(folder, name), file);
  const source = await folderSource(folder, { onCorrupt: "refuse", ...options });
  const picture = await source.decode(0);
  await rm(join(folder, name));
  return picture;
}

test.each([[2, 1], [4, 1], [4, 2], [5, 1], [5, 2], [13, 1], [200, 1]] as const)("%i bands of photometric kind %i are what the file says, in both bit depths and both orders", async (bands, photometric) => {
  for (const bits of [8, 16] as const) {
    const data = values(bands, bits);
    const size = { width: WIDTH, height: HEIGHT, bands, bits, photometric };
    const beside = await decoded("a.tif", tiff({ ...size, pages: [data] }), { channels: bands });
    expect([beside.width, beside.height, beside.data.BYTES_PER_ELEMENT * 8]).toEqual([WIDTH, HEIGHT, bits]);
    expect(Array.from(beside.data), `${bits} bits`).toEqual(Array.from(data));
    const after = await decoded("a.tif", tiff({ ...size, planar: 2, pages: [joined(planes(data, bands))] }), { channels: bands });
    expect(Array.from(after.data), `${bits} bits, planar`).toEqual(Array.from(data));
    const some = await decoded("a.tif", tiff({ ...size, pages: [data] }), { channels: 3, bands: [bands, 1, 2] });
    expect(Array.from(some.data)).toEqual(Array.from({ length: 3 * WIDTH * HEIGHT }, (_, i) => data[Math.floor(i / 3) * bands + ([bands - 1, 0, 1][i % 3] ?? 0)]));
  }
});

test("gray pages of one file are the bands of a picture, and the frames of a film", async () => {
  for (const bits of [8, 16] as const) {
    const data = values(6, bits);
    const file = tiff({ width: WIDTH, height: HEIGHT, bands: 1, bits, pages: planes(data, 6) });
    expect(Array.from((await decoded("cells.tif", file, { channels: 6 })).data)).toEqual(Array.from(data));
    expect(Array.from((await decoded("cells.tif", file, { channels: 1, bands: [5] })).data)).toEqual(Array.from(planes(data, 6)[4] ?? []));
    await writeFile(join(folder, "cells.tif"), file);
    // Of a gray film each page is a frame, whose only band is the first.
    const films = await filmSource(folder, { frames: 3, channels: 1, bands: [1] });
    const [frame] = (await films.films?.read(0, [4])) ?? [];
    expect(Array.from(frame?.data ?? [])).toEqual(Array.from(planes(data, 6)[4] ?? []));
  }
});

test("alpha is a band where all four are taken, and a film has frames of many bands", async () => {
  const rgba = Uint8Array.from(values(4, 8));
  const png = await sharp(rgba, { raw: { width: WIDTH, height: HEIGHT, channels: 4 } }).png().toBuffer();
  expect(Array.from((await decoded("a.png", png, { channels: 4 })).data)).toEqual(Array.from(rgba));
  const pages = [values(5, 16), values(5, 16).map((value) => 65535 - value)];
  await writeFile(join(folder, "film.tif"), tiff({ width: WIDTH, height: HEIGHT, bands: 5, bits: 16, pages }));
  const film = await filmSource(folder, { frames: 2, channels: 5 });
  const frames = (await film.films?.read(0, [0, 1])) ?? [];
  expect(frames.map(({ data }) => Array.from(data))).toEqual(pages.map((page) => Array.from(page)));
});

test("a file without the bands that are wanted is told with what it has, and skipped like a corrupt one", async () => {
  const [five, six] = [5, 6].map((bands) => tiff({ width: WIDTH, height: HEIGHT, bands, bits: 8, pages: [values(bands, 8)] }));
  const refused = (options: Parameters<typeof folderSource>[1]) => expect(decoded("a.tif", five ?? new Uint8Array(), options)).rejects;
  await refused({ channels: 4 }).toMatchObject({ code: "bad-image", message: expect.stringContaining("it has 5 bands, and the program takes 4") });
  await rm(join(folder, "a.tif"));
  await refused({ channels: 3, bands: [4, 3, 7] }).toMatchObject({ code: "bad-image", message: expect.stringContaining("it has 5 bands, and the program takes band 7") });
  await expect(folderSource(folder, { bands: [0, 1] })).rejects.toThrow("bands is [0, 1]; it is a list of whole numbers from 1 on");
  await expect(folderSource(folder, { channels: 3, bands: [1] })).rejects.toThrow("bands names 1, and there are 3 channels");
  await writeFile(join(folder, "b.tif"), six ?? new Uint8Array());
  const notes: string[] = [];
  const loader = await createLoader(await folderSource(folder, { channels: 5 }), { batch: 2, seed: 1, views: [view(4)], mean: [0, 0, 0, 0, 0], std: [1, 1, 1, 1, 1], workers: 0, onNote: (note) => notes.push(note) });
  await loader.next(0);
  await loader.close();
  expect(notes).toEqual([expect.stringMatching(/cannot decode .*b\.tif: it has 6 bands, and the program takes 5; another picture takes its place/)]);
});

test("packed strips and tiles are read, smaller copies are no bands, and a damaged file is told as one", async () => {
  const rgb = { raw: { width: 33, height: 20, channels: 3 } } as const;
  const data = Uint8Array.from({ length: 33 * 20 * 3 }, (_, i) => (i * 7) % 256);
  for (const compression of ["lzw", "deflate", "packbits"] as const) {
    const file = await sharp(data, rgb).tiff({ compression, predictor: "none", tile: compression !== "packbits", tileWidth: 16, tileHeight: 16 }).toBuffer();
    expect(Array.from((await decoded("a.tif", file, { channels: 3, bands: [3, 2, 1] })).data), compression).toEqual(Array.from(data, (_, i) => data[3 * Math.floor(i / 3) + 2 - (i % 3)]));
  }
  const whole = values(5, 8);
  const pyramid = await sharp(planes(whole, 5)[0] ?? whole, { raw: { width: WIDTH, height: HEIGHT, channels: 1 } }).toColourspace("b-w").tiff({ compression: "none", pyramid: true, tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer();
  expect(Array.from((await decoded("a.tif", pyramid, { channels: 1, bands: [1] })).data)).toEqual(Array.from(planes(whole, 5)[0] ?? []));
  const file = tiff({ width: WIDTH, height: HEIGHT, bands: 5, bits: 8, pages: [whole] });
  for (const length of [12, 100, file.length - 40]) {
    await expect(decoded("a.tif", file.subarray(0, length), { channels: 5 })).rejects.toMatchObject({ code: "bad-image", message: expect.stringMatching(/cannot decode .*a\.tif: it is damaged, cut short or of a kind that is not read/) });
  }
  const floats = tiff({ width: 1, height: 1, bands: 2, bits: 32, format: 3, pages: [Float32Array.of(1, 2)] });
  await expect(decoded("a.tif", floats, { channels: 2 })).rejects.toMatchObject({ message: expect.stringContaining("its values are floats of 32 bits; pictures have 8 or 16 bits") });
});

/** The transforms that treat channels alike. */
const alike = [
  ["random_resized_crop", [{ name: "random_resized_crop", args: { scale: [0.3, 0.9] } }]],
  ["flip", [{ name: "flip", args: { p: 1 } }]],
  ["color_jitter", [{ name: "color_jitter", args: { p: 1, saturation: 0, hue: 0 } }]],
  ["blur", [{ name: "blur", args: { p: 1 } }]],
  ["solarize", [{ name: "solarize", args: { p: 1 } }]],
] as const;

test.each(alike)("%s: each band of a view is the gray view of that band alone", (_, transforms) => {
  const data = values(5, 8);
  const apply = (image: RawImage, channels: number): Float32Array => {
    const compiled = compileView(view(4, transforms), Array.from({ length: channels }, () => 0.5), Array.from({ length: channels }, () => 0.25));
    const out = new Float32Array(viewSize(compiled));
    applyView(compiled, image, { seed: 3, step: 4, slot: 5 }, out, 0);
    return out;
  };
  const five = apply({ width: WIDTH, height: HEIGHT, data }, 5);
  planes(data, 5).forEach((band, c) => {
    apply({ width: WIDTH, height: HEIGHT, data: band }, 1).forEach((value, i) => expect(five[5 * i + c]).toBeCloseTo(value, 4));
  });
});

test("sets for probes have the bands too, and a picture in color is not taken for one of five bands", async () => {
  const data = values(5, 16);
  await writeFile(join(folder, "a.tif"), tiff({ width: WIDTH, height: HEIGHT, bands: 5, bits: 16, pages: [data] }));
  const norm = { mean: [0, 0, 0, 0, 0.5], std: [1, 1, 1, 1, 0.5] };
  const set = await evalSet(await folderSource(folder, { channels: 5 }), { width: WIDTH, height: HEIGHT, ...norm });
  data.forEach((value, i) => expect(set.images[i]).toBeCloseTo(i % 5 === 4 ? value / 65535 / 0.5 - 1 : value / 65535, 5));
  const color = { width: 2, height: 2, data: new Uint8Array(12) };
  expect(() => applyView(compileView(view(2), norm.mean, norm.std), color, { seed: 0, step: 0, slot: 0 }, new Float32Array(20), 0)).toThrow("a picture has 3 channels, and the program takes 5");
});
