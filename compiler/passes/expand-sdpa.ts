/**
 * expand-sdpa: attention in terms of matrix products and softmax.
 *
 * Why: a target without a fused attention kernel needs it in ops that it has, and needs it so before autodiff, so that the
 * backward is made of the same ops.
 * Requires: verified IR, before autodiff (an `sdpa_grad` is left as it is).
 * Ensures: no `sdpa` whose log-sum-exp is unused.
 * Example: `o, lse = sdpa(q, k, v) {heads: 2}` -> split heads; `softmax(scale(matmul(q, k^T), d^-0.5))`; `matmul` with v; join heads.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { IrError } from "../tensor/ir.js";
import { rewriteFunc, useCounts } from "../tensor/visit.js";
import { constantDim, constantOf, divide } from "../types/dim.js";
import { perFunction } from "./pass.js";

export const expandSdpa = perFunction("expand-sdpa", "attention in terms of matrix products and softmax", (module, func) => {
  const uses = useCounts(func);
  return rewriteFunc(module, func, (b, node, args) => {
    const lse = node.results[1];
    const [q, k, v] = args;
    if (node.op !== "sdpa" || lse === undefined || uses[lse] !== 0) return b.copy(node, args);
    if (q === undefined || k === undefined || v === undefined) throw new IrError("sdpa has three operands.");
    return [expand(b, node.attrs.heads, q, k, v)];
  });
});

function expand(b: FuncBuilder, heads: number, q: ValueId, k: ValueId, v: ValueId): ValueId {
  const shape = b.shapeOf(q);
  const [batch, rows, width] = shape;
  const d = width && divide(width, constantDim(heads));
  if (batch === undefined || rows === undefined || d === undefined) throw new IrError("sdpa has operands of rank 3.");
  const split = (x: ValueId): ValueId => {
    const tokens = b.shapeOf(x)[1] ?? rows;
    const parts = b.op("reshape", [x], { shape: [batch, tokens, constantDim(heads), d] });
    return b.op("transpose", [parts], { perm: [0, 2, 1, 3] });
  };
  const scores = b.op("matmul", [split(q), split(k)], { ta: false, tb: true });
  const size = constantOf(d);
  if (size === undefined) throw new IrError("the width of a head must be known to scale its scores.");
  const weights = b.op("softmax", [b.op("scale", [scores], { by: 1 / Math.sqrt(size) })]);
  const mixed = b.op("matmul", [weights, split(v)], { ta: false, tb: false });
  return b.op("reshape", [b.op("transpose", [mixed], { perm: [0, 2, 1, 3] })], { shape });
}
