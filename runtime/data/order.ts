/**
 * The order of pictures: a seeded permutation per epoch, the last partial batch dropped.
 *
 * Owns the rule alone, since more than one loader follows it: the one with threads and the one for pages. A pure function
 * of (seed, size, step), so that resuming needs nothing saved.
 */
import { stream } from "../base/random.js";

/** All pictures of an epoch, in its order. */
export function epochOrder(seed: number, epoch: number, size: number): Int32Array {
  return stream(seed, "order", epoch).permutation(size);
}

/** Where the batch of a 0-based step lies in its epoch: `order.subarray(from, from + batch)`. */
export function placeOf(step: number, batch: number, size: number): { readonly epoch: number; readonly from: number } {
  const perEpoch = Math.floor(size / batch);
  return { epoch: Math.floor(step / perEpoch), from: (step % perEpoch) * batch };
}
