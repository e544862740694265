/**
 * Masks whose rows are cut within groups of images: in how many parts a step then runs, and whose rows are whose.
 *
 * Owns the rule that ties groups to parts: tensors are rectangular, so images that are computed together have rows of one
 * length, and a part lies within one group. Drawing is `sample.ts`; running part after part is the engines'.
 */
import type { MaskBatch, MaskSpec } from "../abi.js";

/**
 * The fewest equal parts, a multiple of `accumulate`, in which a batch can run so that no part holds images of two groups:
 * the least common multiple of that and of the numbers of groups. Undefined where groups or parts do not divide the batch.
 */
export function partsOf(batch: number, accumulate: number, masks: readonly Pick<MaskSpec, "trimGroup">[]): number | undefined {
  const groups = masks.map(({ trimGroup = batch }) => Math.max(1, batch / trimGroup));
  const parts = groups.every(Number.isInteger) ? groups.reduce(leastCommonMultiple, accumulate) : undefined;
  return parts !== undefined && batch % parts === 0 ? parts : undefined;
}

function leastCommonMultiple(a: number, b: number): number {
  let [high, low] = [a, b];
  while (low > 0) [high, low] = [low, high % low];
  return (a / high) * b;
}

/** Whether each of `parts` equal parts of a batch holds whole groups of images, or an equal part of one. */
export function keepsGroups(batch: number, parts: number, masks: readonly Pick<MaskSpec, "trimGroup">[]): boolean {
  const size = batch / parts;
  return masks.every(({ trimGroup = batch }) => trimGroup >= batch || size % trimGroup === 0 || trimGroup % size === 0);
}

/** The positions of one set of one image, of a batch of so many. */
export function rowOf(mask: MaskBatch, set: number, image: number, batch: number): Int32Array {
  const images = batch / (mask.groups?.length ?? 1);
  const { length, indices } = mask.groups?.[Math.floor(image / images)] ?? mask;
  const from = (set * images + (image % images)) * length;
  return indices.subarray(from, from + length);
}

/** The rows of one of `parts` equal parts of a batch; undefined where it holds images of two groups, in part or in whole, that lie across its bounds. */
export function maskPart(mask: MaskBatch, batch: number, part: number, parts: number): MaskBatch | undefined {
  const { groups } = mask;
  if (groups === undefined) return sliced(mask, batch, part, parts);
  // Whole groups, then equal parts of one.
  if (groups.length % parts === 0) return joinGroups(groups.slice((part * groups.length) / parts, ((part + 1) * groups.length) / parts));
  const within = parts / groups.length;
  const group = groups[Math.floor(part / within)];
  return Number.isInteger(within) && group !== undefined ? sliced(group, batch / groups.length, part % within, within) : undefined;
}

/** Groups as one mask of a batch; a single one is itself. */
export function joinGroups<T extends MaskBatch>(groups: readonly T[]): T | MaskBatch {
  const [first] = groups;
  if (first === undefined) return { count: 0, length: 0, indices: new Int32Array() };
  if (groups.length === 1) return first;
  const indices = new Int32Array(groups.reduce((n, g) => n + g.indices.length, 0));
  groups.reduce((at, g) => (indices.set(g.indices, at), at + g.indices.length), 0);
  return { count: first.count, length: Math.max(...groups.map((g) => g.length)), indices, groups };
}

function sliced({ count, length, indices }: MaskBatch, batch: number, part: number, parts: number): MaskBatch {
  const rows = (batch / parts) * length;
  const out = new Int32Array(count * rows);
  for (let set = 0; set < count; set++) out.set(indices.subarray(set * batch * length + part * rows, set * batch * length + (part + 1) * rows), set * rows);
  return { count, length, indices: out };
}
