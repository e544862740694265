/**
 * Features with a class number for each row: what probes fit and score.
 *
 * Owns the form of a set, and the refusal of sets that are not what they say. The probes themselves are `linear-head.ts` and
 * `nearest.ts`.
 */
import { HostError } from "../base/errors.js";
import { requireRows } from "../base/rows.js";

/** Features `[n, width]` with a class number per row. */
export interface LabelledFeatures {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly n: number;
  readonly width: number;
}

/**
 * Throws a RangeError where a set has no rows, its features or labels are not its `n` rows, a label is not one of `classes`, or widths
 * differ, and `HostError` "not-a-number" where a feature is not finite: every score of such rows would be a number that means nothing.
 */
export function requireSets(train: LabelledFeatures, test: LabelledFeatures, classes: number): void {
  for (const { features, labels, n, width } of [train, test]) {
    requireRows(features, n, width);
    if (n === 0) throw new RangeError("a set has no rows");
    const odd = features.findIndex((value) => !Number.isFinite(value));
    if (odd >= 0) throw new HostError("not-a-number", `feature ${odd % width} of row ${Math.floor(odd / width)} is ${features[odd]}`, "look at the picture of that row and at the weights of the encoder");
    if (labels.length !== n) throw new RangeError(`${labels.length} labels are not one for each of ${n} rows`);
    const strange = labels.find((label) => label < 0 || label >= classes);
    if (strange !== undefined) throw new RangeError(`a label is ${strange}, and ${classes} classes have the numbers from 0 to ${classes - 1}`);
  }
  if (train.width !== test.width) throw new RangeError(`rows to fit on have width ${train.width}, rows to test on ${test.width}`);
}
