/**
 * The flat graph: a step program with calls inlined and repeats unrolled, as operations that each become one or a few
 * dispatches.
 *
 * Owns the types between `trace.ts` (which fills the graph), `fuse.ts` (which joins operations) and `emit-ops.ts` (which
 * makes dispatches of them). Tensors are contiguous and made once; a `View` reads one with strides, so that slices,
 * transposes and broadcasts cost nothing where a kernel can address through them. Unrolling happens only here, at plan
 * level: equal blocks share their kernels and differ in buffer offsets.
 */
import type { Span } from "../../base/span.js";
import type { Dim } from "../../types/dim.js";
import type { DType } from "../../tensor/ops.js";

/** Where a tensor lives. Only `work` tensors are placed by liveness; the others have a place of their own. */
export type Home =
  | { readonly kind: "work" }
  | { readonly kind: "param" | "grad"; readonly name: string }
  /** The f16 copy of a parameter. */
  | { readonly kind: "half"; readonly name: string }
  | { readonly kind: "input"; readonly name: string }
  /** The state of the loss scale: see `kernels/scaler.ts`. */
  | { readonly kind: "scaler" };

/** What a tensor is stored as; arithmetic is f32 whatever it is. */
export type Storage = DType | "f16";

/** A contiguous tensor. `home` is decided late for gradients and `dtype` by `precision.ts`, hence mutable. */
export interface Tensor {
  readonly id: number;
  dtype: Storage;
  readonly shape: readonly Dim[];
  home: Home;
  readonly name: string | undefined;
  /** How readers make its elements: it is never stored. `computed.ts` decides. */
  readonly computed?: Computed;
}

/** A way to read a tensor: element `c` lies at `offset + Σ c_i * strides_i`. */
export interface View {
  readonly kind: "view";
  readonly tensor: Tensor;
  readonly shape: readonly Dim[];
  readonly strides: readonly Dim[];
  readonly offset: Dim;
}

/** The same number everywhere. */
export interface Splat {
  readonly kind: "splat";
  readonly value: number;
  readonly shape: readonly Dim[];
}

/** What an elementwise computation reads. */
export type Operand = View | Splat;

/** A scalar expression of one element; `apply.text` has `$0`, `$1` for its arguments. */
export type Expr =
  | { readonly kind: "load"; readonly slot: number }
  | { readonly kind: "acc"; readonly result: number }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "ratio"; readonly num: Dim; readonly den: Dim }
  | { readonly kind: "apply"; readonly text: string; readonly args: readonly Expr[] };

/** Elementwise work: `outs[i] = exprs[i]` at every element of `shape`. */
export interface MapWork {
  readonly shape: readonly Dim[];
  readonly loads: readonly View[];
  readonly exprs: readonly Expr[];
  readonly outs: readonly Tensor[];
}

/** What an operation does. Operands of all but `map` are contiguous and start at their tensor's beginning. */
export type Work =
  | ({ readonly kind: "map" } & MapWork)
  | {
    readonly kind: "gemm"; readonly a: Tensor; readonly b: Tensor; readonly batch: Dim; readonly m: Dim; readonly n: Dim; readonly k: Dim;
    readonly ta: boolean; readonly tb: boolean; readonly bShared: boolean; readonly out: Tensor; readonly epilogue: MapWork | undefined;
  }
  | { readonly kind: "gemm_tn_sums"; readonly a: Tensor; readonly b: Tensor; readonly m: Dim; readonly n: Dim; readonly k: Dim; readonly out: Tensor; readonly sums: Tensor | undefined }
  | { readonly kind: "reduce"; readonly how: "sum" | "mean" | "max"; readonly x: Tensor; readonly outer: Dim; readonly red: Dim; readonly inner: Dim; readonly out: Tensor }
  | { readonly kind: "rows"; readonly how: "softmax" | "log_softmax"; readonly x: Tensor; readonly out: Tensor }
  | { readonly kind: "rows_grad"; readonly how: "softmax" | "log_softmax"; readonly y: Tensor; readonly dy: Tensor; readonly out: Tensor }
  | { readonly kind: "norm"; readonly x: Tensor; readonly affine: { readonly scale: Tensor; readonly offset: Tensor; readonly out: Tensor } | undefined; readonly y: Tensor; readonly rstd: Tensor; readonly eps: number }
  | { readonly kind: "norm_grad"; readonly y: Tensor; readonly rstd: Tensor; readonly scale: Tensor | undefined; readonly dy: Tensor; readonly out: Tensor; readonly affine: NormSums | undefined; readonly epilogue: MapWork | undefined }
  | { readonly kind: "norm_grad_affine"; readonly rows: Dim; readonly width: Dim; readonly y: Tensor; readonly dout: Tensor; readonly dscale: Tensor; readonly doffset: Tensor }
  | { readonly kind: "attention"; readonly q: Part; readonly k: Part; readonly v: Part; readonly heads: number; readonly block: number | undefined; readonly sizes: AttentionSizes; readonly o: Tensor; readonly lse: Tensor }
  | { readonly kind: "attention_grad"; readonly q: Part; readonly k: Part; readonly v: Part; readonly heads: number; readonly block: number | undefined; readonly sizes: AttentionSizes; readonly o: Tensor; readonly lse: Tensor; readonly dO: Tensor; readonly dq: Part; readonly dk: Part; readonly dv: Part }
  | ({ readonly kind: "gather"; readonly x: Tensor } & IndexWork)
  | ({ readonly kind: "scatter"; readonly dy: Tensor } & IndexWork)
  | { readonly kind: "concat"; readonly parts: readonly { readonly x: Tensor; readonly size: Dim }[]; readonly outer: Dim; readonly inner: Dim; readonly out: Tensor }
  | { readonly kind: "pad"; readonly x: Tensor; readonly outer: Dim; readonly size: Dim; readonly inner: Dim; readonly before: Dim; readonly after: Dim; readonly out: Tensor }
  | { readonly kind: "iota"; readonly out: Tensor }
  | { readonly kind: "one_hot"; readonly x: Tensor; readonly size: Dim; readonly out: Tensor }
  | { readonly kind: "smooth_l1_mean"; readonly a: Tensor; readonly b: Tensor; readonly beta: number; readonly target: TargetRows | undefined; readonly loss: Tensor; readonly slope: Tensor };

/** How rows of a target are made of what a loss reads: each normalized, then picked by index. */
export interface TargetRows {
  readonly eps: number;
  readonly pick: Omit<IndexWork, "out"> | undefined;
}

/** Gradients of a norm's scale and offset, made beside that of its input. */
export interface NormSums {
  readonly dscale: Tensor;
  readonly doffset: Tensor;
}

/**
 * Rows by index: indices are `[indexRows, indexLength]`, and index row `r` names rows of image `r mod batch` of
 * `[batch, rows, width]` (a table is one image).
 */
export interface IndexWork {
  readonly indices: Tensor;
  readonly indexRows: Dim;
  readonly indexLength: Dim;
  readonly batch: Dim;
  readonly rows: Dim;
  readonly width: Dim;
  readonly out: Tensor;
}

/** Images, queries and keys per image, and the width of all heads together. */
export interface AttentionSizes {
  readonly batch: Dim;
  readonly rows: Dim;
  readonly keys: Dim;
  readonly width: Dim;
}

/** A matrix per image within a wider row: rows of `width` elements, of which this part starts at `at`. */
export interface Part {
  readonly tensor: Tensor;
  readonly width: Dim;
  readonly at: Dim;
}

/** Work whose result a reader can make an element at a time. */
export type Computed = Extract<Work, { kind: "map" | "gather" | "pad" | "concat" }>;

/** An operation with the source text it serves. */
export interface Op {
  readonly work: Work;
  readonly origin: Span | undefined;
  /** The iteration of an outermost repeat of the forward pass that it belongs to, counted over all repeats. */
  readonly block?: number | undefined;
  /** It belongs to the backward pass. */
  readonly backward?: boolean | undefined;
  /** The instance of the program whose parameters the function around it was given. */
  readonly instance?: string | undefined;
}

/** A graph in order of execution. */
export interface Graph {
  readonly ops: Op[];
  readonly tensors: Tensor[];
}

/** Tensors that an operation reads from memory. */
export function readsOf(work: Work): Tensor[] {
  return operandsOf(work).flatMap((t) => (t.computed === undefined ? [t] : readsOf(t.computed)));
}

/** The instance that a parameter belongs to: `student` of `student.blocks.0.norm1.scale`. */
export function instanceOf({ home }: Tensor): string | undefined {
  return home.kind === "param" || home.kind === "half" || home.kind === "grad" ? home.name.split(".")[0] : undefined;
}

/** Instances that an operation works for: those whose parameters it reads or makes gradients of, else that of its function. */
export function instancesOf(op: Op): string[] {
  const own = new Set([...readsOf(op.work), ...writesOf(op.work)].flatMap((t) => instanceOf(t) ?? []));
  return own.size > 0 ? [...own] : op.instance === undefined ? [] : [op.instance];
}

/** Operands of an operation, stored or not. */
export function operandsOf(work: Work): Tensor[] {
  const epilogue = (e: MapWork | undefined): Tensor[] => e?.loads.map((l) => l.tensor) ?? [];
  switch (work.kind) {
    case "map": return work.loads.map((l) => l.tensor);
    case "gemm": return [work.a, work.b, ...epilogue(work.epilogue)];
    case "gemm_tn_sums": return [work.a, work.b];
    case "reduce": case "rows": case "one_hot": case "pad": return [work.x];
    case "rows_grad": return [work.y, work.dy];
    case "norm": return [work.x, ...(work.affine === undefined ? [] : [work.affine.scale, work.affine.offset])];
    case "norm_grad": return [work.y, work.rstd, work.dy, ...(work.scale === undefined ? [] : [work.scale]), ...epilogue(work.epilogue)];
    case "norm_grad_affine": return [work.y, work.dout];
    case "attention": return [work.q.tensor, work.k.tensor, work.v.tensor];
    case "attention_grad": return [work.q.tensor, work.k.tensor, work.v.tensor, work.o, work.lse, work.dO];
    case "gather": return [work.x, work.indices];
    case "scatter": return [work.dy, work.indices];
    case "concat": return work.parts.map((p) => p.x);
    case "iota": return [];
    case "smooth_l1_mean": return [work.a, work.b, ...(work.target?.pick === undefined ? [] : [work.target.pick.indices])];
  }
}

/** Tensors that an operation makes. */
export function writesOf(work: Work): Tensor[] {
  switch (work.kind) {
    case "map": return [...work.outs];
    case "gemm": return work.epilogue === undefined ? [work.out] : [...work.epilogue.outs];
    case "norm_grad": return [...(work.epilogue === undefined ? [work.out] : work.epilogue.outs), ...(work.affine === undefined ? [] : [work.affine.dscale, work.affine.doffset])];
    case "gemm_tn_sums": return [work.out, ...(work.sums === undefined ? [] : [work.sums])];
    case "norm": return [work.y, work.rstd, ...(work.affine === undefined ? [] : [work.affine.out])];
    case "norm_grad_affine": return [work.dscale, work.doffset];
    case "attention": return [work.o, work.lse];
    case "attention_grad": return [...new Set([work.dq.tensor, work.dk.tensor, work.dv.tensor])];
    case "smooth_l1_mean": return [work.loss, work.slope];
    default: return [work.out];
  }
}

/** The same work on other stored tensors. */
export function withTensors<W extends Work>(work: W, f: (t: Tensor) => Tensor): W;
export function withTensors(work: Work, stored: (t: Tensor) => Tensor): Work {
  const f = (t: Tensor): Tensor => (t.computed === undefined ? stored(t) : { ...t, computed: withTensors(t.computed, stored) });
  const map = <M extends MapWork>(m: M): M => ({ ...m, loads: m.loads.map((l) => ({ ...l, tensor: f(l.tensor) })), outs: m.outs.map(f) });
  const part = (p: Part): Part => ({ ...p, tensor: f(p.tensor) });
  const epilogue = (e: MapWork | undefined): MapWork | undefined => (e === undefined ? undefined : map(e));
  const sums = (s: NormSums | undefined): NormSums | undefined => (s === undefined ? undefined : { dscale: f(s.dscale), doffset: f(s.doffset) });
  switch (work.kind) {
    case "map": return map(work);
    case "gemm": return { ...work, a: f(work.a), b: f(work.b), out: f(work.out), epilogue: epilogue(work.epilogue) };
    case "gemm_tn_sums": return { ...work, a: f(work.a), b: f(work.b), out: f(work.out), sums: work.sums === undefined ? undefined : f(work.sums) };
    case "reduce": case "rows": case "one_hot": case "pad": return { ...work, x: f(work.x), out: f(work.out) };
    case "rows_grad": return { ...work, y: f(work.y), dy: f(work.dy), out: f(work.out) };
    case "norm": {
      const { affine } = work;
      return { ...work, x: f(work.x), y: f(work.y), rstd: f(work.rstd), affine: affine === undefined ? undefined : { scale: f(affine.scale), offset: f(affine.offset), out: f(affine.out) } };
    }
    case "norm_grad": return { ...work, y: f(work.y), rstd: f(work.rstd), dy: f(work.dy), out: f(work.out), scale: work.scale === undefined ? undefined : f(work.scale), affine: sums(work.affine), epilogue: epilogue(work.epilogue) };
    case "norm_grad_affine": return { ...work, y: f(work.y), dout: f(work.dout), dscale: f(work.dscale), doffset: f(work.doffset) };
    case "attention": return { ...work, q: part(work.q), k: part(work.k), v: part(work.v), o: f(work.o), lse: f(work.lse) };
    case "attention_grad": return { ...work, q: part(work.q), k: part(work.k), v: part(work.v), o: f(work.o), lse: f(work.lse), dO: f(work.dO), dq: part(work.dq), dk: part(work.dk), dv: part(work.dv) };
    case "gather": return { ...work, x: f(work.x), indices: f(work.indices), out: f(work.out) };
    case "scatter": return { ...work, dy: f(work.dy), indices: f(work.indices), out: f(work.out) };
    case "concat": return { ...work, parts: work.parts.map((p) => ({ ...p, x: f(p.x) })), out: f(work.out) };
    case "iota": return { ...work, out: f(work.out) };
    case "smooth_l1_mean": {
      const { target } = work;
      const pick = target?.pick === undefined ? undefined : { ...target.pick, indices: f(target.pick.indices) };
      return { ...work, a: f(work.a), b: f(work.b), target: target === undefined ? undefined : { ...target, pick }, loss: f(work.loss), slope: f(work.slope) };
    }
  }
}
