/**
 * Features of pictures under a frozen encoder, pooled to one row per picture.
 *
 * Owns the walk over a set of pictures in chunks, so that neither pictures nor token features of a whole data set are in
 * memory at once, and the mean over tokens (I-JEPA evaluates mean-pooled features; there is no class token).
 */
import type { EncoderInfo, Engine } from "../abi.js";
import { requireRows } from "../base/rows.js";
import type { LabelledFeatures } from "./labelled.js";

/** Pictures to read features from, normalized as in training. */
export interface ImageFeed {
  readonly count: number;
  /** Pictures `from` to `to` (exclusive), normalized, `[to − from, H, W, C]` of the size that the encoder takes; clips `[to − from, T, H, W, C]`. */
  images(from: number, to: number, encoder: EncoderInfo): Promise<Float32Array>;
}

/** One thing that is known about every picture of a set: its class, its shape, its color. */
export interface Factor {
  readonly name: string;
  readonly classes: readonly string[];
  /** Class number by picture. */
  readonly labels: Int32Array;
}

/** A labelled set for probes. */
export interface ProbeSet {
  readonly feed: ImageFeed;
  readonly factors: readonly Factor[];
}

/** Pictures that go through an encoder at once, frames of clips counted. */
const CHUNK = 64;

/** How many clips of so many frames (pictures: 1) go through an encoder at once. */
export function chunkOf(frames: number = 1): number {
  return Math.max(1, Math.floor(CHUNK / frames));
}

/** Mean-pooled features `[count, width]` of all pictures or clips of a feed, `chunk` at a time; `onPart` hears how many are done, before each part. */
export async function pooledFeatures(engine: Engine, encoder: EncoderInfo, feed: ImageFeed, onPart?: (done: number) => void, chunk: number = CHUNK): Promise<Float32Array> {
  const out = new Float32Array(feed.count * encoder.width);
  for (let from = 0; from < feed.count; from += chunk) {
    const to = Math.min(feed.count, from + chunk);
    onPart?.(from);
    const tokens = await engine.encode(encoder.name, await feed.images(from, to, encoder), to - from);
    out.set(meanPool(tokens, to - from, encoder.width), from * encoder.width);
  }
  return out;
}

/** The mean over tokens of `[n, tokens, width]` features; `[n, width]` passes through. Throws a RangeError where no number of tokens fits. */
export function meanPool(features: Float32Array, n: number, width: number): Float32Array {
  const tokens = features.length / (n * width);
  requireRows(features, n * (Math.floor(tokens) || 1), width);
  if (tokens === 1) return features;
  const out = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += features[(i * tokens + t) * width + j] ?? 0;
      out[i * width + j] = sum / tokens;
    }
  }
  return out;
}

/** Features with the labels of one factor. */
export function labelled(features: Float32Array, width: number, factor: Factor): LabelledFeatures {
  return { features, labels: factor.labels, n: factor.labels.length, width };
}
