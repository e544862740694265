/**
 * rows-read: computes only the rows that are read.
 *
 * Why: a predictor's last block gives every token, and all that is read of it is a slice along the tokens (the positions
 * to predict). What stands between that block's attention and the slice works row by row, and attention itself reads
 * whole keys and values but one query per row of its output: for all other rows, the output of attention, the MLP, the
 * residuals and their gradients would be made for nothing.
 * Requires: verified IR, before autodiff. Ensures: values up to rounding; a slice along axis 1 that is the only reader of
 * a value stands as far towards the inputs as ops that work row by row allow. A call whose result it slices becomes a
 * call of a copy that makes those rows only; of a repeat the last iteration is peeled off for such a call, so there is one
 * more function and not one per iteration. Nothing is done where no product gets smaller, where a value is also read
 * whole or by another slice, where a repeat carries several values or hands out one per iteration.
 * Example: `y = repeat f(x; ps) count 12; z = slice(y, rows)` -> `y = repeat f(x; front of ps) count 11; z = f_rows(y; last of ps)`.
 */
import type { FuncOptions } from "../tensor/build.js";
import { FuncBuilder } from "../tensor/build.js";
import type { Func, Node, ValueId } from "../tensor/ir.js";
import { IrError, typeOf } from "../tensor/ir.js";
import { elementwise } from "../tensor/ops.js";
import { headOf } from "../tensor/visit.js";
import type { Dim } from "../types/dim.js";
import { constantOf, equal, printDim, symbolDim } from "../types/dim.js";
import type { Pass } from "./pass.js";

export const rowsRead: Pass = {
  name: "rows-read",
  summary: "computes only the rows that are read",
  run: (module) => {
    const copies = new Copies(module.funcs.keys());
    for (const func of module.funcs.values()) {
      const plan = new Plan(func, copies);
      copies.funcs.set(func.name, plan.isWorthIt ? plan.write(headOf(func)) : func);
    }
    return [...module.funcs.values()].every((f) => copies.funcs.get(f.name) === f) ? module : { funcs: copies.funcs };
  },
};

/** Rows along axis 1 of a value of rank 3. */
interface Rows {
  readonly start: Dim;
  readonly size: Dim;
}

/** A function that makes some rows of what another makes. */
interface Copy {
  readonly name: string;
  /** The inputs of which it takes the rows alone. */
  readonly narrow: readonly boolean[];
  /** What its symbols for the rows are, in the caller. */
  readonly dims: (rows: Rows) => Readonly<Record<string, Dim>>;
}

/** The functions so far, copies among them, each before its callers. */
class Copies {
  readonly funcs = new Map<string, Func>();
  readonly #taken: Set<string>;
  readonly #made = new Map<string, Copy | undefined>();

  constructor(names: Iterable<string>) {
    this.#taken = new Set(names);
  }

  /** The copy of a function for rows whose bounds are numbers or not; undefined where it would save no product. */
  of(fn: string, rows: Rows): Copy | undefined {
    const [start, size] = [constantOf(rows.start), constantOf(rows.size)];
    const key = JSON.stringify([fn, start, size]);
    if (!this.#made.has(key)) this.#made.set(key, this.#make(fn, rows));
    return this.#made.get(key);
  }

  #make(fn: string, given: Rows): Copy | undefined {
    const func = this.funcs.get(fn);
    const [output, another] = func?.outputs ?? [];
    if (func === undefined || output === undefined || another !== undefined || !hasRows(func, output.value)) return undefined;
    const dims = new Set(func.dims);
    const symbols = new Map<"start" | "size", string>();
    const own = (bound: "start" | "size", d: Dim, wanted: string): Dim => {
      if (constantOf(d) !== undefined) return d;
      const symbol = fresh(dims, wanted);
      symbols.set(bound, symbol);
      return symbolDim(symbol);
    };
    const rows = { start: own("start", given.start, "first"), size: own("size", given.size, "count") };
    const plan = new Plan(func, this, rows);
    if (!plan.isWorthIt) return undefined;
    const name = fresh(this.#taken, `${fn.replace(/_\d+$/, "")}_rows`);
    const doc = `${func.doc ?? ""} Only ${printDim(rows.size)} of its rows are made, from number ${printDim(rows.start)} on: no other is read.`.trim();
    this.funcs.set(name, plan.write({ ...headOf(func), name, dims: [...dims], doc }));
    const narrow = func.inputs.map((i) => plan.rowsOf(i.value) !== undefined);
    return { name, narrow, dims: (at) => Object.fromEntries([...symbols].map(([bound, symbol]) => [symbol, at[bound]])) };
  }
}

/** How a node whose result is read by rows is made: which operands are read by rows too. */
type Narrowed =
  | { readonly kind: "op"; readonly narrow: readonly boolean[] }
  | { readonly kind: "call"; readonly node: Extract<Node, { op: "call" }>; readonly copy: Copy; readonly narrow: readonly boolean[] }
  | { readonly kind: "repeat"; readonly node: Extract<Node, { op: "repeat" }>; readonly copy: Copy; readonly narrow: readonly boolean[] };

/** What is read of each value of one function, and how nodes are made accordingly. */
class Plan {
  /** Whether any product gets smaller. */
  isWorthIt = false;
  readonly func: Func;
  /** Whether a copy is planned, whose result is rows. */
  readonly isCopy: boolean;
  readonly #copies: Copies;
  readonly #reads = new Map<ValueId, Rows | "whole">();
  readonly #narrowed = new Map<Node, Narrowed>();

  /** `output` are the rows that are wanted of the only result; without it results are wanted whole. */
  constructor(func: Func, copies: Copies, output?: Rows) {
    this.func = func;
    this.#copies = copies;
    this.isCopy = output !== undefined;
    for (const o of func.outputs) this.#read(o.value, output ?? "whole");
    for (const node of func.nodes.toReversed()) this.#visit(node);
  }

  /** Whether any result of a node is read. */
  isRead(node: Node): boolean {
    return node.results.some((r) => this.#reads.has(r));
  }

  /** The rows of a value that are read, where it is not read whole. */
  rowsOf(id: ValueId | undefined): Rows | undefined {
    const what = id === undefined ? undefined : this.#reads.get(id);
    return what === "whole" ? undefined : what;
  }

  /** How a node is made of which rows are read and no more than rows is made. */
  narrowed(node: Node): Narrowed | undefined {
    return this.#narrowed.get(node);
  }

  #read(id: ValueId, what: Rows | "whole"): void {
    const before = this.#reads.get(id);
    const same = before === undefined || (before !== "whole" && what !== "whole" && equal(before.start, what.start) && equal(before.size, what.size));
    this.#reads.set(id, same ? what : "whole");
  }

  #visit(node: Node): void {
    const [result] = node.results;
    if (!this.isRead(node)) return;
    const rows = node.results.some((r, i) => i > 0 && this.#reads.has(r)) ? undefined : this.rowsOf(result);
    const narrowed = rows === undefined ? undefined : this.#narrow(node, rows);
    if (rows !== undefined && narrowed !== undefined) {
      this.#narrowed.set(node, narrowed);
      this.isWorthIt ||= narrowed.kind !== "op" || node.op === "linear" || node.op === "matmul" || node.op === "sdpa";
      node.args.forEach((a, i) => this.#read(a, narrowed.narrow[i] === true ? rows : "whole"));
      return;
    }
    const picked = isPick(this.func, node) && rows === undefined ? node.attrs : undefined;
    for (const a of node.args) this.#read(a, picked ?? "whole");
  }

  /** How to make rows of the first result of a node; undefined where only the whole can be made. */
  #narrow(node: Node, rows: Rows): Narrowed | undefined {
    if (node.op === "call") {
      const copy = this.#copies.of(node.attrs.fn, rows);
      return copy && { kind: "call", node, copy, narrow: copy.narrow };
    }
    if (node.op === "repeat") {
      const { carries, count, reverse, fn } = node.attrs;
      const copy = carries === 1 && node.results.length === 1 && count > 0 && !reverse ? this.#copies.of(fn, rows) : undefined;
      // Whoever makes rows from rows alone does so in every iteration; else the iterations before the last make all.
      const isOneOfMany = copy?.narrow[0] === true && copy.narrow.slice(carries + node.attrs.consts).includes(true);
      return copy && !isOneOfMany ? { kind: "repeat", node, copy, narrow: copy.narrow[0] === true ? copy.narrow : copy.narrow.map(() => false) } : undefined;
    }
    const narrow = operandsByRow(this.func, node);
    return narrow && { kind: "op", narrow };
  }

  /** The function, or the copy of it, made as planned. */
  write(head: FuncOptions): Func {
    return new Writer(this, this.func, new FuncBuilder({ funcs: this.#copies.funcs }, head)).write();
  }
}

/** Writes one function by its plan: keeps for each value its whole, its rows, or both. */
class Writer {
  readonly #plan: Plan;
  readonly #func: Func;
  readonly #b: FuncBuilder;
  readonly #wholes = new Map<ValueId, ValueId>();
  readonly #parts = new Map<ValueId, ValueId>();

  constructor(plan: Plan, func: Func, b: FuncBuilder) {
    this.#plan = plan;
    this.#func = func;
    this.#b = b;
  }

  write(): Func {
    const { nodes, inputs, outputs } = this.#func;
    for (const input of inputs) this.#input(input);
    for (const node of nodes) if (this.#plan.isRead(node)) this.#node(node);
    for (const o of outputs) this.#b.output(o.path, this.#plan.rowsOf(o.value) === undefined ? this.#whole(o.value) : this.#part(o.value), o.role);
    return this.#b.finish();
  }

  #whole(id: ValueId): ValueId {
    return this.#wholes.get(id) ?? this.#lost(id);
  }

  #part(id: ValueId): ValueId {
    const known = this.#parts.get(id);
    if (known !== undefined) return known;
    const made = slice(this.#b, this.#whole(id), this.#plan.rowsOf(id) ?? this.#lost(id));
    this.#parts.set(id, made);
    return made;
  }

  #input({ path, value, role }: Func["inputs"][number]): void {
    const { shape, ...type } = typeOf(this.#func, value);
    const rows = this.#plan.isCopy ? this.#plan.rowsOf(value) : undefined;
    const id = this.#b.input(path, { ...type, shape: rows === undefined ? shape : shape.map((d, i) => (i === 1 ? rows.size : d)) }, role);
    const name = this.#func.values[value]?.name;
    if (name !== undefined) this.#b.name(id, name);
    (rows === undefined ? this.#wholes : this.#parts).set(value, id);
  }

  #node(node: Node): void {
    this.#b.origin = node.origin;
    const [result = -1] = node.results;
    const narrowed = this.#plan.narrowed(node);
    if (narrowed !== undefined) this.#parts.set(result, this.#narrow(node, narrowed, this.#plan.rowsOf(result) ?? this.#lost(result)));
    else if (isPick(this.#func, node) && this.#plan.rowsOf(node.args[0]) !== undefined) this.#wholes.set(result, this.#part(node.args[0] ?? -1));
    else {
      const made = this.#b.copy(node, node.args.map((a) => this.#whole(a)), node.results.map((r) => this.#func.values[r]?.name));
      node.results.forEach((r, i) => this.#wholes.set(r, made[i] ?? this.#lost(r)));
    }
  }

  /** The rows of a node's first result. */
  #narrow(node: Node, narrowed: Narrowed, rows: Rows): ValueId {
    const args = node.args.map((a, i) => {
      if (narrowed.narrow[i] !== true) return this.#whole(a);
      return this.#plan.rowsOf(a) === undefined ? slice(this.#b, this.#whole(a), rows) : this.#part(a);
    });
    const made = narrowed.kind === "op" ? this.#b.copy(node, args)[0] : narrowed.kind === "call" ? calls(this.#b, narrowed, args, rows) : peels(this.#b, narrowed, args, rows);
    const [result = -1] = node.results;
    const name = this.#func.values[result]?.name;
    if (made === undefined) return this.#lost(result);
    return name === undefined || args.includes(made) ? made : this.#b.name(made, name);
  }

  #lost(id: ValueId): never {
    throw new IrError(`rows-read lost %${id} of \`${this.#func.name}\`.`);
  }
}

function calls(b: FuncBuilder, { node, copy }: Extract<Narrowed, { kind: "call" }>, args: readonly ValueId[], rows: Rows): ValueId | undefined {
  return b.call(copy.name, args, { ...node.attrs.dims, ...copy.dims(rows) })[0];
}

/** All iterations but the last as they are, then the copy; or all of them by the copy, where it asks for no more than rows. */
function peels(b: FuncBuilder, { node, copy }: Extract<Narrowed, { kind: "repeat" }>, args: readonly ValueId[], rows: Rows): ValueId | undefined {
  const { fn, count, consts, dims } = node.attrs;
  const [start = -1, ...rest] = args;
  const [fixed, stacked] = [rest.slice(0, consts), rest.slice(consts)];
  const own = { ...dims, ...copy.dims(rows) };
  if (copy.narrow[0] === true) return b.repeat(copy.name, { carries: [start], consts: fixed, stacked }, { count, dims: own }).carries[0];
  const front = (): ValueId => {
    const [carried = -1] = b.repeat(fn, { carries: [start], consts: fixed, stacked: stacked.map((s) => b.op("stack_front", [s])) }, { count: count - 1, dims }).carries;
    return carried;
  };
  const carried = count === 1 ? start : front();
  const last = [...fixed, ...stacked.map((s) => b.op("stack_last", [s]))];
  const operands = [carried, ...last].map((id, i) => (copy.narrow[i] === true ? slice(b, id, rows) : id));
  return b.call(copy.name, operands, own)[0];
}

function slice(b: FuncBuilder, x: ValueId, { start, size }: Rows): ValueId {
  return b.op("slice", [x], { axis: 1, start, size });
}

function isPick(func: Func, node: Node): node is Extract<Node, { op: "slice" }> {
  return node.op === "slice" && node.attrs.axis === 1 && hasRows(func, node.results[0] ?? -1);
}

/** Whether a value is one tensor of rank 3. */
function hasRows(func: Func, id: ValueId): boolean {
  const { shape, stack } = typeOf(func, id);
  return shape.length === 3 && stack.length === 0;
}

/** Of which operands row r of the first result reads row r only, the others being read whole; undefined where it reads more. */
function operandsByRow(func: Func, node: Node): readonly boolean[] | undefined {
  const [result = -1] = node.results;
  if (!hasRows(func, result)) return undefined;
  const rank = (i: number): number => typeOf(func, node.args[i] ?? -1).shape.length;
  const first = node.args.map((_, i) => i === 0);
  if (elementwise.has(node.op)) return broadcastByRow(func, node);
  switch (node.op) {
    case "linear":
    case "softmax":
    case "log_softmax":
    case "normalize":
    case "sdpa":
      return first;
    case "matmul":
      return rank(1) === 2 && !node.attrs.ta ? first : undefined;
    case "slice":
    case "pad":
      return node.attrs.axis === 2 ? first : undefined;
    case "concat":
      return node.attrs.axis === 2 ? node.args.map(() => true) : undefined;
    default:
      return undefined;
  }
}

/** Elementwise ops broadcast from the right: an operand without the axis of rows, or with one row for all, is read whole. */
function broadcastByRow(func: Func, node: Node): readonly boolean[] | undefined {
  const kinds = node.args.map((a) => {
    const { shape } = typeOf(func, a);
    const rows = shape.at(-2);
    if (rows === undefined || constantOf(rows) === 1) return false;
    return shape.length === 3 ? true : undefined;
  });
  const known = kinds.filter((k) => k !== undefined);
  return known.length === kinds.length && known.includes(true) ? known : undefined;
}

/** The name, or the name with a number; it is taken from now on. */
function fresh(taken: Set<string>, name: string): string {
  let candidate = name;
  for (let n = 2; taken.has(candidate); n++) candidate = `${name}_${n}`;
  taken.add(candidate);
  return candidate;
}
