/** Numbers in -1..1 from a seed (a linear congruence, Numerical Recipes): enough for arguments of tests. */
export function streamOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  };
}
