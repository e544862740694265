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
  /** Statement that finishes four columns of a row: `value` is a vec4. */
  finish(row: string, col: string, value: string): string;
  /** Where the column sums of b are wanted: the statement that stores one of them. */
  readonly sums?: (col: string, value: string) => string;
}

/**
 * The function that reads four elements of an operand, 0 beyond the edges: along k where k is contiguous, else along its own axis. As
 * f32, or as the f16 that are stored.
 */
export function quadFunction(o: Operand, type: "f32" | "f16" = "f32"): string {
  const [one, four] = type === "f32" ? [o.read, o.read.quad] : [o.read.stored, o.read.storedQuad];
  const head = `fn quad_${o.name}(at: u32, r: u32, k: u32, k_end: u32) -> vec4<${type}> {`;
  const place = (r: string, k: string): string => (o.alongK ? `at + ${r} * ${o.stride} + ${k}` : `at + ${k} * ${o.stride} + ${r}`);
  if (o.quads) return `${head}\n  if (r < ${o.limit} && k < k_end) { return ${four(place("r", "k"))}; }\n  return vec4<${type}>();\n}`;
  const lane = (l: number): string => {
    const [r, k] = o.alongK ? ["r", `(k + ${l}u)`] : [`(r + ${l}u)`, "k"];
    return `  if (${r} < ${o.limit} && ${k} < k_end) { four[${l}] = ${one(place(r, k))}; }`;
  };
  return `${head}\n  var four = vec4<${type}>();\n${[0, 1, 2, 3].map(lane).join("\n")}\n  return four;\n}`;
}
