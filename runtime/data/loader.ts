/**
 * The loader: batches by step.
 *
 * Owns the order of pictures (a seeded permutation per epoch, the last partial batch dropped), prefetching, and putting the
 * shares of the workers together. The batch of step `s` is a pure function of (source, seed, s): a run that resumes at any
 * step sees the batches it would have seen, bit for bit, with any number of workers. Steps are expected to go up by one;
 * any other step is served too, only without the benefit of prefetching.
 */
import { availableParallelism } from "node:os";
import type { ViewSpec } from "../abi.js";
import { counted } from "../base/counted.js";
import { HostError } from "../base/errors.js";
import type { DoneShare } from "./assemble.js";
import { compileView } from "./augment.js";
import { epochOrder, placeOf } from "./order.js";
import { openPool, type Pool } from "./pool.js";
import { wordsOf, type ImageSource } from "./source.js";

/** What a loader is made of. */
export interface LoaderOptions {
  readonly batch: number;
  readonly seed: number;
  readonly views: readonly ViewSpec[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Threads; default: cores less one, 1 to 8. 0 decodes in-process. */
  readonly workers?: number;
  /** Batches made ahead; default 2 (0 in-process). */
  readonly prefetch?: number;
  /** Decoded pictures kept, over all workers; default 512. */
  readonly cacheMegabytes?: number;
  /** The factor whose labels come with a batch; default the first. */
  readonly factor?: string;
  /** Hears what a person should know, each thing once: corrupt files, small and dark pictures, missing workers. */
  readonly onNote?: (text: string) => void;
  /** Where the compiled worker is, if not beside this file. */
  readonly workerScript?: URL;
}

/** One batch. */
export interface LoaderBatch {
  readonly step: number;
  readonly epoch: number;
  /** `[B, height, width, channels]` normalized, by view name; of clips `[B, frames, height, width, channels]`. */
  readonly images: Readonly<Record<string, Float32Array>>;
  /** The pictures used, by slot: replacements in the place of corrupt ones. */
  readonly indices: Int32Array;
  /** Labels by slot, −1 for none. For probes and reports only. */
  readonly labels: Int32Array;
}

/** What went wrong with pictures so far. */
export interface LoaderReport {
  /** Pictures in whose place others were taken, by path. */
  readonly corrupt: readonly string[];
  /** Pictures smaller than a view that were scaled up. */
  readonly small: number;
}

/** Serves batches. Close it, or its threads live as long as the process. */
export interface Loader {
  readonly stepsPerEpoch: number;
  /** Threads really running. */
  readonly workers: number;
  /** The batch of a 0-based step. Rejects with `HostError` "bad-image", "unreadable-image", "small-image", "io" or "closed". */
  next(step: number): Promise<LoaderBatch>;
  /** What was skipped so far, and why. */
  report(): LoaderReport;
  /** Ends the threads. */
  close(): Promise<void>;
}

class BatchLoader implements Loader {
  readonly stepsPerEpoch: number;
  readonly #source: ImageSource;
  readonly #options: LoaderOptions;
  readonly #pool: Pool;
  readonly #prefetch: number;
  readonly #ahead = new Map<number, Promise<LoaderBatch>>();
  readonly #orders = new Map<number, Int32Array>();
  readonly #corrupt = new Map<number, string>();
  readonly #small = new Set<number>();
  #darkTold = false;
  #closed = false;

  constructor(source: ImageSource, options: LoaderOptions, pool: Pool) {
    this.#source = source;
    this.#options = options;
    this.#pool = pool;
    this.#prefetch = pool.workers === 0 ? 0 : (options.prefetch ?? 2);
    this.stepsPerEpoch = Math.floor(source.size / options.batch);
  }

  get workers(): number {
    return this.#pool.workers;
  }

  next(step: number): Promise<LoaderBatch> {
    if (this.#closed) return Promise.reject(new HostError("closed", "the loader was closed", "open a new one"));
    if (!Number.isSafeInteger(step) || step < 0) return Promise.reject(new RangeError(`a step is a whole number from 0, got ${step}`));
    for (const other of this.#ahead.keys()) if (other < step || other > step + this.#prefetch) this.#ahead.delete(other);
    for (let s = step; s <= step + this.#prefetch; s++) {
      if (this.#ahead.has(s)) continue;
      const made = this.#make(s);
      // A prefetched batch may fail before anyone asks for it; whoever asks still gets the rejection.
      made.catch(() => undefined);
      this.#ahead.set(s, made);
    }
    const wanted = this.#ahead.get(step) ?? this.#make(step);
    this.#ahead.delete(step);
    return wanted;
  }

  report(): LoaderReport {
    return { corrupt: [...this.#corrupt.values()], small: this.#small.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ahead.clear();
    await this.#pool.close();
  }

  /** The permutation of an epoch; the two latest are kept, since prefetching crosses the border. */
  #order(epoch: number): Int32Array {
    const held = this.#orders.get(epoch);
    if (held !== undefined) return held;
    const order = epochOrder(this.#options.seed, epoch, this.#source.size);
    if (this.#orders.size >= 2) this.#orders.delete(Math.min(...this.#orders.keys()));
    this.#orders.set(epoch, order);
    return order;
  }

  async #make(step: number): Promise<LoaderBatch> {
    const { batch, views, factor, mean } = this.#options;
    const { epoch, from } = placeOf(step, batch, this.#source.size);
    const wanted = this.#order(epoch).subarray(from, from + batch);
    const images = views.map((view) => new Float32Array(batch * (view.frames ?? 1) * view.height * view.width * mean.length));
    const indices = new Int32Array(batch);
    const owners = Math.max(1, this.#pool.workers);
    await Promise.all(
      Array.from({ length: owners }, async (_, owner) => {
        const slots = Int32Array.from(wanted.keys()).filter((slot) => (wanted[slot] ?? 0) % owners === owner);
        if (slots.length === 0) return;
        const done = await this.#pool.run(owner, { step, slots, indices: slots.map((slot) => wanted[slot] ?? 0) });
        this.#place(slots, done, images, indices);
      }),
    );
    return {
      step,
      epoch,
      images: Object.fromEntries(views.map((view, v) => [view.name, images[v] ?? new Float32Array(0)])),
      indices,
      labels: indices.map((index) => this.#source.label(index, factor)),
    };
  }

  #place(slots: Int32Array, done: DoneShare, images: readonly Float32Array[], indices: Int32Array): void {
    const [one, many] = wordsOf(this.#source);
    slots.forEach((slot, i) => {
      indices[slot] = done.used[i] ?? 0;
      done.rows.forEach((rows, v) => {
        const size = rows.length / slots.length;
        images[v]?.set(rows.subarray(i * size, (i + 1) * size), slot * size);
      });
    });
    for (const { index, reason } of done.corrupt) {
      if (this.#corrupt.has(index)) continue;
      this.#corrupt.set(index, this.#source.describe(index));
      this.#options.onNote?.(`${reason}; another ${one} takes its place`);
    }
    if (done.small.length > 0 && this.#small.size === 0) {
      this.#options.onNote?.(`some ${many} are smaller than a view and are scaled up, such as ${this.#source.describe(done.small[0] ?? 0)}`);
    }
    for (const index of done.small) this.#small.add(index);
    if (done.dark !== undefined && !this.#darkTold) {
      this.#darkTold = true;
      const { numbers, most, mean, std } = done.dark;
      const list = (values: readonly number[]): string => `[${values.map((value) => value.toPrecision(2)).join(", ")}]`;
      const fit = `normalize(mean: ${list(mean)}, std: ${list(std)})`;
      this.#options.onNote?.(numbers ? `the numbers of the first ${many} are not near 0 with a deviation of 1 once they are normalized; ${fit} in the program's data would bring them there` : `the pictures of 16 bits are dark: the largest value of the first ones is ${most} of 65535, and normalization hardly tells them apart; these would have ${fit}`);
    }
  }
}

function wholeOption(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) throw new HostError("bad-data", `${name} is ${value}`, `give a whole number in ${low}..${high}`);
}

/**
 * A loader over a source. Throws `HostError` "bad-data" when a view or an option makes no sense, or when the source has
 * fewer pictures than one batch.
 */
export async function createLoader(source: ImageSource, options: LoaderOptions): Promise<Loader> {
  const workers = options.workers ?? Math.min(8, Math.max(1, availableParallelism() - 1));
  wholeOption("batch", options.batch, 1, 1e6);
  wholeOption("workers", workers, 0, 64);
  wholeOption("prefetch", options.prefetch ?? 0, 0, 64);
  if (source.size < options.batch) {
    const [one, many] = wordsOf(source);
    throw new HostError("bad-data", `${source.name} has ${counted(source.size, one)}, and a batch takes ${options.batch}`, `make the batch smaller, or give more ${many}`);
  }
  if (new Set(options.views.map((view) => view.name)).size !== options.views.length || options.views.length === 0) {
    throw new HostError("bad-data", "a loader takes at least one view, each with its own name", "name the views apart");
  }
  for (const view of options.views) compileView(view, options.mean, options.std);
  const { views, mean, std, seed } = options;
  const cacheBytes = (options.cacheMegabytes ?? 512) * 1024 * 1024;
  const pool = openPool(source, { views, mean, std, seed, cacheBytes }, { workers, workerScript: options.workerScript, note: (text) => options.onNote?.(text) });
  return new BatchLoader(source, options, pool);
}
