/**
 * A whole source as arrays, for probes and features.
 *
 * Owns the deterministic view: of every picture the largest centered part of the wanted shape (all of it where the shapes are
 * alike), resized, or where training cuts without scaling the middle, without chance, normalized as in training. Pictures that cannot be read or decoded are left out and named (or refused, as the source says). A limit takes a fixed random
 * subset, so that a limited probe sees every class. Of a film it is the clip in the middle, or its middle frame where pictures
 * are asked for.
 */
import { HostError } from "../base/errors.js";
import { stream } from "../base/random.js";
import { normalizeInto } from "./augment.js";
import { channelsFor } from "./channels.js";
import { framesFrom, middleStart } from "./clip.js";
import { centerWindow, exactMiddle, pictureOf, resample } from "./resample.js";
import { wordsOf, type ImageSource, type RawImage } from "./source.js";

/** Size of the arrays' pictures; `side` for square ones. */
export type EvalSize = { readonly side: number } | { readonly height: number; readonly width: number };

/** How to lay a source out. */
export type EvalOptions = EvalSize & EvalRest;

interface EvalRest {
  /** A number for each channel: three for pictures in color, one for gray ones; so are deviations. Those of training are in `manifest.train`. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The factor to label by; default the first. */
  readonly factor?: string;
  /** At most this many pictures, by a fixed draw. */
  readonly limit?: number;
  /** Frames of a clip, for a source of films: that of the source. */
  readonly frames?: number;
  /** Pictures are cut to the size and not scaled, as `random_crop` does in training. */
  readonly cut?: boolean;
}

/** Pictures `[count, height, width, channels]` normalized, with labels; with frames, clips `[count, frames, height, width, channels]`. */
export interface EvalSet {
  readonly images: Float32Array;
  readonly labels: Int32Array;
  /** Class names of the factor; empty without labels. */
  readonly classes: readonly string[];
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** Index in the source by row. */
  readonly indices: Int32Array;
  readonly corrupt: readonly string[];
}

const AT_ONCE = 16;
const MAX_BYTES = 4 * 1024 ** 3;

function choose(source: ImageSource, limit: number | undefined): Int32Array {
  const count = Math.min(source.size, limit ?? source.size);
  if (count === source.size) return Int32Array.from({ length: count }, (_, i) => i);
  return stream(0, "probe", source.size).permutation(source.size).slice(0, count).sort();
}

function classesOf(source: ImageSource, factor: string | undefined): readonly string[] {
  if (factor === undefined) return source.factors[0]?.classes ?? [];
  const found = source.factors.find((one) => one.name === factor);
  if (found !== undefined) return found.classes;
  const known = source.factors.map((one) => one.name).join(", ");
  throw new HostError("bad-data", `${source.name} has no factor '${factor}'`, known === "" ? `its ${wordsOf(source)[1]} have no labels` : `it has ${known}`);
}

/** @throws RangeError where sizes, limit, mean or deviation are not what pictures can be laid out by. */
function requireOptions({ mean, std, limit }: EvalOptions, height: number, width: number): number {
  for (const side of [height, width]) if (!Number.isInteger(side) || side < 1) throw new RangeError(`height and width are whole numbers of pixels from 1 on, not ${height} and ${width}`);
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 0)) throw new RangeError(`the limit is ${limit}, not a whole number of pictures`);
  const channels = channelsFor(mean ?? [], std ?? []);
  if (channels === undefined) throw new RangeError("mean and std have one number for each channel (three for red, green and blue, one for gray), and deviations are above 0; those of training are manifest.train.mean and manifest.train.std");
  return channels;
}

/**
 * Decodes, resizes and normalizes. Throws `HostError` "bad-data" for an unknown factor or arrays beyond 4 GiB, and a RangeError for sizes,
 * a limit, a mean or a deviation that are none.
 */
export async function evalSet(source: ImageSource, options: EvalOptions): Promise<EvalSet> {
  const { mean, std, factor } = options;
  const { height, width } = "side" in options ? { height: options.side, width: options.side } : options;
  const channels = requireOptions(options, height, width);
  const classes = classesOf(source, factor);
  if (options.frames !== undefined && options.frames !== source.films?.frames) {
    throw new HostError("bad-data", `clips of ${options.frames} frames are wanted, and ${source.name} has ${source.films === undefined ? "pictures" : `clips of ${source.films.frames}`}`, "open it as films, with the frames that the program takes");
  }
  const chosen = choose(source, options.limit);
  const one = height * width * channels;
  const size = one * (options.frames ?? 1);
  if (chosen.length * size * 4 > MAX_BYTES) throw new HostError("bad-data", `${chosen.length} ${options.frames === undefined ? "pictures" : `clips of ${options.frames} frames`} of ${width} × ${height} take more than 4 GiB at once`, "give a limit");
  const images = new Float32Array(chosen.length * size);
  const kept: number[] = [];
  const corrupt: string[] = [];
  const together = Math.max(1, Math.floor(AT_ONCE / (options.frames ?? 1)));
  for (let from = 0; from < chosen.length; from += together) {
    const part = Array.from(chosen.subarray(from, from + together));
    // All of them first: a refusal then names the first corrupt picture, not the one that happened to be read first.
    const found = await Promise.allSettled(part.map((index) => decodeOrName(source, index, options.frames)));
    found.forEach((result, i) => {
      if (result.status === "rejected") throw result.reason;
      const index = part[i] ?? 0;
      if (result.value === undefined) {
        corrupt.push(source.describe(index));
        return;
      }
      result.value.forEach((frame, t) => {
        const image = pictureOf(frame, channels, source.describe(index));
        const same = image.width === width && image.height === height;
        const window = (options.cut === true ? exactMiddle : centerWindow)(image, width, height);
        normalizeInto(same ? image.data : resample(image, window, width, height), mean, std, images, kept.length * size + t * one);
      });
      kept.push(index);
    });
  }
  const indices = Int32Array.from(kept);
  return { images: images.subarray(0, kept.length * size), labels: indices.map((index) => source.label(index, factor)), classes, count: kept.length, height, width, indices, corrupt };
}

async function decodeOrName(source: ImageSource, index: number, frames: number | undefined): Promise<readonly RawImage[] | undefined> {
  try {
    if (frames === undefined || source.films === undefined) return [await source.decode(index)];
    const { films } = source;
    const clip = await films.read(index, framesFrom(films, middleStart(films, films.length(index))));
    if (clip.length !== frames) throw new HostError("bad-image", `${source.describe(index)} has not the ${frames} frames of a clip`, "open the source again, which counts them");
    return clip;
  } catch (error) {
    if (error instanceof HostError && ["bad-image", "unreadable-image"].includes(error.code) && source.onCorrupt === "skip") return undefined;
    throw error;
  }
}
