/**
 * Questions about functions and modules that need a walk, and the two rewrites that every pass needs.
 *
 * Owns: who uses a value, who calls whom, the dimensions a node mentions; rebuilding a function node by node, and giving
 * values the ids that their order implies. Plain functions and arrays; a pass is a loop over `func.nodes`.
 */
import type { Dim } from "../types/dim.js";
import { substitute, symbolsOf } from "../types/dim.js";
import { FuncBuilder } from "./build.js";
import type { Func, Module, Node, TensorType, ValueId } from "./ir.js";
import { IrError, equalTypes, makeNode, typeOf } from "./ir.js";
import { specOf } from "./ops.js";

/** The function that a control node names, or undefined for a primitive. */
export function calleeOf(node: Node): string | undefined {
  return node.op === "call" || node.op === "repeat" ? node.attrs.fn : undefined;
}

/** Functions reachable from `roots` (these included), in the module's order. */
export function reachable(module: Module, roots: Iterable<string>): Set<string> {
  const found = new Set(roots);
  for (const func of [...module.funcs.values()].reverse()) {
    if (!found.has(func.name)) continue;
    for (const node of func.nodes) {
      const callee = calleeOf(node);
      if (callee !== undefined) found.add(callee);
    }
  }
  return new Set([...module.funcs.keys()].filter((name) => found.has(name)));
}

/** How often each value is used, by nodes and outputs. */
export function useCounts(func: Func): number[] {
  const counts = func.values.map(() => 0);
  const use = (id: ValueId): void => {
    counts[id] = (counts[id] ?? 0) + 1;
  };
  for (const node of func.nodes) node.args.forEach(use);
  for (const output of func.outputs) use(output.value);
  return counts;
}

/** The node that makes each value; inputs have none. */
export function producers(func: Func): ReadonlyMap<ValueId, Node> {
  return new Map(func.nodes.flatMap((node) => node.results.map((r): [ValueId, Node] => [r, node])));
}

/** The dimensions that a node's attributes mention. */
export function dimsOfNode(node: Node): Dim[] {
  const kinds = specOf(node.op).attrs;
  return Object.entries(node.attrs).flatMap(([name, value]): Dim[] => {
    const kind = kinds[name];
    return kind === "dim" || kind === "dims" || kind === "bindings" ? collectDims(value) : [];
  });
}

/** The dimension symbols that a type mentions. */
export function symbolsOfType(type: TensorType): string[] {
  return type.shape.flatMap(symbolsOf);
}

/** What a rewrite makes of a node: the values that stand for its results, or undefined to leave the node out. */
export type Rewrite = (b: FuncBuilder, node: Node, args: readonly ValueId[]) => readonly ValueId[] | undefined;

/**
 * Rebuilds a function, asking `rewrite` for every node with its operands already translated. Inputs and outputs stay.
 * A node that is left out must not be used.
 */
export function rewriteFunc(module: Module, func: Func, rewrite: Rewrite): Func {
  const b = new FuncBuilder(module, headOf(func));
  const map = new Map<ValueId, ValueId>();
  for (const input of func.inputs) {
    const id = b.input(input.path, typeOf(func, input.value), input.role);
    const name = func.values[input.value]?.name;
    if (name !== undefined) b.name(id, name);
    map.set(input.value, id);
  }
  for (const node of func.nodes) {
    b.origin = node.origin;
    const results = rewrite(b, node, node.args.map((a) => translated(func, map, a)));
    if (results === undefined) continue;
    node.results.forEach((r, i) => {
      const to = results[i];
      if (to === undefined) return;
      map.set(r, to);
      const name = func.values[r]?.name;
      if (name !== undefined && b.nameOf(to) === undefined) b.name(to, name);
    });
  }
  for (const o of func.outputs) b.output(o.path, translated(func, map, o.value), o.role);
  const next = b.finish();
  return isSameFunc(func, next) ? func : next;
}

/** Whether a rewriting gave back the same function: then the old object is kept, and what is known of it stays known. */
export function isSameFunc(a: Func, b: Func): boolean {
  return a.name === b.name && a.values.length === b.values.length && a.nodes.length === b.nodes.length
    && a.inputs.length === b.inputs.length && a.outputs.length === b.outputs.length
    && a.nodes.every((n, i) => isSameNode(n, b.nodes[i]))
    && a.values.every((v, i) => v.name === b.values[i]?.name && isSameType(v.type, b.values[i]?.type))
    && a.inputs.every((x, i) => x.value === b.inputs[i]?.value && x.path === b.inputs[i]?.path && x.role === b.inputs[i]?.role)
    && a.outputs.every((x, i) => x.value === b.outputs[i]?.value && x.path === b.outputs[i]?.path && x.role === b.outputs[i]?.role);
}

function isSameNode(a: Node, b: Node | undefined): boolean {
  return b !== undefined && a.op === b.op && a.attrs === b.attrs && a.origin === b.origin
    && a.args.length === b.args.length && a.args.every((x, i) => x === b.args[i])
    && a.results.length === b.results.length && a.results.every((x, i) => x === b.results[i]);
}

function isSameType(a: TensorType, b: TensorType | undefined): boolean {
  return b !== undefined && (a === b || equalTypes(a, b));
}

/** The functions that a function calls, as they are known; each once. */
export function calleesOf(func: Func, known: ReadonlyMap<string, Func>): readonly Func[] {
  const found = new Set<Func>();
  for (const node of func.nodes) {
    const callee = calleeOf(node);
    const target = callee === undefined ? undefined : known.get(callee);
    if (target !== undefined) found.add(target);
  }
  return [...found];
}

/** The options with which a builder makes a function of the same name. */
export function headOf(func: Func): { name: string; dims: readonly string[]; doc?: string; origin?: Func["origin"] } {
  return {
    name: func.name,
    dims: func.dims,
    ...(func.doc === undefined ? {} : { doc: func.doc }),
    ...(func.origin === undefined ? {} : { origin: func.origin }),
  };
}

function translated(func: Func, map: ReadonlyMap<ValueId, ValueId>, id: ValueId): ValueId {
  const to = map.get(id);
  if (to === undefined) throw new IrError(`In function \`${func.name}\`: %${id} is used but was left out.`);
  return to;
}

function collectDims(value: unknown): Dim[] {
  if (isDim(value)) return [value];
  if (Array.isArray(value)) return value.flatMap(collectDims);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(collectDims) : [];
}

function isDim(x: unknown): x is Dim {
  return typeof x === "object" && x !== null && "kind" in x && x.kind === "dim";
}

/** The node with the dimension symbols in its attributes replaced. */
export function substituteNode(node: Node, map: ReadonlyMap<string, Dim>): Node {
  const attrs = Object.fromEntries(Object.entries(node.attrs).map(([name, value]) => [name, substituteIn(value, map)]));
  return makeNode({ ...node, attrs });
}

function substituteIn(value: unknown, map: ReadonlyMap<string, Dim>): unknown {
  if (isDim(value)) return substitute(value, map);
  if (Array.isArray(value)) return value.map((v) => substituteIn(v, map));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, v]) => [name, substituteIn(v, map)]));
}
