/**
 * The order of model-level statements: what a statement needs comes before it, wherever it stands in the text.
 *
 * A model is declarative: each name is said once, and a variant may replace a line by one that needs a line further down.
 * Owns free names of statements and the topological order, with a diagnostic for bindings that need each other. Iterative,
 * linear in the size of the program.
 */
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { declaredNames } from "./program.js";

/** Statements in an order in which every name is declared before it is used; those of a cycle are left out and reported. */
export function orderStatements(statements: readonly ast.Statement[], diagnostics: Diagnostics): readonly ast.Statement[] {
  const owner = new Map<string, number>();
  statements.forEach((s, i) => {
    // A loss that is called like something else (JEP2002) takes nothing's name away.
    for (const n of declaredNames(s)) if (s.kind !== "loss" || statements[owner.get(n.text) ?? i]?.kind === "loss") owner.set(n.text, i);
  });
  const needs = statements.map((s) => [...new Set(freeNames(s))].flatMap((n) => owner.get(n) ?? []));
  const state = new Uint8Array(statements.length);
  const order: number[] = [];
  for (let root = 0; root < statements.length; root++) {
    if (state[root] !== 0) continue;
    const stack: { at: number; next: number }[] = [{ at: root, next: 0 }];
    state[root] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top === undefined) break;
      const need = needs[top.at]?.[top.next++];
      if (need === undefined) {
        state[top.at] = 2;
        order.push(top.at);
        stack.pop();
      } else if (state[need] === 0) {
        state[need] = 1;
        stack.push({ at: need, next: 0 });
      } else if (state[need] === 1) {
        reportCycle(statements, stack.map((s) => s.at), need, diagnostics);
      }
    }
  }
  const bad = new Set(diagnostics.list.filter((d) => d.code === "JEP2023").map((d) => d.span.start));
  return order.flatMap((i) => {
    const s = statements[i];
    return s === undefined || bad.has(s.span.start) ? [] : [s];
  });
}

function reportCycle(statements: readonly ast.Statement[], path: readonly number[], back: number, diagnostics: Diagnostics): void {
  const cycle = path.slice(path.indexOf(back));
  const names = cycle.map((i) => {
    const s = statements[i];
    return s === undefined ? "" : declaredNames(s)[0]?.text ?? "";
  });
  const first = statements[back];
  if (first === undefined) return;
  diagnostics.add(report("JEP2023", first.span, { cycle: [...names.slice(0, 8), names[0] ?? ""].join(" -> ") }, {
    related: cycle.slice(1, 9).flatMap((i) => {
      const s = statements[i];
      return s === undefined ? [] : [{ span: s.span, message: "which needs this" }];
    }),
  }));
}

/** Every identifier that an expression or statement mentions. */
export function freeNames(statement: ast.Statement): string[] {
  const names: string[] = [];
  const todo: (ast.Expr | undefined)[] = [];
  switch (statement.kind) {
    case "param": case "mask": case "instance": case "part": case "view": case "binding": case "result": todo.push(statement.value); break;
    // A space that is one word (`in pixels`) is no name of the program, even where a value is called so.
    case "loss": todo.push(statement.value, statement.space?.kind === "ref" ? undefined : statement.space); break;
    case "input": todo.push(...statement.type.args); break;
    default: break;
  }
  while (todo.length > 0) {
    const e = todo.pop();
    if (e === undefined) continue;
    switch (e.kind) {
      case "ref": names.push(e.name); break;
      case "call": todo.push(e.callee, ...e.args.map((a) => a.value), ...(e.block ?? [])); break;
      case "member": todo.push(e.object); break;
      case "range": todo.push(e.low, e.high); break;
      case "arrow": todo.push(...e.points); break;
      case "binary": todo.push(e.left, e.right); break;
      case "negate": todo.push(e.operand); break;
      case "at": todo.push(e.value, e.positions); break;
      case "of": todo.push(e.count, e.item); break;
      case "minus": todo.push(e.from, e.removed); break;
      case "list": todo.push(...e.items); break;
      case "unit": todo.push(e.value); break;
      default: break;
    }
  }
  return names;
}
