/**
 * Batches that run in parts, with their gradients added: how a batch is cut, and what is watched put together again.
 *
 * Images, and numbers beside them, by rows; index rows of every set of a mask likewise (they lie set by set); random draws whole for each part. Masks
 * were drawn and trimmed for the whole batch, so all parts have the same lengths and the mean over parts is that of the
 * batch; where rows are cut within groups of images, each part has its group's, and the mean is that over the groups.
 */
import type { Manifest, StepBatch, Watch } from "../abi.js";
import { HostError } from "../base/errors.js";
import { maskPart, partsOf } from "../masks/groups.js";

/** In how many parts a step of `size` images runs. Throws `HostError` "mismatch" where groups and parts do not go together. */
export function partCount({ masks, train }: Pick<Manifest, "masks" | "train">, size: number): number {
  const { accumulate = 1 } = train;
  const parts = partsOf(size, accumulate, masks);
  if (parts !== undefined) return parts;
  const group = masks.find(({ trimGroup = size }) => size % trimGroup !== 0 && trimGroup < size);
  throw uncut(size, accumulate, group === undefined ? "" : `, each within ${group.trimGroup} images as \`${group.name}\` is cut`);
}

function uncut(size: number, parts: number, how = ""): HostError {
  return new HostError("mismatch", `a batch of ${size} cannot be cut into the ${parts} equal parts that the program asks for${how}`, `take a multiple of ${parts} as the batch`);
}

/** One of `parts` equal parts of a batch. Throws `HostError` "mismatch" where the batch cannot be cut so. */
export function partOf(batch: StepBatch, part: number, parts: number): StepBatch {
  if (parts === 1) return batch;
  const size = batch.size / parts;
  if (!Number.isInteger(size)) throw uncut(batch.size, parts);
  const rows = (values: Float32Array): Float32Array => values.subarray((part * values.length) / parts, ((part + 1) * values.length) / parts);
  const each = <T, U>(record: Readonly<Record<string, T>>, f: (value: T) => U): Record<string, U> => Object.fromEntries(Object.entries(record).map(([name, value]): [string, U] => [name, f(value)]));
  return {
    size,
    images: each(batch.images, rows),
    ...(batch.numbers === undefined ? {} : { numbers: each(batch.numbers, rows) }),
    masks: each(batch.masks, (mask) => maskPart(mask, batch.size, part, parts) ?? raise(uncut(batch.size, parts, ", for rows of its masks were cut within other groups of images"))),
    draws: batch.draws,
  };
}

function raise(error: HostError): never {
  throw error;
}

/**
 * Features of a whole batch from those of its parts: rows of images one after the other, means over images averaged, as far as
 * all parts have positions.
 */
export function joinWatch(over: Watch["over"], parts: readonly Float32Array[]): Float32Array {
  const [first] = parts;
  if (over === "images" || first === undefined) return joined(parts);
  return first.subarray(0, Math.min(...parts.map((part) => part.length))).map((_, i) => parts.reduce((sum, part) => sum + (part[i] ?? Number.NaN), 0) / parts.length);
}

/** One array after the other. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
