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
  JEP1001: { slug: "syntax/unexpected-character", severity: "error", message: "`{text}` is not part of the language.", help: "Remove it.", explain: "A character that no token of the language starts with. Names are made of ASCII letters, digits and `_`; any text may stand inside quotes and comments." },
  JEP1002: { slug: "syntax/unexpected-token", severity: "error", message: "Expected {expected}, found {found}.", help: undefined, explain: "The parser met a token that cannot stand here. Parsing goes on after it, so one run reports every mistake." },
  JEP1003: { slug: "syntax/unknown-word", severity: "error", message: "`{word}` does not begin {place}.", help: undefined, explain: "A file is a list of `use`, `module`, `model`, `train`, `probe`, `variant` and `sweep`. Inside a model a line begins with one of the statement words (`param`, `input`, `mask`, `view`, `encoder`, `predictor`, `head`, `loss`, `allow`, …), or names a value: `z = student(image)`." },
  JEP1004: { slug: "syntax/unclosed-bracket", severity: "error", message: "`{open}` is never closed.", help: "Write the closing `{close}`.", explain: "The place shown is where the bracket should have been closed at the latest, judged by the indentation; the note points at the bracket that opens." },
  JEP1005: { slug: "syntax/unmatched-closer", severity: "error", message: "This `{close}` closes nothing.", help: "Remove it, or write the bracket that it should close.", explain: "A closing bracket without an opening one." },
  JEP1006: { slug: "syntax/unterminated-text", severity: "error", message: "This text has no closing quote.", help: "Write `\"` at its end; a text ends on the line that it begins on.", explain: "A text stands between two double quotes on one line." },
  JEP1007: { slug: "syntax/unterminated-comment", severity: "error", message: "This comment is never closed.", help: "Write `*/` where it ends.", explain: "A comment that begins with `/*` goes on to the next `*/`; without one, the rest of the file is a comment." },
  JEP1008: { slug: "syntax/hash-comment", severity: "error", message: "A comment begins with `//`, not `#`.", help: "Write `//`.", explain: "Comments are `// …` to the end of the line, `/* … */`, and `/// …` for the description of what follows." },
  JEP1009: { slug: "syntax/wrong-sign", severity: "error", message: "{what} is written with {right}, not `{wrong}`.", help: "Write {right}.", explain: "A definition is `name = value`; a named argument or a type is `name: …`; a setting of a train block is a word and its values with nothing between; the start of learned numbers is `~`; a power is `^`." },
  JEP1010: { slug: "syntax/unknown-unit", severity: "error", message: "`{word}` is not a unit.", help: "Units are `epochs`, `steps`, `percent`, `images`, `minutes` and `hours`.", explain: "A number may be followed by one word on its line, which says what it counts: `warmup: 40 epochs`." },
  JEP1011: { slug: "syntax/too-deep", severity: "error", message: "This is nested more than {limit} deep.", help: "Give the inner parts names of their own.", explain: "Brackets and chains of operators may nest to a fixed depth, so that no program can exhaust the compiler's stack." },
  JEP1012: { slug: "syntax/too-many-errors", severity: "error", message: "Too many syntax errors; only the first {limit} are shown.", help: "Mend the first ones, then check again.", explain: "After so many mistakes the text is hardly a program, and more reports help nobody. The rest of the file was not read." },
  JEP1013: { slug: "syntax/file-too-long", severity: "error", message: "The file is longer than {limit} characters; the rest was not read.", help: "Split it, or check that it is a program.", explain: "Programs are short; a longer file is nearly always something else, given by mistake." },
  JEP1014: { slug: "syntax/bad-number", severity: "error", message: "`{text}` is not a number that can be written here: {why}.", help: undefined, explain: "Numbers are written `12`, `0.5`, `2e-4`, `100_000`; they must fit a double-precision float." },
  JEP1015: { slug: "syntax/bad-escape", severity: "error", message: "`{text}` means nothing inside a text.", help: "Write `\\\\` for a backslash.", explain: "Inside quotes, `\\\"`, `\\\\`, `\\n` and `\\t` stand for a quote, a backslash, a line break and a tab." },
  JEP1016: { slug: "syntax/single-quotes", severity: "error", message: "A text is written in double quotes.", help: "Write `\"` on both sides.", explain: "There is one way to write a text: between double quotes." },
  JEP1017: { slug: "syntax/chained-range", severity: "error", message: "A range has two ends, and this one has more.", help: "Write `low..high`.", explain: "`0.15..0.20` is a range; the points of a schedule are written with `->`." },
} as const satisfies Record<string, CatalogueEntry>;

export type Code = keyof typeof catalogue;

type Keys<S extends string> = S extends `${string}{${infer K}}${infer Rest}` ? K | Keys<Rest> : never;

/** The parameters that a code's message and help name. */
export type ParamsOf<C extends Code> = {
  readonly [K in Keys<(typeof catalogue)[C]["message"]> | Keys<(typeof catalogue)[C]["help"] extends string ? (typeof catalogue)[C]["help"] : "">]: string | number;
};
