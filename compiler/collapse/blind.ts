/**
 * What one number has no gradient of: its direction, its share of a distribution, its deviation from its own mean.
 *
 * The direction of one number is its sign; a distribution of one code gives it all; one feature has no other to be correlated
 * with. What is left of a gradient there is that of an `eps`, or of rounding. The graph is written so that this shows: a stop
 * stands where no gradient goes on, so that whoever asks what trains is told. Measured: SimSiam and SwAV behind a head of one
 * number move by what rounding leaves, and tell a pair from strangers no better than before. Owns that writing; which losses
 * need more than one feature is in the table of losses.
 */
import type { Body, ModelGraph, Node, NodeId } from "../model/ir.js";
import { isLoss, lossKind } from "../model/losses.js";
import { nodeOf } from "../model/node.js";
import { constantOf } from "../types/dim.js";

/** Whether a value has one feature. */
export function isOneNumber(node: Node | undefined): boolean {
  const last = node?.type.shape.at(-1);
  return node?.type.axes.at(-1) === "feature" && last !== undefined && constantOf(last) === 1;
}

/** Whether a node is a loss that has no gradient of its operands, as each is one number. */
export function isBlind(body: Body, id: NodeId): boolean {
  const node = body.nodes[id];
  const kind = node?.op === "loss" ? (node.attrs.loss ?? "") : "";
  return isLoss(kind) && lossKind(kind).features > 1 && node?.args.some((arg) => isOneNumber(body.nodes[arg])) === true;
}

/** The graph with its functions so written. */
export function withBlindFunctions(graph: ModelGraph): ModelGraph {
  const funcs = graph.funcs.map((func) => (func.body.nodes.some(passesNothing) ? { ...func, body: { ...func.body, nodes: func.body.nodes.map(stopped) } } : func));
  return funcs.every((func, at) => func === graph.funcs[at]) ? graph : { ...graph, funcs };
}

/** A body so written, with a stop before each operand of a blind loss; `moved`: where its nodes are then. */
export function withBlindLosses(body: Body): { readonly body: Body; readonly moved: (id: NodeId) => NodeId } {
  if (!body.nodes.some((node) => passesNothing(node) || isBlind(body, node.id))) return { body, moved: (id) => id };
  const nodes: Node[] = [];
  const places: NodeId[] = [];
  const moved = (id: NodeId): NodeId => places[id] ?? id;
  const put = (node: Node, args: readonly NodeId[]): NodeId => {
    nodes.push(nodeOf({ ...node, id: nodes.length, args }));
    return nodes.length - 1;
  };
  for (const node of body.nodes) {
    const args = node.args.map(moved);
    const stops = isBlind(body, node.id) ? node.args.map((id, at) => {
      const of = body.nodes[id];
      return of === undefined ? (args[at] ?? 0) : put({ ...of, op: "stop_gradient", attrs: {} }, [moved(id)]);
    }) : args;
    places[node.id] = put(stopped(node), stops);
  }
  return { body: { inputs: body.inputs.map(moved), nodes, results: body.results.map(moved) }, moved };
}

/** Operations that give one number its sign, or the same whatever it is. */
function passesNothing(node: Node): boolean {
  if (!isOneNumber(node)) return false;
  if (node.op === "softmax" || node.op === "log_softmax") return node.attrs.over?.every((axis) => axis === "feature") === true;
  return node.op === "l2_normalize" || node.op === "normalize" || node.op === "sinkhorn";
}

function stopped(node: Node): Node {
  if (!passesNothing(node)) return node;
  const { id, args, type, name, origin } = node;
  return node.op === "l2_normalize" ? { id, args, type, name, origin, op: "stop_gradient", attrs: {} } : { id, args: [], type, name, origin, op: "constant", attrs: { value: node.op === "softmax" ? 1 : 0 } };
}
