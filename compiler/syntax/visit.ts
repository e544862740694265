/**
 * Walking the tree.
 *
 * Owns the one table of what lies inside each kind of node; it is total by its type, so a node added to `ast.ts` does not
 * compile until it is listed here, and every walk sees it. Formals, types, arguments and axes have no `kind`: their
 * expressions count as children of the node that holds them. Leaves meaning to the checker.
 */
import type * as ast from "./ast.js";

/** Every node that has a `kind`. */
export type Node = ast.File | ast.Item | ast.Setting | ast.Statement | ast.Expr;
export type Kind = Node["kind"];
/** The node type of each kind. */
export type NodeOf = { readonly [N in Node as N["kind"]]: N };

/** The nodes directly inside `node`, in source order. */
export function children(node: Node): readonly Node[] {
  return childrenOfKind(node.kind, node);
}

/** Visits `node` and all inside it, parents first; `enter` may return `"skip"` to stay out of a node. */
export function walk(node: Node, enter: (node: Node, parents: readonly Node[]) => "skip" | void): void {
  const parents: Node[] = [];
  const step = (current: Node): void => {
    if (enter(current, parents) === "skip") return;
    parents.push(current);
    for (const child of children(current)) step(child);
    parents.pop();
  };
  step(node);
}

/** The nodes that hold `offset`, outermost first: what an editor's cursor is in. */
export function nodesAt(file: ast.File, offset: number): readonly Node[] {
  const path: Node[] = [];
  for (let node: Node | undefined = file; node !== undefined;) {
    path.push(node);
    node = children(node).find((child) => child.span.start <= offset && offset <= child.span.end);
  }
  return path;
}

function childrenOfKind<K extends Kind>(kind: K, node: NodeOf[K]): readonly Node[] {
  return table[kind](node);
}

const none = (): readonly Node[] => [];
const value = (node: { readonly value: ast.Expr }): readonly Node[] => [node.value];
const maybe = (node: ast.Expr | undefined): readonly Node[] => (node === undefined ? [] : [node]);
const inType = (type: ast.TypeExpr | undefined): readonly Node[] => (type === undefined ? [] : [...type.args, ...maybe(type.space)]);
const inFormal = (formal: ast.Formal): readonly Node[] => [...inType(formal.type), ...maybe(formal.default)];

const table: { readonly [K in Kind]: (node: NodeOf[K]) => readonly Node[] } = {
  file: (n) => n.items,
  use: none,
  module: (n) => [...n.config.flatMap(inFormal), ...n.inputs.flatMap(inFormal), ...inType(n.result), ...n.body],
  model: (n) => n.body,
  variant: (n) => n.body,
  train: (n) => n.settings,
  setting: (n) => [...n.values, ...(n.block ?? [])],
  probe: (n) => n.entries,
  sweep: (n) => n.axes.map((axis) => axis.values),
  param: value,
  input: (n) => inType(n.type),
  mask: value,
  view: value,
  instance: value,
  part: value,
  learn: (n) => [...n.shape, n.init],
  binding: value,
  loss: (n) => [n.value, ...maybe(n.space)],
  repeat: (n) => [...maybe(n.count), ...n.body],
  result: value,
  allow: (n) => maybe(n.reason),
  number: none,
  string: none,
  bool: none,
  ref: none,
  hole: none,
  call: (n) => [n.callee, ...n.args.map((a) => a.value), ...(n.block ?? [])],
  member: (n) => [n.object],
  range: (n) => [n.low, n.high],
  arrow: (n) => n.points,
  binary: (n) => [n.left, n.right],
  negate: (n) => [n.operand],
  at: (n) => [n.value, n.positions],
  of: (n) => [n.count, n.item],
  minus: (n) => [n.from, n.removed],
  list: (n) => n.items,
  unit: value,
};
