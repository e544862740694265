/**
 * From bodies of the model graph to functions of the tensor IR.
 *
 * A function's inputs are, in this order: its data, the index rows of each mask it reads, its parameters by path. So a call
 * passes its operands, its own index rows, and the parameters under the instance's path; a loop carries its data, holds
 * index rows constant and walks stacked parameters. A function that moves running state gives the new values after its
 * results, in the order of `moves`. Whoever reads a state in a step reads what the step before has left; where it is used
 * several times, its new value is the mean of what each use makes of it, so that neither the order of uses nor the
 * functions they stand in mean anything. Such a function also exists as `<name>_alone`, for encoders outside of training,
 * in which state stands still.
 * Owns calls, loops and that convention; single ops are in `ops.ts`.
 */
import type { Body, Func, Mask, Node, NodeId, ParamDecl } from "../model/ir.js";
import { buildFunc } from "../tensor/build.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { Module, ValueId } from "../tensor/ir.js";
import { emptyModule, f32, i32, withFunc } from "../tensor/ir.js";
import { constantDim, mul, substitute, symbolDim } from "../types/dim.js";
import type { Dim } from "../types/dim.js";
import type { Axis } from "../types/value-type.js";
import type { StateCx } from "./batch-ops.js";
import { LoweringError, rules } from "./ops.js";
import type { Queue } from "./queues.js";

/** What lowering a body needs to know of the program. */
export interface LowerCx {
  readonly masks: ReadonlyMap<string, Mask>;
  readonly funcs: ReadonlyMap<string, Func>;
  /** By function: paths of the state that it moves, directly or through calls, with how many uses each has there. */
  readonly moves: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** Which state each function moves; callees come first in `funcs`. */
export function findMoves(funcs: ReadonlyMap<string, Func>): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const found = new Map<string, ReadonlyMap<string, number>>();
  for (const func of funcs.values()) {
    const own = new Map<string, number>();
    const add = (path: string, uses: number): void => void own.set(path, (own.get(path) ?? 0) + uses);
    for (const node of func.body.nodes) {
      if (node.op === "batch_norm" || node.op === "center") node.args.slice(1).forEach((id) => add(func.body.nodes[id]?.attrs.path ?? "", 1));
      const prefix = node.op === "call" ? node.attrs.instance ?? "" : `${node.attrs.list ?? ""}.*`;
      if (node.op === "call" || node.op === "repeat") for (const [path, uses] of found.get(node.attrs.func ?? "") ?? []) add(under(prefix, path), uses);
    }
    found.set(func.name, own);
  }
  return found;
}

/** The name of a function where training is over. */
export function aloneName(cx: LowerCx, func: string): string {
  return (cx.moves.get(func)?.size ?? 0) > 0 ? `${func}_alone` : func;
}

/** Lowers every function of the model, callees first. */
export function lowerFuncs(cx: LowerCx): Module {
  let module = emptyModule;
  for (const func of cx.funcs.values()) {
    module = withFunc(module, lowerFunc(cx, module, func, true));
    if (aloneName(cx, func.name) !== func.name) module = withFunc(module, lowerFunc(cx, module, func, false));
  }
  return module;
}

/** The symbol of a mask's row length. */
const lengthOf = (mask: string): Dim => symbolDim(`K_${mask}`);

/** The type of a mask's index rows: `[count · B, K]`. */
function indexType(mask: Mask) {
  return i32([mul(symbolDim("B"), constantDim(mask.count)), lengthOf(mask.name)]);
}

function lowerFunc(cx: LowerCx, module: Module, func: Func, training: boolean): ReturnType<FuncBuilder["finish"]> {
  const dims = [...new Set(["B", ...func.dims, ...func.masks.map((m) => `K_${m}`)])];
  const b = buildFunc(module, { name: training ? func.name : aloneName(cx, func.name), dims, doc: func.doc ?? `Module \`${func.module}\`.`, origin: func.origin });
  const scope = openScope(cx, b, func.body, { masks: func.masks, params: func.params, training });
  lowerNodes(cx, scope, func.body);
  func.body.results.forEach((id, i) => b.output(func.body.results.length === 1 ? "out" : `out_${i}`, scope.value(id), "data"));
  const moved = movedStates(scope);
  if (training) for (const path of cx.moves.get(func.name)?.keys() ?? []) b.output(`next_${path}`, made(moved, path), "data");
  return b.finish();
}

/** Values of a body under construction. */
export interface Scope {
  readonly b: FuncBuilder;
  readonly values: Map<NodeId, readonly ValueId[]>;
  readonly params: ReadonlyMap<string, ValueId>;
  readonly indices: ReadonlyMap<string, ValueId>;
  readonly value: (id: NodeId) => ValueId;
  /** By path of a state: what each of its uses so far makes of it, and how many uses that value is the mean of. */
  readonly moves: Map<string, Move[]>;
  readonly training: boolean;
  /** A random tensor of the step; only the outermost body has them. */
  readonly draw: (shape: readonly number[]) => ValueId;
  /** The queue of earlier keys of a node; only the outermost body has them. */
  readonly queue: (node: Node, size: number, width: number) => Queue;
}

interface Move {
  readonly value: ValueId;
  readonly uses: number;
}

/** How a scope is opened. */
export interface ScopeOptions {
  readonly masks: readonly string[];
  readonly params: readonly ParamDecl[];
  readonly training: boolean;
  readonly indexName?: (mask: string) => string;
  readonly draw?: Scope["draw"];
  readonly queue?: Scope["queue"];
}

/** The name, or the name with a number; it is taken from now on. */
export function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`;
  taken.add(name);
  return name;
}

/** Declares the inputs of a body in the order of the convention. */
export function openScope(cx: LowerCx, b: FuncBuilder, body: Body, options: ScopeOptions): Scope {
  const { masks, params, training, indexName = (mask: string): string => `at_${mask}` } = options;
  const values = new Map<NodeId, readonly ValueId[]>();
  // A body may call a parameter like a value that comes in; the parameter keeps its path, which checkpoints know it by.
  const taken = new Set([...params.map((p) => p.path), ...masks.map(indexName)]);
  for (const id of body.inputs) {
    const node = body.nodes[id];
    if (node === undefined) throw new LoweringError(`A body names an input ${id} that it does not have.`);
    values.set(id, [b.input(freshName(node.attrs.path ?? `x${id}`, taken), f32(node.type.shape), "data")]);
  }
  const indices = new Map<string, ValueId>();
  for (const name of masks) {
    const mask = cx.masks.get(name);
    if (mask !== undefined) indices.set(name, b.input(indexName(name), indexType(mask), "index"));
  }
  const own = new Map<string, ValueId>();
  for (const p of params) own.set(p.path, b.input(p.path, f32(p.shape.map(constantDim), p.stack), "param"));
  const value = (id: NodeId): ValueId => {
    const found = values.get(id)?.[0];
    if (found === undefined) throw new LoweringError(`Node ${id} is used before it is made.`);
    return found;
  };
  const draw = options.draw ?? (() => {
    throw new LoweringError("Only a model draws random tensors, not a module.");
  });
  const queue = options.queue ?? (() => {
    throw new LoweringError("Only a model keeps queues, not a module.");
  });
  return { b, values, params: own, indices, value, moves: new Map(), training, draw, queue };
}

/** Lowers the nodes of a body into the scope; with `only`, those of that set. */
export function lowerNodes(cx: LowerCx, scope: Scope, body: Body, only?: ReadonlySet<NodeId>): void {
  for (const node of body.nodes) {
    if (node.op === "input" || (only !== undefined && !only.has(node.id))) continue;
    scope.b.origin = node.origin;
    const results = lowerNode(cx, scope, node, body);
    scope.values.set(node.id, results);
    const first = results[0];
    if (node.name !== undefined && first !== undefined && scope.b.nameOf(first) === undefined) scope.b.name(first, node.name);
  }
}

function lowerNode(cx: LowerCx, scope: Scope, node: Node, body: Body): readonly ValueId[] {
  switch (node.op) {
    case "param": return [paramOf(scope, node.attrs.path ?? "")];
    case "call": return lowerCall(cx, scope, node);
    case "repeat": return lowerRepeat(cx, scope, node);
    case "result": {
      const of = node.args[0];
      const value = of === undefined ? undefined : scope.values.get(of)?.[node.attrs.index ?? 0];
      if (value === undefined) throw new LoweringError(`Node ${node.id} picks a result that does not exist.`);
      return [value];
    }
    default: return [rules[node.op]({
      b: scope.b, node, args: node.args.map(scope.value), argAxes: axesOf(body, node),
      index: (mask) => indexOf(scope, mask), copies: (mask) => cx.masks.get(mask)?.count ?? 1,
      state: stateOf(scope, body, node), draw: scope.draw, queue: (size, width) => scope.queue(node, size, width),
    })];
  }
}

function stateOf(scope: Scope, body: Body, node: Node): StateCx {
  const path = (i: number): string => body.nodes[node.args[i] ?? -1]?.attrs.path ?? "";
  return { training: scope.training, read: (i) => paramOf(scope, path(i)), write: (i, value) => move(scope, path(i), value, 1) };
}

function move(scope: Scope, path: string, value: ValueId | undefined, uses: number): void {
  if (value === undefined) throw new LoweringError(`The new value of \`${path}\` is missing.`);
  const moves = scope.moves.get(path) ?? [];
  scope.moves.set(path, [...moves, { value, uses }]);
}

/** The new value of every state that has been used, by path: the mean over its uses. */
export function movedStates({ b, moves }: Scope): ReadonlyMap<string, ValueId> {
  return new Map([...moves].flatMap(([path, parts]) => {
    const all = parts.reduce((n, { uses }) => n + uses, 0);
    const [first, ...rest] = parts.map(({ value, uses }) => b.op("scale", [value], { by: uses }));
    return first === undefined ? [] : [[path, b.op("scale", [rest.reduce((sum, x) => b.op("add", [sum, x]), first)], { by: 1 / all })]];
  }));
}

function made(moved: ReadonlyMap<string, ValueId>, path: string): ValueId {
  const value = moved.get(path);
  if (value === undefined) throw new LoweringError(`The new value of \`${path}\` is missing.`);
  return value;
}

/** Takes what a function or loop makes of the states under `prefix` from its results, which begin at `from`. */
function takeMoves(cx: LowerCx, scope: Scope, func: string, prefix: string, results: readonly ValueId[], from: number): void {
  [...cx.moves.get(func) ?? []].forEach(([path, uses], i) => move(scope, under(prefix, path), results[from + i], uses));
}

function axesOf(body: Body, node: Node): readonly Axis[] {
  const first = node.args[0];
  return first === undefined ? [] : body.nodes[first]?.type.axes ?? [];
}

function paramOf(scope: Scope, path: string): ValueId {
  const value = scope.params.get(path);
  if (value === undefined) throw new LoweringError(`There is no parameter \`${path}\` here.`);
  return value;
}

function indexOf(scope: Scope, mask: string): ValueId {
  const value = scope.indices.get(mask);
  if (value === undefined) throw new LoweringError(`The mask \`${mask}\` is not an input here.`);
  return value;
}

function calleeOf(cx: LowerCx, node: Node): Func {
  const func = cx.funcs.get(node.attrs.func ?? "");
  if (func === undefined) throw new LoweringError(`There is no function \`${node.attrs.func}\`.`);
  return func;
}

const under = (prefix: string, path: string): string => (prefix === "" ? path : `${prefix}.${path}`);

function lowerCall(cx: LowerCx, scope: Scope, node: Node): readonly ValueId[] {
  const callee = calleeOf(cx, node);
  const args = [
    ...node.args.map(scope.value),
    ...callee.masks.map((m) => indexOf(scope, m)),
    ...callee.params.map((p) => paramOf(scope, under(node.attrs.instance ?? "", p.path))),
  ];
  if (!scope.training) return scope.b.call(aloneName(cx, callee.name), args, node.attrs.dims ?? {});
  const results = scope.b.call(callee.name, args, node.attrs.dims ?? {});
  const count = callee.body.results.length;
  takeMoves(cx, scope, callee.name, node.attrs.instance ?? "", results, count);
  return results.slice(0, count);
}

function lowerRepeat(cx: LowerCx, scope: Scope, node: Node): readonly ValueId[] {
  const loop = calleeOf(cx, node);
  const nCarries = node.attrs.carries ?? 1;
  const args = node.args.map(scope.value);
  const { func, dims } = throughWrapper(cx, loop, node);
  const stacked = loop.params.map((p) => paramOf(scope, `${node.attrs.list ?? ""}.*.${p.path}`));
  const consts = [...args.slice(nCarries), ...func.masks.map((m) => indexOf(scope, m))];
  const name = scope.training ? func.name : aloneName(cx, func.name);
  const out = scope.b.repeat(name, { carries: args.slice(0, nCarries), consts, stacked }, { count: node.attrs.count ?? 0, dims });
  if (scope.training) takeMoves(cx, scope, func.name, `${node.attrs.list ?? ""}.*`, out.stacked, 0);
  return out.carries;
}

/** A loop whose body only applies its element uses the element's function itself. */
function throughWrapper(cx: LowerCx, loop: Func, node: Node): { func: Func; dims: Readonly<Record<string, Dim>> } {
  const dims = node.attrs.dims ?? {};
  const [input, call] = loop.body.nodes;
  const only = loop.body.nodes.length === 2 && input?.op === "input" && call?.op === "call" && call.attrs.instance === "" && loop.body.results[0] === 1;
  if (!only || call === undefined) return { func: loop, dims };
  const callee = calleeOf(cx, call);
  const inOrder = callee.params.length === loop.params.length && callee.params.every((p, i) => p.path === loop.params[i]?.path);
  if (!inOrder || callee.masks.length > 0) return { func: loop, dims };
  const outer = new Map(Object.entries(dims));
  return { func: callee, dims: Object.fromEntries(Object.entries(call.attrs.dims ?? {}).map(([k, d]) => [k, substitute(d, outer)])) };
}
