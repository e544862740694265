/**
 * A linear head on frozen features: softmax regression, fitted to its minimum.
 *
 * Owns the two forms that features are fitted in (standardized: each of mean 0 and deviation 1; whitened: uncorrelated as well),
 * the choice of form and L2 strength on a fifth of the training set that is held out, and the final fit on all of it. Full
 * batch and convex, so there is nothing random in it: the same features give the same accuracy. Strengths are tried from strong to
 * weak, each fit starting from the last.
 *
 * Why two forms: pooled features of a narrow encoder are so correlated that what tells classes apart may lie in directions of a
 * thousandth of the variance. On those an L2 penalty of standardized weights forbids the large weights that are needed, and a
 * minimizer does not get there in any number of passes to wait for. Whitened, all directions cost the same; but with few
 * rows for the width that blows up noise, and the standardized form is better.
 */
import type { LabelledFeatures } from "./labelled.js";
import { requireSets } from "./labelled.js";
import { minimize } from "./lbfgs.js";

/** What a linear probe found. */
export interface LinearResult {
  /** Share of test rows classified right. */
  readonly accuracy: number;
  /** The same on the rows it was fitted on. */
  readonly trainAccuracy: number;
  /** The L2 strength chosen on held-out training rows. */
  readonly l2: number;
  /** Whether the head was fitted on whitened features, chosen with it. */
  readonly whitened: boolean;
}

/** L2 strengths, per mean loss: `mean cross-entropy + l2/2 · ‖W‖²`. */
const STRENGTHS = [1e-1, 1e-2, 1e-3, 1e-4] as const;

/**
 * Fits a head on `train` and scores it on `test`; `classes` is the number of classes. Throws a RangeError where features or labels are
 * not the rows that a set says it has or a set has none, and `HostError` "not-a-number" where a feature is not finite.
 */
export function linearProbe(train: LabelledFeatures, test: LabelledFeatures, classes: number): LinearResult {
  requireSets(train, test, classes);
  const scale = standardizer(train);
  const standard = standardize(train, scale);
  const factor = whitener(standard);
  let best: Candidate | undefined;
  for (const whitened of [false, true]) {
    const all = whitened ? whiten(standard, factor) : standard;
    const found = strongest(all, classes, whitened);
    // A tie goes to the plainer form.
    if (best === undefined || found.accuracy > best.accuracy) best = found;
  }
  const { l2, whitened, all, weights: start } = best ?? strongest(standard, classes, false);
  const weights = fit(all, classes, l2, start, 80);
  const seen = standardize(test, scale);
  return { accuracy: score(whitened ? whiten(seen, factor) : seen, classes, weights), trainAccuracy: score(all, classes, weights), l2, whitened };
}

interface Candidate {
  readonly all: LabelledFeatures;
  readonly whitened: boolean;
  readonly l2: number;
  /** Share of the held-out rows. */
  readonly accuracy: number;
  readonly weights: Float64Array;
}

/** The strength with which a head fitted on four fifths of the rows gets most of the last fifth right. */
function strongest(all: LabelledFeatures, classes: number, whitened: boolean): Candidate {
  const fitting = every(all, (i) => i % 5 !== 4);
  const held = every(all, (i) => i % 5 === 4);
  let weights: Float64Array = new Float64Array(classes * (all.width + 1));
  let best: Candidate = { all, whitened, l2: STRENGTHS[0], accuracy: -1, weights };
  for (const l2 of STRENGTHS) {
    weights = fit(fitting, classes, l2, weights, 60);
    const accuracy = score(held, classes, weights);
    if (accuracy > best.accuracy) best = { all, whitened, l2, accuracy, weights };
  }
  return best;
}

function fit(data: LabelledFeatures, classes: number, l2: number, start: Float64Array, iterations: number): Float64Array {
  return minimize((weights, gradient) => crossEntropy(data, classes, l2, weights, gradient), start, { iterations, tolerance: 1e-5 });
}

/** Mean cross-entropy with L2 on the weights (not the offsets). Row `c` of `weights` is a class: `width` weights, then its offset. */
function crossEntropy(data: LabelledFeatures, classes: number, l2: number, weights: Float64Array, gradient: Float64Array): number {
  const { features, labels, n, width } = data;
  const stride = width + 1;
  const logits = new Float64Array(classes);
  let loss = 0;
  gradient.fill(0);
  for (let i = 0; i < n; i++) {
    const row = i * width;
    const label = labels[i] ?? 0;
    probabilities(features, row, width, weights, logits);
    loss -= Math.log(Math.max(1e-300, logits[label] ?? 0));
    for (let c = 0; c < classes; c++) {
      const slope = ((logits[c] ?? 0) - (c === label ? 1 : 0)) / n;
      const base = c * stride;
      for (let j = 0; j < width; j++) gradient[base + j] = (gradient[base + j] ?? 0) + slope * (features[row + j] ?? 0);
      gradient[base + width] = (gradient[base + width] ?? 0) + slope;
    }
  }
  let penalty = 0;
  for (let c = 0; c < classes; c++) {
    for (let j = 0; j < width; j++) {
      const weight = weights[c * stride + j] ?? 0;
      penalty += weight * weight;
      gradient[c * stride + j] = (gradient[c * stride + j] ?? 0) + l2 * weight;
    }
  }
  return loss / n + (l2 / 2) * penalty;
}

/** Turns one row into class probabilities, in `out`. */
function probabilities(features: Float32Array, row: number, width: number, weights: Float64Array, out: Float64Array): void {
  let top = -Infinity;
  for (let c = 0; c < out.length; c++) {
    const base = c * (width + 1);
    let sum = weights[base + width] ?? 0;
    for (let j = 0; j < width; j++) sum += (weights[base + j] ?? 0) * (features[row + j] ?? 0);
    out[c] = sum;
    top = Math.max(top, sum);
  }
  let total = 0;
  for (let c = 0; c < out.length; c++) {
    const value = Math.exp((out[c] ?? 0) - top);
    out[c] = value;
    total += value;
  }
  for (let c = 0; c < out.length; c++) out[c] = (out[c] ?? 0) / total;
}

function score(data: LabelledFeatures, classes: number, weights: Float64Array): number {
  const out = new Float64Array(classes);
  let right = 0;
  for (let i = 0; i < data.n; i++) {
    probabilities(data.features, i * data.width, data.width, weights, out);
    let best = 0;
    for (let c = 1; c < classes; c++) if ((out[c] ?? 0) > (out[best] ?? 0)) best = c;
    if (best === data.labels[i]) right += 1;
  }
  return data.n === 0 ? 0 : right / data.n;
}

interface Scale {
  readonly mean: Float64Array;
  readonly inverse: Float64Array;
}

function standardizer({ features, n, width }: LabelledFeatures): Scale {
  const mean = new Float64Array(width);
  const inverse = new Float64Array(width);
  for (let j = 0; j < width; j++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += features[i * width + j] ?? 0;
    const center = sum / n;
    let squares = 0;
    for (let i = 0; i < n; i++) squares += ((features[i * width + j] ?? 0) - center) ** 2;
    const deviation = Math.sqrt(squares / n);
    mean[j] = center;
    // A feature that does not vary carries nothing: it is set to zero instead of being blown up.
    inverse[j] = deviation > 1e-8 * Math.max(1, Math.abs(center)) ? 1 / deviation : 0;
  }
  return { mean, inverse };
}

function standardize(data: LabelledFeatures, scale: Scale): LabelledFeatures {
  const features = new Float32Array(data.n * data.width);
  for (let i = 0; i < data.n; i++) {
    for (let j = 0; j < data.width; j++) {
      const at = i * data.width + j;
      features[at] = ((data.features[at] ?? 0) - (scale.mean[j] ?? 0)) * (scale.inverse[j] ?? 0);
    }
  }
  return { ...data, features };
}

/** What is added to the covariance of standardized features: directions of less variance are rounding of float32, not features. */
const FLOOR = 1e-6;

/** The lower triangle `L` of `L Lᵀ = covariance + FLOOR` of standardized features, row-major `[width, width]` (Cholesky). */
function whitener({ features, n, width }: LabelledFeatures): Float64Array {
  const lower = new Float64Array(width * width);
  for (let i = 0; i < n; i++) {
    const row = features.subarray(i * width, (i + 1) * width);
    for (let a = 0; a < width; a++) {
      const share = (row[a] ?? 0) / n;
      for (let b = 0; b <= a; b++) lower[a * width + b] = (lower[a * width + b] ?? 0) + share * (row[b] ?? 0);
    }
  }
  for (let a = 0; a < width; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = (lower[a * width + b] ?? 0) + (a === b ? FLOOR : 0);
      for (let k = 0; k < b; k++) sum -= (lower[a * width + k] ?? 0) * (lower[b * width + k] ?? 0);
      lower[a * width + b] = a === b ? Math.sqrt(Math.max(FLOOR, sum)) : sum / (lower[b * width + b] ?? 1);
    }
  }
  return lower;
}

/** Rows `L⁻¹ x`: of the training set they have covariance 1. */
function whiten(data: LabelledFeatures, lower: Float64Array): LabelledFeatures {
  const { n, width } = data;
  const features = new Float32Array(n * width);
  const row = new Float64Array(width);
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < width; a++) {
      let sum = data.features[i * width + a] ?? 0;
      for (let k = 0; k < a; k++) sum -= (lower[a * width + k] ?? 0) * (row[k] ?? 0);
      row[a] = sum / (lower[a * width + a] ?? 1);
    }
    features.set(row, i * width);
  }
  return { ...data, features };
}

function every(data: LabelledFeatures, keep: (row: number) => boolean): LabelledFeatures {
  const rows = Array.from({ length: data.n }, (_, i) => i).filter(keep);
  const features = new Float32Array(rows.length * data.width);
  rows.forEach((row, i) => features.set(data.features.subarray(row * data.width, (row + 1) * data.width), i * data.width));
  return { features, labels: Int32Array.from(rows, (row) => data.labels[row] ?? 0), n: rows.length, width: data.width };
}
