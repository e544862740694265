/**
 * The arithmetic of the losses over a batch: contrast, correlation, variance, covariance, normality, spread, balance.
 *
 * Each formula is that of its paper, cited at the rule; where a paper's code and text differ, the code's choice is said.
 * All run over `[groups, n, features]` as `stats.ts` lays it out. Leaves losses that compare element by element to
 * `losses.ts`.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { constantDim, constantOf, mul } from "../types/dim.js";
import type { LossArgs, LossRule } from "./losses.js";
import type { Samples } from "./stats.js";
import { centered, complement, eye, gram, l2Normalize, logSumExp, meanAll, perCount, perFreedom, rowAxis, rowCount, samples, standardized, sumAll, sumFeatures } from "./stats.js";

function operand(args: LossArgs, i: number): ValueId {
  const x = args.operands[i];
  if (x === undefined) throw new Error(`a loss has no operand ${i}`);
  return x;
}

function along(b: FuncBuilder, args: LossArgs, i: number, word: string): Samples {
  return samples(b, operand(args, i), args.axes, args.word(word));
}

function features(s: Samples): number {
  const n = constantOf(s.width);
  if (n === undefined) throw new Error("the number of features must be known");
  return n;
}

/** A number that no cosine divided by a temperature reaches: it takes a row's own column out of a softmax. */
const farBelow = -1e9;

/** Queries against keys (van den Oord 2018, eq. 4), or both views against all other rows of both (SimCLR eq. 1). */
const infoNce: LossRule = (b, args) => {
  const tau = 1 / args.number("temperature");
  if (args.number("queue") > 0) return overQueue(b, args, tau);
  const q = along(b, args, 0, "negatives");
  const k = along(b, args, 1, "negatives");
  const query = l2Normalize(b, q.x, 1e-12);
  const key = l2Normalize(b, k.x, 1e-12);
  const agree = b.op("scale", [sumFeatures(b, b.op("mul", [query, key]))], { by: tau });
  const repel = (scores: ValueId): ValueId => b.op("scale", [meanAll(b, logSumExp(b, scores, b.shapeOf(scores).length - 1))], { by: args.number("negative_weight") });
  if (args.word("candidates") === "keys") {
    const scores = b.op("scale", [b.op("matmul", [query, key], { ta: false, tb: true })], { by: tau });
    return b.op("sub", [repel(scores), meanAll(b, agree)]);
  }
  const all = b.op("concat", [query, key], { axis: rowAxis(q) });
  const scores = b.op("scale", [b.op("matmul", [all, all], { ta: false, tb: true })], { by: tau });
  const self = b.op("scale", [eye(b, mul(q.n, constantDim(2)))], { by: farBelow });
  return b.op("sub", [repel(b.op("add", [scores, self])), meanAll(b, agree)]);
};

/**
 * Every query against its own key and the keys of earlier steps (MoCo eq. 1 and algorithm 1): the other keys of the step are no negatives,
 * and only the queries feel the repulsion, as no gradient reaches a queue. The step's keys then join the queue, normalized.
 */
function overQueue(b: FuncBuilder, args: LossArgs, tau: number): ValueId {
  const q = samples(b, operand(args, 0), args.axes, "all");
  const query = l2Normalize(b, q.x, 1e-12);
  const key = l2Normalize(b, samples(b, operand(args, 1), args.axes, "all").x, 1e-12);
  const queue = args.queue(args.number("queue"), features(q));
  const agree = b.op("scale", [sumFeatures(b, b.op("mul", [query, key]))], { by: tau });
  const others = b.op("scale", [b.op("matmul", [query, queue.rows], { ta: false, tb: true })], { by: tau });
  queue.push(key);
  const all = logSumExp(b, b.op("concat", [agree, others], { axis: 1 }), 1);
  return b.op("sub", [b.op("scale", [meanAll(b, all)], { by: args.number("negative_weight") }), meanAll(b, agree)]);
}

/** c = standardized(a)ᵀ standardized(b) / n (Barlow Twins eq. 2). */
function crossCorrelation(b: FuncBuilder, args: LossArgs): { c: ValueId; identity: ValueId } {
  const x = samples(b, operand(args, 0), args.axes, "all");
  const y = samples(b, operand(args, 1), args.axes, "all");
  const c = perCount(b, gram(b, standardized(b, x, 1e-5), standardized(b, y, 1e-5)), x.n);
  return { c, identity: eye(b, x.width) };
}

const onDiagonal = (b: FuncBuilder, c: ValueId, identity: ValueId): ValueId => sumAll(b, b.op("square", [b.op("mul", [b.op("sub", [c, identity]), identity])]));
const offDiagonal = (b: FuncBuilder, c: ValueId, identity: ValueId): ValueId => sumAll(b, b.op("square", [b.op("mul", [c, complement(b, identity)])]));

/** Mean over features of max(0, target − sqrt(Var + eps)) (VICReg eq. 1). */
const variance: LossRule = (b, args) => {
  const s = along(b, args, 0, "over");
  const squares = b.op("sum", [b.op("square", [centered(b, s)])], { axes: [rowAxis(s)], keep: false });
  const std = b.op("sqrt", [b.op("shift", [perFreedom(b, squares, s.n)], { by: args.number("eps") })]);
  return meanAll(b, b.op("relu", [b.op("shift", [b.op("neg", [std])], { by: args.number("target") })]));
};

/** Σ of squared off-diagonal covariances over features (VICReg eq. 3), mean over groups. */
const covariance: LossRule = (b, args) => {
  const s = along(b, args, 0, "over");
  const x = centered(b, s);
  const c = perFreedom(b, gram(b, x, x), s.n);
  const off = b.op("square", [b.op("mul", [c, complement(b, eye(b, s.width))])]);
  // The mean over all D² entries times D is the sum over D² entries over D, mean over groups.
  return b.op("scale", [meanAll(b, off)], { by: features(s) });
};

/**
 * The Epps-Pulley test on random directions (LeJEPA, SIGReg): n ∫ |φₙ(t) − φ(t)|² φ(t) dt with φ(t) = e^(−t²/2), by the
 * trapezoid rule. The integrand is even, so the half line is summed and doubled; at 0 both sides are 1.
 */
const sigreg: LossRule = (b, args) => {
  const s = along(b, args, 0, "over");
  const raw = args.draw([features(s), args.number("directions")]);
  const length = b.op("rsqrt", [b.op("sum", [b.op("square", [raw])], { axes: [0], keep: true })]);
  const projected = b.op("matmul", [s.x, b.op("mul", [raw, length])], { ta: false, tb: false });
  const points = args.number("points");
  const range = args.number("range");
  const step = (2 * range) / (points - 1);
  const mean = (x: ValueId): ValueId => b.op("mean", [x], { axes: [rowAxis(s)], keep: false });
  let total: ValueId | undefined;
  for (let i = points - 1; i >= 0; i--) {
    const t = -range + i * step;
    if (t <= 1e-12) break;
    const phi = Math.exp((-t * t) / 2);
    const scaled = b.op("scale", [projected], { by: t });
    const real = b.op("shift", [mean(b.op("cos", [scaled]))], { by: -phi });
    const error = b.op("add", [b.op("square", [real]), b.op("square", [mean(b.op("sin", [scaled]))])]);
    const term = b.op("scale", [error], { by: 2 * phi * step * (i === points - 1 ? 0.5 : 1) });
    total = total === undefined ? term : b.op("add", [total, term]);
  }
  if (total === undefined) throw new Error("sigreg needs two points");
  return b.op("scale_dim", [meanAll(b, total)], { num: s.n, den: constantDim(1) });
};

/**
 * −mean log of the distance to the nearest other row on the unit sphere (KoLeo; DINOv2's code). Who is nearest is read off the
 * cosines; how far it is, off the difference: of rows that lie close, 2 − 2 cos is rounding alone in 32 bits.
 */
const koleo: LossRule = (b, args) => {
  const s = samples(b, operand(args, 0), args.axes, "all");
  const z = l2Normalize(b, s.x, 1e-12);
  const cosines = b.op("matmul", [z, z], { ta: false, tb: true });
  const others = b.op("stop_gradient", [b.op("add", [cosines, b.op("scale", [eye(b, s.n)], { by: farBelow })])]);
  const chosen = complement(b, b.op("less", [others, b.op("reduce_max", [others], { axes: [1], keep: true })]));
  // Of several that are as near, their mean.
  const nearest = b.op("div", [b.op("matmul", [chosen, z], { ta: false, tb: false }), sumFeatures(b, chosen)]);
  const squared = sumFeatures(b, b.op("square", [b.op("sub", [z, nearest])]));
  return b.op("scale", [meanAll(b, b.op("log", [b.op("shift", [squared], { by: args.number("eps") })]))], { by: -0.5 });
};

/** Σ p̄ log p̄ with p̄ the mean over all rows. */
function negativeEntropyOfMean(b: FuncBuilder, p: ValueId): ValueId {
  const width = b.shapeOf(p).at(-1) ?? constantDim(1);
  const flat = b.op("reshape", [p], { shape: [rowCount(b.shapeOf(p)), width] });
  const mean = b.op("mean", [flat], { axes: [0], keep: false });
  return sumAll(b, b.op("mul", [mean, b.op("log", [b.op("shift", [mean], { by: 1e-12 })])]));
}

/** Rules by the names of `model/losses.ts`. */
export const batchLossRules = {
  info_nce: infoNce,
  barlow: (b, args) => {
    const { c, identity } = crossCorrelation(b, args);
    return b.op("add", [onDiagonal(b, c, identity), b.op("scale", [offDiagonal(b, c, identity)], { by: args.number("lambda") })]);
  },
  barlow_diagonal: (b, args) => {
    const { c, identity } = crossCorrelation(b, args);
    return onDiagonal(b, c, identity);
  },
  barlow_off_diagonal: (b, args) => {
    const { c, identity } = crossCorrelation(b, args);
    return offDiagonal(b, c, identity);
  },
  variance, covariance, sigreg, koleo,
  mean_entropy: (b, args) => negativeEntropyOfMean(b, operand(args, 0)),
  diversity: (b, args) => b.op("scale", [negativeEntropyOfMean(b, operand(args, 0))], { by: 1 / (constantOf(b.shapeOf(operand(args, 0)).at(-1) ?? constantDim(1)) ?? 1) }),
} satisfies Readonly<Record<string, LossRule>>;
