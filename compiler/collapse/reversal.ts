/**
 * Gradients that are turned round on their way: `2 * stopgrad(x) - x` has the value of `x` and trains what made it against
 * the loss (a gradient reversal layer).
 *
 * A value counts each of its parts as often as it holds it (`fold.ts`), and a gradient as often as it holds it outside of
 * stops. Where the two have different signs, what a term asks of a value it does not ask of what made it. A part that stops
 * alone cancel (a straight-through estimate) and one that gets a share of its gradient are not turned round.
 */
import type { Body, ModelGraph, NodeId } from "../model/ir.js";
import { passesGradient } from "../model/flow.js";
import { isCall } from "../model/visit.js";
import type { Form } from "./forms.js";
import { partsOf } from "./fold.js";

/** Nodes that turn a gradient round, in a flat body: themselves, or in a module that they apply. */
export function reversing(graph: ModelGraph, body: Body, forms: readonly Form[]): ReadonlySet<NodeId> {
  const funcs = new Set<string>();
  const inside = (own: Body, values: readonly Form[]): ReadonlySet<NodeId> => {
    const slopes = slopesOf(own, values);
    return new Set(own.nodes.flatMap((n) => (isCall(n) ? funcs.has(n.attrs.func ?? "") : isTurned(values[n.id], slopes[n.id])) ? [n.id] : []));
  };
  for (const func of graph.funcs) if (stops(func.body, funcs) && inside(func.body, partsOf(func.body)).size > 0) funcs.add(func.name);
  return stops(body, funcs) ? inside(body, forms) : new Set();
}

/** Nodes among `turning` that a gradient at a node passes through. */
export function turnedBelow(body: Body, id: NodeId, turning: ReadonlySet<NodeId>): readonly NodeId[] {
  if (turning.size === 0) return [];
  const seen = new Set([id]);
  for (const at of seen) {
    const node = body.nodes[at];
    if (node !== undefined && passesGradient(node)) for (const arg of node.args) seen.add(arg);
  }
  return [...seen].filter((at) => turning.has(at));
}

/** Without a stop every gradient is the value's own. */
function stops(body: Body, funcs: ReadonlySet<string>): boolean {
  return body.nodes.some((n) => n.op === "stop_gradient" || (isCall(n) && funcs.has(n.attrs.func ?? "")));
}

function isTurned(value: Form | undefined, slope: ReadonlyMap<number, number> | undefined): boolean {
  return value !== undefined && slope !== undefined && [...value.parts].some(([part, count]) => count * (slope.get(part) ?? 0) < 0);
}

type Slope = ReadonlyMap<number, number>;

/** For every node, how much of each part a gradient at it goes to, stops not looked through. */
function slopesOf(body: Body, values: readonly Form[]): readonly Slope[] {
  const slopes: Slope[] = [];
  const constant = (id: NodeId | undefined): number | undefined => {
    const form = id === undefined ? undefined : values[id];
    return form?.parts.size === 0 ? form.rest : undefined;
  };
  for (const node of body.nodes) {
    const [a, b] = node.args.map((arg) => slopes[arg] ?? new Map<number, number>());
    const [x, y] = [constant(node.args[0]), constant(node.args[1])];
    // What an operation makes of its operands has the gradient that it has.
    let slope: Slope = values[node.id]?.parts ?? new Map();
    if (node.op === "stop_gradient") slope = new Map();
    else if (a !== undefined && b !== undefined && (node.op === "add" || node.op === "sub")) slope = added(a, b, node.op === "add" ? 1 : -1);
    else if (a !== undefined && node.op === "neg") slope = added(new Map(), a, -1);
    else if (a !== undefined && node.op === "shift") slope = a;
    else if (a !== undefined && node.op === "scale" && node.attrs.schedule === undefined) slope = added(new Map(), a, node.attrs.value ?? 1);
    else if (a !== undefined && b !== undefined && node.op === "mul" && (x ?? y) !== undefined) slope = x === undefined ? added(new Map(), a, y ?? 1) : added(new Map(), b, x);
    else if (a !== undefined && node.op === "div" && y !== undefined && y !== 0) slope = added(new Map(), a, 1 / y);
    slopes.push(slope);
  }
  return slopes;
}

function added(a: Slope, b: Slope, by: number): Slope {
  const out = new Map(a);
  for (const [part, count] of b) out.set(part, (out.get(part) ?? 0) + by * count);
  return out;
}
