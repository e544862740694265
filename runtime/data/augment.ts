/**
 * Augmentation: from a decoded picture to one normalized view.
 *
 * Owns the transforms that a program can name, their arguments and defaults, and the order of things: geometry and color in
 * the order written, then (implicitly) a resize if the size is not the view's, then normalization. Draws come from the
 * stream (seed, "augment <view>", step, slot in the batch), so a batch is the same whoever computes it, and all frames of a
 * clip are cut, mirrored and colored alike. Argument mistakes are found when a view is compiled, before anything runs.
 */
import type { Transform, ViewSpec } from "../abi.js";
import { HostError } from "../base/errors.js";
import { stream, type Stream } from "../base/random.js";
import { channelsFor, levelOf } from "./channels.js";
import { blur, brightness, contrast, hue, mirror, saturation, solarize } from "./color.js";
import { centerWindow, exactWindow, pictureOf, randomWindow, resample, wholeWindow, type Picture, type Window } from "./resample.js";
import type { RawImage } from "./source.js";

/** Mean and standard deviation of ImageNet's pixels in RGB, as I-JEPA normalizes (facts, 4.3). */
export const IMAGENET_MEAN: readonly number[] = [0.485, 0.456, 0.406];
export const IMAGENET_STD: readonly number[] = [0.229, 0.224, 0.225];

/** A picture on its way through the transforms. */
interface State {
  picture: Picture;
}

type Step = (state: State, draws: Stream) => void;

/** A view ready to be applied. */
export interface CompiledView {
  readonly name: string;
  /** 1 for pictures. */
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly purpose: string;
  /** Whether its transforms bring other sizes to its own by scaling. */
  readonly scales: boolean;
  readonly steps: readonly Step[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Which view of which draw: `slot` is the place in the batch. */
export interface AugmentKey {
  readonly seed: number;
  readonly step: number;
  readonly slot: number;
}

type Args = Transform["args"];

interface Place {
  readonly view: ViewSpec;
  readonly name: string;
}

function bad(place: Place, what: string, help: string): HostError {
  return new HostError("bad-data", `view '${place.view.name}', ${place.name}: ${what}`, help);
}

function numberArg(place: Place, args: Args, name: string, fallback: number, low: number, high: number): number {
  const value = args[name] ?? fallback;
  if (typeof value === "number" && value >= low && value <= high) return value;
  throw bad(place, `${name} is ${JSON.stringify(value)}`, `give a number in ${low}..${high}`);
}

function rangeArg(place: Place, args: Args, name: string, fallback: readonly [number, number], low: number, high: number): readonly [number, number] {
  const value = args[name] ?? fallback;
  const list: readonly unknown[] = typeof value === "number" ? [value, value] : Array.isArray(value) ? value : [];
  const [from, to] = list;
  if (list.length === 2 && typeof from === "number" && typeof to === "number" && from >= low && from <= to && to <= high) return [from, to];
  throw bad(place, `${name} is ${JSON.stringify(value)}`, `give a range from low to high in ${low}..${high}`);
}

function pixels(state: State): Float32Array {
  const { picture } = state;
  if (picture.data instanceof Float32Array) return picture.data;
  const data = Float32Array.from(picture.data);
  const level = levelOf(picture.data);
  if (level !== 1) for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) * level;
  state.picture = { ...picture, data };
  return data;
}

function colorOnly(state: State, amount: number, change: (data: Float32Array, amount: number) => void): void {
  if (state.picture.channels === 3) change(pixels(state), amount);
}

function crop(state: State, window: Window, width: number, height: number): void {
  state.picture = { width, height, channels: state.picture.channels, data: resample(state.picture, window, width, height) };
}

interface Maker {
  readonly args: readonly string[];
  make(place: Place, args: Args): Step;
}

function sometimes(p: number, step: Step): Step {
  return (state, draws) => {
    if (draws.uniform() < p) step(state, draws);
  };
}

/** torchvision's ColorJitter: the four changes in random order, each by its own factor. A gray picture has no saturation and no hue; what is drawn is the same. */
function jitter(place: Place, args: Args): Step {
  const b = numberArg(place, args, "brightness", 0.4, 0, 10);
  const c = numberArg(place, args, "contrast", 0.4, 0, 10);
  const s = numberArg(place, args, "saturation", 0.2, 0, 10);
  const h = numberArg(place, args, "hue", 0.1, 0, 0.5);
  const around = (strength: number, draws: Stream): number => draws.range(Math.max(0, 1 - strength), 1 + strength);
  const changes: readonly ((state: State, draws: Stream) => void)[] = [
    (state, draws) => brightness(pixels(state), around(b, draws)),
    (state, draws) => contrast(pixels(state), state.picture.channels, around(c, draws)),
    (state, draws) => colorOnly(state, around(s, draws), saturation),
    (state, draws) => colorOnly(state, draws.range(-h, h), hue),
  ];
  return sometimes(numberArg(place, args, "p", 0.8, 0, 1), (state, draws) => {
    for (const which of draws.permutation(4)) changes[which]?.(state, draws);
  });
}

const MAKERS: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ["random_resized_crop", {
    args: ["scale", "aspect"],
    make: (place, args) => {
      const scale = rangeArg(place, args, "scale", [0.08, 1], 1e-6, 1);
      const aspect = rangeArg(place, args, "aspect", [3 / 4, 4 / 3], 1e-3, 1e3);
      return (state, draws) => crop(state, randomWindow(state.picture, scale, aspect, draws), place.view.width, place.view.height);
    },
  }],
  ["resize", { args: [], make: (place) => (state) => crop(state, wholeWindow(state.picture), place.view.width, place.view.height) }],
  ["center_crop", { args: [], make: (place) => (state) => crop(state, centerWindow(state.picture, place.view.width, place.view.height), place.view.width, place.view.height) }],
  ["random_crop", { args: [], make: (place) => (state, draws) => crop(state, exactWindow(state.picture, place.view.width, place.view.height, draws), place.view.width, place.view.height) }],
  ["flip", {
    args: ["p"],
    make: (place, args) => sometimes(numberArg(place, args, "p", 0.5, 0, 1), (state) => mirror(pixels(state), state.picture.channels, state.picture.width, state.picture.height)),
  }],
  ["color_jitter", { args: ["brightness", "contrast", "saturation", "hue", "p"], make: jitter }],
  ["grayscale", { args: ["p"], make: (place, args) => sometimes(numberArg(place, args, "p", 0.2, 0, 1), (state) => colorOnly(state, 0, saturation)) }],
  ["blur", {
    args: ["p", "radius"],
    make: (place, args) => {
      const radius = rangeArg(place, args, "radius", [0.1, 2], 1e-3, 100);
      return sometimes(numberArg(place, args, "p", 0.5, 0, 1), (state, draws) => blur(pixels(state), state.picture.channels, state.picture.width, state.picture.height, draws.range(radius[0], radius[1])));
    },
  }],
  ["solarize", {
    args: ["p", "threshold"],
    make: (place, args) => {
      const threshold = numberArg(place, args, "threshold", 0.5, 0, 1);
      return sometimes(numberArg(place, args, "p", 0.2, 0, 1), (state) => solarize(pixels(state), 255 * threshold));
    },
  }],
]);

function compileStep(view: ViewSpec, transform: Transform): Step {
  const place: Place = { view, name: transform.name };
  const maker = MAKERS.get(transform.name);
  if (maker === undefined) throw bad(place, "there is no such transform", `known are ${[...MAKERS.keys()].join(", ")}`);
  for (const name of Object.keys(transform.args)) {
    if (!maker.args.includes(name)) throw bad(place, `it takes no '${name}'`, maker.args.length === 0 ? "it takes no arguments" : `it takes ${maker.args.join(", ")}`);
  }
  return maker.make(place, transform.args);
}

/**
 * Checks a view's transforms and readies them. `mean` and `std` are of values in 0..1, one each for every
 * channel: so many channels does the view have. Throws `HostError`
 * "bad-data" that names view, transform and argument.
 */
export function compileView(view: ViewSpec, mean: readonly number[], std: readonly number[]): CompiledView {
  const place: Place = { view, name: "normalization" };
  const channels = channelsFor(mean, std);
  if (channels === undefined) throw bad(place, `mean [${mean.join(", ")}] and std [${std.join(", ")}] fit no pictures`, "give one of each for each channel, std above 0");
  for (const side of [view.width, view.height]) {
    if (!Number.isInteger(side) || side < 1 || side > 65536) throw bad({ view, name: "size" }, `${view.width} × ${view.height} is no picture size`, "give sides in 1..65536");
  }
  return { name: view.name, frames: view.frames ?? 1, width: view.width, height: view.height, channels, purpose: `augment ${view.name}`, scales: view.transforms.some(({ name }) => name === "resize" || name === "random_resized_crop"), steps: view.transforms.map((one) => compileStep(view, one)), mean, std };
}

/** Writes a picture's values, normalized, into `out` from `offset` on; it has as many channels as there are means. */
export function normalizeInto(data: Picture["data"], mean: readonly number[], std: readonly number[], out: Float32Array, offset: number): void {
  for (let c = 0; c < mean.length; c++) {
    const scale = levelOf(data) / (255 * (std[c] ?? 1));
    const shift = (mean[c] ?? 0) / (std[c] ?? 1);
    for (let i = c; i < data.length; i += mean.length) out[offset + i] = (data[i] ?? 0) * scale - shift;
  }
}

/** Values in one view: `height · width · channels`, times the frames of a clip. */
export function viewSize(view: CompiledView): number {
  return view.frames * view.width * view.height * view.channels;
}

/** Applies a view to the frames of a clip, all with the same draws, and writes `[frames, height, width, channels]`; a picture is a clip of one. */
export function applyToClip(view: CompiledView, frames: readonly RawImage[], key: AugmentKey, out: Float32Array, offset: number): void {
  const size = viewSize(view) / view.frames;
  for (let t = 0; t < view.frames; t++) {
    const frame = frames[t];
    if (frame === undefined) throw new RangeError(`the view ${view.name} has ${view.frames} frames, and the clip ${frames.length}`);
    applyView(view, frame, key, out, offset + t * size);
  }
}

/** Applies a view to a picture, or to one frame of a clip, and writes `[height, width, channels]` normalized values into `out` from `offset` on. */
export function applyView(view: CompiledView, image: RawImage, key: AugmentKey, out: Float32Array, offset: number): void {
  const state: State = { picture: pictureOf(image, view.channels) };
  const draws = stream(key.seed, view.purpose, key.step, key.slot);
  for (const step of view.steps) step(state, draws);
  if (state.picture.width !== view.width || state.picture.height !== view.height) crop(state, wholeWindow(state.picture), view.width, view.height);
  normalizeInto(state.picture.data, view.mean, view.std, out, offset);
}
