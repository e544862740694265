/**
 * Crops and resizing: the geometry of augmentation, in our own arithmetic.
 *
 * Owns bilinear resampling with antialiasing (a triangle filter whose width grows with the reduction, as Pillow and
 * torchvision resize) and the law of torchvision's RandomResizedCrop. Done here rather than by the image library so that
 * one seed gives the same pixels wherever the program runs. Values stay float between the passes: Pillow rounds to 8 bits
 * after each, which differs by less than one level.
 */
import type { Stream } from "../base/random.js";
import { inChannels, levelOf } from "./channels.js";
import type { RawImage } from "./source.js";

/** A picture as it was decoded, or of floats in 0..255; row-major. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: RawImage["data"];
}

/** A picture for the transforms, in so many channels: numbers that have no white count as parts of 255, so that means and deviations are in their own units. Throws what {@link inChannels} throws. */
export function pictureOf(image: RawImage, channels: number, name?: string): Picture {
  const { width, height, data } = inChannels(image, channels, name);
  return { width, height, channels, data: data instanceof Float32Array ? data.map((value) => value * 255) : data };
}

/** A window of a picture in whole pixels. */
export interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Filter {
  readonly taps: number;
  readonly starts: Int32Array;
  readonly weights: Float32Array;
}

/** Triangle filter from `from` samples to `to`: per output its first input and `taps` weights that sum to one. */
function makeFilter(from: number, to: number): Filter {
  const scale = from / to;
  const support = Math.max(1, scale);
  const taps = Math.min(from, Math.ceil(support) * 2 + 1);
  const starts = new Int32Array(to);
  const weights = new Float32Array(to * taps);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(from, Math.trunc(center + support + 0.5));
    const start = Math.min(first, from - taps);
    let sum = 0;
    for (let j = first; j < last; j++) sum += Math.max(0, 1 - Math.abs((j + 0.5 - center) / support));
    starts[i] = start;
    for (let j = first; j < last; j++) weights[i * taps + j - start] = Math.max(0, 1 - Math.abs((j + 0.5 - center) / support)) / sum;
  }
  return { taps, starts, weights };
}

const filters = new Map<number, Filter>();

/** Filters by sizes: crops repeat sizes often, and building one costs as much as applying it. A pure cache. */
function filterFor(from: number, to: number): Filter {
  const key = from * 131072 + to;
  const held = filters.get(key);
  if (held !== undefined) return held;
  if (filters.size > 4096) filters.clear();
  const made = makeFilter(from, to);
  filters.set(key, made);
  return made;
}

/** Across: each row of the window to `width` pixels. */
function resampleRows(source: Picture, window: Window, width: number): Float32Array {
  const out = new Float32Array(window.height * width * source.channels);
  if (source.channels === 1) grayRows(source, window, width, out);
  else if (source.channels === 3) colorRows(source, window, width, out);
  else bandRows(source, window, width, out);
  return out;
}

function grayRows({ data, width: stride }: Picture, window: Window, width: number, out: Float32Array): void {
  const { taps, starts, weights } = filterFor(window.width, width);
  let to = 0;
  for (let r = 0; r < window.height; r++) {
    const rowStart = (window.top + r) * stride + window.left;
    for (let i = 0; i < width; i++) {
      const at = rowStart + (starts[i] ?? 0);
      let gray = 0;
      for (let t = 0; t < taps; t++) gray += (weights[i * taps + t] ?? 0) * (data[at + t] ?? 0);
      out[to++] = gray;
    }
  }
}

function colorRows(source: Picture, window: Window, width: number, out: Float32Array): void {
  const { taps, starts, weights } = filterFor(window.width, width);
  const { data } = source;
  let to = 0;
  for (let r = 0; r < window.height; r++) {
    const rowStart = ((window.top + r) * source.width + window.left) * 3;
    for (let i = 0; i < width; i++) {
      let at = rowStart + (starts[i] ?? 0) * 3;
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let t = 0; t < taps; t++) {
        const weight = weights[i * taps + t] ?? 0;
        red += weight * (data[at] ?? 0);
        green += weight * (data[at + 1] ?? 0);
        blue += weight * (data[at + 2] ?? 0);
        at += 3;
      }
      out[to] = red;
      out[to + 1] = green;
      out[to + 2] = blue;
      to += 3;
    }
  }
}

function bandRows({ data, width: stride, channels }: Picture, window: Window, width: number, out: Float32Array): void {
  const { taps, starts, weights } = filterFor(window.width, width);
  for (let r = 0; r < window.height; r++) {
    const rowStart = (window.top + r) * stride + window.left;
    for (let i = 0; i < width; i++) {
      const to = (r * width + i) * channels;
      const at = (rowStart + (starts[i] ?? 0)) * channels;
      for (let t = 0; t < taps; t++) {
        const weight = weights[i * taps + t] ?? 0;
        if (weight === 0) continue;
        for (let c = 0; c < channels; c++) out[to + c] = (out[to + c] ?? 0) + weight * (data[at + t * channels + c] ?? 0);
      }
    }
  }
}

/** Resizes a window of a picture to `width × height`; float values in 0..255. */
export function resample(source: Picture, window: Window, width: number, height: number): Float32Array {
  const across = resampleRows(source, window, width);
  const { taps, starts, weights } = filterFor(window.height, height);
  const stride = width * source.channels;
  const level = levelOf(source.data);
  const out = new Float32Array(height * stride);
  for (let r = 0; r < height; r++) {
    const to = r * stride;
    for (let t = 0; t < taps; t++) {
      const weight = (weights[r * taps + t] ?? 0) * level;
      if (weight === 0) continue;
      const from = ((starts[r] ?? 0) + t) * stride;
      for (let c = 0; c < stride; c++) out[to + c] = (out[to + c] ?? 0) + weight * (across[from + c] ?? 0);
    }
  }
  return out;
}

/** The whole of a picture. */
export function wholeWindow(source: { readonly width: number; readonly height: number }): Window {
  return { left: 0, top: 0, width: source.width, height: source.height };
}

/** The largest centered window of the aspect `width / height`. */
export function centerWindow(source: { readonly width: number; readonly height: number }, width: number, height: number): Window {
  const scale = Math.min(source.width / width, source.height / height);
  const w = Math.max(1, Math.round(width * scale));
  const h = Math.max(1, Math.round(height * scale));
  return { left: Math.floor((source.width - w) / 2), top: Math.floor((source.height - h) / 2), width: w, height: h };
}

/** A window of `width × height` pixels anywhere in a picture (torchvision's RandomCrop, without padding); of a smaller picture the largest of that aspect. */
export function exactWindow(source: { readonly width: number; readonly height: number }, width: number, height: number, draws: Stream): Window {
  const { width: w, height: h } = exactSize(source, width, height);
  return { left: draws.int(source.width - w + 1), top: draws.int(source.height - h + 1), width: w, height: h };
}

/** The same in the middle, for probes and features. */
export function exactMiddle(source: { readonly width: number; readonly height: number }, width: number, height: number): Window {
  const { width: w, height: h } = exactSize(source, width, height);
  return { left: Math.floor((source.width - w) / 2), top: Math.floor((source.height - h) / 2), width: w, height: h };
}

function exactSize(source: { readonly width: number; readonly height: number }, width: number, height: number): Pick<Window, "width" | "height"> {
  const scale = Math.min(1, source.width / width, source.height / height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * torchvision's RandomResizedCrop: area share uniform in `scale`, aspect (width over height) log-uniform in `aspect`, ten
 * tries, then the largest centered window whose aspect lies in the range. A signal, a picture of one row, has no aspect: of it a stretch is
 * taken, so long as the share says.
 */
export function randomWindow(source: { readonly width: number; readonly height: number }, scale: readonly [number, number], aspect: readonly [number, number], draws: Stream): Window {
  const area = source.width * source.height;
  if (source.height === 1) {
    const width = Math.min(source.width, Math.max(1, Math.round(area * draws.range(scale[0], scale[1]))));
    return { left: draws.int(source.width - width + 1), top: 0, width, height: 1 };
  }
  for (let i = 0; i < 10; i++) {
    const target = area * draws.range(scale[0], scale[1]);
    const ratio = Math.exp(draws.range(Math.log(aspect[0]), Math.log(aspect[1])));
    const width = Math.round(Math.sqrt(target * ratio));
    const height = Math.round(Math.sqrt(target / ratio));
    if (width > 0 && width <= source.width && height > 0 && height <= source.height) {
      const top = draws.int(source.height - height + 1);
      const left = draws.int(source.width - width + 1);
      return { left, top, width, height };
    }
  }
  const own = source.width / source.height;
  if (own < aspect[0]) return centerWindow(source, aspect[0], 1);
  if (own > aspect[1]) return centerWindow(source, aspect[1], 1);
  return wholeWindow(source);
}
