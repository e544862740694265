/**
 * The most positions that one row of a mask can have, in any batch, at any step and seed: what memory is planned for.
 *
 * Owns bounds: the upper ones, and for who reads them the lower ones. They must hold for every draw, so they go by the samplers' own rules (the runtime's, which a test
 * holds against this): the exact law of the published sizes, and what masks that are taken out of a whole grid must cover.
 * Usual lengths are `usual.ts`.
 */
import type { MaskSpec } from "../../runtime/abi.js";
import { placesOf } from "../types/value-type.js";
import { sizeLaw } from "./law.js";

/** The bound of a mask; `masks` holds those that it is less. At least 1. */
export function mostPositions(mask: MaskSpec, masks: readonly MaskSpec[]): number {
  const cells = cellsOf(mask);
  switch (mask.kind) {
    case "block": return largestBlock(mask);
    case "rasterized": return Math.ceil(mask.grid.rows / 2) * Math.ceil(mask.grid.cols / 2) * depth(mask);
    // A share that is drawn may be rounded up past the range's end by one position.
    case "random": return Math.max(1, Math.min(cells, shareOf(mask, mask.ratio[1]) + (mask.ratio[0] === mask.ratio[1] ? 0 : 1), rest(mask, masks)));
    case "all": case "complement": return rest(mask, masks);
  }
}

/** The fewest and the most positions that one row of a mask can have, in any batch, at any step and seed; after the cut to the shortest too. */
export function positionBounds(mask: MaskSpec, masks: readonly MaskSpec[]): { readonly least: number; readonly most: number } {
  const most = mostPositions(mask, masks);
  return { least: Math.min(most, fewest(mask, masks)), most };
}

function fewest(mask: MaskSpec, masks: readonly MaskSpec[]): number {
  const removed = removedFrom(mask, masks);
  if (removed.length === 0) return least({ ...mask, minus: [] }, masks);
  const left = Math.max(1, cellsOf(mask) - covered(removed, masks));
  switch (mask.kind) {
    // The published sampler takes no row that has no more, and gives up what stands in its way.
    case "block": return mask.sampler === "published" ? mask.minKeep * depth(mask) + 1 : 1;
    case "random": return Math.min(shareOf(mask, mask.ratio[0]), left);
    case "rasterized": return 1;
    case "all": case "complement": return left;
  }
}

function removedFrom(mask: MaskSpec, masks: readonly MaskSpec[]): readonly MaskSpec[] {
  return mask.allowOverlap ? [] : mask.minus.flatMap((name) => masks.filter((m) => m.name === name && m !== mask));
}

function cellsOf({ grid }: MaskSpec): number {
  return placesOf(grid);
}

/** Frames that a place of the plane goes through. */
function depth({ grid }: MaskSpec): number {
  return grid.frames ?? 1;
}

/** Positions of a random mask at a ratio (I-JEPA release: all but `trunc(N (1 - r))`). */
function shareOf(mask: MaskSpec, ratio: number): number {
  const cells = cellsOf(mask);
  return cells - Math.trunc(cells * (1 - ratio));
}

/** Areas that the published sampler accepts, exactly. */
function areas(mask: MaskSpec): number[] {
  return sizeLaw(mask, mask.grid).sizes.map((s) => s.height * s.width).filter((area) => area > mask.minKeep).map((area) => area * depth(mask));
}

function largestBlock(mask: MaskSpec): number {
  if (mask.sampler === "published") return Math.max(1, ...areas(mask));
  // Sides are rounded: a block may be half a position longer each way than its area says.
  const plane = cellsOf(mask) / depth(mask);
  const area = mask.scale[1] * plane;
  if (mask.grid.rows === 1 || mask.grid.cols === 1) return Math.min(plane, Math.max(Math.floor(area), mask.minKeep + 1)) * depth(mask);
  const most = Math.max(...mask.aspect.map((aspect) => (Math.sqrt(area * aspect) + 0.5) * (Math.sqrt(area / aspect) + 0.5)));
  return Math.min(plane, Math.max(Math.floor(most), mask.minKeep + 1)) * depth(mask);
}

/** What is left of the grid: where the masks taken out cannot cover all of it, none is ever given up, and each takes its least. */
function rest(mask: MaskSpec, masks: readonly MaskSpec[]): number {
  const cells = cellsOf(mask);
  const removed = removedFrom(mask, masks);
  const most = covered(removed, masks);
  return most < cells ? cells - Math.max(0, ...removed.map((m) => least(m, masks))) : cells;
}

/** The most positions that masks cover together. */
function covered(removed: readonly MaskSpec[], masks: readonly MaskSpec[]): number {
  return removed.reduce((sum, m) => sum + m.count * mostPositions(m, masks), 0);
}

/** The fewest positions that a mask covers. */
function least(mask: MaskSpec, masks: readonly MaskSpec[]): number {
  // None is ever empty; of everything, what the largest draws of the others leave.
  if (mask.minus.length > 0 && !mask.allowOverlap) return mask.kind === "all" || mask.kind === "complement" ? Math.max(1, cellsOf(mask) - covered(masks.filter((m) => m !== mask && mask.minus.includes(m.name)), masks)) : 1;
  switch (mask.kind) {
    case "block": return mask.sampler === "published" ? Math.min(cellsOf(mask), ...areas(mask)) : (mask.minKeep + 1) * depth(mask);
    case "random": return shareOf(mask, mask.ratio[0]);
    case "rasterized": return Math.floor(mask.grid.rows / 2) * Math.floor(mask.grid.cols / 2) * depth(mask);
    case "all": case "complement": return cellsOf(mask);
  }
}
