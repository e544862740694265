/**
 * Names that are not known, and what is concluded when checking goes on with the one that was most likely meant.
 *
 * Owns the report of such a name (once for a program, with all the places that speak of it, so that the fix mends them all) and
 * the rule that a guess is asked for nothing but more words: shapes, positions and spaces of what rests on one are not told
 * before it is taken, as nobody has written them. Leaves the spelling to `messages/did-you-mean.ts`.
 */
import type { Span } from "../base/span.js";
import { nearestWords, replacement } from "../messages/did-you-mean.js";
import type { Code } from "../messages/catalogue.js";
import { insteadOf } from "../messages/elsewhere.js";
import { report } from "../messages/report.js";
import type { Diagnostic, Diagnostics, ReportExtras } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { walk } from "../syntax/visit.js";

/** Most other places that a report shows; the fix mends all. */
const shownPlaces = 3;

/** A body that asks for a name, as far as it matters here. */
interface Asking {
  readonly kind: "model" | "module" | "repeat";
  readonly diagnostics: Diagnostics;
  readonly env: {
    readonly unknown: Map<string, { readonly meant: string | undefined }>;
    readonly mentions: ReadonlyMap<string, readonly Span[]>;
  };
}

/** Reports an unknown name with the nearest of `known`, which is asked for where it is to be told; gives the nearest, where it is surely meant. `tell` makes the report. */
export function unknownName(cx: Asking, name: string, span: Span, known: () => readonly string[], tell = (extras: ReportExtras): Diagnostic => report("JEP2001", span, { name }, extras)): string | undefined {
  const told = cx.kind === "model" ? cx.env.unknown.get(name) : undefined;
  if (told !== undefined) return told.meant;
  const all = nearestWords(name, known());
  const near = all.slice(0, 3).map((n) => n.name);
  // A function of another library is no slip of a name that happens to be spelled like it.
  const instead = all[0]?.distance === 0 ? undefined : insteadOf(name);
  const others = cx.kind === "model" ? (cx.env.mentions.get(name) ?? []).filter((s) => s.start !== span.start || s.file !== span.file) : [];
  const here = others.filter((s) => s.file === span.file);
  const fixes = (instead === undefined ? replacement(name, all, span) : []).map((f) => ({ ...f, edits: [...f.edits, ...here.flatMap((s) => f.edits.map(({ text }) => ({ span: s, text })))] }));
  cx.diagnostics.add(tell({
    help: instead ?? (near.length > 0 ? `Did you mean ${near.map((n) => `\`${n}\``).join(" or ")}?` : "Declare it above, or add the `use` that brings it."),
    fixes,
    related: others.slice(0, shownPlaces).map((s) => ({ span: s, message: "and here" })),
  }));
  // With a guess in its place the next report would be of what nobody wrote.
  const meant = instead !== undefined || fixes[0]?.guess === true ? undefined : near[0];
  if (cx.kind === "model") cx.env.unknown.set(name, { meant });
  return meant;
}

/** Where the lines of a model and its probes speak of each name. */
export function mentionsIn(nodes: readonly (ast.Statement | ast.Expr)[]): ReadonlyMap<string, readonly Span[]> {
  const places = new Map<string, Span[]>();
  for (const node of nodes) {
    walk(node, (n) => {
      if (n.kind !== "ref") return;
      const known = places.get(n.name);
      if (known === undefined) places.set(n.name, [n.span]);
      else known.push(n.span);
    });
  }
  return places;
}

/** Mistakes of words: they are there whatever a guess was about. */
const ofWords: ReadonlySet<Code> = new Set(["JEP2001", "JEP2002", "JEP2003", "JEP2004", "JEP2007", "JEP2021", "JEP2025", "JEP2032", "JEP5001", "JEP5002", "JEP6004", "JEP6005", "JEP6008", "JEP6009", "JEP6010"]);

/** Whether a report about a line that rests on a guess is to be told before the guess is taken. */
export function standsAlone(d: Diagnostic): boolean {
  return ofWords.has(d.code);
}

/** A sink for the reports about one program; `pass` hands on those that rest on no guess, and are of no line that was read in part. */
export interface Held extends Diagnostics {
  pass(guessed: readonly Span[], broken: readonly Span[]): void;
}

/** Holds back what is reported until it is known which lines rest on a guess. */
export function holdBack(outer: Diagnostics): Held {
  const list: Diagnostic[] = [];
  return {
    list,
    add: (d) => void list.push(d),
    hasErrors: () => outer.hasErrors() || list.some((d) => d.severity === "error"),
    pass(guessed, broken) {
      const within = ({ span }: Diagnostic, lines: readonly Span[]): boolean => lines.some((g) => g.file === span.file && g.start <= span.start && span.end <= g.end);
      for (const d of list) if (!within(d, broken) && (standsAlone(d) || !within(d, guessed))) outer.add(d);
    },
  };
}
