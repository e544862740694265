/**
 * Image folders, decoded by sharp.
 *
 * Owns finding pictures on disk and turning a file into RGB of 8 or 16 bits. Class sub-folders give labels, sorted by name as every
 * framework does it; a folder with pictures and no sub-folders with pictures is unlabelled. Links are followed, to files and
 * to folders, unless they lead back into a folder that they lie in. What is left out is counted and named, never silently
 * dropped: files that are not pictures, and pictures beside class folders. Pictures stand as their EXIF orientation says. Whether a picture's body is corrupt is only known when it is decoded, and
 * whether its file can be read when it is read: the loader handles both by the source's `onCorrupt`. What is wrong with the
 * machine, and not with a file, is tried again for some seconds and then ends the run: a picture that is there must not be
 * replaced by another. Crops and resizing are not done here: that maths is our own.
 */
import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import sharp, { type Sharp } from "sharp";
import { counted } from "../base/counted.js";
import { errorText, HostError, systemCode } from "../base/errors.js";
import type { ImageSource, RawImage, SourceReport, SourceSpec } from "./source.js";

/** Names of files that are pictures end in one of these. */
export const EXTENSIONS: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif"]);
const NAMED = 20;

// One libvips thread per picture: pictures are decoded side by side already, and its operation cache only costs memory.
sharp.concurrency(1);
sharp.cache(false);

/** What lies under a folder, as paths. */
export interface Found {
  readonly pictures: string[];
  readonly strays: string[];
  /** Links that lead back into a folder that they lie in. */
  readonly circles: string[];
}

/** The order of names that every framework gives classes. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What is under a folder, sorted; hidden files are passed over. `above` holds the real paths of the folder and of those it was reached through. */
async function walk(folder: string, above: ReadonlySet<string>, found: Found): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => byName(a.name, b.name));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? await stat(path).catch(() => entry) : entry;
    if (kind.isDirectory()) {
      const real = await realpath(path);
      if (above.has(real)) found.circles.push(path);
      else await walk(path, new Set(above).add(real), found);
    } else if (kind.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase())) found.pictures.push(path);
    else found.strays.push(path);
  }
}

function few(names: readonly string[]): string {
  return `${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}`;
}

/** A line that counts and names some files, where there are any. */
export function named(names: readonly string[], one: string, many: string): string[] {
  return names.length === 0 ? [] : [`${names.length} ${names.length === 1 ? one : many}: ${few(names)}`];
}

/** Lines that count and name what is left out of a folder. */
export function describeLeft(strays: readonly string[], loose: readonly string[], circles: readonly string[], one: string = "picture lies", many: string = "pictures lie"): string[] {
  return [
    ...named(strays, "file is not a picture and left out", "files are not a picture and left out"),
    ...named(loose, `${one} beside the class folders, has no class and is left out`, `${many} beside the class folders, have no class and are left out`),
    ...named(circles, "link leads back into a folder it lies in and is not followed", "links lead back into a folder they lie in and are not followed"),
  ];
}

/** All that lies under a folder. Throws `HostError` "not-found" or "io". */
export async function scan(root: string): Promise<Found> {
  const found: Found = { pictures: [], strays: [], circles: [] };
  try {
    if (!(await stat(root)).isDirectory()) throw new HostError("not-found", `${root} is not a folder`, "give a folder of pictures, or of one sub-folder per class");
    await walk(root, new Set([await realpath(root)]), found);
  } catch (error) {
    if (error instanceof HostError) throw error;
    const missing = ["ENOENT", "ENOTDIR"].includes(systemCode(error));
    throw new HostError(missing ? "not-found" : "io", `cannot read the image folder ${root}: ${errorText(error)}`, missing ? "check the path; data paths are relative to where the command runs" : "let it and all folders in it be read, then start again", { cause: error });
  }
  return found;
}

type FolderSpec = Extract<SourceSpec, { kind: "folder" }>;

/** What a folder does with pictures that are not as they should be. */
export interface FolderOptions {
  /** Files that cannot be decoded: another picture takes their place (the default), or the run is refused. */
  readonly onCorrupt?: "skip" | "refuse";
  /** Pictures smaller than a view: scaled up (the default), another takes their place, or the run is refused. */
  readonly onSmall?: "scale" | "skip" | "refuse";
}

function classify(root: string, pictures: readonly string[], options: FolderOptions): { spec: FolderSpec; loose: string[] } {
  const { onCorrupt = "skip", onSmall = "scale" } = options;
  if (!["skip", "refuse"].includes(onCorrupt)) throw new RangeError(`onCorrupt is ${onCorrupt}; it is skip or refuse`);
  if (!["scale", "skip", "refuse"].includes(onSmall)) throw new RangeError(`onSmall is ${onSmall}; it is scale, skip or refuse`);
  const paths = pictures.map((path) => relative(root, path));
  const inClasses = paths.filter((path) => path.includes(sep));
  if (inClasses.length === 0) return { spec: { kind: "folder", root, onCorrupt, onSmall, classes: [], files: paths, labels: paths.map(() => -1) }, loose: [] };
  const classOf = (path: string): string => path.slice(0, path.indexOf(sep));
  const classes = [...new Set(inClasses.map(classOf))].sort(byName);
  const place = new Map(classes.map((name, i) => [name, i]));
  const labels = inClasses.map((path) => place.get(classOf(path)) ?? -1);
  return { spec: { kind: "folder", root, onCorrupt, onSmall, classes, files: inClasses, labels }, loose: paths.filter((path) => !path.includes(sep)) };
}

/**
 * The pictures of a folder. `options` say what happens to files that cannot be decoded or are too small. Throws
 * `HostError` "not-found" for a folder that is not there, "io" for one that cannot be read, "empty-folder" for one without pictures, and a
 * RangeError for options that are none.
 */
export async function folderSource(root: string, options: FolderOptions = {}): Promise<ImageSource> {
  const { pictures, strays, circles } = await scan(root);
  if (pictures.length === 0) {
    const others = strays.length === 0 ? "it is empty" : `it has ${counted(strays.length, "other file")}, such as ${relative(root, strays[0] ?? "")}`;
    throw new HostError("empty-folder", `there are no pictures in ${root}: ${others}`, `put pictures (${[...EXTENSIONS].join(" ")}) into it, or into one sub-folder per class`);
  }
  const { spec, loose } = classify(root, pictures, options);
  const inRoot = (paths: readonly string[]): string[] => paths.map((path) => relative(root, path));
  const left = [...inRoot(strays), ...loose, ...inRoot(circles)].sort(byName);
  const kinds = spec.classes.length === 0 ? "no labels" : counted(spec.classes.length, "class", "classes");
  const report: SourceReport = {
    images: spec.files.length,
    stray: left.slice(0, NAMED),
    strayCount: left.length,
    lines: [`${counted(spec.files.length, "picture")} in ${root}, ${kinds}`, ...describeLeft(inRoot(strays).sort(byName), loose, inRoot(circles))],
  };
  return folderFromSpec(spec, report);
}

/** Rebuilds a folder source from its listing, without reading the folder again. */
export function folderFromSpec(spec: FolderSpec, report?: SourceReport): ImageSource {
  return {
    name: spec.root,
    size: spec.files.length,
    factors: spec.classes.length === 0 ? [] : [{ name: "class", classes: spec.classes }],
    report: report ?? { images: spec.files.length, stray: [], strayCount: 0, lines: [] },
    spec,
    onCorrupt: spec.onCorrupt,
    onSmall: spec.onSmall,
    describe: (index) => join(spec.root, spec.files[index] ?? `picture ${index}`),
    label: (index, factor) => (factor === undefined || factor === "class" ? (spec.labels[index] ?? -1) : -1),
    decode: (index) => decodeFile(join(spec.root, spec.files[index] ?? "")),
  };
}

/** Milliseconds before a file is read again that could not be read. */
const AGAIN: readonly number[] = [100, 400, 1600];
/** Faults that may pass by themselves: those of the machine (or of the one that keeps the files), and a device's, which may as well be of this file alone. */
const MACHINE: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EBUSY", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH"]);
const DEVICE = "EIO";

/** The bytes of a file with pictures. Throws `HostError` "unreadable-image" where its file cannot be read, "io" where it is the machine that cannot. */
async function readPicture(path: string, tried = 0): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = systemCode(error);
    const wait = AGAIN[tried];
    if (wait !== undefined && (MACHINE.has(code) || code === DEVICE)) {
      await sleep(wait);
      return readPicture(path, tried + 1);
    }
    if (MACHINE.has(code)) throw new HostError("io", `cannot read ${path}, which may be a sound picture: ${errorText(error)}`, "mend that (EMFILE: raise `ulimit -n`, or take fewer --workers), then go on with --resume", { cause: error });
    throw new HostError("unreadable-image", `cannot read ${path}: ${errorText(error)}`, "bring the file back or let it be read, or write on_corrupt: skip in the program's data", { cause: error });
  }
}

/** How a file's values are to be read: `deep` where they have 16 bits, `profile` where their colors are those of a profile. */
interface Values {
  readonly deep: boolean;
  readonly profile: boolean;
}

/** Looks at a file's head. A JPEG has 8 bits, and is not looked at: that takes a tenth of the time of decoding a photograph. Throws what is not to be read as a picture, in words. */
async function valuesOf(picture: Sharp, bytes: Uint8Array): Promise<Values> {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { deep: false, profile: false };
  const { depth, channels, space, icc } = await picture.metadata();
  if (depth !== "uchar" && depth !== "ushort") throw new Error(`its values are of type ${depth}; pictures have 8 or 16 bits without a sign, from black at 0 to white`);
  const colors = space === "b-w" || space === "grey16" ? 1 : space === "cmyk" ? 4 : 3;
  if (channels > colors + 1) throw new Error(`it has ${channels} channels; pictures are gray or in color, and may have an alpha channel, which is left out`);
  return { deep: depth === "ushort", profile: icc !== undefined && space === "rgb16" };
}

/**
 * Decodes a file to RGB of 8 bits, or of 16 where it has so many, turned as its EXIF orientation says; alpha is dropped.
 * Throws `HostError` "bad-image" that names it, and what reading it throws.
 */
export async function decodeFile(path: string): Promise<RawImage> {
  const [picture] = await decodePages(path);
  if (picture === undefined) throw new RangeError(`${path} holds no picture`);
  return picture;
}

/** Pictures of a file that holds several: `count` of them, from `page` (counted from 0) on. All of it is one where `pages` is not given. Throws what `decodeFile` throws. */
export async function decodePages(path: string, pages?: { readonly page: number; readonly count: number }): Promise<readonly RawImage[]> {
  const bytes = await readPicture(path);
  try {
    const picture = sharp(bytes, { failOn: "error", ...(pages === undefined ? {} : { page: pages.page, pages: pages.count }) });
    const { deep, profile } = await valuesOf(picture, bytes);
    // Pages come as one tall picture, which must not be turned.
    if (pages === undefined) picture.autoOrient();
    picture.removeAlpha().toColourspace(deep ? "rgb16" : "srgb").raw({ depth: deep ? "ushort" : "uchar" });
    // Colors of a profile with 16 bits come out as those of Display P3 otherwise.
    if (profile) picture.withIccProfile("srgb", { attach: false });
    const { data, info } = await picture.toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`it has ${info.channels} channels that are not red, green and blue`);
    const values = deep ? new Uint16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)) : data;
    const { count } = pages ?? { count: 1 };
    const [width, height] = [info.width, info.height / count];
    if (!Number.isInteger(height)) throw new Error("its pictures differ in size");
    const size = width * height * 3;
    return count === 1 ? [{ width, height, data: values }] : Array.from({ length: count }, (_, i) => ({ width, height, data: values.slice(i * size, (i + 1) * size) }));
  } catch (error) {
    throw new HostError("bad-image", `cannot decode ${path}: ${errorText(error).split("\n")[0] ?? ""}`, "remove or replace the file, or write on_corrupt: skip in the program's data", { cause: error });
  }
}

/** How many pictures a file holds: formats that can hold several are asked. Throws what their heads being damaged throws. */
export async function pagesOf(path: string): Promise<number> {
  const extension = extname(path).toLowerCase();
  if (![".gif", ".webp", ".tif", ".tiff"].includes(extension)) return 1;
  if (extension === ".webp" && !(await isAnimatedWebp(path))) return 1;
  return (await sharp(path).metadata()).pages ?? 1;
}

/** A folder may hold a hundred thousand frames in this format: the head of most says at once that it is one picture. */
async function isAnimatedWebp(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const head = new Uint8Array(21);
    await file.read(head, 0, head.length, 0);
    return String.fromCharCode(...head.subarray(12, 16)) === "VP8X" && ((head[20] ?? 0) & 2) !== 0;
  } finally {
    await file.close();
  }
}
