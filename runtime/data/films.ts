/**
 * Folders of films, as sources of clips.
 *
 * Owns what a film is on disk: a folder that directly holds pictures, which are its frames in the natural order of their names
 * (`frame_2` before `frame_10`), or a file of several pictures (animated GIF and WebP, multi-page TIFF). A folder above films is
 * a class, as in a folder of pictures. Films shorter than a clip spans are left out and named, or refused. Files are found and
 * decoded by folder.ts; which frames make a clip is clip.ts; what comes with films is actions.ts. Video files are not read.
 */
import { basename, dirname, join, relative, sep } from "node:path";
import { counted } from "../base/counted.js";
import { errorText, HostError } from "../base/errors.js";
import { spanOf } from "./clip.js";
import { decodeFile, decodePages, pagesOf } from "./decode.js";
import { bandsOf, byName, describeLeft, EXTENSIONS, named, scan, type FolderOptions } from "./folder.js";
import type { FilmPlace, ImageSource, RawImage, SourceReport, SourceSpec } from "./source.js";

type FilmsSpec = Extract<SourceSpec, { kind: "films" }>;

/** What clips are taken, and what happens to films that are not as they should be. */
export interface FilmOptions extends Pick<FolderOptions, "channels" | "bands"> {
  /** Frames of a clip. */
  readonly frames: number;
  /** Every so many frames of a film one is taken; 1 unless said. */
  readonly every?: number;
  /** Films with frames that cannot be decoded: another takes their place (the default), or the run is refused. */
  readonly onCorrupt?: "skip" | "refuse";
  /** Films smaller than a view: scaled up (the default), another takes their place, or the run is refused. */
  readonly onSmall?: "scale" | "skip" | "refuse";
  /** Films with fewer frames than a clip spans: left out (the default), or the run is refused. */
  readonly onShort?: "skip" | "refuse";
}

const NAMED = 20;
/** Files whose heads are read at once. */
const AT_ONCE = 32;

/** The order of names in which numbers count as numbers: `frame_2` before `frame_10`; where they are equal, that of characters. */
export function naturally(a: string, b: string): number {
  const [left, right] = [a.split(/(\d+)/), b.split(/(\d+)/)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i] ?? "", right[i] ?? ""];
    const numbers = i % 2 === 1;
    const [p, q] = numbers ? [x.replace(/^0+/, ""), y.replace(/^0+/, "")] : [x, y];
    const order = numbers && p.length !== q.length ? p.length - q.length : byName(p, q);
    if (order !== 0) return order;
  }
  return left.length - right.length || byName(a, b);
}

/** Films with what is wrong with files that might be some. */
interface Films {
  readonly films: FilmPlace[];
  /** Files whose heads cannot be read, with the reason. */
  readonly broken: { readonly path: string; readonly reason: string }[];
}

/** Films of the pictures under a folder. */
async function filmsOf(root: string, pictures: readonly string[]): Promise<Films> {
  const found: Films = { films: [], broken: [] };
  const folders = new Map<string, string[]>();
  for (let from = 0; from < pictures.length; from += AT_ONCE) {
    const part = pictures.slice(from, from + AT_ONCE);
    const pages = await Promise.all(part.map((path) => pagesOf(path).catch((error: unknown) => errorText(error).split("\n")[0] ?? "")));
    part.forEach((path, i) => {
      const count = pages[i] ?? 1;
      const here = relative(root, path);
      if (typeof count === "string") found.broken.push({ path: here, reason: count });
      else if (count > 1) found.films.push({ path: here, frames: count });
      else {
        const frames = folders.get(dirname(here));
        if (frames === undefined) folders.set(dirname(here), [basename(here)]);
        else frames.push(basename(here));
      }
    });
  }
  for (const [path, frames] of folders) found.films.push({ path: path === "." ? "" : path, frames: frames.sort(naturally) });
  found.films.sort((a, b) => naturally(a.path, b.path));
  return found;
}

function lengthOf({ frames }: FilmPlace): number {
  return typeof frames === "number" ? frames : frames.length;
}

/** Films with their class, by the folder above; those without one where others have one are loose. */
function classify(films: readonly FilmPlace[]): Pick<FilmsSpec, "classes" | "films" | "labels"> & { readonly loose: readonly FilmPlace[] } {
  const inClass = films.filter(({ path }) => path.includes(sep));
  if (inClass.length === 0) {
    // Pictures beside films are no film: a list of thumbnails, most often. Alone they are one.
    const isFilm = ({ path }: FilmPlace): boolean => path !== "" || films.length === 1;
    const own = films.filter(isFilm);
    return { classes: [], films: own, labels: own.map(() => -1), loose: films.filter((film) => !isFilm(film)) };
  }
  const classOf = ({ path }: FilmPlace): string => path.slice(0, path.indexOf(sep));
  const classes = [...new Set(inClass.map(classOf))].sort(byName);
  return { classes, films: inClass, labels: inClass.map((film) => classes.indexOf(classOf(film))), loose: films.filter(({ path }) => !path.includes(sep)) };
}

/**
 * The films of a folder. Throws `HostError` "not-found" for a folder that is not there, "io" for one that cannot be read,
 * "empty-folder" for one without films that are long enough, "bad-data" or "bad-image" for what is to be refused, and a RangeError
 * for options that are none.
 */
export async function filmSource(root: string, options: FilmOptions): Promise<ImageSource> {
  const { frames, every = 1, onCorrupt = "skip", onSmall = "scale", onShort = "skip" } = options;
  for (const [name, value] of [["frames", frames], ["every", every]] as const) if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} is ${value}, not a whole number from 1 on`);
  const bands = bandsOf(options);
  const span = spanOf({ frames, every });
  const takes = every === 1 ? `a clip takes ${span}` : `a clip of ${counted(frames, "frame")}, one of every ${every}, takes ${span}`;
  const { pictures, strays, circles } = await scan(root);
  const { films, broken } = await filmsOf(root, pictures);
  const [damaged] = broken;
  if (damaged !== undefined && onCorrupt === "refuse") throw new HostError("bad-image", `cannot decode ${join(root, damaged.path)}: ${damaged.reason}`, "remove or replace the file, or write on_corrupt: skip in the program's data");
  const long = films.filter((film) => lengthOf(film) >= span);
  const short = films.filter((film) => lengthOf(film) < span).map((film) => `${film.path === "" ? "." : film.path} (${lengthOf(film)})`);
  if (long.length === 0) {
    const what = damaged !== undefined && films.length === 0 ? `${damaged.path} cannot be decoded (${damaged.reason})` : films.length > 0 ? `${takes} frames, and the longest film has ${films.reduce((most, film) => Math.max(most, lengthOf(film)), 0)}` : strays.length === 0 ? "it is empty" : `it has ${counted(strays.length, "other file")}, such as ${relative(root, strays[0] ?? "")}`;
    throw new HostError("empty-folder", `there are no films for clips in ${root}: ${what}`, films.length > 0 ? "take fewer frames, or a smaller `every`" : `put the frames of each film (${[...EXTENSIONS].join(" ")}) into a sub-folder of its own; frames of a video file are made with ffmpeg -i film.mp4 film/%06d.png`);
  }
  if (short.length > 0 && onShort === "refuse") throw new HostError("bad-data", `${short[0] ?? ""} of ${root} is too short a film: ${takes} frames`, "remove the film, take fewer frames or a smaller `every`, or write on_short: skip in the program's videos(...)");
  const { loose, ...known } = classify(long);
  const spec: FilmsSpec = { kind: "films", root, onCorrupt, onSmall, ...(bands === undefined ? {} : { bands }), frames, every, ...known };
  const besides = strays.map((path) => relative(root, path)).filter((path) => !path.endsWith(".csv"));
  const left = [...besides, ...broken.map(({ path }) => path), ...loose.map(({ path }) => (path === "" ? "." : path)), ...circles.map((path) => relative(root, path))];
  const kinds = spec.classes.length === 0 ? "no labels" : counted(spec.classes.length, "class", "classes");
  const report: SourceReport = {
    images: spec.films.length,
    stray: [...left, ...short].slice(0, NAMED),
    strayCount: left.length + short.length,
    lines: [
      `${counted(spec.films.length, "film")} in ${root}, ${kinds}; clips of ${counted(frames, "frame")}${every === 1 ? "" : `, one of every ${every}`}`,
      ...named(short, `film has fewer frames than ${takes} and is left out`, `films have fewer frames than ${takes} and are left out`),
      ...named(broken.map(({ path }) => path), "file cannot be decoded and is left out", "files cannot be decoded and are left out"),
      ...describeLeft(besides.sort(byName), spec.classes.length === 0 ? [] : loose.map(({ path }) => (path === "" ? "." : path)), circles.map((path) => relative(root, path)), "film lies", "films lie"),
      ...(spec.classes.length === 0 && loose.length > 0 ? ["pictures that lie beside the films are left out"] : []),
    ],
  };
  return filmsFromSpec(spec, report);
}

/** Rebuilds a source of films from its listing, without reading the folder again. */
export function filmsFromSpec(spec: FilmsSpec, report?: SourceReport): ImageSource {
  const place = (index: number): FilmPlace => spec.films[index] ?? { path: `film ${index}`, frames: 0 };
  const read = (index: number, frames: readonly number[]): Promise<readonly RawImage[]> => readFrames(spec, place(index), frames);
  return {
    name: spec.root,
    size: spec.films.length,
    factors: spec.classes.length === 0 ? [] : [{ name: "class", classes: spec.classes }],
    report: report ?? { images: spec.films.length, stray: [], strayCount: 0, lines: [] },
    spec,
    onCorrupt: spec.onCorrupt,
    onSmall: spec.onSmall,
    films: { frames: spec.frames, every: spec.every, length: (index) => lengthOf(place(index)), read },
    describe: (index) => join(spec.root, place(index).path),
    label: (index, factor) => (factor === undefined || factor === "class" ? (spec.labels[index] ?? -1) : -1),
    async decode(index) {
      const [picture] = await read(index, [Math.floor(lengthOf(place(index)) / 2)]);
      if (picture === undefined) throw new RangeError(`there is no film ${index}`);
      return picture;
    },
  };
}

async function readFrames({ root, bands }: FilmsSpec, film: FilmPlace, wanted: readonly number[]): Promise<readonly RawImage[]> {
  const path = join(root, film.path);
  if (typeof film.frames !== "number") {
    const names = film.frames;
    return Promise.all(wanted.map((t) => decodeFile(join(path, names[t] ?? `frame ${t}`), bands)));
  }
  // Most formats know a picture only by those before it: all from the first to the last are decoded at once.
  const page = Math.min(...wanted);
  const pictures = await decodePages(path, { page, count: Math.max(...wanted) - page + 1 }, bands);
  return wanted.flatMap((t) => pictures[t - page] ?? []);
}
