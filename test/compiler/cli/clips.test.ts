/**
 * Programs of clips by the command line alone: on generated clips and on folders of films with actions and classes,
 * stopped and gone on bit by bit, with threads and in two processes, probed, read out and told what cannot be exported; the same
 * numbers on WebGPU; and what is refused before anything is trained.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { readSafetensors } from "../../../runtime/index.js";
import { createEngine, loadCompiled } from "../../../runtime/node.js";
import { openTestData, openTrainingData, probeSets } from "../../../runtime/train/datasets.js";
import { loadCheckpoint } from "../../../runtime/train/probe-main.js";
import type { Ran } from "./support.js";
import { jepac, root, temporary } from "./support.js";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const [FRAMES, SIDE, EVERY] = [4, 8, 2];

const masked = `use std.vit
model masked {
  input video: Video[${FRAMES}, ${SIDE}, ${SIDE}, 3]
  mask targets = 2 of block(scale: 0.2..0.3, aspect: 0.75..1.5, min_keep: 0, sampler: corrected)
  mask context = block(scale: 0.9..1.0, aspect: 1.0, min_keep: 0, sampler: corrected) minus targets
  encoder student = video_vit(patch: 2, frames: 2, width: 12, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.9)
  predictor predict = vit_predictor(width: 12, depth: 1, heads: 2)
  loss smooth_l1(predict(student(video at context), at: targets), stopgrad(normalize(teacher(video))) at targets)
}
train masked {
  data shapes(count: 24) { random_resized_crop(scale: 0.5..1.0), flip(p: 0.5) }
  steps 4
  batch 8
}
probe masked { linear(on: teacher), knn(on: teacher, k: 3) }
`;
/** A world model: the next frame's features from this one's and the action between them; what it shows has a class. */
const world = `use std.nn
use std.vit
model world {
  input video: Video[${FRAMES}, ${SIDE}, ${SIDE}, 3]
  input action: Action[${FRAMES - 1}, 2]
  input label: Label[2]
  encoder student = vit(patch: 4, width: 12, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.9)
  predictor step = mlp(24, out: 12)
  head classify = linear(2)
  seen = pool(student(video))
  loss mse(step(join(earlier(seen, 1), action)), stopgrad(later(pool(teacher(video)), 1)))
  loss spread = 0.1 * variance(seen, over: images)
  loss named = 0.1 * cross_entropy(classify(mean(seen, over: time)), label)
}
train world {
  data videos("films", every: ${EVERY})
  steps 4
  batch 4
}
`;
/** The published labels: of generated clips there are eight shapes. */
const acting = world.replaceAll("world", "acting").replace("Label[2]", "Label[8]").replace("linear(2)", "linear(8)").replace(/data videos.*/, "data shapes(count: 16)");

let cwd = "";
const before = process.cwd();
afterAll(() => process.chdir(before));
beforeAll(async () => {
  cwd = temporary({ "package.json": "{}", "masked.jepa": masked, "world.jepa": world, "acting.jepa": acting });
  // Trainers write where the process is, whatever folder the command was given in.
  process.chdir(cwd);
  for (const [k, name] of ["left", "right"].entries()) for (let f = 0; f < 5; f++) {
    const folder = join(cwd, "films", name, `film_${f}`);
    mkdirSync(folder, { recursive: true });
    for (let t = 0; t < 11; t++) writeFileSync(join(folder, `${t}.png`), await frame(k * 120 + f * 7 + t));
    writeFileSync(join(folder, "actions.csv"), `x,y\n${Array.from({ length: 11 }, (_, t) => `${t / 8},${f / 4}`).join("\n")}\n`);
  }
});

const shades = (seed: number): Uint8Array => Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (seed * 89 + i * i * 31 + i * 57) % 256);
const frame = (seed: number): Promise<Buffer> => sharp(shades(seed), { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toBuffer();

const run = (...words: readonly string[]): Promise<Ran> => jepac(words, { cwd });

const quick = ["--no-probe", "--no-report"];
const alone = ["--engine", "wasm", "--workers", "0"];
const rows = (folder: string): { loss: number; losses: Record<string, number> }[] => readFileSync(join(cwd, folder, "metrics.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
const losses = (folder: string): number[] => rows(folder).map(({ loss }) => loss);
const state = (folder: string): unknown => [...readSafetensors(readFileSync(join(cwd, folder, "checkpoint.safetensors"))).tensors].sort();

async function train(file: string, out: string, ...words: readonly string[]): Promise<string> {
  const ran = await run("train", `${file}.jepa`, "--out", out, ...words);
  expect(ran.code, ran.err).toBe(0);
  return ran.err;
}

test("masked clips, generated: trained, stopped and gone on bit by bit, with threads too; a report of frames", async () => {
  expect(await train("masked", "whole", ...alone, "--no-probe")).toContain(`24 synthetic clips of ${FRAMES} × ${SIDE} × ${SIDE}, seed 0`);
  expect(losses("whole").every((loss) => Number.isFinite(loss) && loss > 0)).toBe(true);
  await train("masked", "parts", ...alone, ...quick, "--steps", "2");
  await train("masked", "parts", "--resume", ...alone, ...quick, "--steps", "4");
  await train("masked", "threads", "--engine", "wasm", "--workers", "2", ...quick);
  for (const other of ["parts", "threads"]) {
    expect(losses(other), other).toEqual(losses("whole"));
    expect(state(other), other).toEqual(state("whole"));
  }
  const report = readFileSync(join(cwd, "whole/report.html"), "utf8");
  const captions = [...report.matchAll(/<figcaption>([^<]*)/g)].map(([, text = ""]) => text);
  // Two clips, each with its first, third and last frame; two sets of targets and one context in each.
  expect(captions.length).toBe(2 * 3 * 4);
  expect(captions.filter((text) => text.startsWith("frame"))).toEqual(["frame 1", "frame 3", "frame 4", "frame 1", "frame 3", "frame 4"]);
});

test("generated clips are probed on others, for where things go too", async () => {
  const { manifest } = await loadCompiled(join(cwd, "whole/compiled"), "compiled");
  const data = await openTrainingData(manifest, undefined, undefined);
  const sets = await probeSets(manifest, data, await openTestData(manifest, data, undefined), () => undefined);
  expect([sets?.train.feed.count, sets?.test.feed.count, sets?.testName]).toEqual([24, 500, "500 other synthetic clips"]);
  expect(sets?.test.factors.map(({ name, labels }) => [name, labels.length])).toEqual([["shape", 500], ["texture", 500], ["color", 500], ["direction", 500]]);
  const [teacher] = manifest.encoders.filter(({ name }) => name === "teacher");
  expect(teacher).toBeDefined();
  if (teacher !== undefined) expect((await sets?.test.feed.images(3, 5, teacher))?.length).toBe(2 * FRAMES * SIDE * SIDE * 3);
});

test("a world model with actions and classes, on folders of films: trained, gone on, probed, read out", async () => {
  const told = await train("world", "films-run", ...alone);
  expect(told).toContain("10 films in films, 2 classes; clips of 4 frames, one of every 2");
  expect(told).toContain("probing on 8 films, testing on 2 (every fifth film of films)");
  expect(Object.keys(rows("films-run")[0]?.losses ?? {})).toEqual(["mse", "spread", "named"]);
  // One one-hot row against another guess of a near-zero head: the cross-entropy of two classes.
  expect(rows("films-run")[0]?.losses["named"]).toBeCloseTo(Math.log(2), 1);
  await train("world", "films-parts", ...alone, ...quick, "--steps", "3");
  await train("world", "films-parts", "--resume", ...alone, ...quick, "--steps", "4");
  expect(state("films-parts")).toEqual(state("films-run"));
  const probe: { readonly encoders: readonly { readonly factors: readonly { readonly factor: string; readonly chance: number }[] }[] } = JSON.parse(readFileSync(join(cwd, "films-run/probe.json"), "utf8"));
  expect(probe.encoders[0]?.factors.map(({ factor, chance }) => [factor, chance])).toEqual([["class", 0.5]]);

  const read = await run("features", "films-run", "films", "-o", "f.safetensors", "--engine", "wasm");
  expect(read.code, read.err).toBe(0);
  expect(read.out).toBe("wrote f.safetensors: features [10, 12], labels [10]\n");
  // The clip in the middle of eleven frames, of which a clip spans eight, begins at the second; normalized and averaged by hand.
  const { manifest, module } = await loadCompiled(join(cwd, "films-run/compiled"), "compiled");
  const { engine } = await createEngine(manifest, module, "cpu", 0);
  await engine.importState((await loadCheckpoint(join(cwd, "films-run"), manifest)).state);
  const { mean, std } = manifest.train;
  const features = readSafetensors(readFileSync(join(cwd, "f.safetensors"))).tensors.get("features")?.data ?? [];
  for (const [row, seed] of [[0, 0], [7, 120 + 14]] as const) {
    const clip = Float32Array.from([1, 3, 5, 7].flatMap((t) => Array.from(shades(seed + t), (byte, i) => (byte / 255 - (mean[i % 3] ?? 0)) / (std[i % 3] ?? 1))));
    const tokens = await engine.encode("teacher", clip, 1);
    const count = tokens.length / 12;
    for (let j = 0; j < 12; j++) {
      const average = Array.from({ length: count }, (_, k) => tokens[k * 12 + j] ?? 0).reduce((a, b) => a + b, 0) / count;
      expect(Math.abs(Number(features[row * 12 + j]) - average)).toBeLessThan(1e-4);
    }
  }
  engine.dispose();
});

test("encoders of clips are not written in formats for pictures, and that is said", async () => {
  for (const [format, words] of [["hf", /takes clips of 4 frames, and IJepaModel takes pictures/], ["onnx", /cannot be written as ONNX: it takes clips/]] as const) {
    const ran = await run("export", "whole", "--format", format, "-o", `out-${format}`);
    expect([ran.code, ran.err]).toEqual([2, expect.stringMatching(words)]);
    expect(existsSync(join(cwd, `out-${format}`))).toBe(false);
  }
});

test("generated actions and labels train; two processes take the step that one takes", async () => {
  await train("acting", "one", ...alone, ...quick);
  expect(rows("one")[0]?.losses["named"]).toBeCloseTo(Math.log(8), 0);
  // Without the terms that compare images, which no process can do for another.
  writeFileSync(join(cwd, "apart.jepa"), acting.replaceAll("acting", "apart").replace(/\n {2}loss spread.*/, ""));
  await train("apart", "single", ...alone, ...quick);
  await train("apart", "pair", ...alone, ...quick, "--replicas", "2");
  losses("pair").forEach((loss, i) => expect(Math.abs(loss / (losses("single")[i] ?? NaN) - 1)).toBeLessThan(1e-4));
});

const device = ((): boolean => {
  const told = spawnSync(process.execPath, ["-e", `import(${JSON.stringify(join(root, "dist/runtime/backends/webgpu/device.js"))}).then((d) => d.nodeLimits()).then(() => process.exit(0), (e) => { console.error(e.message); process.exit(3); })`], { cwd: root, encoding: "utf8" });
  if (told.status !== 0) console.warn(`NOT TESTED: clips on WebGPU by the command line: ${told.stderr.trim()}`);
  return told.status === 0;
})();

test("WebGPU takes the same steps", async () => {
  if (!device) return;
  for (const [file, wasm] of [["masked", "whole"], ["world", "films-run"]] as const) {
    await train(file, `${file}-webgpu`, "--target", "wgsl", "--workers", "0", ...quick);
    losses(`${file}-webgpu`).forEach((loss, i) => expect(Math.abs(loss / (losses(wasm)[i] ?? NaN) - 1), `${file}, step ${i + 1}`).toBeLessThan(1e-3));
  }
});

test("what does not fit a program is refused before it trains, with the way out", async () => {
  const refusals: readonly (readonly [words: readonly string[], message: RegExp])[] = [
    [["acting.jepa", "--data", "films"], /the label `label` has 8 classes, and films has 2 classes\nhelp: write Label\[2\]/],
    [["world.jepa", "--data", "films/left"], /takes the label `label`, and the films of films\/left have none\nhelp: put the films into one sub-folder per class/],
    [["world.jepa", "--data", "nowhere"], /there is no folder nowhere with films/],
  ];
  for (const [words, message] of refusals) {
    const ran = await run("train", ...words, "--out", "refused", ...alone, ...quick);
    expect(ran.code).toBe(2);
    expect(ran.err).toMatch(message);
    expect(existsSync(join(cwd, "refused", "checkpoint.safetensors"))).toBe(false);
  }
  writeFileSync(join(cwd, "films/left/film_0/actions.csv"), "1,2\n3,NaN\n");
  const bad = await run("train", "world.jepa", "--out", "refused", ...alone, ...quick);
  expect([bad.code, bad.err]).toEqual([2, expect.stringMatching(/films\/left\/film_0\/actions\.csv, line 2: 'NaN' is not a finite number\nhelp: /)]);
});
