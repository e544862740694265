/**
 * The arithmetic of the losses: one rule per kind of `model/losses.ts`, over tensor ops.
 *
 * Every rule gives a scalar; means run over all elements, so that every token weighs the same (I-JEPA 3). Owns nothing
 * about what a loss is for: that is the model's table.
 */
import type { LossName } from "../model/losses.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";

/** What a rule gets: operands and the loss's named numbers. */
export interface LossArgs {
  readonly operands: readonly ValueId[];
  readonly number: (name: string) => number;
}

type LossRule = (b: FuncBuilder, args: LossArgs) => ValueId;

const pair = (rule: (b: FuncBuilder, x: ValueId, y: ValueId, args: LossArgs) => ValueId): LossRule => (b, args) => {
  const [x, y] = args.operands;
  if (x === undefined || y === undefined) throw new Error("a loss of two operands got fewer");
  return rule(b, x, y, args);
};

/** The mean of every element. */
export function meanAll(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("mean", [x], { axes: b.shapeOf(x).map((_, i) => i), keep: false });
}

/** Sum over the feature axis, kept with size 1. */
function sumFeatures(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("sum", [x], { axes: [b.shapeOf(x).length - 1], keep: true });
}

/** `x / sqrt(Σ x² + eps)` over the last axis. */
export function l2Normalize(b: FuncBuilder, x: ValueId, eps: number): ValueId {
  const norm = b.op("rsqrt", [b.op("shift", [sumFeatures(b, b.op("square", [x]))], { by: eps })]);
  return b.op("mul", [x, norm]);
}

export const lossRules = {
  smooth_l1: pair((b, x, y, args) => meanAll(b, b.op("smooth_l1", [x, y], { beta: args.number("beta") }))),
  mse: pair((b, x, y) => meanAll(b, b.op("square", [b.op("sub", [x, y])]))),
  l1: pair((b, x, y) => meanAll(b, b.op("abs", [b.op("sub", [x, y])]))),
  negative_cosine: pair((b, x, y) => {
    const cosine = sumFeatures(b, b.op("mul", [l2Normalize(b, x, 1e-12), l2Normalize(b, y, 1e-12)]));
    return b.op("neg", [meanAll(b, cosine)]);
  }),
  cross_entropy: pair((b, x, y, args) => {
    const logits = b.op("log_softmax", [b.op("scale", [x], { by: 1 / args.number("temperature") })]);
    return b.op("neg", [meanAll(b, sumFeatures(b, b.op("mul", [y, logits])))]);
  }),
} satisfies { readonly [L in LossName]: LossRule };
