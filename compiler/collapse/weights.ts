/**
 * Protection that is there and loses: by its weight, or because a head gives back what agreement takes.
 *
 * Owns what a guard must weigh beside the agreements that dynamics do not hold, in shares that were measured. Whether there is
 * a guard at all, and how far it reaches, is for `null-test.ts`.
 */
import type { Term } from "./canonicalize.js";
import { lasting, termName } from "./canonicalize.js";
import type { Finding } from "./findings.js";
import { finding } from "./findings.js";
import type { Facts } from "./gather.js";
import { applying, cone, factOf, nodeAt, scaling, trainedThrough } from "./gather.js";
import { constantOf } from "../types/dim.js";
import type { Protector } from "./null-test.js";
import { leastShare } from "./null-test.js";
import { leastWeight } from "./terms.js";

/** An encoder that the objective protects. */
export interface Guarded {
  readonly protectors: readonly Protector[];
  /** Agreements that nothing else holds: those that guards have to hold against (in C-JEPA not its prediction, which a predictor and an average hold). */
  readonly open: () => readonly Term[];
}

/** What speaks against the weights and places of what protects an encoder. */
export function losing(facts: Facts, terms: readonly Term[], encoder: string, guarded: Guarded): Finding[] {
  const found = [...coefficients(facts, terms, encoder, guarded), ...outweighed(facts, encoder, guarded), ...givenBack(facts, encoder, guarded)];
  return found.length > 0 ? found : [...readSlowly(facts, encoder, guarded), ...narrow(facts, encoder, guarded)];
}

/**
 * Every guard reads a head of few features, and an agreement of many more lets go of the rest. Measured: with variance and covariance of 2
 * of 32 the rank falls from 13.7 to 3.1 in 300 steps.
 */
function narrow(facts: Facts, encoder: string, { protectors, open }: Guarded): Finding[] {
  const width = (id: number | undefined): number | undefined => {
    const last = nodeAt(facts, id)?.type.shape.at(-1);
    return last === undefined ? undefined : constantOf(last);
  };
  if (!protectors.every(({ because }) => spreading.has(because))) return [];
  const read = protectors.map(({ term }) => width(term.operands[0]) ?? Infinity);
  const wide = open().find((t) => t.role === "attract" && !protectors.some((p) => p.term === t) && t.operands.every((o) => (width(o) ?? 0) >= fewer * Math.max(...read)));
  const [first] = protectors;
  return wide === undefined || first === undefined ? [] : [finding("W-DIM", first.term, encoder, { heads: [], other: first.term.operands[0], detail: "narrow" })];
}

/** Guards of statistics: of no more features than they read. */
const spreading: ReadonlySet<Protector["because"]> = new Set(["variance", "normality", "negatives", "correlation"]);
/** So many times the features that are guarded are compared. */
const fewer = 8;

/**
 * Nothing but labels or actions, read by a head, beside an agreement that nothing else holds: a constant would cost them, and agreement is
 * there long before a head has learned to read. Measured over three seeds of 300 steps: with labels as heavy the spread falls from 0.26 to
 * 0.08, ten times, strangers agree to 0.94; with actions it falls from 0.86 to 0.008, and to 0.04.
 */
function readSlowly(facts: Facts, encoder: string, { protectors, open }: Guarded): Finding[] {
  const few: ReadonlySet<string | undefined> = new Set(["labels", "actions"]);
  const guards = protectors.filter(({ because, term }) => because === "anchor" && term.operands.some((o) => few.has(facts.body.nodes[o]?.type.space.kind)));
  if (guards.length === 0 || guards.length < protectors.length) return [];
  const [strongest] = guards.map(({ term }) => term).toSorted((a, b) => lasting(b) - lasting(a));
  const loses = open().some((t) => t.role === "attract" && !protectors.some((p) => p.term === t) && strongest !== undefined && lasting(strongest) <= enough * lasting(t));
  return loses ? [finding("W-WEAK-GUARD", strongest, encoder, { heads: [], other: strongest?.operands[0], detail: "read slowly" })] : [];
}

/** Agreements beside which everything that protects weighs next to nothing. Weights of VICReg and SIGReg have their own bounds. */
function outweighed(facts: Facts, encoder: string, { protectors, open }: Guarded): Finding[] {
  const shares = protectors.map((p) => ({ p, weight: strength(facts, p), least: p.because === "anchor" ? leastShare : leastWeight }));
  const [strongest] = shares.sort((a, b) => b.weight / b.least - a.weight / a.least);
  const [most] = open().filter((t) => !protectors.some((p) => p.term === t)).sort((a, b) => lasting(b) - lasting(a));
  if (strongest === undefined || most === undefined || strongest.weight >= strongest.least * lasting(most) * (1 - 1e-9)) return [];
  const detail = `${termName(strongest.p.term)} ${Number(strongest.weight.toPrecision(3))} against ${termName(most)} ${lasting(most)}`;
  return [finding("W-COEF", strongest.p.term, encoder, { heads: [], other: strongest.p.term.operands[0], detail })];
}

/** The weight of a protector in the units of its own difference: data times a small factor pull as little as a small weight. */
function strength(facts: Facts, { term, because }: Protector): number {
  if (because !== "anchor") return lasting(term);
  const gain = Math.min(1, ...term.operands.map((o) => Math.abs(factOf(facts.values, o).gain)));
  return lasting(term) * (term.kind === "mse" ? gain ** 2 : term.kind === "l1" || term.kind === "smooth_l1" ? gain : 1);
}

/** Weights of regularizers outside of what is known to work, where nothing else protects. */
function coefficients(facts: Facts, terms: readonly Term[], encoder: string, { protectors, open }: Guarded): Finding[] {
  const guards = new Set(["variance", "normality"]);
  if (protectors.some((p) => !guards.has(p.because))) return [];
  const most = (list: readonly Term[], role: Term["role"]): number => Math.max(0, ...list.filter((t) => t.role === role).map((t) => Math.max(...t.weight.points)));
  const reaching = terms.filter((t) => t.sign > 0 && trainedThrough(facts, t.node).has(encoder));
  const pairs = reaching.some((t) => t.role === "attract" || t.role === "classify");
  const against = open();
  if (pairs && against.length === 0) return [];
  const attract = most(against, "attract");
  const [variance = 0, covariance = 0, gaussian = 0] = (["variance", "covariance", "gaussian"] as const).map((role) => most(reaching, role));
  const odd: string[] = [];
  if (variance > 0 && covariance >= variance) odd.push(`covariance ${covariance} against variance ${variance}`);
  if (variance > 0 && attract / variance >= 10) odd.push(`agreement ${attract} against variance ${variance}`);
  if (attract > 0 && variance / attract >= 10) odd.push(`variance ${variance} against agreement ${attract}`);
  if (gaussian > 0 && gaussian < attract / 200) odd.push(`normality ${gaussian} against agreement ${attract}`);
  if (gaussian > 0 && attract > 0 && gaussian / attract >= 100) odd.push(`normality ${gaussian} against agreement ${attract}`);
  if (odd.length === 0) return [];
  const term = reaching.find((t) => t.role === "variance" || t.role === "gaussian");
  return [finding("W-COEF", term, encoder, { heads: [], other: term?.operands[0], detail: odd.join(", ") })];
}

/** Less than this many times an agreement, a hinge behind a head loses. Measured: as heavy, the spread falls from 0.26 to 0.07; ten times, to 0.19. */
const enough = 10;

/**
 * An agreement in front of a head with batch normalization, and every guard behind it a hinge, or a term of an author's own that
 * pairs no views: however little is left of what the agreement compares, the head gives it the deviation that the guard asks for.
 * Negatives and correlations ask for more than that.
 */
function givenBack(facts: Facts, encoder: string, { protectors, open }: Guarded): Finding[] {
  const guards = protectors.map((p) => ({ term: p.term, read: p.term.operands[0] ?? -1 }));
  const [strongest] = guards.toSorted((a, b) => lasting(b.term) - lasting(a.term));
  if (strongest === undefined || protectors.some((p) => p.because !== "variance" && p.term.role !== "repel")) return [];
  const number = (id: number): number => facts.numbers[id] ?? id;
  // Where what the hinge reads is compared as well, the head does not make its deviation of what views differ by (measured: 0.26 to 0.19).
  // A term of an author's own is read at its embeddings: what it makes of them (unit lengths) is compared above them.
  const reads = (o: number, { term, read }: (typeof guards)[number]): boolean => number(read) === number(o) || (term.own !== undefined && cone(facts, o).some((x) => number(x) === number(read)));
  if (open().some((t) => t.operands.some((o) => guards.some((guard) => reads(o, guard))))) return [];
  const scales = applying(facts.graph, scaling);
  // From what an agreement compares, through such a head, to what a guard reads.
  const behind = (read: number, from: number): boolean => cone(facts, read).some((id) => {
    const node = facts.body.nodes[id];
    return node !== undefined && scales(node) && node.args.some((arg) => cone(facts, arg).some((x) => number(x) === number(from)));
  });
  const loses = (t: Term): boolean => t.role === "attract" && lasting(strongest.term) < enough * lasting(t) && t.operands.some((from) => trainedThrough(facts, from).has(encoder) && guards.every(({ read }) => !cone(facts, from).some((x) => number(x) === number(read))))
    && guards.every(({ read }) => t.operands.some((from) => behind(read, from)));
  return open().some(loses) ? [finding("W-WEAK-GUARD", strongest.term, encoder, { heads: [], other: strongest.read, detail: "given back" })] : [];
}
