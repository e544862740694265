/**
 * Terms of an encoder that the objective does not protect: protection by dynamics, or how it is lost (theory, 3.4).
 *
 * Four structural facts decide: which sides of an attractive term carry a gradient; what trains on that side after the part
 * that it shares with the target; whether anything trains on the target's side; whether the target moves, and lags. Owns
 * the decision for one encoder and one term; guards that are there and do nothing are named in place of the bare verdict.
 */
import { axesOfWord, sampleBit, tokenBit } from "./axes.js";
import type { Term } from "./canonicalize.js";
import { lasting, termName } from "./canonicalize.js";
import { capacityOf } from "./capacity.js";
import { balances, sharpness, softest } from "./codes.js";
import type { Fact } from "./facts.js";
import { why } from "./facts.js";
import type { Facts } from "./gather.js";
import { applying, bends, cone, factOf, flowOf, nodeAt, sameHeads, scaling, sourcesBehind, trainedThrough } from "./gather.js";
import { isStandardized, otherFeatures } from "./null-test.js";
import { paramsAfter } from "./order.js";
import { moves } from "./groups.js";
import type { Finding } from "./findings.js";
import { finding } from "./findings.js";
import { isCall, paramPrefix, rootOf } from "../model/visit.js";

/** What holds a term: findings against it, or the mechanism by which it is sound. */
export interface Judgment {
  readonly findings: readonly Finding[];
  readonly mechanism: Mechanism | undefined;
}

/** Why a term that a constant would minimize does not lead there. */
export interface Mechanism {
  readonly kind: "predictor and average" | "predictor and stop" | "balanced codes" | "own embedding" | "anchor" | "pretrained target";
  /** Names that play a part, for the proof. */
  readonly predictor: readonly string[];
  readonly target: readonly string[];
}

/** The sides of a term in which exactly one carries a gradient. */
interface Sides {
  readonly student: number;
  readonly target: number;
}

/** Judges one attractive term that reaches an encoder. `values` are the facts with protected encoders varying. */
export function judgeTerm(facts: Facts, terms: readonly Term[], encoder: string, term: Term, values: readonly Fact[]): Judgment {
  const [p, q] = term.operands;
  if (p === undefined || q === undefined) return { findings: [], mechanism: undefined };
  const viaP = trainedThrough(facts, p);
  const viaQ = trainedThrough(facts, q);
  if (viaP.size > 0 && viaQ.size > 0) return { findings: [bothSides(facts, terms, encoder, term, viaP, viaQ, values)], mechanism: undefined };
  const sides = viaP.size > 0 ? { student: p, target: q } : { student: q, target: p };
  const extra = idleGuards(facts, terms, encoder).slice(0, 1);
  const judged = oneSide(facts, terms, encoder, term, sides, values);
  return judged.findings.some((f) => f.level === "error") ? { ...judged, findings: [...judged.findings, ...extra] } : judged;
}

function bothSides(facts: Facts, terms: readonly Term[], encoder: string, term: Term, viaP: ReadonlySet<string>, viaQ: ReadonlySet<string>, values: readonly Fact[]): Finding {
  const [p = 0, q = 0] = term.operands;
  const isEncoder = (g: string): boolean => facts.encoders.some((e) => e.name === g);
  if (viaP.has(encoder) !== viaQ.has(encoder)) {
    const [own, other] = viaP.has(encoder) ? [p, q] : [q, p];
    const [ownGroups, otherGroups] = viaP.has(encoder) ? [viaP, viaQ] : [viaQ, viaP];
    const predicts = after(facts, own, new Set([encoder])).some((g) => g !== encoder && ownGroups.has(g));
    if (!predicts && sourcesBehind(facts, other).has(encoder)) return finding("E-WRONG-SIDE", term, encoder, { heads: [...otherGroups], other });
    if (![...otherGroups].some(isEncoder)) {
      const found = finding("E-TARGET-HEAD", term, encoder, { heads: [...otherGroups], other });
      // Measured: a head that must also tell the data does not become a constant that both sides could agree on.
      return [...otherGroups].every((head) => tellsData(facts, terms, term, head, values)) ? { ...found, level: "warning" } : found;
    }
  }
  const guard = idleGuards(facts, terms, encoder)[0];
  const forced = (t: Term): boolean => t.role === "variance" && isStandardized(factOf(values, t.operands[0]));
  const weak = terms.find((t) => t.sign > 0 && (t.role === "covariance" || t.role === "decorrelate" || t.role === "balance" || forced(t)) && trainedThrough(facts, t.node).has(encoder));
  if (guard !== undefined) return { ...guard, term };
  if (weak !== undefined) return finding("E-NOGUARD", term, encoder, { heads: [], other: weak.operands[0] });
  return finding("E-SYM", term, encoder, { heads: [...new Set([...viaP, ...viaQ])], other: q });
}

/** Whether another term trains a head towards data that vary, so that a constant would cost it. */
function tellsData(facts: Facts, terms: readonly Term[], but: Term, head: string, values: readonly Fact[]): boolean {
  const isData = (id: number): boolean => (factOf(values, id).must & sampleBit) !== 0 && (factOf(values, id).why & why.data) !== 0;
  return terms.some((t) => t !== but && t.sign > 0 && (t.role === "attract" || t.role === "classify") && trainedThrough(facts, t.node).has(head)
    && t.operands.some((o) => !trainedThrough(facts, o).has(head) && isData(o)));
}

/** Regularizers that are there and do nothing for an encoder: turned round, without a gradient, along the wrong axis. */
function idleGuards(facts: Facts, terms: readonly Term[], encoder: string): Finding[] {
  const found: Finding[] = [];
  for (const t of terms) {
    if (!["variance", "gaussian", "spread", "contrast", "correlate", "correlate_diagonal", "repel"].includes(t.role)) continue;
    const reads = t.operands.some((o) => sourcesBehind(facts, o).has(encoder));
    if (!reads) continue;
    if (t.sign < 0) found.push(finding("E-GUARD-SIGN", t, encoder, { heads: [], other: t.operands[0] }));
    else if (!trainedThrough(facts, t.node).has(encoder)) found.push(finding("E-GUARD-NOGRAD", t, encoder, { heads: [], other: t.operands[0] }));
    else if ((axesOfWord(t.words["over"] ?? t.words["negatives"], sampleBit) & ~sampleBit) !== 0) found.push(finding("E-GUARD-AXIS", t, encoder, { heads: [], other: t.operands[0], detail: t.words["over"] === "time" ? "moments" : "" }));
  }
  const rank = ["E-GUARD-SIGN", "E-GUARD-NOGRAD", "E-GUARD-AXIS"];
  return found.sort((a, b) => rank.indexOf(a.rule) - rank.indexOf(b.rule));
}

function oneSide(facts: Facts, terms: readonly Term[], encoder: string, term: Term, sides: Sides, values: readonly Fact[]): Judgment {
  const target = facts.behind(sides.target);
  const moving = movingSources(facts, sides.target);
  const uninformed = uninformedTarget(facts, encoder, term, sides, values);
  if (uninformed !== undefined) return uninformed;
  if (moving.size === 0) return fixedTarget(facts, encoder, term, sides, values);
  const student = facts.behind(sides.student);
  const isMoving = (path: string): boolean => moving.has(rootOf(path));
  const shared = new Set([...target.reads].filter((p) => isMoving(p) && student.reads.has(p)));
  const targets = targetGroups(facts, sides.target);
  const own = [...student.learns].filter((p) => !target.reads.has(p));
  const lateParams = once(() => paramsAfter(facts, sides.student, shared));
  const sharedRoots = new Set([...shared].map(rootOf));
  const untied = shared.size === 0;
  const late = own.length === 0 || untied ? own : own.filter((p) => lateParams().has(p));
  const predictor = [...new Set(late.filter((p) => mixes(facts, p)).map(rootOf))];
  const shrinking = [...target.reads].map(rootOf).filter((g) => facts.groups.get(g)?.shrinks === true && sourcesBehind(facts, sides.target).has(g));
  const findings: Finding[] = [];
  if (predictor.length > 0) {
    // Sharpening its own average is a way to one code for all, and a predictor follows it there; it sharpens what is soft itself, unless that tells nothing.
    const coded = codes(facts, terms, encoder, term, sides, values);
    // Nor does it leave the one code that all images are nearest to from the start.
    const nearest = !untied && factOf(values, sides.target).code.hard;
    if (coded?.findings.some((f) => f.rule === "E-ONEHOT" || (f.rule === "E-UNBALANCED" && nearest) || (f.rule === "E-UNIFORM" && isBlunt(term, sides, values)))) return coded;
    if (shrinking.length > 0) findings.push(finding("W-DECAYED-TARGET", term, encoder, { heads: [...new Set(shrinking)], other: sides.target }));
    if (untied) {
      findings.push(finding("W-UNTIED", term, encoder, { heads: [...moving], other: sides.target }));
      return { findings, mechanism: undefined };
    }
    return withPredictor(facts, encoder, term, sides, { predictor, targets, shared, findings });
  }
  return withoutPredictor(facts, terms, encoder, term, sides, values, sharedRoots);
}

/** Whether a parameter maps features to others: an offset or a scale of each alone leaves a predictor the identity that it began as. */
function mixes(facts: Facts, path: string): boolean {
  const group = facts.groups.get(rootOf(path));
  const decl = group?.instance.params.find((p) => `${group.name}.${p.path}` === path);
  // `[1, width]` is a vector by another spelling; `[width, 1]` maps features to one.
  const first = decl?.shape.findIndex((d) => d !== 1) ?? -1;
  return decl === undefined || (first >= 0 && decl.shape.length - first > 1);
}

/** A value that is made when it is first asked for. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

interface Tied {
  readonly predictor: readonly string[];
  readonly targets: readonly string[];
  readonly shared: ReadonlySet<string>;
  readonly findings: Finding[];
}

function withPredictor(facts: Facts, encoder: string, term: Term, sides: Sides, tied: Tied): Judgment {
  const target = facts.behind(sides.target);
  const { findings } = tied;
  if (isChange(facts, sides.target)) {
    findings.push(finding("W-SLOW", term, encoder, { heads: [], other: sides.target }));
    return { findings, mechanism: undefined };
  }
  if (ofOtherFeatures(facts, sides)) {
    findings.push(finding("W-UNTIED", term, encoder, { heads: [...target.learns], other: sides.target, detail: "other features" }));
    return { findings, mechanism: undefined };
  }
  const passed = isMasked(facts, sides) ? undefined : tooFew(facts, term, sides, tied.predictor);
  if (passed !== undefined) {
    findings.push(finding("W-NARROW", term, encoder, { heads: tied.predictor, other: sides.target, detail: passed }));
    return { findings, mechanism: undefined };
  }
  const lags = [...tied.shared].some((p) => target.lagging.has(p));
  const followers = tied.targets.map((g) => facts.groups.get(g)).filter((g) => g?.state === "follows");
  // Measured over three seeds of 300 steps: where half of a masked target is the student itself, the spread falls (0.17 to 0.02 to 0.09).
  if (lags && isMasked(facts, sides) && [...tied.shared].some((p) => target.lagging.has(p) && target.direct.has(p))) {
    findings.push(finding("W-EMA-ZERO", term, encoder, { heads: [], other: sides.target, detail: "a part" }));
    return { findings, mechanism: undefined };
  }
  if (lags) {
    const quick = followers.find((g) => g?.lag === true && g.momentum !== undefined && g.momentum < 0.9);
    if (quick !== undefined) findings.push(finding("W-EMA-RANGE", term, encoder, { heads: [quick.name], other: sides.target }));
    return { findings, mechanism: { kind: "predictor and average", predictor: tied.predictor, target: tied.targets } };
  }
  // The target is the student's own first layer behind a stop: its next-embedding prediction works (NEPA).
  const trunk = [...facts.behind(sides.student).learns].some((p) => rootOf(p) === encoder && !target.reads.has(p));
  if (trunk && straightTarget(facts, sides.target)) return { findings, mechanism: { kind: "own embedding", predictor: tied.predictor, target: tied.targets } };
  const zero = followers.find((g) => g?.folded === "momentum 0");
  if (isMasked(facts, sides)) {
    findings.push(finding("W-EMA-ZERO", term, encoder, { heads: zero === undefined ? [] : [zero.name], other: sides.target }));
    if (!factOf(facts.values, sides.target).normalized) findings.push(finding("W-TARGET-NORM", term, encoder, { heads: [], other: sides.target }));
    return { findings, mechanism: undefined };
  }
  // Measured over three seeds of 300 steps: features keep one direction, by which films differ (rank 7 to 1.2); behind an average, three.
  if (predictsOverTime(facts, term)) {
    findings.push(finding("W-EMA-ZERO", term, encoder, { heads: zero === undefined ? [] : [zero.name], other: sides.target }));
    return { findings, mechanism: undefined };
  }
  const heads = turning(facts, encoder, term, sides.target);
  if (heads.length > 0) {
    findings.push(finding("W-EMA-ZERO", term, encoder, { heads, other: sides.target, detail: "behind a head" }));
    return { findings, mechanism: undefined };
  }
  if (zero !== undefined) findings.push({ ...finding("W-EMA-ZERO", term, encoder, { heads: [zero.name], other: sides.target }), level: "note" });
  return { findings, mechanism: { kind: "predictor and stop", predictor: tied.predictor, target: tied.targets } };
}

/** A prediction of no more than this share of its target's numbers does not hold the rest. */
const leastPassed = 1 / 8;
/** So few numbers hold less: no target of more than twice as many under a distance, nor of four times as many under a loss of directions. */
const fewPassed = { numbers: 16, distance: 1 / 2, direction: 1 / 4 } as const;

/**
 * What a prediction passes on beside what its target tells, in words, where that is too little. Measured over 300 steps, of 32 features of which
 * 14 directions count: under `mse` of a normalized target 1, 2, 4, 8 and 16 numbers end with strangers at the loss of a pair, 32 do not; behind an
 * average 1, 2 and 8 do; under `negative_cosine` of 1, 2, 4 and 8; so do 2 beside the value itself. Masked prediction has many places to ask, and holds through 4 and 8.
 */
function tooFew(facts: Facts, term: Term, { student, target }: Sides, predictor: readonly string[]): string | undefined {
  const own = capacityOf(facts, student, predictor).predicted;
  const { all } = capacityOf(facts, target, predictor);
  const share = own > fewPassed.numbers ? leastPassed : seesDirection(facts, term, target) ? fewPassed.direction : fewPassed.distance;
  return own > 0 && Number.isFinite(all) && own <= share * all ? `${own} of ${all} numbers` : undefined;
}

/** Whether a term compares directions, whatever their lengths. */
function seesDirection(facts: Facts, term: Term, target: number): boolean {
  const value = nodeAt(facts, target);
  const compared = value?.op === "stop_gradient" ? nodeAt(facts, value.args[0]) : value;
  return term.kind === "negative_cosine" || compared?.op === "l2_normalize";
}

/**
 * Heads between the encoder and the target of a loss of directions, none of which has statistics of the batch: they can turn all targets
 * one way, and without a lag the predictor follows there. Measured over three seeds of 300 steps, as the cosine of strangers: behind a
 * linear head that learns on both sides 0.81, 0.97, 0.98, behind one of two layers 0.996, 0.96, 0.997, behind a fixed one that another
 * program had trained 0.998, 0.72, 0.94. With batch normalization in the head, less the mean of the batch, or behind an average they stay
 * apart; so they do behind a fixed linear map. A distance sees lengths, and holds as well.
 */
function turning(facts: Facts, encoder: string, term: Term, target: number): readonly string[] {
  if (!seesDirection(facts, term, target)) return [];
  if (factOf(facts.values, target).code.center !== undefined) return [];
  const groups = after(facts, target, new Set([encoder])).flatMap((name) => facts.groups.get(name) ?? []);
  const heads = groups.filter((g) => g.name !== encoder && g.learns && g.instance.role !== "encoder" && (moves(g) || !facts.simple.has(g.name)));
  const names = new Set(heads.map((g) => g.name));
  const centers = applying(facts.graph, scaling);
  return cone(facts, target).some((id) => {
    const node = facts.body.nodes[id];
    return node !== undefined && centers(node) && (!isCall(node) || names.has(rootOf(paramPrefix(node))));
  }) ? [] : [...names];
}

/**
 * Whether what is predicted are other features than those that the prediction reads, of the same networks: nothing that is read is asked for, so
 * that both sides are as good as untied. Measured over 300 steps: strangers agree to 0.9 where each half predicts the other.
 */
function ofOtherFeatures(facts: Facts, { student, target }: Sides): boolean {
  const [read, asked] = [piecesOf(facts, student), piecesOf(facts, target)];
  return read.length > 0 && asked.length > 0 && read.every((r) => asked.every((a) => otherFeatures(facts, r, a)));
}

/** The pieces of features that a value is computed from; none where something else of what they are pieces of goes in too. */
function piecesOf(facts: Facts, id: number): readonly number[] {
  const nodes = cone(facts, id);
  const pieces = nodes.filter((at) => nodeAt(facts, at)?.op === "slice_features");
  const wholes = new Set(pieces.flatMap((at) => nodeAt(facts, at)?.args ?? []));
  const isPiece = new Set(pieces);
  return nodes.some((at) => !isPiece.has(at) && nodeAt(facts, at)?.args.some((arg) => wholes.has(arg)) === true) || wholes.has(id) ? [] : pieces;
}

/** What a value changes by from one moment to another is nothing for what does not change. Measured behind an average: the spread falls from 0.86 to 0.33. */
function isChange(facts: Facts, target: number): boolean {
  const value = nodeAt(facts, target);
  const change = value?.op === "stop_gradient" ? nodeAt(facts, value.args[0]) : value;
  const [a, b] = (change?.op === "sub" ? change.args : []).map((id) => nodeAt(facts, id));
  return a?.op === "slice_time" && b?.op === "slice_time" && facts.numbers[a.args[0] ?? -1] === facts.numbers[b.args[0] ?? -1];
}

/** No bend between the data and the target. */
function straightTarget(facts: Facts, target: number): boolean {
  const bent = applying(facts.graph, bends);
  return cone(facts, target).every((id) => {
    const node = facts.body.nodes[id];
    return node === undefined || !isCall(node) || !bent(node);
  });
}

/** Groups that are applied, on the way to a value, to what the given groups computed; those groups themselves where they go on. */
export function after(facts: Facts, id: number, sources: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const at of cone(facts, id)) {
    const node = facts.body.nodes[at];
    if (node === undefined || !isCall(node)) continue;
    const root = rootOf(paramPrefix(node));
    const fed = node.args.some((arg) => [...sourcesBehind(facts, arg)].some((g) => sources.has(g)));
    if (fed || sources.has(root)) found.add(root);
  }
  return [...found];
}

/** Sources of the moving groups that a value is computed from. */
function movingSources(facts: Facts, id: number): ReadonlySet<string> {
  const out = new Set<string>();
  for (const name of flowOf(facts, id).depends) {
    const group = facts.groups.get(name);
    if (group !== undefined && moves(group) && group.learns) out.add(group.source);
  }
  return out;
}

function targetGroups(facts: Facts, id: number): string[] {
  return [...flowOf(facts, id).depends].filter((g) => facts.groups.get(g)?.learns === true);
}

/** The target is the same for all images, whether or not it moves. */
function uninformedTarget(facts: Facts, encoder: string, term: Term, sides: Sides, values: readonly Fact[]): Judgment | undefined {
  if ((factOf(values, sides.target).may & sampleBit) !== 0) return undefined;
  return { findings: [finding("W-TARGET-UNINFORMED", term, encoder, { heads: targetGroups(facts, sides.target), other: sides.target })], mechanism: undefined };
}

/** The target never changes: fine as data, as a projection of it or as a trained network; a random network teaches little. */
function fixedTarget(facts: Facts, encoder: string, term: Term, sides: Sides, values: readonly Fact[]): Judgment {
  const names = targetGroups(facts, sides.target);
  const fact = factOf(values, sides.target);
  const other = sides.target;
  const shrinking = names.filter((g) => facts.groups.get(g)?.shrinks === true);
  if (shrinking.length > 0) {
    const random = shrinking.filter((g) => !facts.simple.has(g));
    const fixed = random.length === 0 ? [] : [finding("W-FROZEN-TARGET", term, encoder, { heads: random, other })];
    return { findings: [finding("W-DECAYED-TARGET", term, encoder, { heads: shrinking, other }), ...fixed], mechanism: undefined };
  }
  if ((fact.why & why.random) !== 0) return { findings: [finding("W-FROZEN-TARGET", term, encoder, { heads: names, other })], mechanism: undefined };
  return { findings: [], mechanism: { kind: names.length === 0 ? "anchor" : "pretrained target", predictor: [], target: names } };
}

/** Whether the student sees only a part of what the target sees of the same picture. */
function isMasked(facts: Facts, sides: Sides): boolean {
  const student = facts.sights[sides.student] ?? new Map();
  const target = facts.sights[sides.target] ?? new Map();
  return [...target].some(([source]) => {
    const own = student.get(source);
    return own !== undefined && (own.only !== undefined || own.except.length > 0);
  });
}

function withoutPredictor(facts: Facts, terms: readonly Term[], encoder: string, term: Term, sides: Sides, values: readonly Fact[], shared: ReadonlySet<string>): Judgment {
  const other = sides.target;
  const student = flowOf(facts, sides.student);
  const late = after(facts, sides.student, shared);
  const frozen = late.filter((g) => facts.groups.get(g)?.learns === true && !moves(facts.groups.get(g)) && student.depends.has(g) && !flowOf(facts, other).depends.has(g));
  if (frozen.length > 0) return { findings: [finding("E-PRED-FROZEN", term, encoder, { heads: frozen, other })], mechanism: undefined };
  const idle = [...flowOf(facts, other).depends].filter((g) => facts.groups.get(g)?.state === "idle" && !student.depends.has(g));
  const coded = codes(facts, terms, encoder, term, sides, values);
  if (coded !== undefined) return coded;
  if (idle.length > 0) {
    return { findings: [finding("E-PRED-DEAD", term, encoder, { heads: idle, other }), finding("E-NOPRED", term, encoder, { heads: [], other })], mechanism: undefined };
  }
  const fact = factOf(values, other);
  const lags = facts.behind(other).lagging.size > 0;
  if (lags && fact.code.center !== undefined && fact.code.temperature === undefined) return { findings: [finding("W-WEAK-GUARD", term, encoder, { heads: [], other })], mechanism: undefined };
  if (lags && fact.normalized && isMasked(facts, sides)) return { findings: [finding("W-NOPRED-MASKED", term, encoder, { heads: [], other })], mechanism: undefined };
  // Of its own value a prediction is no better than the value (VQ-VAE's commitment).
  const number = (id: number): number => facts.numbers[id] ?? id;
  const own = cone(facts, other).some((id) => number(id) === number(sides.student));
  return { findings: [finding("E-NOPRED", term, encoder, { heads: [], other, detail: own ? "own code" : "" })], mechanism: undefined };
}

/** Agreement of codes without a predictor: balanced, or centered and sharpened behind an average, or not held. */
function codes(facts: Facts, terms: readonly Term[], encoder: string, term: Term, sides: Sides, values: readonly Fact[]): Judgment | undefined {
  const target = factOf(values, sides.target);
  const own = factOf(values, sides.student);
  if (target.code.temperature === undefined && !target.code.hard) return undefined;
  if (term.role !== "classify" && own.code.temperature === undefined) return undefined;
  const other = sides.target;
  const { soft, warm } = sharpness(term, own, target);
  const sharp = target.code.hard || soft < warm;
  const lags = facts.behind(other).lagging.size > 0;
  const centered = target.code.center !== undefined;
  const balancers = terms.filter((t) => balances(facts, t, encoder, sides.student, warm));
  const balancing = balancers.length > 0;
  // Balanced over images and their tokens alike: the tokens of one image can satisfy it by their places alone.
  const byPlaces = balancers.every((t) => (factOf(values, t.operands[0]).may & tokenBit) !== 0);
  const targets = targetGroups(facts, other);
  const hold = (findings: Finding[]): Judgment => ({ findings, mechanism: { kind: "balanced codes", predictor: [], target: targets } });
  const lose = (rule: "E-ONEHOT" | "E-UNIFORM" | "E-UNBALANCED" | "E-CENTER-NO-EMA"): Judgment => ({ findings: [finding(rule, term, encoder, { heads: targets, other })], mechanism: undefined });
  if (balancing && !sharp) return lose("E-UNIFORM");
  // Where another head makes the target, it is not the target's codes that are kept in use. Measured: ids of one number fall (0.26 to 0.003), of all features they hold.
  if (balancing && !sameHeads(facts, sides.student, other)) return hold([finding("W-WEAK-GUARD", balancers[0], encoder, { heads: targets, other: balancers[0]?.operands[0], detail: "other codes" }), ...slightly(term, encoder, balancers)]);
  if (balancing && byPlaces) return hold([finding("W-POSITION", term, encoder, { heads: targets, other })]);
  if (balancing) return hold(slightly(term, encoder, balancers));
  if (target.code.balanced && !sharp && sameHeads(facts, sides.student, other)) return lose("E-UNIFORM");
  if (target.code.balanced) return hold([finding("W-POSITION", term, encoder, { heads: targets, other })]);
  if (!centered) return sharp && lags ? lose("E-ONEHOT") : lose("E-UNBALANCED");
  if (!sharp) return lose("E-UNIFORM");
  if (!lags) return lose("E-CENTER-NO-EMA");
  const hot = soft > 0.06 || (target.code.center ?? 0) >= 0.999;
  return hold(hot ? [finding("W-TEMP", term, encoder, { heads: targets, other })] : []);
}

/** What protects with less than this share of an agreement's weight gives way to it. Measured: contrast, correlation and pixels of 1e-6 do. */
export const leastWeight = 1e-3;

/** Whether balanced codes are so soft that they are uniform whatever the logits. */
function isBlunt(term: Term, sides: Sides, values: readonly Fact[]): boolean {
  const target = factOf(values, sides.target);
  const { soft, warm } = sharpness(term, factOf(values, sides.student), target);
  return target.code.balanced && soft > softest * warm;
}

/** A term that balances and weighs next to nothing beside the agreement. Measured: 1e-6 lets one code take all. */
function slightly(term: Term, encoder: string, balancers: readonly Term[]): Finding[] {
  const [first] = balancers;
  const most = Math.max(...balancers.map(lasting));
  const own = lasting(term);
  return first === undefined || most >= leastWeight * own ? [] : [finding("W-COEF", first, encoder, { heads: [], other: first.operands[0], detail: `${termName(first)} ${most} against ${termName(term)} ${own}` })];
}

/** Whether the two sides of a term show different moments. */
export function predictsOverTime(facts: Facts, term: Term): boolean {
  const moments = term.operands.map((o) => new Set(cone(facts, o).flatMap((id) => {
    const node = facts.body.nodes[id];
    if (node?.op === "slice_time") return [`${node.attrs.start ?? 0}`];
    return node?.op === "input" && node.type.space.kind === "pixels" && facts.episodes ? [node.attrs.path ?? ""] : [];
  })));
  const [p, q] = moments;
  return p !== undefined && q !== undefined && p.size > 0 && q.size > 0 && ([...p].some((m) => !q.has(m)) || [...q].some((m) => !p.has(m)));
}

/** Whether a value's node has tokens. */
export function hasTokens(facts: Facts, id: number | undefined): boolean {
  return nodeAt(facts, id)?.type.axes.includes("token") ?? false;
}

/** The side of a pair that never changes and is a random network, where the other one has the gradient. */
export function targetNeverChanges(facts: Facts, term: Term): number | undefined {
  const [p, q] = term.operands;
  if (p === undefined || q === undefined) return undefined;
  const [viaP, viaQ] = [trainedThrough(facts, p).size > 0, trainedThrough(facts, q).size > 0];
  if (viaP === viaQ) return undefined;
  const target = viaP ? q : p;
  return movingSources(facts, target).size === 0 && (factOf(facts.values, target).why & why.random) !== 0 ? target : undefined;
}
