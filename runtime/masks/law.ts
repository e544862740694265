/**
 * The law of block sizes: which heights and widths a block mask takes, and how often.
 *
 * Owns the size formula of the published sampler (one uniform drives both area and aspect, sides stay below the grid's)
 * and of the corrected one (two independent uniforms, sides up to the grid's), and their exact distribution. The law is
 * enumerated over the uniform itself, not simulated: the formula is a step function of it, so bisection finds each step.
 * A size that can never be accepted (`h·w <= minKeep`) is what made the published program hang on small grids; here it
 * is a number, `hangs`, known before anything runs. On a grid with frames a block goes through all of them, so that the law
 * is that of one plane: area, sides and `minKeep` are counted there. On a grid of one row or one column, which the release does not know, a block is a
 * stretch along it.
 */
import type { MaskSpec } from "../abi.js";

/** A block's sides, in positions. */
export interface BlockSize {
  readonly height: number;
  readonly width: number;
}

/** A size and how often it is drawn. */
export interface SizeShare extends BlockSize {
  readonly probability: number;
}

/** The distribution of a block mask's size over batches. `hangs`: the share of batches whose size can never be accepted. */
export interface SizeLaw {
  readonly sizes: readonly SizeShare[];
  readonly hangs: number;
}

/** Uniforms of the published sampler are float32: whole multiples of 2^-24. */
const STEPS = 16777216;

/** Rounds half to even, as Python does. */
export function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function lerp(range: readonly [number, number], u: number): number {
  return range[0] + u * (range[1] - range[0]);
}

function areaAt(spec: MaskSpec, u: number): number {
  return Math.trunc(spec.grid.rows * spec.grid.cols * lerp(spec.scale, u));
}

function sides(spec: MaskSpec, area: number, aspect: number): BlockSize {
  const margin = spec.sampler === "published" ? 1 : 0;
  const { rows, cols } = spec.grid;
  // A line of positions, as signals have: a block is a stretch of it, as long as its area; it has no aspect.
  if (rows === 1) return { height: 1, width: Math.min(area, cols - margin) };
  if (cols === 1) return { height: Math.min(area, rows - margin), width: 1 };
  return {
    height: Math.min(roundHalfEven(Math.sqrt(area * aspect)), rows - margin),
    width: Math.min(roundHalfEven(Math.sqrt(area / aspect)), cols - margin),
  };
}

/** The published size at one uniform (reference: I-JEPA facts, 2.1): `u` drives area and aspect together. */
export function publishedSize(spec: MaskSpec, u: number): BlockSize {
  return sides(spec, areaAt(spec, u), lerp(spec.aspect, u));
}

/** The corrected size at two independent uniforms. */
export function correctedSize(spec: MaskSpec, uScale: number, uAspect: number): BlockSize {
  return sides(spec, areaAt(spec, uScale), lerp(spec.aspect, uAspect));
}

/** Whether a block of this size is ever accepted. */
export function isAcceptable(spec: MaskSpec, size: BlockSize): boolean {
  return size.height * size.width > spec.minKeep && size.height > 0 && size.width > 0;
}

/** First whole number in (from, to) at which `key` differs from its value at `from`, or `to`; `key` changes once per value. */
function nextChange(from: number, to: number, key: (i: number) => number): number {
  const value = key(from);
  if (key(to - 1) === value) return to;
  let same = from;
  let other = to - 1;
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (key(middle) === value) same = middle;
    else other = middle;
  }
  return other;
}

class Tally {
  readonly #shares = new Map<string, { size: BlockSize; probability: number }>();

  add(size: BlockSize, probability: number): void {
    const key = `${size.height}x${size.width}`;
    const held = this.#shares.get(key);
    if (held === undefined) this.#shares.set(key, { size, probability });
    else held.probability += probability;
  }

  sorted(): SizeShare[] {
    const list = [...this.#shares.values()].map(({ size, probability }) => ({ ...size, probability }));
    return list.sort((a, b) => a.height - b.height || a.width - b.width);
  }
}

/** Within one area, height grows and width shrinks with `u`, so each is bisected on its own. */
function publishedLaw(spec: MaskSpec): SizeShare[] {
  const tally = new Tally();
  const at = (i: number): BlockSize => publishedSize(spec, i / STEPS);
  for (let i = 0; i < STEPS; ) {
    const areaEnd = nextChange(i, STEPS, (j) => areaAt(spec, j / STEPS));
    while (i < areaEnd) {
      const end = Math.min(nextChange(i, areaEnd, (j) => at(j).height), nextChange(i, areaEnd, (j) => at(j).width));
      tally.add(at(i), (end - i) / STEPS);
      i = end;
    }
  }
  return tally.sorted();
}

/** Aspects in (lo, hi) at which a side of a block of this area changes by rounding. */
function aspectBreaks(spec: MaskSpec, area: number): number[] {
  const [low, high] = spec.aspect;
  const breaks = [low, high];
  const longest = Math.max(spec.grid.rows, spec.grid.cols);
  for (let side = 0; side <= longest; side++) {
    const square = (side + 0.5) ** 2;
    for (const at of [square / area, area / square]) if (at > low && at < high) breaks.push(at);
  }
  return breaks.sort((a, b) => a - b);
}

function correctedLaw(spec: MaskSpec): SizeShare[] {
  const tally = new Tally();
  const total = spec.grid.rows * spec.grid.cols;
  const span = total * (spec.scale[1] - spec.scale[0]);
  const first = areaAt(spec, 0);
  const last = areaAt(spec, 1);
  for (let area = first; area <= last; area++) {
    const from = Math.max(area, total * spec.scale[0]);
    const to = Math.min(area + 1, total * spec.scale[1]);
    const share = span === 0 ? 1 : Math.max(0, to - from) / span;
    if (share === 0) continue;
    if (area === 0 || spec.aspect[0] === spec.aspect[1]) {
      tally.add(sides(spec, area, spec.aspect[0]), share);
      continue;
    }
    const breaks = aspectBreaks(spec, area);
    for (let k = 1; k < breaks.length; k++) {
      const a = breaks[k - 1] ?? 0;
      const b = breaks[k] ?? 0;
      if (b > a) tally.add(sides(spec, area, (a + b) / 2), (share * (b - a)) / (spec.aspect[1] - spec.aspect[0]));
    }
  }
  return tally.sorted();
}

/**
 * The exact distribution of block sizes. `published`: over the 2^24 float32 uniforms, sizes that hang included. `corrected`:
 * over real uniforms, given that the size is acceptable (the sampler draws again otherwise); `hangs` is 1 when none is.
 * Only for masks of kind `block`.
 */
export function sizeLaw(spec: MaskSpec): SizeLaw {
  const all = spec.sampler === "published" ? publishedLaw(spec) : correctedLaw(spec);
  const good = all.filter((size) => isAcceptable(spec, size)).reduce((sum, size) => sum + size.probability, 0);
  if (spec.sampler === "published") return { sizes: all, hangs: good === 0 ? 1 : Math.max(0, 1 - good) };
  if (good === 0) return { sizes: all, hangs: 1 };
  const sizes = all.filter((size) => isAcceptable(spec, size)).map((size) => ({ ...size, probability: size.probability / good }));
  return { sizes, hangs: 0 };
}
