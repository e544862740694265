/**
 * Where a value of the IR lies in emitted JavaScript.
 *
 * The IR passes every tensor by itself; a person would pass `p.attn` and `saved`. An access says that a value is, say,
 * `p.blocks[*].attn.qkv.weight`: a variable and a path of keys, with a star where the value is a sequence (an array in
 * JavaScript). A bundle is a set of values at paths in one object, the form in which functions take parameters and saved
 * values and return gradients. `bundleText` finds the shortest way to write one: an existing object where all leaves
 * already lie in it at the right paths, an object literal otherwise. So grouping is only a way to write things down;
 * whether it works out or not, the values passed are the same.
 */
import { member, property } from "./names.js";

/** One step of a path. */
export type Seg =
  | { readonly kind: "key"; readonly key: string }
  /** Every element of an array. */
  | { readonly kind: "star" }
  /** One element, at the expression. */
  | { readonly kind: "at"; readonly index: string };

/** A variable, and a path from it. A value stacked n deep has n stars. */
export interface Access {
  readonly root: string;
  readonly path: readonly Seg[];
}

/** One value of a bundle: where it belongs, where (or as what expression) it is had, and its stack counts. */
export interface Leaf {
  readonly rel: readonly Seg[];
  readonly from: Access | string;
  readonly stack: readonly number[];
}

/** The path that a dotted name stands for; `*` is a star. */
export function pathOf(dotted: string): Seg[] {
  return dotted.split(".").map((key): Seg => (key === "*" ? star : { kind: "key", key }));
}

export const star: Seg = { kind: "star" };

/** The access with its first star replaced by an index. */
export function elementOf(access: Access, index: string): Access {
  const at = access.path.findIndex((s) => s.kind === "star");
  return { root: access.root, path: access.path.map((s, i) => (i === at ? { kind: "at", index } : s)) };
}

/** Text of an access without stars; of one with stars, a (flat) array of its elements. */
export function accessText(access: Access): string {
  const at = access.path.findIndex((s) => s.kind === "star");
  if (at < 0) return access.root + pathText(access.path);
  const list = access.root + pathText(access.path.slice(0, at));
  const rest = access.path.slice(at + 1);
  if (rest.length === 0) return list;
  const stars = rest.some((s) => s.kind === "star");
  return `${list}.${stars ? "flatMap" : "map"}((e) => ${accessText({ root: "e", path: rest })})`;
}

/** Text of a path without stars. */
export function pathText(path: readonly Seg[]): string {
  return path.map((s) => (s.kind === "key" ? member(s.key) : s.kind === "at" ? `[${s.index}]` : "[*]")).join("");
}

/** How many leaves the object at an access has; undefined where it may have any number (parameters). */
export type LeafCount = (access: Access) => number | undefined;

/** Text of a bundle. With `count`, an existing object is used only where it has no leaves beside the bundle's. */
export function bundleText(leaves: readonly Leaf[], count: LeafCount = () => undefined, depth = 0): string {
  const whole = wholeObject(leaves);
  if (whole !== undefined) {
    const n = count(whole);
    if (n === undefined || n === leaves.length) return accessText(whole);
  }
  const [first] = leaves;
  if (first === undefined) return "{}";
  if (first.rel.length === 0) return typeof first.from === "string" ? first.from : accessText(first.from);
  if (first.rel[0]?.kind === "star") {
    const n = depth === 0 ? "n" : `n${depth + 1}`;
    const inner = leaves.map((leaf) => stepIn(leaf, n));
    return `Array.from({ length: ${first.stack[0] ?? 0} }, (_, ${n}) => ${wrapObject(bundleText(inner, count, depth + 1))})`;
  }
  const groups = new Map<string, Leaf[]>();
  for (const leaf of leaves) {
    const head = leaf.rel[0];
    const key = head?.kind === "key" ? head.key : "";
    groups.set(key, [...(groups.get(key) ?? []), { ...leaf, rel: leaf.rel.slice(1) }]);
  }
  return `{ ${[...groups].map(([key, group]) => property(key, bundleText(group, count, depth))).join(", ")} }`;
}

function wrapObject(text: string): string {
  return text.startsWith("{") ? `(${text})` : text;
}

function stepIn(leaf: Leaf, index: string): Leaf {
  const from = typeof leaf.from === "string" ? leaf.from : elementOf(leaf.from, index);
  return { rel: leaf.rel.slice(1), from, stack: leaf.stack.slice(1) };
}

/** The object in which every leaf lies at its own relative path. */
function wholeObject(leaves: readonly Leaf[]): Access | undefined {
  const [first] = leaves;
  if (first === undefined) return undefined;
  const owner = ownerOf(first);
  if (owner === undefined || !leaves.every((leaf) => sameAccess(ownerOf(leaf), owner))) return undefined;
  return owner;
}

function ownerOf(leaf: Leaf): Access | undefined {
  if (typeof leaf.from === "string") return undefined;
  const { root, path } = leaf.from;
  const cut = path.length - leaf.rel.length;
  if (cut < 0 || !leaf.rel.every((s, i) => sameSeg(s, path[cut + i]))) return undefined;
  return { root, path: path.slice(0, cut) };
}

/** Whether two accesses are the same text. */
function sameAccess(a: Access | undefined, b: Access | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.root === b.root && a.path.length === b.path.length && a.path.every((s, i) => sameSeg(s, b.path[i]));
}

function sameSeg(a: Seg, b: Seg | undefined): boolean {
  if (a.kind === "key") return b?.kind === "key" && a.key === b.key;
  return a.kind === "star" ? b?.kind === "star" : b?.kind === "at" && a.index === b.index;
}
