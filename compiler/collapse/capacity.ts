/**
 * Capacities: how many numbers of the pictures a value can tell of, at most, for each token, and how many of them have passed a predictor.
 *
 * Through a map of few features no more come than it has. A prediction that passes few numbers on says nothing of what else its target
 * has, and training gives that up; what goes around the predictor is the value itself, and no prediction. An upper bound by widths alone:
 * what the numbers are does not count. Owns the widths; what is too few is for `terms.ts`.
 */
import type { Node } from "../model/ir.js";
import { constantOf } from "../types/dim.js";
import type { Facts } from "./gather.js";
import { factOf } from "./gather.js";
import type { Domain } from "./interpret.js";
import { interpret } from "./interpret.js";

/** Numbers of a value: all that it can tell, and those that came through maps of the predictor. */
interface Capacity {
  readonly all: number;
  readonly predicted: number;
}

const known = new WeakMap<Facts, Map<string, readonly Capacity[]>>();

/** How many numbers of the pictures a model-level value can tell of, where some groups predict. */
export function capacityOf(facts: Facts, id: number, predictor: readonly string[]): Capacity {
  const tables = known.get(facts) ?? new Map<string, readonly Capacity[]>();
  known.set(facts, tables);
  const key = predictor.join();
  const found = tables.get(key) ?? interpret(facts.graph, facts.body, domainOf(new Set(predictor)));
  tables.set(key, found);
  return (factOf(facts.values, id).may === 0 ? undefined : found[id]) ?? none;
}

const none: Capacity = { all: 0, predicted: 0 };

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
/** Maps of features to others. */
const maps: ReadonlySet<string> = new Set(["affine", "matmul"]);

function domainOf(predictor: ReadonlySet<string>): Domain<Capacity> {
  return {
    nothing: none,
    key: ({ all, predicted }) => `${all} ${predicted}`,
    rootKey: (root) => (predictor.has(root) ? "predicts" : ""),
    input: () => ({ all: Infinity, predicted: 0 }),
    parameter: () => none,
    op: (node, args, { root }) => {
      const most = (of: readonly number[]): number => (of.every((n) => n === 0) ? 0 : Math.min(widthOf(node), gathering.has(node.op) ? Infinity : apart.has(node.op) ? Math.max(...of) : of.reduce((sum, n) => sum + n, 0)));
      const all = most(args.map((of) => of.all));
      return { all, predicted: maps.has(node.op) && predictor.has(root) ? all : most(args.map((of) => of.predicted)) };
    },
    leave: (of) => of,
  };
}
