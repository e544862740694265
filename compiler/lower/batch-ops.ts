/**
 * Lowering of the ops that look across the batch or keep state.
 *
 * A state op reads running statistics as the step before has left them, and says what it alone would make of them. Alone
 * (probes, export) statistics stand still: batch norm uses the running ones. No gradient passes through state. Owns the
 * arithmetic; what several uses make of one state is in `body.ts`.
 */
import type { Node } from "../model/ir.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { add, constantDim, constantOf } from "../types/dim.js";
import type { Queue } from "./queues.js";
import { centered, complement, eye, gram, l2Normalize, logSumExp, perFreedom, rowCount, samples, standardized, sumFeatures } from "./stats.js";

/** Reading and moving state, as the body under construction has it. */
export interface StateCx {
  /** True in training; false where an encoder runs alone. */
  readonly training: boolean;
  /** The state that operand `i` names, as the step before has left it. */
  read(i: number): ValueId;
  /** Says what this use alone would make of it. */
  write(i: number, value: ValueId): void;
}

const still = (b: FuncBuilder, x: ValueId): ValueId => b.op("stop_gradient", [x]);

/** `(1 - m) old + m now`. */
function moved(b: FuncBuilder, old: ValueId, now: ValueId, m: number): ValueId {
  return still(b, b.op("add", [b.op("scale", [old], { by: 1 - m }), b.op("scale", [now], { by: m })]));
}

function leadingAxes(b: FuncBuilder, x: ValueId): number[] {
  return b.shapeOf(x).slice(0, -1).map((_, i) => i);
}

/** Batch normalization without its affine part: biased variance to normalize, unbiased for the running one (as PyTorch). */
export function lowerBatchNorm(b: FuncBuilder, x: ValueId, node: Node, state: StateCx): ValueId {
  const eps = node.attrs.eps ?? 1e-5;
  const rstd = (variance: ValueId): ValueId => b.op("rsqrt", [b.op("shift", [variance], { by: eps })]);
  if (!state.training) return b.op("mul", [b.op("sub", [x, state.read(1)]), rstd(state.read(2))]);
  const axes = leadingAxes(b, x);
  const m = node.attrs.momentum ?? 0.1;
  const mean = b.op("mean", [x], { axes, keep: false });
  const deviation = b.op("sub", [x, mean]);
  const variance = b.op("mean", [b.op("square", [deviation])], { axes, keep: false });
  const n = rowCount(b.shapeOf(x));
  const unbiased = b.op("scale_dim", [still(b, variance)], { num: n, den: add(n, constantDim(-1)) });
  state.write(1, moved(b, state.read(1), still(b, mean), m));
  state.write(2, moved(b, state.read(2), unbiased, m));
  return b.op("mul", [deviation, rstd(variance)]);
}

/** `x - c`, then `c <- m c + (1 - m) mean(x)` (DINO eq. 4): the center of this batch serves the next. */
export function lowerCenter(b: FuncBuilder, x: ValueId, node: Node, state: StateCx): ValueId {
  const center = state.read(1);
  const out = b.op("sub", [x, still(b, center)]);
  if (state.training) {
    const mean = b.op("mean", [still(b, x)], { axes: leadingAxes(b, x), keep: false });
    state.write(1, moved(b, center, mean, 1 - (node.attrs.momentum ?? 0.9)));
  }
  return out;
}

/** Each feature standardized over everything else: batch normalization without affine part or running statistics. */
export function lowerBatchNormalize(b: FuncBuilder, x: ValueId, node: Node): ValueId {
  const shape = b.shapeOf(x);
  return b.op("reshape", [standardized(b, samples(b, x, [], "all"), node.attrs.eps ?? 1e-5)], { shape });
}

/**
 * ZCA whitening by Newton's iteration (Huang et al., IterNorm, 2019, eq. 6): with S the covariance shrunk towards the
 * identity by `eps` (as W-MSE's code does) and C = S / tr S, P <- (3 P - P³ C) / 2 tends to C^(-1/2). As it stands, what
 * rounding puts beside C's eigenvectors grows from round to round; coupled to Y = C P (Higham, Functions of Matrices, 2008,
 * eq. 6.35) P takes the same values, and the error stays: T = (3 - P Y) / 2, Y <- Y T, P <- T P.
 */
export function lowerWhiten(b: FuncBuilder, x: ValueId, node: Node): ValueId {
  const s = samples(b, x, [], "all");
  const eps = node.attrs.eps ?? 1e-3;
  const iterations = node.attrs.iterations ?? 1;
  const product = (p: ValueId, q: ValueId): ValueId => b.op("matmul", [p, q], { ta: false, tb: false });
  const deviation = centered(b, s);
  const identity = eye(b, s.width);
  const threeHalves = b.op("scale", [identity], { by: 1.5 });
  const shrunk = b.op("add", [b.op("scale", [perFreedom(b, gram(b, deviation, deviation), s.n)], { by: 1 - eps }), b.op("scale", [identity], { by: eps })]);
  const trace = b.op("sum", [b.op("mul", [shrunk, identity])], { axes: [0, 1], keep: true });
  let y = b.op("div", [shrunk, trace]);
  let p = identity;
  for (let i = 0; i < iterations; i++) {
    const t = b.op("sub", [threeHalves, b.op("scale", [i === 0 ? y : product(p, y)], { by: 0.5 })]);
    p = i === 0 ? t : product(t, p);
    if (i < iterations - 1) y = product(y, t);
  }
  const whitened = product(deviation, b.op("mul", [p, b.op("rsqrt", [trace])]));
  return b.op("reshape", [whitened], { shape: b.shapeOf(x) });
}

/**
 * Sinkhorn-Knopp on e^(scores / temperature): codes used equally often, rows that sum to one (SwAV 3.1 and its code). Kept as
 * logarithms: at a small temperature all of a code's entries may be nought in float32, and their share nought over nought.
 */
export function lowerSinkhorn(b: FuncBuilder, x: ValueId, node: Node): ValueId {
  const s = samples(b, x, [], "all");
  let q = b.op("scale", [s.x], { by: 1 / (node.attrs.temperature ?? 0.05) });
  for (let i = 0; i < (node.attrs.iterations ?? 3); i++) for (const axis of [0, 1]) q = b.op("sub", [q, logSumExp(b, q, axis)]);
  return b.op("reshape", [b.op("exp", [q])], { shape: b.shapeOf(x) });
}

/** One-hot of the nearest code; the gradient is that of a softmax over minus squared distances (straight-through). */
export function lowerAssign(b: FuncBuilder, x: ValueId, codebook: ValueId, node: Node): ValueId {
  const last = b.shapeOf(x).length - 1;
  const norms = b.op("sum", [b.op("square", [codebook])], { axes: [1], keep: false });
  const flat = samples(b, x, [], "all");
  const product = b.op("matmul", [flat.x, codebook], { ta: false, tb: true });
  // |x|² is the same for every code.
  const scores = b.op("scale", [b.op("sub", [b.op("scale", [product], { by: 2 }), norms])], { by: 1 / (node.attrs.temperature ?? 1) });
  const soft = b.op("softmax", [scores]);
  const hard = complement(b, b.op("less", [scores, b.op("reduce_max", [scores], { axes: [1], keep: true })]));
  const through = b.op("add", [soft, still(b, b.op("sub", [hard, soft]))]);
  const codes = b.shapeOf(codebook)[0] ?? constantDim(1);
  return b.op("reshape", [through], { shape: [...b.shapeOf(x).slice(0, last), codes] });
}

/**
 * The row of the queue with the largest cosine (NNCLR, Dwibedi et al., 2021, eq. 2), as a row of length 1; of several that are as near, their mean.
 * Rows of this step are looked at by later ones only, so that nobody is a neighbor of its own.
 */
export function lowerNearest(b: FuncBuilder, x: ValueId, queue: Queue): ValueId {
  const z = still(b, l2Normalize(b, x, 1e-12));
  const cosines = b.op("matmul", [z, queue.rows], { ta: false, tb: true });
  const chosen = complement(b, b.op("less", [cosines, b.op("reduce_max", [cosines], { axes: [1], keep: true })]));
  queue.push(z);
  return still(b, b.op("div", [b.op("matmul", [chosen, queue.rows], { ta: false, tb: false }), sumFeatures(b, chosen)]));
}

/** The tokens of a mask replaced by one vector: `x (1 - m) + vector m` with m one at the mask's positions, of a clip in all frames. */
export function lowerReplace(b: FuncBuilder, x: ValueId, vector: ValueId, index: ValueId): ValueId {
  const [rows, ...rest] = b.shapeOf(x);
  const [tokens, width] = rest.slice(-2);
  if (rows === undefined || tokens === undefined || width === undefined || constantOf(width) === undefined) throw new Error("tokens to replace need three axes, or four of a clip");
  const hits = b.op("sum", [b.op("one_hot", [index], { size: tokens })], { axes: [1], keep: false });
  const chosen = b.op("reshape", [b.op("min", [hits, b.fill([], 1)])], { shape: [rows, ...rest.slice(0, -2).map(() => constantDim(1)), tokens, constantDim(1)] });
  const token = b.op("reshape", [vector], { shape: [width] });
  return b.op("add", [b.op("mul", [x, complement(b, chosen)]), b.op("mul", [chosen, token])]);
}
