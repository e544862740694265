/**
 * The null test: could every term of the objective still be minimal if an encoder lost an axis?
 *
 * For an encoder and an axis, the variation of its outputs (and of averages of it) over that axis is taken away, everything
 * else that trains may adapt, and each term that sends a gradient to the encoder is asked whether its minimum is still in
 * reach. One that says no protects the encoder by objective. An encoder so protected must vary, which anchors others in
 * turn, so the test runs until nothing changes. How well a protector spreads dimensions is its grade (collapse theory,
 * section 2, strength of guards). Protection by dynamics is for `terms.ts`.
 */
import { axesOfWord, sampleBit, timeBit, tokenBit } from "./axes.js";
import type { Term } from "./canonicalize.js";
import { isOneNumber } from "./blind.js";
import { balanceShare, sharpness } from "./codes.js";
import type { Fact } from "./facts.js";
import { noAssumption, why } from "./facts.js";
import type { Facts } from "./gather.js";
import { factOf, headsWithin, keepsQueue, nodeAt, sameHeads, sourcesBehind, trainedThrough } from "./gather.js";
import { isMixture } from "./mixture.js";
import { losses } from "../model/losses.js";

/** How far a protector protects: every direction; only against complete collapse; towards a frozen random network; barely. */
export type Grade = "full" | "dimensional" | "random target" | "weak";

/** A term that cannot be minimal without variation. */
export interface Protector {
  readonly term: Term;
  readonly grade: Grade;
  readonly because: "anchor" | "statistics" | "whitening" | "balance" | "encoder" | "negatives" | "correlation" | "variance" | "normality" | "neighbors" | "codes" | "repulsion";
}

/** Facts after the fixed point, and who protects whom over samples. */
export interface Protection {
  readonly byEncoder: ReadonlyMap<string, readonly Protector[]>;
  /** Facts in which protected encoders must vary. */
  readonly values: readonly Fact[];
}

/** Runs the null test over samples for every encoder, to the fixed point. `terms` may be those of one phase. */
export function protection(facts: Facts, terms: readonly Term[]): Protection {
  const byEncoder = new Map<string, readonly Protector[]>();
  const lowered = new Map(facts.encoders.map((e) => [e.name, facts.under({ lost: new Set([e.name]), axis: sampleBit, vary: noAssumption.vary })]));
  let values = facts.values;
  let vary: ReadonlyMap<string, number> = noAssumption.vary;
  const guarded = guardedValues(facts, terms);
  const seenBy = (encoder: string): readonly Fact[] => {
    const held = new Map([...guarded].filter(([id]) => !sourcesBehind(facts, id).has(encoder)));
    return held.size === 0 ? values : facts.under({ lost: new Set(), axis: 0, vary, held });
  };
  for (let round = 0; round <= facts.encoders.length; round++) {
    let grown = false;
    for (const encoder of facts.encoders) {
      if (byEncoder.has(encoder.name)) continue;
      const found = protectors(facts, terms, encoder.name, sampleBit, seenBy(encoder.name), lowered.get(encoder.name) ?? values);
      if (found.length === 0) continue;
      byEncoder.set(encoder.name, found);
      grown = true;
    }
    if (!grown || byEncoder.size === 0) break;
    vary = new Map([...byEncoder].map(([name, list]) => [name, gradeOf(facts, terms, name, list) === "full" ? why.guarded : why.partly]));
    values = facts.under({ lost: new Set(), axis: 0, vary });
  }
  return { byEncoder, values };
}

/** Values that a guard reads which no constant satisfies, and whose every encoder it trains: others have to follow them. */
function guardedValues(facts: Facts, terms: readonly Term[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  if (facts.encoders.length < 2) return found;
  for (const term of terms) {
    const [read] = term.operands;
    if (term.sign < 0 || read === undefined || !(term.role === "variance" || term.role === "gaussian" || (term.role === "repel" && term.operands.length === 1))) continue;
    const trained = trainedThrough(facts, term.node);
    const whole = facts.encoders.every((e) => !sourcesBehind(facts, read).has(e.name) || (trained.has(e.name) && !facts.opposes(term.node).has(e.name)));
    const alike: Fact[] = [];
    alike[read] = { ...factOf(facts.values, read), may: factOf(facts.values, read).may & ~sampleBit };
    const refusal = whole ? refuses(facts, term, () => true, sampleBit, facts.values, alike) : undefined;
    if (refusal === undefined || refusal.grade === "weak") continue;
    const same = (id: number | undefined): boolean => facts.numbers[id ?? -1] === facts.numbers[read];
    const spread = refusal.grade === "full" || terms.some((t) => t.sign > 0 && t.role === "covariance" && same(t.operands[0]));
    for (const node of facts.body.nodes) if (same(node.id) && found.get(node.id) !== why.guarded) found.set(node.id, spread ? why.guarded : why.partly);
  }
  return found;
}

/** Terms that keep an encoder from losing an axis. */
export function protectorsOver(facts: Facts, terms: readonly Term[], encoder: string, axis: number, values: readonly Fact[]): readonly Protector[] {
  return protectors(facts, terms, encoder, axis, values, facts.under({ lost: new Set([encoder]), axis, vary: noAssumption.vary }));
}

function protectors(facts: Facts, terms: readonly Term[], encoder: string, axis: number, values: readonly Fact[], lowered: readonly Fact[]): Protector[] {
  return terms.flatMap((term) => {
    if (term.sign < 0 || !trainedThrough(facts, term.node).has(encoder) || facts.opposes(term.node).has(encoder)) return [];
    const found = refuses(facts, term, (id) => trainedThrough(facts, id).has(encoder), axis, values, lowered);
    return found === undefined ? [] : [{ term, ...found }];
  });
}

type Refusal = Omit<Protector, "term">;

/** Why a term cannot be minimal under the lowered facts; undefined where it can. `reaches`: whether a gradient through an operand counts. */
export function refuses(facts: Facts, term: Term, reaches: (id: number) => boolean, axis: number, values: readonly Fact[], lowered: readonly Fact[]): Refusal | undefined {
  const [p, q] = term.operands;
  const low = (id: number | undefined): Fact => factOf(lowered, id);
  // What is the same for all images from the start tells a pair from no other.
  const constant = (): boolean => [p, q].some((id) => (factOf(values, id).may & rowsOf(facts, id)) === 0);
  switch (term.role) {
    case "attract": case "classify": return pairRefuses(facts, term, reaches, axis, values, lowered);
    case "repel": {
      // What the batch's statistics have standardized has no deviation left to ask for.
      if (term.own === undefined || (term.own.grade !== "full" && term.operands.every((o) => isStandardized(factOf(values, o))))) return undefined;
      return axis === sampleBit && isLost(term, lowered, axis) ? { grade: term.own.grade, because: "repulsion" } : undefined;
    }
    case "contrast": {
      if (term.own !== undefined) return axis === sampleBit && !constant() && isLost(term, lowered, axis) ? { grade: term.own.grade, because: "repulsion" } : undefined;
      if (keepsQueue(term) && p !== undefined && !reaches(p)) return pairRefuses(facts, term, reaches, axis, values, lowered);
      const over = axesOfWord(term.words["negatives"], sampleBit);
      if (constant()) return undefined;
      const lost = (low(p).may & axis) === 0 || (low(q).may & axis) === 0;
      const grade = (term.numbers["negative_weight"] ?? 1) < leastShare ? "weak" : "full";
      return (over & axis) !== 0 && lost ? { grade, because: "negatives" } : undefined;
    }
    case "correlate": case "correlate_diagonal": {
      const empty = [p, q].some((id) => (low(id).may & rowsOf(facts, id)) === 0);
      if (!empty || constant()) return undefined;
      return { grade: term.role === "correlate" && (term.numbers["lambda"] ?? 1) > 0 ? "full" : "dimensional", because: "correlation" };
    }
    case "variance": case "gaussian": {
      const over = axesOfWord(term.words["over"], sampleBit);
      if ((low(p).may & over & rowsOf(facts, p)) !== 0) return undefined;
      if (term.role === "variance" && (isStandardized(factOf(values, p)) || severalConstants(facts, p))) return undefined;
      if ((over & axis) !== 0 && isSlight(facts, term, factOf(values, p))) return { grade: "weak", because: term.role === "variance" ? "variance" : "normality" };
      return (over & axis) === 0 ? undefined : term.role === "variance" ? { grade: "dimensional", because: "variance" } : { grade: "full", because: "normality" };
    }
    case "spread": return (low(p).may & rowsOf(facts, p)) === 0 ? { grade: "weak", because: "neighbors" } : undefined;
    case "balance": {
      const share = factOf(values, p).code.hard ? 1 : (balanceShare(facts, term) ?? 0);
      return share > leastBalance && (low(p).may & rowsOf(facts, p)) === 0 ? { grade: share < 1 ? "weak" : "full", because: "codes" } : undefined;
    }
    case "covariance": case "decorrelate": case "unknown": return undefined;
  }
}

/** Whether what a term of an author's own asks for is gone: in one of its values, where each must vary by itself, or in all. */
function isLost({ own, operands }: Term, lowered: readonly Fact[], axis: number): boolean {
  const gone = (id: number): boolean => (factOf(lowered, id).may & axis) === 0;
  return own?.each === true ? operands.some(gone) : operands.every(gone);
}

/** Several constants have a deviation; that they are not decorrelated shows where a covariance term reads the same. */
function severalConstants(facts: Facts, id: number | undefined): boolean {
  const number = facts.numbers[id ?? -1];
  return id !== undefined && isMixture(facts, facts.terms, id) && !facts.terms.some((t) => t.sign > 0 && t.role === "covariance" && facts.numbers[t.operands[0] ?? -1] === number);
}

/** Negatives and data that weigh less than this share of an agreement: views of one image differ by about as much of what images differ by. */
export const leastShare = 0.1;
/** Mean entropy with this share of what it needs, or less, gives way to one code for all. */
const leastBalance = 0.5;
/** A deviation of less than this, where agreement sees units, is next to a constant. */
const leastDeviation = 0.1;
/** Losses that see lengths. */
const distances: ReadonlySet<string> = new Set(["mse", "l1", "smooth_l1"]);

/**
 * Whether a guard is content with a deviation far below what agreement can tell from none: a small target, or a large factor
 * on what it reads since the last learned map. Normalized features have a length of their own, whatever the factor.
 */
function isSlight(facts: Facts, term: Term, read: Fact): boolean {
  // Up to the end of its range, the test sees a constant as far from normal as this.
  if (term.role === "gaussian" && 1 - Math.exp(-((term.numbers["range"] ?? losses.sigreg.numbers.range) ** 2) / 2) < leastDeviation) return true;
  const target = term.role === "variance" ? (term.numbers["target"] ?? losses.variance.numbers.target) : 1;
  const compared = facts.terms.filter((t) => t.sign > 0 && distances.has(t.kind)).flatMap((t) => t.operands.map((o) => Math.abs(factOf(facts.values, o).gain)));
  return (target * Math.max(1, ...compared)) / (read.normalized ? 1 : Math.abs(read.gain)) < leastDeviation;
}

/** Its deviation over the batch is one whatever it was: a term that asks for a deviation has nothing to push. */
export function isStandardized(fact: Fact): boolean {
  return (fact.must & sampleBit) !== 0 && fact.why !== 0 && (fact.why & ~(why.standardized | why.whitened)) === 0;
}

/** Axes that the rows of a batch enumerate: images, and where there are, tokens and moments. */
function rowsOf(facts: Facts, id: number | undefined): number {
  const axes = nodeAt(facts, id)?.type.axes ?? [];
  return sampleBit | (axes.includes("token") ? tokenBit : 0) | (axes.includes("time") ? timeBit : 0);
}

/** Two sides cannot agree where one must vary and the other cannot. */
function pairRefuses(facts: Facts, term: Term, reaches: (id: number) => boolean, axis: number, values: readonly Fact[], lowered: readonly Fact[]): Refusal | undefined {
  const [p, q] = term.operands;
  for (const [own, other] of [[p, q], [q, p]]) {
    if (own === undefined || other === undefined || !reaches(own)) continue;
    const target = directional(term, factOf(values, other));
    const left = factOf(lowered, own);
    // Another input may go on varying, and tells nothing of this one: an action, of the next picture.
    const told = (left.may & axis) !== 0 && (axis !== sampleBit || left.from.split(",").some((n) => n !== "" && target.from.split(",").includes(n)));
    if ((target.must & axis) === 0 && isForced(term, factOf(values, own), axis) && (factOf(lowered, other).may & axis) === 0 && trainedThrough(facts, other).size === 0) return { grade: "dimensional", because: "statistics" };
    if ((target.must & axis) === 0 || told) continue;
    const reason = reasonOf(target.why);
    // Uniform codes are balanced too: where a stopped target is no sharper than the prediction of the same head, training goes there.
    const stopped = trainedThrough(facts, other).size === 0;
    const coded = term.role === "classify" || factOf(values, own).code.temperature !== undefined;
    if (stopped && reason.because === "balance" && coded && isUnsharp(term, factOf(values, own), target) && sameHeads(facts, own, other)) continue;
    // Rounds of Newton's method do not whiten what hardly varies: a side that is not whitened itself leads both there.
    const alone = reason.because === "whitening" && (factOf(values, own).why & why.whitened) === 0;
    return alone ? { grade: "weak", because: "whitening" } : reason;
  }
  return undefined;
}

/**
 * Whether what learns is standardized before it is compared: whatever becomes of the stopped target, its deviation is one, and a loss that cannot
 * shrink it draws the target there. Measured: batch normalization of the student alone, no predictor, spreads features (0.26 to 0.78 in 300 steps).
 */
function isForced(term: Term, own: Fact, axis: number): boolean {
  return axis === sampleBit && term.role === "attract" && isStandardized(own) && (own.why & why.whitened) === 0 && own.normalized;
}

function isUnsharp(term: Term, own: Fact, target: Fact): boolean {
  const { soft, warm } = sharpness(term, own, target);
  return !target.code.hard && soft >= warm;
}

/** A loss of directions does not see lengths: what was forced on the batch by its variance is lost on it, unless the mean is taken off and nothing done after. */
function directional(term: Term, fact: Fact): Fact {
  const angle = term.kind === "negative_cosine" || term.kind === "info_nce";
  if (angle && fact.centered) return { ...fact, must: fact.must | sampleBit, why: (fact.why & ~why.standardized) | why.centered };
  return angle && fact.why !== 0 && (fact.why & ~why.standardized) === 0 ? { ...fact, must: 0, why: 0 } : fact;
}

function reasonOf(bits: number): Refusal {
  if ((bits & why.data) !== 0) return { grade: "full", because: "anchor" };
  if ((bits & why.guarded) !== 0) return { grade: "full", because: "encoder" };
  if ((bits & why.whitened) !== 0) return { grade: "full", because: "whitening" };
  if ((bits & why.balanced) !== 0) return { grade: "full", because: "balance" };
  if ((bits & (why.standardized | why.centered)) !== 0) return { grade: "dimensional", because: "statistics" };
  if ((bits & why.partly) !== 0) return { grade: "dimensional", because: "encoder" };
  return { grade: "random target", because: "anchor" };
}

/** Whether two values are features of what the same networks make, none of them in both: what is asked of some says nothing of the others. */
export function otherFeatures(facts: Facts, o: number, g: number): boolean {
  const [a, b] = [nodeAt(facts, o), nodeAt(facts, g)];
  if (a?.op !== "slice_features" || b?.op !== "slice_features" || !sameHeads(facts, a.id, b.id)) return false;
  const [from, to] = [a.attrs.start ?? 0, b.attrs.start ?? 0];
  return from + (a.attrs.size ?? 0) <= to || to + (b.attrs.size ?? 0) <= from;
}

const order: readonly Grade[] = ["full", "dimensional", "random target", "weak"];

/** The best of several protectors; a guard of the variance together with one against correlation is full. */
export function gradeOf(facts: Facts, terms: readonly Term[], encoder: string, list: readonly Protector[]): Grade {
  const best = order.find((g) => list.some((p) => p.grade === g)) ?? "weak";
  if (best !== "dimensional") return best;
  // One number has no other that it could follow.
  if (list.some((p) => p.because === "variance" && isOneNumber(nodeAt(facts, p.term.operands[0])))) return "full";
  // Decorrelation of what another head makes asks nothing of what the guard reads: that head may shrink.
  const guarded = list.flatMap((p) => (p.grade === "dimensional" ? p.term.operands : []));
  const ofSame = (t: Term): boolean => t.operands.some((o) => guarded.some((g) => headsWithin(facts, o, g) && !otherFeatures(facts, o, g)));
  const spreads = terms.some((t) => t.sign > 0 && (t.role === "covariance" || t.role === "decorrelate" || t.role === "spread") && trainedThrough(facts, t.node).has(encoder) && ofSame(t));
  return spreads ? "full" : "dimensional";
}
