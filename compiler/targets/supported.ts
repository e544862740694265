/**
 * What can be checked but not trained: programs that a target refuses before it starts (JEP8001).
 *
 * Videos, actions and labels have no reader in the runtime; loss weights that change have no
 * place in the step's contract yet; a pretrained module needs a file that programs cannot name yet. Owns the list and
 * nothing else, so that the day one of them works its line goes.
 */
import type { Diagnostic } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { ModelGraph, Node } from "../model/ir.js";

/** Reasons why no target trains the program, each at its place. */
export function untrainable(graph: ModelGraph): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const node of graph.body.nodes) {
    const why = reason(node);
    if (why !== undefined) found.push(report("JEP8001", node.origin, why));
  }
  for (const term of graph.losses) {
    if (term.weight.kind !== "constant") found.push(report("JEP8001", term.origin, { what: `the weight of \`${term.name}\` changes over training`, instead: "give it a constant weight" }));
  }
  for (const instance of graph.instances) {
    if (instance.training.kind === "frozen" && instance.training.init === "pretrained") {
      found.push(report("JEP8001", instance.origin, { what: `\`${instance.name}\` is pretrained, and its weights are nowhere to be read from`, instead: "train it in this program, or freeze it at a random start with `frozen`" }));
    }
  }
  return found;
}

interface Reason {
  readonly what: string;
  /** What a program that trains does, as the end of a sentence. */
  readonly instead: string;
}

function reason(node: Node): Reason | undefined {
  if (node.op === "input") {
    const { axes, space } = node.type;
    if (axes.includes("time") && axes.includes("height")) return { what: `\`${node.attrs.path}\` is a video`, instead: "use images" };
    if (space.kind === "actions" || space.kind === "labels") return { what: `\`${node.attrs.path}\` are ${space.kind}`, instead: "use images" };
  }
  return undefined;
}
