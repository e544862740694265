/**
 * The collapse analysis: a checked graph in, a verdict with its reasons out.
 *
 * For every phase of the weights: the null test says which encoders the objective itself protects; the others are judged
 * term by term. A verdict is `sound` (the null test holds, or the graph is of a form that is published and works), `risky`
 * (such forms have been seen to fail, or some variation is unprotected), or `error` (training can reach the constant, or
 * cannot do what is asked). The program's verdict is the worst. What dynamics protect is never called impossible to
 * collapse: see `monitors.ts` for what is watched instead.
 */
import { sampleBit, timeBit, tokenBit } from "./axes.js";
import type { Term } from "./canonicalize.js";
import type { Fact } from "./facts.js";
import type { Finding } from "./findings.js";
import { finding } from "./findings.js";
import type { Facts } from "./gather.js";
import { cone, factOf, keepsQueue, lastModules, nodeAt, sourcesBehind, trainedThrough } from "./gather.js";
import type { Grade, Protection, Protector } from "./null-test.js";
import { gradeOf, protection, protectorsOver, refuses } from "./null-test.js";
import type { Judgment, Mechanism } from "./terms.js";
import { after, hasTokens, judgeTerm, once, predictsOverTime, targetNeverChanges } from "./terms.js";
import { improper, runaways } from "./unbounded.js";
import type { Guarded } from "./weights.js";
import { losing } from "./weights.js";
import { constantOf } from "../types/dim.js";

/** What is said of a loss or a program: it holds, it may collapse, it is refused. */
export type Verdict = "sound" | "risky" | "error";

/** What was found of one encoder. */
export interface EncoderProof {
  readonly encoder: string;
  readonly verdict: Verdict;
  /** By objective: who protects it, and how well. Empty where only dynamics do. */
  readonly protectors: readonly Protector[];
  readonly grade: Grade | undefined;
  /** By dynamics: how each attractive term is held. */
  readonly mechanisms: readonly { readonly term: Term; readonly mechanism: Mechanism }[];
  readonly findings: readonly Finding[];
}

/** The result of the analysis. */
export interface CollapseResult {
  readonly verdict: Verdict;
  readonly encoders: readonly EncoderProof[];
  /** All findings, each once. */
  readonly findings: readonly Finding[];
}

/** A term with what is found of it. */
type Judged = Judgment & { readonly term: Term };

const attracting: ReadonlySet<string> = new Set(["attract", "classify", "contrast", "correlate", "correlate_diagonal"]);
const worse: Readonly<Record<Verdict, number>> = { sound: 0, risky: 1, error: 2 };

/** The worst of some verdicts. */
export function worst(verdicts: Iterable<Verdict>): Verdict {
  let out: Verdict = "sound";
  for (const v of verdicts) if (worse[v] > worse[out]) out = v;
  return out;
}

/** The verdict that findings amount to. */
function verdictOf(findings: readonly Finding[]): Verdict {
  return worst(findings.map((f) => (f.level === "error" ? "error" : f.level === "warning" ? "risky" : "sound")));
}

/** Analyzes the facts of a program. */
export function analyzeCollapse(facts: Facts): CollapseResult {
  const all = facts.terms;
  const whole = analyzePhase(facts, all);
  const lasting = all.filter((t) => !t.ends);
  const encoders = lasting.length === all.length ? whole : withEnd(facts, whole, lasting, all);
  const general = generalFindings(facts, encoders);
  const findings = unique([...encoders.flatMap((e) => e.findings), ...general]);
  return { verdict: verdictOf(findings), encoders, findings };
}

/** What holds until the last step only: the protection that ends with a weight. */
function withEnd(facts: Facts, whole: readonly EncoderProof[], lasting: readonly Term[], all: readonly Term[]): readonly EncoderProof[] {
  const ended = analyzePhase(facts, lasting);
  return whole.map((proof) => {
    const end = ended.find((e) => e.encoder === proof.encoder);
    if (end === undefined || worse[end.verdict] <= worse[proof.verdict]) return proof;
    const term = all.find((t) => t.ends);
    const findings = [...proof.findings, finding("W-PHASE", term, proof.encoder, { heads: [], other: term?.operands[0] })];
    return { ...proof, findings, verdict: verdictOf(findings) };
  });
}

function analyzePhase(facts: Facts, terms: readonly Term[]): readonly EncoderProof[] {
  const protectedBy = protection(facts, terms);
  return facts.encoders.map((e) => judgeEncoder(facts, terms, e.name, protectedBy));
}

function judgeEncoder(facts: Facts, terms: readonly Term[], encoder: string, guard: Protection): EncoderProof {
  const protectors = guard.byEncoder.get(encoder) ?? [];
  const turned = terms.filter((t) => facts.opposes(t.node).has(encoder));
  const reaching = terms.filter((t) => trainedThrough(facts, t.node).has(encoder) && !turned.includes(t));
  const attractive = reaching.filter((t) => t.sign > 0 && attracting.has(t.role) && !t.alike);
  const findings: Finding[] = [];
  const mechanisms: { term: Term; mechanism: Mechanism }[] = [];
  if (facts.groups.get(encoder)?.state === "idle") return idleEncoder(facts, encoder);
  for (const t of terms) {
    if (t.sign < 0 && !attracting.has(t.role) && t.role !== "unknown" && t.operands.some((o) => sourcesBehind(facts, o).has(encoder))) {
      findings.push(finding("E-GUARD-SIGN", t, encoder, { heads: [], other: t.operands[0] }));
    }
    if (t.sign < 0 && (t.role === "contrast" || t.role.startsWith("correlate")) && trainedThrough(facts, t.node).has(encoder)) findings.push(finding("E-GUARD-SIGN", t, encoder, { heads: [], other: t.operands[0] }));
  }
  if (attractive.length === 0 && turned.length > 0) {
    findings.push(...turned.map((t) => against(t, encoder)));
    return { encoder, verdict: verdictOf(findings), protectors, grade: undefined, mechanisms, findings };
  }
  if (attractive.length === 0) {
    const unread = reaching.find((t) => t.role === "unknown");
    const rule = unread === undefined ? "E-NOATTRACT" : "W-UNREAD";
    findings.push(finding(rule, unread ?? reaching[0], encoder, { heads: [], other: undefined }));
    return { encoder, verdict: verdictOf(findings), protectors, grade: undefined, mechanisms, findings };
  }
  const grade = protectors.length === 0 ? undefined : gradeOf(facts, terms, encoder, protectors);
  const pairs = attractive.filter((t) => t.role === "attract" || t.role === "classify");
  const judge = (t: Term): Judged => ({ term: t, ...judgeTerm(facts, terms, encoder, t, guard.values) });
  const judged = grade === "full" ? [] : pairs.map(judge);
  const dynamic = judged.flatMap((j) => j.findings);
  for (const j of judged) if (j.mechanism !== undefined) mechanisms.push({ term: j.term, mechanism: j.mechanism });
  if (grade === undefined) findings.push(...unguarded(facts, attractive, encoder, dynamic, mechanisms));
  else findings.push(...graded(facts, terms, encoder, { protectors, grade, dynamic, held: pairs.length > 0 && mechanisms.length === pairs.length, open: once(() => pairs.filter((t) => judge(t).mechanism === undefined)) }));
  if (grade !== undefined) findings.push(...sideFindings(facts, terms, encoder, guard.values, pairs));
  // An adversary beside what protects fully is a known method (Ganin et al., 2016); what is known of dynamics is known without one.
  const level = verdictOf(findings) === "error" ? "error" : "warning";
  if (grade !== "full") findings.push(...turned.map((t) => ({ ...against(t, encoder), level }) as const));
  return { encoder, verdict: verdictOf(findings), protectors, grade, mechanisms, findings: unique(atGuards(findings)) };
}

/** A guard that is turned round is told where it stands, and not again at what it does not guard. */
function atGuards(findings: readonly Finding[]): readonly Finding[] {
  const turned = findings.some(({ rule, term }) => rule === "E-GUARD-SIGN" && (term?.sign ?? 0) < 0);
  return turned ? findings.filter(({ rule, term }) => rule !== "E-GUARD-SIGN" || (term?.sign ?? 0) < 0) : findings;
}

function against(term: Term, encoder: string): Finding {
  return finding("E-REVERSED", term, encoder, { heads: [], other: term.operands[0] });
}

/** An encoder that is declared to be trained and never is: a mistake where a loss compares what it computes. */
function idleEncoder(facts: Facts, encoder: string): EncoderProof {
  const others = facts.encoders.some((e) => e.state === "trained");
  const dead = facts.graph.losses.length > 0 && !others;
  const findings = dead ? [finding(unreached(facts, encoder), facts.terms[0], encoder, { heads: [], other: undefined })] : [];
  return { encoder, verdict: verdictOf(findings), protectors: [], grade: undefined, mechanisms: [], findings };
}

/** Why nothing trains a group: no gradient reaches it, or what is compared of it does not change with it, so that rounding is all that does. */
function unreached(facts: Facts, name: string): "E-DEAD" | "E-BLIND" {
  return facts.terms.length > 0 && facts.reachedAsWritten().has(name) ? "E-BLIND" : "E-DEAD";
}

function unguarded(facts: Facts, attractive: readonly Term[], encoder: string, dynamic: readonly Finding[], mechanisms: readonly { readonly mechanism: Mechanism }[]): Finding[] {
  // Nothing but constants to follow, and no predictor to follow them in its place: the encoder itself must become one.
  const pinned = mechanisms.length === 0 && dynamic.length > 0 && dynamic.every((f) => f.rule === "W-TARGET-UNINFORMED" && f.term !== undefined && !predicts(facts, f.term, encoder));
  const found = dynamic.map((f): Finding => (pinned ? { ...f, level: "error" } : f));
  // Contrast or correlation that does not protect here runs along the wrong axis, or reads what cannot be lost.
  for (const t of attractive) {
    if (t.role === "attract" || t.role === "classify") continue;
    const constant = t.operands.find((o) => (factOf(facts.values, o).may & sampleBit) === 0);
    const rule = keepsQueue(t) && t.operands[0] !== undefined && !trainedThrough(facts, t.operands[0]).has(encoder) ? "E-GUARD-NOGRAD" : "E-GUARD-AXIS";
    found.push(finding(constant === undefined ? rule : "W-TARGET-UNINFORMED", t, encoder, { heads: [], other: constant ?? t.operands[0] }));
  }
  const anchored = mechanisms.some((m) => m.mechanism.kind === "anchor" || m.mechanism.kind === "pretrained target");
  const held = mechanisms.some((m) => m.mechanism.kind !== "anchor" && m.mechanism.kind !== "pretrained target");
  if (anchored && !held && found.length === 0) found.push(finding("W-BYPASS", attractive[0], encoder, { heads: [], other: undefined }));
  return found;
}

/** Whether a trained map comes after the encoder on the way to a term. */
function predicts(facts: Facts, term: Term, encoder: string): boolean {
  return term.operands.some((o) => after(facts, o, new Set([encoder])).some((g) => g !== encoder && trainedThrough(facts, o).has(g)));
}

interface Graded extends Guarded {
  readonly grade: Grade;
  readonly dynamic: readonly Finding[];
  /** Every attractive term is held by dynamics as well. */
  readonly held: boolean;
}

/** What a protection that is not full leaves open, unless dynamics would hold the encoder anyway. */
function graded(facts: Facts, terms: readonly Term[], encoder: string, found: Graded): Finding[] {
  const term = found.protectors[0]?.term;
  const parts = { heads: [], other: term?.operands[0] };
  if (found.grade === "random target") {
    const fixed = found.dynamic.filter((f) => f.rule === "W-FROZEN-TARGET" || f.rule === "W-DECAYED-TARGET");
    return fixed.length > 0 ? fixed : [finding("W-FROZEN-TARGET", term, encoder, parts)];
  }
  if (found.grade === "full") return [...frozenKeys(facts, encoder, found.protectors), ...losing(facts, terms, encoder, found)];
  if (found.held && found.dynamic.every((f) => f.level === "note")) return [];
  return found.grade === "dimensional" ? [finding("W-DIM", term, encoder, parts), ...losing(facts, terms, encoder, found)] : [finding("W-WEAK-GUARD", term, encoder, parts)];
}

/** Contrast against a random network that never changes: it holds, and teaches little. */
function frozenKeys(facts: Facts, encoder: string, protectors: readonly Protector[]): Finding[] {
  const targets = protectors.map((p) => ({ term: p.term, target: targetNeverChanges(facts, p.term) }));
  const [first] = targets;
  if (first === undefined || targets.some((t) => t.target === undefined)) return [];
  const heads = [...sourcesBehindRaw(facts, first.target)].filter((g) => facts.groups.get(g)?.learns === true);
  return [finding("W-FROZEN-TARGET", first.term, encoder, { heads, other: first.target })];
}

/** Axes besides samples, vacuous terms and stopped anchors of a protected encoder. */
function sideFindings(facts: Facts, terms: readonly Term[], encoder: string, values: readonly Fact[], pairs: readonly Term[]): Finding[] {
  const found: Finding[] = [];
  const bothTrained = pairs.filter((t) => t.operands.every((o) => trainedThrough(facts, o).size > 0));
  const moving = bothTrained.filter((t) => t.operands.every((o) => sourcesBehind(facts, o).has(encoder)));
  const moments = facts.episodes || facts.body.nodes.some((n) => n.op === "slice_time");
  const overTime = moments ? moving.find((t) => predictsOverTime(facts, t)) : undefined;
  if (overTime !== undefined && protectorsOver(facts, terms, encoder, timeBit, values).length === 0) found.push(finding("W-SLOW", overTime, encoder, { heads: [], other: overTime.operands[1] }));
  const overTokens = moving.find((t) => hasTokens(facts, t.operands[0]));
  if (overTokens !== undefined && protectorsOver(facts, terms, encoder, tokenBit, values).length === 0) found.push(finding("W-POSITION", overTokens, encoder, { heads: [], other: overTokens.operands[1] }));
  for (const t of bothTrained) found.push(...vacuous(facts, terms, encoder, t, values));
  return found;
}

/** A term whose two sides end in trained heads that no other term keeps from a constant. */
function vacuous(facts: Facts, terms: readonly Term[], encoder: string, term: Term, values: readonly Fact[]): Finding[] {
  const [p, q] = term.operands;
  if ((factOf(values, p).must & sampleBit) !== 0 || (factOf(values, q).must & sampleBit) !== 0) return [];
  const isHead = (g: string): boolean => g !== encoder && !facts.encoders.some((e) => e.name === g);
  const heads = new Set([p, q].flatMap((o) => (o === undefined ? [] : [...trainedThrough(facts, o)].filter(isHead))));
  if (heads.size === 0) return [];
  const number = (id: number | undefined): number => facts.numbers[id ?? -1] ?? -1;
  const own = new Set([number(p), number(q)]);
  const trainsHead = (id: number): boolean => [...heads].some((h) => trainedThrough(facts, id).has(h));
  const counts = (t: Term): boolean => t !== term && t.sign > 0 && trainsHead(t.node);
  // A guard on the very value needs no second look.
  if (terms.some((t) => (t.role === "variance" || t.role === "gaussian") && own.has(number(t.operands[0])) && counts(t) && refuses(facts, t, trainsHead, sampleBit, values, constants) !== undefined)) return [];
  const others = terms.filter(counts);
  const last = new Set([p, q].flatMap((o) => lastModules(facts, o)).filter((g) => heads.has(g)));
  const same = new Set(facts.numbers.flatMap((n, id) => (own.has(n) ? [id] : [])));
  const lowered = facts.under({ lost: last, axis: sampleBit, values: same, vary: new Map() });
  const isHeld = others.some((t) => refuses(facts, t, trainsHead, sampleBit, values, lowered) !== undefined);
  return isHeld ? [] : [finding("W-VACUOUS", term, encoder, { heads: [...heads], other: q })];
}

/** Facts of values that are all constant. */
const constants: readonly Fact[] = [];

/** What does not hang on one encoder: whitening ranks, queues, stopped anchors, terms without an end, objectives that nothing reads. */
function generalFindings(facts: Facts, encoders: readonly EncoderProof[]): Finding[] {
  const found: Finding[] = [];
  const first = facts.encoders[0]?.name ?? facts.graph.instances[0]?.name ?? facts.graph.name;
  const whitens = facts.body.nodes.some((n) => n.op === "whiten");
  for (const term of facts.terms) {
    if (whitens) found.push(...whitening(facts, term, first));
    if (term.role === "contrast" && (term.numbers["queue"] ?? 0) > 0) found.push(...queue(facts, term, first));
    if (term.role === "unknown" && !encoders.some((e) => e.findings.some((f) => f.term === term))) found.push(finding("W-UNREAD", term, first, { heads: [], other: undefined }));
    const stopped = attracting.has(term.role) && term.sign > 0 && trainedThrough(facts, term.node).size > 0 && facts.encoders.length > 0
      && !facts.encoders.some((e) => trainedThrough(facts, term.node).has(e.name)) && term.operands.some((o) => facts.encoders.some((e) => e.state === "trained" && sourcesBehind(facts, o).has(e.name)));
    if (stopped) found.push(finding("W-ANCHOR-NOGRAD", term, first, { heads: [], other: term.operands[0] }));
  }
  // A regularizer turned round, or nothing but a subtracted agreement, is told of already.
  const told = new Set(encoders.flatMap((e) => e.findings.filter((f) => f.level === "error").map((f) => f.term)));
  found.push(...runaways(facts).filter((f) => !told.has(f.term)));
  found.push(...improper(facts));
  const trains = facts.terms.some((t) => trainedThrough(facts, t.node).size > 0);
  if (!trains && !encoders.some((e) => e.findings.some((f) => f.rule === "E-DEAD" || f.rule === "E-BLIND"))) {
    const learner = facts.graph.instances.find((i) => i.training.kind === "optimized" && i.params.some((p) => p.role === "learn"));
    found.push(finding(unreached(facts, learner?.name ?? first), facts.terms[0], learner?.name ?? first, { heads: [], other: undefined }));
  }
  return found;
}

function whitening(facts: Facts, term: Term, encoder: string): Finding[] {
  const found: Finding[] = [];
  for (const operand of term.operands) {
    for (const id of cone(facts, operand)) {
      const node = nodeAt(facts, id);
      if (node?.op !== "whiten" || node.type.axes.includes("token")) continue;
      const last = node.type.shape.at(-1);
      const width = last === undefined ? 0 : (constantOf(last) ?? 0);
      const copies = node.type.shape[0]?.terms[0]?.coefficient ?? 1;
      if (facts.recipe.batch * copies <= width) found.push(finding("E-WHITEN-RANK", term, encoder, { heads: [String(width)], other: id, detail: String(facts.recipe.batch * copies) }));
    }
  }
  return found;
}

function queue(facts: Facts, term: Term, encoder: string): Finding[] {
  const [, key] = term.operands;
  const keys = [...sourcesBehindRaw(facts, key)].flatMap((g) => facts.groups.get(g) ?? []).filter((g) => g.learns);
  const quick = keys.filter((g) => g.state === "trained" || (g.state === "follows" && (!g.lag || (g.momentum !== undefined && g.momentum < 0.9))));
  return quick.length > 0 ? [finding("W-QUEUE-STALE", term, encoder, { heads: quick.map((g) => g.name), other: key })] : [];
}

function sourcesBehindRaw(facts: Facts, id: number | undefined): ReadonlySet<string> {
  return (id === undefined ? undefined : facts.flow.nodes.get(id)?.depends) ?? new Set();
}

function unique(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>();
  return findings.filter((f) => {
    const key = `${f.rule}|${f.encoder}|${f.term?.id ?? ""}|${f.heads.join()}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

