/**
 * k-nearest-neighbor accuracy of frozen features.
 *
 * Owns the weighted vote of Wu et al. (2018), as DINO and its successors report it: cosine similarity, the k nearest
 * training rows vote with weight `exp(similarity / temperature)`. Ties go to the lower class number and the earlier row,
 * so the result is a pure function of the features.
 */
import type { LabelledFeatures } from "./labelled.js";
import { requireSets } from "./labelled.js";

/** How rows vote. */
export interface NearestOptions {
  /** Rows that vote, a whole number from 1 on; 20 unless said, and all rows where there are fewer. */
  readonly k?: number;
  /** What similarities are divided by, above 0; 0.07 unless said. */
  readonly temperature?: number;
}

/** How many of `n` rows vote. */
export function votersAmong(n: number, { k = 20 }: NearestOptions): number {
  if (!Number.isInteger(k) || k < 1) throw new RangeError(`k is ${k}, not a whole number of neighbors from 1 on`);
  return Math.min(k, n);
}

/**
 * Share of `test` rows whose neighbors in `train` vote for the right one of `classes` classes. Throws a RangeError where features or
 * labels are not the rows that a set says it has, a set has none, or k or temperature are out of range, and `HostError` "not-a-number"
 * where a feature is not finite.
 */
export function nearestAccuracy(train: LabelledFeatures, test: LabelledFeatures, classes: number, options: NearestOptions = {}): number {
  requireSets(train, test, classes);
  const k = votersAmong(train.n, options);
  const temperature = options.temperature ?? 0.07;
  if (!(temperature > 0 && Number.isFinite(temperature))) throw new RangeError(`the temperature is ${temperature}, not a number above 0`);
  const bank = normalized(train);
  const queries = normalized(test);
  const similarity = new Float64Array(train.n);
  let right = 0;
  for (let q = 0; q < test.n; q++) {
    cosines(bank, train.n, train.width, queries.subarray(q * train.width, (q + 1) * train.width), similarity);
    if (vote(similarity, train.labels, k, temperature, classes) === test.labels[q]) right += 1;
  }
  return right / test.n;
}

function vote(similarity: Float64Array, labels: Int32Array, k: number, temperature: number, classes: number): number {
  const votes = new Float64Array(classes);
  for (const row of largestOf(similarity, k)) {
    const label = labels[row] ?? 0;
    votes[label] = (votes[label] ?? 0) + Math.exp((similarity[row] ?? 0) / temperature);
  }
  return votes.reduce((best, value, c) => (value > (votes[best] ?? 0) ? c : best), 0);
}

/** Rows of the `k` largest values, by insertion into a short sorted list. */
function largestOf(values: Float64Array, k: number): number[] {
  const rows: number[] = [];
  let least = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (rows.length === k && value <= least) continue;
    let at = rows.length;
    while (at > 0 && (values[rows[at - 1] ?? 0] ?? 0) < value) at -= 1;
    rows.splice(at, 0, i);
    if (rows.length > k) rows.pop();
    if (rows.length === k) least = values[rows[k - 1] ?? 0] ?? 0;
  }
  return rows;
}

function cosines(bank: Float32Array, n: number, width: number, query: Float32Array, out: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = 0;
    const row = i * width;
    for (let j = 0; j < width; j++) sum += (bank[row + j] ?? 0) * (query[j] ?? 0);
    out[i] = sum;
  }
}

function normalized({ features, n, width }: LabelledFeatures): Float32Array {
  const out = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    let squares = 0;
    for (let j = 0; j < width; j++) squares += (features[i * width + j] ?? 0) ** 2;
    const inverse = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let j = 0; j < width; j++) out[i * width + j] = (features[i * width + j] ?? 0) * inverse;
  }
  return out;
}
