/**
 * Dotted names as nested objects and lists: `student.blocks.3.attn` is `tree.student.blocks[3].attn`.
 *
 * Generated code reads parameters as a tree, stores keep them by name; this file is the way between the two. A level all
 * of whose keys are 0..n-1 becomes a list. Names come from manifests, so levels are objects without a prototype: no name
 * can reach anything but its own leaf.
 */
import type { Tree } from "../../abi.js";

/** Leaves by name as a tree. Throws a RangeError when one name is a prefix of another (a leaf cannot also be a branch). */
export function buildTree<T>(leaves: Iterable<readonly [name: string, leaf: T]>): Tree<T> {
  const root: Branch<T> = new Map();
  for (const [name, leaf] of leaves) insert(root, name, leaf);
  return finish(root);
}

/** The leaf at a dotted name, or undefined when the tree has nothing there. */
export function leafAt<T>(tree: Tree<T>, name: string, isLeaf: (value: Tree<T>) => value is T): T | undefined {
  let at: Tree<T> | undefined = tree;
  for (const key of name.split(".")) {
    if (at === undefined || isLeaf(at) || typeof at !== "object" || at === null) return undefined;
    at = child(at, key);
  }
  return at !== undefined && isLeaf(at) ? at : undefined;
}

type Branch<T> = Map<string, Node<T>>;
type Node<T> = { readonly kind: "leaf"; readonly leaf: T } | { readonly kind: "branch"; readonly branch: Branch<T> };

function insert<T>(root: Branch<T>, name: string, leaf: T): void {
  const keys = name.split(".");
  const last = keys.pop() ?? "";
  let at = root;
  for (const key of keys) {
    const next: Node<T> = at.get(key) ?? { kind: "branch", branch: new Map() };
    if (next.kind === "leaf") throw new RangeError(`${name} lies under another parameter`);
    at.set(key, next);
    at = next.branch;
  }
  if (at.has(last)) throw new RangeError(`there are two parameters ${name}, or others lie under it`);
  at.set(last, { kind: "leaf", leaf });
}

function finish<T>(branch: Branch<T>): Tree<T> {
  const value = (node: Node<T>): Tree<T> => (node.kind === "leaf" ? node.leaf : finish(node.branch));
  if (branch.size > 0 && [...branch.keys()].every((key) => /^(0|[1-9]\d*)$/.test(key) && Number(key) < branch.size)) {
    const list: Tree<T>[] = [];
    for (const [key, node] of branch) list[Number(key)] = value(node);
    return list;
  }
  const out: { [key: string]: Tree<T> } = Object.create(null);
  for (const [key, node] of branch) out[key] = value(node);
  return out;
}

function child<T>(at: object, key: string): Tree<T> | undefined {
  if (!Object.hasOwn(at, key)) return undefined;
  const value: Tree<T> = Reflect.get(at, key);
  return value;
}
