/** Programs of other bands than gray and color by the command line: trained, probed and read out, and the same numbers as in color where the bands are. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { readSafetensors } from "../../../runtime/index.js";
import { tiff } from "../../runtime/data/tiff.js";
import type { Ran } from "./support.js";
import { jepac, temporary } from "./support.js";

vi.setConfig({ testTimeout: 120_000 });

const SIDE = 8;

const program = (name: string, channels: number, data: string): string => `use std.vit
model ${name} {
  input image: Image[${SIDE}, ${SIDE}, ${channels}]
  mask targets = block(scale: 0.2..0.3, aspect: 1.0, min_keep: 0)
  mask context = block(scale: 0.9..1.0, aspect: 1.0, min_keep: 0) minus targets
  encoder student = vit(patch: 2, width: 8, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.9)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  loss smooth_l1(predict(student(image at context), at: targets), stopgrad(normalize(teacher(image))) at targets)
}
train ${name} {
  data ${data} { random_resized_crop(scale: 0.5..1.0), flip(p: 0.5), normalize(mean: [${Array(channels).fill(0.4).join(", ")}], std: [${Array(channels).fill(0.3).join(", ")}]) }
  steps 2
  batch 4
}
probe ${name} { linear(on: teacher) }
`;

let cwd = "";
const before = process.cwd();
afterAll(() => process.chdir(before));
beforeAll(async () => {
  cwd = temporary({
    "package.json": "{}",
    "five.jepa": program("five", 5, `images("scenes")`),
    "some.jepa": program("some", 3, `images("scenes", bands: [4, 3, 2])`),
    "color.jepa": program("color", 3, `images("color")`),
    "drawn.jepa": program("drawn", 5, `images("scenes")`).replace(/ {2}data.*\n/, ""),
  });
  process.chdir(cwd);
  for (let i = 0; i < 10; i++) {
    const kind = i % 2 === 0 ? "field" : "water";
    const data = Uint8Array.from({ length: SIDE * SIDE * 5 }, (_, at) => (at * 31 + i * 57 + (i % 2) * (at % 5) * 40) % 256);
    for (const folder of ["scenes", "color"]) mkdirSync(join(cwd, folder, kind), { recursive: true });
    writeFileSync(join(cwd, "scenes", kind, `${i}.tif`), tiff({ width: SIDE, height: SIDE, bands: 5, bits: 8, planar: 2, pages: [Uint8Array.from({ length: data.length }, (_, at) => data[(at % (SIDE * SIDE)) * 5 + Math.floor(at / (SIDE * SIDE))] ?? 0)] }));
    const rgb = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, at) => data[5 * Math.floor(at / 3) + 3 - (at % 3)] ?? 0);
    await sharp(rgb, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toFile(join(cwd, "color", kind, `${i}.png`));
  }
});

const run = (...words: readonly string[]): Promise<Ran> => jepac(words, { cwd });

async function train(name: string, ...words: readonly string[]): Promise<{ readonly losses: readonly number[]; readonly told: string }> {
  const ran = await run("train", `${name}.jepa`, "--engine", "wasm", "--workers", "0", "--out", `run-${name}`, "--no-report", ...words);
  expect(ran.code, ran.err).toBe(0);
  const lines = readFileSync(join(cwd, `run-${name}`, "metrics.jsonl"), "utf8").trimEnd().split("\n");
  return { losses: lines.map((line) => (JSON.parse(line) as { loss: number }).loss), told: ran.err };
}

test("five bands are trained on, probed, read out and exported", async () => {
  const { losses, told } = await train("five");
  expect(told).toContain("probing on 8 pictures, testing on 2");
  expect(losses.every((loss) => Number.isFinite(loss) && loss > 0)).toBe(true);
  const read = await run("features", "run-five", "scenes", "-o", "five.safetensors", "--engine", "wasm");
  expect(read.out, read.err).toBe("wrote five.safetensors: features [10, 8], labels [10]\n");
  const features = readSafetensors(readFileSync(join(cwd, "five.safetensors"))).tensors.get("features")?.data ?? [];
  expect(new Set(Array.from(features, Number)).size).toBeGreaterThan(60);
  const written = await run("export", "run-five", "-o", "hf");
  expect(written.code, written.err).toBe(0);
  expect(JSON.parse(readFileSync(join(cwd, "hf", "config.json"), "utf8"))).toMatchObject({ num_channels: 5, image_size: SIDE });
  const kernel = readSafetensors(readFileSync(join(cwd, "hf", "model.safetensors"))).tensors.get("embeddings.patch_embeddings.projection.weight");
  expect(kernel?.shape).toEqual([8, 5, 2, 2]);
});

test("three bands of five train as the color pictures that they are, bit by bit", async () => {
  const [some, color] = [await train("some", "--no-probe"), await train("color", "--no-probe")];
  expect(some.losses).toEqual(color.losses);
});

test("where no folder is named, generated pictures are refused with the way out", async () => {
  const refused = await run("train", "drawn.jepa", "--engine", "wasm", "--out", "run-drawn");
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain("generated pictures are gray or in color, and the program takes 5 channels");
  expect(refused.err).toContain("--data <folder>");
});
