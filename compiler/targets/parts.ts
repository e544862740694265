/**
 * In how many parts a step runs: as many as `accumulate` says, and so that no part holds images of two groups where rows of a
 * mask are cut within groups of images. The runtime has the same rule for the batch that a run takes (`masks/groups.ts`); a
 * test holds the two against each other.
 */
import type { Manifest } from "../../runtime/abi.js";

/** The number of equal parts; undefined where groups or parts do not divide the batch, which the checker refuses. */
export function partsOf(batch: number, accumulate: number, masks: Manifest["masks"]): number | undefined {
  const groups = masks.map(({ trimGroup = batch }) => Math.max(1, batch / trimGroup));
  const parts = groups.every(Number.isInteger) ? groups.reduce(leastCommonMultiple, accumulate) : undefined;
  return parts !== undefined && batch % parts === 0 ? parts : undefined;
}

/** That of a program. */
export function partsIn({ masks, train: { batch, accumulate = 1 } }: Pick<Manifest, "masks" | "train">): number {
  return partsOf(batch, accumulate, masks) ?? accumulate;
}

function leastCommonMultiple(a: number, b: number): number {
  let [high, low] = [a, b];
  while (low > 0) [high, low] = [low, high % low];
  return (a / high) * b;
}
