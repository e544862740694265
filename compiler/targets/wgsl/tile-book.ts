/**
 * Which tile each product of a plan gets: a measured one where there is one, else the default for its shape and device.
 *
 * Owns the key of a product (its form, sizes at the bounds, and what it is computed from), the refusal of measured tiles that
 * the generator cannot write, and the record that goes into the plan. Tiles are part of what a run is: another number of
 * parts adds in another order, so whoever goes on with a run compiles with the tiles of its plan.
 */
import type { PlanTile } from "../../../runtime/abi.js";
import type { ChosenTile, GemmShape } from "./kernels/tiles.js";
import { defaultTile, isLegal, mostParts } from "./kernels/tiles.js";

/** The same text for the same product. */
export function productKey({ form, batch, m, n, k, kind }: GemmShape): string {
  return [form, batch, m, n, k, kind].join(" ");
}

/** A product of a plan as the generator knows it. */
export function shapeOf({ form, batch, m, n, k, kind }: PlanTile): GemmShape {
  return { form, batch, m, n, k, kind };
}

/** The tile of an entry. */
export function tileOf({ tile: [bm, bn, bk, tm, tn], parts }: PlanTile): ChosenTile {
  return { bm, bn, bk, tm, tn, ...(parts === undefined ? {} : { parts }) };
}

/** An entry for a product and its tile. */
export function planTile({ form, batch, m, n, k, kind }: GemmShape, { bm, bn, bk, tm, tn, parts }: ChosenTile): PlanTile {
  return { form, batch, m, n, k, kind, tile: [bm, bn, bk, tm, tn], ...(parts === undefined ? {} : { parts }) };
}

/** Whether the generator can write an entry: its tile, and so many parts. */
export function isWritable(entry: PlanTile): boolean {
  return isLegal(tileOf(entry)) && (entry.parts ?? 1) <= mostParts(entry.k);
}

/** Gives tiles to products, and remembers which. */
export class TileBook {
  readonly #measured: ReadonlyMap<string, PlanTile>;
  readonly #used = new Map<string, PlanTile>();

  constructor(measured: readonly PlanTile[] = [], readonly software = false, readonly ample = false) {
    this.#measured = new Map(measured.map((t) => [productKey(shapeOf(t)), t]));
  }

  /** The tile for a product. */
  readonly choose = (shape: GemmShape): ChosenTile => {
    const key = productKey(shape);
    const known = this.#measured.get(key);
    const tile = known !== undefined && isWritable(known) ? tileOf(known) : defaultTile(shape, this.software, this.ample);
    this.#used.set(key, planTile(shape, tile));
    return tile;
  };

  /** Every product that was asked for, with its tile. */
  used(): PlanTile[] {
    return [...this.#used.values()];
  }
}
