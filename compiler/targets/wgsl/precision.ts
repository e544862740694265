/**
 * Which tensors of a step are stored as f16.
 *
 * Owns the choice alone: arithmetic is f32 in every kernel, and accessors (`kernel.ts`) convert where a tensor is stored as
 * f16. The rule follows what published mixed-precision training does (products, attention and what flows between them in
 * f16; statistics, softmax, losses and everything computed from them in f32): a tensor is f16 when it is made by a product,
 * attention, a norm with scale and offset, or movement or elementwise work over such values. What a reduction, a softmax or
 * a loss makes is f32, and so is elementwise work over that, until the next product with a weight. Gradients of parameters,
 * results and watched values are f32. Products read weights from f16 copies of the f32 parameters.
 */
import type { Op, Tensor, Work } from "./graph.js";
import { writesOf } from "./graph.js";
import type { Traced } from "./trace.js";

/** A traced program with storage chosen; `halves` names the parameters that products read as f16 copies. */
export interface Halved {
  readonly traced: Traced;
  readonly halves: ReadonlySet<string>;
}

/** Chooses f16 where it is wanted. Tensors are changed in place; products get the copies as operands. */
export function toHalf(traced: Traced): Halved {
  const pinned = new Set<Tensor>([...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor));
  if (traced.result !== undefined) pinned.add(traced.result);
  const copies = new Map<Tensor, Tensor>();
  const { tensors } = traced.graph;
  const copyOf = (t: Tensor): Tensor => {
    if (t.home.kind !== "param" || t.dtype !== "f32") return t;
    const made: Tensor = copies.get(t) ?? { id: tensors.length, dtype: "f16", shape: t.shape, home: { kind: "half", name: t.home.name }, name: t.name };
    if (!copies.has(t)) tensors.push(made);
    copies.set(t, made);
    return made;
  };
  const ops = traced.graph.ops.map((op): Op => {
    const { work } = op;
    const ready: Work = work.kind === "gemm" ? { ...work, a: copyOf(work.a), b: copyOf(work.b) } : work;
    const half = narrow(ready);
    for (const t of writesOf(ready)) if (half(t) && t.dtype === "f32" && t.home.kind === "work" && !pinned.has(t)) t.dtype = "f16";
    return { ...op, work: ready };
  });
  const halves = new Set([...copies.values()].flatMap((t) => (t.home.kind === "half" ? [t.home.name] : [])));
  return { traced: { ...traced, graph: { ...traced.graph, ops } }, halves };
}

/** Whether a value that is worth f32 would lose by going on as f16. */
function isWide(t: Tensor): boolean {
  if (t.computed !== undefined) return !narrow(t.computed)(t);
  return t.dtype === "f32" && (t.home.kind === "work" || t.home.kind === "grad");
}

const all = (): boolean => true;
const none = (): boolean => false;

/** Which results of an operation may be f16. */
function narrow(work: Work): (t: Tensor) => boolean {
  switch (work.kind) {
    case "gemm": {
      // Of two activations it is a matrix of similarities or a covariance: part of a loss as a rule.
      return work.a.home.kind === "half" || work.b.home.kind === "half" ? all : none;
    }
    case "attention": return (t) => t === work.o;
    case "attention_grad": return all;
    case "norm": {
      const { affine } = work;
      return affine === undefined ? none : (t) => t !== work.rstd;
    }
    case "norm_grad": {
      const { scale, affine } = work;
      return scale === undefined ? none : (t) => t !== affine?.dscale && t !== affine?.doffset;
    }
    case "map": {
      // A map of rank 0 or 1 is small, and as a rule a number of a loss.
      const loads = work.loads.map((l) => l.tensor);
      return work.shape.length < 2 || loads.length === 0 || loads.some((t) => isWide(t) || t.dtype === "i32") ? none : all;
    }
    case "gather": return isWide(work.x) ? none : all;
    case "scatter": return isWide(work.dy) ? none : all;
    case "concat": return work.parts.some((p) => isWide(p.x)) ? none : all;
    case "pad": return isWide(work.x) ? none : all;
    case "gemm_tn_sums": case "reduce": case "rows": case "rows_grad": case "norm_grad_affine": case "iota": case "one_hot": case "smooth_l1_mean": return none;
  }
}
