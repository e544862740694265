/**
 * From a checked program to tensor functions: `main` (the objective and what is watched) and one function per encoder.
 *
 * Owns the two kinds of entry point and their inputs and outputs (see `targets/step.ts` for the convention). Instances
 * that neither a loss nor a probe reads do not appear. Leaves gradients to autodiff and bodies to `body.ts`.
 */
import type { EncoderEntry } from "../check/model.js";
import type { Watchlist } from "../collapse/monitors.js";
import type { Instance, ModelGraph, NodeId, ParamDecl } from "../model/ir.js";
import { buildFunc } from "../tensor/build.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { Module, ValueId } from "../tensor/ir.js";
import { f32, withFunc } from "../tensor/ir.js";
import { constantDim, constantOf } from "../types/dim.js";
import type { NumberInput, Watch } from "../../runtime/abi.js";
import type { LowerCx } from "./body.js";
import { tokensOfClip } from "./clips.js";
import { createQueues } from "./queues.js";
import { lowerWatches } from "./watches.js";
import { aloneName, findMoves, freshName, lowerFuncs, lowerNodes, movedStates, openScope } from "./body.js";

/** A tensor of standard normal numbers that each step is given. */
export interface DrawInfo {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The weight of a loss that changes over training: a scalar that each step is given. */
export interface WeightInfo {
  readonly loss: string;
  /** The path of the input: `weight near`. No view, mask or draw has a name with a space. */
  readonly input: string;
}

/** The lowered program before differentiation. */
export interface Lowered {
  readonly module: Module;
  readonly main: string;
  readonly encoders: readonly { readonly name: string; readonly func: string }[];
  /** Inputs that are no pixels: actions and labels that a loss reads. */
  readonly numbers: readonly NumberInput[];
  readonly watches: readonly Watch[];
  readonly draws: readonly DrawInfo[];
  readonly weights: readonly WeightInfo[];
  /** Parameters that `main` reads or an average follows, and queues, by absolute path. */
  readonly params: readonly ProgramParam[];
  /** Instances in use, in order of declaration. */
  readonly instances: readonly Instance[];
}

/** A parameter of the program by its absolute path; `instance` is the group of a queue. */
export interface ProgramParam extends ParamDecl {
  readonly instance: string;
  readonly trained: boolean;
}

/** Lowers a program. `probed` names encoders that must be runnable whether or not a loss reads them; `watchlist` what is watched. */
export function lowerProgram(graph: ModelGraph, encoders: readonly EncoderEntry[], probed: ReadonlySet<string>, watchlist?: Watchlist): Lowered {
  const funcs = new Map(graph.funcs.map((f) => [f.name, f]));
  const cx: LowerCx = { masks: new Map(graph.masks.map((m) => [m.name, m])), funcs, moves: findMoves(funcs) };
  const instances = liveInstances(graph, probed);
  const params = instances.flatMap((i) => i.params.map((p) => ({ ...p, path: `${i.name}.${p.path}`, instance: i.name, trained: i.training.kind === "optimized" && p.role === "learn" })));
  let module = lowerFuncs(cx);
  const watches: Watch[] = [];
  const draws: DrawInfo[] = [];
  const weights: WeightInfo[] = [];
  const queues: ProgramParam[] = [];
  module = withFunc(module, lowerMain(cx, module, graph, params, { watches, draws, weights, queues, watchlist }));
  const runnable: { name: string; func: string }[] = [];
  for (const entry of encoders) {
    const instance = instances.find((i) => i.name === entry.name);
    if (instance === undefined) continue;
    const name = `encode_${entry.name}`;
    module = withFunc(module, lowerEncoder(module, cx, entry, params.filter((p) => p.instance === entry.name), name));
    runnable.push({ name: entry.name, func: name });
  }
  return { module, main: "main", encoders: runnable, numbers: numbersOf(graph), watches, draws, weights, params: [...params, ...queues], instances };
}

/** Actions and labels that the losses read, in the order of their declaration. */
function numbersOf(graph: ModelGraph): NumberInput[] {
  const live = liveNodes(graph);
  return graph.body.inputs.flatMap((id): NumberInput[] => {
    const node = graph.body.nodes[id];
    const kind = node?.type.space.kind === "actions" ? "action" : node?.type.space.kind === "labels" ? "label" : undefined;
    if (node?.op !== "input" || kind === undefined || !live.has(id)) return [];
    return [{ name: node.attrs.path, kind, shape: node.type.shape.slice(1).map((d) => constantOf(d) ?? 0) }];
  });
}

/** Nodes that the losses read. */
function liveNodes(graph: ModelGraph): ReadonlySet<NodeId> {
  const live = new Set<NodeId>();
  const todo = graph.losses.map((l) => l.node);
  while (todo.length > 0) {
    const id = todo.pop();
    if (id === undefined || live.has(id)) continue;
    live.add(id);
    todo.push(...(graph.body.nodes[id]?.args ?? []));
  }
  return live;
}

function liveInstances(graph: ModelGraph, probed: ReadonlySet<string>): readonly Instance[] {
  const live = liveNodes(graph);
  const names = new Set(probed);
  for (const node of graph.body.nodes) {
    if (live.has(node.id) && (node.op === "call" || node.op === "param")) names.add(((node.op === "call" ? node.attrs.instance : node.attrs.path) ?? "").split(".")[0] ?? "");
  }
  for (let grown = true; grown;) {
    grown = false;
    for (const i of graph.instances) {
      if (i.training.kind !== "ema" || !names.has(i.name) || names.has(i.training.of)) continue;
      names.add(i.training.of);
      grown = true;
    }
  }
  return graph.instances.filter((i) => names.has(i.name));
}

function lowerMain(cx: LowerCx, module: Module, graph: ModelGraph, params: readonly ProgramParam[], found: { watches: Watch[]; draws: DrawInfo[]; weights: WeightInfo[]; queues: ProgramParam[]; readonly watchlist: Watchlist | undefined }): ReturnType<FuncBuilder["finish"]> {
  const live = liveNodes(graph);
  const inputs = graph.body.inputs.filter((id) => live.has(id));
  const masks = usedMasks(cx, graph, live);
  const used = usedParams(graph, live, params);
  const dims = ["B", ...masks.map((m) => `K_${m}`)];
  const b = buildFunc(module, { name: "main", dims, doc: `One pass of \`${graph.name}\`: its losses, and features to watch.`, origin: graph.origin });
  const taken = new Set([...graph.inputs, ...graph.views, ...graph.masks].map((x) => x.name));
  const draw = (shape: readonly number[]): ValueId => {
    const name = freshName("directions", taken);
    found.draws.push({ name, shape });
    return b.input(name, f32(shape.map(constantDim)), "data");
  };
  const weigh = (loss: string): string => {
    const input = `weight ${loss}`;
    found.weights.push({ loss, input });
    return input;
  };
  const groups = new Set([...taken, ...graph.instances.map((i) => i.name)]);
  const queues = createQueues(b, (node) => freshName(graph.losses.find((l) => l.node === node.id)?.name ?? node.name ?? node.attrs.loss ?? node.op, groups));
  const scope = openScope(cx, b, { ...graph.body, inputs }, { masks, params: used, training: true, indexName: (mask) => mask, draw, queue: queues.open });
  lowerNodes(cx, scope, graph.body, live);
  const terms = graph.losses.map((l) => ({ name: l.name, value: scope.value(l.node), weight: l.weight }));
  const total = terms.reduce<ValueId | undefined>((sum, t) => {
    const weighted = t.weight.kind === "constant" ? b.op("scale", [t.value], { by: t.weight.points[0] ?? 1 }) : b.op("mul", [t.value, b.input(weigh(t.name), f32([]), "scalar")]);
    return sum === undefined ? weighted : b.op("add", [sum, weighted]);
  }, undefined);
  if (total !== undefined) b.output("total", total, "loss");
  for (const t of terms) b.output(t.name === "total" ? "total_term" : t.name, t.value, "loss");
  lowerWatches({ graph, live, b, value: (id) => scope.value(id) }, found);
  for (const [path, value] of [...movedStates(scope), ...queues.next]) b.output(path, value, "data");
  found.queues.push(...queues.params.map(({ group, ...p }) => ({ ...p, instance: group, trained: false })));
  return b.finish();
}

function usedMasks(cx: LowerCx, graph: ModelGraph, live: ReadonlySet<NodeId>): readonly string[] {
  const names = new Set<string>();
  for (const node of graph.body.nodes) {
    if (!live.has(node.id)) continue;
    if (node.attrs.mask !== undefined && node.type.pending === undefined && node.attrs.select === undefined) names.add(node.attrs.mask);
    for (const m of cx.funcs.get(node.attrs.func ?? "")?.masks ?? []) names.add(m);
  }
  return graph.masks.map((m) => m.name).filter((m) => names.has(m));
}

function usedParams(graph: ModelGraph, live: ReadonlySet<NodeId>, params: readonly ProgramParam[]): readonly ProgramParam[] {
  const read = new Set<string>();
  const funcs = new Map(graph.funcs.map((f) => [f.name, f]));
  for (const node of graph.body.nodes) {
    if (node.op === "param" && live.has(node.id)) read.add(node.attrs.path ?? "");
    if (node.op !== "call" || !live.has(node.id)) continue;
    for (const p of funcs.get(node.attrs.func ?? "")?.params ?? []) read.add(`${node.attrs.instance}.${p.path}`);
  }
  return params.filter((p) => read.has(p.path));
}

function lowerEncoder(module: Module, cx: LowerCx, entry: EncoderEntry, params: readonly ProgramParam[], name: string): ReturnType<FuncBuilder["finish"]> {
  const callee = cx.funcs.get(entry.func);
  const b = buildFunc(module, { name, dims: ["B"], doc: `The encoder \`${entry.name}\` alone, on whole ${entry.size.frames === undefined ? "images" : "clips"}.`, ...(callee === undefined ? {} : { origin: callee.origin }) });
  const shape = [...(callee?.body.nodes[callee.body.inputs[0] ?? 0]?.type.shape ?? [])];
  const x = b.input(entry.input, f32(shape), "data");
  const own = new Map(params.map((p) => [p.path, b.input(p.path, f32(p.shape.map(constantDim), p.stack), "param")]));
  const args = (callee?.params ?? []).flatMap((p) => own.get(`${entry.name}.${p.path}`) ?? []);
  const [out] = b.call(aloneName(cx, entry.func), [x, ...args], entry.dims);
  if (out !== undefined) b.output("out", entry.result.axes.includes("time") ? tokensOfClip(b, out) : out, "data");
  return b.finish();
}
