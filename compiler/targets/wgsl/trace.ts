/**
 * From a step program to flat graphs: functions are followed into their calls, repeats iteration by iteration.
 *
 * Owns dimension bindings on the way down, what inputs and outputs of the entry functions are on the device, and the homes
 * of gradients: a gradient is made in its place where that is possible, and copied there where it is a view or shared.
 * What single ops become is `lowering.ts`.
 */
import type { Func, Module, Node } from "../../tensor/ir.js";
import { IrError, funcOf, typeOf } from "../../tensor/ir.js";
import type { PrimitiveName } from "../../tensor/ops.js";
import { substituteType } from "../../tensor/shapes.js";
import { substituteNode } from "../../tensor/visit.js";
import type { Dim } from "../../types/dim.js";
import type { StepProgram } from "../step.js";
import { GraphBuilder, broadcastView, isPlain, splat, viewOf } from "./build.js";
import type { Graph, Tensor } from "./graph.js";
import { instanceOf, readsOf, writesOf } from "./graph.js";
import type { Handle } from "./lowering.js";
import { lowerOp, operand } from "./lowering.js";

/** A named result of a graph. */
export interface Named {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A traced entry function. */
export interface Traced {
  readonly graph: Graph;
  readonly losses: readonly Named[];
  readonly watches: readonly Named[];
  readonly state: readonly Named[];
  /** Names of parameters that got a gradient. */
  readonly grads: readonly string[];
  readonly result: Tensor | undefined;
}

type Dims = ReadonlyMap<string, Dim>;

/** Forward and backward as one graph; with `scaled` the way back starts from the loss scale instead of 1. */
export function traceStep(program: StepProgram, scaled = false): Traced {
  const { module } = program;
  const g = new GraphBuilder();
  const forward = funcOf(module, program.forward);
  const results = traceFunc(g, module, forward, forward.inputs.map((i) => entry(g, forward, i)), new Map());
  const saved = new Map(forward.outputs.flatMap((o, i): [string, Handle][] => (o.role === "saved" ? [[o.path, results[i] ?? missing(o.path)]] : [])));
  const backward = funcOf(module, program.backward);
  const given = backward.inputs.map((input): Handle => {
    if (input.role === "saved") return saved.get(input.path) ?? missing(input.path);
    const { shape } = typeOf(backward, input.value);
    if (input.role !== "cotangent") return entry(g, backward, input);
    return scaled ? broadcastView(viewOf(g.fixed("scaler", "scale", "f32", [])), shape) : splat(1, shape);
  });
  if (scaled && !backward.inputs.some((i) => i.role === "cotangent")) throw new IrError("wgsl target: the way back starts from 1, where it was to start from the loss scale.");
  g.backward = true;
  const gradients = traceFunc(g, module, backward, given, new Map());
  g.backward = false;
  const named = (role: string): Named[] => forward.outputs.flatMap((o, i) => (o.role === role ? namedParts(g, o.path, results[i]) : []));
  const [losses, watches, state] = [named("loss"), named("watch"), named("data")];
  const pinned = new Set([...losses, ...watches, ...state].map((n) => n.tensor));
  const grads = backward.outputs.flatMap((o, i) => (o.role === "grad" ? placeGradient(g, o.path, results.length === 0 ? undefined : gradients[i], pinned) : []));
  return { graph: g, losses, watches, state, grads, result: undefined };
}

/** One encoder alone. */
export function traceEncoder(program: StepProgram, name: string): Traced {
  const g = new GraphBuilder();
  const func = funcOf(program.module, name);
  const [result] = traceFunc(g, program.module, func, func.inputs.map((i) => entry(g, func, i)), new Map());
  return { graph: g, losses: [], watches: [], state: [], grads: [], result: g.whole(operand(result)) };
}

/** Any function whose results are tensors, and where they lie: for tests of single ops. */
export function traceFunction(module: Module, name: string): { readonly traced: Traced; readonly results: readonly Tensor[] } {
  const g = new GraphBuilder();
  const func = funcOf(module, name);
  const results = traceFunc(g, module, func, func.inputs.map((i) => entry(g, func, i)), new Map()).map((r) => g.whole(operand(r)));
  const watches = results.map((tensor, i) => ({ name: `${i}`, tensor }));
  return { traced: { graph: g, losses: [], watches, state: [], grads: [], result: undefined }, results };
}

function missing(path: string): never {
  throw new IrError(`wgsl target: \`${path}\` is wanted but nobody makes it.`);
}

/** The handle of an input of an entry function; a stacked parameter is one tensor for each index. */
function entry(g: GraphBuilder, func: Func, input: Func["inputs"][number]): Handle {
  const { dtype, shape, stack } = typeOf(func, input.value);
  if (input.role !== "param") return viewOf(g.fixed("input", input.path, dtype, shape));
  const under = (path: string, counts: readonly number[]): Handle => {
    const [count, ...rest] = counts;
    if (count === undefined) return viewOf(g.fixed("param", path, dtype, shape));
    return { kind: "stack", items: Array.from({ length: count }, (_, i) => under(path.replace("*", String(i)), rest)) };
  };
  return under(input.path, stack);
}

/** A result by its name; state of a list of modules is one tensor for each of them. */
function namedParts(g: GraphBuilder, path: string, handle: Handle | undefined): Named[] {
  if (handle?.kind === "stack") return handle.items.flatMap((item, i) => namedParts(g, path.replace("*", String(i)), item));
  return [{ name: path, tensor: g.whole(operand(handle)) }];
}

/** Sees to it that the gradient lies in its parameter's place; gives the parameters' names. */
function placeGradient(g: GraphBuilder, path: string, handle: Handle | undefined, pinned: ReadonlySet<Tensor>): string[] {
  if (handle === undefined) return [];
  if (handle.kind === "stack") return handle.items.flatMap((item, i) => placeGradient(g, path.replace("*", String(i)), item, pinned));
  const x = operand(handle);
  const own = x.kind === "view" && isPlain(x) && x.tensor.home.kind === "work" && !pinned.has(x.tensor);
  const tensor = own ? x.tensor : copied(g, x);
  tensor.home = { kind: "grad", name: path };
  return [path];
}

function copied(g: GraphBuilder, x: ReturnType<typeof operand>): Tensor {
  const [copy] = g.map(x.shape, [x], (loads) => loads);
  return copy?.tensor ?? missing("a gradient");
}

function traceFunc(g: GraphBuilder, module: Module, func: Func, args: readonly Handle[], dims: Dims): Handle[] {
  const values = new Map<number, Handle>();
  func.inputs.forEach((input, i) => values.set(input.value, args[i] ?? missing(input.path)));
  const at = (id: number): Handle => values.get(id) ?? missing(`%${id} of ${func.name}`);
  for (const node of func.nodes) {
    const results = traceNode(g, module, func, substituteNode(node, dims), node.args.map(at), dims);
    node.results.forEach((r, i) => {
      const result = results[i];
      if (result !== undefined) values.set(r, result);
    });
  }
  return func.outputs.map((o) => at(o.value));
}

function traceNode(g: GraphBuilder, module: Module, func: Func, node: Node, args: readonly Handle[], dims: Dims): readonly Handle[] {
  if (node.op === "call") return within(g, args, () => traceFunc(g, module, funcOf(module, node.attrs.fn), args, new Map(Object.entries(node.attrs.dims))));
  if (node.op === "repeat") return within(g, args, () => traceRepeat(g, module, node, args));
  const types = node.results.map((r) => substituteType(typeOf(func, r), dims));
  const depth = types[0]?.stack.length ?? 0;
  g.origin = node.origin;
  g.name = func.values[node.results[0] ?? -1]?.name;
  return unstacked(depth, node.op, args, (items) => lowerOp<PrimitiveName>(node.op, { g, args: items, attrs: node.attrs, types: types.map((t) => ({ ...t, stack: [] })) }));
}

/** Runs what a function does; where its parameters are of one instance, that is whose work it is. */
function within(g: GraphBuilder, args: readonly Handle[], run: () => readonly Handle[]): readonly Handle[] {
  const outer = g.instance;
  const given = instancesIn(args);
  if (given.size === 1) [g.instance] = given;
  const results = run();
  g.instance = outer;
  return results;
}

function instancesIn(handles: readonly Handle[]): Set<string> {
  return new Set(handles.flatMap((h) => (h.kind === "stack" ? [...instancesIn(h.items)] : h.kind === "view" ? instanceOf(h.tensor) ?? [] : [])));
}

/** Runs an elementwise op on each iteration's values where its operands are sequences. */
function unstacked(depth: number, op: string, args: readonly Handle[], run: (args: readonly Handle[]) => readonly Handle[]): readonly Handle[] {
  const stack = args.find((a) => a.kind === "stack");
  if (depth === 0 || stack?.kind !== "stack") return run(args);
  const parts = stack.items.map((_, i) => unstacked(depth - 1, op, args.map((a) => (a.kind === "stack" ? (a.items[i] ?? missing(op)) : a)), run));
  return (parts[0] ?? []).map((_, r): Handle => ({ kind: "stack", items: parts.map((p) => p[r] ?? missing(op)) }));
}

function traceRepeat(g: GraphBuilder, module: Module, node: Extract<Node, { op: "repeat" }>, args: readonly Handle[]): Handle[] {
  const { fn, dims, count, reverse, carries, consts } = node.attrs;
  const func = funcOf(module, fn);
  const inner = new Map(Object.entries(dims));
  const fixed = args.slice(carries, carries + consts);
  const stacked = args.slice(carries + consts);
  let state = args.slice(0, carries);
  const made: Handle[][] = [];
  for (let step = 0; step < count; step++) {
    const at = reverse ? count - 1 - step : step;
    const outermost = g.block === undefined && !g.backward;
    if (outermost) g.block = g.blocks++;
    const results = traceFunc(g, module, func, [...state, ...fixed, ...stacked.map((s) => itemOf(s, at))], inner);
    if (outermost) g.block = undefined;
    state = results.slice(0, carries);
    made[at] = results.slice(carries);
  }
  const outputs = func.outputs.slice(carries).map((o, i): Handle => ({ kind: "stack", items: made.map((m) => m[i] ?? missing(o.path)) }));
  return [...state, ...outputs];
}

function itemOf(handle: Handle, i: number): Handle {
  if (handle.kind === "stack") return handle.items[i] ?? missing("an iteration");
  return handle.kind === "splat" ? handle : missing("a stack");
}

/** Leaves out what nobody reads. */
export function withoutDead(traced: Traced): Traced {
  const wanted = new Set<Tensor>([...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor));
  if (traced.result !== undefined) wanted.add(traced.result);
  const ops = [...traced.graph.ops].reverse().filter(({ work }) => {
    const live = writesOf(work).some((t) => wanted.has(t) || t.home.kind === "grad");
    if (live) for (const t of readsOf(work)) wanted.add(t);
    return live;
  });
  return { ...traced, graph: { ops: ops.reverse(), tensors: traced.graph.tensors } };
}
