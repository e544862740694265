/**
 * Tables of positions in closed form: what encoders begin with, and what weights of others are held against.
 *
 * Owns the numbers. Which parameter is such a table is said by its initializer (train/init.ts).
 */
import { HostError } from "./errors.js";

/**
 * The two-dimensional sine-cosine table `[rows · cols, width]` of I-JEPA 1.2, computed in float64 and rounded once: the
 * first half of the channels codes the column, the second half the row; in each half the sines come before the cosines,
 * with frequencies `10000^(-k / (width / 4))`. Throws when the width is no multiple of 4.
 */
export function sincos2d(rows: number, cols: number, width: number): Float32Array {
  if (width % 4 !== 0) throw new HostError("mismatch", `a sine-cosine table needs a width that is a multiple of 4, not ${width}`, "choose another width");
  const out = new Float32Array(rows * cols * width);
  const half = width / 2;
  const quarter = width / 4;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const base = (row * cols + col) * width;
      for (let k = 0; k < quarter; k++) {
        const frequency = 10000 ** (-k / quarter);
        out[base + k] = Math.sin(col * frequency);
        out[base + quarter + k] = Math.cos(col * frequency);
        out[base + half + k] = Math.sin(row * frequency);
        out[base + half + quarter + k] = Math.cos(row * frequency);
      }
    }
  }
  return out;
}

/**
 * The three-dimensional sine-cosine table `[frames · rows · cols, width]` of V-JEPA with its power spread evenly, computed in
 * float64 and rounded once: `s = 2 ceil(width / 6)` channels for the frame, as many for the row, then those for the column, of
 * which the last are cut off at the width. In each part the sines come before the cosines, with frequencies
 * `10000^(-k / (s / 2))`. Throws for an odd width and for one below 10, which leaves too little of the column's part.
 */
export function sincos3d(frames: number, rows: number, cols: number, width: number): Float32Array {
  if (width % 2 !== 0 || width < 10) throw new HostError("mismatch", `a sine-cosine table of three dimensions needs an even width of at least 10, not ${width}`, "choose another width");
  const out = new Float32Array(frames * rows * cols * width);
  const half = Math.ceil(width / 6);
  const code = (place: number, k: number): number => (k < half ? Math.sin(place * 10000 ** (-k / half)) : Math.cos(place * 10000 ** (-(k - half) / half)));
  for (let at = 0; at < frames * rows * cols; at++) {
    const places = [Math.floor(at / (rows * cols)), Math.floor(at / cols) % rows, at % cols];
    for (let j = 0; j < width; j++) out[at * width + j] = code(places[Math.floor(j / (2 * half))] ?? 0, j % (2 * half));
  }
  return out;
}
