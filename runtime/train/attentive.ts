/**
 * An attentive probe of frozen features: a head that reads all tokens, fitted by AdamW.
 *
 * Owns the recipe, which is that of V-JEPA's attentive probing where it says one (20 epochs, AdamW, a rate of 1e-3 that falls to 0
 * along a cosine, a constant weight decay of 0.01), standardization, and the score. Tokens are standardized feature by feature over all
 * tokens of the training set, as for the linear head, which takes the place of the layer norm that V-JEPA puts before the keys.
 * Heads of several tasks learn side by side, so that tokens are read (or encoded) once for all. Everything is float64 on the host and
 * drawn from streams of the seed: the same tokens give the same accuracy on any engine. The head is `attentive-head.ts`'s.
 */
import { HostError } from "../base/errors.js";
import { stream } from "../base/random.js";
import { DECAYED, headGradient, headLogits, newHead } from "./attentive-head.js";
import type { AttentiveHead } from "./attentive-head.js";

/** Token features of a set of pictures or clips, as many tokens of each. */
export interface TokenSet {
  readonly count: number;
  /** Tokens of one. */
  readonly tokens: number;
  readonly width: number;
  /** Tokens `[rows, tokens, width]` of these, in this order. */
  rows(rows: Int32Array): Promise<Float32Array>;
}

/** One thing to tell: a class number for each of the training and of the test set. */
export interface AttentiveTask {
  readonly train: Int32Array;
  readonly test: Int32Array;
  readonly classes: number;
}

/** How the head is made and fitted. */
export interface AttentiveOptions {
  /** Heads of the attention, which divide the width; `usualHeads` unless said. */
  readonly heads?: number;
  /** Passes over the training set; `usualEpochs` unless said. */
  readonly epochs?: number;
  /** At the start; 1e-3 unless said. */
  readonly learningRate?: number;
  /** 0.01 unless said. */
  readonly weightDecay?: number;
  /** Hears how many steps are done, before some of them. */
  readonly onStep?: (done: number, total: number) => void;
}

/** What an attentive probe found about one task. */
export interface AttentiveResult {
  /** Share of the test set classified right. */
  readonly accuracy: number;
  /** Mean cross-entropy of the last epoch's batches, in nats, as they were met. */
  readonly loss: number;
}

/** The recipe of a probe with every number said. */
export type AttentiveRecipe = Readonly<Record<"heads" | "epochs" | "learningRate" | "weightDecay", number>>;

const BATCH = 64;
const EPOCHS = 20;
/** Steps that a small set is given by more epochs. */
const LEAST_STEPS = 400;
/** Timers and signals get their turn between every so many steps. */
const BREATH = 8;
const breathe = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve, 0); });

/** As many heads as leave 32 features or more to each, 16 at the most: 3 for a width of 96, 16 for 768. */
export function usualHeads(width: number): number {
  for (let heads = Math.min(16, Math.floor(width / 32)); heads > 1; heads--) if (width % heads === 0) return heads;
  return 1;
}

/** 20, and for small sets as many as make 400 steps of 64. */
export function usualEpochs(count: number): number {
  return Math.max(EPOCHS, Math.ceil(LEAST_STEPS / Math.ceil(count / BATCH)));
}

/** All numbers of a probe over `count` training rows of tokens of this width. Throws a RangeError where one is out of range. */
export function attentiveRecipe(count: number, width: number, { heads = usualHeads(width), epochs = usualEpochs(count), learningRate = 1e-3, weightDecay = 0.01 }: AttentiveOptions = {}): AttentiveRecipe {
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) throw new RangeError(`${heads} heads do not divide a width of ${width}`);
  if (!Number.isInteger(epochs) || epochs < 1) throw new RangeError(`${epochs} is not a number of epochs`);
  if (!(learningRate > 0 && Number.isFinite(learningRate))) throw new RangeError(`the learning rate is ${learningRate}, not a number above 0`);
  if (!(weightDecay >= 0 && Number.isFinite(weightDecay))) throw new RangeError(`the weight decay is ${weightDecay}, not a number from 0`);
  return { heads, epochs, learningRate, weightDecay };
}

/**
 * Fits a head for each task on `train` and scores it on `test`; draws are those of `seed`. Throws a RangeError where sets, labels or
 * options do not fit each other, and `HostError` "not-a-number" where a feature is not finite.
 */
export async function attentiveProbe(train: TokenSet, test: TokenSet, tasks: readonly AttentiveTask[], seed: number, options: AttentiveOptions = {}): Promise<AttentiveResult[]> {
  requireTasks(train, test, tasks);
  const recipe = attentiveRecipe(train.count, train.width, options);
  const scale = await standardizer(train);
  const fits = tasks.map((task, i) => new Fit(newHead({ width: train.width, heads: recipe.heads, classes: task.classes }, seed, i), recipe));
  const perEpoch = Math.ceil(train.count / BATCH);
  const total = perEpoch * recipe.epochs;
  for (let epoch = 0; epoch < recipe.epochs; epoch++) {
    const order = stream(seed, "attentive order", epoch).permutation(train.count);
    fits.forEach((fit) => fit.begin());
    for (let at = 0; at < perEpoch; at++) {
      const step = epoch * perEpoch + at;
      if (step % BREATH === 0) {
        options.onStep?.(step, total);
        await breathe();
      }
      const rows = order.slice(at * BATCH, (at + 1) * BATCH);
      const tokens = await standardized(train, rows, scale);
      const rate = (recipe.learningRate / 2) * (1 + Math.cos((Math.PI * step) / total));
      tasks.forEach((task, i) => fits[i]?.step(tokens, rows.map((row) => task.train[row] ?? 0), rate));
    }
  }
  const right = new Float64Array(tasks.length);
  for (let from = 0; from < test.count; from += BATCH) {
    if (from % (BATCH * BREATH) === 0) await breathe();
    const rows = range(from, Math.min(test.count, from + BATCH));
    const tokens = await standardized(test, rows, scale);
    tasks.forEach((task, i) => {
      const guesses = fits[i]?.guesses(tokens, rows.length) ?? [];
      rows.forEach((row, at) => { if (guesses[at] === task.test[row]) right[i] = (right[i] ?? 0) + 1; });
    });
  }
  return fits.map((fit, i) => ({ accuracy: (right[i] ?? 0) / test.count, loss: fit.loss / train.count }));
}

/** A head with the state of its optimizer: AdamW (Loshchilov and Hutter, 2019, algorithm 2), β 0.9 and 0.999, ε 1e-8. */
class Fit {
  readonly #head: AttentiveHead;
  readonly #decay: Float64Array;
  readonly #gradient: Float64Array;
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  #steps = 0;
  /** Sum over the rows of this epoch. */
  loss = 0;

  constructor(head: AttentiveHead, { weightDecay }: AttentiveRecipe) {
    const { length } = head.values;
    [this.#head, this.#decay, this.#gradient, this.#first, this.#second] = [head, new Float64Array(length), new Float64Array(length), new Float64Array(length), new Float64Array(length)];
    for (const name of DECAYED) {
      const { at, rows, columns } = head.parts[name];
      this.#decay.fill(weightDecay, at, at + rows * columns);
    }
  }

  begin(): void {
    this.loss = 0;
  }

  step(tokens: Float64Array, labels: Int32Array, rate: number): void {
    const { values } = this.#head;
    const [gradient, first, second, decay] = [this.#gradient, this.#first, this.#second, this.#decay];
    this.#steps += 1;
    this.loss += headGradient(this.#head, tokens, labels, gradient.fill(0)) * labels.length;
    const [one, two] = [1 - 0.9 ** this.#steps, 1 - 0.999 ** this.#steps];
    for (let i = 0; i < values.length; i++) {
      const slope = gradient[i] ?? 0;
      const m = 0.9 * (first[i] ?? 0) + 0.1 * slope;
      const v = 0.999 * (second[i] ?? 0) + 0.001 * slope * slope;
      first[i] = m;
      second[i] = v;
      const value = values[i] ?? 0;
      values[i] = value - rate * (m / one / (Math.sqrt(v / two) + 1e-8) + (decay[i] ?? 0) * value);
    }
  }

  /** The class of each row with the largest logit; the lower number where two are alike. */
  guesses(tokens: Float64Array, count: number): number[] {
    const { classes } = this.#head.shape;
    const logits = headLogits(this.#head, tokens, count);
    return Array.from({ length: count }, (_, b) => {
      let best = 0;
      for (let c = 1; c < classes; c++) if ((logits[b * classes + c] ?? 0) > (logits[b * classes + best] ?? 0)) best = c;
      return best;
    });
  }
}

interface Scale {
  readonly mean: Float64Array;
  readonly inverse: Float64Array;
}

/** Mean and deviation of each feature over all tokens of a set, read once; sums are taken from the first token on, so that they keep their digits. */
async function standardizer(set: TokenSet): Promise<Scale> {
  const { width } = set;
  const [sum, squares, mean, inverse] = [new Float64Array(width), new Float64Array(width), new Float64Array(width), new Float64Array(width)];
  let origin: Float32Array | undefined;
  for (let from = 0; from < set.count; from += BATCH) {
    const part = await set.rows(range(from, Math.min(set.count, from + BATCH)));
    origin ??= part.slice(0, width);
    for (let i = 0; i < part.length; i++) {
      const j = i % width;
      const value = (part[i] ?? 0) - (origin[j] ?? 0);
      sum[j] = (sum[j] ?? 0) + value;
      squares[j] = (squares[j] ?? 0) + value * value;
    }
  }
  const n = set.count * set.tokens;
  for (let j = 0; j < width; j++) {
    const shift = (sum[j] ?? 0) / n;
    mean[j] = (origin?.[j] ?? 0) + shift;
    const deviation = Math.sqrt(Math.max(0, (squares[j] ?? 0) / n - shift * shift));
    // A feature that does not vary carries nothing: it is set to zero instead of being blown up.
    inverse[j] = deviation > 1e-8 * Math.max(1, Math.abs(mean[j] ?? 0)) ? 1 / deviation : 0;
  }
  return { mean, inverse };
}

async function standardized(set: TokenSet, rows: Int32Array, { mean, inverse }: Scale): Promise<Float64Array> {
  const { width } = set;
  const tokens = await set.rows(rows);
  const out = new Float64Array(tokens.length);
  for (let i = 0; i < out.length; i++) {
    const value = tokens[i] ?? 0;
    if (!Number.isFinite(value)) throw new HostError("not-a-number", `feature ${i % width} of a token of row ${rows[Math.floor(i / (width * set.tokens))] ?? 0} is ${value}`, "look at the picture of that row and at the weights of the encoder");
    out[i] = (value - (mean[i % width] ?? 0)) * (inverse[i % width] ?? 0);
  }
  return out;
}

function requireTasks(train: TokenSet, test: TokenSet, tasks: readonly AttentiveTask[]): void {
  for (const { count, tokens, width } of [train, test]) {
    if (count === 0) throw new RangeError("a set has no rows");
    if (!Number.isInteger(tokens) || tokens < 1 || !Number.isInteger(width) || width < 1) throw new RangeError(`${tokens} tokens of width ${width} are none`);
  }
  if (train.width !== test.width) throw new RangeError(`tokens to fit on have width ${train.width}, tokens to test on ${test.width}`);
  for (const task of tasks) {
    for (const [labels, { count }] of [[task.train, train], [task.test, test]] as const) {
      if (labels.length !== count) throw new RangeError(`${labels.length} labels are not one for each of ${count} rows`);
      const strange = labels.find((label) => label < 0 || label >= task.classes);
      if (strange !== undefined) throw new RangeError(`a label is ${strange}, and ${task.classes} classes have the numbers from 0 to ${task.classes - 1}`);
    }
  }
}

function range(from: number, to: number): Int32Array {
  return Int32Array.from({ length: to - from }, (_, i) => from + i);
}
