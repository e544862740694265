/**
 * Operators: from operands and signs in a row to a tree.
 *
 * Owns precedence and associativity. The grammar reads an expression as a flat row, which keeps its stack shallow and its
 * recovery simple; this file folds the row by precedence climbing. Loosest first: `minus`, `at`, `of` (to the right),
 * `->` (all points in one node), `..` (two ends), `+ -`, `* / @`, prefix `-`, `^` (to the right).
 */
import type { Span } from "../base/span.js";
import type * as ast from "./ast.js";

/** How tightly each operator binds; calls and members bind tighter than all of them. */
export const precedence = {
  minus: 1, at: 2, of: 3, "->": 4, "..": 5, "+": 6, "-": 6, "*": 7, "/": 7, "@": 7, negate: 8, "^": 9,
} as const;

/** An operator between two operands. */
export type Infix = Exclude<keyof typeof precedence, "negate">;

/** An operand with the extent of its text (brackets around it included) and the places of the `-` signs before it. */
export interface Operand {
  readonly expr: ast.Expr;
  readonly start: number;
  readonly end: number;
  readonly signs: readonly number[];
}

/** Folds `operands[0] signs[0] operands[1] …`; `onChainedRange` hears of `a..b..c`, which has no meaning. */
export function fold(
  file: string, operands: readonly Operand[], signs: readonly Infix[], onChainedRange: (span: Span) => void,
): ast.Expr | undefined {
  let position = 0;

  const prefixed = (): Operand | undefined => {
    const operand = operands[position];
    if (operand === undefined || operand.signs.length === 0) return operand;
    // The signs apply to the operand with its powers: `-x^2` is `-(x^2)`.
    let inner = climb(precedence["^"], { ...operand, signs: [] });
    for (const start of operand.signs.toReversed()) {
      const span = { file, start, end: inner.end };
      inner = { expr: { kind: "negate", operand: inner.expr, span }, start, end: inner.end, signs: [] };
    }
    return inner;
  };

  const climb = (least: number, first: Operand): Operand => {
    let left = first;
    for (let sign = signs[position]; sign !== undefined && precedence[sign] >= least; sign = signs[position]) {
      const level = precedence[sign];
      const rightAssociative = sign === "^" || sign === "of";
      position += 1;
      const next = prefixed();
      if (next === undefined) break;
      const right = climb(rightAssociative ? level : level + 1, next);
      const span = { file, start: left.start, end: right.end };
      const chained = left === first ? false : left.expr.kind === "range";
      if (sign === ".." && chained) onChainedRange(span);
      left = { expr: combine(sign, left.expr, right.expr, span, left !== first), start: span.start, end: span.end, signs: [] };
    }
    return left;
  };

  const first = prefixed();
  return first === undefined ? undefined : climb(0, first).expr;
}

/** The node of one operator; `grown` tells that `left` was made here, so that a chain of `->` stays one node. */
function combine(sign: Infix, left: ast.Expr, right: ast.Expr, span: Span, grown: boolean): ast.Expr {
  switch (sign) {
    case "minus": return { kind: "minus", from: left, removed: right, span };
    case "at": return { kind: "at", value: left, positions: right, span };
    case "of": return { kind: "of", count: left, item: right, span };
    case "..": return { kind: "range", low: left, high: right, span };
    case "->": return { kind: "arrow", points: grown && left.kind === "arrow" ? [...left.points, right] : [left, right], span };
    default: return { kind: "binary", op: sign, left, right, span };
  }
}
