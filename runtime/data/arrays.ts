/**
 * Arrays as data: NumPy's files of signals, spectrograms and other fields of numbers.
 *
 * Owns finding them (a folder with a sample in each file, class folders give labels, or one file whose first axis counts samples, with
 * labels in a file beside it) and what an array is to a program: its axes are height, width and channels, or what of these the program
 * has more than one of. Numbers are taken as they stand. The format is npy.ts's; folders are walked as those of pictures (folder.ts).
 */
import { existsSync } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import { counted } from "../base/counted.js";
import { errorText, HostError, systemCode } from "../base/errors.js";
import { byName, describeLeft, scan } from "./folder.js";
import { countOf, NPY_HEAD, readNpyHeader, readNpyValues, type NpyHeader } from "./npy.js";
import type { ImageSource, RawImage, SourceReport, SourceSpec } from "./source.js";

type ArraysSpec = Extract<SourceSpec, { kind: "arrays" }>;
/** What a sample is to the program. */
type Sample = ArraysSpec["sample"];

/** How arrays are opened. */
export interface ArrayOptions {
  /** Height, width and channels of the program's input. */
  readonly sample: Sample;
  /** Whether the program's transforms crop or resize; samples of other sizes are refused where they do not. */
  readonly sized?: boolean;
  /** Files that cannot be read as samples, such as those with a number that is not finite: another takes their place (the default), or the run is refused. */
  readonly onCorrupt?: "skip" | "refuse";
  /** Samples smaller than a view: the run is refused (the default), another takes their place, or they are stretched. */
  readonly onSmall?: "scale" | "skip" | "refuse";
}

const NAMED = 20;
const isNpy = (path: string): boolean => path.toLowerCase().endsWith(".npy");

/**
 * The arrays of a folder, or of one file of many samples. Throws `HostError` "not-found" where there is none, "empty-folder" for a folder without
 * arrays, "bad-data" for a file of many samples that is none, or whose labels do not fit, "io" for what cannot be read.
 */
export async function arraySource(root: string, { sample, sized = false, onCorrupt = "skip", onSmall = "refuse" }: ArrayOptions): Promise<ImageSource> {
  const base = { kind: "arrays", root, onCorrupt, onSmall, sample, sized } as const;
  if (isNpy(root)) return stackOf(base);
  const { pictures, strays, circles } = await scan(root, isNpy, ["array folder", "give a folder of .npy files, or one such file"]);
  if (pictures.length === 0) throw new HostError("empty-folder", `there are no arrays in ${root}`, "put .npy files into it, or into one sub-folder per class; or name one file whose first axis counts samples");
  const paths = pictures.map((path) => relative(root, path));
  const inClasses = paths.filter((path) => path.includes(sep));
  const classOf = (path: string): string => path.slice(0, path.indexOf(sep));
  const classes = [...new Set(inClasses.map(classOf))].sort(byName);
  const files = classes.length === 0 ? paths : inClasses;
  const loose = classes.length === 0 ? [] : paths.filter((path) => !path.includes(sep));
  const inRoot = (list: readonly string[]): string[] => list.map((path) => relative(root, path));
  const left = [...inRoot(strays), ...loose, ...inRoot(circles)].sort(byName);
  const report: SourceReport = {
    images: files.length, stray: left.slice(0, NAMED), strayCount: left.length,
    lines: [`${counted(files.length, "array")} in ${root}, ${classes.length === 0 ? "no labels" : counted(classes.length, "class", "classes")}`, ...describeLeft(inRoot(strays).sort(byName), loose, inRoot(circles), "array lies", "arrays lie", "an array")],
  };
  return arraysFromSpec({ ...base, classes, files, labels: files.map((path) => (classes.length === 0 ? -1 : classes.indexOf(classOf(path)))) }, report);
}

/** One file of many samples, with the labels that lie beside it: `train.labels.npy` beside `train.npy`. */
async function stackOf(base: Omit<ArraysSpec, "classes" | "files" | "labels">): Promise<ImageSource> {
  const { root } = base;
  const named = (error: unknown): HostError => (error instanceof HostError ? error : new HostError("bad-data", `cannot read ${root}: ${errorText(error)}`, "save it with np.save, one plain array whose first axis counts samples"));
  try {
    const { shape, fortran } = await headOf(root);
    const [count = 0, ...rest] = shape;
    if (shape.length < 2 || count < 1) throw new Error(`it is [${shape.join(", ")}], and its first axis must count samples`);
    if (fortran) throw new Error("its first axis is the fastest (Fortran order), so that no sample lies together: save np.ascontiguousarray(x)");
    const why = misfit(rest, base.sample);
    if (why !== undefined) throw new Error(why);
    const beside = root.replace(/\.npy$/i, ".labels.npy");
    const numbers = existsSync(beside) ? await labelsOf(beside, count) : undefined;
    const values = [...new Set(numbers)].sort((a, b) => a - b);
    const labels = numbers === undefined ? Array.from({ length: count }, () => -1) : Array.from(numbers, (value) => values.indexOf(value));
    const kinds = numbers === undefined ? `no labels (there is no ${basename(beside)} beside it)` : `${counted(values.length, "class", "classes")} by ${basename(beside)}`;
    return arraysFromSpec({ ...base, classes: values.map(String), files: [], labels }, { images: count, stray: [], strayCount: 0, lines: [`${counted(count, "sample")} of [${rest.join(", ")}] in ${root}, ${kinds}`] });
  } catch (error) {
    throw named(error);
  }
}

async function labelsOf(path: string, count: number): Promise<Float32Array> {
  const bytes = await readFile(path);
  try {
    const head = readNpyHeader(bytes.subarray(0, NPY_HEAD));
    if (countOf(head.shape) !== count) throw new Error(`it has ${countOf(head.shape)} labels, and there are ${count} samples`);
    const labels = readNpyValues(head, bytes.subarray(head.offset));
    const odd = labels.find((label) => !Number.isInteger(label));
    if (odd !== undefined) throw new Error(`${odd} is no whole number`);
    return labels;
  } catch (error) {
    throw new HostError("bad-data", `cannot take the labels of ${path}: ${errorText(error)}`, "give a whole number for each sample, or take the file away");
  }
}

/** Rebuilds a source from its listing. */
export function arraysFromSpec(spec: ArraysSpec, report?: SourceReport): ImageSource {
  const size = spec.labels.length;
  const describe = (index: number): string => (spec.files.length === 0 ? `sample ${index} of ${spec.root}` : join(spec.root, spec.files[index] ?? `sample ${index}`));
  return {
    name: spec.root, size, spec, describe,
    factors: spec.classes.length === 0 ? [] : [{ name: "class", classes: spec.classes }],
    report: report ?? { images: size, stray: [], strayCount: 0, lines: [] },
    onCorrupt: spec.onCorrupt, onSmall: spec.onSmall,
    label: (index, factor) => (factor === undefined || factor === "class" ? (spec.labels[index] ?? -1) : -1),
    decode: (index) => decode(spec, index, describe(index)),
  };
}

async function decode(spec: ArraysSpec, index: number, name: string): Promise<RawImage> {
  const one = spec.files.length > 0;
  try {
    const path = one ? name : spec.root;
    const head = await headOf(path);
    const shape = one ? head.shape : head.shape.slice(1);
    const why = misfit(shape, spec.sample) ?? (spec.sized ? undefined : otherSize(shape, spec.sample));
    if (why !== undefined) throw new Error(why);
    const length = countOf(shape) * head.bytes;
    const bytes = await bytesAt(path, head.offset + (one ? 0 : index * length), length);
    const { height, width } = placed(shape, spec.sample);
    return { height, width, data: readNpyValues({ ...head, shape }, bytes) };
  } catch (error) {
    if (error instanceof HostError) throw error;
    if (systemCode(error) !== "") throw new HostError("unreadable-image", `cannot read ${name}: ${errorText(error)}`, "bring the file back or let it be read, or write on_corrupt: skip in the program's data", { cause: error });
    throw new HostError("bad-image", `cannot take ${name}: ${errorText(error)}`, "mend the array, or write on_corrupt: skip in the program's data", { cause: error });
  }
}

async function headOf(path: string): Promise<NpyHeader> {
  const { size } = await stat(path).catch((error: unknown) => { throw missing(path, error); });
  return readNpyHeader(await bytesAt(path, 0, Math.min(size, NPY_HEAD)));
}

function missing(path: string, error: unknown): unknown {
  return systemCode(error) === "ENOENT" ? new HostError("not-found", `there is no file ${path}`, "check the path; data paths are relative to where the command runs", { cause: error }) : error;
}

async function bytesAt(path: string, from: number, length: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array(length);
    let held = 0;
    while (held < length) {
      const { bytesRead } = await file.read(bytes, held, length - held, from + held);
      if (bytesRead === 0) break;
      held += bytesRead;
    }
    return bytes.subarray(0, held);
  } finally {
    await file.close();
  }
}

/** Height and width of a sample whose axes fit. */
function placed(shape: readonly number[], { height, channels }: Sample): { readonly height: number; readonly width: number } {
  const [a = 1, b = 1] = shape;
  if (shape.length === 3) return { height: a, width: b };
  if (shape.length === 1) return { height: 1, width: a };
  // Two axes: of a signal its moments and channels, or, of one channel, the one row or column that it may stand in.
  if (height !== 1) return { height: a, width: b };
  return { height: 1, width: channels === 1 ? Math.max(a, b) : a };
}

/** Why the axes of a sample are not those of the program's input; undefined where they are. */
function misfit(shape: readonly number[], { height, width, channels }: Sample): string | undefined {
  const line = height === 1;
  const fits = shape.length === 3 ? shape[2] === channels && (!line || shape[0] === 1)
    : shape.length === 2 ? (line ? (channels === 1 ? shape.includes(1) : shape[1] === channels) : channels === 1)
    : shape.length === 1 && line && channels === 1;
  if (fits && shape.every((side) => side > 0)) return undefined;
  const wanted = [...(line ? [] : [height]), width, ...(channels === 1 && !line ? [] : [channels])];
  const turned = shape.length >= 2 && shape[0] === channels && shape.at(-1) !== channels;
  return `it is [${shape.join(", ")}], and the program takes [${wanted.join(", ")}]${turned ? "; its channels come first: save np.moveaxis(x, 0, -1) of each sample" : ""}`;
}

function otherSize(shape: readonly number[], sample: Sample): string | undefined {
  const { height, width } = placed(shape, sample);
  if (height === sample.height && width === sample.width) return undefined;
  const sizes = sample.height === 1 ? `${width} numbers long, and the program takes ${sample.width}` : `${height} by ${width}, and the program takes ${sample.height} by ${sample.width}`;
  return `it is ${sizes}: write random_crop or center_crop in the program's data to take a part of it, or resize`;
}
