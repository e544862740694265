/**
 * How long a mask's rows usually are, for estimates of memory: its bounds are far apart, and a step takes what is drawn.
 *
 * Owns one number for each mask, from the law of its sizes and what is taken out of it. Bounds that must hold for every draw
 * are elsewhere (`targets/wgsl/plan.ts`, the runtime's `masks/bounds.ts`).
 */
import type { Mask, ModelGraph } from "../model/ir.js";
import type { Grid } from "../types/value-type.js";
import { placesOf } from "../types/value-type.js";
import { kept } from "./draws.js";
import { sizeLaw } from "./law.js";

/** The usual row length of every mask with a grid, by name, after the cut to the shortest of `batch` images, or of its group. */
export function usualLengths(graph: Pick<ModelGraph, "masks">, batch: number): ReadonlyMap<string, number> {
  return new Map(graph.masks.flatMap((mask): [string, number][] => {
    const usual = usualLength(mask, graph.masks, batch);
    return usual === undefined ? [] : [[mask.name, usual]];
  }));
}

/** That of one mask among others; undefined where its grid is not known. */
export function usualLength(mask: Mask, masks: readonly Mask[], batch: number): number | undefined {
  const { grid } = mask;
  if (grid === undefined) return undefined;
  const cells = placesOf(grid);
  const removed = mask.allowOverlap ? [] : masks.filter((m) => mask.minus.includes(m.name));
  const counted = kept(mask, masks, grid, batch)?.trimmed;
  const own = wholeLength(mask, grid, cells);
  const rest = removed.reduce((left, m) => left * (1 - wholeLength(m, grid, cells) / cells) ** m.count, own);
  return Math.max(1, Math.round(counted ?? rest));
}

function wholeLength(mask: Mask, grid: Grid, cells: number): number {
  if (mask.kind === "random") return ((mask.ratio[0] + mask.ratio[1]) / 2) * cells;
  if (mask.kind === "rasterized") return cells / 4;
  if (mask.kind !== "block") return cells;
  return sizeLaw(mask, grid).sizes.reduce((n, s) => n + s.share * s.height * s.width, 0) * (grid.frames ?? 1);
}
