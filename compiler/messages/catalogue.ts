/**
 * The catalogue of diagnostics: every code, its severity, its sentence and its way out. // tidy: table
 *
 * One entry per code, families by thousands: 1 syntax, 2 names and structure, 3 shapes, positions and spaces, 4 collapse,
 * 5 masks and leaks, 6 training recipe, 7 target limits, 8 known gaps, 9 internal. A code is never reused. `{words}` in a
 * template are parameters; `ParamsOf` derives their names, so a report that forgets one does not typecheck. `explain` is
 * the page that `jepac explain` prints: cause, example, cure.
 */
import type { Severity } from "./report.js";

/** One catalogue row. `slug` is for people and links; `explain` a short page in Markdown. */
export interface CatalogueEntry {
  readonly slug: string;
  readonly severity: Severity;
  readonly message: string;
  readonly help: string | undefined;
  readonly explain: string;
}

export const catalogue = {
  JEP1001: { slug: "syntax/unexpected-character", severity: "error", message: "`{text}` is not part of the language.", help: "Remove it.", explain: "A character that no token of the language starts with." },
  JEP1002: { slug: "syntax/unexpected-token", severity: "error", message: "Expected {expected}, found {found}.", help: undefined, explain: "The parser met a token that cannot stand here. Parsing goes on after it, so one run reports every mistake." },
} as const satisfies Record<string, CatalogueEntry>;

export type Code = keyof typeof catalogue;

type Keys<S extends string> = S extends `${string}{${infer K}}${infer Rest}` ? K | Keys<Rest> : never;

/** The parameters that a code's message and help name. */
export type ParamsOf<C extends Code> = {
  readonly [K in Keys<(typeof catalogue)[C]["message"]> | Keys<(typeof catalogue)[C]["help"] extends string ? (typeof catalogue)[C]["help"] : "">]: string | number;
};
