/**
 * Canonical terms: the objective after everything that does not count is gone (canonicalization C3, C5, C7).
 *
 * Terms over equal operands are added up, so that losses that cancel do; a weight of zero drops its term; a weight below
 * zero turns it round. Operands are compared by what they compute (value numbers over the body), so writing `f(a)` twice or
 * giving it a name changes nothing. Contrast without negatives is plain agreement. A value that is compared with itself agrees
 * whatever it is: such a term is dropped, or is what it is besides (negatives, decorrelation); so is a hinge that a constant
 * fulfils. Leaves what instances are to `groups.ts`.
 */
import type { Body, Node, NodeId, Schedule } from "../model/ir.js";
import type { LossRole } from "../model/losses.js";
import { losses } from "../model/losses.js";
import type { RawTerm } from "./expand.js";
import type { Form } from "./forms.js";
import { ratio, sameValue } from "./forms.js";

/** How well a term of an author's own keeps images apart. */
export interface OwnGuard {
  readonly grade: "full" | "dimensional" | "weak";
  /** Each of the networks that it compares must vary by itself; otherwise one of them may be all that does. */
  readonly each: boolean;
}

/** A term that counts. */
export interface Term {
  readonly id: number;
  /** Losses of the program that it belongs to; several where terms were added up. */
  readonly losses: readonly string[];
  readonly kind: string;
  /** `repel`: a term of an author's own that keeps images apart (`own.ts`). */
  readonly role: LossRole | "repel" | "unknown";
  /** How it keeps images apart, where that was read off its numbers. */
  readonly own?: OwnGuard;
  readonly weight: Schedule;
  /** Of its weight, from the first step on. `ends`: it is zero at the last step. */
  readonly sign: 1 | -1;
  readonly ends: boolean;
  /** Its two sides are one value: nothing about it attracts. */
  readonly alike: boolean;
  readonly operands: readonly NodeId[];
  readonly numbers: Readonly<Record<string, number>>;
  readonly words: Readonly<Record<string, string>>;
  readonly node: NodeId;
  readonly origin: RawTerm["origin"];
}

/** What a term is called in words: its kind, or the loss that it belongs to where it is an author's own. */
export function termName({ kind, losses: [loss] }: Pick<Term, "kind" | "losses">): string {
  return kind === "custom" ? (loss ?? kind) : kind;
}

/** Terms that count, and those that do not, with the reason. */
export interface Canonical {
  readonly terms: readonly Term[];
  /** For every node, the first that computes the same. */
  readonly numbers: readonly NodeId[];
  readonly dropped: readonly { readonly term: RawTerm; readonly because: Dropped }[];
}

/** Why a term does not count. */
export type Dropped = "weight 0" | "cancels" | "same sides" | "fulfilled";

const symmetric: ReadonlySet<string> = new Set(["mse", "l1", "smooth_l1", "negative_cosine"]);

/** The canonical terms of an objective. `forms`: what the values of the body's nodes are made of. */
export function canonicalTerms(body: Body, raw: readonly RawTerm[], forms: readonly Form[]): Canonical {
  const numbers = valueNumbers(body);
  const dropped: { term: RawTerm; because: Dropped }[] = [];
  const merged = new Map<string, { first: RawTerm; weight: Schedule; names: Set<string> }>();
  for (const term of raw) {
    if (term.weight.points.every((p) => p === 0)) {
      dropped.push({ term, because: "weight 0" });
      continue;
    }
    const operands = term.operands.map((id) => numbers[id] ?? id);
    if (symmetric.has(term.kind)) operands.sort((a, b) => a - b);
    // Weights of one course add up point by point.
    const course = term.weight.points.length === 1 ? "" : JSON.stringify({ ...term.weight, points: term.weight.points.length });
    const key = JSON.stringify([term.kind, operands, Object.entries(term.numbers).sort(), Object.entries(term.words).sort(), course]);
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { first: term, weight: term.weight, names: new Set([term.loss]) });
    else merged.set(key, { first: known.first, weight: { ...known.weight, points: known.weight.points.map((p, i) => p + (term.weight.points[i] ?? 0)) }, names: known.names.add(term.loss) });
  }
  const terms: Term[] = [];
  for (const { first, weight, names } of merged.values()) {
    if (weight.points.every((p) => Math.abs(p) < 1e-12)) {
      dropped.push({ term: first, because: "cancels" });
      continue;
    }
    const { role: own, sign } = readSign(first, weight);
    const alike = isAlike(first, forms);
    if (alike && (own === "attract" || own === "correlate_diagonal")) {
      dropped.push({ term: first, because: "same sides" });
      continue;
    }
    if (own === "variance" && askedDeviation(first.numbers) <= 0) {
      dropped.push({ term: first, because: "fulfilled" });
      continue;
    }
    const role = alike && own === "correlate" ? "decorrelate" : own;
    const ends = weight.points.length > 1 && weight.points.at(-1) === 0;
    terms.push({ ...first, id: terms.length, role, losses: [...names], weight, sign, ends, alike });
  }
  return { terms, numbers, dropped };
}

/** The deviation above which a variance term is 0: `target <= sqrt(Var + eps)`, where a constant has `Var = 0`. */
function askedDeviation(numbers: RawTerm["numbers"]): number {
  const { target, eps } = { ...losses.variance.numbers, ...numbers };
  return target <= 0 ? 0 : Math.sqrt(Math.max(0, target * target - eps));
}

/** The weight of a term at the end of training; of one that ends, before. */
export function lasting(term: Pick<Term, "weight">): number {
  const { points } = term.weight;
  return Math.abs(points.at(-1) ?? 0) || Math.max(...points.map(Math.abs));
}

/** Whether a term compares a value with itself, or with what it takes for the same: lengths and offsets do not count everywhere. */
function isAlike({ kind, operands: [p = -1, q = -1, ...more] }: RawTerm, forms: readonly Form[]): boolean {
  if (q < 0 || more.length > 0 || kind === "cross_entropy") return false;
  const correlates = kind.startsWith("barlow");
  const lengths = correlates || kind === "negative_cosine" || kind === "info_nce";
  return lengths ? ratio(forms[p], forms[q], correlates) !== undefined : sameValue(forms[p], forms[q]);
}

/** The role of a term and its direction; a weight that goes below zero counts as below zero. */
function readSign(term: RawTerm, weight: Schedule): { role: Term["role"]; sign: 1 | -1 } {
  const negative = weight.points.some((p) => p < 0);
  const share = term.numbers["negative_weight"] ?? 1;
  if (term.role === "contrast" && share === 0) return { role: "attract", sign: negative ? -1 : 1 };
  if (term.role === "contrast" && share < 0) return { role: "contrast", sign: -1 };
  return { role: term.role, sign: negative ? -1 : 1 };
}

/** For every node, the first node that computes the same. */
function valueNumbers(body: Body): readonly NodeId[] {
  const first = new Map<string, NodeId>();
  const numbers: NodeId[] = [];
  for (const node of body.nodes) {
    // States remember what a batch's statistics were, and make no value of a step.
    const args = node.op === "batch_norm" ? node.args.slice(0, 1) : node.args;
    const key = `${node.op === "batch_norm" ? "batch_normalize" : node.op}(${args.map((a) => numbers[a] ?? a).join(",")})${attributeKey(node)}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, node.id);
    numbers.push(known ?? node.id);
  }
  return numbers;
}

function attributeKey(node: Node): string {
  const { attrs } = node;
  switch (node.op) {
    case "call": return `${attrs.instance ?? ""}|${attrs.func ?? ""}`;
    case "input": case "param": return attrs.path ?? "";
    case "add": case "sub": case "mul": case "div": return "";
    case "batch_norm": case "batch_normalize": return `${attrs.eps ?? ""}`;
    default: return JSON.stringify(Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
