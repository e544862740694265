/**
 * Batches for the loop: pictures or clips, the numbers that come with them, masks and random tensors of a step, together.
 *
 * Owns the putting together only. Each part is a pure function of (seed, step): pictures come from the loader's threads, numbers
 * follow the pictures that were taken, masks from the sampler, random tensors from streams named after them. So a batch can be asked for at any step, and a
 * resumed run gets the batches it would have got.
 */
import type { Manifest, StepBatch } from "../abi.js";
import { createLoader } from "../data/loader.js";
import type { LoaderReport } from "../data/loader.js";
import { openNumbers } from "../data/numbers.js";
import { wordsOf, type ImageSource } from "../data/source.js";
import { sampleMasks } from "../masks/sample.js";
import { drawTensor } from "./draws.js";
import type { BatchSource } from "./loop.js";
import type { Recipe } from "./recipe.js";

/** A source of batches that holds threads. */
export interface Batches extends BatchSource {
  /** Threads that load pictures. */
  readonly workers: number;
  /** What was wrong with pictures so far, counted; undefined where nothing was. */
  faults(): string | undefined;
  /** Ends the loading threads. */
  close(): Promise<void>;
}

/** How pictures are loaded. */
export interface BatchOptions {
  readonly workers?: number;
  /** Hears about corrupt and small pictures, each thing once. */
  readonly onNote?: (text: string) => void;
}

/** Batches of a program over pictures or films. Throws what the loader throws for options that make no sense, and what `openNumbers` throws. */
export async function openBatches(manifest: Pick<Manifest, "views" | "masks" | "draws" | "train" | "numbers">, source: ImageSource, recipe: Pick<Recipe, "batch" | "seed">, options: BatchOptions = {}): Promise<Batches> {
  const { batch, seed } = recipe;
  const { mean, std } = manifest.train;
  const numbers = openNumbers(manifest.numbers, source, seed);
  const loader = await createLoader(source, { batch, seed, views: manifest.views, mean, std, workers: options.workers, onNote: options.onNote });
  return {
    workers: loader.workers,
    async next(step): Promise<StepBatch> {
      const { images, indices } = await loader.next(step);
      const rows = numbers.batch(step, indices);
      const masks = Object.fromEntries(sampleMasks(manifest.masks, { seed, step, batch }));
      const draws = Object.fromEntries(manifest.draws.map((spec): [string, Float32Array] => [spec.name, drawTensor(spec, seed, step)]));
      return { size: batch, images, ...(rows === undefined ? {} : { numbers: rows }), masks, draws };
    },
    faults: () => faultsText(loader.report(), wordsOf(source)),
    close: () => loader.close(),
  };
}

function faultsText({ corrupt, small }: LoaderReport, [one, many]: readonly [string, string]): string | undefined {
  const pictures = (n: number): string => (n === 1 ? `1 ${one} was` : `${n} ${many} were`);
  const parts = [
    ...(corrupt.length > 0 ? [`${pictures(corrupt.length)} passed over, with others in their place (${corrupt.slice(0, 3).join(", ")}${corrupt.length > 3 ? ", …" : ""})`] : []),
    ...(small > 0 ? [`${pictures(small)} smaller than a view and scaled up`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join("; ");
}
