/**
 * One worker's share of a batch: decode, remember, augment.
 *
 * Owns what runs alike in a worker thread and in the main one: given dataset indices and their slots, it produces packed
 * rows per view. Small pictures are decoded once and kept as bytes up to a cap. A picture that cannot be decoded is
 * replaced by the next one that can (the same one every time and everywhere), or refused, as the source says; so is one
 * that is smaller than a view, unless the source has it scaled up, and one whose file cannot be read. That may be mended
 * meanwhile, so it is tried again each time; many in a row mean that the folder is gone, and end the run. Of a film the frames of a
 * clip are decoded (clip.ts says which), each kept by itself; a film is passed over where a frame of that very clip cannot be
 * decoded, so that what takes its place does not depend on the clips before.
 */
import type { ViewSpec } from "../abi.js";
import { HostError } from "../base/errors.js";
import { applyToClip, compileView, viewSize, type AugmentKey, type CompiledView } from "./augment.js";
import { channelsFor, inChannels } from "./channels.js";
import { drawnStart, framesFrom } from "./clip.js";
import { wordsOf, type Films, type ImageSource, type RawImage } from "./source.js";

/** A share of the batch of a step: `indices[i]` goes to `slots[i]`. */
export interface Share {
  readonly step: number;
  readonly indices: Int32Array;
  readonly slots: Int32Array;
}

/** The share done: packed rows by view, the pictures really used, and what was noticed for the first time. */
export interface DoneShare {
  readonly rows: readonly Float32Array[];
  readonly used: Int32Array;
  /** Pictures that were passed over, with the reason. */
  readonly corrupt: readonly { readonly index: number; readonly reason: string }[];
  /** Pictures smaller than a view in some direction, which are scaled up. */
  readonly small: readonly number[];
  /** The range of the first share's pictures of 16 bits, where normalization leaves next to nothing of such, or of its numbers of arrays, where it is far from theirs. */
  readonly dark?: Shades;
}

/** The largest value of some pictures, and for each channel the mean and the deviation of its shades in 0..1; of `numbers` in their own units. */
export interface Shades {
  readonly numbers: boolean;
  readonly most: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What an assembler needs besides the source. */
export interface AssemblerOptions {
  readonly views: readonly ViewSpec[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly seed: number;
  readonly cacheBytes: number;
}

const DECODES_AT_ONCE = 8;
/** So many pictures in a row that cannot be read are no accident of a file. */
const UNREADABLE_IN_A_ROW = 8;

/** Decodes and augments; holds the cache of decoded pictures. */
export class Assembler {
  readonly #source: ImageSource;
  readonly #options: AssemblerOptions;
  readonly #views: readonly CompiledView[];
  /** Pictures by index, frames by film and number. */
  readonly #cache = new Map<number | string, RawImage>();
  /** Pictures by index, clips by film and first frame. */
  readonly #broken = new Set<number | string>();
  readonly #told = new Set<number>();
  readonly #smallSeen = new Set<number>();
  /** Of all views, so that pictures are kept as they are needed. */
  readonly #channels: number;
  #cached = 0;
  /** Pictures of 16 bits, or numbers of arrays, until a share is done, from which their range is known. */
  #deep: RawImage[] | undefined = [];

  constructor(source: ImageSource, options: AssemblerOptions) {
    this.#source = source;
    this.#options = options;
    this.#views = options.views.map((view) => compileView(view, options.mean, options.std));
    this.#channels = channelsFor(options.mean, options.std) ?? 3;
    requireFrames(source, options.views);
  }

  /** Does a share. Throws `HostError` "bad-image", "unreadable-image" or "small-image" when the source refuses such pictures or has no other, "io" where no file can be read. */
  async assemble(share: Share): Promise<DoneShare> {
    const count = share.indices.length;
    const rows = this.#views.map((view) => new Float32Array(count * viewSize(view)));
    const used = new Int32Array(count);
    const notes: { corrupt: { index: number; reason: string }[]; small: number[] } = { corrupt: [], small: [] };
    const keyAt = (at: number): AugmentKey => ({ seed: this.#options.seed, step: share.step, slot: share.slots[at] ?? 0 });
    const together = Math.max(1, Math.floor(DECODES_AT_ONCE / (this.#source.films?.frames ?? 1)));
    for (let from = 0; from < count; from += together) {
      const part = Array.from(share.indices.subarray(from, from + together));
      const found = await Promise.all(part.map((index, i) => this.#take(index, keyAt(from + i), notes.corrupt)));
      found.forEach(({ index, frames }, i) => {
        const at = from + i;
        used[at] = index;
        this.#noteSmall(index, frames[0], notes.small);
        this.#views.forEach((view, v) => {
          const out = rows[v];
          if (out !== undefined) applyToClip(view, frames, keyAt(at), out, at * viewSize(view));
        });
      });
    }
    const shades = shadesOf(this.#deep ?? [], this.#channels);
    this.#deep = undefined;
    // Files of 16 bits often hold 12, or the counts of a detector: what lies within one deviation of black is hardly seen.
    const dark = shades.numbers ? isOff(shades, this.#options) : shades.most > 0 && shades.most / 65535 < Math.min(...this.#options.std);
    return { rows, used, ...notes, ...(dark ? { dark: shades } : {}) };
  }

  /** The picture or clip of an index, or of the next one that decodes. */
  async #take(index: number, slot: AugmentKey, corrupt: { index: number; reason: string }[]): Promise<{ readonly index: number; readonly frames: readonly RawImage[] }> {
    const { size, films, name } = this.#source;
    const [, many] = wordsOf(this.#source);
    let unreadable = 0;
    for (let offset = 0; offset < size; offset++) {
      const at = (index + offset) % size;
      const start = films === undefined ? 0 : drawnStart(films, films.length(at), slot);
      const key = films === undefined ? at : `${at} ${start}`;
      if (this.#broken.has(key)) continue;
      try {
        return { index: at, frames: films === undefined ? await this.#picture(at) : await this.#clip(films, at, start) };
      } catch (error) {
        if (!(error instanceof HostError) || !this.#mayPass(error)) throw error;
        if (!this.#told.has(at)) corrupt.push({ index: at, reason: error.message });
        if (error.code !== "unreadable-image") {
          this.#broken.add(key);
          this.#told.add(at);
        } else if (++unreadable === UNREADABLE_IN_A_ROW) throw new HostError("io", `${error.message}, nor the ${unreadable - 1} ${many} before it in ${name}`, "see that the folder is there and can be read, then go on with --resume", { cause: error });
      }
    }
    const why = corrupt[0]?.reason;
    throw new HostError("bad-image", `not one ${wordsOf(this.#source)[0]} of ${name} can be used${why === undefined ? "" : `: ${why}`}`, "check that the files are pictures, and large enough");
  }

  async #picture(at: number): Promise<readonly RawImage[]> {
    const held = this.#cache.get(at);
    if (held !== undefined) return [held];
    const image = this.#known(at, await this.#source.decode(at));
    if (this.#source.onSmall !== "scale") this.#largeEnough(at, image);
    this.#remember(at, image);
    return [image];
  }

  async #clip(films: Films, at: number, start: number): Promise<readonly RawImage[]> {
    const wanted = framesFrom(films, start);
    const held = new Map(wanted.flatMap((t) => {
      const frame = this.#cache.get(`${at} ${t}`);
      return frame === undefined ? [] : [[t, frame] as const];
    }));
    const missing = wanted.filter((t) => !held.has(t));
    const read = missing.length === 0 ? [] : await films.read(at, missing);
    missing.forEach((t, i) => {
      const frame = read[i];
      if (frame !== undefined) held.set(t, this.#known(at, frame));
    });
    const frames = wanted.flatMap((t) => held.get(t) ?? []);
    const [first] = frames;
    if (first === undefined || frames.length < films.frames) throw new HostError("bad-image", `${this.#source.describe(at)} has not the ${films.frames} frames of a clip from ${start + 1} on`, "open the source again, which counts them");
    const odd = frames.find(({ width, height }) => width !== first.width || height !== first.height);
    if (odd !== undefined) throw new HostError("bad-image", `the frames of ${this.#source.describe(at)} differ in size: ${first.width} x ${first.height} and ${odd.width} x ${odd.height} pixels`, "make all frames of a film alike, or write on_corrupt: skip in the program's data");
    if (this.#source.onSmall !== "scale") this.#largeEnough(at, first);
    for (const t of missing) {
      const frame = held.get(t);
      if (frame !== undefined) this.#remember(`${at} ${t}`, frame);
    }
    return frames;
  }

  /** A picture in the channels of the views. */
  #known(at: number, decoded: RawImage): RawImage {
    const image = inChannels(decoded, this.#channels, this.#source.describe(at));
    if (!(image.data instanceof Uint8Array)) this.#deep?.push(image);
    return image;
  }

  /** Whether another picture may take the place of the one that gave the error. */
  #mayPass(error: HostError): boolean {
    const rule = error.code === "bad-image" || error.code === "unreadable-image" ? this.#source.onCorrupt : error.code === "small-image" ? this.#source.onSmall : "refuse";
    return rule === "skip";
  }

  #largeEnough(index: number, image: RawImage): void {
    const view = this.#tooSmallFor(image);
    if (view === undefined) return;
    const sizes = `${image.width} x ${image.height} pixels, smaller than a view of ${view.width} x ${view.height}`;
    throw new HostError("small-image", `${this.#source.describe(index)} has ${sizes}`, "remove or replace the file, or write on_small: scale or on_small: skip in the program's data");
  }

  #tooSmallFor(image: RawImage): CompiledView | undefined {
    // A signal that the program itself scales lacks nothing.
    const asked = image.data instanceof Float32Array;
    return this.#views.find((view) => (image.width < view.width || image.height < view.height) && !(asked && view.scales));
  }

  #remember(key: number | string, image: RawImage): void {
    if (this.#cache.has(key) || this.#cached + image.data.byteLength > this.#options.cacheBytes) return;
    this.#cached += image.data.byteLength;
    this.#cache.set(key, image);
  }

  #noteSmall(index: number, image: RawImage | undefined, small: number[]): void {
    if (image === undefined || this.#smallSeen.has(index) || this.#tooSmallFor(image) === undefined) return;
    this.#smallSeen.add(index);
    small.push(index);
  }
}

/** Refuses views of clips on a source of pictures, of pictures on films, and of another number of frames. */
function requireFrames({ films, name }: ImageSource, views: readonly ViewSpec[]): void {
  for (const view of views) {
    if (view.frames === films?.frames) continue;
    const wanted = view.frames === undefined ? "pictures" : `clips of ${view.frames} frames`;
    throw new HostError("bad-data", `the program takes ${wanted}, and ${name} has ${films === undefined ? "pictures" : `clips of ${films.frames} frames`}`, view.frames === undefined ? "open it as a folder of pictures" : "open it as films, with the frames that the program takes");
  }
}

/** Whether numbers are not nearly normalized: more than a deviation away, or three times as wide or narrow. */
function isOff({ mean, std }: Shades, wanted: Pick<AssemblerOptions, "mean" | "std">): boolean {
  return mean.some((value, c) => {
    const [center, width] = [wanted.mean[c] ?? 0, wanted.std[c] ?? 1];
    return Math.abs(value - center) > width || (std[c] ?? 0) > 3 * width || (std[c] ?? 0) < width / 3;
  });
}

function shadesOf(pictures: readonly RawImage[], channels: number): Shades {
  const numbers = pictures[0]?.data instanceof Float32Array;
  const white = numbers ? 1 : 65535;
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  const pixels = pictures.reduce((n, { data }) => n + data.length / channels, 0);
  let most = 0;
  for (const { data } of pictures) {
    for (let i = 0; i < data.length; i++) {
      const value = data[i] ?? 0;
      most = Math.max(most, value);
      sums[i % channels] = (sums[i % channels] ?? 0) + value / white;
      squares[i % channels] = (squares[i % channels] ?? 0) + (value / white) ** 2;
    }
  }
  const mean = Array.from(sums, (sum) => sum / pixels);
  return { numbers, most, mean, std: Array.from(squares, (square, c) => Math.sqrt(Math.max(0, square / pixels - (mean[c] ?? 0) ** 2))) };
}
