/**
 * Which parameters come after a shared part: what can be a predictor.
 *
 * The predictor of a term is what trains on the student's side after the part that both sides share. A parameter comes
 * after when it transforms a value that the shared part computed; a mask token that stands in for such a value does not,
 * nor does a stem in front of it. Works on single parameters, so that a trunk behind a shared patch embedding counts and
 * the embedding does not, whatever instances they belong to.
 */
import type { NodeId } from "../model/ir.js";
import { joinPath } from "../model/visit.js";
import type { Facts } from "./gather.js";
import { cone } from "./gather.js";
import { sourcePath } from "./groups.js";
import type { Domain } from "./interpret.js";
import { interpret } from "./interpret.js";

interface Trail {
  /** Computed from the shared part. */
  readonly shared: boolean;
  /** The parameters that it is, where it is computed from parameters alone. */
  readonly params: readonly string[];
  readonly data: boolean;
}

const transforms: ReadonlySet<string> = new Set(["affine", "matmul", "add", "sub", "mul", "div", "attend", "assign", "batch_norm", "center"]);

/** Parameters (by source path) on the way to a value that transform what the shared ones computed. */
export function paramsAfter(facts: Facts, id: NodeId, shared: ReadonlySet<string>): ReadonlySet<string> {
  const late = new Set<string>();
  const nothing: Trail = { shared: false, params: [], data: false };
  const domain: Domain<Trail> = {
    nothing,
    byPlace: true,
    key: (t) => `${t.shared ? 1 : 0}${t.data ? 1 : 0}${t.params.join("+")}`,
    rootKey: (root) => root,
    input: () => ({ ...nothing, data: true }),
    parameter: (node, place) => {
      const path = sourcePath(joinPath(place.prefix, node.attrs.path ?? ""), facts.groups);
      return { shared: shared.has(path), params: [path], data: false };
    },
    op: (node, args) => {
      const fed = args.some((a) => a.shared && a.data);
      if (fed && transforms.has(node.op)) for (const a of args) if (!a.data) for (const path of a.params) late.add(path);
      const data = args.some((a) => a.data);
      return { shared: args.some((a) => a.shared), data, params: data ? [] : [...new Set(args.flatMap((a) => a.params))] };
    },
    leave: (t) => t,
  };
  interpret(facts.graph, facts.body, domain, new Set(cone(facts, id)));
  return late;
}
