/**
 * Elementwise kernels and epilogues: expressions over operands that are read through views.
 *
 * Axes along which every operand moves alike are merged, so that the usual case is one axis and no division. Strides come
 * from the block of sizes; only whether an operand moves along an axis at all is in the text.
 */
import { IrError } from "../../../tensor/ir.js";
import type { Dim } from "../../../types/dim.js";
import { constantOf, equal, mul, printShape, product } from "../../../types/dim.js";
import { isPlain } from "../build.js";
import { loadKind } from "../fuse.js";
import type { Expr, MapWork, Op, View } from "../graph.js";
import type { Draft } from "../kernel.js";
import { KernelWriter, linearEntry, up } from "../kernel.js";
import { literal } from "../lowering.js";

/** The dispatch of a map. */
export function mapDraft(op: Op, work: MapWork): Draft {
  const moves = work.loads.length > 0 && work.exprs.every((e) => e.kind === "load");
  const w = new KernelWriter(moves ? "copy" : work.loads.length === 0 ? "fill" : "map", moves ? "Copies elements into another order." : "Elementwise.");
  const axes = mergedAxes(work);
  const n = w.size("n", product(work.shape));
  const lines = [linearEntry(n), ...coordinates(w, axes)];
  work.loads.forEach((load, slot) => {
    lines.push(`  let v${slot} = ${w.read(`x${slot}`, load.tensor)(address(w, axes, load, slot))};`);
  });
  work.outs.forEach((out, i) => {
    const expr = work.exprs[i];
    if (expr === undefined) throw new IrError("wgsl target: a map has as many expressions as results.");
    lines.push(`  ${w.write(work.outs.length === 1 ? "y" : `y${i}`, out)("i", exprText(w, expr, ""))}`);
  });
  return w.finish(`${lines.join("\n")}\n}`, [up(product(work.shape), 256)], op.origin, printShape(work.shape));
}

interface Axis {
  readonly size: Dim;
  /** The axis of the map whose strides are those of the merged one. */
  readonly at: number;
}

/** Axes of size 1 left out, neighbours joined where all operands walk through both as through one. */
function mergedAxes(work: MapWork): Axis[] {
  const axes: Axis[] = [];
  work.shape.forEach((size, at) => {
    if (constantOf(size) === 1) return;
    const last = axes.at(-1);
    const joins = last !== undefined && work.loads.every((l) => equal(strideOf(l, last.at), mul(strideOf(l, at), size)));
    if (joins) axes[axes.length - 1] = { size: mul(last.size, size), at };
    else axes.push({ size, at });
  });
  return axes;
}

function strideOf(l: View, at: number): Dim {
  const s = l.strides[at];
  if (s === undefined) throw new IrError("wgsl target: a view has a stride for each axis.");
  return s;
}

/** Lines that take the thread's number apart; nothing where one axis is left. */
function coordinates(w: KernelWriter, axes: readonly Axis[]): string[] {
  if (axes.length < 2) return [];
  const lines: string[] = [];
  let rest = "i";
  for (let a = axes.length - 1; a > 0; a--) {
    const size = axes[a]?.size;
    if (size === undefined) continue;
    const d = w.size(`d${a}`, size);
    lines.push(`  let c${a} = ${rest} % ${d};`, `  let r${a} = ${rest} / ${d};`);
    rest = `r${a}`;
  }
  return [...lines, `  let c0 = ${rest};`];
}

function address(w: KernelWriter, axes: readonly Axis[], load: View, slot: number): string {
  if (isPlain(load)) return "i";
  const terms = axes.flatMap(({ at }, a) => {
    const stride = strideOf(load, at);
    if (constantOf(stride) === 0) return [];
    const c = axes.length < 2 ? "i" : `c${a}`;
    return constantOf(stride) === 1 ? [c] : [`${c} * ${w.size(`s${slot}_${a}`, stride)}`];
  });
  if (constantOf(load.offset) !== 0) terms.unshift(w.size(`o${slot}`, load.offset));
  return terms.join(" + ") || "0u";
}

/** The text of an expression; loads are `v0`, `v1`, ... with a prefix. */
export function exprText(w: KernelWriter, e: Expr, prefix: string): string {
  switch (e.kind) {
    case "load": return `${prefix}v${e.slot}`;
    case "acc": return "acc";
    case "number": return literal(e.value);
    case "ratio": return `(f32(${w.size("num", e.num)}) / f32(${w.size("den", e.den)}))`;
    case "apply": {
      const args = e.args.map((a) => exprText(w, a, prefix));
      return e.text.replace(/\$(\d)/g, (_, i: string) => args[Number(i)] ?? "");
    }
  }
}

/**
 * Lines that finish one element: `i` is its place in the result, `col` its column, `acc` what was computed. Without an
 * epilogue `acc` is stored.
 */
export function finishLines(w: KernelWriter, epilogue: MapWork | undefined, out: MapWork["outs"][number], n: Dim, indent: string): string[] {
  if (epilogue === undefined) return [`${indent}${w.write("y", out)("i", "acc")}`];
  const loads = epilogue.loads.map((l, slot) => {
    const kind = loadKind(l, n);
    return `${indent}let v${slot} = ${w.read(`e${slot}`, l.tensor)(kind === "element" ? "i" : kind === "column" ? "col" : "0u")};`;
  });
  const stores = epilogue.outs.map((t, i) => {
    const expr = epilogue.exprs[i];
    if (expr === undefined) throw new IrError("wgsl target: an epilogue has as many expressions as results.");
    return `${indent}${w.write(epilogue.outs.length === 1 ? "y" : `y${i}`, t)("i", exprText(w, expr, ""))}`;
  });
  return [...loads, ...stores];
}

/** The same for four columns of a row at once: `accs` is a vec4, and `i` a multiple of 4. */
export function finishQuad(w: KernelWriter, epilogue: MapWork | undefined, out: MapWork["outs"][number], n: Dim, indent: string): string[] {
  if (epilogue === undefined) return [`${indent}${w.write("y", out, 4).quad("i", "accs")}`];
  const kinds = epilogue.loads.map((l) => loadKind(l, n));
  const loads = epilogue.loads.map((l, slot) => (kinds[slot] === "one"
    ? `${indent}let v${slot} = ${w.read(`e${slot}`, l.tensor)("0u")};`
    : `${indent}let four${slot} = ${w.read(`e${slot}`, l.tensor, 4).quad(kinds[slot] === "element" ? "i" : "col")};`));
  const results = epilogue.outs.map((_, i) => `${indent}var result${i}: vec4<f32>;`);
  const lanes = [0, 1, 2, 3].flatMap((lane) => [
    `${indent}{`,
    `${indent}  let acc = accs[${lane}];`,
    ...kinds.flatMap((kind, slot) => (kind === "one" ? [] : [`${indent}  let v${slot} = four${slot}[${lane}];`])),
    ...epilogue.exprs.map((e, i) => `${indent}  result${i}[${lane}] = ${exprText(w, e, "")};`),
    `${indent}}`,
  ]);
  const stores = epilogue.outs.map((t, i) => `${indent}${w.write(epilogue.outs.length === 1 ? "y" : `y${i}`, t, 4).quad("i", `result${i}`)}`);
  return [...loads, ...results, ...lanes, ...stores];
}
