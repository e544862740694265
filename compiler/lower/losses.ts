/**
 * The arithmetic of the losses: one rule per kind of `model/losses.ts`, over tensor ops.
 *
 * Every rule gives a scalar; means run over all elements, so that every token weighs the same (I-JEPA 3). Here are those
 * that compare element by element; those over the batch are in `losses-batch.ts`. Owns nothing about what a loss is for:
 * that is the model's table.
 */
import type { LossName } from "../model/losses.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { batchLossRules } from "./losses-batch.js";
import type { Queue } from "./queues.js";
import { l2Normalize, meanAll, sumFeatures } from "./stats.js";

/** What a rule gets: operands, the names of the first one's axes, and the loss's named numbers and words. */
export interface LossArgs {
  readonly operands: readonly ValueId[];
  readonly axes: readonly string[];
  readonly number: (name: string) => number;
  readonly word: (name: string) => string;
  /** A tensor of standard normal numbers, new in each step. */
  readonly draw: (shape: readonly number[]) => ValueId;
  /** The queue of earlier keys of this loss, so many of such a width. */
  readonly queue: (size: number, width: number) => Queue;
}

/** How a loss is computed. */
export type LossRule = (b: FuncBuilder, args: LossArgs) => ValueId;

const pair = (rule: (b: FuncBuilder, x: ValueId, y: ValueId, args: LossArgs) => ValueId): LossRule => (b, args) => {
  const [x, y] = args.operands;
  if (x === undefined || y === undefined) throw new Error("a loss of two operands got fewer");
  return rule(b, x, y, args);
};

export const lossRules = {
  ...batchLossRules,
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
