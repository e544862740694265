/**
 * A value of any type in a few words, for telling a caller what was handed over in the place of something else.
 *
 * Owns the words only; what should have come is the business of whoever refuses it.
 */

/** `undefined`, `5`, `"text"` (cut short), `a list`, `an object`, `a function`. */
export function said(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value) : typeof value === "function" ? "a function" : String(value);
}
