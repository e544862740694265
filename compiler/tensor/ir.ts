/**
 * The tensor IR: what a model computes, as functions over a small set of ops.
 *
 * A module is an ordered list of functions; a function calls only functions before it, so there is no recursion and size
 * does not follow depth: twelve equal blocks are one function and one `repeat`. Within a function every value is made
 * once, by an input or by one node, and a node's operands are older (smaller ids) than its results, so a function is
 * acyclic and topologically sorted by construction.
 *
 * Everything is plain readonly data: it prints, parses, crosses a worker. `build.ts` makes it, `verify.ts` checks it,
 * `docs/ir/tensor-ir.md` is the written standard. Parameters and masks arrive as inputs: the IR has no state.
 */
import type { Span } from "../base/span.js";
import type { Dim } from "../types/dim.js";
import { equalShapes } from "../types/dim.js";
import type { AttrKind, Attrs, DType, OpName } from "./ops.js";
import { specOf } from "./ops.js";

/** A value of a function: its index in `Func.values`. */
export type ValueId = number;

/** What a value holds. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /**
   * The counts of the `repeat`s over which this value is a sequence, outermost first; empty for an ordinary tensor. A
   * stacked value lies in memory as one tensor of shape `[...stack, ...shape]`.
   */
  readonly stack: readonly number[];
}

/** One value: its type and, where the source or a pass gave one, a name (a hint for readers, not an identity). */
export interface Value {
  readonly id: ValueId;
  readonly type: TensorType;
  readonly name?: string;
}

/** What an input is to the function's caller. */
export type InputRole = "data" | "param" | "index" | "saved" | "cotangent" | "scalar";

/** What an output is to the function's caller. */
export type OutputRole = "data" | "saved" | "grad" | "loss" | "watch";

/** A parameter of a function, in the broad sense. */
export interface Input {
  readonly value: ValueId;
  readonly role: InputRole;
  /** Unique among the inputs; for `param` the dotted path in the function's module (`norm1.weight`). */
  readonly path: string;
}

/** A result of a function. The same value may be returned more than once. */
export interface Output {
  readonly value: ValueId;
  readonly role: OutputRole;
  /** Unique among the outputs of one role; for `grad` the path of the input it belongs to. */
  readonly path: string;
}

/** An application of the op `O`. */
export interface NodeOf<O extends OpName> {
  readonly op: O;
  readonly args: readonly ValueId[];
  readonly results: readonly ValueId[];
  readonly attrs: Attrs<O>;
  /** The piece of source text this comes from. */
  readonly origin: Span | undefined;
}

/** An application of any op; `op` discriminates. */
export type Node = { readonly [O in OpName]: NodeOf<O> }[OpName];

/** A function. `values[i].id === i`; inputs are values made by no node. */
export interface Func {
  readonly name: string;
  /** The dimension symbols that its types and attributes may use; a caller says what each is. */
  readonly dims: readonly string[];
  readonly inputs: readonly Input[];
  readonly outputs: readonly Output[];
  readonly values: readonly Value[];
  readonly nodes: readonly Node[];
  readonly doc?: string;
  readonly origin: Span | undefined;
}

/** Functions by name, callees before callers. */
export interface Module {
  readonly funcs: ReadonlyMap<string, Func>;
}

/** A bug in the compiler: IR that no correct stage would make. Never the user's mistake. */
export class IrError extends Error {
  override readonly name = "IrError";
}

/** The parts of a node before its attributes have been checked. */
export interface NodeParts {
  readonly op: OpName;
  readonly args: readonly ValueId[];
  readonly results: readonly ValueId[];
  readonly attrs: object;
  readonly origin: Span | undefined;
}

/** Makes a node; the attributes are checked against the op's row. @throws IrError where one is missing, extra or of another kind. */
export function makeNode(parts: NodeParts): Node {
  if (isNode(parts)) return parts;
  const wanted = Object.entries(specOf(parts.op).attrs).map(([name, kind]) => `${name}: ${kind}`);
  throw new IrError(`\`${parts.op}\` takes the attributes {${wanted.join(", ")}}, got {${Object.keys(parts.attrs).join(", ")}}.`);
}

/** The node with other operands. */
export function withArgs(node: Node, args: readonly ValueId[]): Node {
  return { ...node, args };
}

/** The node with other results. */
export function withResults(node: Node, results: readonly ValueId[]): Node {
  return { ...node, results };
}

/** Whether attributes are those of the op. */
export function isNode(parts: NodeParts): parts is Node {
  const wanted = Object.entries(specOf(parts.op).attrs);
  const own = new Map<string, unknown>(Object.entries(parts.attrs));
  return own.size === wanted.length && wanted.every(([name, kind]) => attrChecks[kind](own.get(name)));
}

/** The module without functions. */
export const emptyModule: Module = { funcs: new Map() };

/** The module with `func` added at the end, or replaced where it stood. */
export function withFunc(module: Module, func: Func): Module {
  return { funcs: new Map(module.funcs).set(func.name, func) };
}

/** The function of that name. @throws IrError where there is none. */
export function funcOf(module: Module, name: string): Func {
  const func = module.funcs.get(name);
  if (func === undefined) throw new IrError(`There is no function \`${name}\`.`);
  return func;
}

/** The type of a value. @throws IrError where the function has no such value. */
export function typeOf(func: Func, id: ValueId): TensorType {
  const value = func.values[id];
  if (value === undefined) throw new IrError(`Function \`${func.name}\` has no value %${id}.`);
  return value.type;
}

/** An ordinary f32 tensor type. */
export function f32(shape: readonly Dim[], stack: readonly number[] = []): TensorType {
  return { dtype: "f32", shape, stack };
}

/** An ordinary i32 tensor type. */
export function i32(shape: readonly Dim[], stack: readonly number[] = []): TensorType {
  return { dtype: "i32", shape, stack };
}

/** Whether two types are the same for every value of the symbols. */
export function equalTypes(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && equalShapes(a.shape, b.shape) && equalStacks(a.stack, b.stack);
}

/** Whether two stacks have the same counts. */
export function equalStacks(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

function isInteger(x: unknown): boolean {
  return typeof x === "number" && Number.isSafeInteger(x) && x >= 0;
}

function isDim(x: unknown): boolean {
  return typeof x === "object" && x !== null && "kind" in x && x.kind === "dim";
}

const attrChecks: { readonly [K in AttrKind]: (x: unknown) => boolean } = {
  number: (x) => typeof x === "number" && Number.isFinite(x),
  integer: isInteger,
  boolean: (x) => typeof x === "boolean",
  integers: (x) => Array.isArray(x) && x.every(isInteger),
  dim: isDim,
  dims: (x) => Array.isArray(x) && x.every(isDim),
  name: (x) => typeof x === "string",
  bindings: (x) => typeof x === "object" && x !== null && Object.values(x).every(isDim),
};
