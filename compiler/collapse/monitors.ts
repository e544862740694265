/**
 * Monitors: what a compiled trainer watches because the proof relies on it (theory, 3.6).
 *
 * A verdict rests on a mechanism, and each mechanism has its own way to fail in a run: this turns the mechanisms of a proof
 * into watches with thresholds. What dynamics protect is always watched; nothing here says that a run cannot collapse.
 */
import type { MonitorSpec } from "../../runtime/abi.js";
import type { ModelGraph } from "../model/ir.js";
import { isLoss, lossKind, trivialValue } from "../model/losses.js";
import { constantOf } from "../types/dim.js";
import type { CollapseResult, EncoderProof } from "./analyze.js";
import { sampleBit, tokenBit } from "./axes.js";
import type { Facts } from "./gather.js";
import { factOf, trainedThrough } from "./gather.js";
import { isCall, paramPrefix, rootOf } from "../model/visit.js";

/** The monitors that a result asks for. Watches are named as the step program names them: by the applied instance. */
export function monitorsOf(facts: Facts, result: CollapseResult): readonly MonitorSpec[] {
  const applied = new Set(facts.body.nodes.flatMap((n) => (isCall(n) ? [rootOf(paramPrefix(n))] : [])));
  const watched = facts.graph.instances.filter((i) => i.role === "encoder" && applied.has(i.name)).map((i) => i.name);
  const out: MonitorSpec[] = [];
  for (const name of watched) {
    out.push(spec("embedding-std", name, undefined, 0.2, 200, `the outputs of \`${name}\` must differ from image to image`));
    if (tokensOf(facts, name)) out.push(spec("token-std", name, undefined, 0.05, 200, `the tokens of \`${name}\` differ by their positions even if all images are alike`));
  }
  for (const proof of result.encoders) out.push(...ofProof(facts, proof, watched));
  out.push(...ofFindings(facts, result));
  for (const group of facts.groups.values()) {
    if (group.state === "follows" && watched.includes(group.name)) {
      out.push(spec("teacher-distance", group.name, undefined, group.lag ? 1e-9 : 0, 200, `\`${group.name}\` follows \`${group.source}\`: at distance 0 it is the same network, at a distance that never changes it is frozen`));
    }
  }
  const trains = [...facts.groups.values()].some((g) => g.state === "trained");
  if (trains) out.push(spec("gradient-norm", undefined, undefined, 0, 1, "a gradient must reach what is to be trained"));
  return unique(out);
}

function ofProof(facts: Facts, proof: EncoderProof, watched: readonly string[]): MonitorSpec[] {
  const out: MonitorSpec[] = [];
  const name = watched.includes(proof.encoder) ? proof.encoder : undefined;
  const statistical = proof.protectors.filter((p) => p.because !== "anchor" && p.because !== "encoder");
  if (statistical.length > 0 && name !== undefined) {
    out.push(spec("effective-rank", name, undefined, 0.25, 200, `\`${statistical[0]?.term.kind ?? ""}\` keeps \`${name}\` spread out: the rank may fall to a quarter of what it was at step 500, and no further`));
  }
  for (const { term, mechanism } of proof.mechanisms) {
    const loss = term.losses[0];
    const trivial = trivialValue(term.kind, {});
    if (mechanism.kind === "balanced codes") {
      out.push(spec("code-entropy", undefined, loss, 1e-3, 200, "codes must neither fall together nor become uniform"));
      const uniform = uniformCodes(facts, term.node);
      if (uniform !== undefined) out.push(spec("loss-trivial", undefined, loss, 1e-3, 200, `\`${term.kind}\` at ${uniform.toFixed(4)} is what uniform codes give: the logarithm of their number`));
    }
    else if ((mechanism.kind === "predictor and average" || mechanism.kind === "predictor and stop" || mechanism.kind === "own embedding") && trivial !== undefined) {
      out.push(spec("loss-trivial", name, loss, 1e-3, 200, `\`${term.kind}\` at ${trivial} while the deviation falls is the constant solution, which training avoids by dynamics only`));
    }
  }
  return out;
}

/** Roles of losses that a constant brings to one known value. */
const heard: ReadonlySet<string> = new Set(["attract", "classify", "contrast"]);

/** A refused term that the author allows: the loss at the value of a constant is how its collapse is heard. */
function ofFindings(facts: Facts, result: CollapseResult): MonitorSpec[] {
  const refused = result.findings.filter((f) => f.level === "error");
  // A finding on an encoder's guards has no term of its own: then all that train the encoder are watched.
  const terms = refused.flatMap(({ term, encoder }) => (term === undefined ? facts.terms.filter((t) => trainedThrough(facts, t.node).has(encoder)) : [term]));
  return terms.filter((t) => isLoss(t.kind) && heard.has(lossKind(t.kind).role)).flatMap((term): MonitorSpec[] => {
    const [loss] = term.losses;
    if (loss === undefined) return [];
    const trivial = trivialValue(term.kind, facts.body.nodes[term.node]?.attrs.numbers ?? {});
    return trivial === undefined ? [] : [spec("loss-trivial", undefined, loss, 1e-3, 200, `\`${term.kind}\` at ${trivial} is the constant solution, which nothing keeps training from`)];
  });
}

/** What uniform codes give a cross-entropy: ln K for K of them. Of a loss in a module, or another kind, nothing is known. */
export function uniformCodes(graph: Pick<ModelGraph, "body">, node: number): number | undefined {
  const it = graph.body.nodes[node];
  if (it?.op !== "loss" || it.attrs.loss !== "cross_entropy") return undefined;
  const [codes] = graph.body.nodes[it.args[0] ?? -1]?.type.shape.slice(-1) ?? [];
  const count = codes === undefined ? undefined : constantOf(codes);
  return count === undefined ? undefined : Math.log(count);
}

function tokensOf(facts: Facts, name: string): boolean {
  const node = facts.body.nodes.find((n) => isCall(n) && rootOf(paramPrefix(n)) === name);
  return node !== undefined && node.type.axes.includes("token") && (factOf(facts.values, node.id).may & (tokenBit | sampleBit)) === (tokenBit | sampleBit);
}

function spec(kind: MonitorSpec["kind"], watch: string | undefined, loss: string | undefined, threshold: number, steps: number, because: string): MonitorSpec {
  return { kind, watch, loss, threshold, steps, because };
}

function unique(list: readonly MonitorSpec[]): MonitorSpec[] {
  const seen = new Set<string>();
  return list.filter((m) => {
    const key = `${m.kind}|${m.watch ?? ""}|${m.loss ?? ""}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
