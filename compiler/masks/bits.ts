/**
 * The draw of `place.ts` where all masks are blocks in a plane, counted only: rows of the plane are the bits of a number, so
 * that a picture costs a few dozen operations. `jepac check` counts thousands of them for every program.
 *
 * Owns nothing but speed: it asks chance for the same numbers in the same order, and a test holds its counts against the
 * other's.
 */
import type { Chance, Field, Sized } from "./place.js";
import { tries } from "./place.js";

/** What a picture got, as counts: positions of each set of the last mask, which of what is taken out was given up for them, and whether a run would stop. */
export interface Counted {
  readonly lengths: readonly number[];
  readonly givenUp: ReadonlySet<string>;
  readonly stops: boolean;
}

/** Bits that a number has to spare. */
const widest = 30;

const nobody: ReadonlySet<string> = new Set();

/**
 * `drawPicture`, counted, for masks of these sizes: those that are taken out first, in the order in which they come, and
 * the mask that they are taken out of last. Undefined where that cannot be counted so: anything but blocks, or others that
 * have something taken out themselves.
 */
export function bitCounter(order: readonly Sized[], field: Field, chance: Chance): (() => Counted) | undefined {
  const last = order.at(-1);
  const plain = order.every(({ mask }, i) => mask.kind === "block" && (i === order.length - 1 || mask.allowOverlap || mask.minus.length === 0));
  if (last === undefined || field.cols > widest || field.frames > 1 || !plain) return undefined;
  const blocks = order.slice(0, -1).flatMap((sized) => Array.from({ length: sized.mask.count }, () => cornersOf(sized, field)));
  const [tops, bits] = [new Int32Array(blocks.length), new Int32Array(blocks.length)];
  const covered = new Int32Array(field.rows);
  const own = cornersOf(last, field);
  const { minKeep, sampler, count } = last.mask;

  const cover = (inForce: number): void => {
    covered.fill(0);
    for (let i = 0; i < inForce; i++) {
      const [top, row] = [tops[i] ?? 0, bits[i] ?? 0];
      for (let r = top; r < top + (blocks[i]?.height ?? 0); r++) covered[r] = (covered[r] ?? 0) | row;
    }
  };
  const countAt = (top: number, left: number): number => {
    const row = own.row << left;
    let n = 0;
    for (let r = top; r < top + own.height; r++) n += ones(row & ~(covered[r] ?? 0));
    return n;
  };
  /** What the first of twenty places that has enough has, or nothing. */
  const tried = (): number | undefined => {
    for (let i = 0; i < tries; i++) {
      const here = countAt(chance(own.tops), chance(own.lefts));
      if (here > minKeep) return here;
      if (own.tops * own.lefts === 1) return undefined;
    }
    return undefined;
  };
  const best = (): number => {
    let most = 0;
    for (let top = 0; top < own.tops; top++) for (let left = 0; left < own.lefts; left++) most = Math.max(most, countAt(top, left));
    return most;
  };
  /** With ever fewer blocks taken out; gives up the names of the others. */
  const relaxed = (givenUp: Set<string>): number => {
    for (let inForce = blocks.length; inForce > 0; inForce--) {
      if (inForce < blocks.length) cover(inForce);
      const here = tried();
      if (here !== undefined) return here;
      givenUp.add(blocks[inForce - 1]?.name ?? "");
    }
    cover(0);
    return countAt(chance(own.tops), chance(own.lefts));
  };

  return () => {
    for (const [i, block] of blocks.entries()) {
      tops[i] = chance(block.tops);
      bits[i] = block.row << chance(block.lefts);
    }
    let givenUp = nobody;
    const lengths: number[] = [];
    for (let i = 0; i < count; i++) {
      cover(blocks.length);
      if (sampler !== "published") lengths.push(tried() ?? best());
      else {
        const names = new Set(givenUp);
        lengths.push(relaxed(names));
        if (names.size > 0) givenUp = names;
      }
    }
    return { lengths, givenUp, stops: lengths.includes(0) };
  };
}

/** How many corners a block may have along each side, and its row at the left edge. */
function cornersOf({ mask, height, width }: Sized, { rows, cols }: Field): { readonly name: string; readonly height: number; readonly tops: number; readonly lefts: number; readonly row: number } {
  const places = (side: number, length: number): number => Math.max(1, side - length + (mask.sampler === "published" ? 0 : 1));
  return { name: mask.name, height, tops: places(rows, height), lefts: places(cols, width), row: (1 << width) - 1 };
}

function ones(x: number): number {
  let v = x - ((x >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return (((v + (v >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
