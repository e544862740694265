/**
 * Batches that run in parts, with their gradients added: how a batch is cut, and what is watched put together again.
 *
 * Images by rows; index rows of every set of a mask likewise (they lie set by set); random draws whole for each part. Masks
 * were drawn and trimmed for the whole batch, so all parts have the same lengths and the mean over parts is that of the
 * batch.
 */
import type { MaskBatch, StepBatch, Watch } from "../abi.js";
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

/** Features of a whole batch from those of its parts: rows of images one after the other, means over images averaged. */
export function joinWatch(over: Watch["over"], parts: readonly Float32Array[]): Float32Array {
  const [first] = parts;
  if (over === "images" || first === undefined) return joined(parts);
  return first.map((_, i) => parts.reduce((sum, part) => sum + (part[i] ?? Number.NaN), 0) / parts.length);
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
