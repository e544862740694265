/**
 * Numbers of 16 bits (IEEE 754 binary16), which the JavaScript of Node 20 has no array for: what their bits mean. Files and
 * devices that hold them are others' matter.
 */

/** The value of an f16 by its bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
