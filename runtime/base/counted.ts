/**
 * Numbers of things in words.
 *
 * Owns one, many: `1 step`, `2 steps`. Messages of the runtime that count say it through this.
 */

/** A number with the noun that goes with it. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
