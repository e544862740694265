/**
 * Calls within recipes: what is called, with what, and where it stands.
 *
 * Owns the reading of an expression as a call by name, `adamw` and `adamw(…)` alike. What a call means is its reader's.
 */
import type { Span } from "../base/span.js";
import type * as ast from "../syntax/ast.js";

/** What is called by name. */
export interface Call {
  readonly name: string;
  readonly args: readonly ast.Arg[];
  readonly block: readonly ast.Expr[];
}

/** An expression as a call; a name alone is one without arguments. */
export function named(expr: ast.Expr): Call | undefined {
  if (expr.kind === "ref") return { name: expr.name, args: [], block: [] };
  return expr.kind === "call" && expr.callee.kind === "ref" ? { name: expr.callee.name, args: expr.args, block: expr.block ?? [] } : undefined;
}

/** A call without the block behind it. */
export function callSpan(expr: ast.Expr): Span {
  const block = expr.kind === "call" ? expr.block : undefined;
  return block === undefined ? expr.span : wordOf(expr);
}

/** The name of what is called, or the whole of anything else. */
export function wordOf(expr: ast.Expr): Span {
  return expr.kind === "call" ? expr.callee.span : expr.span;
}
