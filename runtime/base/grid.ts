/**
 * How many positions a patch grid has.
 *
 * Owns the one sum that samplers, bounds and engines must agree on: rows times columns, of clips times their rows along time.
 */

/** Positions of a grid; without `frames` it is one plane. */
export function positionsOf({ rows, cols, frames = 1 }: { readonly rows: number; readonly cols: number; readonly frames?: number }): number {
  return rows * cols * frames;
}
