/**
 * Questions that users of the library ask a graph.
 *
 * Owns names (which node is `z_target`), what a loss trains, what a value depends on, typed edges, parameter counts.
 * Everything here is read off the graph and `flow.ts`; nothing is a verdict. An unknown name is the caller's mistake and
 * throws a `QueryError` that names what there is; what is no graph at all, a `TypeError`.
 */
import { said } from "../base/said.js";
import { suggest } from "../base/suggest.js";
import type { Instance, LossTerm, ModelGraph, Node, NodeId, Schedule } from "./ir.js";
import type { Flow } from "./flow.js";
import { flow, noFlow, parametersBehind, passesGradient } from "./flow.js";
import { requireGraph } from "./require.js";
import { isCall, paramPrefix, parameters, producer, reachable, rootOf, sizeOf } from "./visit.js";

/** A question about something that the graph does not have. */
export class QueryError extends Error {
  override readonly name = "QueryError";
}

/** The model-level node that a program calls so, or undefined. Inputs and views have their own names. */
export function nodeNamed(graph: ModelGraph, name: string): Node | undefined {
  return graph.body.nodes.find((n) => nameOf(n) === name);
}

/** Named model-level nodes, in evaluation order. @throws TypeError for what is no graph. */
export function namedNodes(graph: ModelGraph): ReadonlyMap<string, Node> {
  requireGraph(graph);
  const table = new Map<string, Node>();
  for (const node of graph.body.nodes) {
    const name = nameOf(node);
    if (name !== undefined && !table.has(name)) table.set(name, node);
  }
  return table;
}

function nameOf(node: Node): string | undefined {
  return node.op === "input" ? node.attrs.path : node.name;
}

/** The term of the objective that is meant, by name or as one of the graph's own. @throws QueryError where there is none. */
function lossOf(graph: ModelGraph, loss: string | LossTerm): LossTerm {
  requireGraph(graph);
  const found = graph.losses.find((l) => l === loss || l.name === loss);
  if (found === undefined) throw unknown("loss", loss, graph.losses.map((l) => l.name));
  return found;
}

/** The instance that is meant, by name or as one of the graph's own. @throws QueryError where there is none. */
function ownInstance(graph: ModelGraph, instance: string | Instance): Instance {
  const found = graph.instances.find((i) => i === instance || i.name === instance);
  if (found === undefined) throw unknown("instance", instance, graph.instances.map((i) => i.name));
  return found;
}

function unknown(what: string, given: unknown, known: readonly string[]): QueryError {
  const near = typeof given === "string" ? suggest(given, known) : [];
  const rest = known.length === 0 ? "There is none." : `There ${known.length === 1 ? "is" : "are"} ${known.map((k) => `\`${k}\``).join(", ")}.`;
  return new QueryError(`There is no ${what} \`${typeof given === "string" ? given : said(given)}\`. ${near.length > 0 ? `Did you mean \`${near[0]}\`?` : rest}`);
}

/** Whether a weight is zero from the first step to the last: such a loss trains nothing. */
function isZero(weight: Schedule): boolean {
  return weight.points.every((p) => p === 0);
}

/** Which instances learn from this loss (by name, or as a term of the graph), in the order of their declaration. @throws QueryError where there is no such loss. */
export function trainedBy(graph: ModelGraph, loss: string | LossTerm): string[] {
  const term = lossOf(graph, loss);
  if (isZero(term.weight)) return [];
  const trains = flow(graph).nodes.get(term.node)?.trains ?? noFlow.trains;
  return graph.instances.flatMap((i) => (trains.has(i.name) ? [i.name] : []));
}

/** Which parameters learn from this loss, by full name, in the order of their declaration. @throws QueryError where there is no such loss. */
export function parametersTrainedBy(graph: ModelGraph, loss: string | LossTerm): string[] {
  const term = lossOf(graph, loss);
  if (isZero(term.weight)) return [];
  const trained = new Set([...parameters(graph)].flatMap((p) => (p.decl.role === "learn" && p.instance.training.kind === "optimized" ? [p.name] : [])));
  const { learns } = parametersBehind(graph.body, [term.node], flow(graph).funcs, (path) => trained.has(path));
  return [...trained].filter((name) => learns.has(name));
}

/** What a value is computed from. */
export interface Dependencies {
  /** All nodes behind it, the node itself included, in evaluation order. */
  readonly nodes: readonly NodeId[];
  /** Inputs and views whose content it has seen. */
  readonly sources: readonly string[];
  /** Instances whose parameters it uses. */
  readonly instances: readonly string[];
  /** Instances that it follows as a moving average. */
  readonly follows: readonly string[];
  /** Masks that chose what it has seen, or at whose positions it was made. */
  readonly masks: readonly string[];
}

/** What a node (by id, or by the name that the program gives it) depends on. @throws QueryError where there is none. */
export function dependsOn(graph: ModelGraph, node: NodeId | string): Dependencies {
  requireGraph(graph);
  const target = typeof node === "string" ? nodeNamed(graph, node) : graph.body.nodes[node];
  if (target === undefined) throw unknown("value", node, [...namedNodes(graph).keys()]);
  const facts = flow(graph);
  const own = facts.nodes.get(target.id) ?? noFlow;
  const behind = usedNodes(graph, target.id, facts);
  const functions = new Map(graph.funcs.map((f) => [f.name, f]));
  const masks = new Set(behind.flatMap((id) => {
    const at = graph.body.nodes[id];
    return at === undefined ? [] : [...(at.attrs.mask === undefined ? [] : [at.attrs.mask]), ...(functions.get(at.attrs.func ?? "")?.masks ?? [])];
  }));
  return {
    nodes: behind,
    sources: [...own.seen.keys()],
    instances: graph.instances.flatMap((i) => (own.depends.has(i.name) ? [i.name] : [])),
    follows: graph.instances.flatMap((i) => (own.follows.has(i.name) ? [i.name] : [])),
    masks: graph.masks.flatMap((m) => (masks.has(m.name) ? [m.name] : [])),
  };
}

/** Nodes behind a node, leaving out operands that a function ignores. */
function usedNodes(graph: ModelGraph, root: NodeId, facts: Flow): NodeId[] {
  const found = new Set([root]);
  for (let id = root; id >= 0; id--) {
    const node = graph.body.nodes[id];
    if (node === undefined || !found.has(id)) continue;
    const from = producer(graph.body, node);
    if (node.op === "result") found.add(from.node.id);
    const result = isCall(from.node) ? facts.funcs.get(from.node.attrs.func)?.[from.index] : undefined;
    from.node.args.forEach((arg, i) => {
      if (result === undefined || result.inputs.has(i)) found.add(arg);
    });
  }
  return [...found].sort((a, b) => a - b);
}

/** How something flows: as data; into a stop-gradient; into a loss; or as a moving average of parameters. */
export type EdgeKind = "data" | "stop-gradient" | "loss" | "ema";

/** An edge between model-level nodes, or for `ema` between instances. */
export type Edge =
  | {
    readonly kind: "data" | "stop-gradient" | "loss";
    readonly from: NodeId;
    readonly to: NodeId;
    /** Which operand of `to`. */
    readonly operand: number;
    /** Whether training sends a gradient back along it to something that learns. */
    readonly gradient: boolean;
  }
  | { readonly kind: "ema"; readonly from: string; readonly to: string; readonly momentum: Schedule };

/** All edges of the model: operands in node order, then moving averages. */
export function edges(graph: ModelGraph, facts: Flow = flow(graph)): Edge[] {
  const carrying = gradientOperands(graph, facts);
  const data = graph.body.nodes.flatMap((node) => node.args.map((from, operand): Edge => ({
    kind: node.op === "stop_gradient" ? "stop-gradient" : node.op === "loss" ? "loss" : "data",
    from, to: node.id, operand, gradient: carrying.has(`${node.id}:${operand}`),
  })));
  const averages = graph.instances.flatMap((i): Edge[] => (i.training.kind === "ema" ? [{ kind: "ema", from: i.training.of, to: i.name, momentum: i.training.momentum }] : []));
  return [...data, ...averages];
}

/** Operands along which a gradient of some loss with a weight goes back to something that learns, as `node:operand`. */
function gradientOperands(graph: ModelGraph, facts: Flow): ReadonlySet<string> {
  const reached = new Set(graph.losses.flatMap((l) => (isZero(l.weight) ? [] : [l.node])));
  const carrying = new Set<string>();
  for (let id = graph.body.nodes.length - 1; id >= 0; id--) {
    const node = graph.body.nodes[id];
    if (node === undefined || !reached.has(id) || !passesGradient(node)) continue;
    const from = producer(graph.body, node);
    const result = isCall(from.node) ? facts.funcs.get(from.node.attrs.func)?.[from.index] : undefined;
    from.node.args.forEach((arg, operand) => {
      const passes = result === undefined ? !isCall(from.node) : result.inputs.get(operand)?.gradient === true;
      if (!passes || (facts.nodes.get(arg)?.trains.size ?? 0) === 0) return;
      reached.add(arg);
      carrying.add(`${from.node.id}:${operand}`);
      if (node.op === "result") carrying.add(`${node.id}:0`);
    });
  }
  return carrying;
}

/** Numbers of values in parameters. */
export interface ParameterCount {
  /** What the optimizer changes: zero for moving averages and frozen instances. */
  readonly trained: number;
  /** Learnable by role, but owned by a moving average or a frozen instance. */
  readonly untrained: number;
  /** Tables that are never trained, such as position embeddings. */
  readonly fixed: number;
  /** Running statistics. */
  readonly state: number;
  readonly total: number;
}

/** Exact counts (below 2^53) of one instance, or of the whole model. @throws QueryError for an unknown instance. */
export function parameterCount(graph: ModelGraph, instance?: string | Instance): ParameterCount {
  requireGraph(graph);
  const owners = instance === undefined ? graph.instances : [ownInstance(graph, instance)];
  const count = { trained: 0, untrained: 0, fixed: 0, state: 0, total: 0 };
  for (const owner of owners) {
    for (const decl of owner.params) {
      const size = sizeOf(decl);
      const group = decl.role !== "learn" ? decl.role : owner.training.kind === "optimized" ? "trained" : "untrained";
      count[group] += size;
      count.total += size;
    }
  }
  return count;
}

/** Instances that no loss trains although they are there to be trained, in order. */
export function neverTrained(graph: ModelGraph): string[] {
  requireGraph(graph);
  const trained = new Set(graph.losses.flatMap((l) => trainedBy(graph, l)));
  return graph.instances.flatMap((i) => (i.training.kind === "optimized" && i.params.some((p) => p.role === "learn") && !trained.has(i.name) ? [i.name] : []));
}

/** Model-level nodes that no loss is computed from. */
export function unusedNodes(graph: ModelGraph): NodeId[] {
  const used = reachable(graph.body, graph.losses.map((l) => l.node));
  return graph.body.nodes.flatMap((n) => (used.has(n.id) ? [] : [n.id]));
}

/** The instance behind a call at model level, or undefined for other nodes. */
export function instanceOf(graph: ModelGraph, node: Node): Instance | undefined {
  return isCall(node) ? graph.instances.find((i) => i.name === rootOf(paramPrefix(node))) : undefined;
}
