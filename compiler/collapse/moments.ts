/**
 * Which moments of a clip the rows of a value have seen: for each row along time a set of moments, counted from the clip's first.
 *
 * `earlier` and `later` choose rows; what was taken over time has seen what all rows had; attention that looks back gives each
 * row what those before it had. Exact where each step of the way is; with more moments than are counted one by one, each row is
 * said to have seen all, as a sight is an upper bound. Owns this arithmetic; what a prediction may see is the rule of `leaks/`.
 */
import type { Node } from "../model/ir.js";
import { constantOf } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";

/** By row a set of moments, one bit each; one set where it is that of all rows. */
export type Moments = readonly bigint[];

const all: Moments = [-1n];

/** So many moments are counted one by one. */
const MOST = 512;

/** What rows of an input see: their own moment. A picture is one moment. */
export function ownMoments({ axes, shape }: ValueType): Moments {
  const size = shape[axes.indexOf("time")];
  const moments = (size === undefined ? undefined : constantOf(size)) ?? 1;
  return moments > MOST ? all : Array.from({ length: moments }, (_, at) => 1n << BigInt(at));
}

/** What an op makes of the moments of an operand. */
export function momentsThrough(node: Node, moments: Moments): Moments {
  if (moments.length === 1) return moments;
  if (node.op === "slice_time") return moments.slice(node.attrs.start ?? 0, (node.attrs.start ?? 0) + (node.attrs.size ?? moments.length));
  if (node.op === "attend" && node.attrs.block !== undefined) return before(moments);
  return node.type.axes.includes("time") && node.attrs.over?.includes("time") !== true ? moments : [moments.reduce((a, b) => a | b)];
}

function before(moments: Moments): Moments {
  let seen = 0n;
  return moments.map((own) => (seen |= own));
}

/** What rows have seen that are made of rows of both. */
export function bothMoments(a: Moments, b: Moments): Moments {
  if (a === b) return a;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, row) => at(a, row) | at(b, row));
}

/** Whether some row of `a` has seen all that the same row of `b` has. */
export function someHolds(a: Moments, b: Moments): boolean {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, row) => at(b, row) & ~at(a, row)).includes(0n);
}

function at(moments: Moments, row: number): bigint {
  return moments[moments.length === 1 ? 0 : row] ?? -1n;
}

/** Equal for equal moments. */
export function momentsKey(moments: Moments): string {
  return moments.map((set) => set.toString(36)).join();
}
