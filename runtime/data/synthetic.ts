/**
 * The embedded data: labelled pictures, clips and signals drawn by formula, so that the first command works on a machine with no data.
 *
 * Owns the three sources. A picture is a scene (scene.ts); a clip is a scene whose figure moves (motion.ts) before a background
 * that stays, with its steps as actions; a signal is a wave over noise (wave.ts). All are pure functions of (seed, index); train and test sets take different seeds.
 */
import { counted } from "../base/counted.js";
import { HostError } from "../base/errors.js";
import { stream } from "../base/random.js";
import { DIRECTION, pathOf } from "./motion.js";
import { compose, paint, paintMoving, SCENE_FACTORS, type Figure, type Scene } from "./scene.js";
import type { Factor, ImageSource, RawImage, SourceSpec } from "./source.js";
import { drawWave, WAVE_FACTORS, waveLabels } from "./wave.js";

/** The picture of (seed, index), `side × side`. */
export function drawPicture(seed: number, index: number, side: number): RawImage {
  return { width: side, height: side, data: paint(compose(seed, index), side, stream(seed, "grain", index)) };
}

/** What is generated: pictures, or with `frames` clips of so many. */
export interface SyntheticOptions {
  readonly count: number;
  /** Pixels. */
  readonly side: number;
  readonly seed: number;
  readonly frames?: number;
}

/**
 * `count` pictures of `side × side` pixels, or clips of such. Those of one seed do not depend on `count`. Throws `HostError` "bad-data"
 * for a count, a side or a number of frames that is not a whole number from 1.
 */
export function syntheticSource(options: SyntheticOptions): ImageSource {
  const { count, side, seed, frames } = options;
  const what = frames === undefined ? "picture" : "clip";
  if (!Number.isInteger(count) || count < 1 || count > 2 ** 31) throw new HostError("bad-data", `${count} synthetic ${what}s cannot be drawn`, "give a whole number from 1");
  if (!Number.isInteger(side) || side < 4 || side > 4096) throw new HostError("bad-data", `synthetic ${what}s of side ${side} cannot be drawn`, "give a side in 4..4096 pixels");
  if (frames === undefined) return pictures({ count, side, seed });
  if (!Number.isInteger(frames) || frames < 1 || frames > 4096) throw new HostError("bad-data", `synthetic clips of ${frames} frames cannot be drawn`, "give a whole number of frames from 1 to 4096");
  return clips({ count, side, seed, frames });
}

function pictures(options: SyntheticOptions): ImageSource {
  const { seed, side } = options;
  return {
    ...common(options, "picture", `${side} × ${side}`, SCENE_FACTORS),
    label: (index, factor) => {
      const which = factor === undefined ? 0 : SCENE_FACTORS.findIndex((one) => one.name === factor);
      return compose(seed, index).labels[which] ?? -1;
    },
    decode: (index) => Promise.resolve(drawPicture(seed, index, side)),
  };
}

/** Those that a clip has in all of its frames: the cell changes. */
const CLIP_FACTORS: readonly Factor[] = [...SCENE_FACTORS.filter(({ name }) => name !== "cell"), DIRECTION];

function clips(options: SyntheticOptions & { readonly frames: number }): ImageSource {
  const { seed, side, frames } = options;
  const read = (index: number, wanted: readonly number[]): RawImage[] => {
    const scene = compose(seed, index);
    const { places } = pathOf(seed, index, frames);
    const mains = wanted.map((t) => moved(scene, places[t]));
    return paintMoving(scene, mains, side, stream(seed, "grain", index)).map((data) => ({ width: side, height: side, data }));
  };
  return {
    ...common(options, "clip", `${frames} × ${side} × ${side}`, CLIP_FACTORS),
    films: { frames, every: 1, length: () => frames, read: (index, wanted) => Promise.resolve(read(index, wanted)) },
    actions: { size: 2, rows: (index) => pathOf(seed, index, frames).steps },
    label: (index, factor) => {
      if (factor === DIRECTION.name) return pathOf(seed, index, frames).direction;
      const which = factor === undefined ? 0 : CLIP_FACTORS.findIndex((one) => one.name === factor);
      return compose(seed, index).labels[which] ?? -1;
    },
    decode: (index) => Promise.resolve(read(index, [Math.floor(frames / 2)])[0] ?? drawPicture(seed, index, side)),
  };
}

/** The main figure of a scene, somewhere else. */
function moved(scene: Scene, place: readonly [number, number] | undefined): Figure {
  const main = scene.figures.at(-1);
  if (main === undefined || place === undefined) throw new RangeError("a generated clip has no such frame");
  return { ...main, x: place[0], y: place[1] };
}

function common(options: SyntheticOptions, what: string, sizes: string, factors: readonly Factor[]): Omit<ImageSource, "label" | "decode"> {
  const { count, seed } = options;
  const spec: SourceSpec = { kind: "synthetic", ...options };
  return {
    name: `synthetic ${what}s (seed ${seed})`,
    size: count,
    factors,
    report: { images: count, stray: [], strayCount: 0, lines: [`${counted(count, `synthetic ${what}`)} of ${sizes}, seed ${seed}`] },
    spec,
    onCorrupt: "refuse",
    onSmall: "scale",
    describe: (index) => `synthetic ${what} ${index} of seed ${seed}`,
  };
}

/** Which signals are generated: numbers along each, and numbers of a moment. */
export interface WaveOptions {
  readonly count: number;
  readonly length: number;
  readonly channels: number;
  readonly seed: number;
}

/** `count` signals `[1, length, channels]`, floats of about one. Throws `HostError` "bad-data" for numbers that are not whole and positive. */
export function waveSource(options: WaveOptions): ImageSource {
  const { count, length, channels, seed } = options;
  if (!Number.isInteger(count) || count < 1 || count > 2 ** 31) throw new HostError("bad-data", `${count} synthetic signals cannot be drawn`, "give a whole number from 1");
  if (![length, channels].every((n) => Number.isInteger(n) && n >= 1) || length < 8 || length > 65536) throw new HostError("bad-data", `synthetic signals of ${length} moments with ${channels} numbers cannot be drawn`, "give 8..65536 moments, and whole numbers from 1");
  return {
    name: `synthetic signals (seed ${seed})`, size: count, factors: WAVE_FACTORS, spec: { kind: "waves", count, length, channels, seed }, onCorrupt: "refuse", onSmall: "refuse",
    report: { images: count, stray: [], strayCount: 0, lines: [`${counted(count, "synthetic signal")} of ${length} × ${channels}, seed ${seed}`] },
    describe: (index) => `synthetic signal ${index} of seed ${seed}`,
    label: (index, factor) => waveLabels(seed, index)[factor === undefined ? 0 : WAVE_FACTORS.findIndex((one) => one.name === factor)] ?? -1,
    decode: (index) => Promise.resolve({ width: length, height: 1, data: drawWave(seed, index, length, channels) }),
  };
}

/** A fingerprint of generated pictures, clips or signals for checkpoints. */
export function syntheticSignature(spec: SyntheticOptions | WaveOptions): string {
  if ("length" in spec) return `${spec.count} synthetic signals of ${spec.length} x ${spec.channels}, seed ${spec.seed}`;
  const { count, side, seed, frames } = spec;
  return `${count} synthetic ${frames === undefined ? "pictures" : `clips of ${frames} frames`} of ${side}, seed ${seed}`;
}
