/**
 * Image folders.
 *
 * Owns finding pictures on disk. Class sub-folders give labels, sorted by name as every
 * framework does it; a folder with pictures and no sub-folders with pictures is unlabelled. Links are followed, to files and
 * to folders, unless they lead back into a folder that they lie in. What is left out is counted and named, never silently
 * dropped: files that are not pictures, and pictures beside class folders. Whether a picture's body is corrupt is only known when it is decoded, and
 * whether its file can be read when it is read (decode.ts): the loader handles both by the source's `onCorrupt`. What is wrong with the
 * machine, and not with a file, is tried again for some seconds and then ends the run: a picture that is there must not be
 * replaced by another.
 */
import { readdir, realpath, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { counted } from "../base/counted.js";
import { errorText, HostError, systemCode } from "../base/errors.js";
import { decodeFile } from "./decode.js";
import type { Bands, ImageSource, SourceReport, SourceSpec } from "./source.js";

/** Names of files that are pictures end in one of these. */
export const EXTENSIONS: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif"]);
const NAMED = 20;

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

const isPicture = (name: string): boolean => EXTENSIONS.has(extname(name).toLowerCase());

/** What is under a folder, sorted; hidden files are passed over. `above` holds the real paths of the folder and of those it was reached through. */
async function walk(folder: string, above: ReadonlySet<string>, found: Found, isData: (name: string) => boolean): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => byName(a.name, b.name));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? await stat(path).catch(() => entry) : entry;
    if (kind.isDirectory()) {
      const real = await realpath(path);
      if (above.has(real)) found.circles.push(path);
      else await walk(path, new Set(above).add(real), found, isData);
    } else if (kind.isFile() && isData(entry.name)) found.pictures.push(path);
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
export function describeLeft(strays: readonly string[], loose: readonly string[], circles: readonly string[], one: string = "picture lies", many: string = "pictures lie", thing = "a picture"): string[] {
  return [
    ...named(strays, `file is not ${thing} and left out`, `files are not ${thing} and left out`),
    ...named(loose, `${one} beside the class folders, has no class and is left out`, `${many} beside the class folders, have no class and are left out`),
    ...named(circles, "link leads back into a folder it lies in and is not followed", "links lead back into a folder they lie in and are not followed"),
  ];
}

/** All that lies under a folder, files that are data of the wanted kind as `pictures`; `words` call the folder, and say what it may be. Throws `HostError` "not-found" or "io". */
export async function scan(root: string, isData = isPicture, [called, help]: readonly [string, string] = ["image folder", "give a folder of pictures, or of one sub-folder per class"]): Promise<Found> {
  const found: Found = { pictures: [], strays: [], circles: [] };
  try {
    if (!(await stat(root)).isDirectory()) throw new HostError("not-found", `${root} is not a folder`, help);
    await walk(root, new Set([await realpath(root)]), found, isData);
  } catch (error) {
    if (error instanceof HostError) throw error;
    const missing = ["ENOENT", "ENOTDIR"].includes(systemCode(error));
    throw new HostError(missing ? "not-found" : "io", missing ? `there is no ${called} ${root}` : `cannot read the ${called} ${root}: ${errorText(error)}`, missing ? "check the path; data paths are relative to where the command runs" : "let it and all folders in it be read, then start again", { cause: error });
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
  /** Channels of the program: files of pictures with other numbers than 1 and 3 are read by their bands. Gray or color, as the file has it, unless said. */
  readonly channels?: number;
  /** Bands of a file to take, counted from 1, as many as there are channels; all unless said. */
  readonly bands?: readonly number[];
}

/** What is taken of the bands of files. Throws a RangeError where they are no bands, or not as many as channels. */
export function bandsOf({ channels, bands }: Pick<FolderOptions, "channels" | "bands">): Bands | undefined {
  if (channels !== undefined && (!Number.isInteger(channels) || channels < 1)) throw new RangeError(`channels is ${channels}, not a whole number from 1 on`);
  if (bands === undefined) return channels === 1 || channels === 3 ? undefined : channels;
  if (bands.length === 0 || !bands.every((band) => Number.isInteger(band) && band >= 1)) throw new RangeError(`bands is [${bands.join(", ")}]; it is a list of whole numbers from 1 on`);
  if (channels !== undefined && bands.length !== channels) throw new RangeError(`bands names ${bands.length}, and there are ${channels} channels`);
  return bands;
}

function classify(root: string, pictures: readonly string[], options: FolderOptions): { spec: FolderSpec; loose: string[] } {
  const { onCorrupt = "skip", onSmall = "scale" } = options;
  if (!["skip", "refuse"].includes(onCorrupt)) throw new RangeError(`onCorrupt is ${onCorrupt}; it is skip or refuse`);
  if (!["scale", "skip", "refuse"].includes(onSmall)) throw new RangeError(`onSmall is ${onSmall}; it is scale, skip or refuse`);
  const bands = bandsOf(options);
  const read = { onCorrupt, onSmall, ...(bands === undefined ? {} : { bands }) };
  const paths = pictures.map((path) => relative(root, path));
  const inClasses = paths.filter((path) => path.includes(sep));
  if (inClasses.length === 0) return { spec: { kind: "folder", root, ...read, classes: [], files: paths, labels: paths.map(() => -1) }, loose: [] };
  const classOf = (path: string): string => path.slice(0, path.indexOf(sep));
  const classes = [...new Set(inClasses.map(classOf))].sort(byName);
  const place = new Map(classes.map((name, i) => [name, i]));
  const labels = inClasses.map((path) => place.get(classOf(path)) ?? -1);
  return { spec: { kind: "folder", root, ...read, classes, files: inClasses, labels }, loose: paths.filter((path) => !path.includes(sep)) };
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
    decode: (index) => decodeFile(join(spec.root, spec.files[index] ?? ""), spec.bands),
  };
}
