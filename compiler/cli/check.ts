/**
 * `jepac check`: every mistake of one or more programs in one run.
 *
 * Owns the formats of the report (text, one line each, JSON, SARIF) and `--fix`; which programs are checked is
 * `every-program.ts`. Exit code 0 without errors, 1 with some, 2 when a file cannot be read; warnings alone are 0.
 */
import { resolve } from "node:path";
import type { CheckResult, ProgramOptions } from "../compile.js";
import type { Found } from "../every-program.js";
import { checkEvery, waitingNote } from "../every-program.js";
import { applyFixes, certainFixes } from "../messages/fixes.js";
import type { VerdictRecord } from "../analyses.js";
import type { Span } from "../base/span.js";
import { lineColumn, lineTable } from "../base/span.js";
import { worst } from "../collapse/analyze.js";
import { placer, toJson } from "../messages/json.js";
import { renderDiagnostics, renderShort } from "../messages/render.js";
import type { Diagnostic, Fix } from "../messages/report.js";
import { explainProof } from "../proof.js";
import { toSarif } from "../messages/sarif.js";
import { isLibraryName } from "../std/names.js";
import { version } from "../version.js";
import { writeAtomic } from "../../runtime/base/files.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { noteLine } from "./show.js";
import type { Opened } from "./source.js";
import { openSource, programOptions, readProgramOptions, readText, shownDiagnostics, shownTexts } from "./source.js";
import type { CliTerminal } from "./terminal.js";
import { styleOf } from "./terminal.js";

const formats = ["text", "short", "json", "sarif"] as const;

export const checkCommand: Command = {
  words: { files: "programs to check" },
  options: {
    format: { kind: "text", choices: formats, initial: "text", help: "how to report" },
    ...programOptions,
    why: { kind: "flag", help: "print the proof for every loss: what protects it, or the path to the constant; in JSON it is `proof` of each program" },
    fix: { kind: "flag", help: "apply the fixes that are certain, and check what is left" },
  },
  examples: [
    ["jepac check specs/ijepa.jepa", "every model and variant of the file"],
    ["jepac check specs/*.jepa --format json", "for programs"],
    ["jepac check specs/ijepa.jepa --why", "with the proof for every loss"],
    ["jepac check my.jepa --fix", "mend what can be mended"],
  ],
  async run(args, cx) {
    const format = args.text("format") ?? "text";
    const options = readProgramOptions(args);
    const reports: Report[] = [];
    let unreadable = 0;
    for (const path of args.texts("files")) {
      try {
        reports.push(await examine(path, options, args.flag("fix"), cx));
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        const style = styleOf(cx.err, cx.env);
        cx.err.write(`${style.error("error")}: ${error.message}\n${error.help === undefined ? "" : `${style.bold("help")}: ${error.help}\n`}`);
        unreadable += 1;
      }
    }
    write(reports, format, args.flag("why"), cx);
    if (unreadable > 0) return 2;
    return reports.some((r) => r.diagnostics.some((d) => d.severity === "error")) ? 1 : 0;
  },
};

interface Report extends Found {
  readonly opened: Opened;
  readonly programs: readonly string[];
  /** What `--fix` did, a line each: place, code and the fix's title. */
  readonly fixed: readonly string[];
}

async function examine(path: string, options: ProgramOptions, fix: boolean, cx: CliTerminal): Promise<Report> {
  let report = checkAll(openSource(path, cx), options);
  // A fix may make way for another; each round applies at least one, and there is an end to patience.
  for (let round = 0; fix && round < 10; round++) {
    const applied = await applyCertain(report, cx);
    if (applied.length === 0) break;
    report = { ...checkAll(openSource(path, cx), options), fixed: [...report.fixed, ...applied] };
  }
  return report;
}

/** All programs of a file, or the one chosen. */
function checkAll(opened: Opened, options: ProgramOptions): Report {
  const found = checkEvery(opened.source, options);
  return { ...found, opened, programs: found.results.flatMap((r) => (r.graph === undefined ? [] : [r.graph.name])), fixed: [] };
}

/** Applies certain fixes to the files they belong to; returns them in words, by the places that they were for. */
async function applyCertain(report: Report, cx: CliTerminal): Promise<readonly string[]> {
  const fixes = certainFixes(report.diagnostics);
  const files = new Set(fixes.flatMap((f) => f.edits.map((e) => e.span.file)));
  const applied: string[] = [];
  for (const file of files) {
    if (isLibraryName(file)) continue;
    const shown = report.opened.show(file);
    const path = resolve(cx.cwd, shown);
    const before = report.texts.get(file) ?? readText(path, shown);
    const { text, applied: done } = applyFixes(before, file, fixes);
    if (done.length === 0) continue;
    await writeAtomic(path, text);
    applied.push(...done.map((fix) => fixLine(fix, report, before, file, shown)));
  }
  return applied;
}

/** A fix that was applied, with the place of its first edit in the text before: `m.jepa:8:3: JEP5010: Lower min_keep`. */
function fixLine(fix: Fix, report: Report, before: string, file: string, shown: string): string {
  const code = report.diagnostics.find((d) => d.fixes.includes(fix))?.code;
  const { line, column } = lineColumn(lineTable(before), fix.edits.find((e) => e.span.file === file)?.span.start ?? 0);
  return `${shown}:${line}:${column}: ${code === undefined ? "" : `${code}: `}${fix.title}`;
}

function write(reports: readonly Report[], format: string, why: boolean, cx: CliTerminal): void {
  const shown = reports.map((r) => ({ file: r.opened.shown, diagnostics: shownDiagnostics(r.diagnostics, r.opened), texts: shownTexts(r.texts, r.opened) }));
  const texts = (file: string): string | undefined => shown.find((s) => s.texts.has(file))?.texts.get(file);
  if (format === "json") {
    const json = shown.map((s, i) => ({ ...toJson(s.file, s.diagnostics, texts), ...verdictsJson(reports[i], texts, why) }));
    cx.out.write(`${JSON.stringify(json.length === 1 ? json[0] : json, undefined, 2)}\n`);
  } else if (format === "sarif") {
    cx.out.write(`${JSON.stringify(toSarif(shown.flatMap((s) => s.diagnostics), texts, { version }), undefined, 2)}\n`);
    tellWaiting(reports, cx);
  } else if (format === "short") {
    for (const s of shown) for (const d of s.diagnostics) cx.out.write(`${renderShort(d, texts)}\n`);
    tellWaiting(reports, cx);
  } else {
    reports.forEach((r, i) => writeText(r, shown[i]?.diagnostics ?? [], texts, cx));
    if (why) for (const r of reports) for (const { analyses } of r.results) if (analyses !== undefined) cx.out.write(`\n${explainProof(analyses, r.texts)}`);
  }
}

/** Beside a format that has a line for diagnostics only. */
function tellWaiting(reports: readonly Report[], cx: CliTerminal): void {
  for (const r of reports) cx.err.write(noteLine(waitingNote(r.results), cx.err, cx.env));
}

/** Verdicts for programs: of the file (the worst of its programs), of each program, of each of its losses. */
function verdictsJson(report: Report | undefined, texts: (file: string) => string | undefined, why: boolean): Record<string, unknown> {
  if (report === undefined) return {};
  const place = placer(texts);
  const where = (span: Span): unknown => place({ ...span, file: report.opened.show(span.file) });
  const plain = (v: VerdictRecord): Record<string, unknown> => ({ verdict: v.verdict, reasons: v.reasons, rules: v.rules, allowed: v.allowed, witness: v.witness.map(where) });
  const programs = report.results.map((r) => {
    const name = r.graph?.name ?? null;
    if (r.analyses === undefined) return { program: name, analyzed: r.analyzed, ...plain(refused(r)), losses: [] };
    return { program: name, analyzed: r.analyzed, ...plain(r.analyses.program), losses: r.analyses.losses.map((l) => ({ loss: l.loss, ...plain(l) })), ...(why ? { proof: explainProof(r.analyses, report.texts) } : {}) };
  });
  const all = [...report.results, ...report.points].map((r) => r.analyses?.program ?? refused(r));
  const verdict = worst(all.map((v) => v.verdict));
  const of = all.filter((v) => v.verdict === verdict);
  const note = waitingNote(report.results);
  return {
    ...plain({ verdict, reasons: [...new Set(of.flatMap((v) => v.reasons))], rules: [...new Set(of.flatMap((v) => v.rules))], witness: of.flatMap((v) => v.witness), allowed: of.every((v) => v.allowed) }),
    analyzed: report.results.every((r) => r.analyzed),
    ...(note === undefined ? {} : { note }),
    programs,
  };
}

/** A program whose mistakes keep it from being analyzed: refused for those. */
function refused(result: CheckResult): VerdictRecord {
  const errors = result.diagnostics.filter((d) => d.severity === "error");
  return { verdict: "error", reasons: [...new Set(errors.map((d) => d.code))], rules: [], witness: errors.map((d) => d.span), allowed: false };
}

function writeText(report: Report, diagnostics: readonly Diagnostic[], texts: (file: string) => string | undefined, cx: CliTerminal): void {
  const style = styleOf(cx.out, cx.env);
  if (report.fixed.length > 0) cx.out.write(`${report.opened.shown}: ${report.fixed.length} ${report.fixed.length === 1 ? "fix" : "fixes"} applied\n${report.fixed.map((line) => `  ${line}\n`).join("")}`);
  cx.out.write(renderDiagnostics(diagnostics, texts, style));
  cx.out.write(noteLine(waitingNote(report.results), cx.out, cx.env));
  if (diagnostics.some((d) => d.severity === "error")) return;
  cx.out.write(`${report.opened.shown}: ${style.good("no mistakes")} (${report.programs.join(", ")})\n`);
}
