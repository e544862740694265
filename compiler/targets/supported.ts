/**
 * What can be checked but not trained: programs that a target refuses before it starts (JEP8001).
 *
 * Pictures and clips have no source that gives both, and a pretrained module without a file has no weights. Owns the list and
 * nothing else, so that the day one of them works its line goes.
 */
import type { Diagnostic } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { ImageInput, ModelGraph } from "../model/ir.js";

/** Reasons why no target trains the program, each at its place. */
export function untrainable(graph: ModelGraph): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const [first, other] = [graph.inputs[0], graph.inputs.find((i) => i.frames !== graph.inputs[0]?.frames)];
  if (first !== undefined && other !== undefined) {
    const kind = ({ name, frames }: ImageInput): string => `\`${name}\` is ${frames === undefined ? "a picture" : `a clip of ${frames} frames`}`;
    found.push(report("JEP8001", other.origin, { what: `${kind(first)} and ${kind(other)}, and one source gives one of these`, instead: "take all inputs from clips of one length" }));
  }
  for (const instance of graph.instances) {
    if (instance.training.kind === "frozen" && instance.training.init === "pretrained" && instance.from === undefined) {
      found.push(report("JEP8001", instance.origin, { what: `\`${instance.name}\` is pretrained, and nothing says where its weights are`, instead: `write \`pretrained(${instance.module}(…), from: "weights.safetensors")\` with a file of weights or the folder of a run` }));
    }
  }
  return found;
}
