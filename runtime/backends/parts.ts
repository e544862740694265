/**
 * Batches that run in parts, with their gradients added: how a batch is cut.
 *
 * Images by rows; index rows of every set of a mask likewise (they lie set by set); random draws whole for each part. Masks
 * were drawn and trimmed for the whole batch, so all parts have the same lengths and the mean over parts is that of the
 * batch.
 */
import type { MaskBatch, StepBatch } from "../abi.js";
import { HostError } from "../base/errors.js";

/** One of `parts` equal parts of a batch. Throws `HostError` "mismatch" where the batch cannot be cut so. */
export function partOf(batch: StepBatch, part: number, parts: number): StepBatch {
  if (parts === 1) return batch;
  const size = batch.size / parts;
  if (!Number.isInteger(size)) throw new HostError("mismatch", `a batch of ${batch.size} cannot be cut into the ${parts} equal parts that the program asks for`, `take a multiple of ${parts} as the batch`);
  const each = <T, U>(record: Readonly<Record<string, T>>, f: (value: T) => U): Record<string, U> => Object.fromEntries(Object.entries(record).map(([name, value]): [string, U] => [name, f(value)]));
  return {
    size,
    images: each(batch.images, (pixels) => pixels.subarray((part * pixels.length) / parts, ((part + 1) * pixels.length) / parts)),
    masks: each(batch.masks, (mask) => ({ ...mask, indices: indicesOf(mask, batch.size, part, parts) })),
    draws: batch.draws,
  };
}

function indicesOf({ count, length, indices }: MaskBatch, batch: number, part: number, parts: number): Int32Array {
  const rows = (batch / parts) * length;
  const out = new Int32Array(count * rows);
  for (let set = 0; set < count; set++) out.set(indices.subarray(set * batch * length + part * rows, set * batch * length + (part + 1) * rows), set * rows);
  return out;
}
