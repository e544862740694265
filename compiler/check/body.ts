/**
 * The context in which a body (a model, a module as used, a loop) is built node by node.
 *
 * Owns node emission, scopes, parameter registration and the capture of outer values by loop bodies. A module is first
 * elaborated without knowing its positions (`opaque`), so that one function serves every place it is used at; when its
 * body does ask where its tokens sit, `needsPositions` is set, the attempt is dropped and it is built for those positions.
 * Leaves the meaning of expressions to `expr.ts` and of built-ins to `builtins.ts`.
 */
import type { Span } from "../base/span.js";
import type { Diagnostic, Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { Func, Instance, Mask, Node, NodeId, ParamDecl, Attrs, ModelOp, ImageInput, View } from "../model/ir.js";
import { nodeOf } from "../model/node.js";
import type { Dim } from "../types/dim.js";
import { symbolDim } from "../types/dim.js";
import type { Initializer } from "../../runtime/abi.js";
import type { Grid, Space, ValueType } from "../types/value-type.js";
import { sameGrid } from "../types/value-type.js";
import type { Value } from "./values.js";

/** Which space each learned map's output was found to live in, with the place that decided it. */
export type SpaceTable = Map<string, { readonly space: Space; readonly span: Span }>;

/** What every body of one program shares. */
export interface Env {
  readonly modules: ReadonlyMap<string, ast.Module>;
  readonly funcs: Map<string, Func | "failed">;
  /** Mistakes inside a function's body, by the key of the function. */
  readonly faults: Map<string, readonly Diagnostic[]>;
  readonly funcNames: Set<string>;
  /** Modules whose bodies ask for positions, so that the opaque attempt is not repeated. */
  readonly positional: Set<string>;
  readonly masks: Map<string, Mask>;
  readonly gridOrigins: Map<string, Span>;
  readonly instances: Map<string, InstanceState>;
  /** Where the output of each learned map was found to live. */
  readonly spaces: SpaceTable;
  readonly inputs: Map<string, ImageInput>;
  readonly views: Map<string, View>;
  /** Active module applications, to refuse recursion. */
  readonly active: string[];
  /** The grid of the first position table: its table has the short name. */
  readonly tableGrid: { first: { readonly grid: Grid; readonly kind: Initializer["kind"] } | undefined };
  readonly isLibrary: (file: string) => boolean;
  /** Nodes emitted so far over all bodies: a bound on the work that one program may ask for. */
  budget: { nodes: number };
  /** Mistakes inside modules that have been reported, so that each is once. */
  readonly told: Set<string>;
  /** A used file could not be had: a module that is not known may be its. */
  readonly lacking: boolean;
  /** Where the model's `param`s are given, but for those that were replaced from outside. */
  readonly params: Map<string, Span>;
  /** Names that lines of the model still to come declare: known to the program, and not yet in scope. */
  readonly later: Set<string>;
  /** Names that were told not to be known, with what was surely meant: the lines that speak of them are no mistakes of their own. */
  readonly unknown: Map<string, { readonly meant: string | undefined }>;
  /** Where the program speaks of each name. */
  readonly mentions: ReadonlyMap<string, readonly Span[]>;
  /** Names that lines which could not be read may have declared. */
  readonly lost: ReadonlySet<string>;
  /** How often checking went on with what was most likely meant. */
  readonly guesses: { count: number };
}

/** An instance under construction: parameters arrive with each application. */
export interface InstanceState {
  readonly instance: Omit<Instance, "params">;
  readonly params: Map<string, ParamDecl>;
}

export interface BodyCx {
  readonly env: Env;
  readonly diagnostics: Diagnostics;
  readonly kind: "model" | "module" | "repeat";
  readonly scope: Map<string, Value>;
  readonly parent: BodyCx | undefined;
  readonly nodes: Node[];
  readonly inputs: NodeId[];
  readonly captured: Map<NodeId, NodeId>;
  readonly params: Map<string, ParamDecl>;
  readonly masks: Set<string>;
  readonly partNames: Set<string>;
  /** Set when the body asked for positions that this attempt does not know. */
  readonly attempt: { needsPositions: boolean };
}

/** The batch symbol of every body. */
export const batch: Dim = symbolDim("B");

/** A fresh body context. */
export function createBody(env: Env, diagnostics: Diagnostics, kind: BodyCx["kind"], parent?: BodyCx): BodyCx {
  return {
    env, diagnostics, kind, parent,
    scope: new Map(), nodes: [], inputs: [], captured: new Map(), params: new Map(), masks: new Set(), partNames: new Set(),
    attempt: parent !== undefined && kind === "repeat" ? parent.attempt : { needsPositions: false },
  };
}

/** Appends a node and gives it back as a value. */
export function emit(cx: BodyCx, op: ModelOp, args: readonly NodeId[], attrs: Attrs, type: ValueType, origin: Span): Value & { kind: "tensor" } {
  const id = cx.nodes.length;
  cx.nodes.push(nodeOf({ id, op, args, attrs, type, name: undefined, origin }));
  cx.env.budget.nodes++;
  return { kind: "tensor", id, type };
}

/** Gives a node the name that the source binds it to; the first name stays. */
export function nameNode(cx: BodyCx, id: NodeId, name: string): void {
  const node = cx.nodes[id];
  if (node !== undefined && node.name === undefined && node.op !== "input") cx.nodes[id] = { ...node, name };
}

/** An input of the body. */
export function emitInput(cx: BodyCx, name: string, type: ValueType, origin: Span): Value & { kind: "tensor" } {
  const value = emit(cx, "input", [], { path: name }, type, origin);
  cx.inputs.push(value.id);
  return value;
}

/** Finds a name here or, in a loop body, outside of it; outer tensors become inputs of the loop. */
export function lookup(cx: BodyCx, name: string): Value | undefined {
  const here = cx.scope.get(name);
  if (here !== undefined) return here;
  if (cx.kind !== "repeat" || cx.parent === undefined) return undefined;
  const outer = lookup(cx.parent, name);
  if (outer === undefined || outer.kind !== "tensor") return outer;
  const known = cx.captured.get(outer.id);
  if (known !== undefined) return { kind: "tensor", id: known, type: outer.type };
  const node = cx.parent.nodes[outer.id];
  const value = emitInput(cx, name, outer.type, node?.origin ?? { file: "", start: 0, end: 0 });
  cx.captured.set(outer.id, value.id);
  return value;
}

/** Every name in scope, for suggestions; in a model also those of lines to come, as the order of lines does not matter. */
export function visibleNames(cx: BodyCx): string[] {
  const names = [...cx.scope.keys(), ...(cx.kind === "model" ? cx.env.later : [])];
  return cx.kind === "repeat" && cx.parent !== undefined ? [...names, ...visibleNames(cx.parent)] : names;
}

/** Declares a parameter of this body, once; a second declaration must agree. */
export function declareParam(cx: BodyCx, decl: ParamDecl, at: Span): boolean {
  return register(cx.params, decl, at, cx.diagnostics);
}

/** Adds a declaration to a set of parameters; reports when the same path has another shape. */
export function register(params: Map<string, ParamDecl>, decl: ParamDecl, at: Span, diagnostics: Diagnostics): boolean {
  const old = params.get(decl.path);
  if (old === undefined) {
    params.set(decl.path, decl);
    return true;
  }
  const same = old.shape.length === decl.shape.length && old.shape.every((n, i) => n === decl.shape[i]) && old.stack.join() === decl.stack.join();
  if (!same) {
    diagnostics.add(report("JEP3006", at, { name: decl.path, first: `[${old.shape.join(", ")}]`, second: `[${decl.shape.join(", ")}]` },
      { related: [{ span: old.origin, message: `\`${decl.path}\` is [${old.shape.join(", ")}] here` }] }));
  }
  return same;
}

/** A part name not used yet in this body: `linear`, `linear_2`, … */
export function uniquePart(cx: BodyCx, wanted: string): string {
  let name = wanted;
  for (let i = 2; cx.partNames.has(name) || cx.scope.has(name); i++) name = `${wanted}_${i}`;
  cx.partNames.add(name);
  return name;
}

/** Records that a mask is used on a grid; the first use decides the grid, a later one must agree. */
export function useMask(cx: BodyCx, name: string, grid: Grid, at: Span): void {
  cx.masks.add(name);
  bindGrid(cx, name, grid, at);
}

/** Gives a mask, and the masks taken out of it, their grid. */
function bindGrid(cx: BodyCx, name: string, grid: Grid, at: Span): void {
  const mask = cx.env.masks.get(name);
  if (mask === undefined) return;
  if (mask.grid === undefined) {
    cx.env.masks.set(name, { ...mask, grid });
    cx.env.gridOrigins.set(name, at);
    for (const other of mask.minus) bindGrid(cx, other, grid, at);
    return;
  }
  if (!sameGrid(mask.grid, grid)) {
    const first = cx.env.gridOrigins.get(name);
    cx.diagnostics.add(report("JEP3008", at,
      { mask: name, first: `${mask.grid.rows}x${mask.grid.cols}`, second: `${grid.rows}x${grid.cols}` },
      { related: first === undefined ? [] : [{ span: first, message: `\`${name}\` is on a ${mask.grid.rows}x${mask.grid.cols} grid here` }] }));
  }
}

/** The dim that stands for the length of a mask's rows. */
export const maskLength = (name: string): Dim => symbolDim(`K_${name}`);
