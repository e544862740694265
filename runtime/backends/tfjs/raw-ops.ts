/**
 * TensorFlow ops by name, as functions: the thin layer between the raw kernels and the native binding.
 *
 * tfjs's own wrappers check, convert, record for gradients and look kernels up; calling the binding costs 9 us instead of
 * 15 per op, and reaches ops and attributes that tfjs does not expose (adjoint flags, BiasAddGrad, resource updates).
 * Attribute lists are made once. Small int32 arguments (shapes, axes, permutations) are tensors to TensorFlow: they are
 * cached, because making one costs as much as a small op; the cache is emptied by `dispose`.
 */
import type { NodeBackend, OpAttr, Tensor, Tf } from "./tf.js";

/** Ops of the native engine that the kernels use. All float32 unless the name says otherwise. */
export type RawOps = ReturnType<typeof rawOps>;

/** Binds the ops to a backend. */
export function rawOps(tf: Tf, node: NodeBackend) {
  const enumOf = (name: string): number => Number(node.binding[name]);
  const attr = (name: string, kind: string, value: unknown): OpAttr => ({ name, type: enumOf(`TF_ATTR_${kind}`), value });
  const float = enumOf("TF_FLOAT");
  const int32 = enumOf("TF_INT32");
  const t = attr("T", "TYPE", float);
  const justT = [t];
  const indexed = (name: string): OpAttr => attr(name, "TYPE", int32);
  const flags = (a: string, b: string) => [false, true].map((x) => [false, true].map((y) => [t, attr(a, "BOOL", x), attr(b, "BOOL", y)]));
  const matmulAttrs = flags("transpose_a", "transpose_b");
  const batchAttrs = flags("adj_x", "adj_y");
  const pick = (table: OpAttr[][][], a: boolean, b: boolean): OpAttr[] => table[a ? 1 : 0]?.[b ? 1 : 0] ?? justT;
  const reduceAttrs = [false, true].map((keep) => [t, attr("keep_dims", "BOOL", keep), indexed("Tidx")]);
  const reshapeAttrs = [t, indexed("Tshape")];
  const transposeAttrs = [t, indexed("Tperm")];
  const gatherAttrs = [attr("Tparams", "TYPE", float), indexed("Tindices"), indexed("Taxis")];
  const segmentAttrs = [t, indexed("Tindices"), indexed("Tnumsegments")];
  const sliceAttrs = [t, indexed("Index")];
  const tileAttrs = [t, indexed("Tmultiples")];
  const formatAttrs = [t, attr("data_format", "STRING", "NHWC")];

  const cache = new Map<string, Tensor>();
  /** A cached int32 vector (or, for a number, scalar). */
  const ints = (values: readonly number[] | number): Tensor => {
    const key = String(values) + (typeof values === "number" ? "s" : "v");
    const known = cache.get(key);
    if (known !== undefined) return known;
    const made = tf.keep(typeof values === "number" ? tf.scalar(values, "int32") : tf.tensor1d([...values], "int32"));
    cache.set(key, made);
    return made;
  };
  const run = (op: string, attrs: OpAttr[], inputs: Tensor[]): Tensor => node.executeSingleOutput(op, attrs, inputs);
  const runMany = (op: string, attrs: OpAttr[], inputs: Tensor[], outputs: number): Tensor[] => node.executeMultipleOutputs(op, attrs, inputs, outputs);

  return {
    run, runMany, attr, ints, justT, float, int32,
    unary: (op: string, x: Tensor): Tensor => run(op, justT, [x]),
    binary: (op: string, a: Tensor, b: Tensor): Tensor => run(op, justT, [a, b]),
    matmul: (a: Tensor, b: Tensor, ta: boolean, tb: boolean): Tensor => run("MatMul", pick(matmulAttrs, ta, tb), [a, b]),
    batchMatmul: (a: Tensor, b: Tensor, ta: boolean, tb: boolean): Tensor => run("BatchMatMulV2", pick(batchAttrs, ta, tb), [a, b]),
    biasAdd: (x: Tensor, b: Tensor): Tensor => run("BiasAdd", formatAttrs, [x, b]),
    reduce: (op: "Sum" | "Mean" | "Max" | "EuclideanNorm", x: Tensor, axes: readonly number[], keep: boolean): Tensor =>
      run(op, reduceAttrs[keep ? 1 : 0] ?? justT, [x, ints(axes)]),
    reshape: (x: Tensor, shape: readonly number[]): Tensor => run("Reshape", reshapeAttrs, [x, ints(shape)]),
    transpose: (x: Tensor, perm: readonly number[]): Tensor => run("Transpose", transposeAttrs, [x, ints(perm)]),
    gather: (x: Tensor, index: Tensor): Tensor => run("GatherV2", gatherAttrs, [x, index, ints(0)]),
    segmentSum: (x: Tensor, index: Tensor, count: number): Tensor => run("UnsortedSegmentSum", segmentAttrs, [x, index, ints(count)]),
    slice: (x: Tensor, begin: readonly number[], size: readonly number[]): Tensor => run("Slice", sliceAttrs, [x, ints(begin), ints(size)]),
    tile: (x: Tensor, multiples: readonly number[]): Tensor => run("Tile", tileAttrs, [x, ints(multiples)]),
    unpack: (x: Tensor, count: number): Tensor[] => runMany("Unpack", [t, attr("num", "INT", count), attr("axis", "INT", 0)], [x], count),
    pack: (list: Tensor[]): Tensor => run("Pack", [t, attr("N", "INT", list.length), attr("axis", "INT", 0)], list),
    addN: (list: Tensor[]): Tensor => run("AddN", [t, attr("N", "INT", list.length)], list),
    dispose: (): void => {
      for (const tensor of cache.values()) tensor.dispose();
      cache.clear();
    },
  };
}
