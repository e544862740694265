/**
 * Axes over which a value varies, as bits: what collapse is the loss of (collapse theory, section 2).
 *
 * `sample`: from image to image; `token`: from place to place; `time`: from moment to moment. Variation is of content, not
 * of shape: a single frame taken out of a video still varies over time. The feature axis does not count.
 */
export const sampleBit = 1;
export const tokenBit = 2;
export const timeBit = 4;

/** The bit of an axis of a shape; rows, columns and tokens are all places. 0 for features. */
export function bitOf(axis: string): number {
  switch (axis) {
    case "batch": return sampleBit;
    case "token": case "height": case "width": return tokenBit;
    case "time": return timeBit;
    default: return 0;
  }
}

/** Axes that a loss's `over` or `negatives` names. */
export function axesOfWord(word: string | undefined, fallback: number): number {
  switch (word) {
    case "images": return sampleBit;
    case "tokens": return tokenBit;
    case "time": return timeBit;
    case "all": return sampleBit | tokenBit | timeBit;
    default: return fallback;
  }
}
