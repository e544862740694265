/** Sources: the embedded pictures, folders with everything that goes wrong in folders, and whole sets for probes. */
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { evalSet } from "../../../runtime/data/eval-set.js";
import { folderSource } from "../../../runtime/data/folder.js";
import type { RawImage } from "../../../runtime/data/source.js";
import { syntheticSource } from "../../../runtime/data/synthetic.js";
import { cifar } from "./helpers.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-data-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function picture(path: string, side: number, color: { r: number; g: number; b: number }): Promise<void> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await sharp({ create: { width: side, height: side, channels: 3, background: color } }).toFile(join(folder, path));
}

const norm = { mean: [0, 0, 0], std: [1, 1, 1] };

test("embedded pictures are a function of seed and index, and their labels use every class", async () => {
  const source = syntheticSource({ count: 600, side: 32, seed: 4 });
  const again = syntheticSource({ count: 10, side: 32, seed: 4 });
  expect((await again.decode(3)).data).toEqual((await source.decode(3)).data);
  expect((await syntheticSource({ count: 10, side: 32, seed: 5 }).decode(3)).data).not.toEqual((await source.decode(3)).data);
  for (const factor of source.factors) {
    const seen = new Set(Array.from({ length: 600 }, (_, i) => source.label(i, factor.name)));
    expect([...seen].sort((a, b) => a - b)).toEqual(factor.classes.map((_, i) => i));
  }
  expect(source.label(7)).toBe(source.label(7, "shape"));
  expect((await source.decode(0)).data.length).toBe(32 * 32 * 3);
});

test("shape and texture cannot be read off raw pixels by nearest neighbours, though they are there to be seen", async () => {
  const train = await evalSet(syntheticSource({ count: 1500, side: 16, seed: 1 }), { side: 16, ...norm });
  const source = syntheticSource({ count: 200, side: 16, seed: 2 });
  const test = await evalSet(source, { side: 16, ...norm });
  for (const [factor, chance] of [["shape", 1 / 8], ["texture", 1 / 6]] as const) {
    const trainSource = syntheticSource({ count: 1500, side: 16, seed: 1 });
    let right = 0;
    for (let i = 0; i < test.count; i++) {
      let best = Infinity;
      let label = -1;
      for (let j = 0; j < train.count; j++) {
        let d = 0;
        for (let k = 0; k < 768 && d < best; k++) d += ((test.images[i * 768 + k] ?? 0) - (train.images[j * 768 + k] ?? 0)) ** 2;
        if (d < best) {
          best = d;
          label = trainSource.label(j, factor);
        }
      }
      if (label === source.label(i, factor)) right++;
    }
    expect(right / test.count, factor).toBeLessThan(chance + 0.2);
  }
});

test("class sub-folders give labels sorted by name", async () => {
  await picture("zebra/a.png", 4, { r: 255, g: 0, b: 0 });
  await picture("ant/b.jpg", 4, { r: 0, g: 255, b: 0 });
  await picture("ant/deep/c.png", 4, { r: 0, g: 0, b: 255 });
  const source = await folderSource(folder);
  expect(source.factors).toEqual([{ name: "class", classes: ["ant", "zebra"] }]);
  expect([0, 1, 2].map((i) => source.label(i))).toEqual([0, 0, 1]);
  expect(Array.from((await source.decode(2)).data.subarray(0, 3))).toEqual([255, 0, 0]);
});

test("a flat folder is unlabelled, and strays are counted and named", async () => {
  await picture("a.png", 4, { r: 1, g: 2, b: 3 });
  await writeFile(join(folder, "notes.txt"), "hello");
  await writeFile(join(folder, ".hidden"), "x");
  const source = await folderSource(folder);
  expect(source.factors).toEqual([]);
  expect(source.label(0)).toBe(-1);
  expect(source.report.stray).toEqual(["notes.txt"]);
  expect(source.report.lines.join("\n")).toMatch(/1 file is not a picture and left out: notes.txt/);
});

test("pictures beside class folders are strays, not a class", async () => {
  await picture("cat/a.png", 4, { r: 1, g: 2, b: 3 });
  await picture("loose.png", 4, { r: 1, g: 2, b: 3 });
  const source = await folderSource(folder);
  expect(source.size).toBe(1);
  expect(source.report.stray).toEqual(["loose.png"]);
  await writeFile(join(folder, "notes.txt"), "hello");
  expect((await folderSource(folder)).report.lines).toEqual([
    `1 picture in ${folder}, 1 class`,
    "1 file is not a picture and left out: notes.txt",
    "1 picture lies beside the class folders, has no class and is left out: loose.png",
  ]);
});

test("links to folders and files are followed, and those that lead in a circle are told", async () => {
  await picture("store/cats/a.png", 4, { r: 1, g: 2, b: 3 });
  await picture("store/b.png", 4, { r: 4, g: 5, b: 6 });
  await mkdir(join(folder, "set/dog"), { recursive: true });
  await symlink(join(folder, "store/cats"), join(folder, "set/cat"));
  await symlink(join(folder, "store/b.png"), join(folder, "set/dog/b.png"));
  await symlink(join(folder, "set"), join(folder, "set/dog/again"));
  await symlink(join(folder, "nowhere"), join(folder, "set/gone"));
  // The set itself by a link: a circle is one by whatever name it was entered.
  await symlink(join(folder, "set"), join(folder, "link"));
  for (const root of [join(folder, "set"), join(folder, "link")]) {
    const source = await folderSource(root);
    expect(source.factors).toEqual([{ name: "class", classes: ["cat", "dog"] }]);
    expect([source.describe(0), source.describe(1)]).toEqual([join(root, "cat/a.png"), join(root, "dog/b.png")]);
    expect(Array.from((await source.decode(0)).data.subarray(0, 3))).toEqual([1, 2, 3]);
    expect(source.report.lines).toEqual([
      `2 pictures in ${root}, 2 classes`,
      "1 file is not a picture and left out: gone",
      "1 link leads back into a folder it lies in and is not followed: dog/again",
    ]);
  }
});

test("pictures stand as their EXIF orientation says, and those without one keep their bits", async () => {
  const plain = Buffer.from(Array.from({ length: 16 * 8 * 3 }, (_, i) => (i * 37) % 256));
  const raw = { raw: { width: 16, height: 8, channels: 3 } } as const;
  await sharp(plain, raw).jpeg().toFile(join(folder, "a.jpg"));
  await sharp(plain, raw).jpeg().withMetadata({ orientation: 6 }).toFile(join(folder, "b.jpg"));
  const source = await folderSource(folder);
  const [lying, standing] = [await source.decode(0), await source.decode(1)];
  expect([lying.width, lying.height, standing.width, standing.height]).toEqual([16, 8, 8, 16]);
  const untouched = await sharp(join(folder, "a.jpg")).raw().toBuffer();
  expect(Buffer.from(lying.data).equals(untouched)).toBe(true);
  // Turned clockwise by a quarter: what was at the bottom left is at the top left.
  const at = (image: RawImage, x: number, y: number): number[] => Array.from(image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3));
  for (const [x, y] of [[0, 0], [5, 3], [15, 7]] as const) expect(at(standing, 7 - y, x)).toEqual(at(lying, x, y));
});

test("empty folders, folders without pictures and missing folders are told apart", async () => {
  await expect(folderSource(folder)).rejects.toMatchObject({ code: "empty-folder", message: expect.stringContaining("it is empty") });
  await writeFile(join(folder, "notes.txt"), "hello");
  await expect(folderSource(folder)).rejects.toMatchObject({ code: "empty-folder", message: expect.stringContaining("notes.txt") });
  await expect(folderSource(join(folder, "none"))).rejects.toMatchObject({ code: "not-found" });
  await expect(folderSource(join(folder, "notes.txt"))).rejects.toMatchObject({ code: "not-found" });
});

test("gray and transparent pictures become RGB", async () => {
  await sharp(Buffer.from([10, 20, 30, 40]), { raw: { width: 2, height: 2, channels: 1 } }).png().toFile(join(folder, "a.png"));
  await sharp(Buffer.from([1, 2, 3, 4]), { raw: { width: 1, height: 1, channels: 4 } }).png().toFile(join(folder, "b.png"));
  const source = await folderSource(folder);
  expect(Array.from((await source.decode(0)).data)).toEqual([10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40]);
  expect(Array.from((await source.decode(1)).data)).toEqual([1, 2, 3]);
});

test("corrupt pictures are named: left out of whole sets, or refused", async () => {
  await picture("a/1.jpg", 64, { r: 200, g: 30, b: 3 });
  await picture("a/2.jpg", 64, { r: 2, g: 30, b: 3 });
  const whole = await sharp(join(folder, "a/1.jpg")).toBuffer();
  await writeFile(join(folder, "a/1.jpg"), whole.subarray(0, Math.floor(whole.length * 0.6)));
  await writeFile(join(folder, "a/3.jpg"), "not a picture at all");
  const skipping = await folderSource(folder);
  const set = await evalSet(skipping, { side: 8, ...norm });
  expect(set.count).toBe(1);
  expect(set.corrupt.map((path) => path.slice(-5))).toEqual(["1.jpg", "3.jpg"]);
  expect(Array.from(set.indices)).toEqual([1]);
  const refusing = await folderSource(folder, { onCorrupt: "refuse" });
  await expect(evalSet(refusing, { side: 8, ...norm })).rejects.toMatchObject({ code: "bad-image", message: expect.stringContaining("1.jpg"), help: expect.stringContaining("on_corrupt: skip") });
});

test("a limited set is a fixed draw over all classes", async () => {
  const source = syntheticSource({ count: 400, side: 8, seed: 3 });
  const a = await evalSet(source, { side: 8, ...norm, limit: 80, factor: "color" });
  const b = await evalSet(source, { side: 8, ...norm, limit: 80, factor: "color" });
  expect(a.indices).toEqual(b.indices);
  expect(a.count).toBe(80);
  expect(new Set(a.labels).size).toBe(8);
  expect(a.classes).toContain("violet");
  await expect(evalSet(source, { side: 8, ...norm, factor: "mood" })).rejects.toThrow(/no factor 'mood'/);
});

test("the real folder has ten classes and 1,000 test pictures that all decode", async () => {
  const root = cifar("test");
  if (root === undefined) return;
  const set = await evalSet(await folderSource(root), { side: 32, ...norm });
  expect(set.count).toBe(1000);
  expect(set.corrupt).toEqual([]);
  expect(set.classes).toEqual((await readdir(root)).sort());
  const mean = set.images.reduce((a, b) => a + b, 0) / set.images.length;
  expect(mean).toBeGreaterThan(0.4);
  expect(mean).toBeLessThan(0.55);
});

test("pictures of another shape than the arrays' give their largest centered part, in the middle of their long side", async () => {
  // Six columns of their own: a square of it is the middle four, half of its height is rows 1 and 2.
  const rows = Array.from({ length: 4 }, (_, y) => Array.from({ length: 6 }, (_, x) => [x * 10, y * 10, 0]));
  await sharp(Buffer.from(rows.flat(2)), { raw: { width: 6, height: 4, channels: 3 } }).png().toFile(join(folder, "a.png"));
  const source = await folderSource(folder);
  const level = (images: Float32Array): number[] => Array.from(images, (value) => Math.round(value * 255));
  const square = await evalSet(source, { side: 4, ...norm });
  expect([square.height, square.width]).toEqual([4, 4]);
  expect(level(square.images)).toEqual(rows.flatMap((row) => row.slice(1, 5)).flat());
  const flat = await evalSet(source, { height: 2, width: 6, ...norm });
  expect(level(flat.images)).toEqual(rows.slice(1, 3).flat(2));
});
