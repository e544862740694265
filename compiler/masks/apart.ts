/**
 * Whether a mask always avoids what is taken out of it, and in words how it does not.
 *
 * Two ways to know: counted draws (`draws.ts`) say how often a sampler gives something up, for masks of every kind; and of
 * everything less some others, a bound says whether they could cover it together, for which draws may be too few. The bound
 * never misses a case: blocks and quadrants count with their largest areas, random sets with the chance that they hold all
 * that is left by the others. Owns the judgement and its words; where it is reported is for `analyze.ts`.
 */
import type { Mask } from "../model/ir.js";
import type { Kept } from "./draws.js";
import { coverage } from "./draws.js";
import { sizeLaw } from "./law.js";

/** Rarer than in one of two thousand images is not told. */
const rare = 0.0005;

/** Why a mask cannot always avoid what is taken out, or undefined. `counted`: what `kept` says of it. */
export function whyNotApart(mask: Mask, removed: readonly Mask[], counted: Kept | undefined): string | undefined {
  if (counted !== undefined && counted.stops > rare) return `in ${percent(counted.stops)} of ${drawnFor(mask)} no place has any position left, and a run stops there`;
  if (counted !== undefined && counted.relaxes > rare) return `in ${percent(counted.relaxes)} of ${drawnFor(mask)} ${nothingLeft(mask)}`;
  return mask.kind === "block" || mask.kind === "rasterized" ? undefined : couldCover(mask, removed);
}

/** What each draw of a mask is for. */
export function drawnFor({ grid }: Mask): string {
  return grid?.frames === undefined ? "images" : "clips";
}

/** A share as it is told. */
export function percent(share: number): string {
  const p = 100 * share;
  return `${p >= 10 ? Math.round(p) : p.toFixed(p >= 1 ? 1 : 2)} %`;
}

/** When the sampler gives up what should be taken out. */
function nothingLeft(mask: Mask): string {
  switch (mask.kind) {
    case "block": return `no place keeps more than min_keep = ${mask.minKeep} positions`;
    case "rasterized": return "a quadrant is covered by what is taken out of it";
    case "random": case "all": case "complement": return "no position is left";
  }
}

/** Of everything less some others, what is surely left: nothing, where they can cover the grid together. */
function couldCover({ grid }: Mask, removed: readonly Mask[]): string | undefined {
  if (grid === undefined || removed.length === 0 || removed.some((m) => m.kind === "all" || m.kind === "complement")) return undefined;
  const random = removed.filter((m) => m.kind === "random");
  const solid = removed.filter((m) => m.kind !== "random");
  // Without random ones all frames are alike, and one tells of all.
  const frames = random.length === 0 ? 1 : grid.frames ?? 1;
  const cells = grid.rows * grid.cols * frames;
  const areas = solid.reduce((sum, m) => sum + m.count * largest(m, grid) * frames, 0);
  const wanted = random.map((m) => ({ count: m.count, most: cells - Math.trunc(cells * (1 - m.ratio[1])) }));
  const together = areas + wanted.reduce((sum, w) => sum + w.count * w.most, 0);
  if (together < cells) return undefined;
  if (random.length > 0) return allHeld(cells, Math.max(0, cells - areas), wanted) > rare ? `masks of up to ${together} positions together can cover all ${cells}` : undefined;
  const covered = solid.map((m) => coverage(m, grid));
  const safe = covered[0]?.some((_, i) => covered.every((c) => c[i] === 0)) ?? true;
  return safe ? undefined : `blocks of up to ${together} positions together can cover all ${cells}`;
}

function largest(mask: Mask, grid: { readonly rows: number; readonly cols: number }): number {
  if (mask.kind === "rasterized") return Math.ceil(grid.rows / 2) * Math.ceil(grid.cols / 2);
  return Math.max(0, ...sizeLaw(mask, grid).sizes.map((s) => s.height * s.width));
}

/**
 * No less than the chance that random sets hold all of some positions. For one set it is exact. Positions drawn without being
 * put back hinder each other, so that the chance for several is at most the product over positions.
 */
function allHeld(cells: number, some: number, sets: readonly { readonly count: number; readonly most: number }[]): number {
  const [only] = sets;
  if (only !== undefined && sets.length === 1 && only.count === 1) {
    let chance = 1;
    for (let i = 0; i < some; i++) chance *= Math.max(0, only.most - i) / (cells - i);
    return chance;
  }
  const missed = sets.reduce((p, s) => p * (1 - s.most / cells) ** s.count, 1);
  return (1 - missed) ** some;
}
