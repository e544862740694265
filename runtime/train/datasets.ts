/**
 * Which pictures or films a run trains on, and which it is probed on.
 *
 * Owns the choices: the folder given, the one the program names, or the embedded pictures, read as films where the program takes
 * clips and with actions where it takes some; for probes a test set that is
 * given, one that lies beside the training set (`train` and `test` or `val`), or a fifth of the labelled pictures held
 * out. Reading pictures is data/'s business, scoring is probe.ts's. Labels reach training only where a program takes a `Label`.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import type { EncoderInfo, Manifest } from "../abi.js";
import { counted } from "../base/counted.js";
import { isGenerated, isNumbers } from "../base/data-kinds.js";
import { encoderPicture } from "../base/encoder-input.js";
import { HostError } from "../base/errors.js";
import { withActions } from "../data/actions.js";
import { arraySource } from "../data/arrays.js";
import { evalSet } from "../data/eval-set.js";
import type { EvalSet } from "../data/eval-set.js";
import { filmSource } from "../data/films.js";
import { folderSource } from "../data/folder.js";
import { wordsOf, type ImageSource } from "../data/source.js";
import { syntheticSignature, syntheticSource, waveSource } from "../data/synthetic.js";
import type { Factor, ProbeSet } from "./features.js";
import { probedEncoders } from "./probe.js";

/** The pictures of a run. */
export interface TrainingData {
  readonly source: ImageSource;
  /** What a person should know about them, first line first. */
  readonly lines: readonly string[];
  /** A fingerprint that goes into checkpoints: files and classes, not where they lie. */
  readonly signature: string;
}

/** The two sides of a probe, in words too. */
export interface ProbeSets {
  readonly train: ProbeSet;
  readonly test: ProbeSet;
  readonly testName: string;
}

/** The pictures that the probes of a run are tested on. */
export interface TestData {
  readonly source: ImageSource;
  /** What the report calls them. */
  readonly name: string;
}

/** Seeds of the embedded pictures: the data set is one, whatever the seed of the run. */
const SYNTHETIC_SEED = { train: 0, test: 1 } as const;
/** Most pictures a side of a probe looks at, and the memory they may take. */
const MOST = { train: 10_000, test: 10_000, bytes: 1024 ** 3 } as const;

/** Of so many labelled pictures one is held out to test on, where there is no test set. */
const HELD_OUT = 5;

/**
 * The pictures to train on: `path` when given, else what the program says; a relative path of the program is looked for
 * here and beside the compiled program (`folder`). Throws `HostError` "not-found" or "empty-folder".
 */
export async function openTrainingData(manifest: Manifest, path: string | undefined, folder: string | undefined): Promise<TrainingData> {
  const { data } = manifest.train;
  const root = trainingFolder(manifest, path, folder);
  if (root === undefined) return described(generated(manifest, isGenerated(data) ? data.count : 0, SYNTHETIC_SEED.train));
  const { onCorrupt, onSmall, onShort } = { onShort: undefined, ...(isGenerated(data) ? { onCorrupt: undefined, onSmall: undefined } : data) };
  return described(await withNumbers(manifest, await openPictures(manifest, root, { onCorrupt, onSmall, onShort })));
}

/** What a folder does with files that are not as they should be; see `folderSource`, `filmSource` and `arraySource`. */
export interface PictureOptions {
  readonly onCorrupt?: "skip" | "refuse";
  readonly onSmall?: "scale" | "skip" | "refuse";
  readonly onShort?: "skip" | "refuse";
}

/**
 * The pictures of a folder as a program takes them: as films, of which it takes clips, where its input is a `Video`, and as arrays where
 * the program is one for numbers. Throws what `folderSource`, `filmSource` and `arraySource` throw, and `HostError` "mismatch" for a program whose inputs are not all alike in that.
 */
export async function openPictures(manifest: Pick<Manifest, "inputs" | "train" | "views">, root: string, { onCorrupt, onSmall, onShort }: PictureOptions = {}): Promise<ImageSource> {
  const frames = framesOf(manifest);
  const { data } = manifest.train;
  if (isNumbers(data)) return openArrays(manifest, root, { onCorrupt, onSmall });
  if (root.toLowerCase().endsWith(".npy")) throw new HostError("bad-data", `${root} is an array, and the program reads ${frames === undefined ? "pictures" : "films"}`, "write data arrays(\"…\") with a normalize in its units into the program");
  const read = { onCorrupt, onSmall, channels: channelsOf(manifest), bands: data.kind === "images" || data.kind === "videos" ? data.bands : undefined };
  if (frames === undefined) return folderSource(root, read);
  return filmSource(root, { frames, every: data.kind === "videos" ? data.every : 1, onShort, ...read });
}

/** Arrays as the largest input of a program has them. */
function openArrays(manifest: Pick<Manifest, "inputs" | "train" | "views">, root: string, { onCorrupt, onSmall }: PictureOptions): Promise<ImageSource> {
  const [input] = [...manifest.inputs].sort((a, b) => b.height * b.width - a.height * a.width);
  if (input === undefined || input.frames !== undefined) throw new HostError("mismatch", "arrays hold single samples, and the program takes clips", "give a folder of films, or write the program for an `Image`");
  const sized = manifest.views.length > 0 && manifest.views.every(({ transforms }) => transforms.some(({ name }) => SIZING.has(name)));
  return arraySource(root, { sample: input, sized, onCorrupt, onSmall });
}

/** Transforms that bring other sizes to that of a view. */
const SIZING: ReadonlySet<string> = new Set(["random_resized_crop", "random_crop", "center_crop", "resize"]);

/** Frames of the clips that a program takes; undefined where it takes pictures. Throws `HostError` "mismatch" where it takes both, or clips of two lengths. */
function framesOf({ inputs }: Pick<Manifest, "inputs">): number | undefined {
  const [first] = inputs;
  const other = inputs.find(({ frames }) => frames !== first?.frames);
  const said = ({ name, frames }: Manifest["inputs"][number]): string => `\`${name}\` is ${frames === undefined ? "a picture" : `a clip of ${frames} frames`}`;
  if (first !== undefined && other !== undefined) throw new HostError("mismatch", `all inputs of a step are made of one picture or one clip, and ${said(first)}, ${said(other)}`, "take one kind of input, and cut the other out of it");
  return first?.frames;
}

/** A folder's source with the actions that a program takes. */
async function withNumbers(manifest: Pick<Manifest, "numbers">, source: ImageSource): Promise<ImageSource> {
  const actions = (manifest.numbers ?? []).filter(({ kind }) => kind === "action");
  const [first] = actions;
  if (first === undefined) return source;
  const other = actions.find(({ shape }) => shape.at(-1) !== first.shape.at(-1) || shape.length !== first.shape.length);
  if (other !== undefined) throw new HostError("mismatch", `the actions \`${first.name}\` and \`${other.name}\` differ in shape, and a folder has one file of actions for each film`, "take one `Action` with all numbers, and slice it");
  return withActions(source, first.shape.at(-1) ?? 1, first.shape.length === 2);
}

/** Channels of the pictures that a program takes; of all its inputs, as the checker sees to. */
function channelsOf({ inputs }: Pick<Manifest, "inputs">): number {
  return inputs[0]?.channels ?? 3;
}

/** @throws HostError "mismatch" where the program takes other bands than generated pictures have. */
function generated(manifest: Pick<Manifest, "inputs" | "train">, count: number, seed: number): ImageSource {
  const channels = channelsOf(manifest);
  if (manifest.train.data.kind === "waves") return waveSource({ count, length: sideOf(manifest), channels, seed });
  if (channels !== 1 && channels !== 3) throw new HostError("mismatch", `generated pictures are gray or in color, and the program takes ${channels} channels`, "give a folder of pictures with so many bands: --data <folder>");
  return syntheticSource({ count, side: sideOf(manifest), seed, frames: framesOf(manifest) });
}

/** Where the pictures to train on are, undefined where they are generated. Throws `HostError` "not-found". */
export function trainingFolder(manifest: Manifest, path: string | undefined, folder: string | undefined): string | undefined {
  const { data } = manifest.train;
  if (path === undefined && isGenerated(data)) return undefined;
  const named = path ?? (isGenerated(data) ? "" : data.path);
  const places = path !== undefined || isAbsolute(named) || folder === undefined ? [named] : [named, join(folder, named)];
  const root = places.find((place) => existsSync(place));
  if (root === undefined) throw new HostError("not-found", `there is ${data.kind === "arrays" ? `no ${named} with arrays` : `no folder ${named} with ${data.kind === "videos" ? "films" : "pictures"}`}: ${places.map((place) => resolve(place)).join(" and ")} ${places.length === 1 ? "is" : "are"} not there`, path === undefined ? "the program names it; say where they are with --data <folder>" : "check the path given with --data");
  return root;
}

/**
 * The pictures to test probes on: `evalData` when given, else a test set that lies beside the training set, else none. To be
 * asked before training, which may take days. Throws `HostError` "not-found" or "empty-folder" for a folder without
 * pictures, "bad-data" for one given that has no labels, "mismatch" for labels that the training pictures do not have.
 */
export async function openTestData(manifest: Manifest, data: TrainingData, evalData: string | undefined): Promise<TestData | undefined> {
  const test = await testSource(manifest, data, evalData);
  if (test === undefined) return undefined;
  if (evalData !== undefined && test.source.factors.length === 0) {
    throw new HostError("bad-data", `the ${wordsOf(test.source)[1]} in ${evalData} have no labels, and probes are tested on labels`, "put them into one sub-folder per class, or leave --eval-data away");
  }
  checkClasses(test, data.source, evalData === undefined ? "it lies beside the training pictures and so is their test set: give another with --eval-data" : "give a test set with the same class folders, or none");
  return test;
}

/** Refuses a labelled test set with labels that labelled training pictures do not have. */
function checkClasses(test: TestData, training: ImageSource, help: string): void {
  if (training.factors.length === 0) return;
  for (const { name, classes } of test.source.factors) {
    const known = training.factors.find((factor) => factor.name === name);
    if (known === undefined) throw new HostError("mismatch", `${test.name} is labelled by ${name}, the training pictures by ${training.factors.map((factor) => factor.name).join(", ")}`, help);
    const strange = classes.find((label) => !known.classes.includes(label));
    if (strange !== undefined) throw new HostError("mismatch", `${test.name} has a class ${strange}, which the training pictures do not have`, help);
  }
}

/**
 * The pictures to probe on, with `test` of `openTestData`; undefined, with the reason said, when there are no labels anywhere or none to
 * test on. Throws what a source throws, and `HostError` "io" where pictures come or go while they are read.
 */
export async function probeSets(manifest: Manifest, data: TrainingData, test: TestData | undefined, say: (text: string) => void): Promise<ProbeSets | undefined> {
  const labelled = data.source.factors.length > 0;
  const [one, many] = wordsOf(data.source);
  if (test !== undefined && test.source.factors.length > 0 && labelled) {
    const train = await probeSet(manifest, data.source, MOST.train, say);
    const known = sameClasses(await probeSet(manifest, test.source, MOST.test, say), train);
    if (train.feed.count === 0 || known.feed.count === 0) {
      say(`no probe: not one ${one} of ${train.feed.count === 0 ? data.source.name : test.name} can be read and decoded`);
      return undefined;
    }
    return { train, test: known, testName: test.name };
  }
  const only = labelled ? data.source : test !== undefined && test.source.factors.length > 0 ? test.source : undefined;
  if (only === undefined) {
    say(`no probe: the ${many} have no labels (one sub-folder per class makes labels, or give labelled ones with --eval-data)`);
    return undefined;
  }
  const whole = await probeSet(manifest, only, MOST.train, say);
  if (whole.feed.count < HELD_OUT) {
    say(`no probe: every fifth ${one} is held out to test on, and there ${whole.feed.count === 1 ? "is" : "are"} ${whole.feed.count} (give more, or others to test on with --eval-data)`);
    return undefined;
  }
  return { train: part(whole, (row) => row % HELD_OUT !== HELD_OUT - 1), test: part(whole, (row) => row % HELD_OUT === HELD_OUT - 1), testName: `every fifth ${one} of ${only.name}` };
}

function described(source: ImageSource): TrainingData {
  return { source, lines: source.report.lines, signature: signatureOf(source) };
}

function signatureOf(source: ImageSource): string {
  const { spec } = source;
  if (spec === undefined) return `${source.size} pictures, ${source.name}`;
  if (spec.kind === "synthetic" || spec.kind === "waves") return syntheticSignature(spec);
  const plain = (path: string): string => path.replaceAll("\\", "/");
  if (spec.kind === "arrays") return `${counted(source.size, "array")}, ${createHash("sha256").update(JSON.stringify([spec.classes, spec.files.map(plain), spec.labels])).digest("hex").slice(0, 16)}`;
  const found = spec.kind === "folder" ? [spec.classes, spec.files.map(plain)] : [spec.classes, spec.films.map(({ path, frames }) => [plain(path), frames]), spec.frames, spec.every];
  const hash = createHash("sha256").update(JSON.stringify(spec.bands === undefined ? found : [...found, spec.bands])).digest("hex");
  return `${counted(source.size, ...wordsOf(source))}, ${hash.slice(0, 16)}`;
}

function sideOf(manifest: Pick<Manifest, "inputs">): number {
  return Math.max(...manifest.inputs.map((input) => Math.max(input.height, input.width)));
}

async function testSource(manifest: Manifest, data: TrainingData, evalData: string | undefined): Promise<TestData | undefined> {
  if (evalData !== undefined) return { source: await openPictures(manifest, evalData), name: evalData };
  const { spec } = data.source;
  if (spec?.kind === "synthetic" || spec?.kind === "waves") {
    const count = Math.max(500, Math.min(2000, Math.floor(spec.count / 4)));
    return { source: generated(manifest, count, SYNTHETIC_SEED.test), name: `${count} other synthetic ${spec.kind === "waves" ? "signals" : data.source.films === undefined ? "pictures" : "clips"}` };
  }
  // Of arrays in one file the test set is one too.
  const ending = spec?.kind === "arrays" && spec.files.length === 0 ? ".npy" : "";
  if (spec === undefined || basename(spec.root) !== `train${ending}`) return undefined;
  const beside = ["test", "val"].map((name) => join(dirname(spec.root), `${name}${ending}`)).find((path) => existsSync(path));
  return beside === undefined ? undefined : { source: await openPictures(manifest, beside), name: beside };
}

async function probeSet(manifest: Manifest, source: ImageSource, most: number, say: (text: string) => void): Promise<ProbeSet> {
  const [word, words] = wordsOf(source);
  const { mean, std } = manifest.train;
  const sizes = new Map(probedEncoders(manifest).map((encoder): [string, Size] => {
    const size = sizeFor(manifest, encoder);
    return [nameOf(size), size];
  }));
  const bytes = [...sizes.values()].reduce((sum, size) => sum + pixelsOf(size) * mean.length * 4, 0);
  const limit = Math.max(1, Math.min(most, Math.floor(MOST.bytes / bytes)));
  const sets = new Map<string, EvalSet>();
  for (const [name, { height, width, frames }] of sizes) sets.set(name, await evalSet(source, { height, width, frames, mean, std, limit, cut: isCut(manifest) }));
  const [first] = sets.values();
  const { indices, count, corrupt } = first ?? { indices: new Int32Array(0), count: 0, corrupt: [] };
  // The same pictures at every size: labels are by row. What cannot be decoded is left out of all; a file may come or go in between.
  if ([...sets.values()].some((set) => set.indices.join() !== indices.join())) throw new HostError("io", `some ${words} of ${source.name} could be read at one size and not at another`, "see that the folder can be read, then probe again (jepac probe)");
  if (corrupt.length > 0) say(`${counted(corrupt.length, word)} of ${source.name} cannot be read or decoded and ${corrupt.length === 1 ? "is" : "are"} left out, such as ${corrupt[0] ?? ""}`);
  if (count < source.size - corrupt.length) say(`probing on ${count} of ${source.size} ${words} of ${source.name}`);
  const factors = source.factors.map(({ name, classes }): Factor => ({ name, classes, labels: indices.map((index) => source.label(index, name)) }));
  const images = (from: number, to: number, encoder: EncoderInfo): Promise<Float32Array> => {
    const size = sizeFor(manifest, encoder);
    const pixels = pixelsOf(size) * mean.length;
    return Promise.resolve((sets.get(nameOf(size))?.images ?? new Float32Array(0)).subarray(from * pixels, to * pixels));
  };
  return { feed: { count, images }, factors };
}

/** Whether training cuts pictures without scaling them. */
export function isCut({ views }: Pick<Manifest, "views">): boolean {
  return views.some(({ transforms }) => transforms.some(({ name }) => name === "random_crop"));
}

/** Height and width of pictures, and how many make a clip. */
interface Size {
  readonly height: number;
  readonly width: number;
  readonly frames?: number;
}

function pixelsOf({ height, width, frames = 1 }: Size): number {
  return frames * height * width;
}

/** The pictures that an encoder takes; those of the largest input where the manifest does not say. */
function sizeFor(manifest: Manifest, encoder: EncoderInfo): Size {
  return encoderPicture(manifest, encoder) ?? { height: sideOf(manifest), width: sideOf(manifest), frames: framesOf(manifest) };
}

function nameOf({ height, width, frames }: Size): string {
  return `${frames === undefined ? "" : `${frames} × `}${height} × ${width}`;
}

/** Class numbers of a test set in the numbering of the training set: folders number their classes by themselves. */
function sameClasses(test: ProbeSet, train: ProbeSet): ProbeSet {
  const factors = test.factors.map((factor): Factor => {
    const classes = train.factors.find((candidate) => candidate.name === factor.name)?.classes ?? factor.classes;
    const place = factor.classes.map((name) => classes.indexOf(name));
    return { name: factor.name, classes, labels: factor.labels.map((label) => place[label] ?? -1) };
  });
  return { feed: test.feed, factors };
}

/** The rows of a set that a predicate keeps. */
function part(set: ProbeSet, keep: (row: number) => boolean): ProbeSet {
  const rows = Array.from({ length: set.feed.count }, (_, row) => row).filter(keep);
  const factors = set.factors.map(({ name, classes, labels }): Factor => ({ name, classes, labels: Int32Array.from(rows, (row) => labels[row] ?? -1) }));
  return {
    feed: {
      count: rows.length,
      async images(from, to, encoder) {
        const chosen = rows.slice(from, to);
        const parts = await Promise.all(chosen.map((row) => set.feed.images(row, row + 1, encoder)));
        const size = parts[0]?.length ?? 0;
        const out = new Float32Array(parts.length * size);
        parts.forEach((pixels, at) => out.set(pixels, at * size));
        return out;
      },
    },
    factors,
  };
}
