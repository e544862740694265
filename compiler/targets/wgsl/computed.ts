/**
 * Which tensors are never stored, because the one operation that reads them can make each element itself.
 *
 * Owns the choice; the texts are in `kernels/elements.ts`. Elementwise work, gathers, paddings and concatenations qualify,
 * where the reader takes every element at most once (or the element is cheap) and all operands fit its bindings. So the
 * assembly of a predictor's sequence from tokens, mask queries and position codes is one kernel, and padding on the way
 * back costs none. Operands must live until the reader: it stands near, or they live through the whole step anyway.
 */
import { constantOf } from "../../types/dim.js";
import type { Computed, MapWork, Op, Tensor, View, Work } from "./graph.js";
import { operandsOf, readsOf, writesOf } from "./graph.js";
import { isPlain } from "./build.js";
import { MAX_BUFFERS } from "./kernel.js";

/** Operations between a maker and its reader. */
const NEAR = 8;

/** The operations with what can be computed in its reader taken into it. */
export function computeInReaders(given: readonly Op[], keep: (t: Tensor) => boolean): Op[] {
  const ops: (Op | undefined)[] = [...given];
  const makers = new Map<Tensor, number>();
  const readers = new Map<Tensor, number>();
  given.forEach(({ work }, i) => {
    for (const t of new Set(operandsOf(work))) readers.set(t, (readers.get(t) ?? 0) + 1);
    if (isComputable(work)) for (const t of writesOf(work)) makers.set(t, i);
  });
  given.forEach((_, i) => {
    const op = ops[i];
    if (op === undefined) return;
    let { work } = op;
    for (const t of new Set(byElement(work))) {
      const from = makers.get(t);
      const maker = from === undefined ? undefined : ops[from]?.work;
      if (from === undefined || maker === undefined || !isComputable(maker) || (work.kind === "norm" && !onlyMoves(maker)) || t.dtype !== "f32" || keep(t) || readers.get(t) !== 1) continue;
      if (i - from > NEAR && readsOf(maker).some((x) => x.home.kind === "work" || x.home.kind === "grad")) continue;
      const next = replaced(work, t, { ...t, computed: maker });
      if (operandsOf(next).includes(t) || new Set([...readsOf(next), ...writesOf(next)]).size > MAX_BUFFERS) continue;
      work = next;
      ops[from] = undefined;
    }
    ops[i] = { ...op, work };
  });
  return ops.filter((op) => op !== undefined);
}

function isComputable(work: Work): work is Computed {
  return work.kind === "gather" || work.kind === "pad" || work.kind === "concat" || (work.kind === "map" && work.outs.length === 1 && work.loads.length > 0);
}

/** Work that only moves elements: a reader may ask for one several times. */
function onlyMoves(work: Computed): boolean {
  return work.kind !== "map" || work.exprs.every((e) => e.kind === "load");
}

/** Operands that an operation reads an element at a time: each element once, or by a norm a few times. */
function byElement(work: Work): Tensor[] {
  const plain = (m: MapWork | undefined): Tensor[] => (m?.loads ?? []).filter(isPlain).map((l) => l.tensor);
  switch (work.kind) {
    case "map": {
      const often = new Set(work.loads.filter((l) => !takesEachOnce(l)).map((l) => l.tensor));
      return work.loads.map((l) => l.tensor).filter((t) => !often.has(t) && work.loads.filter((l) => l.tensor === t).length === 1);
    }
    case "gemm": return plain(work.epilogue).filter((t) => t !== work.a && t !== work.b);
    case "norm_grad": return [...plain(work.epilogue), work.dy].filter((t) => t !== work.y);
    case "reduce": case "gather": case "pad": case "norm": return [work.x];
    case "concat": return work.parts.map((p) => p.x);
    case "scatter": return [work.dy];
    case "smooth_l1_mean": return work.target === undefined ? [work.a, work.b] : [work.a];
    default: return [];
  }
}

function takesEachOnce(l: View): boolean {
  return l.strides.every((s, i) => constantOf(s) !== 0 || constantOf(l.shape[i] ?? s) === 1);
}

/** The work with `by` in place of an operand. */
function replaced(work: Work, t: Tensor, by: Tensor): Work {
  const f = (x: Tensor): Tensor => (x === t ? by : x);
  const map = <M extends MapWork>(m: M): M => ({ ...m, loads: m.loads.map((l) => ({ ...l, tensor: f(l.tensor) })) });
  const epilogue = (m: MapWork | undefined): MapWork | undefined => (m === undefined ? undefined : map(m));
  switch (work.kind) {
    case "map": return map(work);
    case "gemm": return { ...work, epilogue: epilogue(work.epilogue) };
    case "norm_grad": return { ...work, dy: f(work.dy), epilogue: epilogue(work.epilogue) };
    case "reduce": case "gather": case "pad": case "norm": return { ...work, x: f(work.x) };
    case "concat": return { ...work, parts: work.parts.map((p) => ({ ...p, x: f(p.x) })) };
    case "scatter": return { ...work, dy: f(work.dy) };
    case "smooth_l1_mean": return { ...work, a: f(work.a), b: f(work.b) };
    default: return work;
  }
}
