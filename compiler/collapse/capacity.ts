/**
 * Capacities: how many numbers of the pictures a value can tell of, at most, for each token.
 *
 * Through a map of few features no more come than it has; beside a way around it they do. A prediction that passes few numbers
 * on says nothing of what else its target has, and training gives that up. An upper bound by widths alone: what the numbers are
 * does not count. Owns the widths; what is too few is for `terms.ts`.
 */
import type { Node } from "../model/ir.js";
import { constantOf } from "../types/dim.js";
import type { Facts } from "./gather.js";
import { factOf } from "./gather.js";
import type { Domain } from "./interpret.js";
import { interpret } from "./interpret.js";

const known = new WeakMap<Facts, readonly number[]>();

/** How many numbers of the pictures a model-level value can tell of. */
export function capacityOf(facts: Facts, id: number): number {
  const found = known.get(facts) ?? interpret(facts.graph, facts.body, domain);
  known.set(facts, found);
  return (factOf(facts.values, id).may === 0 ? undefined : found[id]) ?? 0;
}

/** Features of a value, where it has any; pictures have as many as there are. */
function widthOf({ type: { axes, shape } }: Node): number {
  const last = shape.at(-1);
  if (axes.at(-1) === "feature") return last === undefined ? Infinity : (constantOf(last) ?? Infinity);
  return axes.some((axis) => axis === "height" || axis === "width") ? Infinity : 1;
}

/** Rows beside one another, of which each has what it had. */
const apart: ReadonlySet<string> = new Set(["concat", "union"]);
/** What was spread over other axes comes into the features. */
const gathering: ReadonlySet<string> = new Set(["patches", "flatten", "transpose", "similarities", "second_moments"]);

const domain: Domain<number> = {
  nothing: 0,
  key: String,
  rootKey: () => "",
  input: () => Infinity,
  parameter: () => 0,
  op: (node, args) => {
    if (args.every((of) => of === 0)) return 0;
    const most = gathering.has(node.op) ? Infinity : apart.has(node.op) ? Math.max(...args) : args.reduce((sum, of) => sum + of, 0);
    return Math.min(widthOf(node), most);
  },
  leave: (of) => of,
};
