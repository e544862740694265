/**
 * Passes of the tfjs target, on either side of autodiff.
 *
 * Why: the kernel library makes some pairs in one sweep that the general rules would make in two (gelu and its slope, a
 * norm with its affine part, a loss and its gradient, attention over one qkv projection with what its gradient needs).
 * Forming them before autodiff lets the backward pass come out in terms of them. Where nothing is differentiated the
 * lowering takes the plain kernel again, so the forms cost nothing there.
 * Order: the core's passes, `rows-read` and the form of its attention, `training-forms`, cleanup, `feed-forward`, cleanup,
 * `fold-norms`, cleanup; the wgsl target runs the core's and `training-forms` of these. After autodiff the core's,
 * `seed-loss`, cleanup.
 */
import type { FuncBuilder } from "../../tensor/build.js";
import { FuncBuilder as Builder } from "../../tensor/build.js";
import type { Func, Module, Node, ValueId } from "../../tensor/ir.js";
import { typeOf } from "../../tensor/ir.js";
import { headOf, producers, rewriteFunc, useCounts } from "../../tensor/visit.js";
import type { Dim } from "../../types/dim.js";
import { constantDim, divide, equal, mul } from "../../types/dim.js";
import type { Pass } from "../../passes/pass.js";
import { inlineUpTo } from "../../passes/inline.js";
import { perFunction } from "../../passes/pass.js";
import { afterAutodiff, beforeAutodiff, cleanup } from "../../passes/pipelines.js";
import { rowsRead } from "../../passes/rows-read.js";

/**
 * Forms what the kernel library makes in one sweep.
 * Requires: verified IR, before autodiff. Ensures: values up to rounding.
 * Example: `y, r = normalize(x); m = mul(y, s); z = add(m, o)` -> `z, y, r = layer_norm(x, s, o)`.
 */
export const trainingForms: Pass = perFunction("training-forms", "forms values and what their gradients need in one op", (module, func) => {
  const uses = useCounts(func);
  return rewriteFunc(module, func, (b, node, args) => {
    const better = form(b, node, args);
    return better ?? b.copy(node, args, node.results.map((r) => (uses[r] === 0 ? undefined : func.values[r]?.name)));
  });
});

function form(b: FuncBuilder, node: Node, args: readonly ValueId[]): readonly ValueId[] | undefined {
  const [x, y] = args;
  if (x === undefined || b.typeOf(x).stack.length > 0) return undefined;
  switch (node.op) {
    case "gelu":
      return b.multi("gelu_slope", [x]).slice(0, 1);
    case "add":
      return y === undefined ? undefined : (layerNorm(b, x, y) ?? layerNorm(b, y, x));
    case "mean":
      return lossMean(b, node.attrs.axes, node.attrs.keep, x);
    case "sdpa":
      return selfAttention(b, node.attrs.heads, args);
    default:
      return undefined;
  }
}

/** scaled + offset, where scaled is a normalized row times a scale. */
function layerNorm(b: FuncBuilder, scaled: ValueId, offset: ValueId): readonly ValueId[] | undefined {
  const product = b.producerOf(scaled);
  if (product?.op !== "mul" || b.shapeOf(offset).length !== 1) return undefined;
  const [left, right] = product.args;
  if (left === undefined || right === undefined) return undefined;
  for (const [y, scale] of [[left, right], [right, left]] as const) {
    const norm = b.producerOf(y);
    const [x] = norm?.args ?? [];
    if (norm?.op !== "normalize" || norm.results[0] !== y || x === undefined) continue;
    const width = b.shapeOf(x).at(-1);
    const fits = [scale, offset].every((v) => b.shapeOf(v).length === 1 && width !== undefined && isDim(b.shapeOf(v)[0], width));
    if (fits) return b.multi("layer_norm", [x, scale, offset], norm.attrs).slice(0, 1);
  }
  return undefined;
}

function isDim(d: Dim | undefined, wanted: Dim): boolean {
  return d !== undefined && equal(d, wanted);
}

/** The mean over all elements of an elementwise smooth L1. */
function lossMean(b: FuncBuilder, axes: readonly number[], keep: boolean, x: ValueId): readonly ValueId[] | undefined {
  const loss = b.producerOf(x);
  if (loss?.op !== "smooth_l1" || keep || axes.length !== b.shapeOf(x).length) return undefined;
  return b.multi("smooth_l1_mean", loss.args, loss.attrs).slice(0, 1);
}

/** Attention whose three operands are the thirds of one value. The log-sum-exp is not made: nothing before autodiff reads it. */
function selfAttention(b: FuncBuilder, heads: number, args: readonly ValueId[]): readonly ValueId[] | undefined {
  const root = wholeOf(b, args);
  return root === undefined ? undefined : b.multi("attention", [root], { heads }).slice(0, 1);
}

/** The value whose thirds along the last axis the three are, in order. */
function wholeOf(b: FuncBuilder, thirds: readonly ValueId[]): ValueId | undefined {
  const slices = thirds.map((a) => b.producerOf(a));
  const root = slices.at(-1)?.args[0];
  const width = root === undefined ? undefined : b.shapeOf(root)[2];
  const third = width && divide(width, constantDim(3));
  if (root === undefined || third === undefined) return undefined;
  const isThird = (s: Node | undefined, i: number): boolean =>
    s?.op === "slice" && s.args[0] === root && s.attrs.axis === 2 && equal(s.attrs.size, third) && equal(s.attrs.start, mul(constantDim(i), third));
  return slices.every((s, i) => isThird(s, i + 3 - slices.length)) ? root : undefined;
}

/**
 * Forms attention of a few rows over one qkv projection, where `rows-read` left fewer queries than keys.
 * Requires: verified IR, before autodiff. Ensures: values up to rounding.
 * Example: `q = third 0 of rows of qkv; sdpa(q, third 1 of qkv, third 2 of qkv)` -> `attention_rows(qkv, rows)`.
 */
export const queryForms: Pass = perFunction("query-forms", "forms attention of some rows of one projection", (module, func) =>
  rewriteFunc(module, func, (b, node, args) => (node.op === "sdpa" ? someQueries(b, node.attrs.heads, args) : undefined) ?? b.copy(node, args)),
);

function someQueries(b: FuncBuilder, heads: number, [q = -1, ...keysAndValues]: readonly ValueId[]): readonly ValueId[] | undefined {
  const root = wholeOf(b, keysAndValues);
  const outer = b.producerOf(q);
  const inner = outer === undefined ? undefined : b.producerOf(outer.args[0] ?? -1);
  if (root === undefined || outer?.op !== "slice" || inner?.op !== "slice" || inner.args[0] !== root) return undefined;
  // The third of some rows, or some rows of the third.
  const [rows, third] = outer.attrs.axis === 1 ? [outer.attrs, inner.attrs] : [inner.attrs, outer.attrs];
  const isFirst = equal(third.start, constantDim(0)) && isDim(b.shapeOf(q)[2], b.shapeOf(keysAndValues[0] ?? -1)[2] ?? third.size);
  if (rows.axis !== 1 || third.axis !== 2 || !isFirst) return undefined;
  return b.multi("attention_rows", [root], { heads, start: rows.start, size: rows.size }).slice(0, 1);
}

/**
 * Puts the number 1 for the cotangent of the objective, so that the backward pass starts from what it is.
 * Requires: after autodiff. Ensures: roots take no scalar cotangent; other functions are untouched.
 * Example: `main_backward(d_total, ...)` -> `main_backward(...)` with `fill 1` in its place.
 */
const seedLoss: Pass = {
  name: "seed-loss",
  summary: "the cotangent of the objective is 1",
  run: (module, { roots }) => {
    const funcs = new Map(module.funcs);
    for (const name of roots) {
      const func = funcs.get(name);
      if (func?.inputs.some((i) => i.role === "cotangent" && typeOf(func, i.value).shape.length === 0)) funcs.set(name, seeded({ funcs }, func));
    }
    return { funcs };
  },
};

function seeded(module: Module, func: Func): Func {
  const b = new Builder(module, headOf(func));
  const map = new Map<ValueId, ValueId>();
  const isSeed = (i: Func["inputs"][number]): boolean => i.role === "cotangent" && typeOf(func, i.value).shape.length === 0;
  for (const i of func.inputs) if (!isSeed(i)) map.set(i.value, b.input(i.path, typeOf(func, i.value), i.role));
  for (const i of func.inputs) if (isSeed(i)) map.set(i.value, b.fill([], 1));
  const at = (id: ValueId): ValueId => map.get(id) ?? -1;
  for (const node of func.nodes) {
    b.origin = node.origin;
    const results = b.copy(node, node.args.map(at), node.results.map((r) => func.values[r]?.name));
    node.results.forEach((r, i) => map.set(r, results[i] ?? -1));
  }
  for (const o of func.outputs) b.output(o.path, at(o.value), o.role);
  return b.finish();
}

/**
 * feed-forward: linear, gelu, linear as one op, where nothing else reads what is between them.
 *
 * Why: on TensorFlow every op is a sweep over memory. A kernel that sees all three puts gelu's constants into the weights and
 * flattens rows once (`docs/decisions/folded-maps.md`). For the tfjs target alone: the wgsl target fuses these its own way.
 * Requires: verified IR, after `training-forms`. Ensures: values up to rounding; the parts themselves are left to dce.
 * Example: `h = linear(x, w1, b1); a, _ = gelu_slope(h); y = linear(a, w2, b2)` -> `y, memory = feed_forward(x, w1, b1, w2, b2)`.
 */
const feedForward: Pass = perFunction("feed-forward", "two linear maps with a gelu between them in one op", (module, func) => {
  const uses = useCounts(func);
  const made = producers(func);
  /** The node that made a value for one reader alone, no other of its results being read. */
  const onlyFor = (id: ValueId | undefined): Node | undefined => {
    const node = id === undefined ? undefined : made.get(id);
    return node?.results.every((r) => uses[r] === (r === id ? 1 : 0)) === true && node.results[0] === id ? node : undefined;
  };
  const isFeedForward = (node: Node): boolean => {
    const gelu = node.op === "linear" ? onlyFor(node.args[0]) : undefined;
    return gelu?.op === "gelu_slope" && onlyFor(gelu.args[0])?.op === "linear";
  };
  return rewriteFunc(module, func, (b, node, args) => {
    if (!isFeedForward(node)) return b.copy(node, args);
    const [a = -1, ...second] = args;
    const first = b.producerOf(b.producerOf(a)?.args[0] ?? -1);
    // Of three maps in a row the first two are a block by now.
    return first?.op === "linear" ? b.multi("feed_forward", [...first.args, ...second]).slice(0, 1) : b.copy(node, args);
  });
});

/**
 * qkv-attention: attention and the map that makes its qkv as one op, where nothing else reads qkv.
 *
 * Why: a product for each head gives heads where attention wants them, which otherwise takes a bias and a transpose over qkv.
 * Requires: verified IR, after `training-forms`. Ensures: the same values; the map itself is left to dce.
 * Example: `qkv = linear(x, w, b); o, m = attention(qkv) {heads}` -> `o, m = qkv_attention(x, w, b) {heads}`.
 */
const qkvAttention: Pass = perFunction("qkv-attention", "attention with the map before it in one op", (module, func) => {
  const uses = useCounts(func);
  return rewriteFunc(module, func, (b, node, args) => {
    const map = node.op === "attention" && uses[node.args[0] ?? -1] === 1 ? b.producerOf(args[0] ?? -1) : undefined;
    return node.op === "attention" && map?.op === "linear" ? b.multi("qkv_attention", map.args, node.attrs) : b.copy(node, args);
  });
});

/**
 * fold-norms: the scale and offset of a norm put into the linear map behind it, where nothing else reads the norm.
 *
 * Why: (y * s + o) w + b = y (diag(s) w) + (o w + b), and the weight is small beside the activations of a batch of tokens: two
 * sweeps over them less, about three in the backward pass, whose sums for s and o then run over the weight's gradient.
 * Where there are no tokens, activations are no larger than weights, and the pass leaves them.
 * Requires: verified IR, after `feed-forward` and `qkv-attention`. Ensures: values up to rounding.
 * Example: `h, _, _ = layer_norm(x, s, o); y = linear(h, w, b)` -> `h, _ = normalize(x); y = linear(h, scale_rows(w, s), linear(o, w, b))`.
 */
const foldNorms: Pass = perFunction("fold-norms", "scale and offset of a norm as part of the linear map behind it", (module, func) => {
  const uses = useCounts(func);
  const made = producers(func);
  return rewriteFunc(module, func, (b, node, args) => {
    const norm = node.op === "linear" || node.op === "feed_forward" || node.op === "qkv_attention" ? made.get(node.args[0] ?? -1) : undefined;
    const [h = -1, w = -1, bias = -1, ...rest] = args;
    const folds = norm?.op === "layer_norm" && norm.results[0] === node.args[0] && norm.results.every((r, i) => uses[r] === (i === 0 ? 1 : 0))
      && b.shapeOf(h).length > 2;
    if (!folds) return b.copy(node, args);
    const [x = -1, scale = -1, offset = -1] = b.producerOf(h)?.args ?? [];
    const [y = -1] = b.multi("normalize", [x], norm.attrs);
    return b.copy(node, [y, b.op("scale_rows", [w, scale]), b.op("linear", [offset, w, bias]), ...rest]);
  });
});

/** What the wgsl target runs before differentiation too: forms that its kernels have as well, which fewer queries than keys of one projection are not. */
export const sharedForms: readonly Pass[] = [...beforeAutodiff, trainingForms, cleanup];

/** What to run before and after differentiation for this target. */
export const tfjsPasses: { readonly before: readonly Pass[]; readonly after: readonly Pass[] } = {
  before: [...beforeAutodiff, rowsRead, queryForms, trainingForms, cleanup, inlineUpTo(4), feedForward, qkvAttention, cleanup, foldNorms, cleanup],
  after: [...afterAutodiff, seedLoss, cleanup],
};

/** The passes after autodiff for a loss that is scaled: the way back starts from a number that is known at run time. */
export const scaledPasses: readonly Pass[] = tfjsPasses.after.filter((p) => p.name !== seedLoss.name);
