/**
 * Type guards for data that comes from outside (JSON of checkpoints, run folders).
 *
 * Unknown data is parsed once at the edge; these few predicates are all the edges of this folder need.
 */

/** A plain object with string keys. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The whole number that a text stands for, or undefined. */
export function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d+$/.test(text.trim())) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
