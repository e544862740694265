/**
 * Numbers for kernels that are run for their own sake, to be timed (`stopwatch.ts`) or held against each other (`proof.ts`).
 * The same bits serve as f16 and as f32, so nobody has to know what a buffer holds; where they are put is the caller's matter.
 */

/** `count` pairs of bytes: as f16 of both signs, from 2^`lowest` to 2^(`lowest` + `binades`); as f32 normal and smaller than 2. From one seed, always the same. */
export function noise(count: number, lowest: number, binades: number): Uint16Array<ArrayBuffer> {
  let state = 1;
  return Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 31 << 15) | (15 + lowest + (state >>> 28) % binades << 10) | (state >>> 16 & 1023);
  });
}
