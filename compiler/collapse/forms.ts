/**
 * Forms: a value as a sum of parts, each so many times, and a constant.
 *
 * A part stands for an operation of values that is no sum; which one is for `fold.ts`, that makes forms of a body. Owns their
 * arithmetic and comparison.
 */

/** A value: how much of each part, and a constant. */
export interface Form {
  readonly parts: ReadonlyMap<number, number>;
  readonly rest: number;
}

/** One part, once. */
export const unit = (part: number): Form => ({ parts: new Map([[part, 1]]), rest: 0 });

/** A constant. */
export const number = (rest: number): Form => ({ parts: new Map(), rest });

/** The number that a form is, if it is one. */
export function constantOf(form: Form | undefined): number | undefined {
  return form?.parts.size === 0 ? form.rest : undefined;
}

/** How often one value is another, offsets left aside where they do not count; undefined where it is not a multiple. */
export function ratio(of: Form | undefined, to: Form | undefined, offsets: boolean): number | undefined {
  if (of === undefined || to === undefined || of.parts.size !== to.parts.size || of.parts.size === 0) return undefined;
  let by: number | undefined;
  const agrees = (a: number, b: number): boolean => {
    by ??= b === 0 ? undefined : a / b;
    return by !== undefined && Math.abs(a - by * b) <= 1e-12 * Math.abs(a);
  };
  const all = [...of.parts].every(([part, count]) => agrees(count, to.parts.get(part) ?? 0));
  return all && (offsets || agrees(of.rest, to.rest)) ? by : undefined;
}

/** Whether two values are one. */
export function sameValue(a: Form | undefined, b: Form | undefined): boolean {
  return a === b ? a !== undefined : ratio(a, b, false) === 1;
}

/** A value so many times. */
export function multiple(form: Form, by: number): Form {
  return by === 0 ? number(0) : { parts: new Map([...form.parts].map(([part, count]) => [part, count * by])), rest: form.rest * by };
}

/** A sum, where what is left by rounding counts as nothing. */
export function plus(a: number, b: number): number {
  const found = a + b;
  return Math.abs(found) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b)) ? 0 : found;
}

/** A sum, or a difference. */
export function sum(a: Form, b: Form, sign: 1 | -1): Form {
  const parts = new Map(a.parts);
  for (const [part, count] of b.parts) {
    const found = plus(parts.get(part) ?? 0, sign * count);
    if (found === 0) parts.delete(part);
    else parts.set(part, found);
  }
  return { parts, rest: plus(a.rest, sign * b.rest) };
}

/** A value with another constant. */
export function withRest({ parts }: Form, rest: number): Form {
  return { parts, rest };
}

/** The same text for the same form. */
export function formKey(form: Form | undefined): string {
  return form === undefined ? "" : `${[...form.parts].sort(([a], [b]) => a - b).map(([part, count]) => `${figure(count)}*${part}`).join("+")}+${figure(form.rest)}`;
}

/** A number without what rounding leaves on it. */
function figure(x: number): number | string {
  return Number.isInteger(x) ? x : x.toPrecision(12);
}
