/**
 * One picture's draw of a mask and of all that is taken out of it: the rules of the samplers, for counting.
 *
 * Goes by what the runtime does (docs/masks.md): a published block is tried twenty times, and then the last set of what is
 * taken out is given up, and so on; a corrected block takes the best of all places and never shares a position, so that the
 * run stops where no place has one left; `all`, `random` and `rasterized` give up sets while nothing else is left. Sizes
 * are given: a batch shares them. Owns no probabilities; the samplers themselves are in the runtime, which knows nothing of
 * this file, and a test holds the two against each other.
 */
import type { Mask } from "../model/ir.js";

/** Positions in which masks lie: a plane, and how often it is repeated along time. */
export interface Field {
  readonly rows: number;
  readonly cols: number;
  readonly frames: number;
  /** Every position, and those of each quadrant. */
  readonly all: readonly number[];
  readonly quadrants: readonly (readonly number[])[];
  /** Room for what covers a mask while it is drawn. */
  readonly room: Int16Array;
}

/** A field of so many positions; the middle row and column of odd grids belong to the later quadrant. */
export function fieldOf(rows: number, cols: number, frames: number): Field {
  const all = Array.from({ length: rows * cols * frames }, (_, at) => at);
  const [top, left] = [Math.floor(rows / 2), Math.floor(cols / 2)];
  const quarter = (at: number): number => (Math.floor(at / cols) % rows >= top ? 2 : 0) + (at % cols >= left ? 1 : 0);
  return { rows, cols, frames, all, quadrants: [0, 1, 2, 3].map((which) => all.filter((at) => quarter(at) === which)), room: new Int16Array(all.length) };
}

/** A mask with the size that a batch has: the sides of its blocks, or how many positions a random set wants. */
export interface Sized {
  readonly mask: Mask;
  readonly height: number;
  readonly width: number;
  readonly wanted: number;
}

/** What a picture got: positions of each set, the masks that were given up for it, and whether a run would stop here. */
export interface Drawn {
  readonly sets: readonly (readonly number[])[];
  readonly givenUp: ReadonlySet<string>;
  readonly stops: boolean;
}

/** Whole numbers from 0, below n. */
export type Chance = (n: number) => number;

/** How often a published block looks for a place before it gives something up. */
export const tries = 20;
const free = 32767;

/** Draws masks one after the other (those taken out of others come first) and gives back the last. */
export function drawPicture(order: readonly Sized[], field: Field, chance: Chance): Drawn {
  const drawn = new Map<string, Drawn["sets"]>();
  let last: Drawn = { sets: [], givenUp: new Set(), stops: false };
  for (const sized of order) {
    last = drawMask(sized, coverOf(sized.mask, drawn, field), field, chance);
    drawn.set(sized.mask.name, last.sets);
  }
  return last;
}

/** By position, which set of those taken out covers it first, and whose each set is. */
interface Cover {
  readonly first: Int16Array;
  readonly owners: readonly string[];
}

const open: Cover = { first: new Int16Array(0), owners: [] };

function coverOf(mask: Mask, drawn: ReadonlyMap<string, Drawn["sets"]>, field: Field): Cover {
  if (mask.allowOverlap || mask.minus.length === 0) return open;
  const first = field.room.fill(free);
  const owners: string[] = [];
  for (const name of mask.minus) {
    for (const set of drawn.get(name) ?? []) {
      for (const at of set) if (first[at] === free) first[at] = owners.length;
      owners.push(name);
    }
  }
  return { first, owners };
}

function drawMask(sized: Sized, cover: Cover, field: Field, chance: Chance): Drawn {
  const { mask } = sized;
  const givenUp = new Set<string>();
  let stops = false;
  /** `inForce`: how many of the sets taken out were still kept out. */
  const keep = (set: number[], inForce: number): number[] => {
    for (let i = inForce; i < cover.owners.length; i++) givenUp.add(cover.owners[i] ?? "");
    stops ||= set.length === 0;
    return set;
  };
  const uncovered = (candidates: readonly number[]): number[] => {
    for (let inForce = cover.owners.length; inForce > 0; inForce--) {
      const set = leftOf(candidates, cover, inForce);
      if (set.length > 0) return keep(set, inForce);
    }
    return keep(candidates.slice(), 0);
  };
  const times = (make: () => readonly number[]): Drawn["sets"] => {
    const sets = [];
    for (let i = 0; i < mask.count; i++) sets.push(make());
    return sets;
  };
  switch (mask.kind) {
    case "block": {
      const placed = mask.sampler === "published" ? published : corrected;
      const sets = times(() => {
        const place = placed(sized, cover, field, chance);
        return keep(region(sized, cover, field, place), place.inForce);
      });
      return { sets, givenUp, stops };
    }
    case "random": return { sets: times(() => some(uncovered(field.all), sized.wanted, chance)), givenUp, stops };
    case "rasterized": {
      const which = some([0, 1, 2, 3], mask.count, chance);
      return { sets: which.map((q) => uncovered(field.quadrants[q] ?? [])), givenUp, stops };
    }
    case "all": case "complement": return { sets: times(() => uncovered(field.all)), givenUp, stops };
  }
}

/** The candidates that none of so many sets covers. */
function leftOf(candidates: readonly number[], { first }: Cover, inForce: number): number[] {
  const set: number[] = [];
  for (const at of candidates) if ((first[at] ?? free) >= inForce) set.push(at);
  return set;
}

interface Place {
  readonly top: number;
  readonly left: number;
  readonly inForce: number;
}

/** Whether a place of the block has more than so many positions left, with so many sets in force. */
function exceeds({ height, width }: Sized, { first }: Cover, { rows, cols, frames }: Field, { top, left, inForce }: Place, many: number): boolean {
  let n = 0;
  for (let f = 0; f < frames; f++) {
    for (let r = top; r < top + height; r++) {
      const row = (f * rows + r) * cols;
      for (let at = row + left; at < row + left + width; at++) if ((first[at] ?? free) >= inForce && ++n > many) return true;
    }
  }
  return false;
}

/** Counts what every place of the block has left, by sums over the plane: a count is four look-ups. */
function countsOf({ height, width }: Sized, { first }: Cover, field: Field, inForce: number): (top: number, left: number) => number {
  const { rows, cols, frames } = field;
  const across = cols + 1;
  const sums = new Int32Array((rows + 1) * across);
  for (let r = 0; r < rows; r++) {
    let row = 0;
    for (let c = 0; c < cols; c++) {
      for (let f = 0; f < frames; f++) if ((first[(f * rows + r) * cols + c] ?? free) >= inForce) row++;
      sums[(r + 1) * across + c + 1] = (sums[r * across + c + 1] ?? 0) + row;
    }
  }
  return (top, left) => {
    const [above, below] = [top * across + left, (top + height) * across + left];
    return (sums[below + width] ?? 0) - (sums[below] ?? 0) - (sums[above + width] ?? 0) + (sums[above] ?? 0);
  };
}

/** The first of twenty places that has enough left. Most often that is the first of all, so that counting them pays only after it. */
function tried(sized: Sized, cover: Cover, field: Field, inForce: number, tops: number, lefts: number, chance: Chance): Place | undefined {
  const { minKeep } = sized.mask;
  const place = { top: chance(tops), left: chance(lefts), inForce };
  // So many of every frame, on average.
  const least = minKeep * field.frames;
  if (exceeds(sized, cover, field, place, least)) return place;
  // There is no other place.
  if (tops * lefts === 1) return undefined;
  const count = countsOf(sized, cover, field, inForce);
  for (let i = 1; i < tries; i++) {
    const [top, left] = [chance(tops), chance(lefts)];
    if (count(top, left) > least) return { top, left, inForce };
  }
  return undefined;
}

function published(sized: Sized, cover: Cover, field: Field, chance: Chance): Place {
  const [tops, lefts] = [Math.max(1, field.rows - sized.height), Math.max(1, field.cols - sized.width)];
  for (let inForce = cover.owners.length; inForce > 0; inForce--) {
    const place = tried(sized, cover, field, inForce, tops, lefts, chance);
    if (place !== undefined) return place;
  }
  return { top: chance(tops), left: chance(lefts), inForce: 0 };
}

function corrected(sized: Sized, cover: Cover, field: Field, chance: Chance): Place {
  const [tops, lefts] = [field.rows - sized.height + 1, field.cols - sized.width + 1];
  const inForce = cover.owners.length;
  if (inForce === 0) return { top: chance(tops), left: chance(lefts), inForce };
  const place = tried(sized, cover, field, inForce, tops, lefts, chance);
  if (place !== undefined) return place;
  const count = countsOf(sized, cover, field, inForce);
  let best = { top: 0, left: 0, inForce };
  let most = 0;
  for (let top = 0; top < tops; top++) {
    for (let left = 0; left < lefts; left++) {
      const here = count(top, left);
      if (here <= most) continue;
      most = here;
      best = { top, left, inForce };
    }
  }
  return best;
}

function region({ height, width }: Sized, { first }: Cover, { rows, cols, frames }: Field, { top, left, inForce }: Place): number[] {
  const set: number[] = [];
  for (let f = 0; f < frames; f++) {
    for (let r = top; r < top + height; r++) {
      const row = (f * rows + r) * cols;
      for (let at = row + left; at < row + left + width; at++) if ((first[at] ?? free) >= inForce) set.push(at);
    }
  }
  return set;
}

/** So many of a list, any of them. Reorders the list. */
function some(list: number[], wanted: number, chance: Chance): number[] {
  const many = Math.min(wanted, list.length);
  for (let i = 0; i < many; i++) {
    const j = i + chance(list.length - i);
    const held = list[i] ?? 0;
    list[i] = list[j] ?? 0;
    list[j] = held;
  }
  list.length = many;
  return list;
}
