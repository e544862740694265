/**
 * From a checked program to tensor functions: `main` (the objective and what is watched) and one function per encoder.
 *
 * Owns the two kinds of entry point and their inputs and outputs (see `targets/step.ts` for the convention). Instances
 * that neither a loss nor a probe reads do not appear. Leaves gradients to autodiff and bodies to `body.ts`.
 */
import type { EncoderEntry } from "../check/model.js";
import type { Instance, ModelGraph, NodeId, ParamDecl } from "../model/ir.js";
import { buildFunc } from "../tensor/build.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { Module, ValueId } from "../tensor/ir.js";
import { f32, withFunc } from "../tensor/ir.js";
import { constantDim } from "../types/dim.js";
import type { LowerCx } from "./body.js";
import { aloneName, findRewrites, lowerFuncs, lowerNodes, openScope } from "./body.js";

/** A pooled feature that every step can hand back. */
export interface WatchInfo {
  readonly name: string;
  readonly width: number;
  /** For the mean token of each position: the encoder. */
  readonly of?: string;
}

/** A tensor of standard normal numbers that each step is given. */
export interface DrawInfo {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The lowered program before differentiation. */
export interface Lowered {
  readonly module: Module;
  readonly main: string;
  readonly encoders: readonly { readonly name: string; readonly func: string }[];
  readonly watches: readonly WatchInfo[];
  readonly draws: readonly DrawInfo[];
  /** Parameters that `main` reads or an average follows, by absolute path. */
  readonly params: readonly ProgramParam[];
  /** Instances in use, in order of declaration. */
  readonly instances: readonly Instance[];
}

/** A parameter of the program by its absolute path. */
export interface ProgramParam extends ParamDecl {
  readonly instance: string;
  readonly trained: boolean;
}

/** Lowers a program. `probed` names encoders that must be runnable whether or not a loss reads them. */
export function lowerProgram(graph: ModelGraph, encoders: readonly EncoderEntry[], probed: ReadonlySet<string>): Lowered {
  const funcs = new Map(graph.funcs.map((f) => [f.name, f]));
  const cx: LowerCx = { masks: new Map(graph.masks.map((m) => [m.name, m])), funcs, rewrites: findRewrites(funcs) };
  const instances = liveInstances(graph, probed);
  const params = instances.flatMap((i) => i.params.map((p) => ({ ...p, path: `${i.name}.${p.path}`, instance: i.name, trained: i.training.kind === "optimized" && p.role === "learn" })));
  let module = lowerFuncs(cx);
  const watches: WatchInfo[] = [];
  const draws: DrawInfo[] = [];
  module = withFunc(module, lowerMain(cx, module, graph, params, { watches, draws }));
  const runnable: { name: string; func: string }[] = [];
  for (const entry of encoders) {
    const instance = instances.find((i) => i.name === entry.name);
    if (instance === undefined) continue;
    const name = `encode_${entry.name}`;
    module = withFunc(module, lowerEncoder(module, cx, entry, params.filter((p) => p.instance === entry.name), name));
    runnable.push({ name: entry.name, func: name });
  }
  return { module, main: "main", encoders: runnable, watches, draws, params, instances };
}

/** Nodes that the losses read. */
export function liveNodes(graph: ModelGraph): ReadonlySet<NodeId> {
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
  for (const node of graph.body.nodes) if (live.has(node.id) && node.op === "call") names.add((node.attrs.instance ?? "").split(".")[0] ?? "");
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

function lowerMain(cx: LowerCx, module: Module, graph: ModelGraph, params: readonly ProgramParam[], found: { watches: WatchInfo[]; draws: DrawInfo[] }): ReturnType<FuncBuilder["finish"]> {
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
  const scope = openScope(cx, b, { ...graph.body, inputs }, { masks, params: used, training: true, indexName: (mask) => mask, draw });
  lowerNodes(cx, scope, graph.body, live);
  const terms = graph.losses.map((l) => ({ name: l.name, value: scope.value(l.node), weight: l.weight.points[0] ?? 1 }));
  const total = terms.reduce<ValueId | undefined>((sum, t) => {
    const weighted = b.op("scale", [t.value], { by: t.weight });
    return sum === undefined ? weighted : b.op("add", [sum, weighted]);
  }, undefined);
  if (total !== undefined) b.output("total", total, "loss");
  for (const t of terms) b.output(t.name === "total" ? "total_term" : t.name, t.value, "loss");
  for (const w of watched(graph, live)) {
    const node = graph.body.nodes[w.node];
    const width = node?.type.shape.at(-1);
    if (node === undefined || width === undefined) continue;
    const tokens = node.type.axes.indexOf("token");
    const pooled = tokens < 0 ? scope.value(w.node) : b.op("mean", [scope.value(w.node)], { axes: [tokens], keep: false });
    b.output(w.name, pooled, "watch");
    const info = { name: w.name, width: width.terms[0]?.coefficient ?? 0 };
    found.watches.push(info);
    if (tokens !== 1 || node.type.shape.length !== 3) continue;
    // Beside the pictures' features the positions': position codes alone can make tokens look varied.
    const positions = `${w.name} by position`;
    b.output(positions, b.op("mean", [scope.value(w.node)], { axes: [0], keep: false }), "watch");
    found.watches.push({ ...info, name: positions, of: w.name });
  }
  for (const [path, value] of scope.state) b.output(path, value, "data");
  return b.finish();
}

function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`;
  taken.add(name);
  return name;
}

/** The first output of each encoder that a loss reads: what collapses when training goes wrong. */
function watched(graph: ModelGraph, live: ReadonlySet<NodeId>): { name: string; node: NodeId }[] {
  const seen = new Map<string, NodeId>();
  const encoders = new Set(graph.instances.filter((i) => i.role === "encoder").map((i) => i.name));
  for (const node of graph.body.nodes) {
    const name = node.attrs.instance;
    if (node.op === "call" && live.has(node.id) && name !== undefined && encoders.has(name) && !seen.has(name)) seen.set(name, node.id);
  }
  return [...seen].map(([name, node]) => ({ name, node }));
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
    if (node.op !== "call" || !live.has(node.id)) continue;
    for (const p of funcs.get(node.attrs.func ?? "")?.params ?? []) read.add(`${node.attrs.instance}.${p.path}`);
  }
  return params.filter((p) => read.has(p.path));
}

function lowerEncoder(module: Module, cx: LowerCx, entry: EncoderEntry, params: readonly ProgramParam[], name: string): ReturnType<FuncBuilder["finish"]> {
  const callee = cx.funcs.get(entry.func);
  const b = buildFunc(module, { name, dims: ["B"], doc: `The encoder \`${entry.name}\` alone, on whole images.`, ...(callee === undefined ? {} : { origin: callee.origin }) });
  const shape = [...(callee?.body.nodes[callee.body.inputs[0] ?? 0]?.type.shape ?? [])];
  const x = b.input(entry.input, f32(shape), "data");
  const own = new Map(params.map((p) => [p.path, b.input(p.path, f32(p.shape.map(constantDim), p.stack), "param")]));
  const args = (callee?.params ?? []).flatMap((p) => own.get(`${entry.name}.${p.path}`) ?? []);
  const [out] = b.call(aloneName(cx, entry.func), [x, ...args], entry.dims);
  if (out !== undefined) b.output("out", out, "data");
  return b.finish();
}
