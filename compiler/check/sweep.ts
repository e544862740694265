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
import { printExpr } from "../syntax/print.js";
import type { CheckedModel } from "./model.js";
import type { Settable } from "./settable.js";
import { meantSetting } from "./settable.js";
import type { Static } from "./values.js";

/** One run of a sweep: the overrides that make it. */
export type SweepPoint = ReadonlyMap<string, Static>;

/** Most points of one sweep. */
const maxSweepPoints = 10_000;

/** All combinations of the axes' values, the last axis varying fastest. */
export function sweepPoints(sweep: ast.Sweep, model: CheckedModel, diagnostics: Diagnostics): readonly SweepPoint[] {
  const name = sweep.name.text;
  if (sweep.axes.length === 0) diagnostics.add(report("JEP2033", sweep.name.span, { name, why: "it names nothing to change" }));
  const first = new Map<string, ast.SweepAxis>();
  const axes = sweep.axes.flatMap((axis) => {
    const path = pathOf(axis);
    const other = first.get(path);
    if (other !== undefined) diagnostics.add(report("JEP2002", joined(axis), { name: path }, { help: "Put all its values into one list.", related: [{ span: other.span, message: "said first here" }] }));
    else first.set(path, axis);
    return other === undefined ? [readAxis(name, axis, model.settable, diagnostics)] : [];
  });
  if (axes.length === 0) return [];
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

function pathOf(axis: ast.SweepAxis): string {
  return axis.path.map((n) => n.text).join(".");
}

function readAxis(name: string, axis: ast.SweepAxis, settable: Settable, diagnostics: Diagnostics): { path: string; values: readonly Static[] } {
  const path = pathOf(axis);
  if (!settable.names.includes(path)) {
    diagnostics.add(report("JEP2025", joined(axis), { path }, meantSetting(path, settable, joined(axis))));
    return { path, values: [] };
  }
  if (axis.values.kind !== "list") {
    const { span } = axis.values;
    const text = printExpr(axis.values);
    const fixes = valueOf(axis.values) === undefined ? [] : [{ title: `write \`[${text}]\``, edits: [{ span, text: `[${text}]` }] }];
    if (axis.values.kind !== "hole") diagnostics.add(report("JEP2010", span, { what: `the values of \`${path}\``, expected: "a list such as `[2, 4]`", found: `\`${text}\`` }, { fixes }));
    return { path, values: [] };
  }
  if (axis.values.items.length === 0) diagnostics.add(report("JEP2033", axis.values.span, { name, why: `\`${path}\` has no values` }));
  const first = new Map<Static, Span>();
  for (const e of axis.values.items) {
    const value = valueOf(e);
    const before = value === undefined ? undefined : first.get(value);
    if (before !== undefined) diagnostics.add(report("JEP2034", e.span, { path, value: printExpr(e) }, { related: [{ span: before, message: "said first here" }] }));
    else if (value !== undefined) first.set(value, e.span);
    else if (e.kind !== "hole") diagnostics.add(report("JEP2010", e.span, { what: `a value of \`${path}\``, expected: "a number, a text, true or false, or a list of numbers", found: `\`${printExpr(e)}\`` }));
  }
  return { path, values: [...first.keys()] };
}

/** A value of an axis; a list of numbers is its text, as `--set` takes it. */
function valueOf(e: ast.Expr): Static | undefined {
  if (e.kind === "number" || e.kind === "string" || e.kind === "bool") return e.value;
  if (e.kind === "list" && e.items.length > 0) return e.items.every((item) => typeof valueOf(item) === "number") ? printExpr(e) : undefined;
  return e.kind === "negate" && e.operand.kind === "number" ? -e.operand.value : undefined;
}
