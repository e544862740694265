/**
 * Fixes of masks and leaks: the edit of a declaration, or of what a network is shown, that mends a finding.
 *
 * As with collapse, a fix is offered only where one small change is certain and the text reads as expected. Which findings
 * there are is for the analyses; this adds to what they found.
 */
import type { MaskFinding } from "../collapse/fault.js";
import type { Texts } from "../collapse/edits.js";
import { argumentSpan, replaceIn, setArgument, textAt } from "../collapse/edits.js";
import type { Term } from "../collapse/canonicalize.js";
import type { Facts } from "../collapse/gather.js";
import { cone, nodeAt, trainedThrough } from "../collapse/gather.js";
import type { Span } from "../base/span.js";
import type { Edit, Fix } from "../messages/report.js";
import type { Mask } from "../model/ir.js";
import { isCall } from "../model/visit.js";
import { whyNotApart } from "./apart.js";
import { kept } from "./draws.js";
import { sizeLaw } from "./law.js";

/** The finding with the ways out that are certain. */
export function mendMask(finding: MaskFinding, facts: Facts, texts: Texts): MaskFinding {
  if (finding.diagnostic.span.file !== facts.graph.origin.file || finding.diagnostic.fixes.length > 0) return finding;
  const fix = fixOf(finding, facts, texts);
  return fix === undefined ? finding : { ...finding, diagnostic: { ...finding.diagnostic, fixes: [fix] } };
}

function fixOf(finding: MaskFinding, facts: Facts, texts: Texts): Fix | undefined {
  const { span, related } = finding.diagnostic;
  const mask = facts.graph.masks.find((m) => same(m.origin, span));
  const term = facts.terms.find((t) => same(t.origin, span)) ?? facts.terms.find((t) => related.some((r) => same(r.span, t.origin)));
  switch (finding.rule) {
    case "M-NONTERM": return mask === undefined ? undefined : made("Lower min_keep to what every block exceeds", lowerMinKeep(mask, texts));
    case "M-OVERLAP": return mask === undefined || term === undefined ? undefined : made("Keep the masks apart", keepApart(mask, targetOf(facts, term), facts, texts));
    case "M-CTX-WORST": return mask === undefined ? undefined : made("Choose the sampler that never shares a position", neverShare(mask, facts, texts));
    case "M-LEAK": return term === undefined ? undefined : made("Hide the targets", hideTargets(facts, term, texts));
    case "M-LOSS-CTX": return term === undefined ? undefined : made("Compare at the hidden positions only", compareHidden(facts, term, texts));
    default: return undefined;
  }
}

const same = (a: Span, b: Span): boolean => a.file === b.file && a.start === b.start && a.end === b.end;

function made(title: string, edits: readonly Edit[] | undefined): Fix | undefined {
  return edits === undefined || edits.length === 0 ? undefined : { title, edits };
}

/** The largest `min_keep` that every size of the block exceeds. */
function lowerMinKeep(mask: Mask, texts: Texts): readonly Edit[] | undefined {
  if (mask.grid === undefined) return undefined;
  const smallest = Math.min(...sizeLaw({ ...mask, minKeep: 0 }, mask.grid).sizes.map((s) => s.height * s.width));
  return !Number.isFinite(smallest) || smallest < 1 ? undefined : setOption(mask, "min_keep", String(smallest - 1), texts);
}

/** An option of the mask's kind, `block(…)`. */
function setOption(mask: Mask, name: string, value: string, texts: Texts): readonly Edit[] | undefined {
  const call = /\w+\([^()]*\)/.exec(textAt(mask.origin, texts));
  if (call === null) return undefined;
  const start = mask.origin.start + call.index;
  return setArgument({ ...mask.origin, start, end: start + call[0].length }, name, value, texts);
}

/** Whether a mask, changed, always avoids what is taken out of it. */
function staysApart(mask: Mask, facts: Facts): boolean {
  const { masks } = facts.graph;
  const removed = mask.allowOverlap ? [] : mask.minus.flatMap((name) => masks.find((m) => m.name === name) ?? []);
  return mask.grid !== undefined && whyNotApart(mask, removed, kept(mask, masks, mask.grid, facts.recipe.batch)) === undefined;
}

/** `sampler: corrected` for a published block, where a place with positions is always left. */
function neverShare(mask: Mask, facts: Facts, texts: Texts): readonly Edit[] | undefined {
  if (mask.kind !== "block" || mask.sampler !== "published" || !staysApart({ ...mask, sampler: "corrected" }, facts)) return undefined;
  return setOption(mask, "sampler", "corrected", texts);
}

function targetOf(facts: Facts, term: Term): string | undefined {
  const positions = nodeAt(facts, term.operands[0])?.type.positions;
  return positions?.kind === "mask" ? positions.mask : undefined;
}

/** `minus targets`, in a way that leaves enough: with the corrected sampler where the published one would give the targets up again. */
function keepApart(mask: Mask, target: string | undefined, facts: Facts, texts: Texts): readonly Edit[] | undefined {
  if (target === undefined || mask.name === target) return undefined;
  const less = { ...mask, minus: [...new Set([...mask.minus, target])], allowOverlap: false };
  const edits = takeOut(mask, target, texts);
  if (edits === undefined || staysApart(less, facts)) return edits;
  const sampler = neverShare(less, facts, texts);
  return sampler === undefined ? undefined : [...edits, ...sampler];
}

/** `minus targets` behind the declaration; `overlap: true` away from one that says it already. */
function takeOut(mask: Mask, target: string, texts: Texts): readonly Edit[] | undefined {
  if (mask.minus.includes(target)) return mask.allowOverlap ? replaceIn(mask.origin, /,\s*overlap:\s*true/, "", texts) : undefined;
  if (mask.minus.length === 0) return [{ span: { ...mask.origin, start: mask.origin.end }, text: ` minus ${target}` }];
  const [only] = mask.minus;
  return mask.minus.length > 1 || only === undefined ? undefined : replaceIn(mask.origin, new RegExp(`(?<=\\bminus )${only}$`), `[${only}, ${target}]`, texts);
}

/** What the prediction is made from is drawn less of the targets, or picked where it is not. */
function hideTargets(facts: Facts, term: Term, texts: Texts): readonly Edit[] | undefined {
  const target = targetOf(facts, term);
  const student = term.operands.find((o) => trainedThrough(facts, o).size > 0);
  if (target === undefined || student === undefined) return undefined;
  const seen = new Set([...(facts.sights[student]?.values() ?? [])].flatMap((s) => s.only ?? []));
  const whole = facts.graph.masks.find((m) => seen.has(m.name) && m.name !== target && m.kind === "all" && m.minus.length === 0);
  if (whole !== undefined) return keepApart(whole, target, facts, texts);
  // Tokens that are picked at the targets themselves would have none left to pick from.
  if (cone(facts, student).some((id) => nodeAt(facts, id)?.op === "at" && nodeAt(facts, id)?.attrs.mask === target)) return undefined;
  const apart = facts.graph.masks.filter((m) => m.minus.includes(target) && !m.allowOverlap);
  const inputs = cone(facts, student).flatMap((id) => nodeAt(facts, id) ?? []).filter((n) => isCall(n) && n.args.some((a) => nodeAt(facts, a)?.op === "input"));
  const [mask] = apart;
  const [call] = inputs;
  if (mask === undefined || call === undefined || apart.length > 1 || inputs.length > 1) return undefined;
  const place = argumentSpan(call.origin, texts, 0);
  return place === undefined || !/^\w+$/.test(textAt(place, texts)) ? undefined : [{ span: { ...place, start: place.end }, text: ` at ${mask.name}` }];
}

function compareHidden(facts: Facts, term: Term, texts: Texts): readonly Edit[] | undefined {
  const hidden = new Set(term.operands.flatMap((o) => [...(facts.sights[o]?.values() ?? [])].flatMap((s) => s.except)));
  const [mask] = hidden;
  const places = [0, 1].map((i) => argumentSpan(term.origin, texts, i));
  if (mask === undefined || hidden.size > 1) return undefined;
  return places.every((p) => p !== undefined && /^[\w.]+(?:\(.*\))?$/s.test(textAt(p, texts))) ? places.flatMap((p) => (p === undefined ? [] : [{ span: { ...p, start: p.end }, text: ` at ${mask}` }])) : undefined;
}
