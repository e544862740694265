/**
 * How much memory a step takes on each target: the peak at the program's batch size.
 *
 * The wgsl target has planned it, for the longest draws of all masks (`wgsl/plan.ts`). The tfjs target allocates as it goes, but what it holds is known before:
 * emitted code frees every tensor at its last use, a callee what it was given, a caller what it lent. This walks the step
 * program as emitted code will, calls and iterations included, and adds up what is alive. Left out is what kernels use
 * within themselves. Plain arithmetic; nothing is run.
 */
import type { Manifest } from "../../runtime/abi.js";
import type { Func, Module, Node, TensorType } from "../tensor/ir.js";
import { IrError, funcOf, typeOf } from "../tensor/ir.js";
import { substituteType } from "../tensor/shapes.js";
import { substituteNode } from "../tensor/visit.js";
import type { Dim } from "../types/dim.js";
import { product } from "../types/dim.js";
import type { StepProgram } from "./step.js";
import { slotsOf } from "./wgsl/kernels/optimizer.js";
import { upperBound } from "./wgsl/kernel.js";
import { boundsOf, planStep } from "./wgsl/plan.js";

/** Bytes of one training step. */
export interface StepMemory {
  /** Parameters, moving averages and optimizer slots: what stays. */
  readonly kept: number;
  /** The most that inputs, activations and gradients of a step take at once. */
  readonly step: number;
  readonly total: number;
}

/** Larger than any tensor: memory is wanted here, not whether a device can bind it. */
const noLimits = { bindingBytes: 2 ** 50, bufferBytes: 2 ** 50 };

/** Bytes of numbers that emitted code may hold a moment longer than the walk does; only the upper bound needs them. */
const lingering = 64;

/** The memory of a step on the tfjs target, for masks of the given row lengths (by name; the longest where none is given). */
export function tfjsMemory(step: StepProgram, manifest: Manifest, lengths: ReadonlyMap<string, number> = new Map()): StepMemory {
  const kept = keptBytes(manifest);
  const bounds = new Map([...boundsOf(step, manifest), ...[...lengths].map(([mask, length]): [string, number] => [`K_${mask}`, length])]);
  const peak = new Walk(step.module, bounds).peak(step) + (lengths.size === 0 ? lingering : 0);
  return { kept, step: peak, total: kept + peak };
}

/** The memory of a step on the wgsl target in the manifest's precision, buffers for reading back included. */
export function wgslMemory(step: StepProgram, manifest: Manifest): StepMemory {
  const { plan } = planStep(step, manifest, noLimits, { storage: manifest.precision ?? "f32" });
  const kept = plan.buffers.reduce((n, b) => n + (b.kind === "parameter" || b.kind === "slot" ? b.bytes : 0), 0);
  return { kept, step: plan.memory.total - kept, total: plan.memory.total };
}

function keptBytes(manifest: Manifest): number {
  const slots = slotsOf(manifest.train.optimizer).length;
  return manifest.parameters.reduce((n, p) => n + 4 * p.shape.reduce((size, d) => size * d, 1) * (p.role === "trained" ? 1 + slots : 1), 0);
}

interface Buffer {
  readonly bytes: number;
  readonly from: number;
  last: number;
}

/** What a value is while walking: nothing that is owned here, a tensor, or one for each iteration. */
type Held = undefined | Buffer | readonly Held[];

class Walk {
  readonly #module: Module;
  readonly #bounds: ReadonlyMap<string, number>;
  readonly #buffers: Buffer[] = [];
  #clock = 0;

  constructor(module: Module, bounds: ReadonlyMap<string, number>) {
    this.#module = module;
    this.#bounds = bounds;
  }

  /** The most that is alive at once in forward and backward. */
  peak(step: StepProgram): number {
    const forward = funcOf(this.#module, step.forward);
    const inputs = new Map<string, Held>();
    const entry = (func: Func, at: number): Held => {
      const input = func.inputs[at];
      if (input === undefined || input.role === "param" || input.role === "cotangent") return undefined;
      const known = inputs.get(input.path) ?? this.#made(typeOf(func, input.value));
      inputs.set(input.path, known);
      return known;
    };
    const results = this.#func(forward, forward.inputs.map((_, i) => entry(forward, i)), new Map());
    const saved = new Map(forward.outputs.flatMap((o, i): [string, Held][] => (o.role === "saved" ? [[o.path, results[i]]] : [])));
    const shown = results.filter((_, i) => forward.outputs[i]?.role !== "saved");
    const backward = funcOf(this.#module, step.backward);
    const gradients = this.#func(backward, backward.inputs.map((input, i) => (input.role === "saved" ? saved.get(input.path) : entry(backward, i))), new Map());
    this.#clock++;
    for (const held of [...inputs.values(), ...shown, ...gradients]) this.#use(held);
    return this.#mostAlive();
  }

  #made(type: TensorType): Buffer {
    const buffer = { bytes: 4 * upperBound(product(type.shape), this.#bounds) * type.stack.reduce((n, k) => n * k, 1), from: this.#clock, last: this.#clock };
    this.#buffers.push(buffer);
    return buffer;
  }

  #use(held: Held): void {
    if (held === undefined) return;
    if ("bytes" in held) held.last = this.#clock;
    else for (const item of held) this.#use(item);
  }

  #func(func: Func, args: readonly Held[], dims: ReadonlyMap<string, Dim>): Held[] {
    const values = new Map<number, Held>(func.inputs.map((input, i) => [input.value, args[i]]));
    for (const node of func.nodes) {
      const results = this.#node(func, substituteNode(node, dims), node.args.map((id) => values.get(id)), dims);
      node.results.forEach((r, i) => values.set(r, results[i]));
    }
    return func.outputs.map((o) => values.get(o.value));
  }

  #node(func: Func, node: Node, args: readonly Held[], dims: ReadonlyMap<string, Dim>): Held[] {
    if (node.op === "call") return this.#call(funcOf(this.#module, node.attrs.fn), args, new Map(Object.entries(node.attrs.dims)));
    if (node.op === "repeat") return this.#repeat(node, args);
    this.#clock++;
    for (const arg of args) this.#use(arg);
    // A second handle on the same numbers.
    if (node.op === "reshape" || node.op === "stop_gradient") return [args[0]];
    const sequence = ends(node, args, (id) => typeOf(func, id).stack[0] ?? 0);
    if (sequence !== undefined) return sequence;
    return node.results.map((r) => this.#made(substituteType(typeOf(func, r), dims)));
  }

  /** What is lent to a callee is alive until it returns; saved values are given, and die at their last use. */
  #call(func: Func, args: readonly Held[], dims: ReadonlyMap<string, Dim>): Held[] {
    const results = this.#func(func, args, dims);
    args.forEach((arg, i) => {
      if (func.inputs[i]?.role !== "saved") this.#use(arg);
    });
    return results;
  }

  #repeat(node: Extract<Node, { op: "repeat" }>, args: readonly Held[]): Held[] {
    const { fn, dims, count, reverse, carries, consts } = node.attrs;
    const func = funcOf(this.#module, fn);
    const inner = new Map(Object.entries(dims));
    const stacked = args.slice(carries + consts);
    let state: readonly Held[] = args.slice(0, carries);
    const made: Held[][] = [];
    for (let i = 0; i < count; i++) {
      const at = reverse ? count - 1 - i : i;
      const results = this.#call(func, [...state, ...args.slice(carries, carries + consts), ...stacked.map((s) => itemOf(s, at))], inner);
      state = results.slice(0, carries);
      made[at] = results.slice(carries);
    }
    return [...state, ...func.outputs.slice(carries).map((_, i): Held => made.map((m) => m[i]))];
  }

  #mostAlive(): number {
    const change = new Map<number, number>();
    const add = (at: number, bytes: number): void => {
      change.set(at, (change.get(at) ?? 0) + bytes);
    };
    for (const { bytes, from, last } of this.#buffers) {
      add(from, bytes);
      add(last + 1, -bytes);
    }
    let now = 0;
    let most = 0;
    for (const at of [...change.keys()].sort((a, b) => a - b)) {
      now += change.get(at) ?? 0;
      most = Math.max(most, now);
    }
    return most;
  }
}

/** Sequences taken apart and put together: the same tensors at other places. */
function ends(node: Node, args: readonly Held[], countOf: (id: number) => number): Held[] | undefined {
  const items = (i: number): Held[] => Array.from({ length: countOf(node.args[i] ?? -1) }, (_, at) => itemOf(args[i], at));
  if (node.op === "stack_front") return [items(0).slice(0, -1)];
  if (node.op === "stack_last") return [items(0).at(-1)];
  return node.op === "stack_join" ? [[...(args.length > 1 ? items(0) : []), args.at(-1)]] : undefined;
}

function itemOf(held: Held, at: number): Held {
  if (held === undefined || "bytes" in held) return held;
  if (!(at in held)) throw new IrError("memory: an iteration is missing.");
  return held[at];
}
