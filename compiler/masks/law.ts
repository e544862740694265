/**
 * The law of block sizes, known before anything is drawn.
 *
 * The published sampler draws one uniform per batch for area and aspect together, keeps both sides below the grid's, and
 * looks for places with more than `min_keep` positions left; a size that has no more hangs it. The corrected sampler draws
 * two uniforms and lets blocks reach the last row and column. Owns the exact distribution of sizes (the size is a step
 * function of the uniform, so bisection finds each step) and the share of batches that would never end. The samplers
 * themselves are in the runtime, which knows nothing of this file; a test holds the two against each other.
 */
import type { Mask } from "../model/ir.js";

/** Sides of a block in positions, and how often they are drawn. */
export interface SizeShare {
  readonly height: number;
  readonly width: number;
  readonly share: number;
}

/** What is known of a block mask's sizes. */
export interface SizeLaw {
  readonly sizes: readonly SizeShare[];
  /** Share of batches whose size is never accepted. */
  readonly hangs: number;
}

/** Uniforms are float32: whole multiples of 2^-24. */
const steps = 16777216;

/** Half to even, as the published sampler rounds. */
function round(x: number): number {
  const low = Math.floor(x);
  return x - low === 0.5 ? (low % 2 === 0 ? low : low + 1) : Math.round(x);
}

const lerp = (range: readonly [number, number], u: number): number => range[0] + u * (range[1] - range[0]);

/** What the law goes by. */
type Sized = Pick<Mask, "sampler" | "scale" | "aspect" | "minKeep">;

interface Grid {
  readonly rows: number;
  readonly cols: number;
}

function sides(mask: Sized, grid: Grid, area: number, aspect: number): { height: number; width: number } {
  const margin = mask.sampler === "published" ? 1 : 0;
  // On a line of positions a block is a stretch, as long as its area.
  if (grid.rows === 1) return { height: 1, width: Math.min(area, grid.cols - margin) };
  if (grid.cols === 1) return { height: Math.min(area, grid.rows - margin), width: 1 };
  return { height: Math.min(round(Math.sqrt(area * aspect)), grid.rows - margin), width: Math.min(round(Math.sqrt(area / aspect)), grid.cols - margin) };
}

/** The exact law of a block mask on its grid. `corrected` draws again until a size fits, so it hangs only if none does. */
export function sizeLaw(mask: Sized, grid: Grid): SizeLaw {
  const all = mask.sampler === "published" ? oneUniform(mask, grid) : twoUniforms(mask, grid);
  const fits = (s: SizeShare): boolean => s.height > 0 && s.width > 0 && s.height * s.width > mask.minKeep;
  const good = all.reduce((sum, s) => sum + (fits(s) ? s.share : 0), 0);
  if (mask.sampler === "published") return { sizes: all, hangs: good === 0 ? 1 : all.every(fits) ? 0 : 1 - good };
  return good === 0 ? { sizes: all, hangs: 1 } : { sizes: all.filter(fits).map((s) => ({ ...s, share: s.share / good })), hangs: 0 };
}

function tally(): { add: (height: number, width: number, share: number) => void; list: () => SizeShare[] } {
  const table = new Map<string, { height: number; width: number; share: number }>();
  return {
    add(height, width, share) {
      const key = `${height}x${width}`;
      const known = table.get(key);
      if (known === undefined) table.set(key, { height, width, share });
      else known.share += share;
    },
    list: () => [...table.values()].sort((a, b) => a.height - b.height || a.width - b.width),
  };
}

/** The first whole number after `from` at which `key` changes, at most `to`; `key` is monotone on the way. */
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

function oneUniform(mask: Sized, grid: Grid): SizeShare[] {
  const cells = grid.rows * grid.cols;
  const out = tally();
  const area = (i: number): number => Math.trunc(cells * lerp(mask.scale, i / steps));
  for (let i = 0; i < steps;) {
    const end = nextChange(i, steps, area);
    const k = area(i);
    const at = (j: number): { height: number; width: number } => sides(mask, grid, k, lerp(mask.aspect, j / steps));
    while (i < end) {
      const next = Math.min(nextChange(i, end, (j) => at(j).height), nextChange(i, end, (j) => at(j).width));
      const size = at(i);
      out.add(size.height, size.width, (next - i) / steps);
      i = next;
    }
  }
  return out.list();
}

/** Within one area, sides change where `area · aspect` or `area / aspect` passes the square of a half. */
function twoUniforms(mask: Sized, grid: Grid): SizeShare[] {
  const cells = grid.rows * grid.cols;
  const [least, most] = [cells * mask.scale[0], cells * mask.scale[1]];
  const out = tally();
  for (let area = Math.trunc(least); area <= Math.trunc(most); area++) {
    const share = most === least ? 1 : Math.max(0, Math.min(area + 1, most) - Math.max(area, least)) / (most - least);
    if (share === 0) continue;
    const [low, high] = mask.aspect;
    const breaks = [low, high];
    for (let side = 0; area > 0 && side <= Math.max(grid.rows, grid.cols); side++) {
      const square = (side + 0.5) ** 2;
      breaks.push(...[square / area, area / square].filter((a) => a > low && a < high));
    }
    breaks.sort((a, b) => a - b);
    for (let k = 1; k < breaks.length; k++) {
      const [from, to] = [breaks[k - 1] ?? 0, breaks[k] ?? 0];
      const size = sides(mask, grid, area, (from + to) / 2);
      if (high === low) out.add(size.height, size.width, k === 1 ? share : 0);
      else if (to > from) out.add(size.height, size.width, (share * (to - from)) / (high - low));
    }
  }
  return out.list().filter((s) => s.share > 0);
}
