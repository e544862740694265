/**
 * Values of a plan's sizes in a run, and workgroup counts that a device takes.
 *
 * Owns evaluation of size expressions and the folding of counts beyond a dimension's limit. Lengths change with every draw
 * of masks, so a program's sizes are taken apart once: equal blocks become one, equal expressions one, and a new length
 * costs an evaluation for each different expression that depends on it. Leaves buffers to the session.
 */
import type { PlanProgram, SizeExpr } from "../../abi.js";
import { HostError } from "../../base/errors.js";

/** Values of the symbols in a run. */
export type Symbols = ReadonlyMap<string, number>;

/** Workgroups that every WebGPU device takes along one dimension. */
const MOST_GROUPS = 65535;

/** The value of a size. Throws `HostError` "mismatch" for a symbol without a value. */
export function sizeValue(e: SizeExpr, symbols: Symbols): number {
  if (typeof e === "number") return e;
  if ("up" in e) return Math.ceil(sizeValue(e.up, symbols) / e.by) * e.times;
  let sum = 0;
  for (const [coefficient, ...names] of e.terms) {
    let term = coefficient;
    for (const name of names) {
      const value = symbols.get(name);
      if (value === undefined) throw new HostError("mismatch", `the batch has no length ${name}`, "report this: loader and plan disagree");
      term *= value;
    }
    sum += term;
  }
  return sum;
}

/** Workgroups in three dimensions; one number is folded where it is larger than a dimension may be. */
export function groupCounts(groups: readonly SizeExpr[], symbols: Symbols): [number, number, number] {
  return folded(groups.map((g) => sizeValue(g, symbols)));
}

function folded([x = 0, y, z]: readonly number[]): [number, number, number] {
  if (y !== undefined && z !== undefined) return [x, y, z];
  const rows = Math.max(1, Math.ceil(x / MOST_GROUPS));
  return [Math.ceil(x / rows), rows, 1];
}

/** Where bindings may begin, of uniforms and of storage. */
export const ALIGNED = 256;

/** The sizes of a program, ready to be filled in. */
export class ProgramSizes {
  /** For each dispatch, which block of sizes is its own. */
  readonly blockOf: readonly number[];
  /** All different blocks, of u32. */
  readonly blocks: Uint32Array<ArrayBuffer>;
  /** Workgroups, three for each dispatch. */
  readonly counts: Uint32Array;
  /** Bytes of a block: a multiple of where uniform bindings may begin, and enough for the dispatch with most sizes. */
  readonly blockBytes: number;
  readonly #expressions: SizeExpr[] = [];
  readonly #index = new Map<string, number>();
  /** Word of a block, expression; and dispatch, expressions of its workgroups. */
  readonly #words: number[] = [];
  readonly #groups: { readonly dispatch: number; readonly at: readonly number[] }[] = [];
  #values = new Float64Array();
  #key: string | undefined;

  constructor({ dispatches }: PlanProgram) {
    this.blockBytes = ALIGNED * dispatches.reduce((most, { sizes }) => Math.max(most, Math.ceil((4 * sizes.length) / ALIGNED)), 1);
    const words = this.blockBytes / 4;
    const distinct = new Map<string, { readonly block: number; readonly sizes: readonly SizeExpr[] }>();
    this.blockOf = dispatches.map(({ sizes }) => {
      const key = JSON.stringify(sizes);
      const known = distinct.get(key) ?? { block: distinct.size, sizes };
      distinct.set(key, known);
      return known.block;
    });
    this.blocks = new Uint32Array(distinct.size * words);
    this.counts = new Uint32Array(dispatches.length * 3);
    for (const { block, sizes } of distinct.values()) {
      sizes.forEach((size, j) => {
        if (typeof size === "number") this.blocks[block * words + j] = size;
        else this.#words.push(block * words + j, this.#expression(size));
      });
    }
    dispatches.forEach(({ groups }, dispatch) => {
      if (groups.every((g) => typeof g === "number")) this.counts.set(groupCounts(groups, new Map()), dispatch * 3);
      else this.#groups.push({ dispatch, at: groups.map((g) => this.#expression(g)) });
    });
    this.#values = new Float64Array(this.#expressions.length);
  }

  #expression(e: SizeExpr): number {
    const key = JSON.stringify(e);
    const at = this.#index.get(key) ?? this.#expressions.length;
    if (at === this.#expressions.length) this.#expressions.push(e);
    this.#index.set(key, at);
    return at;
  }

  /** Fills in the values; whether any block is new. */
  fill(symbols: Symbols): boolean {
    // With their names: whoever calls may name them in any order.
    const key = [...symbols].join();
    if (key === this.#key) return false;
    const first = this.#key === undefined;
    this.#key = key;
    if (this.#expressions.length === 0) return first;
    this.#expressions.forEach((e, i) => (this.#values[i] = sizeValue(e, symbols)));
    for (let i = 0; i < this.#words.length; i += 2) this.blocks[this.#words[i] ?? 0] = this.#values[this.#words[i + 1] ?? 0] ?? 0;
    for (const { dispatch, at } of this.#groups) this.counts.set(folded(at.map((i) => this.#values[i] ?? 0)), dispatch * 3);
    return true;
  }
}
