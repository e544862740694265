/**
 * Witnesses: the places in the program by which a verdict is reached.
 *
 * For a refusal, the path by which the constant is reached: from the loss through each value with a gradient down to the
 * application of the encoder, on both sides. For a proof, the same path through what protects. Places are those of values
 * that the program names, of stops, and of applications of modules; one line each, in the order from loss to encoder.
 */
import type { Span } from "../base/span.js";
import type { CallNode, Node, NodeId } from "../model/ir.js";
import { isCall, paramPrefix, rootOf } from "../model/visit.js";
import type { Term } from "./canonicalize.js";
import { termName } from "./canonicalize.js";
import type { Facts } from "./gather.js";
import { flowOf, sourcesBehind, trainedThrough } from "./gather.js";

/** One step of a path. */
export interface Step {
  readonly span: Span;
  readonly text: string;
}

const most = 12;

const paths = new WeakMap<Facts, Map<string, readonly Step[]>>();

/** From an operand of a term down to an encoder (or to the data, where the operand does not read it). Terms share paths. */
function pathTo(facts: Facts, from: NodeId, encoder: string): readonly Step[] {
  const known = paths.get(facts) ?? new Map<string, readonly Step[]>();
  paths.set(facts, known);
  const key = `${from} ${encoder}`;
  const steps = known.get(key) ?? walk(facts, from, encoder);
  known.set(key, steps);
  return steps;
}

function walk(facts: Facts, from: NodeId, encoder: string): Step[] {
  const steps: Step[] = [];
  let at: Node | undefined = facts.body.nodes[from];
  while (at !== undefined && steps.length < most) {
    const step = describe(facts, at, encoder);
    if (step !== undefined) steps.push(step);
    if (isCall(at) && sourceOf(facts, at) === encoder) break;
    at = next(facts, at, encoder);
  }
  return steps;
}

/** The operand that leads to the encoder: along a gradient where there is one. */
function next(facts: Facts, node: Node, encoder: string): Node | undefined {
  const args = node.args;
  const chosen = args.find((a) => trainedThrough(facts, a).has(encoder)) ?? args.find((a) => sourcesBehind(facts, a).has(encoder)) ?? args.find((a) => flowOf(facts, a).depends.size > 0);
  return chosen === undefined ? undefined : facts.body.nodes[chosen];
}

function sourceOf(facts: Facts, node: CallNode): string {
  const root = rootOf(paramPrefix(node));
  return facts.groups.get(root)?.source ?? root;
}

function describe(facts: Facts, node: Node, encoder: string): Step | undefined {
  const name = node.name === undefined ? "" : `\`${node.name}\``;
  if (node.op === "stop_gradient") return { span: node.origin, text: `the gradient stops here${name === "" ? "" : ` (${name})`}` };
  if (isCall(node)) {
    const root = rootOf(paramPrefix(node));
    const group = facts.groups.get(root);
    const state = group === undefined || !group.learns ? "" : group.state === "trained" ? (trainedThrough(facts, node.id).has(root) ? ", trained" : "") : group.state === "follows" ? (group.lag ? `, follows \`${group.source}\`` : `, is \`${group.source}\` without lag`) : group.state === "idle" ? ", never trained" : ", frozen";
    return { span: node.origin, text: `\`${root}\` is applied${state}${root === encoder ? "" : name === "" ? "" : ` (${name})`}` };
  }
  return name === "" ? undefined : { span: node.origin, text: name };
}

/** The whole witness of a term for an encoder: the loss, then both sides. */
export function witness(facts: Facts, term: Term, encoder: string): Step[] {
  const first: Step = { span: term.origin, text: `\`${termName(term)}\`` };
  const sides = term.operands.flatMap((o, i) => pathTo(facts, o, encoder).map((s) => ({ ...s, text: `${i === 0 ? "left" : "right"}: ${s.text}` })));
  return [first, ...(term.operands.length === 1 ? pathTo(facts, term.operands[0] ?? 0, encoder) : sides)];
}
