/**
 * The table of rotary positions: by how much each pair of a head's features turns at each place.
 *
 * Owns the angles; what they turn is the compiler's. A pure function of sizes, as the sine-cosine tables are.
 */
import { HostError } from "../base/errors.js";

/**
 * Cosines, then sines, of the angles of every place of a grid: `[places, size]` in raster order, the last axis of `sides` fastest.
 *
 * Each axis has `size / (2 · axes)` frequencies `base^(-k / that many)` (RoFormer, eq. 15, for each axis with features of its own,
 * as V-JEPA 2's `2 · ((head / 3) / 2)`); pair `a · that many + k` turns by the place along axis `a` times frequency `k`, in radians.
 * Computed in float64 and rounded once. @throws HostError "mismatch" where `size` does not divide.
 */
export function rotary(sides: readonly number[], size: number, base: number): Float32Array {
  const each = size / (2 * sides.length);
  if (!Number.isInteger(each) || each < 1) throw new HostError("mismatch", `a table of turns along ${sides.length} axes cannot have ${size} columns`, "compile the program again: this manifest is damaged");
  const places = sides.reduce((n, side) => n * side, 1);
  const out = new Float32Array(places * size);
  for (let place = 0; place < places; place++) {
    let rest = place;
    for (let axis = sides.length - 1; axis >= 0; axis--) {
      const side = sides[axis] ?? 1;
      const at = rest % side;
      rest = Math.floor(rest / side);
      for (let k = 0; k < each; k++) {
        const angle = at * base ** (-k / each);
        out[place * size + axis * each + k] = Math.cos(angle);
        out[place * size + size / 2 + axis * each + k] = Math.sin(angle);
      }
    }
  }
  return out;
}
