/**
 * Where a mistake inside a module is told.
 *
 * Owns the way from a line of a module's body to the line of the person who used it: a mistake about a number that the
 * module was configured with is told where that number was given, one inside the library where the library's module is
 * applied, one in a module of the program where it stands. What is still to be built goes on in `apply.ts`.
 */
import type { Span } from "../base/span.js";
import type { Code } from "../messages/catalogue.js";
import type { Diagnostic, Related } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { walk } from "../syntax/visit.js";
import type { BodyCx } from "./body.js";
import type { Partial } from "./values.js";

/**
 * Mistakes of one number: out of its range, no number at all, or one that does not divide another. Other mistakes on a line
 * that names a configured number (positions that do not fit, say) are not that number's.
 */
const ofNumbers: ReadonlySet<Code> = new Set(["JEP2010", "JEP2011", "JEP3005", "JEP3011", "JEP3012"]);

/** Tells at `at`, where `partial` is applied, of the mistakes found in its body. `identity` says which module, configured how. */
export function tellFaults(cx: BodyCx, faults: readonly Diagnostic[], partial: Partial, identity: string, at: Span): void {
  const { env, diagnostics } = cx;
  const module = partial.module.name.text;
  for (const d of faults) {
    const given = env.isLibrary(d.span.file) ? givenPlace(cx, d, partial, at) : undefined;
    if (given !== undefined) {
      // Each place that gives a wrong number is told of, though all of them may lead to one and the same body; what the number
      // does to one part after the other is one mistake, and so is a `param` that several places hand on.
      const once = `${d.code}|${given.by.file}:${given.by.start}`;
      const isLast = cx.kind === "model";
      if (isLast && env.told.has(once)) continue;
      if (isLast) env.told.add(once).add(lineOf(d));
      diagnostics.add({ ...d, span: given.span, fixes: [], related: [...d.related, inside(d, module), ...given.related] });
      continue;
    }
    // A module with a mistake is told of once, however often it is applied.
    const key = `${identity}|${d.code}|${d.span.file}:${d.span.start}|${d.message}`;
    // The same number of an instance's part has been told where the instance got it.
    if (env.told.has(key) || (cx.kind === "model" && ofNumbers.has(d.code) && env.told.has(lineOf(d)))) continue;
    env.told.add(key);
    diagnostics.add(env.isLibrary(d.span.file) ? { ...d, span: at, fixes: [], related: [...d.related, inside(d, module)] } : within(d, at, module));
  }
}

/** A line of a body with what is wrong there, whatever the module was configured with. */
function lineOf(d: Diagnostic): string {
  return `${d.code}|${d.span.file}:${d.span.start}|${d.message}`;
}

function inside(d: Diagnostic, module: string): Related {
  return { span: d.span, message: `inside the library module \`${module}\`` };
}

function within(d: Diagnostic, at: Span, module: string): Diagnostic {
  if (d.span.file === at.file && d.span.start === at.start && d.span.end === at.end) return d;
  return { ...d, related: [...d.related, { span: at, message: `\`${module}\` is applied here` }] };
}

/** Where the one configured number was given that the mistake's expression speaks of. */
function givenPlace(cx: BodyCx, d: Diagnostic, partial: Partial, at: Span): { readonly span: Span; readonly by: Span; readonly related: readonly Related[] } | undefined {
  if (!ofNumbers.has(d.code)) return undefined;
  const names = configuredIn(partial.module, d.span);
  const given = names.length === 1 ? partial.given?.get(names[0] ?? "") : undefined;
  // A part of an instance (`student.patch_embed`) is configured inside the library: its user's line is the application.
  if (given === undefined || (cx.env.isLibrary(given.span.file) && !cx.env.isLibrary(at.file))) return undefined;
  if (cx.env.isLibrary(given.span.file)) return { span: given.span, by: given.span, related: [] };
  const param = cx.kind === "model" && given.bare !== undefined ? cx.env.params.get(given.bare) : undefined;
  return {
    span: given.span,
    by: param ?? given.span,
    related: [{ span: at, message: `\`${partial.module.name.text}\` is applied here` }, ...(param === undefined ? [] : [{ span: param, message: `\`${given.bare ?? ""}\` is given here` }])],
  };
}

/** Names of a module's configuration that its text at `span` speaks of. */
function configuredIn(module: ast.Module, span: Span): string[] {
  const formals = new Set(module.config.map((f) => f.name.text));
  const names = new Set<string>();
  walk(module, (node) => {
    if (node.kind === "ref" && node.span.start >= span.start && node.span.end <= span.end && formals.has(node.name)) names.add(node.name);
  });
  return [...names];
}
