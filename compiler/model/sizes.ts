/**
 * How many parameters there are, in words: one way for hovers, differences and the page.
 *
 * Owns the words. The counts are `parameterCount` of `queries.ts`.
 */
import type { ParameterCount } from "./queries.js";

/** `4,096`, and what no optimizer and no average changes beside it where there is any: `4,096 + 256 fixed + 64 of statistics`. */
export function sizeWords({ trained, untrained, fixed, state }: ParameterCount): string {
  const beside = [...(fixed === 0 ? [] : [`${grouped(fixed)} fixed`]), ...(state === 0 ? [] : [`${grouped(state)} of statistics`])];
  return [grouped(trained + untrained), ...beside].join(" + ");
}

function grouped(n: number): string {
  return n.toLocaleString("en-US");
}
