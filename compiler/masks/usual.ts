/**
 * How long a mask's rows usually are, for estimates of memory: its bounds are far apart, and a step takes what is drawn.
 *
 * Owns one number for each mask, from the law of its sizes and what is taken out of it. Bounds that must hold for every draw
 * are elsewhere (`targets/wgsl/plan.ts`, the runtime's `masks/bounds.ts`).
 */
import type { Mask, ModelGraph } from "../model/ir.js";
import { kept } from "./draws.js";
import { sizeLaw } from "./law.js";

/** The usual row length of every mask with a grid, by name, after the cut to the shortest of `batch` rows. */
export function usualLengths(graph: Pick<ModelGraph, "masks">, batch: number): ReadonlyMap<string, number> {
  const byName = new Map(graph.masks.map((m) => [m.name, m]));
  return new Map(graph.masks.flatMap((mask): [string, number][] => {
    const { grid } = mask;
    if (grid === undefined) return [];
    const cells = grid.rows * grid.cols;
    const removed = mask.allowOverlap ? [] : mask.minus.flatMap((n) => byName.get(n) ?? []);
    const counted = kept(mask, graph.masks, grid, batch)?.trimmed;
    const own = wholeLength(mask, grid, cells);
    const rest = removed.reduce((left, m) => left * (1 - wholeLength(m, grid, cells) / cells) ** m.count, own);
    return [[mask.name, Math.max(1, Math.round(counted ?? rest))]];
  }));
}

function wholeLength(mask: Mask, grid: { readonly rows: number; readonly cols: number }, cells: number): number {
  if (mask.kind === "random") return ((mask.ratio[0] + mask.ratio[1]) / 2) * cells;
  if (mask.kind === "rasterized") return cells / 4;
  if (mask.kind !== "block") return cells;
  return sizeLaw(mask, grid).sizes.reduce((n, s) => n + s.share * s.height * s.width, 0);
}
