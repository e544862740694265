/**
 * From findings to diagnostics: names of the user's, places, and the edit that mends where it is certain.
 *
 * Owns wording that depends on the program. Rules and levels are in `findings.ts`, sentences in the catalogue. `allow
 * collapse("…")` turns refusals into warnings here; the verdict itself stays what it is.
 */
import type { Span } from "../base/span.js";
import type { Diagnostic, Fix } from "../messages/report.js";
import { report } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import type { Finding } from "./findings.js";
import { rules } from "./findings.js";
import type { Facts } from "./gather.js";
import { trainedThrough } from "./gather.js";
import { after } from "./terms.js";
import { witness } from "./witness.js";

/** Texts of files by name, for edits. */
export type Texts = ReadonlyMap<string, string>;

/** The diagnostic of a finding. `allowed`: the program allows collapse. */
export function diagnosticOf(finding: Finding, facts: Facts, texts: Texts, allowed: boolean): Diagnostic {
  const { code } = rules[finding.rule];
  const instance = facts.graph.instances.find((i) => i.name === finding.encoder);
  const span = finding.term?.origin ?? instance?.origin ?? facts.graph.origin;
  const steps = finding.term === undefined ? [] : witness(facts, finding.term, finding.encoder).slice(1);
  const params = {
    loss: lossName(finding), encoder: finding.encoder, heads: finding.detail !== "" && finding.rule === "W-COEF" ? finding.detail : finding.heads.join("`, `") || finding.encoder,
    number: finding.detail,
  };
  const severity = finding.level === "error" && allowed ? "warning" : finding.level;
  return report(code, span, params, {
    severity,
    related: dedupe(steps.map((s) => ({ span: s.span, message: s.text })), span),
    // An author who allows collapse wants it; a loss of a base that a variant inherits is not the variant's to change.
    fixes: allowed || finding.term?.origin.file !== facts.graph.origin.file ? [] : fixesOf(finding, facts, texts),
  });
}

function lossName(finding: Finding): string {
  const own = finding.term?.losses[0];
  const kind = finding.term?.kind ?? "the objective";
  return own === undefined || own === kind || own.startsWith(kind) ? kind : kind === "custom" ? own : `${kind}\` of \`${own}`;
}

function dedupe<T extends { readonly span: Span; readonly message: string }>(list: readonly T[], own: Span): T[] {
  const seen = new Set([`${own.file}:${own.start}-${own.end}`]);
  return list.filter((x) => {
    const key = `${x.span.file}:${x.span.start}-${x.span.end}`;
    if (seen.has(key) || isLibraryName(x.span.file)) return false;
    seen.add(key);
    return true;
  });
}

/** A stop around the side without a predictor, where the other side has one and a stop is all that is missing. */
function fixesOf(finding: Finding, facts: Facts, texts: Texts): Fix[] {
  const { term } = finding;
  if (finding.rule !== "E-SYM" || term === undefined || term.operands.length !== 2) return [];
  const sides = term.operands.map((o) => after(facts, o, new Set([finding.encoder])).filter((g) => g !== finding.encoder && trainedThrough(facts, o).has(g)));
  const [left = [], right = []] = sides;
  const only = (a: readonly string[], b: readonly string[]): boolean => a.some((g) => !b.includes(g)) && b.every((g) => a.includes(g));
  const index = only(left, right) ? 1 : only(right, left) ? 0 : undefined;
  if (index === undefined) return [];
  const place = argumentSpan(term.origin, texts, index);
  if (place === undefined) return [];
  return [{
    title: "Stop the gradient of the target",
    edits: [{ span: { ...place, end: place.start }, text: "stopgrad(" }, { span: { ...place, start: place.end }, text: ")" }],
  }];
}

/** The place of one argument in the text of a call `name(a, b, …)`. */
function argumentSpan(call: Span, texts: Texts, index: number): Span | undefined {
  const text = texts.get(call.file)?.slice(call.start, call.end);
  const open = text?.indexOf("(") ?? -1;
  if (text === undefined || open < 0 || !/^\s*\w+\s*\(/.test(text)) return undefined;
  let depth = 0;
  let start = open + 1;
  let argument = 0;
  for (let i = open; i < text.length; i++) {
    const c = text[i] ?? "";
    if ("([{".includes(c)) depth++;
    if (")]}".includes(c)) depth--;
    if ((depth !== 1 || c !== ",") && depth !== 0) continue;
    if (argument === index) {
      const raw = text.slice(start, i);
      const lead = raw.length - raw.trimStart().length;
      return { ...call, start: call.start + start + lead, end: call.start + start + raw.trimEnd().length };
    }
    if (depth === 0) return undefined;
    argument++;
    start = i + 1;
  }
  return undefined;
}
