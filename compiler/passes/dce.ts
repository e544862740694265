/**
 * dce: removes what no root needs.
 *
 * Why: a derivative saves and returns by rule; which saved values, gradients and functions are read is known afterwards.
 * Requires: verified IR; the roots keep their signatures.
 * Ensures: every node contributes to an output; every function is reached from a root; functions that are not roots have
 * no input that they do not read and no output that nobody reads. The carries of a repeat stay: they are a pair of input
 * and output, and dropping one needs more than liveness.
 * Example: `f(x, unused) -> (y, z)` with `z` never read -> `f(x) -> (y)`.
 * Works across calls by rounds: each round removes with what is known, until one removes nothing.
 */
import type { Func, Module, Node, ValueId } from "../tensor/ir.js";
import { IrError, typeOf } from "../tensor/ir.js";
import { FuncBuilder } from "../tensor/build.js";
import { calleeOf, headOf, isSameFunc, reachable } from "../tensor/visit.js";
import type { Pass } from "./pass.js";

export const dce: Pass = {
  name: "dce",
  summary: "removes what no root needs",
  run: (module, cx) => {
    let current = module;
    for (;;) {
      const next = round(current, cx.roots);
      if (next === undefined) return current;
      current = next;
    }
  },
};

/** What stays of a function's signature. */
interface Kept {
  readonly inputs: readonly boolean[];
  readonly outputs: readonly boolean[];
}

/** One round, or undefined where nothing can go. */
function round(module: Module, roots: readonly string[]): Module | undefined {
  const alive = reachable(module, roots);
  const kept = signatures(module, roots, alive);
  const funcs = new Map<string, Func>();
  let changed = false;
  for (const func of module.funcs.values()) {
    if (!alive.has(func.name)) {
      changed = true;
      continue;
    }
    const smaller = shrink({ funcs }, func, kept);
    changed ||= smaller !== func;
    funcs.set(func.name, smaller);
  }
  return changed ? { funcs } : undefined;
}

/** Callers before callees: outputs are kept where a live node reads them; inputs where live nodes read them. */
function signatures(module: Module, roots: readonly string[], alive: ReadonlySet<string>): Map<string, Kept> {
  const wanted = new Map<string, Set<number>>();
  const pinned = new Map<string, number>();
  const isRoot = (name: string): boolean => roots.includes(name);
  const kept = new Map<string, Kept>();
  for (const func of [...module.funcs.values()].reverse()) {
    if (!alive.has(func.name)) continue;
    const pins = pinned.get(func.name) ?? 0;
    const outputs = func.outputs.map((_, i) => isRoot(func.name) || i < pins || (wanted.get(func.name)?.has(i) ?? false));
    const { nodes, values } = live(func, outputs);
    const inputs = func.inputs.map((input, i) => isRoot(func.name) || i < pins || values.has(input.value));
    kept.set(func.name, { inputs, outputs });
    for (const node of nodes) {
      const callee = calleeOf(node);
      if (callee === undefined) continue;
      const reads = wanted.get(callee) ?? new Set();
      node.results.forEach((r, i) => {
        if (values.has(r)) reads.add(i);
      });
      wanted.set(callee, reads);
      if (node.op === "repeat") pinned.set(callee, Math.max(pinned.get(callee) ?? 0, node.attrs.carries));
    }
  }
  return kept;
}

/** The nodes and values that the kept outputs need. */
function live(func: Func, outputs: readonly boolean[]): { nodes: ReadonlySet<Node>; values: ReadonlySet<ValueId> } {
  const values = new Set(func.outputs.filter((_, i) => outputs[i]).map((o) => o.value));
  const nodes = new Set<Node>();
  for (const node of func.nodes.toReversed()) {
    if (!node.results.some((r) => values.has(r))) continue;
    nodes.add(node);
    for (const a of node.args) values.add(a);
  }
  return { nodes, values };
}

/** The function without dead nodes, inputs and outputs, calling its callees by what is left of them. */
function shrink(module: Module, func: Func, kept: ReadonlyMap<string, Kept>): Func {
  const own = kept.get(func.name) ?? lost(func.name);
  const { nodes } = live(func, own.outputs);
  const b = new FuncBuilder(module, headOf(func));
  const map = new Map<ValueId, ValueId>();
  func.inputs.forEach((input, i) => {
    if (!own.inputs[i]) return;
    const id = b.input(input.path, typeOf(func, input.value), input.role);
    const name = func.values[input.value]?.name;
    map.set(input.value, name === undefined ? id : b.name(id, name));
  });
  for (const node of func.nodes) {
    if (!nodes.has(node)) continue;
    const { args, results, call } = shrinkNode(node, kept);
    const made = b.copy(call, args.map((a) => map.get(a) ?? lost(`%${a}`)), results.map((r) => func.values[r]?.name));
    results.forEach((r, i) => map.set(r, made[i] ?? lost(`%${r}`)));
  }
  func.outputs.forEach((o, i) => {
    if (own.outputs[i]) b.output(o.path, map.get(o.value) ?? lost(o.path), o.role);
  });
  const next = b.finish();
  return isSameFunc(func, next) ? func : next;
}

function shrinkNode(node: Node, kept: ReadonlyMap<string, Kept>): { args: readonly ValueId[]; results: readonly ValueId[]; call: Node } {
  const callee = calleeOf(node);
  const signature = callee === undefined ? undefined : kept.get(callee);
  if (signature === undefined) return { args: node.args, results: node.results, call: node };
  const args = node.args.filter((_, i) => signature.inputs[i]);
  const results = node.results.filter((_, i) => signature.outputs[i]);
  if (node.op !== "repeat") return { args, results, call: node };
  const { carries, consts } = node.attrs;
  const left = (from: number, to: number): number => signature.inputs.slice(from, to).filter(Boolean).length;
  if (args.length === node.args.length && results.length === node.results.length) return { args, results, call: node };
  const attrs = { ...node.attrs, consts: left(carries, carries + consts), stacked: left(carries + consts, signature.inputs.length) };
  return { args, results, call: { ...node, attrs } };
}

function lost(what: string): never {
  throw new IrError(`dce lost ${what}.`);
}
