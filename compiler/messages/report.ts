/**
 * Diagnostics as data: the shape of a report, and the function that makes one from the catalogue.
 *
 * Owns `Diagnostic`, `Related` ("because" notes), `Fix` (edits as data) and the typed `report` function whose parameters
 * are checked against the catalogue's templates by the type checker. Leaves the texts to `catalogue.ts` and the display to
 * `render.ts`. Nothing here throws, reads files, or knows what the diagnostics are about.
 */
import type { Span } from "../base/span.js";
import { catalogue } from "./catalogue.js";
import type { Code, ParamsOf, Severity } from "./catalogue.js";

export type { Severity } from "./catalogue.js";

/** A second place with the reason it matters: rendered as `because …`. */
export interface Related {
  readonly span: Span;
  readonly message: string;
}

/** One text replacement; an insertion has an empty span. */
export interface Edit {
  readonly span: Span;
  readonly text: string;
}

/** A way out that can be applied by a tool. */
export interface Fix {
  readonly title: string;
  readonly edits: readonly Edit[];
  /** Set where the edit may lose what was meant: a person may take it, and nothing applies it without being asked. */
  readonly guess?: true;
}

/** One finding about a program. `code` is stable; `message` is one sentence of fact; `help` is imperative. */
export interface Diagnostic {
  readonly code: Code;
  readonly severity: Severity;
  readonly message: string;
  readonly span: Span;
  readonly help: string | undefined;
  /** Where the literature says so, for verdicts that rest on it. */
  readonly source: string | undefined;
  readonly related: readonly Related[];
  readonly fixes: readonly Fix[];
}

/** What a report may add beyond its parameters. */
export interface ReportExtras {
  readonly help?: string;
  readonly related?: readonly Related[];
  readonly fixes?: readonly Fix[];
  readonly severity?: Severity;
  readonly source?: string;
}

/** Makes a diagnostic from the catalogue; the parameters that its template names are required by the type. */
export function report<C extends Code>(code: C, span: Span, params: ParamsOf<C>, extras: ReportExtras = {}): Diagnostic {
  const entry = catalogue[code];
  return {
    code,
    severity: extras.severity ?? entry.severity,
    message: fill(entry.message, params),
    span,
    help: extras.help ?? (entry.help === undefined ? undefined : fill(entry.help, params)),
    source: extras.source,
    related: extras.related ?? [],
    fixes: extras.fixes ?? [],
  };
}

/** The text with its parameters; a sentence that begins with one begins with a capital all the same. */
function fill(template: string, params: Readonly<Record<string, string | number>>): string {
  const text = template.replace(/\{(\w+)\}/g, (_, key: string) => String(params[key] ?? `{${key}}`));
  return template.startsWith("{") ? text.slice(0, 1).toUpperCase() + text.slice(1) : text;
}

/** A sink that collects reports; passed down as part of a context, never global. */
export interface Diagnostics {
  readonly list: Diagnostic[];
  add(diagnostic: Diagnostic): void;
  hasErrors(): boolean;
}

/** A fresh sink. Identical reports (code, place and text) are kept once. */
export function createDiagnostics(): Diagnostics {
  const list: Diagnostic[] = [];
  const seen = new Set<string>();
  return {
    list,
    add(diagnostic) {
      const key = `${diagnostic.code}@${diagnostic.span.file}:${diagnostic.span.start}-${diagnostic.span.end}:${diagnostic.message}`;
      if (seen.has(key)) return;
      seen.add(key);
      list.push(diagnostic);
    },
    hasErrors: () => list.some((d) => d.severity === "error"),
  };
}
