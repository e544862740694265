/**
 * Who sees the direction of a value, however short it is: losses of angles, and normalization to length 1.
 *
 * Everything else gives what is next to nothing as next to nothing. Owns the search for what such an operation is computed from.
 */
import type { Body, ModelGraph, NodeId } from "../model/ir.js";
import { funcTable, isCall } from "../model/visit.js";

const angles: ReadonlySet<string> = new Set(["negative_cosine", "info_nce"]);

/** Nodes of a flat body from which a direction is taken. */
export function seesDirections(graph: ModelGraph, body: Body): ReadonlySet<NodeId> {
  const funcs = funcTable(graph);
  const known = new Map<string, boolean>();
  const inside = (name: string): boolean => {
    const found = known.get(name);
    if (found !== undefined) return found;
    known.set(name, false);
    const of = funcs.get(name)?.body.nodes.some((n) => n.op === "l2_normalize" || (isCall(n) && inside(n.attrs.func))) ?? false;
    known.set(name, of);
    return of;
  };
  const seen = new Set<NodeId>();
  for (const node of body.nodes.toReversed()) {
    const takes = node.op === "l2_normalize" || (node.op === "loss" && angles.has(node.attrs.loss ?? "")) || (isCall(node) && inside(node.attrs.func));
    if (takes || seen.has(node.id)) for (const arg of node.args) seen.add(arg);
  }
  return seen;
}
