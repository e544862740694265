/** Clips: which frames a step takes, that all of them are augmented alike, what takes the place of a film with a corrupt frame, and that neither resuming nor threads change a bit. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ViewSpec } from "../../../runtime/abi.js";
import { applyToClip, applyView, compileView } from "../../../runtime/data/augment.js";
import { drawnStart, framesFrom, middleStart } from "../../../runtime/data/clip.js";
import { filmSource } from "../../../runtime/data/films.js";
import { createLoader, type LoaderBatch, type LoaderOptions } from "../../../runtime/data/loader.js";
import { openNumbers } from "../../../runtime/data/numbers.js";
import type { ImageSource } from "../../../runtime/data/source.js";
import { drawPicture, syntheticSource } from "../../../runtime/data/synthetic.js";
import { compileWorker, view } from "./helpers.js";

const worker = compileWorker();
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-clips-"));
});
afterAll(async () => {
  await rm(worker.folder, { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
});

/** Films `0`, `1`, … of so many frames, each frame of one shade: twenty times the film's number and the frame's. */
async function films(name: string, lengths: readonly number[]): Promise<string> {
  const root = join(folder, name);
  for (const [i, frames] of lengths.entries()) {
    await mkdir(join(root, String(i)), { recursive: true });
    for (let t = 0; t < frames; t++) await sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 20 * i + t, g: 9, b: 9 } } }).png().toFile(join(root, String(i), `${t}.png`));
  }
  return root;
}

const plain: ViewSpec = { ...view(8), frames: 2 };
const norm = { mean: [0, 0, 0], std: [1, 1, 1] };

async function batches(source: ImageSource, steps: readonly number[], rest: Partial<LoaderOptions> = {}): Promise<LoaderBatch[]> {
  const loader = await createLoader(source, { batch: 3, seed: 5, views: [plain], ...norm, workers: 0, workerScript: worker.script, ...rest });
  try {
    const list: LoaderBatch[] = [];
    for (const step of steps) list.push(await loader.next(step));
    return list;
  } finally {
    await loader.close();
  }
}

/** The shades of the frames of a batch's clips, by slot. */
function shades(batch: LoaderBatch | undefined, frames = 2): number[][] {
  const all = batch?.images["image"] ?? new Float32Array();
  return Array.from({ length: all.length / (192 * frames) }, (_, slot) => Array.from({ length: frames }, (_, t) => Math.round((all[(slot * frames + t) * 192] ?? 0) * 255)));
}

test("a clip is one of every so many frames from a start that the step draws; every start comes, with equal chance", async () => {
  const kind = { frames: 3, every: 4 };
  expect(framesFrom(kind, 5)).toEqual([5, 9, 13]);
  expect([12, 13, 17].map((length) => middleStart(kind, length))).toEqual([0, 0, 2]);
  expect(drawnStart(kind, 12, { seed: 1, step: 3, slot: 7 })).toBe(0);
  const counts = new Int32Array(5);
  for (let step = 0; step < 4000; step++) counts[drawnStart(kind, 16, { seed: 1, step, slot: 0 })]! += 1;
  // Five starts, 800 each expected; the deviation of a count is 25.
  for (const count of counts) expect(Math.abs(count - 800)).toBeLessThan(110);
});

test("a batch of clips holds the frames that their starts say", async () => {
  const source = await filmSource(await films("plain", [6, 9, 5, 7]), { frames: 2, every: 2 });
  for (const batch of await batches(source, [0, 1, 2])) {
    const expected = Array.from(batch.indices, (index, slot) => framesFrom({ frames: 2, every: 2 }, drawnStart({ frames: 2, every: 2 }, source.films?.length(index) ?? 0, { seed: 5, step: batch.step, slot })).map((t) => 20 * index + t));
    expect(shades(batch)).toEqual(expected);
  }
});

test("threads, prefetching, resuming and the cache change no bit", async () => {
  const source = await filmSource(await films("threads", [6, 9, 5, 7, 4, 8, 6]), { frames: 2, every: 2 });
  const rich: ViewSpec = { ...view(8, [{ name: "random_resized_crop", args: { scale: [0.3, 1] } }, { name: "color_jitter", args: {} }], "image"), frames: 2 };
  const alone = await batches(source, [0, 1, 2, 3, 4, 5], { views: [rich] });
  expect(await batches(source, [0, 1, 2, 3, 4, 5], { views: [rich], workers: 3, prefetch: 2 })).toEqual(alone);
  expect(await batches(source, [4, 2], { views: [rich] })).toEqual([alone[4], alone[2]]);
  expect(await batches(source, [0, 1, 2, 3, 4, 5], { views: [rich], cacheMegabytes: 0 })).toEqual(alone);
});

test("a film is passed over where a frame of that clip is corrupt, named once, and the same for a run that begins later", async () => {
  const root = await films("damage", [9, 9, 9]);
  await writeFile(join(root, "1", "4.png"), "broken");
  const source = await filmSource(root, { frames: 2 });
  const notes: string[] = [];
  const steps = Array.from({ length: 24 }, (_, i) => i);
  const all = await batches(source, steps, { onNote: (text) => notes.push(text) });
  const own = all.flatMap((batch) => Array.from(batch.indices)).filter((index) => index === 1).length;
  // Two of eight starts meet the corrupt frame; the film is used with the six others.
  expect(own).toBeGreaterThan(9);
  expect(own).toBeLessThan(24);
  expect(notes).toEqual([expect.stringMatching(/^cannot decode .*4\.png.*; another film takes its place$/)]);
  for (const step of [7, 15, 23]) expect(await batches(source, [step])).toEqual([all[step]]);
  await expect(batches(await filmSource(root, { frames: 2, onCorrupt: "refuse" }), steps)).rejects.toMatchObject({ code: "bad-image", message: expect.stringContaining("4.png") });
});

test("frames of different sizes make no clip, whichever of them were kept from before", async () => {
  const root = await films("sizes", [4, 4, 4, 4]);
  await sharp({ create: { width: 9, height: 8, channels: 3, background: { r: 0, g: 0, b: 0 } } }).png().toFile(join(root, "2", "2.png"));
  const source = await filmSource(root, { frames: 2, onCorrupt: "refuse" });
  await expect(batches(source, Array.from({ length: 12 }, (_, i) => i))).rejects.toMatchObject({ code: "bad-image", message: expect.stringMatching(/sizes.2 differ in size: (8 x 8 and 9 x 8|9 x 8 and 8 x 8)/) });
});

test("small films are scaled up and told of as films, or refused", async () => {
  const root = await films("small", [3, 3, 3]);
  const large: ViewSpec = { ...view(16), frames: 2 };
  const notes: string[] = [];
  const [batch] = await batches(await filmSource(root, { frames: 2 }), [0], { views: [large], onNote: (text) => notes.push(text) });
  expect(batch?.images["image"]?.length).toBe(3 * 2 * 16 * 16 * 3);
  expect(notes).toEqual([expect.stringMatching(/^some films are smaller than a view and are scaled up, such as /)]);
  await expect(batches(await filmSource(root, { frames: 2, onSmall: "refuse" }), [0], { views: [large] })).rejects.toMatchObject({ code: "small-image" });
});

test("views of clips on pictures, of pictures on films, and of another length are refused before a step", async () => {
  const [stills, clips] = [syntheticSource({ count: 4, side: 8, seed: 0 }), syntheticSource({ count: 4, side: 8, seed: 0, frames: 3 })];
  await expect(batches(stills, [0])).rejects.toMatchObject({ code: "bad-data", message: expect.stringMatching(/takes clips of 2 frames, and .* has pictures/) });
  await expect(batches(clips, [0])).rejects.toMatchObject({ code: "bad-data", message: expect.stringMatching(/clips of 2 frames, and .* has clips of 3 frames/) });
  await expect(batches(clips, [0], { views: [view(8)] })).rejects.toMatchObject({ code: "bad-data", message: expect.stringMatching(/takes pictures, and/) });
});

test("all frames of a clip are augmented alike: each as that picture alone would be with the same key", () => {
  const spec: ViewSpec = { ...view(12, [{ name: "random_resized_crop", args: { scale: [0.2, 1] } }, { name: "flip", args: { p: 0.5 } }, { name: "color_jitter", args: { p: 1 } }, { name: "blur", args: { p: 0.5 } }], "a"), frames: 3 };
  const frames = [0, 1, 2].map((i) => drawPicture(1, i, 24));
  const [clip, single] = [compileView(spec, norm.mean, norm.std), compileView({ ...spec, frames: undefined }, norm.mean, norm.std)];
  for (const key of [{ seed: 2, step: 3, slot: 4 }, { seed: 2, step: 4, slot: 0 }]) {
    const out = new Float32Array(3 * 432);
    applyToClip(clip, frames, key, out, 0);
    for (const [t, frame] of frames.entries()) {
      const alone = new Float32Array(432);
      applyView(single, frame, key, alone, 0);
      expect(out.subarray(t * 432, (t + 1) * 432)).toEqual(alone);
    }
    // A clip of one picture again and again stands still.
    applyToClip(clip, [frames[0]!, frames[0]!, frames[0]!], key, out, 0);
    expect(out.subarray(0, 432)).toEqual(out.subarray(864));
  }
});

const kinds = { label: { name: "label", kind: "label", shape: [8] }, moves: { name: "moves", kind: "action", shape: [5, 2] }, sum: { name: "sum", kind: "action", shape: [2] } } as const;

test("generated clips: a figure that moves by its actions before a background that stays", async () => {
  const source = syntheticSource({ count: 30, side: 32, seed: 3, frames: 5 });
  expect(source.factors.map(({ name }) => name)).toEqual(["shape", "texture", "color", "direction"]);
  const again = syntheticSource({ count: 8, side: 32, seed: 3, frames: 5 });
  let still = 0;
  for (let i = 0; i < 8; i++) {
    const clip = await source.films?.read(i, [0, 1, 2, 3, 4]) ?? [];
    expect((await again.films?.read(i, [2]))?.[0]?.data).toEqual(clip[2]?.data);
    const [first, last] = [clip[0]?.data ?? new Uint8Array(), clip[4]?.data ?? new Uint8Array()];
    const changed = Array.from({ length: 1024 }, (_, p) => [0, 1, 2].some((c) => first[p * 3 + c] !== last[p * 3 + c]));
    still += changed.filter((one) => !one).length;
    // The direction is that of all steps together, counted clockwise from the right.
    const actions = source.actions?.rows(i) ?? new Float32Array();
    expect(actions.length).toBe(10);
    const sum = [0, 1].map((c) => [0, 1, 2, 3, 4].reduce((total, t) => total + (actions[t * 2 + c] ?? 0), 0));
    const eighth = (Math.round(Math.atan2(sum[1] ?? 0, sum[0] ?? 0) / (Math.PI / 4)) + 8) % 8;
    expect(source.label(i, "direction")).toBe(eighth);
    expect(Math.hypot(sum[0] ?? 0, sum[1] ?? 0)).toBeLessThanOrEqual(0.6);
  }
  expect(still).toBeGreaterThan(8 * 200);
  expect(new Set(Array.from({ length: 30 }, (_, i) => source.label(i, "direction"))).size).toBeGreaterThan(5);
  expect(() => syntheticSource({ count: 1, side: 8, seed: 0, frames: 0 })).toThrow(/0 frames/);
});

test("the displacement that pictures show is that of the actions", async () => {
  const source = syntheticSource({ count: 16, side: 96, seed: 9, frames: 4 });
  const errors: number[] = [];
  for (let i = 0; i < 16; i++) {
    const clip = await source.films?.read(i, [0, 1]) ?? [];
    const steps = source.actions?.rows(i) ?? new Float32Array();
    const [a, b] = [clip[0]?.data ?? new Uint8Array(), clip[1]?.data ?? new Uint8Array()];
    // Over whole shifts, the one at which the second frame looks most like the first where they differ.
    let best = { score: Infinity, x: 0, y: 0 };
    for (let y = -16; y <= 16; y++) for (let x = -16; x <= 16; x++) {
      let score = 0;
      for (let r = 20; r < 76; r += 2) for (let c = 20; c < 76; c += 2) {
        const p = (r * 96 + c) * 3;
        if (a[p] === b[p] && a[p + 1] === b[p + 1]) continue;
        const q = ((r + y) * 96 + c + x) * 3;
        score += Math.abs((a[p] ?? 0) - (b[q] ?? 0)) + Math.abs((a[p + 1] ?? 0) - (b[q + 1] ?? 0));
      }
      if (score < best.score) best = { score, x, y };
    }
    errors.push(Math.hypot(best.x - 96 * (steps[0] ?? 0), best.y - 96 * (steps[1] ?? 0)));
  }
  errors.sort((x, y) => x - y);
  // Half of the figures are found to a pixel and a half; stripes and discs of one color look alike at several shifts.
  expect(errors[8]).toBeLessThan(1.5);
});

test("numbers follow the clips: rows of their frames, sums over frames that are passed over, one-hot labels", async () => {
  const root = await films("moved", [9, 12, 10]);
  const moved = { ...await filmSource(root, { frames: 2, every: 3 }), factors: [{ name: "class", classes: ["a", "b", "c"] }], label: (index: number) => 2 - index, actions: { size: 2, rows: (index: number) => Float32Array.from({ length: [18, 24, 20][index] ?? 0 }, (_, i) => 100 * index + i) } };
  const numbers = openNumbers([{ name: "l", kind: "label", shape: [3] }, { name: "m", kind: "action", shape: [2, 2] }, { name: "one", kind: "action", shape: [1, 2] }, { name: "s", kind: "action", shape: [2] }], moved, 5);
  for (const batch of await batches(moved, [0, 1, 2])) {
    const rows = numbers.batch(batch.step, batch.indices);
    batch.indices.forEach((index, slot) => {
      const start = (shades(batch)[slot]?.[0] ?? 0) - 20 * index;
      const value = (t: number, c: number): number => 100 * index + 2 * t + c;
      const over = (from: number, count: number, c: number): number => Array.from({ length: count }, (_, t) => value(from + t, c)).reduce((a, b) => a + b, 0);
      expect(Array.from(rows?.["m"]?.subarray(slot * 4, slot * 4 + 4) ?? [])).toEqual([over(start, 3, 0), over(start, 3, 1), over(start + 3, 3, 0), over(start + 3, 3, 1)]);
      expect(Array.from(rows?.["one"]?.subarray(slot * 2, slot * 2 + 2) ?? [])).toEqual([over(start, 3, 0), over(start, 3, 1)]);
      expect(Array.from(rows?.["s"]?.subarray(slot * 2, slot * 2 + 2) ?? [])).toEqual([over(start, 6, 0), over(start, 6, 1)]);
      expect(Array.from(rows?.["l"]?.subarray(slot * 3, slot * 3 + 3) ?? [])).toEqual([0, 1, 2].map((c) => (c === 2 - index ? 1 : 0)));
    });
  }
});

test("a generated clip gives a label by the first factor that has so many classes, and its actions as they moved it", () => {
  const source = syntheticSource({ count: 6, side: 8, seed: 1, frames: 5 });
  const rows = openNumbers([kinds.label, { ...kinds.label, name: "texture", shape: [6] }, kinds.moves, kinds.sum], source, 0).batch(0, Int32Array.of(4, 2));
  const hot = (values: Float32Array | undefined, classes: number): number[] => [0, 1].map((slot) => values?.subarray(slot * classes, (slot + 1) * classes).indexOf(1) ?? -1);
  expect(hot(rows?.["label"], 8)).toEqual([source.label(4, "shape"), source.label(2, "shape")]);
  expect(hot(rows?.["texture"], 6)).toEqual([source.label(4, "texture"), source.label(2, "texture")]);
  expect(rows?.["moves"]?.subarray(0, 10)).toEqual(source.actions?.rows(4));
  const steps = source.actions?.rows(2) ?? new Float32Array();
  const total = [0, 1, 2, 3, 4].reduce((sum, t) => sum + (steps[2 * t] ?? 0), 0);
  expect(rows?.["sum"]?.[2]).toBeCloseTo(total, 6);
});

test.each([
  ["labels of pictures that have none", { name: "y", kind: "label", shape: [3] }, { factors: [] }, "bad-data", /takes the label `y`, and the films of .* have none/],
  ["another number of classes", { name: "y", kind: "label", shape: [3] }, {}, "mismatch", /the label `y` has 3 classes, and .* has 8 classes of shape, 6 classes of texture/],
  ["actions that are not there", kinds.sum, { actions: undefined }, "bad-data", /takes the action `sum`, and none come with the films/],
  ["actions of another size", { ...kinds.moves, shape: [5, 3] }, {}, "mismatch", /the action `moves` has 3 numbers, and those of .* have 2/],
  ["more moments than frames", { ...kinds.moves, shape: [6, 2] }, {}, "mismatch", /has 6 moments, and a clip has 5 frames/],
] as const)("numbers that a source has not are refused before a step: %s", (_, spec, change, code, message) => {
  const source = { ...syntheticSource({ count: 6, side: 8, seed: 1, frames: 5 }), ...change };
  expect(() => openNumbers([spec], source, 0)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
});

test("a program without numbers gets none", () => {
  expect(openNumbers(undefined, syntheticSource({ count: 6, side: 8, seed: 1 }), 0).batch(0, Int32Array.of(1))).toBeUndefined();
});
