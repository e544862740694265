/**
 * The text of one element: of elementwise work over views, and of a tensor that is never stored.
 *
 * Axes along which every operand moves alike are merged, so that the usual case is one axis and no division. Strides come
 * from the block of sizes; only whether an operand moves along an axis at all is in the text. A tensor that is never stored
 * is a function of the place, made from the work that would have stored it: a kernel that reads an operand one element at
 * a time calls it, so gathers, paddings, concatenations and elementwise work need neither a dispatch nor memory. Which
 * tensors are read so is decided in `../computed.ts`.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, constantOf, equal, mul } from "../../../types/dim.js";
import { IrError } from "../../../tensor/ir.js";
import { isPlain } from "../build.js";
import type { Computed, Expr, MapWork, Tensor, View } from "../graph.js";
import type { KernelWriter, Reader } from "../kernel.js";
import { isBy4 } from "../kernel.js";
import { literal } from "../lowering.js";

type Of<K extends Computed["kind"]> = Extract<Computed, { kind: K }>;

/** A way to read an operand, stored or not; `name` is for its binding or its function. */
export function readerFor(w: KernelWriter, name: string, t: Tensor, lanes: 1 | 4 = 1): Reader {
  const { computed } = t;
  if (computed === undefined) return w.read(name, t, lanes);
  declareComputed(w, name, computed, lanes);
  const scalar = (at: string): string => `${name}(${at})`;
  const four = (at: string): string => `vec4<f32>(${[0, 1, 2, 3].map((l) => scalar(l === 0 ? at : `${at} + ${l}u`)).join(", ")})`;
  const quad = computed.kind === "gather" && isBy4(computed.width) ? (at: string): string => `${name}_quad(${at})` : four;
  return Object.assign(scalar, { quad });
}

function declareComputed(w: KernelWriter, name: string, work: Computed, lanes: 1 | 4): void {
  switch (work.kind) {
    case "map": return declareMap(w, name, work);
    case "gather": return declareGather(w, name, work, lanes);
    case "pad": return declarePad(w, name, work);
    case "concat": return declareConcat(w, name, work);
  }
}

function declareMap(w: KernelWriter, name: string, work: Of<"map">): void {
  const { lines, values: [value] } = mapLines(w, work, `${name}_`);
  if (value === undefined) throw new IrError("wgsl target: what a reader computes is one value.");
  w.declare([`fn ${name}(i: u32) -> f32 {`, ...lines, `  return ${value};`, "}"].join("\n"));
}

/** Rows by index; the width is that of the rows, so that four elements from a multiple of 4 on lie in one row. */
function declareGather(w: KernelWriter, name: string, work: Of<"gather">, lanes: 1 | 4): void {
  const x = readerFor(w, `${name}_x`, work.x, isBy4(work.width) ? lanes : 1);
  const size = (part: string, d: Dim): string => w.size(`${name}_${part}`, d);
  const width = size("width", work.width);
  w.declare(`fn ${name}_at(i: u32) -> u32 {
  let slot = i / ${width};
  let image = (slot / ${size("length", work.indexLength)}) % ${size("batch", work.batch)};
  return (image * ${size("rows", work.rows)} + u32(${w.read(`${name}_indices`, work.indices)("slot")})) * ${width} + i % ${width};
}`);
  w.declare(`fn ${name}(i: u32) -> f32 { return ${x(`${name}_at(i)`)}; }`);
  if (isBy4(work.width)) w.declare(`fn ${name}_quad(i: u32) -> vec4<f32> { let at = ${name}_at(i); return ${x.quad("at")}; }`);
}

function declarePad(w: KernelWriter, name: string, work: Of<"pad">): void {
  const x = readerFor(w, `${name}_x`, work.x);
  const size = (part: string, d: Dim): string => w.size(`${name}_${part}`, d);
  const inner = size("inner", work.inner);
  const whole = size("whole", add(add(work.before, work.size), work.after));
  const [before, own] = [size("before", work.before), size("size", work.size)];
  w.declare(`fn ${name}(i: u32) -> f32 {
  let rest = i / ${inner};
  let j = rest % ${whole};
  if (j < ${before} || j >= ${before} + ${own}) { return 0f; }
  let at = ((rest / ${whole}) * ${own} + j - ${before}) * ${inner} + i % ${inner};
  return ${x("at")};
}`);
}

function declareConcat(w: KernelWriter, name: string, work: Of<"concat">): void {
  const size = (part: string, d: Dim): string => w.size(`${name}_${part}`, d);
  const whole = size("whole", mul(work.parts.map((p) => p.size).reduce(add, constantDim(0)), work.inner));
  const parts = work.parts.map((part, k) => {
    const [x, piece] = [readerFor(w, `${name}_x${k}`, part.x), size(`piece${k}`, mul(part.size, work.inner))];
    const at = `(i / ${whole}) * ${piece} + j`;
    return k === work.parts.length - 1 ? `  let at = ${at};\n  return ${x("at")};` : `  if (j < ${piece}) { let at = ${at}; return ${x("at")}; }\n  j -= ${piece};`;
  });
  w.declare([`fn ${name}(i: u32) -> f32 {`, `  var j = i % ${whole};`, ...parts, "}"].join("\n"));
}

/** Lines that load what element `i` of a map needs, and the text of each of its values; `prefix` is for names beside others. */
export function mapLines(w: KernelWriter, work: MapWork, prefix: string): { readonly lines: readonly string[]; readonly values: readonly string[] } {
  const axes = mergedAxes(work);
  const loads = work.loads.map((load, slot) => `  let v${slot} = ${readerFor(w, `${prefix}x${slot}`, load.tensor)(address(w, axes, load, prefix, slot))};`);
  return { lines: [...coordinates(w, axes, prefix), ...loads], values: work.exprs.map((e) => exprText(w, e)) };
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
function coordinates(w: KernelWriter, axes: readonly Axis[], prefix: string): string[] {
  if (axes.length < 2) return [];
  const lines: string[] = [];
  let rest = "i";
  for (let a = axes.length - 1; a > 0; a--) {
    const size = axes[a]?.size;
    if (size === undefined) continue;
    const d = w.size(`${prefix}d${a}`, size);
    lines.push(`  let c${a} = ${rest} % ${d};`, `  let r${a} = ${rest} / ${d};`);
    rest = `r${a}`;
  }
  return [...lines, `  let c0 = ${rest};`];
}

function address(w: KernelWriter, axes: readonly Axis[], load: View, prefix: string, slot: number): string {
  if (isPlain(load)) return "i";
  const terms = axes.flatMap(({ at }, a) => {
    const stride = strideOf(load, at);
    if (constantOf(stride) === 0) return [];
    const c = axes.length < 2 ? "i" : `c${a}`;
    return constantOf(stride) === 1 ? [c] : [`${c} * ${w.size(`${prefix}s${slot}_${a}`, stride)}`];
  });
  if (constantOf(load.offset) !== 0) terms.unshift(w.size(`${prefix}o${slot}`, load.offset));
  return terms.join(" + ") || "0u";
}

/** The text of an expression; loads are `v0`, `v1`, ... */
export function exprText(w: KernelWriter, e: Expr): string {
  switch (e.kind) {
    case "load": return `v${e.slot}`;
    case "acc": return "acc";
    case "number": return literal(e.value);
    case "ratio": return `(f32(${w.someSize("num", e.num)}) / f32(${w.someSize("den", e.den)}))`;
    case "apply": {
      const args = e.args.map((a) => exprText(w, a));
      return e.text.replace(/\$(\d)/g, (_, i: string) => args[Number(i)] ?? "");
    }
  }
}
