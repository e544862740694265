/**
 * inline: puts the body of small functions where they are called.
 *
 * Why: an affine norm or an adapter of two ops as a function of its own hides from autodiff and local rules what could be
 * recomputed or joined, and makes generated code jump about.
 * Requires: verified IR. Ensures: no call of a function of at most `limit` nodes that itself calls nothing. Bodies of
 * repeats stay functions, so size still does not follow depth; a called-once rule is not made, since functions named after
 * the source's modules are what a reader wants to find.
 * Example: `y = call double(x)` with `double(x) = add(x, x)` -> `y = add(x, x)`.
 * Leaves the functions themselves to dce.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { Func, Node, ValueId } from "../tensor/ir.js";
import { IrError, funcOf } from "../tensor/ir.js";
import { calleeOf, rewriteFunc, substituteNode } from "../tensor/visit.js";
import type { Pass } from "./pass.js";
import { perFunction } from "./pass.js";

/** Inlines functions of up to `limit` nodes. */
export function inlineUpTo(limit: number): Pass {
  return perFunction("inline", `puts functions of at most ${limit} ops where they are called`, (module, func) =>
    rewriteFunc(module, func, (b, node, args) => {
      if (node.op !== "call") return b.copy(node, args);
      const callee = funcOf(module, node.attrs.fn);
      return isSmall(callee, limit) ? paste(b, node, callee, args) : b.copy(node, args);
    }),
  );
}

function isSmall(func: Func, limit: number): boolean {
  return func.nodes.length <= limit && func.nodes.every((n) => calleeOf(n) === undefined);
}

function paste(b: FuncBuilder, call: Extract<Node, { op: "call" }>, callee: Func, args: readonly ValueId[]): readonly ValueId[] {
  const dims = new Map(Object.entries(call.attrs.dims));
  const map = new Map(callee.inputs.map((input, i) => [input.value, args[i] ?? -1]));
  const at = (id: ValueId): ValueId => {
    const to = map.get(id);
    if (to === undefined) throw new IrError(`inline lost %${id} of \`${callee.name}\`.`);
    return to;
  };
  for (const node of callee.nodes) {
    // A reader of the caller wants to know which of its lines this is, not which line of a library.
    const here = { ...substituteNode(node, dims), origin: call.origin ?? node.origin };
    const results = b.copy(here, node.args.map(at), node.results.map((r) => callee.values[r]?.name));
    node.results.forEach((r, i) => map.set(r, results[i] ?? -1));
  }
  return callee.outputs.map((o) => at(o.value));
}
