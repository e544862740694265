/**
 * Abstract interpretation of a model graph: one walk, any domain.
 *
 * A domain says what is known of an input, of a parameter, and of an op's result; the walk does the rest, through calls and
 * loops. A function is evaluated once per different knowledge of its arguments (the domain's `key`), so that a network
 * applied a thousand times costs one evaluation and a thousand look-ups. Loops go round until nothing changes.
 */
import type { Body, CallNode, Func, ModelGraph, Node, NodeId } from "../model/ir.js";
import { isCall, joinPath, paramPrefix, rootOf } from "../model/visit.js";

/** Where an op stands: the instance whose parameters it uses ("" at model level), and the body it is in. */
export interface Place {
  readonly root: string;
  /** Path of the element that the body belongs to: `student.blocks.*`. */
  readonly prefix: string;
  readonly body: Body;
}

/** A domain of facts. */
export interface Domain<F> {
  /** Equal keys mean equal facts. */
  readonly key: (fact: F) => string;
  /** What tells evaluations of a function apart besides its arguments: what is known of the instance. */
  readonly rootKey: (root: string) => string;
  readonly input: (node: Node) => F;
  readonly parameter: (node: Node, place: Place) => F;
  readonly op: (node: Node, args: readonly F[], place: Place) => F;
  /** What leaves a call at model level. */
  readonly leave: (fact: F, root: string, node: Node) => F;
  readonly nothing: F;
  /** Facts that depend on where a function stands, not only on what it is given. */
  readonly byPlace?: boolean;
}

const rounds = 8;

/** Facts of every model-level node, or of those in `only` (which must hold the operands of its members). */
export function interpret<F>(graph: Pick<ModelGraph, "funcs">, body: Body, domain: Domain<F>, only?: ReadonlySet<NodeId>): readonly F[] {
  const funcs = new Map(graph.funcs.map((f) => [f.name, f]));
  const memos = new Map<Func, Map<string, readonly F[]>>();
  const keyOf = numbered(domain.key);

  const run = (func: Func, root: string, prefix: string, args: readonly F[]): readonly F[] => {
    const memo = memos.get(func) ?? new Map<string, readonly F[]>();
    memos.set(func, memo);
    const key = `${domain.rootKey(root)} ${domain.byPlace === true ? prefix : ""} ${args.map(keyOf).join()}`;
    const known = memo.get(key);
    if (known !== undefined) return known;
    const values = walk(func.body, { root, prefix, body: func.body }, args);
    const results = func.body.results.map((id) => values[id] ?? domain.nothing);
    memo.set(key, results);
    return results;
  };

  const loop = (func: Func, root: string, prefix: string, args: readonly F[], node: Node): readonly F[] => {
    const carries = node.attrs.carries ?? 0;
    let carried: readonly F[] = args.slice(0, carries);
    for (let i = 0; i < Math.min(rounds, node.attrs.count ?? 0); i++) {
      const next = run(func, root, prefix, [...carried, ...args.slice(carries)]);
      const same = next.every((f, k) => keyOf(f) === keyOf(carried[k] ?? domain.nothing));
      carried = next;
      if (same) break;
    }
    return carried;
  };

  const walk = (inside: Body, place: Place, given: readonly F[] | undefined): F[] => {
    const values: F[] = [];
    const results = new Map<number, readonly F[]>();
    const inputs = new Map(inside.inputs.map((id, i) => [id, i]));
    for (const node of inside.nodes) {
      if (given === undefined && only?.has(node.id) === false) {
        values.push(domain.nothing);
        continue;
      }
      const args = node.args.map((a) => values[a] ?? domain.nothing);
      const formal = given === undefined ? undefined : inputs.get(node.id);
      if (formal !== undefined) values.push(given?.[formal] ?? domain.nothing);
      else if (node.op === "input") values.push(domain.input(node));
      else if (node.op === "param") values.push(domain.parameter(node, place));
      else if (node.op === "result") values.push(results.get(node.args[0] ?? -1)?.[node.attrs.index] ?? domain.nothing);
      else if (isCall(node)) {
        const outs = call(node, args, place, given === undefined);
        results.set(node.id, outs);
        values.push(outs[0] ?? domain.nothing);
      } else values.push(domain.op(node, args, place));
    }
    return values;
  };

  const call = (node: CallNode, args: readonly F[], place: Place, top: boolean): readonly F[] => {
    const func = funcs.get(node.attrs.func);
    if (func === undefined) return [];
    const prefix = joinPath(place.prefix, paramPrefix(node));
    const root = top ? rootOf(paramPrefix(node)) : place.root;
    const outs = node.op === "repeat" ? loop(func, root, prefix, args, node) : run(func, root, prefix, args);
    return top ? outs.map((f) => domain.leave(f, root, node)) : outs;
  };

  return walk(body, { root: "", prefix: "", body }, undefined);
}

/** Small numbers for facts, equal where their keys are: facts of a long chain are few, and asked for their keys often. */
function numbered<F>(key: (fact: F) => string): (fact: F) => number {
  const byFact = new Map<F, number>();
  const byKey = new Map<string, number>();
  return (fact) => {
    const known = byFact.get(fact);
    if (known !== undefined) return known;
    const text = key(fact);
    const number = byKey.get(text) ?? byKey.size;
    byKey.set(text, number);
    byFact.set(fact, number);
    return number;
  };
}
