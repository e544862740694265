/**
 * One matrix product as a module of its own: what a tuner and a benchmark time.
 *
 * Owns the smallest plan that the runtime opens: two operands, a result, the dispatches of the product (two where k is cut
 * into parts), nothing else. The kernels are those of a whole step, without an epilogue.
 */
import type { PlanBuffer, PlanDispatch, PlanRef, WgslModule } from "../../../runtime/abi.js";
import { constantDim, product } from "../../types/dim.js";
import { GraphBuilder } from "./build.js";
import { draftsOf } from "./emit-ops.js";
import type { Tensor, Work } from "./graph.js";
import type { Size } from "./kernel.js";
import { elementBytes } from "./kernel.js";
import type { ChosenTile, GemmShape } from "./kernels/tiles.js";
import { sizeExpr } from "./plan.js";

/** A module, and the number of parts into which it cuts k. */
export interface Product extends WgslModule {
  readonly parts: number;
}

/**
 * Plan and kernels of a product by itself, with a tile or the default one. Operands are the buffers `a` and `b`, the result is
 * `y`: `nn` is a[m, k] b[k, n], `nt` a[m, k] b[n, k], `tn` a[k, m] b[k, n], which is a weight gradient where the batch is 1.
 */
export function productModule(shape: GemmShape, tile?: ChosenTile): Product {
  const { form, batch, m, n, k, kind } = shape;
  const storage = kind === "f32" ? "f32" : "f16";
  const g = new GraphBuilder();
  const [ta, tb] = [form.startsWith("t"), form.endsWith("t")];
  const dims = (...sizes: readonly number[]): ReturnType<typeof constantDim>[] => sizes.map(constantDim);
  const a = g.tensor(storage, dims(batch, ...(ta ? [k, m] : [m, k])), { kind: "work" }, "a");
  const b = g.tensor(storage, dims(batch, ...(tb ? [n, k] : [k, n])), { kind: "work" }, "b");
  const out = g.tensor("f32", dims(batch, m, n), { kind: "work" }, "y");
  const [dm, dn, dk] = [constantDim(m), constantDim(n), constantDim(k)];
  const work: Work = form === "tn" && batch === 1
    ? { kind: "gemm_tn_sums", a, b, m: dm, n: dn, k: dk, out, sums: undefined }
    : { kind: "gemm", a, b, batch: constantDim(batch), m: dm, n: dn, k: dk, ta, tb, bShared: false, out, epilogue: undefined };
  g.push(work);
  const drafts = draftsOf({ graph: g, losses: [], watches: [{ name: "y", tensor: out }], state: [], grads: [], result: undefined }, new Map(), { choose: () => tile });
  const buffers: PlanBuffer[] = [];
  const places = new Map<Tensor, PlanRef>();
  const place = (t: Tensor): PlanRef => {
    const known = places.get(t);
    if (known !== undefined) return known;
    const size = sizeExpr(product(t.shape));
    const bytes = Math.ceil(elementBytes(t.dtype) * (typeof size === "number" ? size : 0) / 4) * 4;
    const ref = { buffer: buffers.length, at: 0, bytes };
    buffers.push({ name: t.name ?? `t${t.id}`, kind: "work", bytes: Math.ceil(bytes / 256) * 256 });
    places.set(t, ref);
    return ref;
  };
  [a, b, out].forEach(place);
  const texts = [...new Set(drafts.map((d) => d.text))];
  const dispatches = drafts.map((d): PlanDispatch => {
    const [x, y, z] = d.groups;
    return {
      kernel: texts.indexOf(d.text), bind: d.binds.map((t) => ("kind" in t ? { buffer: 0, at: 0, bytes: 4 } : place(t))), sizes: d.sizes.map(sizeExpr),
      groups: y === undefined || z === undefined ? [sizeExpr(x)] : [sizeExpr(x), sizeExpr(y), sizeExpr(z)], cost: { bytes: 0 },
    };
  });
  const files = texts.map((_, i) => `product_${i}.wgsl`);
  const drafted = texts.map((text) => drafts.find((d) => d.text === text));
  const forms = drafted.map((d, i) => (d?.forms ?? []).map(({ needs, text }) => ({ file: `product_${i}.${needs}.wgsl`, needs, text })));
  const none = { dispatches: [], outputs: [] };
  return {
    parts: drafts.length === 1 ? 1 : constantSize(drafts[0]?.groups[2]),
    kernels: Object.fromEntries([...texts.map((text, i) => [files[i] ?? "", text]), ...forms.flat().map(({ file, text }) => [file, text])]),
    plan: {
      format: 1, bounds: {}, inputs: [], parameters: [], watches: [], norms: none, update: none, hyper: [], encoders: {}, held: 1,
      kernels: drafted.map((d, i) => ({ name: `product_${i}`, file: files[i] ?? "", writes: d?.writes ?? [], hyper: false, forms: (forms[i] ?? []).map(({ file, needs }) => ({ file, needs })) })),
      ...(storage === "f16" ? { features: ["shader-f16"] } : {}),
      step: { dispatches, outputs: [] }, memory: { total: 0, work: 0, lowerBound: 0 },
      buffers: [...buffers, { name: "sizes", kind: "uniform", bytes: 256 * Math.max(1, dispatches.length) }, { name: "hyper", kind: "uniform", bytes: 16 }],
    },
  };
}

function constantSize(size: Size | undefined): number {
  const value = size === undefined ? 1 : sizeExpr(size);
  return typeof value === "number" ? value : 1;
}
