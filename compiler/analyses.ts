/**
 * All analyses of a checked program in one call: collapse, masks, leaks, dead parts.
 *
 * Owns what they amount to together: one verdict for the program (the worst), one for each loss, reasons as codes, witnesses
 * as places, and the diagnostics that a user sees. Each analysis knows nothing of the others; this is where they meet.
 */
import type { Span } from "./base/span.js";
import type { Checked } from "./check/check.js";
import type { CollapseResult, Verdict } from "./collapse/analyze.js";
import { analyzeCollapse, worst } from "./collapse/analyze.js";
import type { MaskFinding } from "./collapse/fault.js";
import type { Finding } from "./collapse/findings.js";
import { rules } from "./collapse/findings.js";
import type { Facts } from "./collapse/gather.js";
import { gatherFacts, trainedThrough } from "./collapse/gather.js";
import type { Watchlist } from "./collapse/monitors.js";
import { monitorsOf, watchlist } from "./collapse/monitors.js";
import { diagnosticOf } from "./collapse/report.js";
import { trivialValues } from "./collapse/trivial.js";
import { witness } from "./collapse/witness.js";
import { findDeadParts } from "./dead/analyze.js";
import { findLeaks } from "./leaks/analyze.js";
import { findMaskFaults } from "./masks/analyze.js";
import { findLoneTokens } from "./masks/lone.js";
import { mendMask } from "./masks/mend.js";
import type { Diagnostic } from "./messages/report.js";
import type { MonitorSpec, TrivialValue } from "../runtime/abi.js";

/** The verdict on one loss, or on the program. */
export interface VerdictRecord {
  readonly verdict: Verdict;
  /** Codes of the diagnostics that the verdict rests on. */
  readonly reasons: readonly string[];
  /** The same as rules of the theory: `E-SYM`. */
  readonly rules: readonly string[];
  /** Places by which the verdict is reached; found when they are asked for. */
  readonly witness: readonly Span[];
  /** The program allows what is refused here. */
  readonly allowed: boolean;
}

/** The verdict on one loss, with its name. */
export interface LossVerdict extends VerdictRecord {
  readonly loss: string;
}

/** What all analyses found. */
export interface Analyses {
  readonly program: VerdictRecord;
  readonly losses: readonly LossVerdict[];
  readonly diagnostics: readonly Diagnostic[];
  readonly monitors: readonly MonitorSpec[];
  readonly watchlist: Watchlist;
  /** By loss: what it reads when nothing is learned. */
  readonly trivial: ReadonlyMap<string, readonly TrivialValue[]>;
  readonly allowed: readonly { readonly what: string; readonly reason: string; readonly codes: readonly string[] }[];
  readonly facts: Facts;
  readonly collapse: CollapseResult;
}

/** Analyzes a checked program without errors. */
export function analyze(checked: Checked, texts: ReadonlyMap<string, string>): Analyses {
  const { graph, training } = checked;
  const { train } = training;
  const facts = gatherFacts(graph, { batch: train.batch, decays: train.weightDecay.points.some((p) => p > 0), transforms: training.transforms });
  const collapse = analyzeCollapse(facts);
  const allows = (what: string): boolean => graph.allowed.some((a) => a.what === what);
  const shown = collapse.findings.map((f) => ({ finding: f, diagnostic: diagnosticOf(f, facts, texts, allows("collapse")) }));
  const masked = [...findMaskFaults(graph, facts, train.batch), ...findLeaks(facts)].map((m) => mendMask(m, facts, texts)).map((m) => (m.diagnostic.severity === "error" && allows("leak") ? { ...m, diagnostic: { ...m.diagnostic, severity: "warning" as const }, relaxed: true } : { ...m, relaxed: false }));
  const others = [...findDeadParts(graph, facts), ...findLoneTokens(graph, train.batch)];
  const losses = graph.losses.map((l) => lossVerdict(l.name, facts, collapse, shown, masked));
  // Of a sound program, the places by which its proof goes.
  const witnessed = shown.filter((s) => s.finding.level !== "note");
  const faulty = [...witnessed, ...masked.filter((m) => m.diagnostic.severity !== "note")].length > 0;
  const level = (m: { readonly diagnostic: Diagnostic; readonly relaxed: boolean }): Verdict => (m.relaxed || m.diagnostic.severity === "error" ? "error" : m.diagnostic.severity === "warning" ? "risky" : "sound");
  const program: VerdictRecord = {
    verdict: worst([collapse.verdict, ...masked.map(level), ...others.filter((d) => d.severity === "error").map((): Verdict => "error")]),
    reasons: [...new Set([...shown.map((s) => s.diagnostic.code), ...masked.map((m) => m.diagnostic.code)])],
    rules: [...new Set([...shown.map((s) => s.finding.rule), ...masked.map((m) => m.rule)])],
    get witness() {
      return uniqueSpans([...(faulty ? [] : losses.flatMap((l) => l.witness)), ...witnessed.flatMap((s) => (s.finding.term === undefined ? [s.diagnostic.span] : witness(facts, s.finding.term, s.finding.encoder).map((w) => w.span))), ...masked.filter((m) => m.diagnostic.severity !== "note").map((m) => m.diagnostic.span)]);
    },
    allowed: allows("collapse") && collapse.verdict === "error",
  };
  const trivial = trivialValues(facts);
  const codes = [...new Set(shown.filter((s) => s.finding.level === "error").map((s) => s.diagnostic.code))];
  const relaxed = [...new Set(masked.filter((m) => m.relaxed).map((m) => m.diagnostic.code))];
  return {
    program, losses, facts, collapse,
    diagnostics: [...targetsOnce(causes(shown)).map((s) => s.diagnostic), ...masked.map((m) => m.diagnostic), ...others.filter((d) => !isOfTarget(d, shown, facts))],
    monitors: monitorsOf(facts, collapse, trivial, program.verdict),
    watchlist: watchlist(facts, collapse),
    trivial,
    allowed: graph.allowed.map((a) => ({ what: a.what, reason: a.reason, codes: a.what === "collapse" ? codes : relaxed })),
  };
}

/** Rules of what a guard would keep: where one is turned round, that is the cause, and mends them when it is turned back. */
const guarded: ReadonlySet<Finding["rule"]> = new Set(["E-SYM", "E-ONEHOT"]);

/** What is told first: consequences of a guard with the wrong sign are left until it is right. */
function causes(shown: readonly Shown[]): readonly Shown[] {
  const turned = new Set(shown.flatMap(({ finding: { rule, term, encoder } }) => (rule === "E-GUARD-SIGN" && (term?.sign ?? 0) < 0 ? [encoder] : [])));
  return shown.filter(({ finding: { rule, encoder } }) => !guarded.has(rule) || !turned.has(encoder));
}

interface Shown {
  readonly finding: Finding;
  readonly diagnostic: Diagnostic;
}

/** A loss is as good as the findings on its terms, and on the encoders that nothing but it trains. */
function lossVerdict(name: string, facts: Facts, collapse: CollapseResult, shown: readonly Shown[], masked: readonly (MaskFinding & { readonly relaxed: boolean })[]): LossVerdict {
  const own = shown.filter((s) => s.finding.term?.losses.includes(name) ?? aboutEncoderOf(name, facts, s.finding));
  const masks = masked.filter((m) => m.losses?.includes(name) ?? false);
  const terms = facts.termsOf(name);
  const levels = [...own.map((s) => s.finding.level), ...masks.map((m) => (m.relaxed ? "error" : m.diagnostic.severity))];
  return {
    loss: name,
    verdict: levels.includes("error") ? "error" : levels.includes("warning") ? "risky" : "sound",
    reasons: [...new Set([...own.map((s) => s.diagnostic.code), ...masks.map((m) => m.diagnostic.code)])],
    rules: [...new Set([...own.map((s) => s.finding.rule), ...masks.map((m) => m.rule)])],
    get witness() {
      return uniqueSpans(terms.flatMap((t) => collapse.encoders.filter((e) => trainedThrough(facts, t.node).has(e.encoder)).flatMap((e) => witness(facts, t, e.encoder).map((s) => s.span))));
    },
    allowed: facts.graph.allowed.some((a) => a.what === "collapse") && levels.includes("error"),
  };
}

function aboutEncoderOf(name: string, facts: Facts, finding: Finding): boolean {
  return finding.term === undefined && (facts.termsOf(name).some((t) => trainedThrough(facts, t.node).has(finding.encoder)) || finding.rule === "E-DEAD" || finding.rule === "E-BLIND");
}

function uniqueSpans(spans: readonly Span[]): readonly Span[] {
  const seen = new Set<string>();
  return spans.filter((s) => {
    const key = `${s.file}:${s.start}-${s.end}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Rules of the collapse theory with their codes, for tools. */
export function ruleCodes(): ReadonlyMap<string, string> {
  return new Map(Object.entries(rules).map(([rule, { code }]) => [rule, code]));
}

/** An encoder that makes targets, that nothing trains and that decays is one thing to mend: of the two findings the one that says more is told, with the ways out of both. */
function targetsOnce(shown: readonly Shown[]): readonly Shown[] {
  const decaying = (other: Finding): Shown | undefined => shown.find(({ finding: { rule, term, heads } }) => rule === "W-DECAYED-TARGET" && term === other.term && other.heads.every((h) => heads.includes(h)));
  const random = shown.filter(({ finding }) => finding.rule === "W-FROZEN-TARGET" && decaying(finding) !== undefined);
  return shown.filter((s) => !random.includes(s)).map((s) => {
    const fixes = random.filter(({ finding }) => decaying(finding) === s).flatMap(({ diagnostic }) => diagnostic.fixes);
    return fixes.length === 0 ? s : { ...s, diagnostic: { ...s.diagnostic, fixes: [...fixes, ...s.diagnostic.fixes] } };
  });
}

/** Whether a dead part is an encoder of which that is told already, as of one that makes a target. */
function isOfTarget({ code, span }: Diagnostic, shown: readonly Shown[], facts: Facts): boolean {
  const part = code === "JEP4038" ? facts.graph.instances.find((i) => i.origin === span && i.role === "encoder") : undefined;
  return part !== undefined && shown.some(({ finding: { rule, heads } }) => (rule === "W-FROZEN-TARGET" || rule === "W-DECAYED-TARGET") && heads.includes(part.name));
}
