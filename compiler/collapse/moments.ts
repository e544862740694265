/**
 * Which moments of a clip a row has seen: from one to another, both counted from the clip's first.
 *
 * A row along an axis of time sees moments that go along with it (`earlier`, `later` shift which), or the same for all rows
 * (whatever was taken over time). Attention that looks back only reaches from the first moment to the row's own. An upper
 * bound, as every sight is. Owns this arithmetic; what a prediction may see is the rule of `leaks/`.
 */
import type { Node } from "../model/ir.js";
import { constantOf } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";

/** A moment: `at`, or `at` after that of the row where it `moves` with the row. */
interface Bound {
  readonly at: number;
  readonly moves: boolean;
}

/** The first and the last moment that a row has seen. */
export interface Moments {
  readonly first: Bound;
  readonly last: Bound;
}

const still = (at: number): Bound => ({ at, moves: false });

/** How many rows a value has along time; 1 where it has no such axis. */
export function rowsInTime({ axes, shape }: ValueType): number {
  const size = shape[axes.indexOf("time")];
  return (size === undefined ? undefined : constantOf(size)) ?? 1;
}

/** What rows of an input see: their own moment, or all there is. */
export function ownMoments({ axes }: ValueType): Moments {
  const own: Bound = { at: 0, moves: axes.includes("time") };
  return { first: own, last: own };
}

/** What an op makes of the moments of an operand with so many rows along time. */
export function momentsThrough(node: Node, moments: Moments, rows: number): Moments {
  const { first, last } = moments;
  if (node.op === "slice_time") {
    const by = node.attrs.start ?? 0;
    const later = (x: Bound): Bound => (x.moves ? { at: x.at + by, moves: true } : x);
    return { first: later(first), last: later(last) };
  }
  if (node.op === "attend" && node.attrs.block !== undefined) return { first: first.moves ? still(first.at) : first, last };
  if (node.type.axes.includes("time") && node.attrs.over?.includes("time") !== true) return moments;
  return { first: first.moves ? still(first.at) : first, last: last.moves ? still(last.at + rows - 1) : last };
}

/** From the first moment of both to the last of both, for values of so many rows. */
export function bothMoments(a: Moments, b: Moments, rows: number): Moments {
  const together = (x: Bound, y: Bound, pick: (...of: readonly number[]) => number, reach: number): Bound =>
    x.moves === y.moves ? { at: pick(x.at, y.at), moves: x.moves } : still(pick(x.at + (x.moves ? reach : 0), y.at + (y.moves ? reach : 0)));
  return { first: together(a.first, b.first, Math.min, 0), last: together(a.last, b.last, Math.max, rows - 1) };
}

/** Whether some row of `a` has seen all that the same row of `b` has. */
export function someHolds(a: Moments, b: Moments, rows: number): boolean {
  const at = (x: Bound, row: number): number => (x.moves ? x.at + row : x.at);
  for (let row = 0; row < rows; row++) {
    if (at(a.first, row) <= at(b.first, row) && at(a.last, row) >= at(b.last, row)) return true;
  }
  return false;
}

/** Equal for equal moments. */
export function momentsKey({ first, last }: Moments): string {
  return [first, last].map(({ at, moves }) => `${moves ? "+" : ""}${at}`).join("..");
}
