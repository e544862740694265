/**
 * Lines of a variant that change nothing.
 *
 * A variant is read as the difference from its base, so a binding in it that no loss depends on is a slip of the pen: a
 * misspelt name of a line of the base, or a line whose use has gone. Owns that judgment, on names alone; what is declared
 * by other words (masks, views, encoders) and reaches nothing is told by the analysis of dead parts.
 */
import { suggest } from "../base/suggest.js";
import type { Diagnostics, Fix } from "../messages/report.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { freeNames } from "./order.js";
import type { Program } from "./program.js";
import { declaredNames } from "./program.js";

/** Reports the bindings that `variant` itself says and that no loss of `program`, its whole, depends on. */
export function reportDangling(program: Program, variant: ast.Variant, diagnostics: Diagnostics): void {
  // A loss that could not be read may be what uses them.
  if (diagnostics.list.some((d) => d.code.startsWith("JEP1"))) return;
  const used = namesUsed(program.statements);
  const written = variant.body.filter((s) => s.kind === "binding");
  const own = new Set(written.flatMap((s) => s.names.map((n) => n.text)));
  const inherited = program.statements.filter((s) => !variant.body.includes(s)).flatMap(declaredNames).map((n) => n.text);
  // A name that is not known may be meant for one of them: one mistake is one message.
  const meant = diagnostics.list.flatMap((d) => (d.code === "JEP2001" ? /`([^`]*)`/.exec(d.message)?.[1] ?? [] : []));
  for (const { names } of written) {
    const [first] = names;
    // A loss with an `=` too much, which is told where the loss is missed.
    if (first?.text === "loss" && !program.statements.some((s) => s.kind === "loss")) continue;
    if (first === undefined || names.some((n) => used.has(n.text)) || suggest(first.text, meant).length > 0) continue;
    const [near] = names.length === 1 ? suggest(first.text, inherited.filter((n) => !own.has(n))) : [];
    diagnostics.add(report("JEP2022", first.span, { name: names.map((n) => n.text).join("`, `") }, {
      help: near === undefined ? `Use it, or remove the line; what it would replace in \`${variant.base.text}\` has another name.` : `Did you mean \`${near}\`, which \`${variant.base.text}\` declares?`,
      fixes: near === undefined ? [] : [replacement(first, near)],
      related: [{ span: variant.base.span, message: `the base is \`${variant.base.text}\`` }],
    }));
  }
}

function replacement(name: ast.Name, near: string): Fix {
  return { title: `Replace with \`${near}\``, edits: [{ span: name.span, text: near }] };
}

/** Every name that a loss mentions, or a line that it needs. */
function namesUsed(statements: readonly ast.Statement[]): ReadonlySet<string> {
  const owner = new Map(statements.flatMap((s) => declaredNames(s).map((n): [string, ast.Statement] => [n.text, s])));
  const used = new Set<string>();
  const todo: ast.Statement[] = statements.filter((s) => s.kind === "loss");
  for (let statement = todo.pop(); statement !== undefined; statement = todo.pop()) {
    for (const name of freeNames(statement)) {
      if (used.has(name)) continue;
      used.add(name);
      const next = owner.get(name);
      if (next !== undefined) todo.push(next);
    }
  }
  return used;
}
