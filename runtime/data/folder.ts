/**
 * Image folders, decoded by sharp.
 *
 * Owns finding pictures on disk and turning a file into 8-bit RGB. Class sub-folders give labels, sorted by name as every
 * framework does it; a folder with pictures and no sub-folders with pictures is unlabelled. Files that are not pictures are
 * counted and named, never silently dropped. Whether a picture's body is corrupt is only known when it is decoded: the
 * loader handles that by the source's `onCorrupt`. Crops and resizing are not done here: that maths is our own.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import sharp from "sharp";
import { errorText, HostError } from "../base/errors.js";
import type { ImageSource, RawImage, SourceReport, SourceSpec } from "./source.js";

const EXTENSIONS: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif"]);
const NAMED = 20;

// One libvips thread per picture: pictures are decoded side by side already, and its operation cache only costs memory.
sharp.concurrency(1);
sharp.cache(false);

interface Found {
  readonly pictures: string[];
  readonly strays: string[];
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Pictures and strays under a folder, sorted; hidden files are passed over. */
async function walk(folder: string, found: Found): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => byName(a.name, b.name));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? await stat(path).catch(() => entry) : entry;
    if (kind.isDirectory() && !entry.isSymbolicLink()) await walk(path, found);
    else if (kind.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase())) found.pictures.push(path);
    else found.strays.push(path);
  }
}

function describeStrays(strays: readonly string[]): string[] {
  if (strays.length === 0) return [];
  const shown = strays.slice(0, 3).join(", ");
  return [`${strays.length} file${strays.length === 1 ? " is" : "s are"} not a picture and left out: ${shown}${strays.length > 3 ? ", …" : ""}`];
}

async function scan(root: string): Promise<Found> {
  const found: Found = { pictures: [], strays: [] };
  try {
    if (!(await stat(root)).isDirectory()) throw new HostError("not-found", `${root} is not a folder`, "give a folder of pictures, or of one sub-folder per class");
    await walk(root, found);
  } catch (error) {
    if (error instanceof HostError) throw error;
    throw new HostError("not-found", `cannot read the image folder ${root}: ${errorText(error)}`, "check the path; data paths are relative to where the command runs", { cause: error });
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
 * `HostError` "not-found" for a folder that cannot be read, "empty-folder" for one without pictures.
 */
export async function folderSource(root: string, options: FolderOptions = {}): Promise<ImageSource> {
  const { pictures, strays } = await scan(root);
  if (pictures.length === 0) {
    const others = strays.length === 0 ? "it is empty" : `it has ${strays.length} other file${strays.length === 1 ? "" : "s"}, such as ${relative(root, strays[0] ?? "")}`;
    throw new HostError("empty-folder", `there are no pictures in ${root}: ${others}`, `put pictures (${[...EXTENSIONS].join(" ")}) into it, or into one sub-folder per class`);
  }
  const { spec, loose } = classify(root, pictures, options);
  const left = [...strays.map((path) => relative(root, path)), ...loose].sort(byName);
  const kinds = spec.classes.length === 0 ? "no labels" : `${spec.classes.length} classes`;
  const report: SourceReport = {
    images: spec.files.length,
    stray: left.slice(0, NAMED),
    strayCount: left.length,
    lines: [`${spec.files.length} pictures in ${root}, ${kinds}`, ...describeStrays(left)],
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

function toRgb(data: Uint8Array, pixels: number, channels: number): Uint8Array {
  if (channels === 3) return data;
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = data[i * channels + (channels < 3 ? 0 : c)] ?? 0;
  }
  return rgb;
}

/** Decodes a file to 8-bit RGB; alpha is dropped. Throws `HostError` "bad-image" that names it. */
export async function decodeFile(path: string): Promise<RawImage> {
  try {
    const picture = sharp(await readFile(path), { failOn: "error" }).removeAlpha().toColourspace("srgb").raw({ depth: "uchar" });
    const { data, info } = await picture.toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data: toRgb(data, info.width * info.height, info.channels) };
  } catch (error) {
    throw new HostError("bad-image", `cannot decode ${path}: ${errorText(error).split("\n")[0] ?? ""}`, "remove or replace the file, or have corrupt pictures skipped (onCorrupt: skip)", { cause: error });
  }
}
