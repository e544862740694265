/**
 * cse: makes each value once.
 *
 * Why: autodiff asks for the same pieces from several rules (the slope of a loss for both of its operands), and modules
 * written separately compute the same masks and constants.
 * Requires: verified IR. Ensures: no two nodes of a function with the same op, operands and attributes. Sound for every
 * op, calls and repeats included, because all are pure.
 * Example: `a = exp(x); b = exp(x); add(a, b)` -> `a = exp(x); add(a, a)`.
 * Does not look across functions. The remaining node keeps the older one's origin.
 */
import type { ValueId } from "../tensor/ir.js";
import { rewriteFunc } from "../tensor/visit.js";
import { perFunction } from "./pass.js";

export const cse = perFunction("cse", "makes each value once", (module, func) => {
  const made = new Map<string, readonly ValueId[]>();
  return rewriteFunc(module, func, (b, node, args) => {
    const operands = node.op === "add" || node.op === "mul" ? args.toSorted((x, y) => x - y) : args;
    const key = JSON.stringify([node.op, operands, node.attrs]);
    const known = made.get(key);
    if (known !== undefined) return known;
    const results = b.copy(node, args);
    made.set(key, results);
    return results;
  });
});
