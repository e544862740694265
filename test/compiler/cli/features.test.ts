/** `jepac features` and `openRunEncoder`: rows of a folder's pictures, held against pixels that are normalized and tokens that are averaged here. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { readSafetensors } from "../../../runtime/index.js";
import { createEngine, folderSource, loadCompiled, openRunEncoder } from "../../../runtime/node.js";
import { makeRun } from "../../fidelity/runs.js";
import { jepac, small, temporary } from "./support.js";

const SIDE = 16;
const WIDTH = 16;
const run = makeRun(small);

/** A picture of noise, as bytes. */
const bytesOf = (seed: number): Uint8Array => Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (seed * 7919 + i * i * 31 + i * 57) % 256);
const png = (bytes: Uint8Array): Promise<Buffer> => sharp(bytes, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toBuffer();

/** Seventy pictures in two classes, which is more than one part, and one that is none. */
async function photos(): Promise<string> {
  const folder = temporary({ "cats/broken.png": "no picture", "notes.txt": "" });
  mkdirSync(join(folder, "dogs"));
  for (let i = 0; i < 70; i++) writeFileSync(join(folder, i < 40 ? "cats" : "dogs", `${String(i).padStart(2, "0")}.png`), await png(bytesOf(i)));
  return folder;
}

test("every picture of a folder has its row, its label and its name; one that is damaged has none", { timeout: 120_000 }, async () => {
  const { folder, manifest, state } = await run;
  const cwd = temporary();
  const pictures = await photos();
  const ran = await jepac(["features", folder, pictures, "-o", "out.safetensors", "--engine", "cpu"], { cwd });
  expect(ran.code, ran.err).toBe(0);
  expect(ran.out).toBe(`wrote out.safetensors: features [70, ${WIDTH}], labels [70]\n`);
  expect(ran.err).toMatch(/71 pictures in .*, 2 classes\n1 file is not a picture[^]*engine: cpu .*; teacher of tiny, step 5\n[^]*1 of 71 pictures cannot be read or decoded and have no row, such as .*broken\.png\n/);
  const { tensors, metadata } = readSafetensors(readFileSync(join(cwd, "out.safetensors")));
  const names: string[] = JSON.parse(metadata["pictures"] ?? "[]");
  expect(metadata).toMatchObject({ program: "tiny", step: "5", encoder: "teacher", pool: "mean", classes: '["cats","dogs"]' });
  expect(names.slice(0, 2)).toEqual(["cats/00.png", "cats/01.png"]);
  expect([...(tensors.get("labels")?.data ?? [])]).toEqual(names.map((name) => (name.startsWith("cats/") ? 0 : 1)));
  expect([names.length, tensors.get("features")?.shape]).toEqual([70, [70, WIDTH]]);

  // The same pixels, normalized by hand, through an engine without any of the ways above; the mean over tokens by hand.
  const { module } = await loadCompiled(join(folder, "compiled"), "compiled");
  const { engine } = await createEngine(manifest, module, "cpu", 0);
  await engine.importState(state);
  const { mean, std } = manifest.train;
  const features = tensors.get("features")?.data ?? [];
  for (const i of [0, 39, 40, 63, 64, 69]) {
    const pixels = Float32Array.from(bytesOf(i), (byte, at) => (byte / 255 - (mean[at % 3] ?? 0)) / (std[at % 3] ?? 1));
    const tokens = await engine.encode("teacher", pixels, 1);
    const row = names.findIndex((name) => name.endsWith(`${String(i).padStart(2, "0")}.png`));
    for (let j = 0; j < WIDTH; j++) {
      let sum = 0;
      for (let t = 0; t < 16; t++) sum += tokens[t * WIDTH + j] ?? NaN;
      expect(Math.abs(Number(features[row * WIDTH + j]) - sum / 16), `picture ${i}, feature ${j}`).toBeLessThan(2e-5);
    }
  }
  engine.dispose();
});

test("the library gives the rows of the command, for another encoder and a source of one's own too", { timeout: 120_000 }, async () => {
  const { folder } = await run;
  const cwd = temporary();
  const pictures = await photos();
  expect((await jepac(["features", folder, pictures, "--encoder", "student", "--engine", "cpu"], { cwd })).code).toBe(0);
  const written = readSafetensors(readFileSync(join(cwd, "features.safetensors"))).tensors.get("features");
  const trained = await openRunEncoder(folder, { encoder: "student", engine: "cpu" });
  const heard: number[] = [];
  const found = await trained.features(await folderSource(pictures), (done) => { heard.push(done); });
  expect(heard).toEqual([0, 64]);
  expect([found.count, found.width, found.corrupt.length, trained.step]).toEqual([70, WIDTH, 1, 5]);
  expect(found.features).toEqual(written?.data);
  const own = await trained.features({
    name: "mine", size: 3, factors: [], report: { images: 3, stray: [], strayCount: 0, lines: [] }, spec: undefined, onCorrupt: "refuse", onSmall: "scale",
    describe: (i) => `picture ${i}`, label: () => -1, decode: (i) => Promise.resolve({ width: SIDE, height: SIDE, data: bytesOf(i + 60) }),
  });
  expect(own.features).toEqual(found.features.slice(60 * WIDTH, 63 * WIDTH));
  trained.dispose();
  await expect(openRunEncoder(folder, { encoder: "stuent" })).rejects.toMatchObject({ code: "mismatch", message: "the program has no encoder stuent", help: "its encoders are student, teacher" });
  await expect(openRunEncoder(cwd)).rejects.toMatchObject({ code: "bad-file" });
});

test("what cannot be done is said before anything is written", { timeout: 60_000 }, async () => {
  const { folder } = await run;
  const cwd = temporary({ "empty/a.txt": "", "damaged/a.png": "no picture" });
  const refused = async (...words: string[]): Promise<string> => {
    const { code, err } = await jepac(["features", ...words], { cwd });
    expect(code).toBe(2);
    return err;
  };
  expect(await refused(folder, "empty")).toContain("there are no pictures in");
  expect(await refused(folder, "damaged", "--engine", "cpu")).toContain("none of the pictures in damaged can be read and decoded");
  expect(await refused(folder, "empty", "-o", "rows.npy")).toContain("--out names a file that ends in .safetensors, not rows.npy");
  expect(await refused("nowhere", "empty")).toContain("there is no nowhere");
  expect(await refused(folder, "damaged", "--engine", "gpu")).toContain("there is no engine gpu");
});

test("a gray program: files of 16 bits come as they are, color ones as their luma, and what is exported says one channel", { timeout: 120_000 }, async () => {
  const { folder, manifest, state } = await makeRun(small.replace(/(Image\[[^\]]*), 3\]/, "$1, 1]"));
  expect([manifest.inputs[0]?.channels, manifest.train.mean.length, manifest.train.std.length]).toEqual([1, 1, 1]);
  const cwd = temporary({ "photos/notes.txt": "" });
  const deep = Uint16Array.from({ length: SIDE * SIDE }, (_, i) => (i * i * 251 + i * 57) % 65536);
  await sharp(deep, { raw: { width: SIDE, height: SIDE, channels: 1 } }).toColourspace("grey16").png().toFile(join(cwd, "photos", "a.png"));
  writeFileSync(join(cwd, "photos", "b.png"), await png(bytesOf(3)));
  const ran = await jepac(["features", folder, "photos", "-o", "out.safetensors", "--engine", "cpu"], { cwd });
  expect(ran.code, ran.err).toBe(0);
  const found = readSafetensors(readFileSync(join(cwd, "out.safetensors"))).tensors.get("features")?.data ?? [];

  const { module } = await loadCompiled(join(folder, "compiled"), "compiled");
  const { engine } = await createEngine(manifest, module, "cpu", 0);
  await engine.importState(state);
  const [mean = NaN, std = NaN] = [...manifest.train.mean, ...manifest.train.std];
  const rgb = bytesOf(3);
  const shades = [Array.from(deep, (value) => value / 65535), Array.from({ length: SIDE * SIDE }, (_, i) => Math.floor((19595 * (rgb[3 * i] ?? 0) + 38470 * (rgb[3 * i + 1] ?? 0) + 7471 * (rgb[3 * i + 2] ?? 0)) / 65536 + 0.5) / 255)];
  for (const [row, values] of shades.entries()) {
    const tokens = await engine.encode("teacher", Float32Array.from(values, (value) => (value - mean) / std), 1);
    for (let j = 0; j < WIDTH; j++) {
      let sum = 0;
      for (let t = 0; t < 16; t++) sum += tokens[t * WIDTH + j] ?? NaN;
      expect(Math.abs(Number(found[row * WIDTH + j]) - sum / 16), `picture ${row}, feature ${j}`).toBeLessThan(2e-5);
    }
  }
  engine.dispose();

  expect((await jepac(["export", folder, "-o", "weights"], { cwd })).code).toBe(0);
  const said = (name: string): unknown => JSON.parse(readFileSync(join(cwd, "weights", name), "utf8"));
  expect(said("config.json")).toMatchObject({ num_channels: 1 });
  expect(said("preprocessor_config.json")).toMatchObject({ image_mean: manifest.train.mean, image_std: manifest.train.std });
  expect(readSafetensors(readFileSync(join(cwd, "weights", "model.safetensors"))).tensors.get("embeddings.patch_embeddings.projection.weight")?.shape).toEqual([WIDTH, 1, 4, 4]);
});
