/**
 * Arithmetic on static values: what configuration expressions can compute at compile time.
 *
 * Owns number folding and the reading of ranges, schedules and integers out of values, with their diagnostics. Leaves
 * name lookup and tensors to `expr.ts`.
 */
import type { Span } from "../base/span.js";
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { Schedule } from "../model/ir.js";
import { describe } from "./values.js";
import type { Value } from "./values.js";

/** `a op b` on numbers; undefined when the result is not a finite number. */
export function foldBinary(op: string, a: number, b: number): number | undefined {
  const value = op === "+" ? a + b : op === "-" ? a - b : op === "*" ? a * b : op === "/" ? a / b : op === "^" ? a ** b : NaN;
  return Number.isFinite(value) ? value : undefined;
}

/** The number in a value, or a report and undefined. */
export function asNumber(value: Value, what: string, at: Span, diagnostics: Diagnostics): number | undefined {
  if (value.kind === "static" && typeof value.value === "number") return value.value;
  if (value.kind !== "poison") diagnostics.add(report("JEP2010", at, { what, expected: "a number", found: describe(value) }));
  return undefined;
}

/** Largest dimension a program may ask for: beyond it no device has memory, and products overflow. */
export const maxDimension = 1 << 24;

/** A whole number between `low` and `high`, or a report and undefined. */
export function asCount(value: Value, what: string, at: Span, diagnostics: Diagnostics, low = 1, high = maxDimension): number | undefined {
  const number = asNumber(value, what, at, diagnostics);
  if (number === undefined) return undefined;
  if (Number.isInteger(number) && number >= low && number <= high) return number;
  diagnostics.add(report("JEP2011", at, { what, bounds: bounds(low, high, Number.isInteger(number) ? "a number" : "a whole number"), found: number }));
  return undefined;
}

/** What a number must be, in words. */
export function bounds(low: number, high: number, kind = "a number"): string {
  return `${kind} from ${low} to ${high}`;
}

/** Height and width: one whole number from 1 on for both, or a list of two. */
export function asSides(value: Value, what: string, at: Span, diagnostics: Diagnostics): readonly [number, number] | undefined {
  if (value.kind !== "list") {
    const side = asCount(value, what, at, diagnostics);
    return side === undefined ? undefined : [side, side];
  }
  const { items } = value;
  const [height, width] = items.map((item) => asCount(item, `a side of ${what}`, at, diagnostics));
  if (items.length === 2) return height === undefined || width === undefined ? undefined : [height, width];
  diagnostics.add(report("JEP2010", at, { what, expected: "one number, or a list of a height and a width such as `[16, 8]`,", found: `a list of ${items.length}` }));
  return undefined;
}

/** A range, or a single number as a range of one point. */
export function asRange(value: Value, what: string, at: Span, diagnostics: Diagnostics): readonly [number, number] | undefined {
  if (value.kind === "range") return [value.low, value.high];
  if (value.kind === "static" && typeof value.value === "number") return [value.value, value.value];
  if (value.kind !== "poison") diagnostics.add(report("JEP2010", at, { what, expected: "a range such as 0.15..0.2", found: describe(value) }));
  return undefined;
}

/** A schedule from a number, an arrow `a -> b` (linear) or a schedule call. */
export function asSchedule(value: Value, what: string, at: Span, diagnostics: Diagnostics): Schedule | undefined {
  if (value.kind === "schedule") return value.schedule;
  if (value.kind === "static" && typeof value.value === "number") return constantSchedule(value.value);
  if (value.kind === "arrow" && value.points.length === 2) return { kind: "linear", points: value.points, warmup: undefined, stretch: 1 };
  if (value.kind !== "poison") diagnostics.add(report("JEP2010", at, { what, expected: "a number or a schedule such as 0.996 -> 1.0", found: describe(value) }));
  return undefined;
}

/** One value for the whole run. */
export function constantSchedule(value: number): Schedule {
  return { kind: "constant", points: [value], warmup: undefined, stretch: 1 };
}
