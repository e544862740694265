/**
 * Features as rows of one width: are they all there?
 *
 * Owns the refusal for whoever calls the public functions over features with a number of rows or a width that is not that of
 * the array: reading past its end would give zeros, and a wrong number in place of a word.
 */

/** Throws a RangeError where `features` are not `n` rows of `width` numbers. */
export function requireRows(features: Float32Array, n: number, width: number): void {
  const fits = Number.isInteger(n) && n >= 0 && Number.isInteger(width) && width >= 1 && features.length === n * width;
  if (!fits) throw new RangeError(`${features.length} numbers are not ${n} rows of width ${width}`);
}
