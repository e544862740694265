/**
 * Building the flat graph: tensors, views and the operations that trace and lowering ask for.
 *
 * Owns the arithmetic of views (which reads are plain, which need a copy) and the elementwise operation that everything
 * small is made of. Sizes stay polynomials, so a view that is contiguous is so for every batch and mask.
 */
import type { Span } from "../../base/span.js";
import { IrError } from "../../tensor/ir.js";
import type { Dim } from "../../types/dim.js";
import { add, constantDim, constantOf, equal, equalShapes, mul, product } from "../../types/dim.js";
import type { Expr, Graph, Home, Op, Operand, Splat, Storage, Tensor, View, Work } from "./graph.js";

const zero = constantDim(0);
const one = constantDim(1);

/** Collects a graph. */
export class GraphBuilder implements Graph {
  readonly ops: Op[] = [];
  readonly tensors: Tensor[] = [];
  readonly #named = new Map<string, Tensor>();
  readonly #copies = new Map<Tensor, { readonly of: View; readonly copy: Tensor }[]>();
  /** The source text of what is being lowered. */
  origin: Span | undefined;
  /** The name of the value being lowered, for readers. */
  name: string | undefined;
  /** The iteration and the pass that operations belong to. */
  block: number | undefined;
  backward = false;
  /** Whose parameters the function that is being lowered was given, where they are of one instance. */
  instance: string | undefined;
  /** Iterations so far. */
  blocks = 0;

  /** A new tensor. */
  tensor(dtype: Storage, shape: readonly Dim[], home: Home = { kind: "work" }, name = this.name): Tensor {
    const made: Tensor = { id: this.tensors.length, dtype, shape, home, name };
    this.tensors.push(made);
    return made;
  }

  /** The tensor of a parameter, an input or the loss scale: one for each name. */
  fixed(kind: "param" | "input" | "scaler", name: string, dtype: Storage, shape: readonly Dim[]): Tensor {
    const key = `${kind} ${name}`;
    const known = this.#named.get(key);
    if (known !== undefined) return known;
    const made = this.tensor(dtype, shape, kind === "scaler" ? { kind } : { kind, name }, name);
    this.#named.set(key, made);
    return made;
  }

  push(work: Work): void {
    this.ops.push({ work, origin: this.origin, block: this.block, backward: this.backward, instance: this.instance });
  }

  /** Elementwise work over operands that broadcast to `shape`; one result for each expression that `make` gives. */
  map(shape: readonly Dim[], operands: readonly Operand[], make: (loads: readonly Expr[]) => readonly Expr[], dtype: Storage = "f32"): View[] {
    const loads: View[] = [];
    const exprs = make(operands.map((o): Expr => {
      if (o.kind === "splat") return { kind: "number", value: o.value };
      loads.push(broadcastView(o, shape));
      return { kind: "load", slot: loads.length - 1 };
    }));
    const outs = exprs.map(() => this.tensor(dtype, shape));
    this.push({ kind: "map", shape, loads, exprs, outs });
    return outs.map((t) => viewOf(t));
  }

  /** A tensor with the operand's elements in row-major order from its beginning: the operand's own where it is that already. */
  whole(x: Operand): Tensor {
    if (x.kind === "splat") return this.#copied(x, "f32");
    if (isPlain(x)) return x.tensor;
    // The backward pass wants again what the forward pass has copied.
    const known = this.#copies.get(x.tensor) ?? [];
    const same = known.find(({ of }) => equalShapes(of.shape, x.shape) && equalShapes(of.strides, x.strides) && equal(of.offset, x.offset));
    if (same !== undefined) return same.copy;
    const copy = this.#copied(x, x.tensor.dtype);
    this.#copies.set(x.tensor, [...known, { of: x, copy }]);
    return copy;
  }

  #copied(x: Operand, dtype: Storage): Tensor {
    const [copy] = this.map(x.shape, [x], (loads) => loads, dtype);
    if (copy === undefined) throw new IrError("wgsl target: a copy has one result.");
    return copy.tensor;
  }

  /** The elements in row-major order under another shape. */
  reshaped(x: Operand, shape: readonly Dim[]): Operand {
    if (x.kind === "splat") return { ...x, shape };
    if (isContiguous(x)) return { ...x, shape, strides: stridesOf(shape) };
    const strides = splitStrides(x, shape);
    return strides === undefined ? viewOf(this.whole(x), shape) : { ...x, shape, strides };
  }
}

/** Strides under a shape in which axes of the view are taken apart and none put together, as features are into heads. */
function splitStrides(v: View, shape: readonly Dim[]): Dim[] | undefined {
  const strides: Dim[] = [];
  let next = 0;
  for (const [i, whole] of v.shape.entries()) {
    const first = next;
    let size: Dim = one;
    do size = mul(size, shape[next++] ?? zero); while (next < shape.length && !equal(size, whole));
    if (!equal(size, whole)) return undefined;
    const own = shape.slice(first, next);
    strides.push(...own.map((_, n) => mul(v.strides[i] ?? one, product(own.slice(n + 1)))));
  }
  return next === shape.length ? strides : undefined;
}

/** A tensor as it lies, perhaps under another shape. */
export function viewOf(tensor: Tensor, shape: readonly Dim[] = tensor.shape): View {
  return { kind: "view", tensor, shape, strides: stridesOf(shape), offset: zero };
}

/** A number as a tensor. */
export function splat(value: number, shape: readonly Dim[]): Splat {
  return { kind: "splat", value, shape };
}

/** Row-major strides. */
export function stridesOf(shape: readonly Dim[]): Dim[] {
  return shape.map((_, i) => product(shape.slice(i + 1)));
}

/** Whether the view walks its tensor in order without gaps. */
function isContiguous(v: View): boolean {
  const wanted = stridesOf(v.shape);
  return v.strides.every((s, i) => constantOf(v.shape[i] ?? zero) === 1 || equal(s, wanted[i] ?? zero));
}

/** Whether the view is contiguous from the tensor's beginning. */
export function isPlain(v: View): boolean {
  return constantOf(v.offset) === 0 && isContiguous(v);
}

/** The operand with size-1 and missing axes stretched to `shape`. */
export function broadcastView(v: View, shape: readonly Dim[]): View {
  const missing = shape.length - v.shape.length;
  const strides = shape.map((d, i) => {
    const own = v.shape[i - missing];
    if (own === undefined || (constantOf(own) === 1 && constantOf(d) !== 1)) return zero;
    return v.strides[i - missing] ?? zero;
  });
  return { ...v, shape, strides };
}

/** Part of an axis. */
export function sliceView(x: Operand, axis: number, start: Dim, size: Dim): Operand {
  const shape = x.shape.map((d, i) => (i === axis ? size : d));
  if (x.kind === "splat") return { ...x, shape };
  return { ...x, shape, offset: add(x.offset, mul(start, x.strides[axis] ?? one)) };
}

/** Axes in another order. */
export function transposeView(x: Operand, perm: readonly number[]): Operand {
  const pick = (dims: readonly Dim[]): Dim[] => perm.map((p) => dims[p] ?? one);
  return x.kind === "splat" ? { ...x, shape: pick(x.shape) } : { ...x, shape: pick(x.shape), strides: pick(x.strides) };
}
