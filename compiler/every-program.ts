/**
 * All that `jepac check` says of a file: the mistakes of each program that it declares and of the points of their sweeps.
 *
 * Owns the choice of programs (all unless one is chosen), that what they say alike is said once, the order, the word for
 * what was not looked at, and that what no target trains is noted, which `check` of one program does not know of. Shown on a terminal by `cli/check.ts`, in an editor by `cli/language-server.ts`, in a page by `editor/overview.ts`.
 */
import type { ProgramOptions, Source } from "./arguments.js";
import type { CheckResult } from "./check-source.js";
import { check } from "./check-source.js";
import type { Diagnostic } from "./messages/report.js";
import { createDiagnostics } from "./messages/report.js";
import { untrainable } from "./targets/supported.js";
import { refusedPoints } from "./sweep-points.js";

/** What was found in a file and those that it uses. */
export interface Found {
  readonly diagnostics: readonly Diagnostic[];
  readonly texts: ReadonlyMap<string, string>;
  /** One for each program. */
  readonly results: readonly CheckResult[];
  /** Points of sweeps that do not compile. */
  readonly points: readonly CheckResult[];
}

/** Checks all programs of a file, or the one chosen. */
export function checkEvery(source: Source, options: ProgramOptions = {}): Found {
  const checking = checkEach(source, options);
  for (;;) {
    const { done, value } = checking.next();
    if (done === true) return value;
  }
}

/** The same, one program a step, for who has other things to do in between. */
export function* checkEach(source: Source, options: ProgramOptions = {}): Generator<undefined, Found> {
  const first = check(source, options);
  const chosen = options.program !== undefined || options.set !== undefined;
  const results = [first];
  for (const program of chosen ? [] : first.programs.filter((name) => name !== first.graph?.name)) {
    yield undefined;
    results.push(check(source, { program }));
  }
  const points: CheckResult[] = [];
  for (const result of results) {
    yield undefined;
    points.push(...refusedPoints(result, source, options.set ?? {}));
  }
  const sink = createDiagnostics();
  for (const result of [...results, ...points]) for (const d of result.diagnostics) sink.add(d);
  // Such programs are written to be checked, so it is no mistake here; that none trains is known before one is compiled all the same.
  for (const { graph, analyzed } of results) for (const d of graph === undefined || !analyzed ? [] : untrainable(graph)) sink.add({ ...d, severity: "note" });
  return { diagnostics: inOrder(sink.list, source.file), texts: first.texts, results, points };
}

/**
 * That a program with errors was not looked at further, where that is so: without it, silence about collapse would look like
 * an acquittal. Names the programs where others of the file were.
 */
export function waitingNote(results: readonly CheckResult[]): string | undefined {
  // A file without a program has nothing that could collapse.
  const waiting = results.filter((r) => !r.analyzed && r.diagnostics.some((d) => d.code !== "JEP2031"));
  if (waiting.length === 0) return undefined;
  const names = waiting.length === results.length ? [] : waiting.flatMap((r) => (r.graph === undefined ? [] : [r.graph.name]));
  return `collapse, leaks and masks${names.length === 0 ? "" : ` of ${names.join(", ")}`} are not checked while these errors stand; they will be once those are gone`;
}

/** The file itself first, then the files it uses; within each by place. */
function inOrder(diagnostics: readonly Diagnostic[], main: string): Diagnostic[] {
  const rank = (d: Diagnostic): string => (d.span.file === main ? "" : d.span.file);
  return diagnostics.toSorted((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : a.span.start - b.span.start));
}
