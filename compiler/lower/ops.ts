/**
 * From model ops to tensor ops: one rule per op. // tidy: table
 *
 * Positions and spaces end here: `at` becomes a gather with an index operand, a position table becomes a parameter looked
 * up by the same index. The table is total over `ModelOp`, so a new op does not compile until it has a lowering. Calls and
 * loops are in `body.ts`.
 */
import type { ModelOp, Node } from "../model/ir.js";
import { isLoss, lossKind } from "../model/losses.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { constantDim, constantOf, divide, mul, product } from "../types/dim.js";
import type { Dim } from "../types/dim.js";
import type { Axis } from "../types/value-type.js";
import { namedAxes, sidesOf } from "../types/value-type.js";
import type { StateCx } from "./batch-ops.js";
import { lowerAssign, lowerBatchNorm, lowerBatchNormalize, lowerCenter, lowerNearest, lowerReplace, lowerSinkhorn, lowerWhiten } from "./batch-ops.js";
import { attendMoments, forAllMoments, framePatches, pickForMoments, pickMoments, tubeTokens } from "./clips.js";
import { lossRules } from "./losses.js";
import type { Queue } from "./queues.js";
import { lowerRotate } from "./rotary.js";
import { eye, gram, l2Normalize, perCount } from "./stats.js";

/** What a rule sees of the body around it. */
export interface OpCx {
  readonly b: FuncBuilder;
  readonly node: Node;
  readonly args: readonly ValueId[];
  /** Names of the first operand's axes. */
  readonly argAxes: readonly Axis[];
  /** The index operand `[count · B, K]` of a mask. */
  readonly index: (mask: string) => ValueId;
  /** How many sets per image a mask draws. */
  readonly copies: (mask: string) => number;
  readonly state: StateCx;
  /** A tensor of standard normal numbers that the step is given. */
  readonly draw: (shape: readonly number[]) => ValueId;
  /** The queue of earlier keys of this node, so many of such a width. */
  readonly queue: (size: number, width: number) => Queue;
}

type Rule = (cx: OpCx) => ValueId;

/** Something the checker should have refused: a bug of the compiler, not of the program. */
export class LoweringError extends Error {
  override readonly name = "LoweringError";
}

function need<T>(value: T | undefined, what: string, node: Node): T {
  if (value === undefined) throw new LoweringError(`\`${node.op}\` (node ${node.id}) has no ${what}.`);
  return value;
}

/** A factor that changes is the weight of a whole term (check/losses.ts), which `program.ts` takes from the step. */
function inside(): never {
  throw new LoweringError("A factor that changes over training stands inside of a term.");
}

const arg = (cx: OpCx, i: number): ValueId => need(cx.args[i], `operand ${i}`, cx.node);

const unary = (op: "neg" | "exp" | "log" | "sqrt" | "square" | "abs" | "relu" | "gelu" | "tanh" | "sigmoid" | "stop_gradient"): Rule => (cx) => cx.b.op(op, [arg(cx, 0)]);
const binary = (op: "add" | "sub" | "mul" | "div"): Rule => (cx) => cx.b.op(op, [arg(cx, 0), arg(cx, 1)]);

const soft = (op: "softmax" | "log_softmax"): Rule => (cx) => {
  const scaled = cx.b.op("scale", [arg(cx, 0)], { by: 1 / (cx.node.attrs.temperature ?? 1) });
  const [over] = cx.node.attrs.over ?? [];
  if (over === undefined) return cx.b.op(op, [scaled]);
  const last = cx.argAxes.length - 1;
  const axis = cx.argAxes.findIndex((a) => a === over);
  // Its own inverse: it swaps two axes.
  const perm = cx.argAxes.map((_, i) => (i === axis ? last : i === last ? axis : i));
  return cx.b.op("transpose", [cx.b.op(op, [cx.b.op("transpose", [scaled], { perm })])], { perm });
};

const reduce = (op: "mean" | "sum"): Rule => (cx) => {
  const axes = namedAxes(cx.argAxes, cx.node.attrs.over ?? []).flatMap((gone, i) => (gone ? [i] : []));
  return cx.b.op(op, [arg(cx, 0)], { axes, keep: false });
};

function lowerAt(cx: OpCx): ValueId {
  const { attrs, type } = cx.node;
  if (type.pending !== undefined) return arg(cx, 0);
  if (attrs.select !== undefined) return cx.b.op("slice", [arg(cx, 0)], { axis: 1, start: attrs.select.start, size: attrs.select.length });
  const mask = need(attrs.mask, "mask", cx.node);
  if (timed(cx)) return pickMoments(cx.b, arg(cx, 0), cx.index(mask), cx.copies(mask));
  return cx.b.op("gather_rows", [arg(cx, 0), cx.index(mask)], { copies: cx.copies(mask) });
}

/** Whether the first operand has an axis of time. */
const timed = (cx: OpCx): boolean => cx.argAxes.includes("time");

function lowerPatches(cx: OpCx): ValueId {
  const patch = sidesOf(need(cx.node.attrs.grid, "grid", cx.node));
  const { size } = cx.node.attrs;
  if (!timed(cx)) return cx.b.op("patchify", [arg(cx, 0)], { patch });
  return size === undefined ? framePatches(cx.b, arg(cx, 0), patch) : tubeTokens(cx.b, arg(cx, 0), patch, size);
}

/** Rows of a table where tokens sit: of the tokens of a clip's frames, the same for each, or each moment's own. */
function lowerTable(cx: OpCx): ValueId {
  const index = cx.index(need(cx.node.attrs.mask, "mask", cx.node));
  if (timed(cx)) return pickForMoments(cx.b, arg(cx, 0), index);
  const rows = cx.b.op("gather_table", [arg(cx, 0), index]);
  return cx.node.type.axes.includes("time") ? forAllMoments(cx.b, rows) : rows;
}

function lowerAttend(cx: OpCx): ValueId {
  const heads = need(cx.node.attrs.heads, "heads", cx.node);
  const { block } = cx.node.attrs;
  if (block === undefined) return need(timed(cx) ? attendMoments(cx.b, cx.args, heads) : cx.b.multi("sdpa", cx.args, { heads })[0], "result", cx.node);
  // Moments one after the other, each with its tokens.
  const { shape } = cx.node.type;
  const rows = [need(shape[0], "batch axis", cx.node), product(shape.slice(1, -1)), need(shape.at(-1), "width", cx.node)];
  const flat = cx.args.map((x) => cx.b.op("reshape", [x], { shape: rows }));
  return cx.b.op("reshape", [need(cx.b.multi("sdpa_causal", flat, { heads, block })[0], "result", cx.node)], { shape });
}

/** Repeats runs with fewer rows (one context for several target blocks), then joins. */
function lowerConcat(cx: OpCx): ValueId {
  const rows = need(cx.node.type.shape[0], "batch axis", cx.node);
  const runs = cx.args.map((id) => {
    const own = need<Dim>(cx.b.shapeOf(id)[0], "batch axis", cx.node);
    const factor = divide(rows, own);
    return cx.b.op("tile_batch", [id], { copies: need(factor === undefined ? undefined : constantOf(factor), "whole factor of rows", cx.node) });
  });
  return cx.b.op("concat", runs, { axis: 1 });
}

function lowerLoss(cx: OpCx): ValueId {
  const name = cx.node.attrs.loss;
  if (name === undefined || !isLoss(name)) throw new LoweringError(`There is no loss \`${name}\`.`);
  const kind = lossKind(name);
  return lossRules[name](cx.b, {
    operands: cx.args, axes: cx.argAxes, draw: cx.draw, queue: cx.queue,
    number: (key) => cx.node.attrs.numbers?.[key] ?? kind.numbers[key] ?? 0,
    word: (key) => cx.node.attrs.strings?.[key] ?? kind.words[key]?.[0] ?? "all",
  });
}

/** One where a row of a square matrix meets its own column. */
const ownPairs = (cx: OpCx): ValueId => eye(cx.b, need(cx.b.shapeOf(arg(cx, 0))[0], "row", cx.node));

const elsewhere: Rule = (cx) => {
  throw new LoweringError(`\`${cx.node.op}\` is lowered with its body.`);
};

export const rules = {
  input: elsewhere, param: elsewhere, call: elsewhere, repeat: elsewhere, result: elsewhere,
  constant: (cx) => cx.b.fill(cx.node.type.shape, cx.node.attrs.value ?? 0),
  patches: lowerPatches,
  at: lowerAt,
  table_at: lowerTable,
  expand_at: (cx) => cx.b.op("broadcast", [arg(cx, 0)], { shape: cx.node.type.shape }),
  replace_at: (cx) => lowerReplace(cx.b, arg(cx, 0), arg(cx, 1), cx.index(need(cx.node.attrs.mask, "mask", cx.node))),
  concat: lowerConcat,
  join_features: (cx) => cx.b.op("concat", cx.args, { axis: cx.node.type.shape.length - 1 }),
  union: (cx) => cx.b.op("concat", cx.args, { axis: 0 }),
  slice_batch: (cx) => {
    const size = need(cx.node.type.shape[0], "batch axis", cx.node);
    return cx.b.op("slice", [arg(cx, 0)], { axis: 0, start: mul(size, constantDim(cx.node.attrs.index ?? 0)), size });
  },
  slice_time: (cx) => cx.b.op("slice", [arg(cx, 0)], { axis: cx.argAxes.indexOf("time"), start: constantDim(cx.node.attrs.start ?? 0), size: constantDim(need(cx.node.attrs.size, "size", cx.node)) }),
  slice_features: (cx) => cx.b.op("slice", [arg(cx, 0)], {
    axis: cx.node.type.shape.length - 1, start: constantDim(need(cx.node.attrs.start, "start", cx.node)), size: constantDim(need(cx.node.attrs.size, "size", cx.node)),
  }),
  affine: (cx) => (cx.args.length === 3 ? cx.b.op("linear", cx.args) : cx.b.op("matmul", cx.args, { ta: false, tb: false })),
  matmul: (cx) => cx.b.op("matmul", cx.args, { ta: false, tb: false }),
  transpose: (cx) => cx.b.op("transpose", [arg(cx, 0)], { perm: [1, 0] }),
  similarities: (cx) => cx.b.op("matmul", cx.args, { ta: false, tb: true }),
  second_moments: (cx) => perCount(cx.b, gram(cx.b, arg(cx, 0), arg(cx, 1)), need(cx.b.shapeOf(arg(cx, 0))[0], "row", cx.node)),
  // Chosen and not multiplied: what stands beside may be infinite.
  diagonal: (cx) => cx.b.op("sum", [cx.b.op("select", [ownPairs(cx), arg(cx, 0), cx.b.fill([], 0)])], { axes: [1], keep: false }),
  off_diagonal: (cx) => cx.b.op("select", [ownPairs(cx), cx.b.fill([], cx.node.attrs.value ?? 0), arg(cx, 0)]),
  rotate: (cx) => lowerRotate(cx.b, arg(cx, 0), arg(cx, 1), need(cx.node.attrs.heads, "heads", cx.node)),
  attend: lowerAttend,
  add: binary("add"), sub: binary("sub"), mul: binary("mul"), div: binary("div"),
  scale: (cx) => (cx.node.attrs.schedule === undefined ? cx.b.op("scale", [arg(cx, 0)], { by: cx.node.attrs.value ?? 1 }) : inside()),
  shift: (cx) => cx.b.op("shift", [arg(cx, 0)], { by: cx.node.attrs.value ?? 0 }),
  neg: unary("neg"), exp: unary("exp"), log: unary("log"), sqrt: unary("sqrt"), square: unary("square"), abs: unary("abs"),
  relu: unary("relu"), gelu: unary("gelu"), tanh: unary("tanh"), sigmoid: unary("sigmoid"), stop_gradient: unary("stop_gradient"),
  softmax: soft("softmax"), log_softmax: soft("log_softmax"),
  normalize: (cx) => need(cx.b.multi("normalize", [arg(cx, 0)], { eps: cx.node.attrs.eps ?? 1e-5 })[0], "result", cx.node),
  l2_normalize: (cx) => l2Normalize(cx.b, arg(cx, 0), cx.node.attrs.eps ?? 1e-12),
  batch_normalize: (cx) => lowerBatchNormalize(cx.b, arg(cx, 0), cx.node),
  batch_norm: (cx) => lowerBatchNorm(cx.b, arg(cx, 0), cx.node, cx.state),
  center: (cx) => lowerCenter(cx.b, arg(cx, 0), cx.node, cx.state),
  whiten: (cx) => lowerWhiten(cx.b, arg(cx, 0), cx.node),
  sinkhorn: (cx) => lowerSinkhorn(cx.b, arg(cx, 0), cx.node),
  assign: (cx) => lowerAssign(cx.b, arg(cx, 0), arg(cx, 1), cx.node),
  nearest: (cx) => lowerNearest(cx.b, arg(cx, 0), cx.queue(need(cx.node.attrs.size, "size", cx.node), need(constantOf(cx.b.shapeOf(arg(cx, 0)).at(-1) ?? constantDim(0)), "width", cx.node))),
  mean: reduce("mean"), sum: reduce("sum"),
  flatten: (cx) => cx.b.op("reshape", [arg(cx, 0)], { shape: cx.node.type.shape }),
  loss: lowerLoss,
} satisfies { readonly [O in ModelOp]: Rule };
