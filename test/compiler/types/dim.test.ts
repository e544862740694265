/**
 * Dimensions: the laws of polynomials on random ones, text both ways, exact division, bounds.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Dim } from "../../../compiler/types/dim.js";
import { add, bounds, constantDim, constantOf, dim, divide, equal, evaluate, mul, parseDim, printDim, product, sub, substitute, symbolDim, symbolsOf, total } from "../../../compiler/types/dim.js";

const anyDim: fc.Arbitrary<Dim> = fc
  .array(fc.record({ c: fc.integer({ min: -9, max: 9 }), names: fc.array(fc.constantFrom("B", "K", "N_t"), { maxLength: 3 }) }), { maxLength: 4 })
  .map((terms) => total(terms.map(({ c, names }) => mul(constantDim(c), product(names.map(symbolDim))))));
const anyEnv = fc
  .tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 }))
  .map(([b, k, n]) => new Map([["B", b], ["K", k], ["N_t", n]]));

/** One seed, so that a failure is the same everywhere. */
const laws = { seed: 20230119, numRuns: 300 };

const value = (d: Dim, env: ReadonlyMap<string, number>): number => evaluate(d, env) ?? NaN;

test("sums and products have the values of sums and products", () => {
  fc.assert(fc.property(anyDim, anyDim, anyEnv, (a, b, env) => {
    expect(value(add(a, b), env)).toBe(value(a, env) + value(b, env));
    expect(value(mul(a, b), env) - value(a, env) * value(b, env)).toBe(0);
  }), laws);
});

test("the normal form does not depend on the way there", () => {
  fc.assert(fc.property(anyDim, anyDim, anyDim, (a, b, c) => {
    expect(equal(mul(a, add(b, c)), add(mul(c, a), mul(b, a)))).toBe(true);
    expect(equal(sub(a, a), constantDim(0))).toBe(true);
  }), laws);
});

test("what is printed reads back the same", () => {
  fc.assert(fc.property(anyDim, (a) => {
    expect(parseDim(printDim(a))).toEqual(a);
  }), laws);
});

test("a product divides exactly, and gives back the other factor", () => {
  fc.assert(fc.property(anyDim, anyDim, (a, b) => {
    fc.pre(b.terms.length > 0);
    expect(divide(mul(a, b), b)).toEqual(a);
  }), laws);
});

test("a quotient that is none is undefined", () => {
  expect(divide(dim("B+1"), dim("B"))).toBeUndefined();
  expect(divide(dim("3*B"), dim(2))).toBeUndefined();
  expect(divide(dim("B"), dim(0))).toBeUndefined();
});

test("substitution is evaluation in two steps", () => {
  fc.assert(fc.property(anyDim, anyDim, anyEnv, (a, b, env) => {
    const inner = value(b, env);
    expect(value(substitute(a, new Map([["K", b]])), env) - value(a, new Map(env).set("K", inner))).toBe(0);
  }), laws);
});

test("bounds hold for every value within the symbols' bounds", () => {
  fc.assert(fc.property(anyDim, anyEnv, (a, env) => {
    const [low, high] = bounds(a, new Map([...env.keys()].map((s) => [s, [0, 20]] as const))) ?? [NaN, NaN];
    expect(low).toBeLessThanOrEqual(value(a, env));
    expect(high).toBeGreaterThanOrEqual(value(a, env));
  }), laws);
});

test("bounds of a mask's tokens are what they should be", () => {
  expect(bounds(dim("4*B*(K+16)"), new Map([["B", [8, 8]], ["K", [24, 120]]]))).toEqual([4 * 8 * 40, 4 * 8 * 136]);
  expect(bounds(dim("K"), new Map())).toBeUndefined();
});

test("a dimension prints with its common factor in front", () => {
  expect(printDim(dim("4*B*K + 64*B"))).toBe("4*B*(K+16)");
  expect(printDim(dim("2*(K-1)"))).toBe("2*(K-1)");
  expect(printDim(dim("-3*B*B"))).toBe("-3*B*B");
  expect(printDim(dim("B - B"))).toBe("0");
});

test("text that is no dimension is refused", () => {
  for (const text of ["", "4*", "B K", "(B", "B)", "1.5", "B^2", "+"]) expect(parseDim(text), text).toBeUndefined();
  expect(() => dim("B+")).toThrow("`B+`");
});

test("constants and symbols are told apart", () => {
  expect(constantOf(dim("7"))).toBe(7);
  expect(constantOf(dim("B"))).toBeUndefined();
  expect(symbolsOf(dim("B*K+K"))).toEqual(["B", "K"]);
});
