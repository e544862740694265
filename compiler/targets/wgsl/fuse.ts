/**
 * Fusion on the flat graph: fewer dispatches, less memory traffic.
 *
 * Six rules. A map that one other map alone reads moves into it (chains of elementwise work, and copies that the reader
 * can address through), and one that reads nothing into every map that reads it. A map that alone reads a matrix product or
 * a norm's gradient, element by element, becomes its epilogue (bias, GELU with its slope, residual, product with a slope).
 * Column sums of what a weight gradient reads anyway are made beside it, and so are the gradients of a norm's scale and
 * offset beside that of its input. A loss normalizes and picks the rows of its target itself. What a reader can make by the
 * element is not stored (`computed.ts`). Each rule keeps every value up to rounding, and none changes an order of summation
 * between runs.
 */
import type { Dim } from "../../types/dim.js";
import { constantOf, equal, equalShapes } from "../../types/dim.js";
import { isPlain, stridesOf, viewOf } from "./build.js";
import { computeInReaders } from "./computed.js";
import type { Expr, MapWork, Op, Tensor, View, Work } from "./graph.js";
import { readsOf, writesOf } from "./graph.js";
import { MAX_BUFFERS } from "./kernel.js";
import type { Traced } from "./trace.js";

/** Applies the rules. */
export function fuse(traced: Traced): Traced {
  const pinned = new Set<Tensor>([...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor));
  if (traced.result !== undefined) pinned.add(traced.result);
  const keep = (t: Tensor): boolean => pinned.has(t) || t.home.kind !== "work";
  let ops = biasSums(traced.graph.ops);
  ops = withoutUnread(ops, keep);
  ops = joinMaps(ops, keep);
  ops = epilogues(ops, keep);
  ops = normSums(ops);
  ops = targetRows(ops, keep);
  ops = computeInReaders(ops, keep);
  return { ...traced, graph: { ...traced.graph, ops } };
}

/** Operations that read each tensor. */
function readers(ops: readonly (Op | undefined)[]): Map<Tensor, number[]> {
  const out = new Map<Tensor, number[]>();
  ops.forEach((op, i) => {
    for (const t of new Set(op === undefined ? [] : readsOf(op.work))) out.set(t, [...(out.get(t) ?? []), i]);
  });
  return out;
}

function biasSums(given: readonly Op[]): Op[] {
  const ops: (Op | undefined)[] = [...given];
  const read = readers(ops);
  ops.forEach((op, i) => {
    const work = op?.work;
    if (op === undefined || work?.kind !== "gemm_tn_sums" || work.sums !== undefined) return;
    const at = (read.get(work.b) ?? []).find((j) => {
      const other = ops[j]?.work;
      return other?.kind === "reduce" && other.how === "sum" && other.x === work.b && constantOf(other.outer) === 1 && equal(other.inner, work.n) && equal(other.red, work.k)
        && (j > i || (read.get(other.out) ?? []).every((r) => r > i));
    });
    const other = at === undefined ? undefined : ops[at]?.work;
    if (at === undefined || other?.kind !== "reduce") return;
    ops[i] = { ...op, work: { ...work, sums: other.out } };
    ops[at] = undefined;
  });
  return ops.filter((op) => op !== undefined);
}

/** Results of maps and epilogues that nobody reads are not made. */
export function withoutUnread(ops: readonly Op[], keep: (t: Tensor) => boolean): Op[] {
  const read = readers(ops);
  const live = <M extends MapWork>(map: M): M => {
    const kept = map.outs.map((t) => keep(t) || read.has(t));
    return map.outs.length < 2 || !kept.includes(true) ? map : { ...map, outs: map.outs.filter((_, i) => kept[i]), exprs: map.exprs.filter((_, i) => kept[i]) };
  };
  return ops.map((op) => {
    const { work } = op;
    if (work.kind === "map") return { ...op, work: live(work) };
    if ((work.kind === "gemm" || work.kind === "norm_grad") && work.epilogue !== undefined) return { ...op, work: { ...work, epilogue: live(work.epilogue) } };
    return op;
  });
}

function joinMaps(given: readonly Op[], keep: (t: Tensor) => boolean): Op[] {
  const ops: (Op | undefined)[] = [...given];
  const read = readers(ops);
  const maker = new Map<Tensor, number>();
  ops.forEach((op, i) => {
    if (op?.work.kind === "map" && op.work.outs.length === 1) for (const t of op.work.outs) maker.set(t, i);
  });
  const waiting = new Map<Tensor, number>();
  ops.forEach((op, i) => {
    if (op?.work.kind !== "map") return;
    let work: MapWork = op.work;
    for (const t of new Set(op.work.loads.map((l) => l.tensor))) {
      const from = maker.get(t);
      const inner = from === undefined ? undefined : ops[from]?.work;
      const left = waiting.get(t) ?? (read.get(t) ?? []).length;
      // What reads nothing is written into each of its readers.
      if (from === undefined || inner?.kind !== "map" || keep(t) || (inner.loads.length > 0 && left !== 1)) continue;
      const joined = inlined(work, inner, t);
      if (joined === undefined) continue;
      work = joined;
      waiting.set(t, left - 1);
      if (left === 1) ops[from] = undefined;
    }
    ops[i] = { ...op, work: { ...work, kind: "map" } };
  });
  return ops.filter((op) => op !== undefined);
}

/** `outer` with `inner`'s expression for the tensor `t`; undefined where views or the number of buffers do not allow it. */
function inlined(outer: MapWork, inner: MapWork, t: Tensor): MapWork | undefined {
  const expr = inner.exprs[0];
  // What reads nothing is the same at every place, however it is looked at.
  if (expr === undefined || (inner.loads.length > 0 && !outer.loads.every((l) => l.tensor !== t || isPlain(l)))) return undefined;
  const views = equalShapes(inner.shape, outer.shape) ? inner.loads : inner.loads.every(isPlain) ? inner.loads.map((l) => viewOf(l.tensor, outer.shape)) : undefined;
  if (views === undefined) return undefined;
  const kept = outer.loads.filter((l) => l.tensor !== t);
  const loads = [...kept, ...views];
  if (new Set(loads.map((l) => l.tensor)).size + outer.outs.length > MAX_BUFFERS) return undefined;
  const moved = rewrite(expr, (slot) => ({ kind: "load", slot: kept.length + slot }));
  let next = 0;
  const slots = outer.loads.map((l): Expr => (l.tensor === t ? moved : { kind: "load", slot: next++ }));
  return { ...outer, loads, exprs: outer.exprs.map((e) => rewrite(e, (slot) => slots[slot] ?? { kind: "load", slot })) };
}

function rewrite(e: Expr, load: (slot: number) => Expr): Expr {
  if (e.kind === "load") return load(e.slot);
  return e.kind === "apply" ? { ...e, args: e.args.map((a) => rewrite(a, load)) } : e;
}

function epilogues(given: readonly Op[], keep: (t: Tensor) => boolean): Op[] {
  const ops: (Op | undefined)[] = [...given];
  const read = readers(ops);
  ops.forEach((op, i) => {
    const work = op?.work;
    if (op === undefined || (work?.kind !== "gemm" && work?.kind !== "norm_grad") || work.epilogue !== undefined || keep(work.out)) return;
    const [at, ...more] = read.get(work.out) ?? [];
    const reader = at === undefined ? undefined : ops[at];
    if (at === undefined || reader === undefined || more.length > 0 || reader.work.kind !== "map") return;
    const epilogue = asEpilogue(work, reader.work);
    if (epilogue === undefined) return;
    ops[at] = { ...reader, origin: op.origin ?? reader.origin, work: { ...work, epilogue } };
    ops[i] = undefined;
  });
  return ops.filter((op) => op !== undefined);
}

function asEpilogue(anchor: Extract<Work, { kind: "gemm" | "norm_grad" }>, map: MapWork): MapWork | undefined {
  const { out } = anchor;
  const n = anchor.kind === "gemm" ? anchor.n : lastOf(out.shape);
  const others = map.loads.filter((l) => l.tensor !== out);
  const own = map.loads.filter((l) => l.tensor === out);
  if (!own.every(isPlain) || !others.every((l) => loadKind(l, n) !== undefined)) return undefined;
  const operands = readsOf({ ...anchor, epilogue: undefined });
  if (new Set([...operands, ...others.map((l) => l.tensor)]).size + map.outs.length > MAX_BUFFERS) return undefined;
  let next = 0;
  const slots = map.loads.map((l): Expr => (l.tensor === out ? { kind: "acc", result: 0 } : { kind: "load", slot: next++ }));
  return { ...map, loads: others, exprs: map.exprs.map((e) => rewrite(e, (slot) => slots[slot] ?? { kind: "load", slot })) };
}

/** The widest row that the kernel of both keeps in registers. */
const WIDEST = 2048;

/** Gradients of a norm's scale and offset are made where the gradient of its input is: both read the same rows. */
function normSums(given: readonly Op[]): Op[] {
  const ops: (Op | undefined)[] = [...given];
  const read = readers(ops);
  ops.forEach((op, i) => {
    const work = op?.work;
    if (work?.kind !== "norm_grad_affine" || (constantOf(work.width) ?? WIDEST + 1) > WIDEST) return;
    const { dscale, doffset } = work;
    const at = (read.get(work.dout) ?? []).find((j) => {
      const other = ops[j]?.work;
      return other?.kind === "norm_grad" && other.affine === undefined && other.y === work.y && other.dy === work.dout && j > i
        && [dscale, doffset].every((t) => (read.get(t) ?? []).every((r) => r > j));
    });
    const other = at === undefined ? undefined : ops[at];
    if (at === undefined || other?.work.kind !== "norm_grad") return;
    const fused: Work = { ...other.work, affine: { dscale, doffset } };
    if (new Set([...readsOf(fused), ...writesOf(fused)]).size > MAX_BUFFERS) return;
    ops[at] = { ...other, work: fused };
    ops[i] = undefined;
  });
  return ops.filter((op) => op !== undefined);
}

/** A target that only its loss reads is normalized and picked there, row by row. */
function targetRows(given: readonly Op[], keep: (t: Tensor) => boolean): Op[] {
  const ops: (Op | undefined)[] = [...given];
  const read = readers(ops);
  const maker = new Map(given.flatMap(({ work }, i) => writesOf(work).map((t): [Tensor, number] => [t, i])));
  const makerOf = (t: Tensor): { at: number; work: Work } | undefined => {
    const at = maker.get(t);
    const work = at === undefined ? undefined : ops[at]?.work;
    return at === undefined || work === undefined || keep(t) || (read.get(t) ?? []).length !== 1 ? undefined : { at, work };
  };
  ops.forEach((op, i) => {
    const work = op?.work;
    if (op === undefined || work?.kind !== "smooth_l1_mean" || work.a === work.b) return;
    const last = makerOf(work.b);
    const pick = last?.work.kind === "gather" ? last.work : undefined;
    const norm = pick === undefined ? last : makerOf(pick.x);
    if (norm?.work.kind !== "norm" || norm.work.affine !== undefined || keep(norm.work.rstd) || read.has(norm.work.rstd)) return;
    ops[i] = { ...op, work: { ...work, b: norm.work.x, target: { eps: norm.work.eps, pick } } };
    ops[norm.at] = undefined;
    if (last !== undefined) ops[last.at] = undefined;
  });
  return ops.filter((op) => op !== undefined);
}

/** How an epilogue addresses an operand: at the element, by the column of `n`, at one place, or over and over from its beginning. */
export function loadKind(l: View, n: Dim): "element" | "column" | "one" | "cycle" | undefined {
  if (isPlain(l)) return "element";
  if (constantOf(l.offset) !== 0) return undefined;
  const moving = l.strides.flatMap((s, i) => (constantOf(s) === 0 || constantOf(l.shape[i] ?? n) === 1 ? [] : [i]));
  if (moving.length === 0) return "one";
  const last = l.shape.length - 1;
  if (moving.length === 1 && moving[0] === last && constantOf(l.strides[last] ?? n) === 1 && equal(lastOf(l.shape), n)) return "column";
  const own = movingAxes(l);
  const wanted = stridesOf(own);
  return equal(lastOf(l.shape), n) && wanted.every((s, i) => equal(l.strides[l.shape.length - own.length + i] ?? n, s)) ? "cycle" : undefined;
}

/** The axes from the first one on along which a view moves. */
export function movingAxes(l: View): readonly Dim[] {
  const first = l.strides.findIndex((s, i) => constantOf(s) !== 0 && constantOf(l.shape[i] ?? s) !== 1);
  return first < 0 ? [] : l.shape.slice(first);
}

function lastOf(shape: readonly Dim[]): Dim {
  const d = shape.at(-1);
  if (d === undefined) throw new RangeError("a row needs an axis");
  return d;
}
