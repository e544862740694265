/**
 * Batches put together of values that are not one: `union(z, -z)` has a deviation although all its images are alike.
 *
 * Two parts are one where they would be one constant if nothing of the images came through (the same networks, whatever the
 * view), or where a distance asks them to be equal. Owns the question of a variance term: can constants satisfy it?
 */
import type { Term } from "./canonicalize.js";
import type { Facts } from "./gather.js";
import { nodeAt } from "./gather.js";

/** Whether the parts of a batch that a value is made of may be several constants. */
export function isMixture(facts: Facts, terms: readonly Term[], id: number): boolean {
  return unionsBehind(facts, id).some((parts) => {
    const names = facts.constantNames();
    const nameOf = (at: number | undefined): string => names[at ?? -1] ?? "";
    const joined = terms.filter((t) => t.sign > 0 && t.role === "attract" && t.kind !== "negative_cosine").map((t) => t.operands.map(nameOf));
    const [first, ...others] = parts.map(nameOf);
    const reached = new Set([first]);
    for (const at of reached) for (const pair of joined) if (pair.includes(at ?? "")) for (const name of pair) reached.add(name);
    return others.some((name) => !reached.has(name));
  });
}

/** The parts of every union on the way to a value that are not taken apart again. */
function unionsBehind(facts: Facts, id: number): readonly (readonly number[])[] {
  const seen = new Set([id]);
  const found: (readonly number[])[] = [];
  for (const at of seen) {
    const node = nodeAt(facts, at);
    if (node === undefined || node.op === "slice_batch") continue;
    if (node.op === "union") found.push(node.args);
    for (const arg of node.args) seen.add(arg);
  }
  return found;
}
