/**
 * Walks over a model graph.
 *
 * Owns iteration (nodes of every body, calls with their callee, parameters with their full names and counts) and
 * reachability. Generators, because most questions stop early. Leaves gradients to `flow.ts`: what is reachable here is
 * what a value is computed from, stop-gradient or not.
 */
import type { Body, CallNode, Func, Instance, ModelGraph, Node, NodeId, ParamDecl } from "./ir.js";

/** A body with the function that it belongs to; undefined for the model's own. */
export interface Place {
  readonly func: Func | undefined;
  readonly body: Body;
}

/** The bodies of a graph: functions in order, the model's last, so that a callee precedes its callers. */
function* bodies(graph: ModelGraph): Generator<Place> {
  for (const func of graph.funcs) yield { func, body: func.body };
  yield { func: undefined, body: graph.body };
}

/** Every node of every body. */
export function* nodes(graph: ModelGraph): Generator<Place & { readonly node: Node }> {
  for (const place of bodies(graph)) for (const node of place.body.nodes) yield { ...place, node };
}

/** Every call and loop of every body, with the function that it runs (undefined where there is none: see `verify.ts`). */
export function* calls(graph: ModelGraph): Generator<Place & { readonly node: CallNode; readonly callee: Func | undefined }> {
  const funcs = funcTable(graph);
  for (const at of nodes(graph)) if (isCall(at.node)) yield { ...at, node: at.node, callee: funcs.get(at.node.attrs.func) };
}

/** Whether a node runs a function. */
export function isCall(node: Node): node is CallNode {
  return node.op === "call" || node.op === "repeat";
}

/** Functions by name. */
export function funcTable(graph: ModelGraph): ReadonlyMap<string, Func> {
  return new Map(graph.funcs.map((f) => [f.name, f]));
}

/** A parameter with its owner and its number of values, all elements of a list of parts counted. */
export interface Parameter {
  readonly instance: Instance;
  /** `student.blocks.*.norm1.weight` */
  readonly name: string;
  readonly decl: ParamDecl;
  readonly count: number;
}

/** Every parameter, by instance. */
export function* parameters(graph: ModelGraph): Generator<Parameter> {
  for (const instance of graph.instances) {
    for (const decl of instance.params) yield { instance, name: `${instance.name}.${decl.path}`, decl, count: sizeOf(decl) };
  }
}

/** Values in one parameter: the product of its shape and of the lists it stands in. Exact below 2^53. */
export function sizeOf(decl: ParamDecl): number {
  return [...decl.stack, ...decl.shape].reduce((n, d) => n * d, 1);
}

/** The instance that owns a path: `student` for `student.patch_embed`. */
export function rootOf(path: string): string {
  const dot = path.indexOf(".");
  return dot < 0 ? path : path.slice(0, dot);
}

/** `prefix.path`, or `path` where the prefix is the body's own element. */
export function joinPath(prefix: string, path: string): string {
  return prefix === "" ? path : `${prefix}.${path}`;
}

/** The prefix that a call gives to its callee's parameters. */
export function paramPrefix(node: CallNode): string {
  return node.op === "repeat" ? `${node.attrs.list}.*` : node.attrs.instance;
}

/** The call that a node takes its value from, and which result: for a `result` node the call behind it. */
export function producer(body: Body, node: Node): { readonly node: Node; readonly index: number } {
  if (node.op !== "result") return { node, index: 0 };
  const behind = body.nodes[node.args[0] ?? -1];
  return behind === undefined ? { node, index: 0 } : { node: behind, index: node.attrs.index };
}

/** Every node that the roots are computed from, roots included. One pass from the last node to the first. */
export function reachable(body: Body, roots: Iterable<NodeId>): ReadonlySet<NodeId> {
  const found = new Set(roots);
  for (let id = body.nodes.length - 1; id >= 0; id--) {
    if (found.has(id)) for (const arg of body.nodes[id]?.args ?? []) found.add(arg);
  }
  return found;
}

/** For every node, the nodes that use it, in order. */
export function users(body: Body): readonly (readonly NodeId[])[] {
  const table: NodeId[][] = body.nodes.map(() => []);
  for (const node of body.nodes) for (const arg of new Set(node.args)) table[arg]?.push(node.id);
  return table;
}
