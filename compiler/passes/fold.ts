/**
 * fold: computes at compile time what depends on constants only.
 *
 * Why: autodiff and generic modules make `fill`s (zeros to start an accumulation, ones for a cotangent) and ops over them.
 * Requires: verified IR.
 * Ensures: no elementwise or layout op whose operands are all `fill`s; no `scale_dim` by known numbers.
 * Example: `neg(fill 2)` -> `fill -2`; `reshape(fill 0 [4])` -> `fill 0 [2, 2]`; `scale_dim 3/4` -> `scale 0.75`.
 * A result that is not finite is left to run time.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { Node, ValueId } from "../tensor/ir.js";
import { IrError } from "../tensor/ir.js";
import { evaluateOp } from "../tensor/kernels.js";
import type { OpName, PrimitiveName } from "../tensor/ops.js";
import { elementwise } from "../tensor/ops.js";
import { inferTypes } from "../tensor/shapes.js";
import { rewriteFunc } from "../tensor/visit.js";
import { constantOf } from "../types/dim.js";
import { perFunction } from "./pass.js";

/** Ops that give a constant tensor of the same value for a constant tensor. */
const layout: ReadonlySet<OpName> = new Set<OpName>(["reshape", "transpose", "broadcast", "slice", "tile_batch", "mean", "reduce_max"]);

export const fold = perFunction("fold", "computes what depends on constants only", (module, func) =>
  rewriteFunc(module, func, (b, node, args) => foldNode(b, node, args) ?? b.copy(node, args)),
);

/** The value of a `fill`, or undefined where the value is made by anything else. */
export function splatOf(b: FuncBuilder, id: ValueId): number | undefined {
  const node = b.producerOf(id);
  return node?.op === "fill" ? node.attrs.value : undefined;
}

function foldNode(b: FuncBuilder, node: Node, args: readonly ValueId[]): readonly ValueId[] | undefined {
  if (node.op === "call" || node.op === "repeat") return undefined;
  if (node.op === "scale_dim") {
    const [num, den] = [constantOf(node.attrs.num), constantOf(node.attrs.den)];
    const [x] = args;
    if (x !== undefined && num !== undefined && den !== undefined && den !== 0) return [b.op("scale", [x], { by: num / den })];
  }
  const splats = args.map((a) => splatOf(b, a)).filter((x) => x !== undefined);
  if (args.length === 0 || splats.length < args.length || node.results.length !== 1) return undefined;
  const value = elementwise.has(node.op) ? scalar(node, splats) : layout.has(node.op) ? splats[0] : undefined;
  if (value === undefined || !Number.isFinite(value)) return undefined;
  const inferred = inferTypes<PrimitiveName>(node.op, args.map((a) => b.typeOf(a)), node.attrs);
  const type = inferred.kind === "types" ? inferred.types[0] : undefined;
  if (type === undefined || !isFilled(node, args, b)) return undefined;
  return [b.fill(type.shape, value, type.stack)];
}

/** A mean or maximum over no elements is not the constant. */
function isFilled(node: Node, args: readonly ValueId[], b: FuncBuilder): boolean {
  if (node.op !== "mean" && node.op !== "reduce_max") return true;
  const shape = args[0] === undefined ? [] : b.shapeOf(args[0]);
  return node.attrs.axes.every((axis) => {
    const d = shape[axis];
    return d !== undefined && (constantOf(d) ?? 0) > 0;
  });
}

function scalar(node: Node, splats: readonly number[]): number | undefined {
  if (node.op === "call" || node.op === "repeat" || node.op === "scale_dim") return undefined;
  const operands = splats.map((x) => ({ shape: [], data: Float64Array.of(x) }));
  const [result] = evaluateOp<PrimitiveName>(node.op, operands, node.attrs, () => {
    throw new IrError("an elementwise constant depends on a dimension");
  });
  return result?.data[0];
}
