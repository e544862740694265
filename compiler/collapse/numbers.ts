/**
 * The numbers of an objective at embeddings that are made up: a small interpreter of model ops without parameters.
 *
 * What a term does to a constant is a question about a function of embeddings, so it is asked with embeddings: values below
 * a term that networks, parameters or data give (its leaves) are filled in, and everything above them is computed, in float64.
 * Sizes are small stand-ins for those of the program (16 images, 8 features), as what is asked does not depend on them. Owns
 * arithmetic and what counts as a leaf; which embeddings are tried, and what follows, is in `own.ts`.
 */
import type { Body, Node, NodeId } from "../model/ir.js";
import { constantOf, evaluate } from "../types/dim.js";
import type { Axis } from "../types/value-type.js";
import { namedAxes } from "../types/value-type.js";

/** An array in row-major order. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Stand-in sizes: images of a batch, the most features, the most tokens (or whatever else an axis counts). */
export const images = 16;
export const features = 8;
const others = 3;
/** Rows that a stand-in batch may have: sets of tokens, unions of views. */
const mostRows = 8 * images;

/** The stand-in shape of a node's value; undefined where it has none. */
function shapeOf({ type }: Node): readonly number[] | undefined {
  const sizes = type.shape.map((dim, i) => {
    const known = constantOf(dim);
    if (type.axes[i] === "feature") return known === undefined ? undefined : Math.min(known, features);
    if (type.axes[i] !== "batch") return Math.min(known ?? others, others);
    const rows = evaluate(dim, new Map([["B", images]]));
    return rows === undefined || rows > mostRows ? undefined : rows;
  });
  return sizes.every((n) => n !== undefined) ? sizes : undefined;
}

type Rule = (args: readonly Numbers[], node: Node, argNodes: readonly Node[]) => Numbers | undefined;

const map = (f: (x: number, node: Node) => number): Rule => ([x], node) => (x === undefined ? undefined : { shape: x.shape, data: x.data.map((v) => f(v, node)) });
const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Two arrays met axis by axis from the last one. */
function zip(f: (x: number, y: number) => number): Rule {
  return ([a, b]) => {
    if (a === undefined || b === undefined) return undefined;
    const rank = Math.max(a.shape.length, b.shape.length);
    const at = (x: Numbers, i: number): number => x.shape[i - (rank - x.shape.length)] ?? 1;
    const shape = Array.from({ length: rank }, (_, i) => Math.max(at(a, i), at(b, i)));
    if (shape.some((d, i) => [a, b].some((x) => at(x, i) !== 1 && at(x, i) !== d))) return undefined;
    const data = new Float64Array(size(shape));
    // Most often one shape, or one number.
    const step = (x: Numbers): number | undefined => (x.data.length === data.length ? 1 : x.data.length === 1 ? 0 : undefined);
    const [stepA, stepB] = [step(a), step(b)];
    const [ofA, ofB] = stepA !== undefined && stepB !== undefined ? [undefined, undefined] : [places(a, shape), places(b, shape)];
    for (let i = 0; i < data.length; i++) data[i] = f(a.data[ofA?.[i] ?? i * (stepA ?? 1)] ?? NaN, b.data[ofB?.[i] ?? i * (stepB ?? 1)] ?? NaN);
    return { shape, data };
  };
}

/** For every element of a shape, the one that an array spread to it has there. */
function places(x: Numbers, shape: readonly number[]): Int32Array {
  const found = new Int32Array(size(shape));
  let [inner, step] = [1, 1];
  for (let i = shape.length - 1; i >= 0; i--) {
    const d = shape[i] ?? 1;
    const own = x.shape[i - (shape.length - x.shape.length)] ?? 1;
    if (own !== 1) for (let k = 0; k < found.length; k++) found[k] = (found[k] ?? 0) + (Math.floor(k / inner) % d) * step;
    inner *= d;
    step *= own;
  }
  return found;
}

/** Runs of numbers along one axis, each replaced by what `f` makes of it: one number, or as many. */
function along(x: Numbers, axis: number, f: (run: Float64Array) => ArrayLike<number>): Numbers {
  const length = x.shape[axis] ?? 1;
  const inner = size(x.shape.slice(axis + 1));
  const outer = size(x.shape.slice(0, axis));
  const run = new Float64Array(length);
  let left = 0;
  let data = new Float64Array(0);
  for (let r = 0; r < outer * inner; r++) {
    const start = Math.floor(r / inner) * inner;
    for (let i = 0; i < length; i++) run[i] = x.data[start * length + i * inner + (r % inner)] ?? NaN;
    const made = f(run);
    if (r === 0) {
      left = made.length;
      data = new Float64Array(outer * left * inner);
    }
    for (let i = 0; i < left; i++) data[start * left + i * inner + (r % inner)] = made[i] ?? NaN;
  }
  return { shape: x.shape.map((d, i) => (i === axis ? left : d)), data };
}

const sumOf = (run: Float64Array): number => run.reduce((sum, v) => sum + v, 0);
const meanOf = (run: Float64Array): number => sumOf(run) / run.length;

/** Softmax or its logarithm of one run; the largest taken out first. */
function soft(run: Float64Array, temperature: number, logarithm: boolean): Float64Array {
  const top = Math.max(...run);
  const total = Math.log(sumOf(run.map((v) => Math.exp((v - top) / temperature))));
  return run.map((v) => (logarithm ? (v - top) / temperature - total : Math.exp((v - top) / temperature - total)));
}

const softened = (logarithm: boolean): Rule => ([x], node, [from]) => {
  const [over] = node.attrs.over ?? [];
  const axis = over === undefined ? -1 : (from?.type.axes.findIndex((a) => a === over) ?? -1);
  return x && along(x, axis < 0 ? x.shape.length - 1 : axis, (run) => soft(run, node.attrs.temperature ?? 1, logarithm));
};

const reduced = (f: (run: Float64Array) => number): Rule => ([x], node, [from]) => {
  if (x === undefined || from === undefined) return undefined;
  const gone = namedAxes(from.type.axes, node.attrs.over ?? []);
  let out = x;
  for (const [axis, isGone] of gone.entries()) if (isGone) out = along(out, axis, (run) => [f(run)]);
  return { shape: out.shape.filter((_, i) => gone[i] !== true), data: out.data };
};

const standardized = (x: Numbers, axis: number, eps: number): Numbers => along(x, axis, (run) => {
  const mean = meanOf(run);
  const scale = 1 / Math.sqrt(meanOf(run.map((v) => (v - mean) ** 2)) + eps);
  return run.map((v) => (v - mean) * scale);
});

/** Rows of length 1. */
const unit = (x: Numbers, eps: number): Numbers => along(x, x.shape.length - 1, (run) => {
  const length = Math.sqrt(sumOf(run.map((v) => v * v)) + eps);
  return run.map((v) => v / length);
});

/** `a[..., k] · b[k, n]`, with either matrix turned over where asked. */
function product(a: Numbers, b: Numbers, ta: boolean, tb: boolean): Numbers | undefined {
  const left = ta ? turned(a) : a;
  const right = tb ? turned(b) : b;
  const [inner = 0, columns = 0] = right.shape;
  if (right.shape.length !== 2 || left.shape.at(-1) !== inner) return undefined;
  const rows = size(left.shape.slice(0, -1));
  const data = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let k = 0; k < inner; k++) for (let j = 0; j < columns; j++) data[i * columns + j] = (data[i * columns + j] ?? 0) + (left.data[i * inner + k] ?? NaN) * (right.data[k * columns + j] ?? NaN);
  return { shape: [...left.shape.slice(0, -1), columns], data };
}

function turned(x: Numbers): Numbers {
  const [rows = 1, columns = 1] = x.shape;
  return { shape: [columns, rows], data: Float64Array.from({ length: rows * columns }, (_, i) => x.data[(i % rows) * columns + Math.floor(i / rows)] ?? NaN) };
}

const square = (x: Numbers): boolean => x.shape.length === 2 && x.shape[0] === x.shape[1];

/** A comparison of two values, the mean over everything that `over` gives for one element or row. */
const compared = (f: Rule): Rule => (args, node, nodes) => {
  const each = f(args, node, nodes);
  return each && { shape: [], data: Float64Array.of(meanOf(each.data)) };
};

/** Losses that compare element by element, or row by row, by their names. */
const comparisons: Readonly<Record<string, Rule>> = {
  mse: compared(zip((x, y) => (x - y) ** 2)),
  l1: compared(zip((x, y) => Math.abs(x - y))),
  smooth_l1: compared((args, node, nodes) => {
    const beta = node.attrs.numbers?.["beta"] ?? 1;
    return zip((x, y) => (Math.abs(x - y) < beta ? (x - y) ** 2 / (2 * beta) : Math.abs(x - y) - beta / 2))(args, node, nodes);
  }),
  negative_cosine: compared((args, node, nodes) => {
    const each = zip((x, y) => -x * y)(args.map((x) => unit(x, 1e-12)), node, nodes);
    return each && along(each, each.shape.length - 1, (run) => [sumOf(run)]);
  }),
  cross_entropy: compared(([x, y], node, nodes) => {
    if (x === undefined || y === undefined) return undefined;
    const logits = along(x, x.shape.length - 1, (run) => soft(run, node.attrs.numbers?.["temperature"] ?? 1, true));
    const each = zip((p, q) => -p * q)([y, logits], node, nodes);
    return each && along(each, each.shape.length - 1, (run) => [sumOf(run)]);
  }),
};

const rules: Partial<Readonly<Record<Node["op"], Rule>>> = {
  constant: (_, node) => {
    const shape = shapeOf(node);
    return shape && { shape, data: new Float64Array(size(shape)).fill(node.attrs.value ?? NaN) };
  },
  add: zip((x, y) => x + y), sub: zip((x, y) => x - y), mul: zip((x, y) => x * y), div: zip((x, y) => x / y),
  scale: map((x, { attrs }) => x * (attrs.schedule?.points.at(-1) ?? attrs.value ?? NaN)),
  shift: map((x, { attrs }) => x + (attrs.value ?? NaN)),
  neg: map((x) => -x), exp: map(Math.exp), log: map(Math.log), sqrt: map(Math.sqrt), square: map((x) => x * x), abs: map(Math.abs),
  relu: map((x) => Math.max(0, x)), tanh: map(Math.tanh), sigmoid: map((x) => 1 / (1 + Math.exp(-x))),
  stop_gradient: ([x]) => x,
  softmax: softened(false), log_softmax: softened(true),
  mean: reduced(meanOf), sum: reduced(sumOf),
  normalize: ([x], { attrs }) => x && standardized(x, x.shape.length - 1, attrs.eps ?? 1e-5),
  l2_normalize: ([x], { attrs }) => x && unit(x, attrs.eps ?? 1e-12),
  batch_normalize: ([x], { attrs }) => {
    const width = x?.shape.at(-1) ?? 1;
    return x && { ...standardized({ shape: [x.data.length / width, width], data: x.data }, 0, attrs.eps ?? 1e-5), shape: x.shape };
  },
  similarities: ([a, b]) => a && b && product(a, b, false, true),
  second_moments: ([a, b]) => {
    const sum = a && b && product(a, b, true, false);
    return sum && { shape: sum.shape, data: sum.data.map((v) => v / (a.shape[0] ?? 1)) };
  },
  matmul: ([a, b]) => a && b && product(a, b, false, false),
  transpose: ([x]) => x && turned(x),
  diagonal: ([x]) => (x && square(x) ? { shape: x.shape.slice(0, 1), data: Float64Array.from({ length: x.shape[0] ?? 0 }, (_, i) => x.data[i * ((x.shape[0] ?? 0) + 1)] ?? NaN) } : undefined),
  off_diagonal: ([x], { attrs }) => (x && square(x) ? { shape: x.shape, data: x.data.map((v, i) => (i % ((x.shape[0] ?? 0) + 1) === 0 ? (attrs.value ?? 0) : v)) } : undefined),
  union: (args) => ({ shape: [args.reduce((n, x) => n + (x.shape[0] ?? 0), 0), ...(args[0]?.shape.slice(1) ?? [])], data: Float64Array.from(args.flatMap((x) => [...x.data])) }),
  slice_batch: ([x], { attrs }) => {
    const rows = (x?.shape[0] ?? 0) / (attrs.count ?? 1);
    const part = (x?.data.length ?? 0) / (attrs.count ?? 1);
    return x && Number.isInteger(rows) ? { shape: [rows, ...x.shape.slice(1)], data: x.data.slice((attrs.index ?? 0) * part, ((attrs.index ?? 0) + 1) * part) } : undefined;
  },
  join_features: (args) => {
    const [first] = args;
    if (first === undefined || args.some((x) => x.shape.slice(0, -1).join() !== first.shape.slice(0, -1).join())) return undefined;
    const width = args.reduce((n, x) => n + (x.shape.at(-1) ?? 0), 0);
    const rows = size(first.shape.slice(0, -1));
    return { shape: [...first.shape.slice(0, -1), width], data: Float64Array.from(Array.from({ length: rows }, (_, i) => args.flatMap((x) => [...x.data.slice(i * (x.shape.at(-1) ?? 0), (i + 1) * (x.shape.at(-1) ?? 0))])).flat()) };
  },
  slice_features: ([x], { attrs }, [from]) => {
    const width = x?.shape.at(-1) ?? 0;
    const dim = from?.type.shape.at(-1);
    const known = dim === undefined ? undefined : constantOf(dim);
    if (x === undefined || known === undefined) return undefined;
    // As large a share of the stand-in's features as of the value's own.
    const start = Math.floor(((attrs.start ?? 0) * width) / known);
    const length = Math.max(1, Math.floor(((attrs.size ?? 0) * width) / known));
    return { shape: [...x.shape.slice(0, -1), length], data: x.data.filter((_, i) => i % width >= start && i % width < start + length) };
  },
  loss: (args, node, nodes) => comparisons[node.attrs.loss ?? ""]?.(args, node, nodes),
};

const leafAxes: ReadonlySet<Axis> = new Set(["token", "time"]);

/** A value that is filled in: one row of features for each image, or for each of its tokens. */
function isLeaf(node: Node): boolean {
  const { axes } = node.type;
  return axes[0] === "batch" && axes.at(-1) === "feature" && axes.slice(1, -1).every((a) => leafAxes.has(a)) && shapeOf(node) !== undefined;
}

const isArithmetic = (node: Node): boolean => (node.op === "loss" ? comparisons[node.attrs.loss ?? ""] : rules[node.op]) !== undefined;

/** Formulas of more ops are not computed: a bound on what reading a program costs. */
const mostOps = 400;

/** What a node is computed from by arithmetic, down to what is none, operands first; undefined where that is too much. */
function arithmeticBelow(body: Body, root: NodeId): readonly NodeId[] | undefined {
  const found = new Set([root]);
  for (const id of found) {
    const node = body.nodes[id];
    if (node !== undefined && isArithmetic(node)) for (const arg of node.args) found.add(arg);
    if (found.size > mostOps) return undefined;
  }
  return [...found].sort((a, b) => a - b);
}

/** One view of a leaf that holds a union of several. */
export interface Part {
  readonly leaf: NodeId;
  readonly index: number;
  /** The node that takes it out, or the stop that stands above it. */
  readonly node: NodeId;
}

/** A scalar of a body as a function of its leaves. */
export interface Formula {
  /** Values that are filled in, and whether each is read other than behind a stop. */
  readonly leaves: ReadonlyMap<NodeId, boolean>;
  /** The stop behind which a leaf is read. */
  readonly stops: ReadonlyMap<NodeId, NodeId>;
  /** Views of leaves that hold those of several, as they are taken apart. */
  readonly parts: readonly Part[];
  /** Ops that it is computed with. */
  readonly ops: ReadonlySet<Node["op"]>;
  /** The scalar; NaN where sizes of the stand-ins do not meet. `fill`: a leaf's rows, behind a stop or not. */
  readonly value: (fill: (leaf: NodeId, shape: readonly number[], stopped: boolean) => Float64Array) => number;
}

/** The formula of a scalar, leaves under the ids that `same` gives; undefined where it is made with what is not arithmetic on embeddings. */
export function formulaOf(body: Body, root: NodeId, same: (id: NodeId) => NodeId): Formula | undefined {
  const cone = arithmeticBelow(body, root);
  if (cone === undefined) return undefined;
  /** True: computed; false: a leaf; undefined: neither. */
  const inner = new Map<NodeId, boolean | undefined>();
  for (const id of cone) {
    const node = body.nodes[id];
    const computed = node !== undefined && isArithmetic(node) && node.args.every((a) => inner.get(a) !== undefined);
    inner.set(id, computed ? true : node !== undefined && isLeaf(node) ? false : undefined);
  }
  if (inner.get(root) !== true) return undefined;
  const leaves = new Map<NodeId, boolean>();
  const ops = new Set<Node["op"]>();
  const stops = new Map<NodeId, NodeId>();
  const parts = new Map<string, Part>();
  const seen = new Set<string>();
  const visit = (id: NodeId, stop: NodeId | undefined, part: Omit<Part, "leaf"> | undefined): void => {
    const key = `${id},${stop === undefined ? 0 : 1},${part?.node ?? -1}`;
    const node = body.nodes[id];
    if (node === undefined || seen.has(key)) return;
    seen.add(key);
    if (inner.get(id) === false) {
      leaves.set(same(id), leaves.get(same(id)) === true || stop === undefined);
      if (stop !== undefined && !stops.has(same(id))) stops.set(same(id), stop);
      const place = `${same(id)},${part?.index ?? 0}`;
      if (part !== undefined && (stop === undefined || !parts.has(place))) parts.set(place, { ...part, leaf: same(id) });
    } else {
      ops.add(node.op);
      const { op, attrs: { index = 0 } } = node;
      // What is taken out of a union of one's own is no part of a leaf.
      const below = op === "slice_batch" ? { index, node: stop ?? id } : op === "union" ? undefined : part;
      for (const arg of node.args) visit(arg, stop ?? (op === "stop_gradient" ? id : undefined), below);
    }
  };
  visit(root, undefined, undefined);
  const value: Formula["value"] = (fill) => {
    const known = new Map<string, Numbers | undefined>();
    const compute = (id: NodeId, stopped: boolean): Numbers | undefined => {
      const key = `${id},${stopped ? 1 : 0}`;
      const node = body.nodes[id];
      if (node === undefined || known.has(key)) return known.get(key);
      let out: Numbers | undefined;
      if (inner.get(id) === false) {
        const shape = shapeOf(node);
        out = shape && { shape, data: fill(same(id), shape, stopped) };
      } else {
        const args = node.args.map((a) => compute(a, stopped || node.op === "stop_gradient"));
        const all = args.flatMap((a) => a ?? []);
        out = all.length === args.length ? rules[node.op]?.(all, node, node.args.flatMap((a) => body.nodes[a] ?? [])) : undefined;
      }
      known.set(key, out);
      return out;
    };
    const result = compute(root, false);
    return result?.data.length === 1 ? (result.data[0] ?? NaN) : NaN;
  };
  return leaves.size === 0 ? undefined : { leaves, stops, parts: [...parts.values()], ops, value };
}
