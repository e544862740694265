/**
 * Batches without threads, files or a platform: what a page trains on.
 *
 * Owns putting a batch together in one thread. Order, augmentation, masks and random tensors are those of the loader with
 * threads, so that a run in a page and one under Node see the same batches, bit for bit.
 */
import type { Manifest, StepBatch } from "../abi.js";
import { Assembler } from "../data/assemble.js";
import { openNumbers } from "../data/numbers.js";
import { epochOrder, placeOf } from "../data/order.js";
import type { ImageSource } from "../data/source.js";
import { sampleMasks } from "../masks/sample.js";
import { drawTensor } from "./draws.js";
import type { BatchSource } from "./loop.js";
import type { Recipe } from "./recipe.js";

/** Most bytes of decoded pictures that are kept. */
const CACHE = 256 * 1024 * 1024;

/** Batches of a program over pictures or films; a pure function of the step. Throws what `openNumbers` throws. */
export function plainBatches(manifest: Pick<Manifest, "views" | "masks" | "draws" | "train" | "numbers">, source: ImageSource, recipe: Pick<Recipe, "batch" | "seed">): BatchSource {
  const { batch, seed } = recipe;
  const { views, train: { mean, std } } = manifest;
  const assembler = new Assembler(source, { views, mean, std, seed, cacheBytes: CACHE });
  const numbers = openNumbers(manifest.numbers, source, seed);
  const slots = Int32Array.from({ length: batch }, (_, slot) => slot);
  let order: { readonly epoch: number; readonly pictures: Int32Array } = { epoch: -1, pictures: new Int32Array() };
  return {
    async next(step): Promise<StepBatch> {
      const { epoch, from } = placeOf(step, batch, source.size);
      if (order.epoch !== epoch) order = { epoch, pictures: epochOrder(seed, epoch, source.size) };
      const { rows, used } = await assembler.assemble({ step, slots, indices: order.pictures.slice(from, from + batch) });
      const numeric = numbers.batch(step, used);
      return {
        size: batch,
        images: Object.fromEntries(views.map((view, v) => [view.name, rows[v] ?? new Float32Array()])),
        ...(numeric === undefined ? {} : { numbers: numeric }),
        masks: Object.fromEntries(sampleMasks(manifest.masks, { seed, step, batch })),
        draws: Object.fromEntries(manifest.draws.map((spec) => [spec.name, drawTensor(spec, seed, step)])),
      };
    },
  };
}
