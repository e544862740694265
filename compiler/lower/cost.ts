/**
 * Arithmetic cost of a program, from its tensor functions.
 *
 * Owns the count of floating-point operations per image: a multiply-add is two. Mask lengths are symbols; they are counted
 * at the mean of their bounds (scale of the mask less what is taken out), so the figure is an estimate for random masks and
 * exact otherwise. The backward pass of an op that needs both gradients costs twice its forward pass.
 */
import type { Mask, ModelGraph } from "../model/ir.js";
import { funcFlops } from "../tensor/flops.js";
import { evaluate } from "../types/dim.js";
import { placesOf } from "../types/value-type.js";
import type { Lowered } from "./program.js";

/** Expected positions of a mask: its share of the grid, less the expected share of the masks taken out of it. */
function expectedLength(mask: Mask, masks: readonly Mask[]): number {
  const cells = mask.grid === undefined ? 0 : placesOf(mask.grid);
  const middle = (r: readonly [number, number]): number => (r[0] + r[1]) / 2;
  const share = mask.kind === "random" ? middle(mask.ratio) : mask.kind === "rasterized" ? 0.25 : mask.kind === "all" || mask.kind === "complement" ? 1 : middle(mask.scale);
  const left = mask.minus.reduce((s, name) => {
    const other = masks.find((m) => m.name === name);
    if (other === undefined || mask.allowOverlap) return s;
    const taken = other.kind === "random" ? middle(other.ratio) : other.kind === "rasterized" ? 0.25 : middle(other.scale);
    return s * (other.kind === "rasterized" ? 1 - taken * other.count : (1 - taken) ** other.count);
  }, share);
  return Math.max(1, Math.round(cells * left));
}

/** Floating-point operations of one forward pass of `main`, per image. */
export function flopsPerImage(graph: ModelGraph, lowered: Lowered, batch: number): number {
  const env = new Map<string, number>([["B", batch], ...graph.masks.map((m): [string, number] => [`K_${m.name}`, expectedLength(m, graph.masks)])]);
  return Math.round((evaluate(funcFlops(lowered.module, lowered.main), env) ?? 0) / batch);
}
