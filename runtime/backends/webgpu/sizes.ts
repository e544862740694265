/**
 * Values of a plan's sizes in a run, and workgroup counts that a device takes.
 *
 * Owns evaluation of size expressions and the folding of counts beyond a dimension's limit; leaves buffers to the session.
 */
import type { SizeExpr } from "../../abi.js";
import { HostError } from "../../base/errors.js";

/** Values of the symbols in a run. */
export type Symbols = ReadonlyMap<string, number>;

/** Workgroups that every WebGPU device takes along one dimension. */
const MOST_GROUPS = 65535;

/** The value of a size. Throws `HostError` "mismatch" for a symbol without a value. */
export function sizeValue(e: SizeExpr, symbols: Symbols): number {
  if (typeof e === "number") return e;
  if ("up" in e) return Math.ceil(sizeValue(e.up, symbols) / e.by) * e.times;
  let sum = 0;
  for (const [coefficient, ...names] of e.terms) {
    let term = coefficient;
    for (const name of names) {
      const value = symbols.get(name);
      if (value === undefined) throw new HostError("mismatch", `the batch has no length ${name}`, "report this: loader and plan disagree");
      term *= value;
    }
    sum += term;
  }
  return sum;
}

/** Workgroups in three dimensions; one number is folded where it is larger than a dimension may be. */
export function groupCounts(groups: readonly SizeExpr[], symbols: Symbols): [number, number, number] {
  const [x = 0, y, z] = groups.map((g) => sizeValue(g, symbols));
  if (y !== undefined && z !== undefined) return [x, y, z];
  const rows = Math.max(1, Math.ceil(x / MOST_GROUPS));
  return [Math.ceil(x / rows), rows, 1];
}
