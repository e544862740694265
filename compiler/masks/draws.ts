/**
 * What is left of a context: how often each position is kept, how many are, and how many survive the cut of a batch.
 *
 * Positions of blocks are independent and uniform, so the chance of a position is exact. What a context keeps once several
 * random blocks are taken out has no short formula; it is counted over a fixed set of draws of a fixed generator, so that
 * the same program always gets the same figures. Cutting every row to the batch's shortest makes the batch size part of the
 * task: that figure is the expected minimum over a batch, size class by size class, because a batch shares its sizes.
 */
import type { Mask } from "../model/ir.js";
import type { SizeLaw } from "./law.js";
import { sizeLaw } from "./law.js";

interface Grid {
  readonly rows: number;
  readonly cols: number;
}

/** Chance of every position of the grid to lie in one block of a mask. Row-major. */
export function coverage(mask: Mask, grid: Grid): Float64Array {
  const out = new Float64Array(grid.rows * grid.cols);
  if (mask.kind !== "block") return out.fill(mask.kind === "random" ? (mask.ratio[0] + mask.ratio[1]) / 2 : mask.kind === "rasterized" ? 0.25 : 1);
  const law = sizeLaw(mask, grid);
  for (const { height, width, share } of law.sizes) {
    const rows = along(grid.rows, height, places(mask, grid.rows, height));
    const cols = along(grid.cols, width, places(mask, grid.cols, width));
    for (let r = 0; r < grid.rows; r++) for (let c = 0; c < grid.cols; c++) out[r * grid.cols + c] = (out[r * grid.cols + c] ?? 0) + share * (rows[r] ?? 0) * (cols[c] ?? 0);
  }
  return out;
}

/** How many corners a block may have along one side. */
function places(mask: Mask, side: number, length: number): number {
  return Math.max(1, side - length + (mask.sampler === "published" ? 0 : 1));
}

function along(side: number, length: number, corners: number): Float64Array {
  const out = new Float64Array(side);
  for (let corner = 0; corner < corners; corner++) for (let i = corner; i < corner + length && i < side; i++) out[i] = (out[i] ?? 0) + 1 / corners;
  return out;
}

/** What a context keeps. */
export interface Kept {
  /** Mean positions before the cut, and after a cut to the shortest of `batch` rows. */
  readonly mean: number;
  readonly trimmed: number;
  /** Least and most seen. */
  readonly least: number;
  readonly most: number;
  /** Share of images in which no place keeps more than `min_keep`: the published sampler then gives up a complement. */
  readonly relaxes: number;
}

const perClass = 160;

/** Counts what a block less other block masks keeps, at a batch size; undefined where the masks are of other kinds. */
export function kept(mask: Mask, removed: readonly Mask[], grid: Grid, batch: number): Kept | undefined {
  if (mask.kind !== "block" || removed.length === 0 || removed.some((m) => m.kind !== "block" || m.minus.length > 0) || grid.cols > 30) return undefined;
  const own = sizeLaw(mask, grid);
  const others = removed.map((m) => ({ mask: m, law: sizeLaw(m, grid) }));
  if ([own, ...others.map((o) => o.law)].some((l) => l.hangs > 0)) return undefined;
  const next = generator();
  const classes = joint(own, others);
  let mean = 0;
  let trimmed = 0;
  let relaxes = 0;
  let least = Infinity;
  let most = 0;
  for (const { share, block, taken } of classes) {
    const counts: number[] = [];
    for (let i = 0; i < perClass; i++) counts.push(draw(mask, block, taken, grid, next));
    counts.sort((a, b) => a - b);
    mean += share * (counts.reduce((s, c) => s + c, 0) / perClass);
    trimmed += share * counts.reduce((s, c, i) => s + c * (((perClass - i) / perClass) ** batch - ((perClass - i - 1) / perClass) ** batch), 0);
    relaxes += share * (counts.filter((c) => c <= mask.minKeep).length / perClass);
    least = Math.min(least, counts[0] ?? 0);
    most = Math.max(most, counts.at(-1) ?? 0);
  }
  return { mean, trimmed, least, most, relaxes };
}

interface Taken {
  readonly mask: Mask;
  readonly height: number;
  readonly width: number;
}

interface Class {
  readonly share: number;
  readonly block: { readonly height: number; readonly width: number };
  readonly taken: readonly Taken[];
}

/** Combinations of sizes, the rarest beyond a few left out. */
function joint(own: SizeLaw, others: readonly { readonly mask: Mask; readonly law: SizeLaw }[]): readonly Class[] {
  let classes: Class[] = own.sizes.map((s) => ({ share: s.share, block: s, taken: [] }));
  for (const { mask, law } of others) classes = classes.flatMap((c) => law.sizes.map((s) => ({ share: c.share * s.share, block: c.block, taken: [...c.taken, { mask, height: s.height, width: s.width }] })));
  const chosen = classes.sort((a, b) => b.share - a.share).slice(0, 12);
  const total = chosen.reduce((s, c) => s + c.share, 0);
  return chosen.map((c) => ({ ...c, share: c.share / total }));
}

/** Positions kept by the best of twenty places (all places where there are fewer). */
function draw(mask: Mask, block: Class["block"], taken: readonly Taken[], grid: Grid, next: (n: number) => number): number {
  const covered = new Int32Array(grid.rows);
  for (const t of taken) {
    for (let k = 0; k < t.mask.count; k++) {
      const top = next(places(t.mask, grid.rows, t.height));
      const bits = ((1 << t.width) - 1) << next(places(t.mask, grid.cols, t.width));
      for (let r = top; r < top + t.height; r++) covered[r] = (covered[r] ?? 0) | bits;
    }
  }
  const tops = places(mask, grid.rows, block.height);
  const lefts = places(mask, grid.cols, block.width);
  const count = (top: number, left: number): number => {
    const bits = ((1 << block.width) - 1) << left;
    let n = 0;
    for (let r = top; r < top + block.height; r++) n += ones(bits & ~(covered[r] ?? 0));
    return n;
  };
  const first = count(next(tops), next(lefts));
  if (first > mask.minKeep || tops * lefts === 1) return first;
  let best = first;
  for (let i = 0; i < 20 && best <= mask.minKeep; i++) best = Math.max(best, count(next(tops), next(lefts)));
  return best;
}

function ones(x: number): number {
  let v = x - ((x >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return (((v + (v >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** A fixed sequence of whole numbers below n (mulberry32). */
function generator(): (n: number) => number {
  let state = 0x9e3779b9;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}
