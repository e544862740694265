/**
 * Activity: where gradient can flow.
 *
 * Two questions about a function, both answered before anything is built, so that values without gradient (images,
 * indices, a teacher behind a stop-gradient) get no backward code at all: which values depend differentiably on chosen
 * inputs, and which of those inputs the chosen outputs' cotangents reach. Through a `call` the question is asked of the
 * callee; through a `repeat` of its body, to a fixed point over the carries (flags only ever rise, so it ends after at
 * most one round per carry). Answers are kept per question, so the cost does not follow depth.
 */
import type { Func, Module, Node, ValueId } from "../tensor/ir.js";
import { funcOf } from "../tensor/ir.js";
import type { PrimitiveName } from "../tensor/ops.js";
import { passesTo } from "./vjp.js";

/** One flag per input, output or value. */
export type Flags = readonly boolean[];

/** The activity of a repeat: questions to ask of its body. */
export interface RepeatActivity {
  /** Which inputs of the body are active. */
  readonly active: Flags;
  /** Which outputs of the body receive a cotangent in some iteration. */
  readonly cots: Flags;
  /** Which inputs of the body a gradient reaches. */
  readonly reached: Flags;
}

/** Answers for one module; functions may be added to it, not changed. */
export class Activity {
  readonly #module: Module;
  readonly #outputs = new Map<string, Flags>();
  readonly #reached = new Map<string, Flags>();

  constructor(module: Module) {
    this.#module = module;
  }

  /** Which values of `func` depend on its active inputs. */
  values(func: Func, active: Flags): boolean[] {
    const flags = func.values.map(() => false);
    func.inputs.forEach((input, i) => {
      flags[input.value] = (active[i] ?? false) && func.values[input.value]?.type.dtype === "f32";
    });
    for (const node of func.nodes) {
      const results = this.#forward(node, node.args.map((a) => flags[a] ?? false));
      node.results.forEach((r, i) => {
        flags[r] = (results[i] ?? false) && func.values[r]?.type.dtype === "f32";
      });
    }
    return flags;
  }

  /** Which outputs of a function depend on its active inputs. */
  outputs(fn: string, active: Flags): Flags {
    return memo(this.#outputs, key(fn, active), () => {
      const func = funcOf(this.#module, fn);
      const values = this.values(func, active);
      return func.outputs.map((o) => values[o.value] ?? false);
    });
  }

  /** Which active inputs of a function the cotangents of the flagged outputs reach. */
  reached(fn: string, active: Flags, cots: Flags): Flags {
    return memo(this.#reached, key(fn, active, cots), () => {
      const func = funcOf(this.#module, fn);
      const values = this.values(func, active);
      const wanted = new Set<ValueId>();
      func.outputs.forEach((o, i) => {
        if (cots[i] && values[o.value]) wanted.add(o.value);
      });
      for (const node of func.nodes.toReversed()) {
        const results = node.results.map((r) => wanted.has(r));
        if (!results.some(Boolean)) continue;
        const args = this.argsReached(node, node.args.map((a) => values[a] ?? false), results);
        node.args.forEach((a, i) => {
          if (args[i]) wanted.add(a);
        });
      }
      return func.inputs.map((i) => wanted.has(i.value));
    });
  }

  /** Which active operands of a node the cotangents of its flagged results reach. */
  argsReached(node: Node, active: Flags, results: Flags): Flags {
    if (node.op === "call") return this.reached(node.attrs.fn, active, results);
    if (node.op === "repeat") {
      const inner = this.repeat(node, active, results);
      return active.map((on, i) => on && (inner.reached[i] ?? false));
    }
    const { op } = node;
    return active.map((on, i) => on && passesTo(op, i));
  }

  /** The questions a repeat asks of its body, at their fixed point. */
  repeat(node: Extract<Node, { op: "repeat" }>, args: Flags, results: Flags): RepeatActivity {
    const { fn, carries } = node.attrs;
    const active = this.#repeatActive(node, args);
    const outputs = this.outputs(fn, active);
    let cots = results.map((on, i) => on && (outputs[i] ?? false));
    for (;;) {
      const reached = this.reached(fn, active, cots);
      const next = cots.map((on, i) => on || (i < carries && (reached[i] ?? false) && (outputs[i] ?? false)));
      if (next.every((on, i) => on === cots[i])) return { active, cots, reached };
      cots = next;
    }
  }

  #repeatActive(node: Extract<Node, { op: "repeat" }>, args: Flags): Flags {
    let active = args;
    for (;;) {
      const outputs = this.outputs(node.attrs.fn, active);
      const next = active.map((on, i) => on || (i < node.attrs.carries && (outputs[i] ?? false)));
      if (next.every((on, i) => on === active[i])) return active;
      active = next;
    }
  }

  #forward(node: Node, args: Flags): Flags {
    if (!args.some(Boolean)) return node.results.map(() => false);
    if (node.op === "call") return this.outputs(node.attrs.fn, args);
    if (node.op === "repeat") {
      const active = this.#repeatActive(node, args);
      const outputs = this.outputs(node.attrs.fn, active);
      // After zero or more iterations a carry is its start or the body's output.
      return outputs.map((on, i) => on || (i < node.attrs.carries && (active[i] ?? false)));
    }
    const op: PrimitiveName = node.op;
    const through = args.some((on, i) => on && passesTo(op, i));
    return node.results.map(() => through);
  }
}

function key(fn: string, ...flags: readonly Flags[]): string {
  return `${fn} ${flags.map((f) => f.map((on) => (on ? "1" : "0")).join("")).join(" ")}`;
}

function memo<T>(table: Map<string, T>, name: string, make: () => T): T {
  const known = table.get(name);
  if (known !== undefined) return known;
  const made = make();
  table.set(name, made);
  return made;
}
