/**
 * Building functions.
 *
 * Owns `FuncBuilder`: inputs, nodes and outputs in order, result types inferred by the shape rules, so that what it
 * finishes verifies. A misfit is a bug in the stage that builds (users' shapes are checked before) and throws IrError.
 * Hygiene only: ops that do nothing (a reshape to the same shape, a scale by 1) return their operand. Folding, sharing
 * and removal are passes.
 */
import type { Span } from "../base/span.js";
import type { Dim, DimLike } from "../types/dim.js";
import { add, dim, equal, equalShapes } from "../types/dim.js";
import type { Func, Input, InputRole, Module, Node, Output, OutputRole, TensorType, Value, ValueId } from "./ir.js";
import { IrError, equalStacks, funcOf, makeNode, withArgs, withFunc, withResults } from "./ir.js";
import type { Attrs, PrimitiveName } from "./ops.js";
import { inferNode } from "./shapes.js";

/** What a new function is called and where it comes from. */
export interface FuncOptions {
  readonly name: string;
  /** Dimension symbols of its signature. */
  readonly dims: readonly string[];
  readonly doc?: string;
  readonly origin?: Span;
}

/** What `FuncBuilder.repeat` needs beside its operands. */
export interface RepeatOptions {
  readonly count: number;
  /** Iterate from the last element to the first. Default false. */
  readonly reverse?: boolean;
  readonly dims?: Readonly<Record<string, DimLike>>;
}

/** Operands of a repeat. */
export interface RepeatArgs {
  readonly carries: readonly ValueId[];
  readonly consts?: readonly ValueId[];
  readonly stacked?: readonly ValueId[];
}

/** Results of a repeat. */
export interface RepeatResults {
  readonly carries: readonly ValueId[];
  readonly stacked: readonly ValueId[];
}

/** Arguments of `op` after the operands: attributes where it has some, then the origin. */
export type OpRest<O extends PrimitiveName> = keyof Attrs<O> extends never ? [attrs?: Attrs<O>] : [attrs: Attrs<O>];

/** Starts a function; calls in it see the functions of `module`. */
export function buildFunc(module: Module, options: FuncOptions): FuncBuilder {
  return new FuncBuilder(module, options);
}

/** Builds a function and adds it to the module. */
export function defineFunc(module: Module, options: FuncOptions, body: (b: FuncBuilder) => void): Module {
  const b = buildFunc(module, options);
  body(b);
  return withFunc(module, b.finish());
}

/** A function under construction. */
export class FuncBuilder {
  /** The source span given to nodes from now on. */
  origin: Span | undefined;
  readonly #module: Module;
  readonly #options: FuncOptions;
  readonly #values: Value[] = [];
  readonly #inputs: Input[] = [];
  readonly #outputs: Output[] = [];
  readonly #nodes: Node[] = [];
  readonly #producers = new Map<ValueId, Node>();

  constructor(module: Module, options: FuncOptions) {
    this.#module = module;
    this.#options = options;
    this.origin = options.origin;
  }

  /** Adds an input; `path` must be new. Its last part becomes the value's name. */
  input(path: string, type: TensorType, role: InputRole): ValueId {
    if (this.#inputs.some((i) => i.path === path)) throw this.#bug(`input \`${path}\` is declared twice`);
    const value = this.#value(type, path);
    this.#inputs.push({ value, role, path });
    return value;
  }

  /** Adds an output. */
  output(path: string, value: ValueId, role: OutputRole = "data"): void {
    this.typeOf(value);
    this.#outputs.push({ value, role, path });
  }

  /** Applies a primitive op with one result. */
  op<O extends PrimitiveName>(op: O, args: readonly ValueId[], ...rest: OpRest<O>): ValueId {
    const [first] = this.multi(op, args, ...rest);
    if (first === undefined) throw this.#bug(`\`${op}\` has no result`);
    return first;
  }

  /** Applies a primitive op; all its results. */
  multi<O extends PrimitiveName>(op: O, args: readonly ValueId[], ...rest: OpRest<O>): readonly ValueId[] {
    const attrs: object = rest[0] ?? {};
    return this.#add(makeNode({ op, args, results: [], attrs, origin: this.origin }));
  }

  /** Calls a function defined before. Symbols not in `dims` mean the symbol of the same name here. */
  call(fn: string, args: readonly ValueId[], dims: Readonly<Record<string, DimLike>> = {}): readonly ValueId[] {
    const callee = funcOf(this.#module, fn);
    const attrs = { fn, dims: bindings(callee, dims) };
    return this.#add({ op: "call", args, results: [], attrs, origin: this.origin });
  }

  /** Repeats a function: its inputs are (carries, consts, one element of each stacked). */
  repeat(fn: string, args: RepeatArgs, options: RepeatOptions): RepeatResults {
    const callee = funcOf(this.#module, fn);
    const { carries, consts = [], stacked = [] } = args;
    const attrs = {
      fn,
      dims: bindings(callee, options.dims ?? {}),
      count: options.count,
      reverse: options.reverse ?? false,
      carries: carries.length,
      consts: consts.length,
      stacked: stacked.length,
    };
    const all = [...carries, ...consts, ...stacked];
    const results = this.#add({ op: "repeat", args: all, results: [], attrs, origin: this.origin });
    return { carries: results.slice(0, carries.length), stacked: results.slice(carries.length) };
  }

  /** Copies a node of another function with other operands: types are inferred anew. Names of its results may be given. */
  copy(node: Node, args: readonly ValueId[], names: readonly (string | undefined)[] = []): readonly ValueId[] {
    const results = this.#add(withArgs(node, args));
    names.forEach((name, i) => {
      const result = results[i];
      if (name !== undefined && result !== undefined && !args.includes(result)) this.name(result, name);
    });
    return results;
  }

  /** Gives a value the name a reader should see. */
  name(id: ValueId, name: string): ValueId {
    const value = this.#values[id];
    if (value === undefined) throw this.#bug(`there is no value %${id}`);
    this.#values[id] = { ...value, name };
    return id;
  }

  /** The name a value was given, if any. */
  nameOf(id: ValueId): string | undefined {
    return this.#values[id]?.name;
  }

  /** The node that made a value; undefined for an input. */
  producerOf(id: ValueId): Node | undefined {
    return this.#producers.get(id);
  }

  /** The type of a value. */
  typeOf(id: ValueId): TensorType {
    const value = this.#values[id];
    if (value === undefined) throw this.#bug(`there is no value %${id}`);
    return value.type;
  }

  /** The shape of a value. */
  shapeOf(id: ValueId): readonly Dim[] {
    return this.typeOf(id).shape;
  }

  /** A constant of a shape. */
  fill(shape: readonly DimLike[], value: number, stack: readonly number[] = []): ValueId {
    return this.op("fill", [], { shape: shape.map(dim), value, stack });
  }

  /** Zeros of the type of another value. */
  zerosLike(id: ValueId): ValueId {
    const { shape, stack } = this.typeOf(id);
    return this.fill(shape, 0, stack);
  }

  /** Slices one axis into pieces of the given sizes, which must cover it. */
  split(x: ValueId, axis: number, sizes: readonly DimLike[]): ValueId[] {
    let start = dim(0);
    const pieces = sizes.map((s) => {
      const size = dim(s);
      const piece = this.op("slice", [x], { axis, start, size });
      start = add(start, size);
      return piece;
    });
    const whole = this.shapeOf(x)[axis];
    if (whole === undefined || !equal(whole, start)) throw this.#bug(`pieces do not cover axis ${axis}`);
    return pieces;
  }

  /** The finished function. */
  finish(): Func {
    const { name, dims, doc, origin } = this.#options;
    return {
      name,
      dims,
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      values: [...this.#values],
      nodes: [...this.#nodes],
      ...(doc === undefined ? {} : { doc }),
      origin,
    };
  }

  #add(node: Node): readonly ValueId[] {
    const untouched = this.#noEffect(node);
    if (untouched !== undefined) return [untouched];
    const inferred = inferNode((name) => funcOf(this.#module, name), node, node.args.map((a) => this.typeOf(a)));
    if (inferred.kind === "problem") throw this.#bug(`\`${node.op}\`: ${inferred.problem}`);
    const results = inferred.types.map((type) => this.#value(type));
    const made = withResults(node, results);
    this.#nodes.push(made);
    for (const r of results) this.#producers.set(r, made);
    return results;
  }

  #value(type: TensorType, name?: string): ValueId {
    const id = this.#values.length;
    this.#values.push(name === undefined ? { id, type } : { id, type, name });
    return id;
  }

  #bug(problem: string): IrError {
    return new IrError(`In function \`${this.#options.name}\`: ${problem}.`);
  }

  /** The operand itself, where the op would return it unchanged. */
  #noEffect(node: Node): ValueId | undefined {
    const [x] = node.args;
    if (x === undefined) return undefined;
    const type = this.typeOf(x);
    switch (node.op) {
      case "reshape":
      case "broadcast":
        return type.stack.length === 0 && equalShapes(type.shape, node.attrs.shape) ? x : undefined;
      case "transpose":
        return equalStacks(node.attrs.perm, type.shape.map((_, i) => i)) ? x : undefined;
      case "scale":
        return node.attrs.by === 1 ? x : undefined;
      case "shift":
        return node.attrs.by === 0 ? x : undefined;
      case "concat":
        return node.args.length === 1 ? x : undefined;
      case "tile_batch":
      case "sum_tiles":
        return node.attrs.copies === 1 ? x : undefined;
      default:
        return undefined;
    }
  }
}

function bindings(callee: Func, dims: Readonly<Record<string, DimLike>>): Readonly<Record<string, Dim>> {
  return Object.fromEntries(callee.dims.map((s) => [s, dim(dims[s] ?? s)]));
}
