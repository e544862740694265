/**
 * Terms of an author's own: what they do to a constant embedding, found by computing them (`numbers.ts`).
 *
 * A term that is no loss of the table and no known form of one is a function of embeddings all the same. It is asked at
 * embeddings that are made up: constant ones, ones along a line, ones that fill every direction; pairs that belong together and
 * pairs that do not; and, next to a constant, which way its gradient points. From the answers it gets a role: it pairs views
 * (`attract`), keeps images apart (`repel`), does both (`contrast`), or decorrelates (`covariance`). A term that draws images
 * together is a `repel` turned round. What no answer settles stays unknown, and makes a program risky. Terms of one set of
 * embeddings are asked together, as one may have its smallest value only beside another (HaoChen et al., 2021: neither half of spectral contrast has a constant for its worst).
 * No name enters. Owns roles and grades; what they protect is for the null test.
 */
import type { Body, NodeId } from "../model/ir.js";
import type { OwnGuard, Term } from "./canonicalize.js";
import type { Fact } from "./facts.js";
import { why } from "./facts.js";
import { sampleBit } from "./axes.js";
import type { Matrix } from "./made.js";
import { constantsAt, constantsOf, halves, line, matchedLengths, moved, near, ones, scaled, spreads, towards } from "./made.js";
import type { Formula, Part } from "./numbers.js";
import { formulaOf, images } from "./numbers.js";

/** What reading a term needs to know of values. */
export interface Known {
  readonly body: Body;
  readonly values: readonly Fact[];
  /** For every node, the first that computes the same. */
  readonly numbers: readonly NodeId[];
  /** Whether a gradient at a value trains anything. */
  readonly trains: (id: NodeId) => boolean;
  /** The networks behind a value, averages under the names of their sources. */
  readonly sources: (id: NodeId) => ReadonlySet<string>;
}

/** The terms, those of role `unknown` with the role that their numbers show. */
export function readOwnTerms(terms: readonly Term[], known: Known): readonly Term[] {
  const formulas = new Map<Term, Formula>();
  for (const term of terms) {
    const formula = term.role === "unknown" ? formulaOf(known.body, term.node, (id) => known.numbers[id] ?? id) : undefined;
    if (formula !== undefined) formulas.set(term, formula);
  }
  if (formulas.size === 0 || formulas.size > mostTerms) return terms;
  const read = new Map<Term, Term>();
  for (const group of groupsOf(formulas)) for (const [term, found] of readGroup(group, known)) read.set(term, found);
  return terms.map((t) => read.get(t) ?? t);
}

/** More terms of an author's own are not read: a bound on what checking a program costs. */
const mostTerms = 24;

type Member = readonly [Term, Formula];

/** Terms that share an embedding, directly or through others. */
function groupsOf(formulas: ReadonlyMap<Term, Formula>): readonly (readonly Member[])[] {
  const groups: { readonly leaves: Set<NodeId>; readonly members: Member[] }[] = [];
  for (const member of formulas) {
    const leaves = new Set(member[1].leaves.keys());
    const touching = groups.filter((g) => [...g.leaves].some((id) => leaves.has(id)));
    for (const g of touching) groups.splice(groups.indexOf(g), 1);
    groups.push({ leaves: new Set([...leaves, ...touching.flatMap((g) => [...g.leaves])]), members: [...touching.flatMap((g) => g.members), member] });
  }
  return groups.map((g) => g.members);
}

/** Embeddings of every network; of one leaf, others. */
interface At {
  readonly live: (source: string) => Matrix;
  readonly stopped: (source: string) => Matrix;
  /** Data, where they are not what they usually are here. */
  readonly data?: Matrix;
  readonly but?: Side & { readonly is: Matrix };
}

/** What a term may compare with another: a leaf, or one view of a leaf that holds several. */
interface Side {
  readonly leaf: NodeId;
  readonly part: number | undefined;
}

/** A sum of terms as a function of embeddings. */
interface Objective {
  readonly leaves: ReadonlyMap<NodeId, boolean>;
  readonly parts: readonly Part[];
  readonly sources: readonly string[];
  /** Leaves that vary whatever is trained. */
  readonly fixed: ReadonlySet<NodeId>;
  readonly standardizes: boolean;
  readonly at: (at: At) => number;
}

function objectiveOf(members: readonly Member[], known: Known): Objective {
  const leaves = new Map<NodeId, boolean>();
  // What trains nothing is read for its value alone: that it has no gradient is told of elsewhere.
  const idle = !members.some(([t]) => known.trains(t.node));
  for (const [, f] of members) for (const [id, live] of f.leaves) leaves.set(id, leaves.get(id) === true || idle || (live && known.trains(id)));
  const names = new Map([...leaves.keys()].map((id) => [id, [...known.sources(id)].sort().join()]));
  // Data, and frozen networks of them, vary whatever is trained.
  const fixed = new Set([...leaves.keys()].filter((id) => ((known.values[id]?.must ?? 0) & sampleBit) !== 0 && ((known.values[id]?.why ?? 0) & (why.data | why.random)) !== 0));
  const at = ({ live, stopped, data = spreads()[0] ?? [], but }: At): number => members.reduce((sum, [term, formula]) => sum + weightOf(term) * formula.value((id, shape, behind) => {
    const source = names.get(id) ?? "";
    const rows = id === but?.leaf && but.part === undefined ? but.is : fixed.has(id) ? data : leaves.get(id) === true && !behind ? live(source) : stopped(source);
    return laid(rows, shape, id === but?.leaf ? but : undefined);
  }), 0);
  const sources = [...new Set([...leaves.keys()].flatMap((id) => (fixed.has(id) ? [] : [names.get(id) ?? ""])))];
  return { leaves, parts: members.flatMap(([, f]) => f.parts), fixed, sources, standardizes: members.some(([, f]) => f.ops.has("batch_normalize")), at };
}

/** The weight of a term at the end of training; of one that ends, at its largest. */
function weightOf({ weight: { points } }: Term): number {
  return points.at(-1) || points.reduce((most, p) => (Math.abs(p) > Math.abs(most) ? p : most), 0);
}

/** Rows of a matrix laid out as a leaf: its tokens are alike, further rows repeat the first, but for one view's. */
function laid(matrix: Matrix, shape: readonly number[], but: { readonly part: number | undefined; readonly is: Matrix } | undefined): Float64Array {
  const width = shape.at(-1) ?? 1;
  const inner = shape.slice(1, -1).reduce((n, d) => n * d, 1);
  const data = new Float64Array((shape[0] ?? 1) * inner * width);
  for (let i = 0; i < data.length; i++) {
    const row = Math.floor(i / (inner * width));
    const from = but !== undefined && Math.floor(row / images) === but.part ? but.is : matrix;
    data[i] = from[row % from.length]?.[i % width] ?? NaN;
  }
  return data;
}

const everywhere = (m: Matrix): At => ({ live: () => m, stopped: () => m });

/** A difference that is more than rounding. */
const counts = (by: number, beside: number): boolean => by > 1e-6 * (1e-3 + Math.abs(beside));

/** The smallest finite value over some embeddings. */
function least(f: Objective, all: readonly Matrix[]): { readonly value: number; readonly at: Matrix } {
  let best: { value: number; at: Matrix } = { value: Infinity, at: all[0] ?? [] };
  for (const m of all) {
    const value = f.at(everywhere(m));
    if (value < best.value) best = { value, at: m };
  }
  return best;
}

/** How much is lost where pairs do not belong together; for each value that is asked to agree with its partner. */
function pairing(f: Objective): ReadonlyMap<NodeId, number> {
  const lost = new Map<NodeId, number>();
  for (const leaf of f.leaves.keys()) {
    const views = f.parts.filter((part) => part.leaf === leaf);
    // Views that one call makes of a union are partners within one leaf; where only one is read, the others are not seen.
    const whole = f.leaves.size < 2 || views.length === 1 ? undefined : lostWithout(f, { leaf, part: undefined });
    if (whole !== undefined) lost.set(leaf, whole);
    else for (const { index, node } of views) {
      const by = lostWithout(f, { leaf, part: index });
      if (by !== undefined) lost.set(node, by);
    }
  }
  return lost;
}

/** How much is lost at least where one side belongs to other images; undefined where that is nothing, or the side is not asked to agree. */
function lostWithout(f: Objective, side: Side): number | undefined {
  const losses = spreads().slice(1).map((m) => {
    const together = f.at({ ...everywhere(m), data: m });
    return { by: f.at({ ...everywhere(m), data: m, but: { ...side, is: moved(scaled(m, 0), m, 1, 1) } }) - together, together };
  });
  return losses.every(({ by, together }) => counts(by, together)) && !onlyAvoids(f, side) ? Math.min(...losses.map((l) => l.by)) : undefined;
}

/**
 * Whether a side is asked to keep from the images that it does not belong to, and not to agree with its own: from where nothing
 * is alike, a step towards its own partner gains little beside what a step towards another image costs.
 */
function onlyAvoids(f: Objective, side: Side): boolean {
  const [theirs, own] = halves;
  const value = (is: Matrix): number => f.at({ ...everywhere(theirs), data: theirs, but: { ...side, is } });
  const start = value(own);
  const towardsOwn = value(moved(own, theirs, 0.1, 0)) - start;
  const apart = value(moved(own, theirs, 0.1, 1)) - start - towardsOwn;
  return counts(apart, 0) && towardsOwn > -0.25 * apart;
}

/** Which way the gradient points beside a constant, for a little more distance between images: away from it, or back. */
function parting(f: Objective, centers: readonly Matrix[], gap: number): { readonly far: boolean; readonly close: boolean; readonly back: boolean } {
  const step = 0.01;
  const found = { far: false, close: false, back: false };
  for (const center of centers) {
    for (const [distance, word] of [[0.03, "close"], [0.1, "far"], [0.3, "far"]] as const) {
      for (const m of spreads().slice(0, 2)) {
        const here = near(center, m, distance);
        const value = (by: number): number => f.at({ live: () => near(center, m, distance * by), stopped: () => here });
        const change = value(1 + step) - value(1 - step);
        if (change < -1e-6 * gap) found[word] = true;
        if (change > 1e-5 * gap) found.back = true;
      }
    }
  }
  return found;
}

/** Whether a value still falls, and ever faster, as embeddings grow: then it has no smallest. A logarithm falls by as much for each factor. */
function runsAway(f: Objective): boolean {
  return [spreads(), constantsAt.slice(-2).map((m) => scaled(m, 0.1))].some((all) => {
    const [small = 0, middle = 0, large = 0] = [1 / 3, 10, 300].map((by) => least(f, all.map((m) => scaled(m, by))).value);
    return counts(middle - large, middle) && middle - large > 1.5 * Math.abs(small - middle);
  });
}

/** How a group keeps images apart; undefined where a constant does as well, or nothing is the smallest value. */
function guardOf(f: Objective, pairs: number): OwnGuard | undefined {
  const constant = least(f, constantsAt);
  const full = least(f, towards(spreads()));
  const gap = constant.value - full.value;
  if (!Number.isFinite(gap) || !counts(gap, Math.max(Math.abs(full.value), Math.abs(constant.value))) || gap < leastShare * pairs || runsAway(f)) return undefined;
  // What still falls as a constant goes to zero has no more left to fall: zero itself fulfils it.
  if (gap < Math.abs(least(f, constantsOf(1e-3)).value - least(f, constantsOf(1e-5)).value)) return undefined;
  const parts = parting(f, constant.at[0]?.some((v) => Math.abs(v) > 0.02) === true ? [ones, constant.at] : [ones], gap);
  if (parts.back) return undefined;
  // Statistics of the batch have their value at any distance from a constant, however small.
  if (!parts.far && !f.standardizes) return { grade: "weak", each: false };
  const each = f.sources.length + f.fixed.size > 1 && f.sources.every((lost) => counts(leastWithout(f, lost) - full.value, full.value));
  return { grade: least(f, line()).value - full.value > 1e-3 * gap ? "full" : "dimensional", each };
}

/** What keeps images apart by less than this share of what pairs lose is lost beside it. */
const leastShare = 1e-3;

/** The smallest value where one network is a constant and the others are not. */
function leastWithout(f: Objective, lost: string): number {
  let best = Infinity;
  for (const constant of constantsAt) {
    for (const m of [...spreads(), constant]) {
      const of = (source: string): Matrix => (source === lost ? constant : m);
      best = Math.min(best, f.at({ live: of, stopped: of }));
    }
  }
  return best;
}

/** Whether embeddings of the same lengths are always better alike, and the gradient draws them together. */
function drawsTogether(f: Objective): boolean {
  let gap = Infinity;
  for (const length of [0.3, 1, 3]) {
    const constant = f.at(everywhere(matchedLengths(ones, length)));
    // Networks of their own may also be independent of each other.
    const apart = spreads().flatMap((m, i) => [everywhere(matchedLengths(m, length)), { live: independent(f, i, length), stopped: independent(f, i, length) }]).map((at) => f.at(at));
    if (!apart.every((value) => counts(value - constant, constant))) return false;
    gap = Math.min(gap, ...apart.map((value) => value - constant));
  }
  const parts = parting(f, [ones], gap);
  return parts.back && !parts.far;
}

function independent(f: Objective, i: number, length: number): (source: string) => Matrix {
  return (source) => matchedLengths(spreads(Math.max(0, f.sources.indexOf(source)))[i] ?? [], length);
}

/** Whether features that all say the same cost more than features that do not, where a constant costs nothing. */
function decorrelates(f: Objective): boolean {
  const [plain = []] = spreads();
  const apart = f.at(everywhere(plain));
  const constant = f.at(everywhere(constantsAt[0] ?? []));
  // Each as all others, and each as its neighbor: a term that looks at halves against each other lets a half say one thing.
  const alike = [0, 2].map((run) => f.at(everywhere(plain.map((row) => row.map((_, j) => row[run === 0 ? 0 : j - (j % run)] ?? 0)))));
  return f.sources.length === 1 && alike.every((value) => counts(value - apart, value) && !counts(apart - constant, value));
}

function readGroup(members: readonly Member[], known: Known): ReadonlyMap<Term, Term> {
  const whole = objectiveOf(members, known);
  const alone = members.map((member) => ({ term: member[0], formula: member[1], f: members.length === 1 ? whole : objectiveOf([member], known) })).map((m) => ({ ...m, pairs: pairing(m.f) }));
  const most = Math.max(0, ...alone.flatMap((m) => [...m.pairs.values()]));
  const guard = guardOf(whole, most);
  const read = new Map<Term, Term>();
  for (const { term, formula, f, pairs } of alone) {
    // What guards by itself, and not beside the others of its group, may lose to them.
    const held = guard ?? (members.length > 1 && guardOf(f, 0) !== undefined ? ({ grade: "weak", each: false } as const) : undefined);
    const leaves = [...f.leaves.keys()].filter((id) => !f.fixed.has(id));
    const [p, q, ...more] = pairs.keys();
    const numbers = {};
    if (p !== undefined && q !== undefined && (held !== undefined || more.length === 0)) {
      if (held !== undefined) read.set(term, { ...term, role: "contrast", sign: 1, operands: [p, q], numbers, words: { negatives: "images" }, own: held });
      else read.set(term, { ...term, role: "attract", sign: 1, operands: [p, q].map((id) => stopped(id, formula)) });
    } else if (held !== undefined) read.set(term, { ...term, role: "repel", sign: 1, operands: leaves, own: held });
    else if (drawsTogether(f)) read.set(term, { ...term, role: "repel", sign: -1, operands: leaves });
    else if (decorrelates(f)) read.set(term, { ...term, role: "covariance", sign: 1, operands: leaves });
  }
  return read;
}

/** A side as a term reads it: where it is read behind a stop only, that stop. */
function stopped(id: NodeId, { leaves, stops }: Formula): NodeId {
  return leaves.get(id) === false ? (stops.get(id) ?? id) : id;
}
