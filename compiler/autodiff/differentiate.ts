/**
 * Reverse mode from function to function.
 *
 * For a function `f` makes `f_forward`, which also returns the values that its backward reads, and `f_backward`, which takes
 * cotangents and those values and returns gradients. A call becomes a call of the callee's two; a repeat becomes a
 * repeat whose body saves per iteration (a stacked value) and a reversed repeat for the backward, in which cotangents of
 * carries are carried and gradients of constants accumulate as carries. So the gradient of a loop is a loop: size does
 * not follow depth, and the generated code keeps one function per module with its backward beside it.
 *
 * A forward function saves no input of its own: the caller owns it and passes it again. (The carries of a repeat are the
 * exception: they belong to an iteration, so the body saves them where it must.)
 * Only functions on a gradient's way are made; `activity.ts` says which, `recompute.ts` what is saved, `vjp.ts` the rules.
 */
import { FuncBuilder } from "../tensor/build.js";
import type { Func, Input, Module, Node, Output, TensorType, ValueId } from "../tensor/ir.js";
import { IrError, funcOf, typeOf } from "../tensor/ir.js";
import { specOf } from "../tensor/ops.js";
import { substituteType } from "../tensor/shapes.js";
import { headOf } from "../tensor/visit.js";
import { Activity } from "./activity.js";
import type { Flags } from "./activity.js";
import type { RecomputePolicy } from "./recompute.js";
import { planRecompute } from "./recompute.js";
import { applyVjp } from "./vjp.js";

/** What to differentiate. */
export interface DifferentiateOptions {
  /** The inputs to take gradients of: indices, or a predicate. */
  readonly wrt: readonly number[] | ((input: Input) => boolean);
  /** The outputs whose cotangents the backward function takes. */
  readonly outputs: readonly number[] | ((output: Output) => boolean);
  /** Default "views". */
  readonly recompute?: RecomputePolicy;
}

/** One argument of a backward function. */
export type BackwardInput =
  /** The cotangent of output `index` of the original function. */
  | { readonly kind: "cotangent"; readonly index: number }
  /** Input `index` of the original function, once more. */
  | { readonly kind: "input"; readonly index: number }
  /** The saved value `index`: result number `nResults + index` of the forward function. */
  | { readonly kind: "saved"; readonly index: number };

/** A function's derivative. */
export interface Derivative {
  /** Takes the original inputs; returns the original outputs, then the saved values. The original where nothing is saved. */
  readonly forward: string;
  readonly backward: string;
  /** The number of original outputs. */
  readonly nResults: number;
  /** Names of the saved values. */
  readonly saved: readonly string[];
  /** The backward function's arguments in order: cotangents, original inputs, saved values. */
  readonly inputs: readonly BackwardInput[];
  /** For each result of the backward function, the original input whose gradient it is. Inputs not listed have none. */
  readonly grads: readonly number[];
}

/** Adds the derivative of `fn`, and of what it calls, to the module. */
export function differentiate(module: Module, fn: string, options: DifferentiateOptions): { module: Module } & Derivative {
  const func = funcOf(module, fn);
  const driver = new Driver(module, options.recompute ?? "views");
  const derivative = driver.derive(fn, flagsOf(func.inputs, options.wrt), flagsOf(func.outputs, options.outputs), []);
  return { module: { funcs: driver.funcs }, ...derivative };
}

/**
 * Adds `<fn>_gradient`: the inputs of `fn`; its outputs, then the gradients of the flagged inputs (those that have one)
 * for cotangents of 1 on the flagged outputs. Meant for a loss; of several outputs it differentiates the sum.
 */
export function addGradient(module: Module, fn: string, options: DifferentiateOptions): { module: Module; gradient: string; grads: readonly number[] } {
  const func = funcOf(module, fn);
  const d = differentiate(module, fn, options);
  const name = freshName(d.module.funcs, `${fn}_gradient`);
  const b = new FuncBuilder(d.module, { ...headOf(func), name });
  const args = func.inputs.map((i) => b.input(i.path, typeOf(func, i.value), i.role));
  const results = b.call(d.forward, args);
  const at = (ids: readonly ValueId[], i: number): ValueId => ids[i] ?? bug(`\`${fn}\` has no value ${i}`);
  const cotangent = (i: number): ValueId => {
    const { shape, stack } = b.typeOf(at(results, i));
    return b.fill(shape, 1, stack);
  };
  const grads = b.call(
    d.backward,
    d.inputs.map((x) => (x.kind === "cotangent" ? cotangent(x.index) : x.kind === "input" ? at(args, x.index) : at(results, d.nResults + x.index))),
  );
  func.outputs.forEach((o, i) => b.output(o.path, at(results, i), o.role));
  d.grads.forEach((input, i) => b.output(func.inputs[input]?.path ?? "", at(grads, i), "grad"));
  return { module: { funcs: new Map(d.module.funcs).set(name, b.finish()) }, gradient: name, grads: d.grads };
}

function flagsOf<T>(items: readonly T[], which: readonly number[] | ((item: T) => boolean)): boolean[] {
  return typeof which === "function" ? items.map(which) : items.map((_, i) => which.includes(i));
}

function freshName(taken: ReadonlyMap<string, unknown>, name: string): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}_${n}`;
    if (!taken.has(candidate)) return candidate;
  }
}

function bug(problem: string): never {
  throw new IrError(`Autodiff: ${problem}.`);
}

type Repeat = Extract<Node, { op: "repeat" }>;
type Call = Extract<Node, { op: "call" }>;

/** A value that a callee saves for its caller: known by an id past the function's own values. */
interface Extra {
  readonly id: ValueId;
  readonly node: Node;
  readonly index: number;
  readonly name: string;
  readonly type: TensorType;
}

/** Keeps the module that grows and the derivatives made so far. */
class Driver {
  /** Shared with `#module`, which therefore always shows the functions made so far. */
  readonly funcs: Map<string, Func>;
  readonly policy: RecomputePolicy;
  readonly activity: Activity;
  readonly module: Module;
  readonly #known = new Map<string, Derivative>();

  constructor(module: Module, policy: RecomputePolicy) {
    this.funcs = new Map(module.funcs);
    this.module = { funcs: this.funcs };
    this.policy = policy;
    this.activity = new Activity(this.module);
  }

  /** The derivative for one activity; `owned` flags inputs that a caller cannot hand back. */
  derive(fn: string, active: Flags, cots: Flags, owned: Flags): Derivative {
    const func = funcOf(this.module, fn);
    const outputs = this.activity.outputs(fn, active);
    const useful = cots.map((on, i) => on && (outputs[i] ?? false));
    const key = JSON.stringify([fn, active, useful, owned]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const derivative = new FunctionDerivation(this, func, active, useful, owned).build();
    this.#known.set(key, derivative);
    return derivative;
  }

  /** A function of that name, or the name with a number. */
  fresh(name: string): string {
    return freshName(this.funcs, name);
  }

  add(func: Func): void {
    this.funcs.set(func.name, func);
  }
}

/**
 * The derivation of one function. The sweep runs first, over a draft in which forward values are inputs made on demand;
 * what it asked for is then planned (saved, handed back, recomputed) and both functions are written out.
 */
class FunctionDerivation {
  readonly #driver: Driver;
  readonly #func: Func;
  readonly #active: boolean[];
  readonly #cots: Flags;
  readonly #owned: Flags;
  readonly #reached: Flags;
  readonly #draft: FuncBuilder;
  readonly #refs = new Map<ValueId, ValueId>();
  readonly #cotangents = new Map<ValueId, ValueId>();
  readonly #extras: Extra[] = [];
  readonly #forwardNames = new Map<Node, string>();
  readonly #backwardName: string;

  constructor(driver: Driver, func: Func, active: Flags, cots: Flags, owned: Flags) {
    this.#driver = driver;
    this.#func = func;
    this.#active = driver.activity.values(func, active);
    this.#cots = cots;
    this.#owned = owned;
    this.#reached = driver.activity.reached(func.name, active, cots);
    this.#backwardName = driver.fresh(`${func.name}_backward`);
    this.#draft = new FuncBuilder(driver.module, { ...headOf(func), name: this.#backwardName });
  }

  build(): Derivative {
    const func = this.#func;
    const seeds = func.outputs.map((o, i) => (this.#cots[i] ? this.#seed(o, i) : undefined));
    for (const node of func.nodes.toReversed()) this.#sweep(node);
    const grads = func.inputs.flatMap((_, i) => (this.#reached[i] ? [i] : []));
    for (const i of grads) {
      const value = func.inputs[i]?.value ?? bug("an input is missing");
      this.#draft.output(`${i}`, this.#cotangents.get(value) ?? this.#zeros(typeOf(func, value)), "grad");
    }
    const given = new Set(func.inputs.filter((_, i) => !this.#owned[i]).map((i) => i.value));
    const plan = planRecompute(func, this.#refs.keys(), given, this.#driver.policy);
    const saved = plan.sources.filter((id) => !given.has(id));
    const handed = func.inputs.flatMap((input, i) => (given.has(input.value) && plan.sources.includes(input.value) ? [i] : []));
    // Unlike any input, so that forward and backward call a saved value the same.
    const names = uniqueNames(saved.map((id) => this.#savedName(id)), func.inputs.map((i) => i.path));
    const forward = this.#writeForward(saved, names);
    this.#writeBackward(seeds, handed, saved, names, plan.remade, grads);
    return {
      forward,
      backward: this.#backwardName,
      nResults: func.outputs.length,
      saved: names,
      inputs: [
        ...seeds.flatMap((seed, index): BackwardInput[] => (seed === undefined ? [] : [{ kind: "cotangent", index }])),
        ...handed.map((index): BackwardInput => ({ kind: "input", index })),
        ...saved.map((_, index): BackwardInput => ({ kind: "saved", index })),
      ],
      grads,
    };
  }

  // The sweep.

  #seed(output: Output, index: number): ValueId {
    const id = this.#draft.input(`cotangent ${index}`, typeOf(this.#func, output.value), "cotangent");
    this.#accumulate(output.value, id);
    return id;
  }

  #accumulate(value: ValueId, cotangent: ValueId): void {
    const before = this.#cotangents.get(value);
    this.#cotangents.set(value, before === undefined ? cotangent : this.#draft.op("add", [before, cotangent]));
  }

  #zeros(type: TensorType): ValueId {
    return this.#draft.fill(type.shape, 0, type.stack);
  }

  /** A forward value in the draft. */
  #ref(id: ValueId): ValueId {
    const known = this.#refs.get(id);
    if (known !== undefined) return known;
    const made = this.#draft.input(`forward ${id}`, this.#typeOf(id), "saved");
    this.#refs.set(id, made);
    return made;
  }

  #typeOf(id: ValueId): TensorType {
    return id < this.#func.values.length ? typeOf(this.#func, id) : this.#extra(id).type;
  }

  #extra(id: ValueId): Extra {
    return this.#extras[id - this.#func.values.length] ?? bug(`there is no forward value ${id}`);
  }

  #sweep(node: Node): void {
    const results = node.results.map((r) => this.#cotangents.has(r));
    if (!results.some(Boolean)) return;
    const active = node.args.map((a) => this.#active[a] ?? false);
    const reached = this.#driver.activity.argsReached(node, active, results);
    if (!reached.some(Boolean)) return;
    this.#draft.origin = node.origin;
    if (node.op === "call") this.#sweepCall(node, active, results);
    else if (node.op === "repeat") this.#sweepRepeat(node, active, results);
    else this.#sweepPrimitive(node, reached);
  }

  #sweepPrimitive(node: Exclude<Node, Call | Repeat>, reached: Flags): void {
    const [first] = node.results;
    const dy = first === undefined ? undefined : this.#cotangents.get(first);
    const auxiliary = node.results.findIndex((r, i) => i > 0 && this.#cotangents.has(r));
    if (dy === undefined || auxiliary > 0) {
      const name = specOf(node.op).results[auxiliary] ?? "";
      throw new IrError(`In function \`${this.#func.name}\`: there is no gradient through the result \`${name}\` of \`${node.op}\`.`);
    }
    const operand = (i: number): ValueId => node.args[i] ?? bug(`\`${node.op}\` has no operand ${i}`);
    const grads = applyVjp(node.op, {
      b: this.#draft,
      attrs: node.attrs,
      nArgs: node.args.length,
      dy,
      arg: (i) => this.#ref(operand(i)),
      result: (i) => this.#ref(node.results[i] ?? bug(`\`${node.op}\` has no result ${i}`)),
      argShape: (i) => typeOf(this.#func, operand(i)).shape,
      argStack: (i) => typeOf(this.#func, operand(i)).stack,
      wants: (i) => reached[i] ?? false,
    });
    node.args.forEach((a, i) => {
      const grad = grads[i];
      if (reached[i] && grad !== undefined) this.#accumulate(a, grad);
    });
  }

  #sweepCall(node: Call, active: Flags, results: Flags): void {
    const d = this.#driver.derive(node.attrs.fn, active, results, active.map(() => false));
    const extras = this.#addExtras(node, d, []);
    const args = d.inputs.map((input) => {
      if (input.kind === "cotangent") return this.#cotangentOf(node, input.index);
      if (input.kind === "saved") return this.#ref(extras[input.index] ?? bug("a saved value is missing"));
      return this.#ref(node.args[input.index] ?? bug("an operand is missing"));
    });
    const grads = this.#draft.call(d.backward, args, node.attrs.dims);
    d.grads.forEach((input, i) => this.#accumulateArg(node, input, grads[i]));
  }

  #accumulateArg(node: Node, input: number, grad: ValueId | undefined): void {
    const arg = node.args[input];
    if (arg !== undefined && grad !== undefined && this.#active[arg]) this.#accumulate(arg, grad);
  }

  #cotangentOf(node: Node, result: number): ValueId {
    const value = node.results[result] ?? bug(`\`${node.op}\` has no result ${result}`);
    return this.#cotangents.get(value) ?? this.#zeros(typeOf(this.#func, value));
  }

  /** Registers what a callee saves as values of this function. */
  #addExtras(node: Call | Repeat, d: Derivative, stack: readonly number[]): ValueId[] {
    if (d.forward !== node.attrs.fn) this.#forwardNames.set(node, d.forward);
    const forward = funcOf(this.#driver.module, d.forward);
    const map = new Map(Object.entries(node.attrs.dims));
    return d.saved.map((name, index) => {
      const inner = typeOf(forward, forward.outputs[d.nResults + index]?.value ?? bug("a saved value is missing"));
      const type = { ...substituteType(inner, map), stack: [...stack, ...inner.stack] };
      const id = this.#func.values.length + this.#extras.length;
      this.#extras.push({ id, node, index: d.nResults + index, name: `${node.attrs.fn}.${name}`, type });
      return id;
    });
  }

  #sweepRepeat(node: Repeat, args: Flags, results: Flags): void {
    const { carries, consts, count, reverse, dims } = node.attrs;
    const inner = this.#driver.activity.repeat(node, args, results);
    const d = this.#driver.derive(node.attrs.fn, inner.active, inner.cots, inner.active.map((_, i) => i < carries));
    const extras = this.#addExtras(node, d, [count]);
    const layout = layoutRepeat(d, node, inner.cots);
    const body = layout.isDirect ? d.backward : this.#writeStep(node, d, layout);
    const backward = this.#draft.repeat(
      body,
      {
        carries: [
          ...layout.carried.map((i) => this.#cotangentOf(node, i)),
          ...layout.accumulated.map((i) => this.#zeros(typeOf(this.#func, node.args[i] ?? -1))),
        ],
        consts: layout.consts.map((i) => this.#ref(node.args[i] ?? -1)),
        stacked: [
          ...layout.stacked.map((i) => this.#ref(node.args[i] ?? -1)),
          ...extras.map((id) => this.#ref(id)),
          ...layout.outputs.map((i) => this.#cotangentOf(node, i)),
        ],
      },
      { count, reverse: !reverse, dims },
    );
    [...layout.carried, ...layout.accumulated].forEach((input, i) => this.#accumulateArg(node, input, backward.carries[i]));
    d.grads.filter((i) => i >= carries + consts).forEach((input, i) => this.#accumulateArg(node, input, backward.stacked[i]));
  }

  /** The body of a reversed repeat where the callee's backward does not have its form: it calls it and adds up. */
  #writeStep(node: Repeat, d: Derivative, layout: RepeatLayout): string {
    const body = funcOf(this.#driver.module, node.attrs.fn);
    const backward = funcOf(this.#driver.module, d.backward);
    const name = this.#driver.fresh(`${d.backward}_step`);
    const doc = `One iteration of the backward of \`repeat ${body.name}\`: cotangents of carries in and out, gradients of constants added up.`;
    const b = new FuncBuilder(this.#driver.module, { ...headOf(backward), name, doc });
    const inputOf = (i: number): Input => body.inputs[i] ?? bug("an input is missing");
    const typeOfInput = (i: number): TensorType => typeOf(body, inputOf(i).value);
    const carried = new Map(layout.carried.map((i) => [i, b.input(`d ${inputOf(i).path}`, typeOfInput(i), "cotangent")]));
    const sums = layout.accumulated.map((i) => b.input(`sum d ${inputOf(i).path}`, typeOfInput(i), "cotangent"));
    const given = new Map([...layout.consts, ...layout.stacked].map((i) => [i, b.input(inputOf(i).path, typeOfInput(i), inputOf(i).role)]));
    const saved = d.inputs.flatMap((x, at) => (x.kind === "saved" ? [copyInput(b, backward, at)] : []));
    const outputs = new Map(layout.outputs.map((i) => {
      const at = d.inputs.findIndex((x) => x.kind === "cotangent" && x.index === i);
      return [i, copyInput(b, backward, at)];
    }));
    const args = d.inputs.map((x) => {
      const id = x.kind === "cotangent" ? (carried.get(x.index) ?? outputs.get(x.index)) : x.kind === "input" ? given.get(x.index) : saved[x.index];
      return id ?? bug("an argument of a backward function is missing");
    });
    const grads = b.call(d.backward, args);
    const gradOf = (i: number): ValueId | undefined => grads[d.grads.indexOf(i)];
    const { carries, consts } = node.attrs;
    for (const i of layout.carried) {
      const { shape, stack } = typeOfInput(i);
      b.output(inputOf(i).path, gradOf(i) ?? b.fill(shape, 0, stack), "grad");
    }
    layout.accumulated.forEach((i, at) => {
      b.output(inputOf(i).path, b.op("add", [sums[at] ?? -1, gradOf(i) ?? -1]), "grad");
    });
    for (const i of d.grads) if (i >= carries + consts) b.output(inputOf(i).path, gradOf(i) ?? -1, "grad");
    this.#driver.add(b.finish());
    return name;
  }

  // Writing out.

  #savedName(id: ValueId): string {
    if (id >= this.#func.values.length) return this.#extra(id).name;
    const own = this.#func.values[id]?.name;
    if (own !== undefined) return own;
    const node = this.#func.nodes.find((n) => n.results.includes(id));
    if (node === undefined) return `value${id}`;
    const results = specOf(node.op).results;
    // Of several results each has a name worth reading: `normalize.rstd`, `sdpa.lse`.
    return results === "many" || results.length === 1 ? node.op : `${node.op}.${results[node.results.indexOf(id)] ?? id}`;
  }

  #writeForward(saved: readonly ValueId[], names: readonly string[]): string {
    const func = this.#func;
    if (saved.length === 0 && this.#forwardNames.size === 0) return func.name;
    const name = this.#driver.fresh(`${func.name}_forward`);
    const b = new FuncBuilder(this.#driver.module, { ...headOf(func), name });
    const map = new Map<ValueId, ValueId>(func.inputs.map((i) => [i.value, b.input(i.path, typeOf(func, i.value), i.role)]));
    const at = (id: ValueId): ValueId => map.get(id) ?? bug(`%${id} is missing in \`${name}\``);
    for (const node of func.nodes) {
      const results = b.copy(this.#forwardNode(node), node.args.map(at), node.results.map((r) => func.values[r]?.name));
      node.results.forEach((r, i) => map.set(r, results[i] ?? -1));
      for (const extra of this.#extras) if (extra.node === node) map.set(extra.id, results[extra.index] ?? -1);
    }
    for (const o of func.outputs) b.output(o.path, at(o.value), o.role);
    saved.forEach((id, i) => b.output(names[i] ?? "", at(id), "saved"));
    this.#driver.add(b.finish());
    return name;
  }

  #forwardNode(node: Node): Node {
    const fn = this.#forwardNames.get(node);
    if (fn === undefined) return node;
    if (node.op === "call") return { ...node, attrs: { ...node.attrs, fn } };
    return node.op === "repeat" ? { ...node, attrs: { ...node.attrs, fn } } : node;
  }

  /** Copies the draft, forward values coming from arguments or made again just before their first use. */
  #writeBackward(
    seeds: readonly (ValueId | undefined)[], handed: readonly number[], saved: readonly ValueId[], names: readonly string[],
    remade: ReadonlyMap<ValueId, Node>, grads: readonly number[],
  ): void {
    const func = this.#func;
    const draft = this.#draft.finish();
    const b = new FuncBuilder(this.#driver.module, { ...headOf(func), name: this.#backwardName, doc: `The backward of \`${func.name}\`.` });
    const map = new Map<ValueId, ValueId>();
    const forward = new Map<ValueId, ValueId>();
    const taken = new Set(func.inputs.map((i) => i.path));
    seeds.forEach((seed, i) => {
      if (seed === undefined) return;
      const path = fresh(taken, `d_${func.outputs[i]?.path ?? i}`);
      map.set(seed, b.input(path, draft.values[seed]?.type ?? bug("a cotangent has no type"), "cotangent"));
    });
    for (const i of handed) {
      const input = func.inputs[i] ?? bug("an input is missing");
      forward.set(input.value, b.input(input.path, typeOf(func, input.value), input.role));
    }
    saved.forEach((id, i) => forward.set(id, b.input(fresh(taken, names[i] ?? ""), this.#typeOf(id), "saved")));
    const refs = new Map([...this.#refs].map(([of, id]) => [id, of]));
    const obtain = (of: ValueId): ValueId => {
      const known = forward.get(of);
      if (known !== undefined) return known;
      const node = remade.get(of) ?? bug(`forward value ${of} has no source`);
      const results = b.copy(node, node.args.map(obtain), node.results.map((r) => func.values[r]?.name));
      node.results.forEach((r, i) => forward.set(r, results[i] ?? -1));
      return forward.get(of) ?? bug(`forward value ${of} was not made`);
    };
    const at = (id: ValueId): ValueId => {
      const of = refs.get(id);
      return of === undefined ? (map.get(id) ?? bug(`%${id} is missing in \`${this.#backwardName}\``)) : obtain(of);
    };
    for (const node of draft.nodes) {
      const results = b.copy(node, node.args.map(at));
      node.results.forEach((r, i) => map.set(r, results[i] ?? -1));
    }
    draft.outputs.forEach((o, i) => b.output(func.inputs[grads[i] ?? -1]?.path ?? "", at(o.value), "grad"));
    this.#driver.add(b.finish());
  }
}

/** How a body's backward is laid out in a reversed repeat; numbers are inputs of the body, `outputs` are outputs. */
interface RepeatLayout {
  /** Carries whose cotangent is carried. */
  readonly carried: readonly number[];
  /** Constants whose gradient accumulates. */
  readonly accumulated: readonly number[];
  /** Constants and stacked values that the backward reads. */
  readonly consts: readonly number[];
  readonly stacked: readonly number[];
  /** Per-iteration outputs that have a cotangent. */
  readonly outputs: readonly number[];
  /** Whether the backward function itself has the form of the body. */
  readonly isDirect: boolean;
}

function layoutRepeat(d: Derivative, node: Repeat, cots: Flags): RepeatLayout {
  const { carries, consts } = node.attrs;
  const isConst = (i: number): boolean => i >= carries && i < carries + consts;
  const wanted = d.inputs.flatMap((x) => (x.kind === "cotangent" ? [x.index] : []));
  const handed = d.inputs.flatMap((x) => (x.kind === "input" ? [x.index] : []));
  // A carry whose output has no cotangent can still have a gradient: that of the first iteration's, which is the start's.
  const carried = Array.from({ length: carries }, (_, i) => i).filter((i) => cots[i] || d.grads.includes(i));
  const accumulated = d.grads.filter(isConst);
  const outputs = wanted.filter((i) => i >= carries);
  const same = (xs: readonly number[]): boolean => xs.length === carried.length && xs.every((x, i) => x === carried[i]);
  return {
    carried,
    accumulated,
    consts: handed.filter(isConst),
    stacked: handed.filter((i) => i >= carries + consts),
    outputs,
    isDirect: accumulated.length === 0 && outputs.length === 0 && same(wanted) && same(d.grads.filter((i) => i < carries)),
  };
}

function copyInput(b: FuncBuilder, from: Func, at: number): ValueId {
  const input = from.inputs[at] ?? bug("an input is missing");
  return b.input(input.path, typeOf(from, input.value), input.role);
}

function uniqueNames(names: readonly string[], others: readonly string[]): string[] {
  const taken = new Set<string>(others);
  return names.map((name) => fresh(taken, name));
}

/** The name, or the name with a number; the result is taken from now on. */
function fresh(taken: Set<string>, name: string): string {
  let candidate = name;
  for (let n = 2; taken.has(candidate); n++) candidate = `${name}_${n}`;
  taken.add(candidate);
  return candidate;
}
