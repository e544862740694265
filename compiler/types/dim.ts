/**
 * Dimensions.
 *
 * Owns `Dim`: a polynomial with integer coefficients over named symbols (`B`, `K_context`). Shapes are lists of these.
 * A polynomial, because everything a layer does to a size is a sum or a product (`4*B`, `K_context + K_targets`,
 * `heads*d`), and because polynomials have a normal form: two sizes are equal for every batch and every mask exactly when
 * their normal forms are equal, so shape checking needs no solver.
 *
 * Normal form: terms sorted by total degree (highest first), then by monomial; no zero coefficient; powers sorted by
 * symbol. The empty list is 0. Symbols stand for non-negative integers.
 * Leaves to others: where symbols come from (masks, batch) and what bounds they have.
 */

/** One monomial with its coefficient: `coefficient * Π symbol^power`. */
export interface DimTerm {
  readonly coefficient: number;
  /** Sorted by symbol; every power is at least 1. */
  readonly powers: readonly (readonly [symbol: string, power: number])[];
}

/** An immutable polynomial in normal form. Make one with `dim`, `add`, `mul`; compare with `equal`. */
export interface Dim {
  readonly kind: "dim";
  readonly terms: readonly DimTerm[];
}

/** What the constructors accept: a polynomial, an integer, or text (`"4*B*(K+16)"`). */
export type DimLike = Dim | number | string;

/** Values of symbols at run time. */
export type DimEnv = ReadonlyMap<string, number>;

/** Makes a dimension from an integer, text or a dimension. Text that does not parse is the caller's mistake: it throws. */
export function dim(x: DimLike): Dim {
  if (typeof x === "number") return constantDim(x);
  if (typeof x !== "string") return x;
  const parsed = parseDim(x);
  if (parsed === undefined) throw new Error(`\`${x}\` is not a dimension.`);
  return parsed;
}

/** `dim` over a list: a shape. */
export function dims(xs: readonly DimLike[]): Dim[] {
  return xs.map(dim);
}

/** The constant polynomial. */
export function constantDim(n: number): Dim {
  if (!Number.isSafeInteger(n)) throw new Error(`A dimension must be an integer, got ${n}.`);
  return { kind: "dim", terms: n === 0 ? [] : [{ coefficient: n, powers: [] }] };
}

/** The polynomial that is one symbol. */
export function symbolDim(name: string): Dim {
  return { kind: "dim", terms: [{ coefficient: 1, powers: [[name, 1]] }] };
}

/** a + b. */
export function add(a: Dim, b: Dim): Dim {
  if (a.terms.length === 0) return b;
  if (b.terms.length === 0) return a;
  return normalize([...a.terms, ...b.terms]);
}

/** a - b. */
export function sub(a: Dim, b: Dim): Dim {
  return add(a, mul(constantDim(-1), b));
}

/** a * b. */
export function mul(a: Dim, b: Dim): Dim {
  if (constantOf(a) === 1) return b;
  if (constantOf(b) === 1) return a;
  const out: DimTerm[] = [];
  for (const x of a.terms) for (const y of b.terms) out.push(mulTerms(x, y));
  return normalize(out);
}

/** The product of a list; 1 for the empty list. */
export function product(xs: readonly Dim[]): Dim {
  return xs.reduce(mul, constantDim(1));
}

/** The sum of a list; 0 for the empty list. */
export function total(xs: readonly Dim[]): Dim {
  return xs.reduce(add, constantDim(0));
}

/** Whether a and b are the same for every value of their symbols. */
export function equal(a: Dim, b: Dim): boolean {
  if (a === b) return true;
  if (a.terms.length !== b.terms.length) return false;
  return a.terms.every((t, i) => {
    const u = b.terms[i];
    return u !== undefined && t.coefficient === u.coefficient && isSameMonomial(t, u);
  });
}

/** Whether two shapes are equal dimension by dimension. */
export function equalShapes(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((x, i) => equal(x, b[i] ?? constantDim(-1)));
}

/** The integer that `d` is, or undefined where it has symbols. */
export function constantOf(d: Dim): number | undefined {
  const [first, second] = d.terms;
  if (first === undefined) return 0;
  return second === undefined && first.powers.length === 0 ? first.coefficient : undefined;
}

/** The symbols of `d`, in order of appearance. */
export function symbolsOf(d: Dim): string[] {
  if (constantOf(d) !== undefined) return [];
  const alone = symbolAlone(d);
  if (alone !== undefined) return [alone];
  return [...new Set(d.terms.flatMap((t) => t.powers.map(([name]) => name)))];
}

/** The symbol that `d` is, as nearly every size that is no number. */
function symbolAlone(d: Dim): string | undefined {
  const [first, second] = d.terms;
  const [power, another] = first?.powers ?? [];
  return second === undefined && first?.coefficient === 1 && another === undefined && power?.[1] === 1 ? power[0] : undefined;
}

/** Replaces symbols by polynomials, all at once; symbols not in the map stay. */
export function substitute(d: Dim, map: ReadonlyMap<string, Dim>): Dim {
  if (constantOf(d) !== undefined) return d;
  const alone = symbolAlone(d);
  if (alone !== undefined) return map.get(alone) ?? d;
  if (!symbolsOf(d).some((s) => map.has(s))) return d;
  return total(
    d.terms.map((t) => {
      const factors = t.powers.flatMap(([s, p]) => Array.from({ length: p }, () => map.get(s) ?? symbolDim(s)));
      return mul(constantDim(t.coefficient), product(factors));
    }),
  );
}

/** The value of `d`; undefined where a symbol has none. */
export function evaluate(d: Dim, env: DimEnv): number | undefined {
  let sum = 0;
  for (const t of d.terms) {
    let x = t.coefficient;
    for (const [s, p] of t.powers) {
      const value = env.get(s);
      if (value === undefined) return undefined;
      x *= value ** p;
    }
    sum += x;
  }
  return sum;
}

/**
 * A sound interval for `d` from intervals of its symbols (all non-negative), term by term. Tight where each symbol
 * occurs in terms of one sign. Undefined where a symbol has no bounds.
 */
export function bounds(d: Dim, env: ReadonlyMap<string, readonly [number, number]>): [number, number] | undefined {
  let low = 0;
  let high = 0;
  for (const t of d.terms) {
    let least = 1;
    let most = 1;
    for (const [s, p] of t.powers) {
      const range = env.get(s);
      if (range === undefined) return undefined;
      least *= range[0] ** p;
      most *= range[1] ** p;
    }
    const positive = t.coefficient >= 0;
    low += t.coefficient * (positive ? least : most);
    high += t.coefficient * (positive ? most : least);
  }
  return [low, high];
}

/** The exact quotient a / b as a polynomial with integer coefficients, or undefined where there is none. */
export function divide(a: Dim, b: Dim): Dim | undefined {
  const lead = b.terms[0];
  if (lead === undefined) return undefined;
  if (a === b) return constantDim(1);
  let rest = a;
  let quotient = constantDim(0);
  // Long division by the leading term. Each round removes the largest remaining monomial, so it ends.
  for (;;) {
    const top = rest.terms[0];
    if (top === undefined) return quotient;
    const t = divideTerms(top, lead);
    if (t === undefined) return undefined;
    const step: Dim = { kind: "dim", terms: [t] };
    quotient = add(quotient, step);
    rest = sub(rest, mul(step, b));
  }
}

/** Text of `d`, the common factor taken out: `4*B*(K+16)`. `parseDim` reads it back. */
export function printDim(d: Dim): string {
  const [first, second] = d.terms;
  if (first === undefined) return "0";
  if (second === undefined) return printTerm(first);
  const common = commonFactor(d);
  const inner = d.terms.map((t) => divideTerms(t, common) ?? t);
  const sum = inner
    .map((t, i) => (i > 0 && t.coefficient > 0 ? `+${printTerm(t)}` : printTerm(t)))
    .join("");
  const factor = printTerm(common);
  return factor === "1" ? sum : `${factor}*(${sum})`;
}

/** Text of a shape: `[B, K_context, 192]`. */
export function printShape(shape: readonly Dim[]): string {
  return `[${shape.map(printDim).join(", ")}]`;
}

/** Reads sums, differences, products, powers by repetition, parentheses, integers and names; undefined if it is none. */
export function parseDim(text: string): Dim | undefined {
  const tokens = text.match(/\d+|[A-Za-z_][A-Za-z0-9_]*|\S/g) ?? [];
  const cursor = { tokens, at: 0 };
  const result = parseSum(cursor);
  return cursor.at === tokens.length ? result : undefined;
}

interface Cursor {
  readonly tokens: readonly string[];
  at: number;
}

function parseSum(cx: Cursor): Dim | undefined {
  let left = parseProduct(cx);
  for (;;) {
    const sign = cx.tokens[cx.at];
    if (left === undefined || (sign !== "+" && sign !== "-")) return left;
    cx.at++;
    const right = parseProduct(cx);
    if (right === undefined) return undefined;
    left = sign === "+" ? add(left, right) : sub(left, right);
  }
}

function parseProduct(cx: Cursor): Dim | undefined {
  let left = parseAtom(cx);
  while (left !== undefined && cx.tokens[cx.at] === "*") {
    cx.at++;
    const right = parseAtom(cx);
    left = right && mul(left, right);
  }
  return left;
}

function parseAtom(cx: Cursor): Dim | undefined {
  const token = cx.tokens[cx.at++];
  if (token === undefined) return undefined;
  if (/^\d/.test(token)) return constantDim(Number(token));
  if (/^[A-Za-z_]/.test(token)) return symbolDim(token);
  if (token === "-") {
    const inner = parseAtom(cx);
    return inner && mul(constantDim(-1), inner);
  }
  if (token !== "(") return undefined;
  const inner = parseSum(cx);
  return cx.tokens[cx.at++] === ")" ? inner : undefined;
}

function printTerm(t: DimTerm): string {
  if (t.powers.length === 0) return `${t.coefficient}`;
  const names = t.powers.map(([s, p]) => (p === 1 ? s : Array.from({ length: p }, () => s).join("*"))).join("*");
  if (t.coefficient === 1) return names;
  return t.coefficient === -1 ? `-${names}` : `${t.coefficient}*${names}`;
}

function commonFactor(d: Dim): DimTerm {
  let coefficient = 0;
  let powers: readonly (readonly [string, number])[] | undefined;
  for (const t of d.terms) {
    coefficient = gcd(coefficient, Math.abs(t.coefficient));
    const own = new Map(t.powers);
    powers = (powers ?? t.powers).flatMap(([s, p]): [string, number][] => {
      const least = Math.min(p, own.get(s) ?? 0);
      return least > 0 ? [[s, least]] : [];
    });
  }
  return { coefficient, powers: powers ?? [] };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function mulTerms(a: DimTerm, b: DimTerm): DimTerm {
  const powers = new Map(a.powers);
  for (const [s, p] of b.powers) powers.set(s, (powers.get(s) ?? 0) + p);
  return { coefficient: a.coefficient * b.coefficient, powers: sortPowers([...powers]) };
}

function divideTerms(a: DimTerm, b: DimTerm): DimTerm | undefined {
  if (a.coefficient % b.coefficient !== 0) return undefined;
  const powers = new Map(a.powers);
  for (const [s, p] of b.powers) {
    const left = (powers.get(s) ?? 0) - p;
    if (left < 0) return undefined;
    if (left === 0) powers.delete(s);
    else powers.set(s, left);
  }
  return { coefficient: a.coefficient / b.coefficient, powers: sortPowers([...powers]) };
}

function sortPowers(powers: readonly (readonly [string, number])[]): readonly (readonly [string, number])[] {
  return powers.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function monomialKey(t: DimTerm): string {
  return t.powers.map(([s, p]) => `${s}^${p}`).join("*");
}

function isSameMonomial(a: DimTerm, b: DimTerm): boolean {
  return a.powers.length === b.powers.length && a.powers.every(([s, p], i) => s === b.powers[i]?.[0] && p === b.powers[i]?.[1]);
}

function normalize(terms: readonly DimTerm[]): Dim {
  const [only] = terms;
  if (terms.length === 1 && only !== undefined && only.coefficient !== 0) return { kind: "dim", terms };
  const byKey = new Map<string, DimTerm>();
  for (const t of terms) {
    const key = monomialKey(t);
    const old = byKey.get(key);
    byKey.set(key, old ? { ...old, coefficient: old.coefficient + t.coefficient } : t);
  }
  const kept = [...byKey.values()].filter((t) => t.coefficient !== 0);
  return { kind: "dim", terms: kept.sort(compareTerms) };
}

/** Graded lexicographic: a monomial order (stable under multiplication), which long division needs. */
function compareTerms(a: DimTerm, b: DimTerm): number {
  const degree = (t: DimTerm): number => t.powers.reduce((n, [, p]) => n + p, 0);
  const byDegree = degree(b) - degree(a);
  if (byDegree !== 0) return byDegree;
  const names = [...new Set([...a.powers, ...b.powers].map(([s]) => s))].sort();
  for (const s of names) {
    const of = (t: DimTerm): number => t.powers.find(([name]) => name === s)?.[1] ?? 0;
    if (of(a) !== of(b)) return of(b) - of(a);
  }
  return 0;
}
