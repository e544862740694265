/**
 * Trivial values: what a loss reads when its operands are constant, or when its prediction says nothing.
 *
 * A constant embedding brings most losses to a value that is known beforehand: agreement to its minimum, codes to ln K or to
 * 0. A prediction of 0 does the same to a comparison with layer-normed targets, whose features have mean 0 and variance 1:
 * there the value is an expectation over a normal distribution. Owns those values for one loss of the program; who watches
 * them is decided in `monitors.ts`. A value is given only where it is that of the loss as the program reports it.
 */
import type { TrivialValue } from "../../runtime/abi.js";
import type { Body, LossTerm, Node, NodeId } from "../model/ir.js";
import type { LossName } from "../model/losses.js";
import { isLoss, trivialValue } from "../model/losses.js";
import { isCall, producer } from "../model/visit.js";
import { constantOf } from "../types/dim.js";
import type { Term } from "./canonicalize.js";
import { unweighted, zeroWhereEqual } from "./expand.js";
import type { Facts } from "./gather.js";
import { factOf, trainedThrough } from "./gather.js";

/** The trivial values of every loss of a program, by its name. */
export function trivialValues(facts: Facts): ReadonlyMap<string, readonly TrivialValue[]> {
  return new Map(facts.graph.losses.map((loss) => [loss.name, ofLoss(facts, loss)]));
}

function ofLoss(facts: Facts, loss: LossTerm): readonly TrivialValue[] {
  const term = termOf(facts, loss);
  if (term !== undefined) return ofTerm(facts, term);
  const [own, ...others] = facts.termsOf(loss.name);
  if (own !== undefined && others.length === 0 && zeroWhereEqual(facts.body, own.node)) return [{ value: 0, of: "constant" }];
  // Without effect, or one of several: what its kind says of a constant is true all the same.
  const value = trivialValue(loss.kind, facts.graph.body.nodes[loss.node]?.attrs.numbers ?? {});
  return value === undefined || loss.kind === "cross_entropy" ? [] : [{ value, of: "constant" }];
}

/** The term that a loss is, where it is one, and the value that the program reports is the term's own. */
function termOf(facts: Facts, loss: LossTerm): Term | undefined {
  const [term, ...others] = facts.termsOf(loss.name);
  if (term === undefined || others.length > 0) return undefined;
  if (facts.graph.body.nodes[loss.node]?.op === "loss") return term;
  const alone = term.losses.length === 1 && term.weight.points.every((p, i) => p === loss.weight.points[i]);
  return alone && unweighted(facts.body, term.node) ? term : undefined;
}

function ofTerm(facts: Facts, term: Term): readonly TrivialValue[] {
  if (term.kind === "cross_entropy") return ofCodes(facts, term);
  const constant = trivialValue(term.kind, term.numbers);
  const nothing = ofNoPrediction(facts, term);
  return [...(constant === undefined ? [] : [{ value: constant, of: "constant" as const }]), ...(nothing === undefined ? [] : [{ value: nothing, of: "no prediction" as const }])];
}

/** Codes have two constants: all codes alike, which is ln K for K of them, and one code for all, which is 0. */
function ofCodes(facts: Facts, term: Term): readonly TrivialValue[] {
  const [codes] = facts.body.nodes[term.operands[0] ?? -1]?.type.shape.slice(-1) ?? [];
  const count = codes === undefined ? undefined : constantOf(codes);
  return [{ value: 0, of: "one code" }, ...(count === undefined ? [] : [{ value: Math.log(count), of: "uniform codes" as const }])];
}

/** The value of a prediction of 0 for targets of mean 0 and variance 1, where a gradient reaches the prediction only. */
function ofNoPrediction(facts: Facts, term: Term): number | undefined {
  const [p, q] = term.operands;
  if (!isLoss(term.kind) || p === undefined || q === undefined || term.sign < 0) return undefined;
  const [viaP, viaQ] = [trainedThrough(facts, p).size > 0, trainedThrough(facts, q).size > 0];
  if (viaP === viaQ) return undefined;
  const [student, target] = viaP ? [p, q] : [q, p];
  return standardized(facts, facts.body, target) && !factOf(facts.values, student).normalized ? expectedAtZero(term.kind, term.numbers) : undefined;
}

/** Ops after which every row still has the features that it had. */
const keepsRows: ReadonlySet<string> = new Set(["stop_gradient", "at", "expand_at", "concat", "union", "slice_batch", "slice_time"]);

/** Whether each row of a value was normalized over its features last, without a learned scale. */
function standardized(facts: Facts, body: Body, id: NodeId): boolean {
  const node: Node | undefined = body.nodes[id];
  if (node === undefined) return false;
  if (node.op === "normalize") return true;
  const from = producer(body, node);
  if (isCall(from.node) && from.node.op === "call") {
    const inner = facts.graph.funcs.find((f) => f.name === from.node.attrs.func)?.body;
    const result = inner?.results[from.index];
    return inner !== undefined && result !== undefined && standardized(facts, inner, result);
  }
  return keepsRows.has(node.op) && node.args.every((arg) => standardized(facts, body, arg));
}

/**
 * E[loss(0, z)] for z of mean 0 and variance 1: exact for squares, whatever the distribution; for absolute values and for
 * smooth L1 that of a normal z, which features of a network are near.
 */
export function expectedAtZero(kind: LossName, numbers: Readonly<Record<string, number>>): number | undefined {
  switch (kind) {
    case "mse": return 1;
    case "l1": return Math.sqrt(2 / Math.PI);
    case "smooth_l1": {
      // E[z²; |z| < β] / 2β + E[|z| − β/2; |z| ≥ β], with φ(β) = e^(−β²/2)/√2π.
      const beta = numbers["beta"] ?? 1;
      if (!(beta > 0)) return Math.sqrt(2 / Math.PI);
      const density = Math.exp((-beta * beta) / 2) / Math.sqrt(2 * Math.PI);
      const inside = erf(beta / Math.SQRT2);
      return (inside - 2 * beta * density) / (2 * beta) + 2 * density - (beta / 2) * (1 - inside);
    }
    default: return undefined;
  }
}

/** The error function by its series, exact to rounding where it is not yet 1 (Abramowitz and Stegun 7.1.6). */
function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
