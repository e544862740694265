/**
 * A matrix product before it is written: operands, epilogue, and how four elements of an operand are read.
 *
 * Owns what the ways to compute a product share (`gemm.ts` by registers, `direct.ts` without workgroup memory, `matrix.ts` by
 * subgroup matrices), so that all are dispatches over the same bindings.
 */
import type { StoredReader } from "../kernel.js";
import type { Tile } from "./tiles.js";

/** One operand: `at_a` is the place of its first element in this dispatch. */
export interface Operand {
  readonly name: "a" | "b";
  readonly read: StoredReader;
  /** The limit of its own axis (m or n), and its row in memory. */
  readonly limit: string;
  readonly stride: string;
  /** Whether k is the contiguous axis. */
  readonly alongK: boolean;
  /** Whether four elements can be read at once. */
  readonly quads: boolean;
  /** The variable, where eight f16 can be read at once and nothing else reads it. */
  readonly wide?: string | undefined;
}

/** What differs between kinds of products, for any way to compute them. */
export interface Product {
  readonly tile: Tile;
  readonly a: Operand;
  readonly b: Operand;
  /** Functions beside the entry point. */
  readonly functions: readonly string[];
  /** First lines of the entry point: `a_at`, `b_at`, `y_at`. */
  readonly before: readonly string[];
  readonly from: string;
  readonly to: string;
  /** Whether k is a multiple of 4. */
  readonly wholeSlices: boolean;
  /** Whether k is a multiple of the deepest slice, so that none reaches beyond it. */
  readonly exact: boolean;
  /** Statement that finishes four columns of a row: `value` is a vec4. */
  finish(row: string, col: string, value: string): string;
  /** Where the column sums of b are wanted: the statement that stores one of them. */
  readonly sums?: (col: string, value: string) => string;
}

/**
 * The function that reads eight f16 of an operand as `vec4<u32>`; its rows are multiples of 8. Places beyond the edges are moved to
 * the edge, and what is read there beyond k is zeroed when it is put into its place: a read behind a branch would hold up the others.
 */
export function wideFunction(o: Operand, variable: string): string {
  return `fn wide_${o.name}(at: u32, r: u32, k: u32, k_end: u32) -> vec4<u32> {\n  return ${variable}[(${withinEdges(o, 8)}) / 8u];\n}`;
}

/** The place of `n` elements that lie together, within the edges. */
function withinEdges(o: Operand, n: number): string {
  return o.alongK ? `at + min(r, ${o.limit} - 1u) * ${o.stride} + min(k, k_end - ${n}u)` : `at + min(k, k_end - 1u) * ${o.stride} + min(r, ${o.limit} - ${n}u)`;
}

/**
 * The function that reads four elements of an operand: along k where k is contiguous, else along its own axis. As f32, or as the
 * f16 that are stored. Where four can be read at once, places beyond the edges are moved to the edge (see `wideFunction`); where
 * not, what lies beyond them is 0.
 */
export function quadFunction(o: Operand, type: "f32" | "f16" = "f32"): string {
  const [one, four] = type === "f32" ? [o.read, o.read.quad] : [o.read.stored, o.read.storedQuad];
  const head = `fn quad_${o.name}(at: u32, r: u32, k: u32, k_end: u32) -> vec4<${type}> {`;
  if (o.quads) return `${head}\n  return ${four(withinEdges(o, 4))};\n}`;
  const place = (r: string, k: string): string => (o.alongK ? `at + ${r} * ${o.stride} + ${k}` : `at + ${k} * ${o.stride} + ${r}`);
  const lane = (l: number): string => {
    const [r, k] = o.alongK ? ["r", `(k + ${l}u)`] : [`(r + ${l}u)`, "k"];
    return `  if (${r} < ${o.limit} && ${k} < k_end) { four[${l}] = ${one(place(r, k))}; }`;
  };
  return `${head}\n  var four = vec4<${type}>();\n${[0, 1, 2, 3].map(lane).join("\n")}\n  return four;\n}`;
}
