/**
 * Checking as a pure function: text in, diagnostics, graph and verdicts out.
 *
 * Owns the way load → check → analyses, and what it gives. Whoever only checks (an editor, `jepac check`) loads no target; what
 * compiles goes on from here (`compile.ts`).
 */
import type { ProgramOptions, Source } from "./arguments.js";
import { readerOf, requireProgramOptions, requireSource } from "./arguments.js";
import type { Analyses } from "./analyses.js";
import { analyze } from "./analyses.js";
import type { CheckOptions, Checked } from "./check/check.js";
import { check as checkFiles, listPrograms } from "./check/check.js";
import { inVariant } from "./check/variant-places.js";
import type { Loaded } from "./load.js";
import { load } from "./load.js";
import { sparingComments } from "./messages/fixes.js";
import type { Diagnostic, Diagnostics } from "./messages/report.js";
import { createDiagnostics } from "./messages/report.js";
import type { ModelGraph } from "./model/ir.js";

/** What checking found: a union on `ok`, so that whoever has looked at `ok` has a graph without mistakes, and nobody else. */
export type CheckResult = Passed | Refused;

/** What both have. */
interface CheckFacts {
  readonly diagnostics: readonly Diagnostic[];
  /** Texts by file name, for showing diagnostics. */
  readonly texts: ReadonlyMap<string, string>;
  /** Models and variants that the file offers. */
  readonly programs: readonly string[];
}

/** A program without errors; it may have warnings. */
export interface Passed extends CheckFacts {
  readonly ok: true;
  readonly checked: Checked;
  readonly graph: ModelGraph;
  /** Verdicts, proofs and monitors. */
  readonly analyses: Analyses;
  readonly analyzed: true;
}

/** A program with errors, and what is known of it all the same: for editors, which go on while one writes. */
export interface Refused extends CheckFacts {
  readonly ok: false;
  /** There, possibly partial, whenever there is a program to speak of. */
  readonly checked: Checked | undefined;
  /** The same: that it is there does not say that the program may be trained; `ok` does. */
  readonly graph: ModelGraph | undefined;
  /** Absent where the mistakes keep the graph from being analyzed. */
  readonly analyses: Analyses | undefined;
  /** Whether `diagnostics` say what the analyses found (collapse, leaks, masks); while other errors stand, that waits. */
  readonly analyzed: boolean;
}

/**
 * Checks a program: syntax, names, shapes, positions, spaces, masks, recipe. Never throws for a mistake of the program; throws
 * a `TypeError` for a source or an option that is none, which is the caller's mistake.
 */
export function check(source: Source, options: ProgramOptions = {}): CheckResult {
  requireSource(source);
  requireProgramOptions(options);
  return checkSource(source, options);
}

/** The same for what was looked at already. */
export function checkSource(source: Source, options: ProgramOptions): CheckResult {
  const diagnostics = createDiagnostics();
  const files = load(source.file, source.text, readerOf(source), diagnostics);
  return checkLoaded(files, options, diagnostics);
}

function checkLoaded(files: Loaded, options: ProgramOptions, diagnostics: Diagnostics): CheckResult {
  const programs = listPrograms(files, createDiagnostics());
  const checked = checkFiles(files, checkOptions(options), diagnostics);
  // A loss across spaces is refused, and leaves the graph as whole as it was: verdicts are had, and their words wait.
  const refused = diagnostics.hasErrors();
  const broken = diagnostics.list.some((d) => d.severity === "error" && d.code !== "JEP3013");
  const analyses = checked === undefined || broken ? undefined : analyze(checked, files.texts);
  const variant = [files.main, ...files.used].flatMap((f) => f.items).find((i) => i.kind === "variant" && i.name.text === checked?.program.name);
  for (const d of refused ? [] : (analyses?.diagnostics ?? [])) if (d.severity !== "note") diagnostics.add(checked === undefined || variant?.kind !== "variant" ? d : inVariant(d, checked.program, variant));
  const sorted = diagnostics.list.map((d) => (d.code === "JEP6021" ? { ...d, fixes: sparingComments(d.fixes, d.span, files.texts) } : d)).sort((a, b) => (a.span.file === b.span.file ? a.span.start - b.span.start : a.span.file < b.span.file ? -1 : 1));
  const facts: CheckFacts = { diagnostics: sorted, texts: files.texts, programs };
  // Without an error there is a program, and it was analyzed: that there is none is an error itself.
  if (!diagnostics.hasErrors() && checked !== undefined && analyses !== undefined) return { ...facts, ok: true, checked, graph: checked.graph, analyses, analyzed: true };
  return { ...facts, ok: false, checked, graph: checked?.graph, analyses, analyzed: !refused && analyses !== undefined };
}

function checkOptions(options: ProgramOptions): CheckOptions {
  return {
    ...(options.program === undefined ? {} : { program: options.program }),
    ...(options.set === undefined ? {} : { overrides: new Map(Object.entries(options.set)) }),
    ...(options.batch === undefined ? {} : { batch: options.batch }),
  };
}

/** The typed graph of a program, or undefined when it has errors. Diagnostics are those of `check`. */
export function graph(source: Source, options: ProgramOptions = {}): ModelGraph | undefined {
  const result = check(source, options);
  return result.ok ? result.graph : undefined;
}
