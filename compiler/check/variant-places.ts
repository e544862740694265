/**
 * What a variant has to do with a mistake on a line of its base.
 *
 * A variant says one line over again, and a line of the base that it kept may not fit it: the report is then about a line that the
 * author did not write. Owns the note that says which of the variant's own lines that one depends on. Whether it is a mistake,
 * and where its own place is, is decided where it is found.
 */
import type { Span } from "../base/span.js";
import type { Diagnostic } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { printExpr } from "../syntax/print.js";
import { freeNames } from "./order.js";
import type { Program } from "./program.js";
import { declaredNames } from "./program.js";

/** Most lines of the variant that a report names. */
const shownLines = 2;

/** A report as the author of `variant` should see it: with the variant's lines that its line rests on, or at the one line that is at odds with it. */
export function inVariant(d: Diagnostic, program: Program, variant: ast.Variant): Diagnostic {
  if (d.code === "JEP3014") return atOperand(d, program, variant);
  if ([d.span, ...d.related.map((r) => r.span)].some((s) => contains(variant.span, s))) return d;
  const told = program.statements.find((s) => contains(s.span, d.span));
  if (told === undefined) return d;
  const found = ownLines(told, program.statements, variant).slice(0, shownLines);
  const related = found.map((s) => ({ span: s.span, message: `${declaredNames(s).map((n) => `\`${n.text}\``).join(", ")} is set here by the variant \`${variant.name.text}\`` }));
  return { ...d, related: [...d.related, ...related] };
}

/** A declared space that the base's loss has and the variant's operand has not: told at the operand, with the loss said over again. */
function atOperand(d: Diagnostic, program: Program, variant: ast.Variant): Diagnostic {
  const [operand] = d.related;
  const loss = program.statements.find((s) => s.kind === "loss" && contains(s.span, d.span));
  if (operand === undefined || loss?.kind !== "loss" || contains(variant.span, d.span) || !contains(variant.span, operand.span)) return d;
  const own = variant.body.find((s) => contains(s.span, operand.span));
  const space = d.fixes[0]?.edits[0]?.text;
  const at = own === undefined ? undefined : { ...own.span, start: own.span.end };
  // Of several losses without a name, one said over again takes the place of all.
  const alone = program.statements.filter((s) => s.kind === "loss" && s.name?.text === loss.name?.text).length === 1;
  const name = loss.name === undefined ? "" : `${loss.name.text} = `;
  const fixes = space === undefined || at === undefined || !alone ? [] : [{ title: `compare in ${space} in \`${variant.name.text}\``, guess: true as const, edits: [{ span: at, text: `\n  loss ${name}${printExpr(loss.value)} in ${space}` }] }];
  return { ...d, span: operand.span, related: [{ span: d.span, message: "the loss, which the variant keeps, is declared here" }], fixes };
}

/** The variant's own lines that a line rests on, the nearest first. */
function ownLines(from: ast.Statement, statements: readonly ast.Statement[], variant: ast.Variant): readonly ast.Statement[] {
  const owner = new Map(statements.flatMap((s) => declaredNames(s).map((n) => [n.text, s] as const)));
  const seen = new Set([from]);
  for (const s of seen) for (const name of freeNames(s)) {
    const next = owner.get(name);
    // Behind a line of the variant lies what its author had in view.
    if (next !== undefined && !contains(variant.span, s.span)) seen.add(next);
  }
  return [...seen].filter((s) => contains(variant.span, s.span));
}

function contains(outer: Span, inner: Span): boolean {
  return outer.file === inner.file && outer.start <= inner.start && inner.end <= outer.end;
}
