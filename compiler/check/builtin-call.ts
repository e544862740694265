/**
 * What the rules of built-in functions share: a call with its arguments bound, and reading operands out of it.
 *
 * Owns the shapes `BuiltinCall` and `Builtin` and the readers with their diagnostics, so that tables of built-ins by theme
 * (`builtins.ts`, `builtins-batch.ts`, `builtins-join.ts`) hold rules only.
 */
import type { Span } from "../base/span.js";
import { report } from "../messages/report.js";
import type { ModelOp } from "../model/ir.js";
import type { Axis, ValueType } from "../types/value-type.js";
import { namedAxes, noPositions } from "../types/value-type.js";
import type { BodyCx } from "./body.js";
import { emit } from "./body.js";
import type { ArgValue } from "./expr.js";
import { asCount, asNumber, asSides, bounds } from "./static.js";
import { describe, poison } from "./values.js";
import type { Value } from "./values.js";

/** A value of the body. */
export type Tensor = Value & { kind: "tensor" };

/** A call of a built-in. */
export interface Call {
  readonly cx: BodyCx;
  readonly name: string;
  readonly at: Span;
  /** By formal name; missing optional ones are absent. */
  readonly args: ReadonlyMap<string, ArgValue>;
  readonly rest: readonly ArgValue[];
}

/** A built-in: its formals and its rule. */
export interface Builtin {
  /** Formals in order; a trailing `?` marks an optional one; `...` takes what is left. */
  readonly formals: readonly string[];
  readonly run: (call: Call) => Value;
}

/** The tensor operand of that name, or a report and undefined. */
export function tensor(call: Call, name: string): Tensor | undefined {
  const arg = call.args.get(name);
  if (arg === undefined) return undefined;
  if (arg.value.kind === "tensor") return arg.value;
  if (arg.value.kind !== "poison") {
    call.cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${name}\` of \`${call.name}\``, expected: "a tensor", found: describe(arg.value) }));
  }
  return undefined;
}

/** A whole number from 1 on. */
export function count(call: Call, name: string): number | undefined {
  const arg = call.args.get(name);
  return arg === undefined ? undefined : asCount(arg.value, `\`${name}\` of \`${call.name}\``, arg.span, call.cx.diagnostics);
}

/** Height and width, by one number or a list of two. */
export function sides(call: Call, name: string): readonly [number, number] | undefined {
  const arg = call.args.get(name);
  return arg === undefined ? undefined : asSides(arg.value, `\`${name}\` of \`${call.name}\``, arg.span, call.cx.diagnostics);
}

/** A number, or the fallback where the argument is absent. */
export function number(call: Call, name: string, fallback: number): number | undefined {
  const arg = call.args.get(name);
  return arg === undefined ? fallback : asNumber(arg.value, `\`${name}\` of \`${call.name}\``, arg.span, call.cx.diagnostics);
}

/** A number from `low` to `high`, or the fallback where the argument is absent. */
export function within(call: Call, name: string, fallback: number, low: number, high: number): number | undefined {
  const n = number(call, name, fallback);
  if (n === undefined || (n >= low && n <= high)) return n;
  call.cx.diagnostics.add(report("JEP2011", call.args.get(name)?.span ?? call.at, { what: `\`${name}\` of \`${call.name}\``, bounds: bounds(low, high), found: n }));
  return undefined;
}

/** The mask of that name, or a report and undefined. */
export function maskName(call: Call, name: string): string | undefined {
  const arg = call.args.get(name);
  if (arg?.value.kind === "mask") return arg.value.name;
  if (arg !== undefined && arg.value.kind !== "poison") {
    call.cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${name}\``, expected: "a mask", found: describe(arg.value) }));
  }
  return undefined;
}

/** An op on one operand that keeps its type. */
export const pointwise = (op: ModelOp): Builtin => ({
  formals: ["x"],
  run: (call) => {
    const x = tensor(call, "x");
    return x === undefined ? poison : emit(call.cx, op, [x.id], {}, x.type, call.at);
  },
});

/** Words for axes, and for the second one of a matrix of pairs. */
export const axisWords: Readonly<Record<string, readonly (Axis | "column")[]>> = {
  columns: ["column"], tokens: ["token"], token: ["token"], images: ["batch"], samples: ["batch"], batch: ["batch"], time: ["time"],
  features: ["feature"], feature: ["feature"],
};

/** The type without the axes that `over` names; without tokens there are no positions, without any axis it is a scalar. */
export function reduce(type: ValueType, over: readonly string[]): ValueType {
  const keep = namedAxes(type.axes, over).map((gone) => !gone);
  const left = type.axes.filter((_, i) => keep[i]);
  return {
    ...type,
    shape: type.shape.filter((_, i) => keep[i]),
    axes: left,
    positions: left.includes("token") ? type.positions : noPositions,
    space: left.length === 0 ? { kind: "scalar" } : type.space,
  };
}
