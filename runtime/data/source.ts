/**
 * What a source of pictures, or of films, is.
 *
 * Owns the contract between pictures (folders, the embedded generator, whatever a user of the API brings) and everything
 * that consumes them. Labels are for probes, and for programs that take a `Label`: a source may have none, one (class folders) or
 * several (the generator's factors). A source of films has `films`; an index is then a film, of which a step takes a clip. A source that
 * can be rebuilt from plain data (`spec`) is decoded in worker threads; others in-process.
 */

/**
 * A decoded picture, row-major: `height · width · 3` values in RGB, `height · width` of a gray one, or as many a pixel as it has
 * bands; 8 bits each, or 16 where the array has so many. A program gets the channels that it takes: gray and color are made of
 * each other, other bands are those of the picture. Floats are numbers of arrays and signals, in units of their own, with no black and no white: they are
 * normalized as they stand, and made into no other channels.
 */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint16Array | Float32Array;
}

/** Something to probe for: `shape` with its class names. Labels index `classes`. */
export interface Factor {
  readonly name: string;
  readonly classes: readonly string[];
}

/** What was found while opening a source. `lines` says it to a person. */
export interface SourceReport {
  readonly images: number;
  /** What is left out (files that are not pictures, pictures beside class folders), by path; at most 20 of `strayCount`. */
  readonly stray: readonly string[];
  readonly strayCount: number;
  readonly lines: readonly string[];
}

/** What a program takes of the bands of a file, where it does not take gray or color: all of so many, or those of a list, counted from 1 as GDAL does. */
export type Bands = number | readonly number[];

/** Plain data that rebuilds a source in another thread. */
export type SourceSpec =
  | { readonly kind: "synthetic"; readonly count: number; readonly side: number; readonly seed: number; readonly frames?: number }
  | { readonly kind: "waves"; readonly count: number; readonly length: number; readonly channels: number; readonly seed: number }
  | {
      readonly kind: "arrays";
      /** A folder of files with a sample each, or one file of many. */
      readonly root: string;
      readonly onCorrupt: "skip" | "refuse";
      readonly onSmall: "scale" | "skip" | "refuse";
      /** What a sample is to the program, and whether its transforms bring other sizes to it. */
      readonly sample: { readonly height: number; readonly width: number; readonly channels: number };
      readonly sized: boolean;
      readonly classes: readonly string[];
      /** Paths relative to `root`; of one file with many samples there are none. */
      readonly files: readonly string[];
      readonly labels: readonly number[];
    }
  | {
      readonly kind: "folder";
      readonly root: string;
      readonly onCorrupt: "skip" | "refuse";
      readonly onSmall: "scale" | "skip" | "refuse";
      readonly bands?: Bands;
      /** Class names, empty for a flat folder; paths relative to `root`; label by file, −1 for none. */
      readonly classes: readonly string[];
      readonly files: readonly string[];
      readonly labels: readonly number[];
    }
  | {
      readonly kind: "films";
      readonly root: string;
      readonly onCorrupt: "skip" | "refuse";
      readonly onSmall: "scale" | "skip" | "refuse";
      readonly bands?: Bands;
      readonly frames: number;
      readonly every: number;
      /** As in a folder of pictures. */
      readonly classes: readonly string[];
      readonly films: readonly FilmPlace[];
      readonly labels: readonly number[];
    };

/** Where a film lies, from the root: a folder with its frames' names in order, or a file with so many pictures in it. */
export interface FilmPlace {
  readonly path: string;
  readonly frames: readonly string[] | number;
}

/** What a source of films has beside what a source of pictures has. */
export interface Films {
  /** Frames of a clip, and every how many frames of a film one is taken. */
  readonly frames: number;
  readonly every: number;
  /** Frames of a film: at least those that a clip spans, `frames · every`. */
  length(index: number): number;
  /** Frames of a film by number, in the order asked for. Throws as `decode` does. */
  read(index: number, frames: readonly number[]): Promise<readonly RawImage[]>;
}

/** Numbers that come with films or pictures. */
export interface Actions {
  /** Numbers of one action. */
  readonly size: number;
  /** `[rows, size]`: of a film one row for each frame, which leads from it to the next; of a picture, or of a film that has one action, one. */
  rows(index: number): Float32Array;
}

/** Pictures or films by index 0..size-1, always the same one for the same index. */
export interface ImageSource {
  readonly name: string;
  readonly size: number;
  /** Empty for unlabelled pictures. */
  readonly factors: readonly Factor[];
  /** There where an index is a film. */
  readonly films?: Films;
  /** There where actions come with it. */
  readonly actions?: Actions;
  readonly report: SourceReport;
  readonly spec: SourceSpec | undefined;
  /** What to do with a picture that cannot be read or decoded, and with one smaller than a view in some direction. */
  readonly onCorrupt: "skip" | "refuse";
  readonly onSmall: "scale" | "skip" | "refuse";
  /** What to call picture `index` in a message: its path. */
  describe(index: number): string;
  /** Label of a picture for a factor (the first unless named), −1 when there is none. */
  label(index: number, factor?: string): number;
  /** Of a film the frame in its middle. Throws a `HostError` that names the picture: "bad-image" when it cannot be decoded, "unreadable-image" when its file cannot be read, "io" when the machine cannot read now. */
  decode(index: number): Promise<RawImage>;
}

/** What an index of a source is called: with a number in front (`counted`), or in a sentence. */
export function wordsOf({ films, spec }: Pick<ImageSource, "films" | "spec">): readonly [one: string, many: string] {
  if (spec?.kind === "arrays" || spec?.kind === "waves") return ["sample", "samples"];
  return films === undefined ? ["picture", "pictures"] : ["film", "films"];
}
