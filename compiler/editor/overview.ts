/**
 * What a page shows of a text: what is wrong with it and what mends that, verdicts with their proofs, the size of its parts.
 *
 * Owns the choice, as plain data that a worker can hand on: places are offsets and lines, and what lies in another file says in
 * which. What is found is `every-program.ts`'s, so a page tells what `jepac check --why` tells. Fixes that change the text itself
 * can be applied; of one that changes another file its lines are told, since a page has no other file to write to.
 */
import type { Span } from "../base/span.js";
import { lineColumn, lineTable } from "../base/span.js";
import type { Verdict } from "../collapse/analyze.js";
import type { CheckResult } from "../check-source.js";
import type { Found } from "../every-program.js";
import { waitingNote } from "../every-program.js";
import { editedLines } from "../messages/fixes.js";
import type { Diagnostic, Severity } from "../messages/report.js";
import type { Instance, ModelGraph } from "../model/ir.js";
import { parameterCount, trainedBy } from "../model/queries.js";
import { sizeWords } from "../model/sizes.js";
import type { Ground } from "../proof.js";
import { isLibraryName } from "../std/names.js";
import { keptText, lossProofs, verdictWord } from "../proof.js";

/** A place; offsets are UTF-16 units, lines and columns count from 1. `file` is there where it is not the text itself. */
export interface Place {
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly column: number;
  readonly file?: string;
}

/** A way out of a finding: edits of the text, and the lines as they will stand; `file` is there where the text is another's. */
export interface Mend {
  readonly title: string;
  readonly file?: string;
  readonly edits: readonly { readonly start: number; readonly end: number; readonly text: string }[];
  readonly lines: readonly string[];
}

/** A diagnostic as a page shows it. */
export interface Finding extends Place {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly help: string | undefined;
  readonly source: string | undefined;
  readonly related: readonly (Place & { readonly message: string })[];
  readonly fixes: readonly Mend[];
}

/** How a program stands. `broken`: mistakes keep it from being looked at for collapse. */
export type Standing = Verdict | "broken";

/** A loss with its verdict: grounds and, as places, the paths by which they hold. */
export interface LossView {
  readonly name: string;
  readonly verdict: Verdict;
  readonly word: string;
  readonly rules: readonly string[];
  readonly grounds: readonly Ground[];
  readonly path: readonly (Place & { readonly text: string })[];
}

/** A network, or a learned value of the program's own. */
export interface PartView {
  readonly name: string;
  readonly parameters: number;
  /** The same in words, those that are fixed apart. */
  readonly size: string;
  readonly how: string;
}

/** The program that is looked at. */
export interface ProgramView {
  readonly name: string;
  readonly standing: Standing;
  readonly word: string;
  readonly allowed: boolean;
  /** Whether it compiles, as far as checking sees; other programs of the text may not. */
  readonly ok: boolean;
  readonly losses: readonly LossView[];
  readonly parts: readonly PartView[];
  readonly parameters: number;
  readonly size: string;
  readonly trained: number;
  readonly masks: readonly string[];
  /** What a run will watch, each with its reason. */
  readonly watched: readonly string[];
}

/** All of it. */
export interface Overview {
  readonly findings: readonly Finding[];
  /** What was not looked at while errors stand. */
  readonly waiting: string | undefined;
  readonly programs: readonly { readonly name: string; readonly standing: Standing }[];
  readonly program: ProgramView | undefined;
}

/** What is shown of `file`, whose check found this; of its programs the one that is named, or the first, is looked at closely. */
export function overview(found: Found, file: string, program?: string): Overview {
  const result = programOf(found, program);
  return {
    findings: findings(found.diagnostics, found.texts, file),
    waiting: waitingNote(found.results),
    programs: found.results.flatMap((r) => (r.graph === undefined ? [] : [{ name: r.graph.name, standing: standingOf(r) }])),
    program: result === undefined ? undefined : programView(result, file),
  };
}

/** The result of the program that is named, or of the first there is. */
export function programOf({ results }: Found, program?: string): CheckResult | undefined {
  return results.find((r) => r.graph !== undefined && r.graph.name === program) ?? results.find((r) => r.graph !== undefined);
}

/** Diagnostics as they are shown beside the text of `file`. */
export function findings(diagnostics: readonly Diagnostic[], texts: ReadonlyMap<string, string>, file: string): readonly Finding[] {
  const place = placer(texts, file);
  return diagnostics.map(({ code, severity, message, help, source, span, related, fixes }) => ({
    ...place(span), code, severity, message, help, source,
    related: related.map((r) => ({ ...place(r.span), message: r.message })),
    fixes: fixes.flatMap(({ title, edits }) => {
      const [within, ...more] = new Set(edits.map((e) => e.span.file));
      if (within === undefined || more.length > 0 || isLibraryName(within)) return [];
      return [{ title, ...(within === file ? {} : { file: within }), edits: edits.map(({ span: { start, end }, text }) => ({ start, end, text })), lines: editedLines(texts.get(within) ?? "", edits) }];
    }),
  }));
}

function placer(texts: ReadonlyMap<string, string>, own: string): (span: Span) => Place {
  const tables = new Map<string, readonly number[]>();
  return ({ file, start, end }) => {
    const table = tables.get(file) ?? lineTable(texts.get(file) ?? "");
    tables.set(file, table);
    return { start, end, ...lineColumn(table, start), ...(file === own ? {} : { file }) };
  };
}

function standingOf({ analyzed, analyses }: CheckResult): Standing {
  return analyzed && analyses !== undefined ? analyses.program.verdict : "broken";
}

function programView(result: CheckResult, file: string): ProgramView | undefined {
  const { graph, analyses, texts } = result;
  if (graph === undefined) return undefined;
  const standing = standingOf(result);
  const place = placer(texts, file);
  const count = parameterCount(graph);
  const proofs = analyses === undefined || standing === "broken" ? [] : lossProofs(analyses);
  return {
    name: graph.name, standing, word: standing === "broken" ? "has mistakes" : verdictWord(standing), allowed: analyses?.program.allowed ?? false, ok: result.ok,
    losses: proofs.map(({ verdict: { loss, verdict, rules }, encoders, idle }) => ({
      name: loss, verdict, word: verdictWord(verdict), rules,
      grounds: idle === undefined ? encoders.flatMap((e) => e.grounds) : [{ text: idle, source: undefined }],
      path: unique(encoders.flatMap((e) => e.paths).map(({ span, text }) => ({ ...place(span), text }))),
    })),
    parts: graph.instances.map((i) => {
      const own = parameterCount(graph, i);
      return { name: i.name, parameters: own.total, size: sizeWords(own), how: howTrained(i, graph) };
    }),
    parameters: count.total, size: sizeWords(count), trained: count.trained,
    masks: graph.masks.flatMap((m) => {
      const kept = keptText(m, graph.masks, result.checked?.training.train.batch ?? 1);
      return kept === undefined ? [] : [`\`${m.name}\` ${kept}`];
    }),
    watched: (proofs.length === 0 ? [] : analyses?.monitors ?? []).map(({ kind, watch, loss, because }) => `${kind}${watch === undefined && loss === undefined ? "" : ` of ${watch ?? loss ?? ""}`}: ${because}`),
  };
}

/** What changes the parameters of an instance. */
function howTrained({ name, module, training }: Instance, graph: ModelGraph): string {
  if (training.kind === "ema") return `${module}, follows ${training.of}`;
  if (training.kind === "frozen") return `${module}, never trained`;
  const by = graph.losses.filter((l) => trainedBy(graph, l).includes(name)).map((l) => l.name);
  return `${module}, trained by ${by.join(", ") || "no loss"}`;
}

/** A path of several terms goes through the same places. */
function unique<T extends Place & { readonly text: string }>(steps: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  return steps.filter(({ file, start, end, text }) => {
    const key = `${file ?? ""}:${start}-${end} ${text}`;
    return seen.has(key) ? false : (seen.add(key), true);
  });
}
