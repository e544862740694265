/**
 * Terms without an end: those with a weight below zero that have no largest value, and cross-entropies with what is no
 * distribution. The objective then has no smallest value, or one far below that of agreement, and training runs there.
 *
 * Owns which values are bounded whatever the parameters are (normalized vectors, codes, data and what is made of them), and
 * whether another term holds what a subtracted one pushes off. How fast a loss grows is in `model/losses.ts`. Regularizers
 * turned round are told of by `analyze.ts`, which knows what they guard.
 */
import type { Body, ModelGraph, Node, NodeId } from "../model/ir.js";
import { isLoss, lossKind } from "../model/losses.js";
import type { Term } from "./canonicalize.js";
import { unweighted } from "./expand.js";
import type { Finding } from "./findings.js";
import { finding } from "./findings.js";
import type { Facts } from "./gather.js";
import { flowOf, nodeAt, trainedThrough } from "./gather.js";
import { interpret } from "./interpret.js";
import { below, signDomain } from "./signs.js";

/** Findings against terms that the optimizer can make as small as it likes. */
export function runaways(facts: Facts): Finding[] {
  const down = facts.terms.filter((t) => t.sign < 0 && growth(t) > 0 && trainedThrough(facts, t.node).size > 0);
  if (down.length === 0) return [];
  const limited = boundedNodes(facts.graph, facts.body, [], new Map());
  return down.flatMap((term) => {
    const pushed = term.operands.filter((o) => trainedThrough(facts, o).size > 0 && limited[o] !== true);
    if (pushed.length === 0 || isEntropy(facts, term) || facts.terms.some((t) => holds(facts, t, term, pushed))) return [];
    const heads = [...trainedThrough(facts, term.node)];
    return [finding("E-UNBOUNDED", term, encoderOf(facts, heads), { heads, other: pushed[0] })];
  });
}

function encoderOf(facts: Facts, heads: readonly string[]): string {
  return facts.encoders.find((e) => heads.includes(e.name))?.name ?? heads[0] ?? facts.graph.name;
}

/**
 * Findings against cross-entropies whose target may lie below zero: where it does, the more unlikely the code, the smaller
 * the loss. A target that cannot is none of these, whatever it sums to: the loss is 0 at least.
 */
export function improper(facts: Facts): Finding[] {
  const coded = facts.terms.filter((t) => t.kind === "cross_entropy" && t.sign > 0 && trainedThrough(facts, t.operands[0]).size > 0);
  if (coded.length === 0) return [];
  const signs = interpret(facts.graph, facts.body, signDomain);
  return coded.flatMap((term) => {
    const [logits, target = -1] = term.operands;
    const heads = [...trainedThrough(facts, logits)];
    return (signs[target] ?? below) & below ? [finding("E-NO-CODE", term, encoderOf(facts, heads), { heads, other: target })] : [];
  });
}

function growth(term: Term): number {
  return isLoss(term.kind) ? lossKind(term.kind).grows : 0;
}

/** Cross-entropy of a code with itself is its entropy, which lies between 0 and the logarithm of its length. */
function isEntropy(facts: Facts, term: Term): boolean {
  if (term.kind !== "cross_entropy") return false;
  const [logits, target] = term.operands.map((o) => unstopped(facts, o));
  const code = nodeAt(facts, target ?? -1);
  return code?.op === "softmax" && logits !== undefined && unstopped(facts, code.args[0] ?? -1) === logits;
}

/** The number of a value, stops looked through. */
function unstopped(facts: Facts, id: NodeId): NodeId {
  let at = facts.numbers[id] ?? id;
  for (let node = nodeAt(facts, at); node?.op === "stop_gradient"; node = nodeAt(facts, at)) at = facts.numbers[node.args[0] ?? -1] ?? -1;
  return at;
}

/**
 * Whether a term pulls everything that another one pushes off back to what does not move, and harder: `mse(z, x) - 0.1 *
 * mse(z, y)` has a smallest value, as data stay where they are.
 */
function holds(facts: Facts, by: Term, term: Term, pushed: readonly NodeId[]): boolean {
  if (by.sign < 0 || by.role !== "attract" || !unweighted(facts.body, by.node) || !unweighted(facts.body, term.node)) return false;
  const least = Math.min(...by.weight.points);
  const most = Math.max(...term.weight.points.map((p) => -p));
  const stronger = growth(by) > growth(term) ? least > 0 : growth(by) === growth(term) && term.role === "attract" && least > most;
  const number = (id: NodeId): NodeId => facts.numbers[id] ?? id;
  const still = (id: NodeId): boolean => [...flowOf(facts, id).depends].every((g) => facts.groups.get(g)?.learns !== true);
  return stronger && pushed.every((o) => by.operands.some((own, i) => number(own) === number(o) && by.operands.every((other, j) => i === j || still(other))));
}

/** Ops whose results are bounded whatever they are given. */
const bounding: ReadonlySet<Node["op"]> = new Set(["l2_normalize", "normalize", "batch_normalize", "whiten", "softmax", "sinkhorn", "assign", "nearest", "sigmoid", "tanh", "constant",
  // What is stopped is not pushed.
  "stop_gradient"]);
/** Ops whose results are bounded where their operands are. */
const keeping: ReadonlySet<Node["op"]> = new Set(["patches", "at", "replace_at", "concat", "slice_features", "join_features", "union", "slice_batch", "slice_time", "transpose",
  "flatten", "add", "sub", "mul", "matmul", "neg", "scale", "shift", "exp", "sqrt", "square", "abs", "relu", "gelu", "log_softmax", "mean", "sum"]);

/** For every node of a body, whether its values are bounded. `given`: whether the inputs of a module are; those of a model are data. */
function boundedNodes(graph: ModelGraph, body: Body, given: readonly boolean[], known: Map<string, boolean>): readonly boolean[] {
  const inputs = new Map(body.inputs.map((id, i) => [id, given[i] ?? true]));
  const found: boolean[] = [];
  for (const node of body.nodes) {
    const args = node.args.map((a) => found[a] ?? false);
    const all = args.every((a) => a);
    found.push(inputs.get(node.id) ?? (bounding.has(node.op) || node.op === "input" || (keeping.has(node.op) && all) || (node.op === "call" && boundedCall(graph, node, args, known))));
  }
  return found;
}

/** One look at a module for each way of giving it bounded inputs: modules that double one another have no end otherwise. */
function boundedCall(graph: ModelGraph, node: Node, given: readonly boolean[], known: Map<string, boolean>): boolean {
  const name = node.attrs.func ?? "";
  const key = `${name}(${given.map(Number).join("")})`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const func = graph.funcs.find((f) => f.name === name);
  const nodes = func === undefined ? [] : boundedNodes(graph, func.body, given, known);
  const bounded = func !== undefined && func.body.results.every((id) => nodes[id] === true);
  known.set(key, bounded);
  return bounded;
}
