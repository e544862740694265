/**
 * The objective as a list of terms over one flat model body.
 *
 * A loss may stand in a module, in a sum of sums, behind a factor, or be spelled out of primitives; what it is does not
 * depend on that. Owns two rewritings: calls of modules that hold losses, or no parameters, are replaced by their bodies (all
 * other calls stay: an analysis asks about modules, not about matmuls), with constants folded (`fold.ts`), and sums, differences, factors and well-known hand-written
 * forms are read as weighted terms of the loss table. What cannot be read stays, as a term of role `unknown`.
 */
import type { Span } from "../base/span.js";
import type { LossRole } from "../model/losses.js";
import { isLoss, lossKind } from "../model/losses.js";
import type { Body, ModelGraph, Node, NodeId, Schedule } from "../model/ir.js";
import { nodeOf } from "../model/node.js";
import { funcTable, isCall, joinPath } from "../model/visit.js";
import { withBlindLosses } from "./blind.js";
import type { Form } from "./forms.js";
import { foldConstants } from "./fold.js";
import { sameValue } from "./forms.js";

/** One term of the objective as the analysis sees it. */
export interface RawTerm {
  /** The loss of the program that it belongs to. */
  readonly loss: string;
  readonly kind: string;
  readonly role: LossRole | "unknown";
  readonly weight: Schedule;
  readonly operands: readonly NodeId[];
  readonly numbers: Readonly<Record<string, number>>;
  readonly words: Readonly<Record<string, string>>;
  /** The node of the term, and where the program says it. */
  readonly node: NodeId;
  readonly origin: Span;
}

/** The flat body and its terms. */
export interface Objective {
  readonly body: Body;
  readonly terms: readonly RawTerm[];
  /** For every node, what its value is made of. */
  readonly forms: readonly Form[];
}

/** Reads the objective of a graph. */
export function expandObjective(graph: ModelGraph): Objective {
  const { body: inlined, moved } = inlineLosses(graph);
  const blind = withBlindLosses(inlined);
  const { body, forms } = foldConstants(graph, blind.body);
  const losses = graph.losses.map((l) => ({ ...l, node: blind.moved(moved.get(l.node) ?? l.node) }));
  const flatBody: Flat = { body, forms, mixed: mixedNodes(body) };
  const terms = losses.flatMap((l) => split(flatBody, l.node, l.weight, l.name, l.origin));
  return { body, terms, forms };
}

/** Nodes that an inlined function may come to: modules that double one another would otherwise have no end. */
const mostNodes = { lossy: 20_000, plain: 64 };

/** Functions that hold a loss, or give a scalar; and short ones that learn nothing, which are a way of writing only. */
function transparent(graph: ModelGraph): ReadonlySet<string> {
  const found = new Map<string, number>();
  const holds = new Set<string>();
  for (const { name, body } of graph.funcs) {
    const inner = (n: Node): number | undefined => (n.op === "call" ? found.get(n.attrs.func ?? "") : undefined);
    const size = body.nodes.reduce((sum, n) => sum + (inner(n) ?? 1), 0);
    const scalar = body.results.some((id) => body.nodes[id]?.type.shape.length === 0);
    const lossy = scalar || body.nodes.some((n) => n.op === "loss" || (n.op === "call" && holds.has(n.attrs.func ?? "")));
    const plain = body.nodes.every((n) => (n.op !== "param" || remembers(body, n.id)) && n.op !== "repeat" && (n.op !== "call" || inner(n) !== undefined));
    if (size > (lossy ? mostNodes.lossy : mostNodes.plain) || (!lossy && !plain)) continue;
    found.set(name, size);
    if (lossy) holds.add(name);
  }
  return new Set(found.keys());
}

/** Whether a parameter is what batch normalization remembers for later, and no more. */
function remembers(body: Body, id: NodeId): boolean {
  const readers = body.nodes.filter((n) => n.args.includes(id));
  return readers.length > 0 && readers.every((n) => n.op === "batch_norm" && n.args.indexOf(id) > 0);
}

function inlineLosses(graph: ModelGraph): { readonly body: Body; readonly moved: ReadonlyMap<NodeId, NodeId> } {
  const inlined = transparent(graph);
  const used = graph.body.nodes.some((n) => n.op === "call" && inlined.has(n.attrs.func ?? ""));
  if (!used) return { body: graph.body, moved: new Map() };
  const funcs = funcTable(graph);
  const nodes: Node[] = [];
  const emit = (node: Node, args: readonly NodeId[], attrs: Node["attrs"]): NodeId => {
    nodes.push(nodeOf({ ...node, id: nodes.length, args, attrs }));
    return nodes.length - 1;
  };
  const copy = (body: Body, prefix: string, given: readonly NodeId[], by: Node | undefined): Map<NodeId, NodeId> => {
    const at = by?.origin;
    const map = new Map<NodeId, NodeId>();
    const own = new Map<NodeId, readonly NodeId[]>();
    const inputs = new Map(body.inputs.map((id, i) => [id, given[i]]));
    for (const node of body.nodes) {
      const known = at === undefined ? undefined : inputs.get(node.id);
      const args = node.args.map((a) => map.get(a) ?? 0);
      const attrs = renamed(node, prefix);
      const func = node.op === "call" ? funcs.get(node.attrs.func ?? "") : undefined;
      const behind = own.get(node.args[0] ?? -1);
      if (known !== undefined) map.set(node.id, known);
      else if (func !== undefined && inlined.has(func.name)) {
        const inner = copy(func.body, attrs.instance ?? "", args, node);
        const outs = func.body.results.map((r) => inner.get(r) ?? 0);
        own.set(node.id, outs);
        map.set(node.id, outs[0] ?? 0);
      } else if (node.op === "result" && behind !== undefined) map.set(node.id, behind[node.attrs.index ?? 0] ?? 0);
      else map.set(node.id, emit(by === undefined ? node : inCaller(node, by, body), args, attrs));
    }
    return map;
  };
  const moved = copy(graph.body, "", [], undefined);
  const inputs = graph.body.inputs.map((id) => moved.get(id) ?? id);
  return { body: { inputs, nodes, results: graph.body.results.map((id) => moved.get(id) ?? id) }, moved };
}

/** A node of an inlined body: its result is of the type and name that the caller gave it, where positions are known. */
function inCaller(node: Node, by: Node, body: Body): Node {
  if (node.op === "loss") return { ...node, origin: by.origin };
  return node.id === body.results[0] && body.results.length === 1 ? { ...node, type: by.type, name: by.name, origin: by.origin } : node;
}

function renamed(node: Node, prefix: string): Node["attrs"] {
  if (prefix === "") return node.attrs;
  if (node.op === "param") return { ...node.attrs, path: joinPath(prefix, node.attrs.path ?? "") };
  if (node.op === "repeat") return { ...node.attrs, list: joinPath(prefix, node.attrs.list ?? "") };
  return isCall(node) ? { ...node.attrs, instance: node.attrs.instance === "" || node.attrs.instance === undefined ? prefix : joinPath(prefix, node.attrs.instance) } : node.attrs;
}

/** The weight of a schedule times a constant. */
function timesConstant(weight: Schedule, by: number): Schedule {
  return by === 1 ? weight : { ...weight, points: weight.points.map((p) => p * by) };
}

function timesSchedule(a: Schedule, b: Schedule): Schedule {
  if (a.points.length <= 1) return timesConstant(b, a.points[0] ?? 1);
  if (b.points.length <= 1) return timesConstant(a, b.points[0] ?? 1);
  const last = (s: Schedule, i: number): number => s.points[Math.min(i, s.points.length - 1)] ?? 0;
  return { ...a, points: Array.from({ length: Math.max(a.points.length, b.points.length) }, (_, i) => last(a, i) * last(b, i)) };
}

/** A body, what its values are made of, and which are arithmetic on statistics over the batch. */
type Flat = Pick<Objective, "body" | "forms"> & { readonly mixed: readonly boolean[] };

/** For every node, whether it is made by operations from products of the batch's images or features. */
function mixedNodes(body: Body): readonly boolean[] {
  const found: boolean[] = [];
  for (const { op, args } of body.nodes) found.push(op === "similarities" || op === "second_moments" || (op !== "call" && op !== "repeat" && op !== "result" && args.some((a) => found[a] === true)));
  return found;
}

/** Comparisons of two values element by element: of statistics, they ask something of all images together. */
const elementwise: ReadonlySet<string> = new Set(["attract", "classify"]);

function split(flat: Flat, id: NodeId, weight: Schedule, loss: string, origin: Span): RawTerm[] {
  const { body } = flat;
  const node = body.nodes[id];
  if (node === undefined) return [];
  const [a, b] = node.args;
  const into = (x: NodeId | undefined, w: Schedule): RawTerm[] => (x === undefined ? [] : split(flat, x, w, loss, origin));
  const known = node.op === "loss" || flat.mixed[id] === true ? undefined : handWritten(flat, node);
  if (known !== undefined) return [{ ...known, loss, weight: timesConstant(weight, known.sign), node: id, origin: node.origin }];
  switch (node.op) {
    case "add": return [...into(a, weight), ...into(b, weight)];
    case "sub": return [...into(a, weight), ...into(b, timesConstant(weight, -1))];
    case "neg": return into(a, timesConstant(weight, -1));
    case "shift": return into(a, weight);
    case "scale": return into(a, node.attrs.schedule === undefined ? timesConstant(weight, node.attrs.value ?? 1) : timesSchedule(weight, node.attrs.schedule));
    case "mean": case "sum": return body.nodes[a ?? -1]?.op === "constant" ? [] : body.nodes[a ?? -1]?.type.shape.length === 0 ? into(a, weight) : [unknown(node, weight, loss, origin)];
    case "constant": return [];
    case "loss": {
      const kind = node.attrs.loss ?? "";
      if (flat.mixed[id] === true && isLoss(kind) && elementwise.has(lossKind(kind).role)) return [unknown(node, weight, loss, origin)];
      return [{ loss, kind, role: isLoss(kind) ? lossKind(kind).role : "unknown", weight, operands: node.args, numbers: node.attrs.numbers ?? {}, words: node.attrs.strings ?? {}, node: id, origin: node.origin }];
    }
    default: return [unknown(node, weight, loss, origin)];
  }
}

function unknown(node: Node, weight: Schedule, loss: string, origin: Span): RawTerm {
  // Where the loss itself writes the term, its own place: two terms of a loss are told apart, and a sign before one can be turned.
  const at = node.origin.file === origin.file && node.origin.start >= origin.start && node.origin.end <= origin.end ? node.origin : origin;
  return { loss, kind: "custom", role: "unknown", weight, operands: node.args, numbers: {}, words: {}, node: node.id, origin: at };
}

type Read = Pick<RawTerm, "kind" | "role" | "operands" | "numbers" | "words"> & { readonly sign: number };

/** Reductions of an elementwise comparison: mean squared or absolute difference, minus a dot product, a hinge on a deviation. */
function handWritten(flat: Flat, node: Node): Read | undefined {
  if (node.type.shape.length !== 0 || (node.op !== "mean" && node.op !== "sum")) return undefined;
  const { body } = flat;
  let sign = 1;
  let at: Node | undefined = body.nodes[node.args[0] ?? -1];
  while (at !== undefined && ["mean", "sum", "scale", "neg", "shift", "sqrt"].includes(at.op)) {
    if (at.op === "neg") sign = -sign;
    if (at.op === "scale") sign *= at.attrs.value ?? 1;
    at = body.nodes[at.args[0] ?? -1];
  }
  if (at === undefined) return undefined;
  const inner = body.nodes[at.args[0] ?? -1];
  if ((at.op === "square" || at.op === "abs") && inner !== undefined && inner.op === "sub") {
    return { kind: at.op === "square" ? "mse" : "l1", role: "attract", operands: inner.args, numbers: {}, words: {}, sign };
  }
  if (at.op === "mul") return product(body, at, sign);
  if (at.op === "relu") return hinge(flat, at, sign);
  return undefined;
}

/** Whether a term's node is the mean of what the loss table says of its kind, with no factor, sum or constant in between. */
export function unweighted(body: Body, id: NodeId): boolean {
  return body.nodes[id]?.op === "loss" || differenceBelow(body, id, ["mean"]);
}

/** Whether a term's node is 0 where its two sides are equal: a power of their difference, whatever its factors. */
export function zeroWhereEqual(body: Body, id: NodeId): boolean {
  return differenceBelow(body, id, ["mean", "sum", "scale", "neg", "sqrt"]);
}

/** Whether a node is made by the given ops of squares or absolute values of a difference. */
function differenceBelow(body: Body, id: NodeId, ops: readonly Node["op"][]): boolean {
  let at = body.nodes[id];
  while (at !== undefined && ops.includes(at.op)) at = body.nodes[at.args[0] ?? -1];
  return (at?.op === "square" || at?.op === "abs") && body.nodes[at.args[0] ?? -1]?.op === "sub";
}

function product(body: Body, mul: Node, sign: number): Read | undefined {
  const [x, y] = mul.args.map((a) => body.nodes[a]);
  if (x === undefined || y === undefined) return undefined;
  if (x.id === y.id && x.op === "sub") return { kind: "mse", role: "attract", operands: x.args, numbers: {}, words: {}, sign };
  const log = [x, y].find((n) => n.op === "log_softmax");
  if (log !== undefined) {
    const target = log === x ? y : x;
    return { kind: "cross_entropy", role: "classify", operands: [log.args[0] ?? 0, target.id], numbers: { temperature: log.attrs.temperature ?? 1 }, words: {}, sign: -sign };
  }
  // Minus a dot product is minimal where the sides agree, given that they are of fixed length.
  const fixed = (n: Node): boolean => n.op === "l2_normalize" || n.op === "normalize" || (n.op === "stop_gradient" && fixed(body.nodes[n.args[0] ?? -1] ?? n));
  if (fixed(x) && fixed(y)) return { kind: "negative_cosine", role: "attract", operands: mul.args, numbers: {}, words: {}, sign: -sign };
  return undefined;
}

/** Target and eps of a hinge on `factor * Var + offset`, or on the root of that. */
function hingeNumbers(factor: number, offset: number, outer: readonly [number, number] | undefined): Readonly<Record<string, number>> {
  if (outer === undefined) return { target: Math.sqrt(Math.max(0, -offset / factor)), eps: 0 };
  const [by, from] = outer;
  return factor > 0 ? { target: -from / by / Math.sqrt(factor), eps: offset / factor } : {};
}

/** `mean(relu(c - sqrt(mean(square(x - mean(x)), over: images))))`: a hinge on the deviation. */
function hinge({ body, forms }: Flat, relu: Node, sign: number): Read | undefined {
  // What is cut off below zero is `factor * x + offset` of the node reached; outside of a root, of the root.
  let [factor, offset] = [1, 0];
  let outer: readonly [number, number] | undefined;
  let at: Node | undefined = body.nodes[relu.args[0] ?? -1];
  const step = (n: Node): Node | undefined => body.nodes[n.args[0] ?? -1];
  while (at !== undefined && ["neg", "scale", "shift", "sqrt"].includes(at.op)) {
    if (at.op === "neg") factor = -factor;
    if (at.op === "scale") factor *= at.attrs.value ?? 1;
    if (at.op === "shift") offset += factor * (at.attrs.value ?? 0);
    if (at.op === "sqrt") {
      if (outer !== undefined) return undefined;
      outer = [factor, offset];
      [factor, offset] = [1, 0];
    }
    at = step(at);
  }
  if (at?.op !== "mean") return undefined;
  const over = at.attrs.over ?? [];
  const squared = step(at);
  const centered = squared?.op === "square" ? step(squared) : undefined;
  const average = centered?.op === "sub" ? body.nodes[centered.args[1] ?? -1] : undefined;
  if (centered === undefined || average?.op !== "mean" || !sameValue(forms[average.args[0] ?? -1], forms[centered.args[0] ?? -1])) return undefined;
  const word = over.length > 1 ? "all" : over[0] === "token" ? "tokens" : over[0] === "time" ? "time" : "images";
  const falls = (outer?.[0] ?? 1) * factor < 0;
  return { kind: "variance", role: "variance", operands: [centered.args[0] ?? 0], numbers: falls ? hingeNumbers(factor, offset, outer) : {}, words: { over: word }, sign: falls ? sign : -sign };
}

