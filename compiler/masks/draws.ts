/**
 * What is left of a mask: how often each position is kept, how many are, how many survive the cut of a batch, and how often
 * the sampler has to give up what should be taken out.
 *
 * Positions of blocks are independent and uniform, so the chance of a position is exact. What a mask keeps once others are
 * taken out has no short formula; it is counted over a fixed set of draws of a fixed generator, so that the same program
 * always gets the same figures. Cutting every row to the batch's shortest makes the batch size part of the task: that figure
 * is the expected minimum over a batch, size class by size class, because a batch shares its sizes. How one picture is drawn
 * is `place.ts`; what no number of draws can say, whether it could ever happen, is `apart.ts`.
 */
import type { Mask } from "../model/ir.js";
import type { Counted } from "./bits.js";
import { bitCounter } from "./bits.js";
import { sizeLaw } from "./law.js";
import type { Chance, Field, Sized } from "./place.js";
import { drawPicture, fieldOf } from "./place.js";

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

/** What a mask keeps. */
export interface Kept {
  /** Mean positions before the cut, and after a cut to the shortest row of so many images. */
  readonly mean: number;
  readonly trimmed: number;
  readonly images: number;
  /** Least and most seen. */
  readonly least: number;
  readonly most: number;
  /** Share of images for which some mask that should be taken out is given up. */
  readonly relaxes: number;
  /** The same for each of these masks. */
  readonly givenUp: ReadonlyMap<string, number>;
  /** Share of images for which the corrected sampler has no position left, so that a run stops. */
  readonly stops: number;
  /** Positions in all. */
  readonly cells: number;
}

/** Pictures of one class, and of all classes where these are few. */
const perClass = 160;
const atLeast = 1000;
/** Classes beyond this many are not gone through one by one; so many are drawn from them. */
const mostClasses = 64;
/** The shortest row of a batch is looked for in so many times as many rows, since fewer may have none so short, */
const ofBatch = 8;
/** but in no more than go through so many positions. */
const forShortest = 4e6;
/** What may have to be given up is looked for in so many images in all, */
const more = 3000;
/** where too few positions are not so many standard deviations away from what is kept on average. */
const farOff = 5;
/** Positions of one set or another that may be gone through, so that large grids take no longer than small ones. */
const budget = 6e6;

/** Counts of the last masks: a function of what is in the key alone, asked for again by each analysis and after each edit elsewhere. */
const counted = new Map<string, Kept>();
const mostCounted = 64;

/** Counts what a mask keeps of its own, at a batch size or within its groups of images, once others of `masks` are taken out; undefined where none are, or where one is never drawn. */
export function kept(mask: Mask, masks: readonly Mask[], grid: Grid & { readonly frames?: number }, batch: number): Kept | undefined {
  const images = mask.trimGroup ?? batch;
  const order = drawnBefore(mask, masks);
  if (order.length === 0) return undefined;
  const family = [...order, mask];
  // Blocks and quadrants hide a place for a whole film, so that one plane tells of all.
  const { frames = 1 } = grid;
  const field = fieldOf(grid.rows, grid.cols, family.some((m) => m.kind === "random") ? frames : 1);
  if (family.some((m) => neverDrawn(m, field))) return undefined;
  const key = JSON.stringify([family.map(({ origin: _, grid: __, ...rest }) => rest), grid.rows, grid.cols, frames, images]);
  const found = counted.get(key) ?? through(frames / field.frames, count(mask, family, field, images));
  counted.delete(key);
  counted.set(key, found);
  for (const oldest of counted.keys()) if (counted.size > mostCounted) counted.delete(oldest);
  return found;
}

/** What is true of one plane, told of so many of them. */
function through(frames: number, plane: Kept): Kept {
  const { mean, trimmed, least, most, cells } = plane;
  return frames === 1 ? plane : { ...plane, mean: mean * frames, trimmed: trimmed * frames, least: least * frames, most: most * frames, cells: cells * frames };
}

function count(mask: Mask, family: readonly Mask[], field: Field, images: number): Kept {
  const next = generator();
  const cells = field.all.length;
  const cost = cells * family.reduce((sum, m) => sum + Math.min(m.count, 8), 1);
  const classes = classesOf(family, field, Math.max(8, Math.min(mostClasses, Math.floor(budget / cost / 24))), next);
  const each = Math.floor(Math.max(24, Math.min(Math.max(perClass, atLeast / classes.length), budget / cost / classes.length)));
  const tally: Tally = { relaxes: 0, stops: 0, givenUp: new Map() };
  const rows = images * mask.count;
  let [mean, squares, trimmed, least, most, pictures] = [0, 0, 0, Infinity, 0, 0];
  for (const { share, sizes } of classes) {
    const counts: number[] = [];
    const { draw, bits } = counterOf(sizes, field, next);
    const affordable = forShortest / (bits ? cost / field.cols : cost) / classes.length;
    const many = Math.max(each, Math.floor(Math.min(ofBatch * images, affordable)));
    for (let i = 0; i < many; i++) counts.push(...lengths(draw, tally, share / many));
    pictures += many;
    counts.sort((a, b) => a - b);
    const n = counts.length;
    mean += share * (counts.reduce((s, c) => s + c, 0) / n);
    squares += share * (counts.reduce((s, c) => s + c * c, 0) / n);
    trimmed += share * counts.reduce((s, c, i) => s + c * (((n - i) / n) ** rows - ((n - i - 1) / n) ** rows), 0);
    least = Math.min(least, counts[0] ?? 0);
    most = Math.max(most, counts.at(-1) ?? 0);
  }
  const deviation = Math.sqrt(Math.max(0, squares - mean * mean));
  const near = mean - (mask.kind === "block" ? mask.minKeep * field.frames : 0) < farOff * deviation;
  const further = near && mayRunOut(mask, family, field) ? longer(classes, field, next, Math.min(more, Math.floor(budget / cost)), pictures) : undefined;
  return { mean, trimmed, images, least, most, cells, ...(further === undefined ? tally : mixed(tally, pictures, further.tally, further.draws)) };
}

/** All that is taken out of a mask, directly or of what is taken out, in the order in which they are drawn. */
function drawnBefore(mask: Mask, masks: readonly Mask[]): readonly Mask[] {
  const order: Mask[] = [];
  const seen = new Set([mask.name]);
  const visit = (m: Mask): void => {
    for (const name of m.allowOverlap ? [] : m.minus) {
      const other = masks.find((o) => o.name === name);
      if (other === undefined || seen.has(name)) continue;
      seen.add(name);
      visit(other);
      order.push(other);
    }
  };
  visit(mask);
  return order;
}

function neverDrawn(mask: Mask, field: Field): boolean {
  if (mask.kind === "block") return sizeLaw(mask, field).hangs > 0;
  return mask.kind === "rasterized" && (mask.count > 4 || field.rows < 2 || field.cols < 2);
}

/** Whether all that is taken out, at its largest, could leave a mask with too few positions. */
function mayRunOut(mask: Mask, family: readonly Mask[], field: Field): boolean {
  const taken = family.filter((m) => mask.minus.includes(m.name)).reduce((sum, m) => sum + m.count * mostOf(m, field), 0);
  const own = mask.kind === "block" ? Math.min(...sizesOf(mask, field).map((s) => s.height * s.width * field.frames)) : mask.kind === "rasterized" ? Math.min(...field.quadrants.map((q) => q.length)) : field.all.length;
  return own - taken <= (mask.kind === "block" ? mask.minKeep * field.frames : 0);
}

function mostOf(mask: Mask, field: Field): number {
  switch (mask.kind) {
    case "block": return Math.max(...sizesOf(mask, field).map((s) => s.height * s.width * field.frames));
    case "random": return Math.max(...sizesOf(mask, field).map((s) => s.wanted));
    case "rasterized": return Math.max(...field.quadrants.map((q) => q.length));
    case "all": case "complement": return field.all.length;
  }
}

type Size = Omit<Sized, "mask"> & { readonly share: number };

/** The sizes of a mask in a batch, the smallest first. */
function sizesOf(mask: Mask, field: Field): readonly Size[] {
  if (mask.kind === "block") return sizeLaw(mask, field).sizes.map((s) => ({ ...s, wanted: 0 })).sort((a, b) => a.height * a.width - b.height * b.width || a.height - b.height);
  const cells = field.all.length;
  const [low, high] = mask.ratio;
  const least = cells - Math.trunc(cells * (1 - low));
  const most = cells - Math.trunc(cells * (1 - high));
  if (mask.kind !== "random" || most === least) return [{ height: 0, width: 0, wanted: least, share: 1 }];
  // One ratio for the batch: so many positions for every ratio up to that share of them.
  const sizes: Size[] = [];
  for (let wanted = least; wanted <= most; wanted++) {
    const share = (Math.min(high, wanted / cells) - Math.max(low, (wanted - 1) / cells)) / (high - low);
    if (share > 0) sizes.push({ height: 0, width: 0, wanted, share });
  }
  return sizes;
}

interface Class {
  readonly share: number;
  readonly sizes: readonly Sized[];
}

/** Combinations of sizes: all where they are few, the most frequent first; else a sample that gives every size its share. */
function classesOf(family: readonly Mask[], field: Field, limit: number, next: Chance): readonly Class[] {
  const laws = family.map((mask) => ({ mask, sizes: sizesOf(mask, field) }));
  if (laws.reduce((n, { sizes }) => n * sizes.length, 1) <= limit) {
    let classes: Class[] = [{ share: 1, sizes: [] }];
    for (const { mask, sizes } of laws) classes = classes.flatMap((c) => sizes.map((s) => ({ share: c.share * s.share, sizes: [...c.sizes, { ...s, mask }] })));
    return classes.sort((a, b) => b.share - a.share);
  }
  const columns = laws.map(({ mask, sizes }) => spreadOver(sizes, limit, next).map((s) => ({ ...s, mask })));
  return Array.from({ length: limit }, (_, i) => ({ share: 1 / limit, sizes: columns.flatMap((c) => c[i] ?? []) }));
}

/** So many sizes, one from each equal part of the law, in any order. */
function spreadOver(sizes: readonly Size[], many: number, next: Chance): readonly Size[] {
  const list: Size[] = [];
  let [at, sum] = [0, sizes[0]?.share ?? 1];
  for (let i = 0; i < many; i++) {
    while (at < sizes.length - 1 && sum < (i + 0.5) / many) sum += sizes[++at]?.share ?? 0;
    list.push(...sizes.slice(at, at + 1));
  }
  for (let i = list.length - 1; i > 0; i--) list.push(...list.splice(next(i + 1), 1));
  return list;
}

interface Tally {
  relaxes: number;
  stops: number;
  readonly givenUp: Map<string, number>;
}

/** The lengths of one picture's rows; what had to be given up for them is added to the tally. */
function lengths(draw: () => Counted, tally: Tally, weight: number): readonly number[] {
  const { lengths: all, givenUp, stops } = draw();
  if (givenUp.size > 0) tally.relaxes += weight;
  if (stops) tally.stops += weight;
  for (const name of givenUp) tally.givenUp.set(name, (tally.givenUp.get(name) ?? 0) + weight);
  return all;
}

/** Draws of pictures of one class, counted; by the bits of rows, which costs a row what a position costs otherwise, where that can be. */
function counterOf(sizes: readonly Sized[], field: Field, next: Chance): { readonly draw: () => Counted; readonly bits: boolean } {
  const whole = (): Counted => {
    const { sets, givenUp, stops } = drawPicture(sizes, field, next);
    return { lengths: sets.map((s) => s.length), givenUp, stops };
  };
  const counter = bitCounter(sizes, field, next);
  return { draw: counter ?? whole, bits: counter !== undefined };
}

/** Many more pictures, each class with its share of them. */
function longer(classes: readonly Class[], field: Field, next: Chance, many: number, already: number): { readonly tally: Tally; readonly draws: number } | undefined {
  if (many <= already) return undefined;
  const tally: Tally = { relaxes: 0, stops: 0, givenUp: new Map() };
  let draws = 0;
  for (const { share, sizes } of classes) {
    const each = Math.ceil(share * many);
    const { draw } = counterOf(sizes, field, next);
    for (let i = 0; i < each; i++) lengths(draw, tally, share / each);
    draws += each;
  }
  return { tally, draws };
}

/** Two counts as one, each by its number of draws. */
function mixed(a: Tally, ofA: number, b: Tally, ofB: number): Tally {
  const both = (x: number, y: number): number => (x * ofA + y * ofB) / (ofA + ofB);
  const names = new Set([...a.givenUp.keys(), ...b.givenUp.keys()]);
  return { relaxes: both(a.relaxes, b.relaxes), stops: both(a.stops, b.stops), givenUp: new Map([...names].map((n) => [n, both(a.givenUp.get(n) ?? 0, b.givenUp.get(n) ?? 0)])) };
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
