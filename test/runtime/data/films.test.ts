/** Films on disk: what is one, in which order its frames come, what is left out of a folder or refused, and what comes with films in files of actions. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withActions } from "../../../runtime/data/actions.js";
import { evalSet } from "../../../runtime/data/eval-set.js";
import { filmSource, naturally } from "../../../runtime/data/films.js";
import { folderSource } from "../../../runtime/data/folder.js";
import { openSource } from "../../../runtime/data/open.js";
import type { ImageSource } from "../../../runtime/data/source.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-films-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A frame of one shade. */
async function frame(path: string, shade: number, side = 4): Promise<void> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  await sharp({ create: { width: side, height: side, channels: 3, background: { r: shade, g: 0, b: 255 - shade } } }).toFile(join(folder, path));
}

/** A film of frames named `<n>.png` without leading zeros, whose shade is `from + n`. */
async function film(path: string, frames: number, from = 0): Promise<void> {
  for (let t = 0; t < frames; t++) await frame(`${path}/frame_${t}.png`, from + t);
}

/** A file of several pictures, whose shade is ten times their number. */
async function animated(path: string, frames: number, side = 4): Promise<void> {
  await mkdir(join(folder, path, ".."), { recursive: true });
  const roll = Buffer.alloc(frames * side * side * 3);
  for (let t = 0; t < frames; t++) roll.fill(t * 10, t * side * side * 3, (t + 1) * side * side * 3);
  const image = sharp(roll, { raw: { width: side, height: side * frames, channels: 3, pageHeight: side } });
  await (path.endsWith(".webp") ? image.webp({ lossless: true }) : path.endsWith(".gif") ? image.gif() : image.tiff({ compression: "none" })).toFile(join(folder, path));
}

async function shades(source: ImageSource, index: number, frames: readonly number[]): Promise<(number | undefined)[]> {
  return (await source.films?.read(index, frames) ?? []).map(({ data }) => data[0]);
}

const norm = { mean: [0, 0, 0], std: [1, 1, 1] };

test("names are in an order in which numbers count as numbers, however many zeros stand before them", () => {
  expect(["f10", "f2", "f02", "f1b", "f1", "g", "f", "f1a10", "f1a9"].sort(naturally)).toEqual(["f", "f1", "f1a9", "f1a10", "f1b", "f02", "f2", "f10", "g"]);
  const long = [`x${"9".repeat(30)}`, `x1${"0".repeat(30)}`];
  expect([...long].reverse().sort(naturally)).toEqual(long);
});

test("every folder that directly holds pictures is a film, with its frames in natural order", async () => {
  await film("b", 12);
  await film("a", 11, 100);
  await writeFile(join(folder, "notes.txt"), "hello");
  const source = await filmSource(folder, { frames: 3 });
  expect([source.size, source.films?.frames, source.films?.every]).toEqual([2, 3, 1]);
  expect([0, 1].map((i) => [source.describe(i), source.films?.length(i)])).toEqual([[join(folder, "a"), 11], [join(folder, "b"), 12]]);
  expect(await shades(source, 1, [0, 2, 10, 11])).toEqual([0, 2, 10, 11]);
  expect((await source.decode(0)).data[0]).toBe(105);
  expect([source.factors, source.label(0)]).toEqual([[], -1]);
  expect(source.report.lines).toEqual([`2 films in ${folder}, no labels; clips of 3 frames`, "1 file is not a picture and left out: notes.txt"]);
  // Another thread reads the same films from the listing alone.
  expect(await shades(openSource(source.spec ?? { kind: "synthetic", count: 1, side: 8, seed: 0 }), 0, [10])).toEqual([110]);
});

test("folders above films are classes; films beside them have none and are left out", async () => {
  await film("run/one", 2);
  await film("jump/two", 2);
  await animated("jump/three.gif", 3);
  await film("loose", 2);
  const source = await filmSource(folder, { frames: 2 });
  expect(source.factors).toEqual([{ name: "class", classes: ["jump", "run"] }]);
  expect(Array.from({ length: source.size }, (_, i) => [source.describe(i).slice(folder.length + 1), source.label(i)])).toEqual([["jump/three.gif", 0], ["jump/two", 0], ["run/one", 1]]);
  expect(source.report.lines[1]).toBe("1 film lies beside the class folders, has no class and is left out: loose");
});

test.each(["gif", "webp", "tiff"])("a file of several pictures is a film, frame by frame: %s", async (format) => {
  await animated(`walk.${format}`, 6);
  const source = await filmSource(folder, { frames: 2, every: 2 });
  expect(source.films?.length(0)).toBe(6);
  expect(await shades(source, 0, [0, 1, 2, 3, 4, 5])).toEqual([0, 10, 20, 30, 40, 50]);
  expect(await shades(source, 0, [4, 2])).toEqual([40, 20]);
  expect((await source.films?.read(0, [3]))?.map(({ width, height, data }) => [width, height, data.length])).toEqual([[4, 4, 48]]);
});

test("a file of one picture is a frame, of whatever format; a folder that is itself a film is one", async () => {
  for (let t = 0; t < 3; t++) await frame(`${t}.webp`, 40 * t);
  await frame("3.gif", 255);
  const source = await filmSource(folder, { frames: 4 });
  expect([source.size, source.films?.length(0)]).toEqual([1, 4]);
  expect((await shades(source, 0, [3]))[0]).toBe(255);
});

test("films shorter than a clip spans are left out and named, or refused; none left is an error that says how long they are", async () => {
  await film("long", 8);
  await film("short", 7);
  await animated("tiny.gif", 3);
  const source = await filmSource(folder, { frames: 2, every: 4 });
  expect(source.size).toBe(1);
  expect(source.report.lines).toEqual([`1 film in ${folder}, no labels; clips of 2 frames, one of every 4`, "2 films have fewer frames than a clip of 2 frames, one of every 4, takes 8 and are left out: short (7), tiny.gif (3)"]);
  await expect(filmSource(folder, { frames: 2, every: 4, onShort: "refuse" })).rejects.toMatchObject({ code: "bad-data", message: expect.stringContaining("short (7)"), help: expect.stringContaining("on_short: skip") });
  await expect(filmSource(folder, { frames: 9 })).rejects.toMatchObject({ code: "empty-folder", message: expect.stringMatching(/a clip takes 9 frames, and the longest film has 8/) });
});

test("folders without films say how to make frames of a video file", async () => {
  await writeFile(join(folder, "film.mp4"), "x");
  await expect(filmSource(folder, { frames: 2 })).rejects.toMatchObject({ code: "empty-folder", message: expect.stringContaining("film.mp4"), help: expect.stringContaining("ffmpeg -i film.mp4 film/%06d.png") });
});

test("a file whose head is damaged is left out and named, or refused", async () => {
  await film("fine", 3);
  await writeFile(join(folder, "broken.gif"), "GIF89a no");
  const source = await filmSource(folder, { frames: 3 });
  expect(source.report.lines.slice(1)).toEqual(["1 file cannot be decoded and is left out: broken.gif"]);
  await expect(filmSource(folder, { frames: 3, onCorrupt: "refuse" })).rejects.toMatchObject({ code: "bad-image", message: expect.stringContaining("broken.gif") });
});

test("whole sets hold the clip in the middle of each film; one with a corrupt frame there is left out, one elsewhere is not", async () => {
  for (const [at, name] of ["a", "b", "c"].entries()) await film(name, 10, 50 * at);
  await writeFile(join(folder, "a", "frame_0.png"), "broken");
  await writeFile(join(folder, "b", "frame_3.png"), "broken");
  const source = await filmSource(folder, { frames: 2, every: 2 });
  const set = await evalSet(source, { side: 4, frames: 2, ...norm });
  expect([set.count, Array.from(set.indices), set.corrupt]).toEqual([2, [0, 2], [join(folder, "b")]]);
  // The middle four of ten frames begin at the fourth: 3 and 5.
  const reds = Array.from({ length: 4 }, (_, i) => Math.round((set.images[i * 48] ?? 0) * 255));
  expect(reds).toEqual([3, 5, 103, 105]);
  // An encoder of pictures sees the frame in the middle.
  const stills = await evalSet(source, { side: 4, ...norm });
  expect(Array.from({ length: 3 }, (_, i) => Math.round((stills.images[i * 48] ?? 0) * 255))).toEqual([5, 55, 105]);
  await expect(evalSet(source, { side: 4, frames: 3, ...norm })).rejects.toMatchObject({ code: "bad-data" });
  await expect(evalSet(await folderSource(folder), { side: 4, frames: 2, ...norm })).rejects.toMatchObject({ code: "bad-data", message: expect.stringContaining("has pictures") });
});

test("actions lie beside frames and beside film files, a row for each frame, with or without a heading", async () => {
  await film("a", 3);
  await animated("b.gif", 2);
  await writeFile(join(folder, "a", "actions.csv"), "dx, dy\n0.5, -1\n1e-3,2\r\n\n3,4\n");
  await writeFile(join(folder, "b.csv"), "1,2\n3,4");
  const source = await withActions(await filmSource(folder, { frames: 2 }), 2, true);
  expect(Array.from(source.actions?.rows(0) ?? [])).toEqual([0.5, -1, Math.fround(1e-3), 2, 3, 4]);
  expect(Array.from(source.actions?.rows(1) ?? [])).toEqual([1, 2, 3, 4]);
  expect(source.report.lines).toEqual([`2 films in ${folder}, no labels; clips of 2 frames`]);
});

test("pictures take the rows of their folder in the natural order of their names, whatever order they are listed in", async () => {
  for (const t of [1, 2, 10]) await frame(`run/p${t}.png`, t);
  await frame("walk/p1.png", 0);
  await writeFile(join(folder, "run", "actions.csv"), "1\n2\n10\n");
  await writeFile(join(folder, "walk", "actions.csv"), "7\n");
  const source = await withActions(await folderSource(folder), 1, false);
  const rows = Array.from({ length: source.size }, (_, i) => [source.describe(i).slice(folder.length + 1), source.actions?.rows(i)[0]]);
  expect(rows.sort()).toEqual([["run/p1.png", 1], ["run/p10.png", 10], ["run/p2.png", 2], ["walk/p1.png", 7]]);
});

test.each([
  ["a missing file", undefined, true, "not-found", /there is no .*a\/actions\.csv/],
  ["a column too few", "1,2\n3\n5,6\n", true, "bad-data", /actions\.csv, line 2: 1 number, and the program's actions have 2/],
  ["a column too many below a heading and an empty line", "x,y\n\n1,2\n3,4,5\n5,6\n", true, "bad-data", /actions\.csv, line 4: 3 numbers/],
  ["a row too few", "1,2\n3,4\n", true, "bad-data", /actions\.csv: 2 rows, and there are 3 frames of the film/],
  ["a row too many", "1,2\n3,4\n5,6\n7,8\n", true, "bad-data", /actions\.csv, line 4: 4 rows, and there are 3 frames/],
  ["what is not a number", "1,2\n3,NaN\n5,6\n", true, "bad-data", /actions\.csv, line 2: 'NaN' is not a finite number/],
  ["NaN in the first row, which is no heading", "NaN,NaN\n3,4\n5,6\n", true, "bad-data", /line 1: 'NaN'/],
  ["a number beyond what a float holds", "1,2\n3,1e39\n5,6\n", true, "bad-data", /line 2: '1e39'/],
  ["an empty cell", "1,2\n,4\n5,6\n", true, "bad-data", /line 2: an empty cell/],
  ["rows for frames where a film has one action", "1,2\n3,4\n5,6\n", false, "bad-data", /line 2: 3 rows, and there is 1 film, of which/],
] as const)("a file of actions that does not fit is named, with its line: %s", async (_, text, each, code, message) => {
  await film("a", 3);
  if (text !== undefined) await writeFile(join(folder, "a", "actions.csv"), text);
  const source = await filmSource(folder, { frames: 2 });
  await expect(withActions(source, 2, each)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

