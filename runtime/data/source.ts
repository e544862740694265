/**
 * What a source of pictures is.
 *
 * Owns the contract between pictures (folders, the embedded generator, whatever a user of the API brings) and everything
 * that consumes them. Labels are for probes only: a source may have none, one (class folders) or several (the generator's
 * factors). A source that can be rebuilt from plain data (`spec`) is decoded in worker threads; others in-process.
 */

/**
 * A decoded picture, row-major: `height · width · 3` values in RGB, or `height · width` of a gray one; 8 bits each, or 16
 * where the array has so many. A program gets the channels that it takes, whichever these are.
 */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint16Array;
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

/** Plain data that rebuilds a source in another thread. */
export type SourceSpec =
  | { readonly kind: "synthetic"; readonly count: number; readonly side: number; readonly seed: number }
  | {
      readonly kind: "folder";
      readonly root: string;
      readonly onCorrupt: "skip" | "refuse";
      readonly onSmall: "scale" | "skip" | "refuse";
      /** Class names, empty for a flat folder; paths relative to `root`; label by file, −1 for none. */
      readonly classes: readonly string[];
      readonly files: readonly string[];
      readonly labels: readonly number[];
    };

/** Pictures by index 0..size-1, always the same picture for the same index. */
export interface ImageSource {
  readonly name: string;
  readonly size: number;
  /** Empty for unlabelled pictures. */
  readonly factors: readonly Factor[];
  readonly report: SourceReport;
  readonly spec: SourceSpec | undefined;
  /** What to do with a picture that cannot be read or decoded, and with one smaller than a view in some direction. */
  readonly onCorrupt: "skip" | "refuse";
  readonly onSmall: "scale" | "skip" | "refuse";
  /** What to call picture `index` in a message: its path. */
  describe(index: number): string;
  /** Label of a picture for a factor (the first unless named), −1 when there is none. */
  label(index: number, factor?: string): number;
  /** Throws a `HostError` that names the picture: "bad-image" when it cannot be decoded, "unreadable-image" when its file cannot be read, "io" when the machine cannot read now. */
  decode(index: number): Promise<RawImage>;
}
