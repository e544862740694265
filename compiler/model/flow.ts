/**
 * Flow: the fourth fact of a value (language page, section 3).
 *
 * For every node of the model: which instances a gradient reaches through it, which it is computed from, which it follows
 * as a moving average, and what it has seen of which input. `stop_gradient` is the absence of an edge; a moving average and
 * a frozen instance pass a gradient on to their operands but never take one. Functions are summarized once and applied at
 * each call, so the work is linear in the nodes of the graph (times the few inputs and instances that it has), whatever
 * the depth. Facts stand in maps beside the graph. Leaves verdicts to the collapse, leak and mask analyses.
 *
 * What a value has seen is a set of masks per source. While every token depends on its own place only (`local`), picking
 * positions narrows it; once tokens have mixed (attention, pooling), picking does not unsee anything. The parts of a union of
 * batches are not told apart: each is said to have seen what any of them has.
 */
import type { Body, CallNode, Func, Instance, ModelGraph, Node, NodeId, NodeOf } from "./ir.js";
import { opTable } from "./ops.js";
import { requireGraph } from "./require.js";
import { isCall, joinPath, paramPrefix, producer, rootOf } from "./visit.js";

/** How much of a source reaches a value. */
export interface Sight {
  /** The positions, as the masks that chose them; undefined = all of them. An upper bound, never less than the truth. */
  readonly masks: ReadonlySet<string> | undefined;
  /** Masks none of whose positions is among them, because other tokens were put there. */
  readonly without: ReadonlySet<string>;
  /** Each token has seen only what is at its own place. */
  readonly local: boolean;
}

/** The flow of one value. */
export interface ValueFlow {
  /** Instances that learn from a gradient arriving at this value. */
  readonly trains: ReadonlySet<string>;
  /** Instances whose parameters this value is computed from, stop-gradient or not. */
  readonly depends: ReadonlySet<string>;
  /** Instances of which a moving average went into this value. */
  readonly follows: ReadonlySet<string>;
  /** By input or view: what content of it this value has seen. */
  readonly seen: ReadonlyMap<string, Sight>;
  /** Of which positions it was told where they are (a position table was looked up there); undefined = of none. */
  readonly placed: Sight | undefined;
}

/** What a function does between one of its results and its inputs and parameters. */
export interface ResultFlow {
  /** By index of an input: whether a gradient passes, and what is seen of it. An absent input is not used. */
  readonly inputs: ReadonlyMap<number, Sight & { readonly gradient: boolean }>;
  readonly placed: Sight | undefined;
  /** Trained parameters that a gradient reaches, by path. */
  readonly learns: ReadonlySet<string>;
  /** All parameters that the result is computed from. */
  readonly reads: ReadonlySet<string>;
}

/** The facts of a graph. */
export interface Flow {
  readonly nodes: ReadonlyMap<NodeId, ValueFlow>;
  /** Per function, per result. */
  readonly funcs: ReadonlyMap<string, readonly ResultFlow[]>;
}

/** The key of "told where": no source of a program can have it, as names are not empty. */
const table = "";

type Reach = Sight & { readonly gradient: boolean };
type Trace = ReadonlyMap<string, Reach>;

const nothing: ReadonlySet<string> = new Set();
const noTrace: Trace = new Map();
const everything: Reach = { masks: undefined, without: nothing, local: true, gradient: true };
const sightOf = ({ masks, without, local }: Sight): Sight => ({ masks, without, local });

/** The flow of every value of the model. @throws TypeError for what is no graph. */
export function flow(graph: ModelGraph): Flow {
  requireGraph(graph);
  const funcs = new Map<string, readonly ResultFlow[]>();
  for (const func of graph.funcs) funcs.set(func.name, summarize(func, funcs));
  const instances = new Map(graph.instances.map((i) => [i.name, i]));
  const traces = traceBody(graph.body, funcs, (node) => node.attrs.path);
  const nodes = new Map<NodeId, ValueFlow>();
  const values: Groups[] = [];
  // Long chains of values share their sets and traces, so what follows from one is worked out once.
  const seenOf = shared((trace: Trace) => new Map([...trace].flatMap(([source, reach]): [string, Sight][] => (source === table ? [] : [[source, sightOf(reach)]]))));
  const followsOf = shared((depends: ReadonlySet<string>) => followed(depends, instances));
  for (const node of graph.body.nodes) {
    const groups = groupsOf(graph.body, node, funcs, instances, values);
    values.push(groups);
    const trace = traces[node.id] ?? noTrace;
    const told = trace.get(table);
    nodes.set(node.id, { trains: groups.trains, depends: groups.depends, follows: followsOf(groups.depends), seen: seenOf(trace), placed: told && sightOf(told) });
  }
  return { nodes, funcs };
}

/** A function that gives the same answer for the same object. */
function shared<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const old = known.get(key);
    if (old !== undefined) return old;
    const made = make(key);
    known.set(key, made);
    return made;
  };
}

/** What a node that no flow knows has: nothing. For total look-ups. */
export const noFlow: ValueFlow = { trains: nothing, depends: nothing, follows: nothing, seen: new Map(), placed: undefined };

interface Groups {
  readonly trains: ReadonlySet<string>;
  readonly depends: ReadonlySet<string>;
}

function groupsOf(body: Body, node: Node, funcs: ReadonlyMap<string, readonly ResultFlow[]>, instances: ReadonlyMap<string, Instance>, values: readonly Groups[]): Groups {
  const from = producer(body, node);
  if (!isCall(from.node)) {
    const own = node.op === "param" ? rootOf(node.attrs.path) : "";
    const trained = instances.get(own)?.training.kind === "optimized" && instances.get(own)?.params.some((p) => p.role === "learn" && node.attrs.path === joinPath(own, p.path));
    return {
      trains: passesGradient(node) ? merge([...node.args.map((a) => values[a]?.trains), trained === true ? new Set([own]) : undefined]) : nothing,
      depends: merge([...node.args.map((a) => values[a]?.depends), instances.has(own) ? new Set([own]) : undefined]),
    };
  }
  const result = funcs.get(from.node.attrs.func)?.[from.index];
  const root = rootOf(paramPrefix(from.node));
  const trained = result !== undefined && result.learns.size > 0 && instances.get(root)?.training.kind === "optimized";
  const used = from.node.args.filter((_, i) => result?.inputs.has(i));
  const reached = from.node.args.filter((_, i) => result?.inputs.get(i)?.gradient);
  const reads = result !== undefined && result.reads.size > 0;
  const own = trained || reads ? new Set([root]) : undefined;
  const trains = merge([...reached.map((a) => values[a]?.trains), trained ? own : undefined]);
  const alike = trained === reads && used.length === reached.length && used.every((a) => values[a]?.trains === values[a]?.depends);
  return { trains, depends: alike ? trains : merge([...used.map((a) => values[a]?.depends), reads ? own : undefined]) };
}

/** The union; the same object where one side holds all, so that long chains share sets. */
function merge(sets: readonly (ReadonlySet<string> | undefined)[]): ReadonlySet<string> {
  let all = nothing;
  for (const set of sets) {
    if (set === undefined || set === all || set.size === 0) continue;
    if (all.size === 0) all = set;
    else if (!holds(all, set)) all = holds(set, all) ? set : new Set([...all, ...set]);
  }
  return all;
}

function holds(all: ReadonlySet<string>, some: ReadonlySet<string>): boolean {
  if (some.size > all.size) return false;
  for (const x of some) if (!all.has(x)) return false;
  return true;
}

/** Sources of the moving averages among `depends`, through averages of averages. */
function followed(depends: ReadonlySet<string>, instances: ReadonlyMap<string, Instance>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const name of depends) {
    for (let at = instances.get(name); at?.training.kind === "ema" && !found.has(at.training.of);) {
      found.add(at.training.of);
      at = instances.get(at.training.of);
    }
  }
  return found.size === 0 ? nothing : found;
}

/** Whether a gradient that arrives at a node goes on to its operands. */
export function passesGradient(node: Node): boolean {
  return node.op !== "stop_gradient" && !(node.op === "scale" && node.attrs.value === 0);
}

function summarize(func: Func, funcs: ReadonlyMap<string, readonly ResultFlow[]>): ResultFlow[] {
  const order = new Map(func.body.inputs.map((id, i) => [id, i]));
  const traces = traceBody(func.body, funcs, (node) => String(order.get(node.id) ?? "?"));
  const roles = new Map(func.params.map((p) => [p.path, p.role]));
  return func.body.results.map((id) => {
    const trace = traces[id] ?? new Map<string, Reach>();
    const { learns, reads } = parametersBehind(func.body, [id], funcs, (path) => roles.get(path) === "learn");
    const told = trace.get(table);
    const inputs = new Map([...trace].flatMap(([source, reach]): [number, Reach][] => (source === table ? [] : [[Number(source), reach]])));
    return { inputs, placed: told && sightOf(told), learns, reads };
  });
}

/** Parameters behind some nodes of a body, by path from the body: those a gradient reaches and trains, and all of them. */
export function parametersBehind(body: Body, roots: readonly NodeId[], funcs: ReadonlyMap<string, readonly ResultFlow[]>, isTrained: (path: string) => boolean): { readonly learns: ReadonlySet<string>; readonly reads: ReadonlySet<string> } {
  const used = new Set(roots);
  const reached = new Set(roots);
  const learns = new Set<string>();
  const reads = new Set<string>();
  for (let id = body.nodes.length - 1; id >= 0; id--) {
    const node = body.nodes[id];
    if (node === undefined || !used.has(id)) continue;
    const from = producer(body, node);
    if (node.op === "param") {
      reads.add(node.attrs.path);
      if (reached.has(id) && isTrained(node.attrs.path)) learns.add(node.attrs.path);
    } else if (isCall(from.node)) {
      const prefix = paramPrefix(from.node);
      for (const result of resultsBehind(from.node, from.index, funcs, false)) {
        for (const [i] of result.inputs) used.add(from.node.args[i] ?? -1);
        for (const path of result.reads) reads.add(joinPath(prefix, path));
      }
      for (const result of reached.has(id) ? resultsBehind(from.node, from.index, funcs, true) : []) {
        for (const [i, reach] of result.inputs) if (reach.gradient) reached.add(from.node.args[i] ?? -1);
        for (const path of result.learns) if (isTrained(joinPath(prefix, path))) learns.add(joinPath(prefix, path));
      }
    } else {
      for (const arg of node.args) used.add(arg);
      if (reached.has(id) && passesGradient(node)) for (const arg of node.args) reached.add(arg);
    }
  }
  return { learns, reads };
}

/** The result of a call; for a loop that goes round, also the carried values that feed it (along gradients only, or all). */
function resultsBehind(call: CallNode, index: number, funcs: ReadonlyMap<string, readonly ResultFlow[]>, gradient: boolean): readonly ResultFlow[] {
  const results = funcs.get(call.attrs.func) ?? [];
  if (call.op !== "repeat" || call.attrs.count < 2) return results.slice(index, index + 1);
  const { carries } = call.attrs;
  const found = new Set([index]);
  for (const i of found) for (const [input, reach] of results[i]?.inputs ?? []) if (input < carries && (reach.gradient || !gradient)) found.add(input);
  return [...found].flatMap((i) => results[i] ?? []);
}

/** For every node of a body, what it has seen of each source. */
function traceBody(body: Body, funcs: ReadonlyMap<string, readonly ResultFlow[]>, source: (node: NodeOf<"input">) => string): Trace[] {
  const traces: Trace[] = [];
  for (const node of body.nodes) {
    const from = producer(body, node);
    const args = from.node.args.map((a) => traces[a] ?? new Map<string, Reach>());
    if (node.op === "input") traces.push(new Map([[source(node), everything]]));
    else if (node.op === "param") traces.push(node.type.positions.kind === "none" ? new Map() : new Map([[table, everything]]));
    else if (from.node.op === "call") traces.push(applyResult(funcs.get(from.node.attrs.func)?.[from.index], args));
    else if (from.node.op === "repeat") traces.push(applyLoop(from.node, from.index, funcs.get(from.node.attrs.func) ?? [], args));
    else traces.push(through(body, node, args));
  }
  return traces;
}

function through(body: Body, node: Node, args: readonly Trace[]): Trace {
  const { mixes } = opTable[node.op];
  const removed = node.attrs.over ?? [];
  const mixed = mixes === "tokens" || (mixes === "axes" && removed.some((a) => a === "token" || a === "height" || a === "width"));
  const mask = node.op === "at" || node.op === "table_at" ? node.attrs.mask : undefined;
  const hidden = node.op === "replace_at" ? node.attrs.mask : undefined;
  const passes = passesGradient(node);
  const [only] = args;
  const product = node.op === "affine" || node.op === "matmul";
  if (only !== undefined && args.every((a) => a === only) && !mixed && mask === undefined && hidden === undefined && passes && (args.length === 1 || !product)) return only;
  // The right side of a product is a matrix: all of it goes into every token.
  const shared = (i: number): boolean => product && i > 0 && body.nodes[node.args[i] ?? -1]?.op !== "param";
  const all: [string, Reach][] = args.flatMap((trace, i) => [...trace].map(([source, reach]): [string, Reach] => {
    const narrowed = mask !== undefined && reach.local ? narrow(reach, new Set([mask])) : reach.masks;
    const without = hidden !== undefined && i === 0 && reach.local ? merge([reach.without, new Set([hidden])]) : reach.without;
    return [source, { masks: narrowed, without, local: reach.local && !mixed && !shared(i), gradient: reach.gradient && passes }];
  }));
  return likeOneOf(args, collect(all));
}

/** The trace, as the object that one of the operands has already where the two say the same. */
function likeOneOf(args: readonly Trace[], trace: Trace): Trace {
  return args.find((old) => old.size === trace.size && [...trace].every(([source, reach]) => sameReach(old.get(source), reach))) ?? trace;
}

function sameReach(a: Reach | undefined, b: Reach): boolean {
  return a !== undefined && a.masks === b.masks && a.without === b.without && a.local === b.local && a.gradient === b.gradient;
}

function collect(entries: readonly (readonly [string, Reach])[]): Trace {
  const trace = new Map<string, Reach>();
  for (const [source, reach] of entries) {
    const old = trace.get(source);
    trace.set(source, old === undefined ? reach : { masks: either(old.masks, reach.masks), without: both(old.without, reach.without), local: old.local && reach.local, gradient: old.gradient || reach.gradient });
  }
  return trace;
}

function either(a: Sight["masks"], b: Sight["masks"]): Sight["masks"] {
  return a === undefined || b === undefined ? undefined : merge([a, b]);
}

function both(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return a === b ? a : new Set([...a].filter((m) => b.has(m)));
}

/** What is seen where only positions of `chosen` are kept and each token has seen its own place only. */
function narrow({ masks, without }: Sight, chosen: ReadonlySet<string>): Sight["masks"] {
  const open = [...chosen].filter((m) => !without.has(m));
  if (open.length === 0 || masks === undefined) return new Set(open);
  const kept = open.filter((m) => masks.has(m));
  return kept.length > 0 ? new Set(kept) : masks;
}

function applyResult(result: ResultFlow | undefined, args: readonly Trace[]): Trace {
  if (result === undefined) return collect(args.flatMap((t) => [...t]));
  const entries: [string, Reach][] = [];
  for (const [i, inner] of result.inputs) {
    for (const [source, outer] of args[i] ?? []) {
      const masks = inner.masks !== undefined && outer.local ? narrow(outer, inner.masks) : outer.masks;
      const without = outer.local ? merge([outer.without, inner.without]) : outer.without;
      entries.push([source, { masks, without, local: outer.local && inner.local, gradient: outer.gradient && inner.gradient }]);
    }
  }
  if (result.placed !== undefined) entries.push([table, { ...result.placed, gradient: false }]);
  return likeOneOf(args, collect(entries));
}

/** Goes round until nothing changes: what is seen only grows coarser, so this ends after a few rounds. */
function applyLoop(node: NodeOf<"repeat">, index: number, results: readonly ResultFlow[], args: readonly Trace[]): Trace {
  const { carries } = node.attrs;
  let carried = args.slice(0, carries);
  for (let round = 0; round < node.attrs.count; round++) {
    const next = carried.map((_, k) => applyResult(results[k], [...carried, ...args.slice(carries)]));
    const same = next.every((trace, k) => sameTrace(trace, carried[k] ?? new Map<string, Reach>()));
    carried = next;
    if (same) break;
  }
  return carried[index] ?? new Map();
}

function sameTrace(a: Trace, b: Trace): boolean {
  return a.size === b.size && [...a].every(([source, x]) => {
    const y = b.get(source);
    return y !== undefined && x.local === y.local && x.gradient === y.gradient && sameMasks(x.masks, y.masks) && sameMasks(x.without, y.without);
  });
}

function sameMasks(a: Sight["masks"], b: Sight["masks"]): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.size === b.size && [...a].every((m) => b.has(m));
}
