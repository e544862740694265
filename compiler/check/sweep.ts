/**
 * Sweeps: `sweep predictor_depth of ijepa { predict.depth in [6, 12] }` as a list of points.
 *
 * Owns reading the axes, holding each path to something that exists, and the bound on how many runs a sweep may ask for.
 * Leaves running them to the command line.
 */
import { join } from "../base/span.js";
import type { Span } from "../base/span.js";
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { CheckedModel } from "./model.js";
import type { Settable } from "./settable.js";
import { meantSetting } from "./settable.js";
import type { Static } from "./values.js";

/** One run of a sweep: the overrides that make it. */
export type SweepPoint = ReadonlyMap<string, Static>;

/** Most points of one sweep. */
export const maxSweepPoints = 10_000;

/** All combinations of the axes' values, the last axis varying fastest. */
export function sweepPoints(sweep: ast.Sweep, model: CheckedModel, diagnostics: Diagnostics): readonly SweepPoint[] {
  const axes = sweep.axes.map((axis) => readAxis(axis, model.settable, diagnostics));
  const size = axes.reduce((n, a) => n * a.values.length, 1);
  if (size > maxSweepPoints) {
    diagnostics.add(report("JEP2029", sweep.span, { points: size, most: maxSweepPoints }));
    return [];
  }
  let points: SweepPoint[] = [new Map()];
  for (const { path, values } of axes) points = points.flatMap((p) => values.map((v) => new Map([...p, [path, v]])));
  return points;
}

/** The whole of a dotted path. */
function joined(axis: ast.SweepAxis): Span {
  const [first] = axis.path;
  const last = axis.path.at(-1);
  return first === undefined || last === undefined ? axis.span : join(first.span, last.span);
}

function readAxis(axis: ast.SweepAxis, settable: Settable, diagnostics: Diagnostics): { path: string; values: readonly Static[] } {
  const path = axis.path.map((n) => n.text).join(".");
  if (!settable.names.includes(path)) {
    diagnostics.add(report("JEP2025", joined(axis), { path }, meantSetting(path, settable, joined(axis))));
    return { path, values: [] };
  }
  const items = axis.values.kind === "list" ? axis.values.items : [axis.values];
  const values = items.flatMap((e): Static[] => {
    if (e.kind === "number" || e.kind === "string" || e.kind === "bool") return [e.value];
    if (e.kind === "negate" && e.operand.kind === "number") return [-e.operand.value];
    if (e.kind !== "hole") diagnostics.add(report("JEP2010", e.span, { what: `a value of \`${path}\``, expected: "a number, a text or true or false", found: "something else" }));
    return [];
  });
  return { path, values };
}
