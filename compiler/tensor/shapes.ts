/**
 * Shape rules: from operand types and attributes to result types, for every op.
 *
 * Total over the op table. Sizes are polynomials, so a rule that accepts holds for every batch and every mask. Rules say
 * what is wrong in one sentence; `inferTypes` hands that on as data, the builder makes a thrown compiler bug of it and the
 * verifier a problem. Control ops (`call`, `repeat`) are typed from the called function's signature.
 */
// tidy: table
import type { Dim } from "../types/dim.js";
import { constantDim, constantOf, divide, equal, equalShapes, mul, printDim, printShape, product, substitute, sub as subDim, total } from "../types/dim.js";
import type { Func, Node, TensorType } from "./ir.js";
import { IrError, equalStacks, equalTypes, typeOf } from "./ir.js";
import type { Attrs, OpName, PrimitiveName } from "./ops.js";
import { elementwise, sequencing, specOf } from "./ops.js";

/** The result types of an application, or what is wrong with it. */
export type Inferred =
  | { readonly kind: "types"; readonly types: readonly TensorType[] }
  | { readonly kind: "problem"; readonly problem: string };

/** A rule; it throws IrError where operands do not fit, after arity and stacks have been checked. */
export type ShapeRule<O extends PrimitiveName> = (args: readonly TensorType[], attrs: Attrs<O>) => readonly TensorType[];

/** Types the results of a primitive op. */
export function inferTypes<O extends PrimitiveName>(op: O, args: readonly TensorType[], attrs: Attrs<O>): Inferred {
  return guard(() => {
    checkOperands(op, args);
    const rules: { readonly [P in PrimitiveName]: ShapeRule<P> } = shapeRules;
    return rules[op](args, attrs);
  });
}

/** Types the results of any node; `lookup` finds called functions. */
export function inferNode(lookup: (name: string) => Func, node: Node, args: readonly TensorType[]): Inferred {
  return guard(() => {
    const callee = node.op === "call" || node.op === "repeat" ? lookup(node.attrs.fn) : undefined;
    const before = known.get(node.attrs);
    if (before !== undefined && before.op === node.op && before.callee === callee && isSame(before.args, args)) return before.types;
    const types = unwrap(node.op === "call" ? inferCall(lookup(node.attrs.fn), args, node.attrs)
      : node.op === "repeat" ? inferRepeat(lookup(node.attrs.fn), args, node.attrs)
      : inferTypes<PrimitiveName>(node.op, args, node.attrs));
    known.set(node.attrs, { op: node.op, callee, args, types });
    return types;
  });
}

/**
 * The last answer for each attributes object. Passes copy most nodes as they are, and an answer depends on nothing but op,
 * attributes, operands' types and callee, none of which changes once made.
 */
const known = new WeakMap<object, { readonly op: Node["op"]; readonly callee: Func | undefined; readonly args: readonly TensorType[]; readonly types: readonly TensorType[] }>();

function isSame(a: readonly TensorType[], b: readonly TensorType[]): boolean {
  return a.length === b.length && a.every((type, i) => type === b[i]);
}

/** Types the results of `call`: the outputs of `fn`, its symbols replaced. */
function inferCall(fn: Func, args: readonly TensorType[], attrs: Attrs<"call">): Inferred {
  return guard(() => {
    const bind = binder(fn, attrs.dims);
    need(args.length === fn.inputs.length, `\`${fn.name}\` takes ${fn.inputs.length} arguments, got ${args.length}`);
    fn.inputs.forEach((input, i) => {
      needType(at(args, i), bind(typeOf(fn, input.value)), `argument \`${input.path}\` of \`${fn.name}\``);
    });
    return fn.outputs.map((o) => bind(typeOf(fn, o.value)));
  });
}

/** Types the results of `repeat`: final carries, then per-iteration outputs with `count` before their stack. */
function inferRepeat(fn: Func, args: readonly TensorType[], attrs: Attrs<"repeat">): Inferred {
  return guard(() => {
    const { carries, consts, stacked, count } = attrs;
    const bind = binder(fn, attrs.dims);
    need(args.length === carries + consts + stacked, `${carries}+${consts}+${stacked} operands are declared, got ${args.length}`);
    need(args.length === fn.inputs.length, `\`${fn.name}\` takes ${fn.inputs.length} arguments, got ${args.length}`);
    need(fn.outputs.length >= carries, `\`${fn.name}\` returns ${fn.outputs.length} values for ${carries} carries`);
    fn.inputs.forEach((input, i) => {
      const inner = bind(typeOf(fn, input.value));
      const wanted = i < carries + consts ? inner : { ...inner, stack: [count, ...inner.stack] };
      needType(at(args, i), wanted, `argument \`${input.path}\` of \`${fn.name}\``);
    });
    return fn.outputs.map((output, i) => {
      const type = bind(typeOf(fn, output.value));
      if (i >= carries) return { ...type, stack: [count, ...type.stack] };
      needType(type, at(args, i), `carry \`${output.path}\` of \`${fn.name}\``);
      return type;
    });
  });
}

/** A type with its symbols replaced. */
export function substituteType(type: TensorType, map: ReadonlyMap<string, Dim>): TensorType {
  const shape = type.shape.map((d) => substitute(d, map));
  return shape.every((d, i) => d === type.shape[i]) ? type : { ...type, shape };
}

/** Text of a type: `f32[B, 192]`, stacked: `12 of f32[192]`. */
export function printType(type: TensorType): string {
  return `${type.stack.map((n) => `${n} of `).join("")}${type.dtype}${printShape(type.shape)}`;
}

/** The shape of `a` and `b` broadcast against each other from the right, or undefined where they do not fit. */
export function broadcastShapes(a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[i - rank + a.length] ?? one;
    const y = b[i - rank + b.length] ?? one;
    if (!equal(x, y) && !equal(x, one) && !equal(y, one)) return undefined;
    out.push(equal(x, one) ? y : x);
  }
  return out;
}

const one = constantDim(1);
const two = constantDim(2);

function guard(infer: () => readonly TensorType[]): Inferred {
  try {
    return { kind: "types", types: infer() };
  } catch (e) {
    if (e instanceof IrError) return { kind: "problem", problem: e.message };
    throw e;
  }
}

function unwrap(inferred: Inferred): readonly TensorType[] {
  return inferred.kind === "types" ? inferred.types : fail(inferred.problem);
}

function fail(problem: string): never {
  throw new IrError(problem);
}

/** Most checks hold, so a text that takes printing is made only where one does not. */
function need(ok: boolean, problem: string | (() => string)): void {
  if (!ok) fail(typeof problem === "string" ? problem : problem());
}

function needType(got: TensorType, wanted: TensorType, what: string): void {
  need(equalTypes(got, wanted), () => `${what} is ${printType(wanted)}, got ${printType(got)}`);
}

function at<T>(xs: readonly T[], i: number): T {
  const x = xs[i];
  return x === undefined ? fail(`there is no operand or axis ${i}`) : x;
}

function binder(fn: Func, bindings: Readonly<Record<string, Dim>>): (type: TensorType) => TensorType {
  const map = new Map(Object.entries(bindings));
  for (const symbol of fn.dims) need(map.has(symbol), `dimension \`${symbol}\` of \`${fn.name}\` is not bound`);
  for (const symbol of map.keys()) need(fn.dims.includes(symbol), `\`${fn.name}\` has no dimension \`${symbol}\``);
  return (type) => substituteType(type, map);
}

function checkOperands(op: OpName, args: readonly TensorType[]): void {
  const { args: names } = specOf(op);
  if (names === "many") need(args.length > 0, "at least one operand is needed");
  else need(args.length === names.length, `${names.length} operands are needed (${names.join(", ")}), got ${args.length}`);
  const stacked = args.filter((a) => a.stack.length > 0);
  if (stacked.length === 0 || sequencing.has(op)) return;
  need(elementwise.has(op), "only elementwise ops take stacked values, and those on sequences");
  const first = at(args, 0);
  need(
    args.every((a) => equalStacks(a.stack, first.stack) && equalShapes(a.shape, first.shape)),
    "stacked operands need equal stacks and shapes",
  );
}

function needFloat(x: TensorType): void {
  need(x.dtype === "f32", () => `an f32 operand is needed, got ${printType(x)}`);
}

function needIndex(x: TensorType): void {
  need(x.dtype === "i32", () => `an i32 operand is needed, got ${printType(x)}`);
}

function needRank(x: TensorType, rank: number): void {
  need(x.shape.length === rank, () => `rank ${rank} is needed, got ${printType(x)}`);
}

function needSame(a: TensorType, b: TensorType): void {
  need(equalTypes(a, b), () => `operands differ: ${printType(a)} and ${printType(b)}`);
}

function needEqualDims(a: Dim, b: Dim, what: string): void {
  need(equal(a, b), () => `${what} differ: ${printDim(a)} and ${printDim(b)}`);
}

function last(x: TensorType): Dim {
  return at(x.shape, x.shape.length - 1);
}

function axisOf(x: TensorType, axis: number): Dim {
  return x.shape[axis] ?? fail(`axis ${axis} is outside ${printType(x)}`);
}

function replaced(shape: readonly Dim[], axis: number, size: Dim): Dim[] {
  return shape.map((d, i) => (i === axis ? size : d));
}

function tensor(shape: readonly Dim[], dtype: TensorType["dtype"] = "f32"): TensorType {
  return { dtype, shape, stack: [] };
}

/** Height and width of a patch. */
function sidesOf(patch: readonly number[]): readonly [Dim, Dim] {
  const [p, q] = patch;
  need(patch.length === 2 && p !== undefined && q !== undefined && [p, q].every((side) => Number.isInteger(side) && side > 0), () => `a patch has two sides from 1 on, got [${patch.join(", ")}]`);
  return [constantDim(p ?? 1), constantDim(q ?? 1)];
}

function exact(a: Dim, b: Dim, what: string): Dim {
  return divide(a, b) ?? fail(`${what}: ${printDim(a)} is not a multiple of ${printDim(b)}`);
}

type Types = readonly TensorType[];

function same(args: Types): Types {
  const x = at(args, 0);
  needFloat(x);
  return [x];
}

function sameAll(args: Types): Types {
  const first = at(args, 0);
  needFloat(first);
  for (const x of args) needSame(first, x);
  return [first];
}

function broadcasting(args: Types): Types {
  args.forEach(needFloat);
  const first = at(args, 0);
  const shape = args.slice(1).reduce<readonly Dim[]>(
    (s, x) => broadcastShapes(s, x.shape) ?? fail(`shapes do not broadcast: ${args.map(printType).join(" and ")}`),
    first.shape,
  );
  return [{ dtype: "f32", shape, stack: first.stack }];
}

function reduced(args: Types, attrs: { readonly axes: readonly number[]; readonly keep: boolean }): Types {
  const x = at(args, 0);
  needFloat(x);
  const { axes } = attrs;
  axes.forEach((axis, i) => {
    axisOf(x, axis);
    need(i === 0 || at(axes, i - 1) < axis, `axes must be increasing, got [${axes.join(", ")}]`);
  });
  const shape = attrs.keep
    ? x.shape.map((d, i) => (axes.includes(i) ? one : d))
    : x.shape.filter((_, i) => !axes.includes(i));
  return [tensor(shape)];
}

function rowwise(args: Types): Types {
  const x = at(args, 0);
  needFloat(x);
  last(x);
  return [x];
}

function matmulShape(args: Types, { ta, tb }: Attrs<"matmul">): Types {
  args.forEach(needFloat);
  const a = at(args, 0).shape;
  const b = at(args, 1).shape;
  need(a.length >= 2 && b.length >= 2, () => `matrices are needed, got ${args.map(printType).join(" and ")}`);
  const shared = b.length === 2 && a.length > 2;
  need(!(shared && ta), "one matrix for all of a batch does not go with a transposed batch");
  const lead = a.slice(0, -2);
  if (!shared) need(equalShapes(lead, b.slice(0, -2)), () => `leading axes differ: ${args.map(printType).join(" and ")}`);
  const [m, k] = flip(a.slice(-2), ta);
  const [k2, n] = flip(b.slice(-2), tb);
  needEqualDims(k, k2, "inner sizes");
  return [tensor([...lead, m, n])];
}

function flip(pair: readonly Dim[], turned: boolean): [Dim, Dim] {
  const [first, second] = [at(pair, 0), at(pair, 1)];
  return turned ? [second, first] : [first, second];
}

function attention(q: TensorType, k: TensorType, v: TensorType, heads: number): { o: TensorType; lse: TensorType } {
  for (const x of [q, k, v]) {
    needFloat(x);
    needRank(x, 3);
  }
  needSame(k, v);
  needEqualDims(at(q.shape, 0), at(k.shape, 0), "batches");
  needEqualDims(last(q), last(k), "widths");
  need(heads > 0, "heads must be positive");
  exact(last(q), constantDim(heads), "width over heads");
  return { o: q, lse: tensor([at(q.shape, 0), constantDim(heads), at(q.shape, 1)]) };
}

/** Of as many keys as queries. */
function causalAttention(args: readonly TensorType[], heads: number, block: number): [TensorType, TensorType] {
  const { o, lse } = attention(at(args, 0), at(args, 1), at(args, 2), heads);
  needEqualDims(axisOf(at(args, 0), 1), axisOf(at(args, 1), 1), "queries and keys");
  need(Number.isInteger(block) && block > 0, "a block must have rows");
  return [o, lse];
}

function linearShape(args: readonly TensorType[]): readonly TensorType[] {
  args.forEach(needFloat);
  const [x, w, b] = [at(args, 0), at(args, 1), at(args, 2)];
  needRank(w, 2);
  needRank(b, 1);
  needEqualDims(last(x), axisOf(w, 0), "inner sizes");
  needEqualDims(axisOf(w, 1), last(b), "sizes of weight and bias");
  return [tensor([...x.shape.slice(0, -1), last(b)])];
}

/** linear(gelu(linear(x, w1, b1)), w2, b2), and two numbers kept for each hidden value. */
function feedForwardShape([x, w1, b1, w2, b2]: readonly TensorType[]): readonly [y: TensorType, memory: TensorType] {
  const hidden = at(linearShape([x, w1, b1].flatMap((t) => t ?? [])), 0);
  return [at(linearShape([hidden, w2, b2].flatMap((t) => t ?? [])), 0), { ...hidden, shape: replaced(hidden.shape, hidden.shape.length - 1, mul(two, last(hidden))) }];
}

function rowStatistic(x: TensorType): TensorType {
  return tensor([...x.shape.slice(0, -1), one]);
}

/** The operands and the output of attention over one qkv: widths checked, for `rows` queries. */
function fusedAttention(qkv: TensorType, heads: number, rows: Dim): Types {
  needFloat(qkv);
  needRank(qkv, 3);
  need(heads > 0, "heads must be positive");
  const width = exact(last(qkv), constantDim(3), "width of qkv over three");
  const d = exact(width, constantDim(heads), "width over heads");
  const batch = axisOf(qkv, 0);
  return [tensor([batch, rows, width]), tensor([batch, constantDim(heads), axisOf(qkv, 1), total([rows, mul(constantDim(3), d)])])];
}

/** The type of qkv whose attention kept `memory` for `rows` queries. */
function fusedGradient(memory: TensorType, dO: TensorType, rows: Dim): Types {
  needRank(memory, 4);
  needRank(dO, 3);
  needEqualDims(rows, axisOf(dO, 1), "rows");
  const d = exact(subDim(last(memory), rows), constantDim(3), "what memory holds beside probabilities, over three");
  needEqualDims(mul(axisOf(memory, 1), d), last(dO), "widths");
  return [tensor([axisOf(dO, 0), axisOf(memory, 2), mul(constantDim(3), last(dO))])];
}

function stackOf(x: TensorType): readonly [count: number, rest: TensorType] {
  const [count, ...stack] = x.stack;
  return count === undefined ? fail(`a stacked value is needed, got ${printType(x)}`) : [count, { ...x, stack }];
}

/** Whether `size` elements from `start` on lie within `whole`, as far as that is known. */
function needWithin(start: Dim, size: Dim, whole: Dim, what: () => string): void {
  const numbers = [start, size, subDim(whole, total([start, size]))].map(constantOf);
  need(numbers.every((n) => n === undefined || n >= 0), () => `start ${printDim(start)}, size ${printDim(size)} leaves ${what()}`);
}

/** The rule of every primitive op. */
const shapeRules = {
  neg: same, exp: same, log: same, sqrt: same, rsqrt: same, square: same, abs: same, sign: same, relu: same, step: same,
  tanh: same, sigmoid: same, erf: same, gelu: same, sin: same, cos: same, recip: same, scale: same, shift: same,
  scale_dim: same,
  stop_gradient: (args) => [at(args, 0)],
  to_f32: ([x]) => {
    if (x === undefined) return fail("no operand");
    needIndex(x);
    return [{ ...x, dtype: "f32" }];
  },
  add: broadcasting, sub: broadcasting, mul: broadcasting, div: broadcasting, max: broadcasting, min: broadcasting,
  less: broadcasting, select: broadcasting,
  fill: (_, { shape, stack }) => [{ dtype: "f32", shape, stack }],
  iota: (_, { size }) => [tensor([size], "i32")],
  reshape: (args, { shape }) => {
    const x = at(args, 0);
    needEqualDims(product(x.shape), product(shape), "numbers of elements");
    return [{ ...x, shape }];
  },
  transpose: (args, { perm }) => {
    const x = at(args, 0);
    const sorted = perm.toSorted((a, b) => a - b);
    need(perm.length === x.shape.length && sorted.every((p, i) => p === i), () => `[${perm.join(", ")}] is no permutation of the axes of ${printType(x)}`);
    return [{ ...x, shape: perm.map((p) => axisOf(x, p)) }];
  },
  broadcast: (args, { shape }) => {
    const x = at(args, 0);
    const joined = broadcastShapes(x.shape, shape);
    need(joined !== undefined && equalShapes(joined, shape), () => `${printType(x)} does not broadcast to ${printShape(shape)}`);
    return [{ ...x, shape }];
  },
  slice: (args, { axis, start, size }) => {
    const x = at(args, 0);
    needWithin(start, size, axisOf(x, axis), () => `axis ${axis} of ${printType(x)}`);
    return [{ ...x, shape: replaced(x.shape, axis, size) }];
  },
  pad: (args, { axis, before, after }) => {
    const x = at(args, 0);
    needFloat(x);
    need([before, after].map(constantOf).every((n) => n === undefined || n >= 0), "padding is negative");
    return [{ ...x, shape: replaced(x.shape, axis, total([before, axisOf(x, axis), after])) }];
  },
  concat: (args, { axis }) => {
    const first = at(args, 0);
    for (const x of args) needSame({ ...x, shape: replaced(x.shape, axis, one) }, { ...first, shape: replaced(first.shape, axis, one) });
    return [{ ...first, shape: replaced(first.shape, axis, total(args.map((x) => axisOf(x, axis)))) }];
  },
  sum: reduced, mean: reduced, reduce_max: reduced,
  sum_leading: (args) => {
    const x = at(args, 0);
    needFloat(x);
    return [tensor([last(x)])];
  },
  matmul: matmulShape,
  linear: linearShape,
  linear_grad_x: (args) => {
    args.forEach(needFloat);
    const [dy, w] = [at(args, 0), at(args, 1)];
    needRank(w, 2);
    needEqualDims(last(dy), axisOf(w, 1), "outer sizes");
    return [tensor([...dy.shape.slice(0, -1), axisOf(w, 0)])];
  },
  linear_grad_w: (args) => {
    args.forEach(needFloat);
    const [x, dy] = [at(args, 0), at(args, 1)];
    need(equalShapes(x.shape.slice(0, -1), dy.shape.slice(0, -1)), () => `leading axes differ: ${printType(x)} and ${printType(dy)}`);
    return [tensor([last(x), last(dy)])];
  },
  scale_rows: (args) => {
    const [w, s] = [at(args, 0), at(args, 1)];
    needFloat(w);
    needRank(w, 2);
    needType(s, tensor([axisOf(w, 0)]), "operand `s`");
    return [w];
  },
  softmax: rowwise, log_softmax: rowwise, softmax_grad: sameAll, log_softmax_grad: sameAll,
  normalize: (args) => {
    const x = at(rowwise(args), 0);
    return [x, rowStatistic(x)];
  },
  normalize_grad: (args) => {
    const [y, rstd, dy] = [at(args, 0), at(args, 1), at(args, 2)];
    needSame(y, dy);
    needType(rstd, rowStatistic(y), "operand `rstd`");
    return [y];
  },
  gelu_grad: sameAll,
  gelu_slope: (args) => {
    const x = at(same(args), 0);
    return [x, x];
  },
  layer_norm: (args) => {
    const [x, scale, offset] = [at(args, 0), at(args, 1), at(args, 2)];
    rowwise([x]);
    for (const v of [scale, offset]) needType(v, tensor([last(x)]), "scale or offset");
    return [x, x, rowStatistic(x)];
  },
  layer_norm_grad: (args) => {
    const [y, rstd, scale, dout] = [at(args, 0), at(args, 1), at(args, 2), at(args, 3)];
    needSame(y, dout);
    needType(rstd, rowStatistic(y), "operand `rstd`");
    needType(scale, tensor([last(y)]), "operand `scale`");
    return [y, scale, scale];
  },
  feed_forward: feedForwardShape,
  feed_forward_grad: (args) => {
    const [x, w1, w2, memory, dy] = [at(args, 0), at(args, 1), at(args, 2), at(args, 3), at(args, 4)];
    const [b1, b2] = [tensor([axisOf(w1, 1)]), tensor([axisOf(w2, 1)])];
    const [y, kept] = feedForwardShape([x, w1, b1, w2, b2]);
    needType(memory, kept, "operand `memory`");
    needType(dy, y, "operand `dy`");
    return [x, w1, b1, w2, b2];
  },
  smooth_l1_mean: (args) => [tensor([]), at(sameAll(args), 0)],
  qkv_attention: (args, { heads }) => {
    const qkv = at(linearShape(args), 0);
    return fusedAttention(qkv, heads, axisOf(qkv, 1));
  },
  attention: (args, { heads }) => fusedAttention(at(args, 0), heads, axisOf(at(args, 0), 1)),
  attention_grad: (args) => fusedGradient(at(args, 0), at(args, 1), axisOf(at(args, 0), 2)),
  attention_rows: (args, { heads, start, size }) => {
    const qkv = at(args, 0);
    needWithin(start, size, axisOf(qkv, 1), () => `the rows of ${printType(qkv)}`);
    return fusedAttention(qkv, heads, size);
  },
  attention_rows_grad: (args) => fusedGradient(at(args, 0), at(args, 1), axisOf(at(args, 1), 1)),
  sdpa: (args, { heads }) => {
    const { o, lse } = attention(at(args, 0), at(args, 1), at(args, 2), heads);
    return [o, lse];
  },
  sdpa_grad: (args, { heads }) => {
    const [q, k, v] = [at(args, 0), at(args, 1), at(args, 2)];
    const { o, lse } = attention(q, k, v, heads);
    needType(at(args, 3), o, "operand `o`");
    needType(at(args, 4), lse, "operand `lse`");
    needType(at(args, 5), o, "operand `do`");
    return [q, k, v];
  },
  sdpa_causal: (args, { heads, block }) => causalAttention(args, heads, block),
  sdpa_causal_grad: (args, { heads, block }) => {
    const [o, lse] = causalAttention(args, heads, block);
    needType(at(args, 3), o, "operand `o`");
    needType(at(args, 4), lse, "operand `lse`");
    needType(at(args, 5), o, "operand `do`");
    return args.slice(0, 3);
  },
  gather_rows: (args, { copies }) => {
    const [x, indices] = [at(args, 0), at(args, 1)];
    needFloat(x);
    needRank(x, 3);
    needIndex(indices);
    needRank(indices, 2);
    needEqualDims(axisOf(indices, 0), mul(constantDim(copies), axisOf(x, 0)), "rows of indices and copies of images");
    return [tensor([axisOf(indices, 0), axisOf(indices, 1), axisOf(x, 2)])];
  },
  scatter_rows: (args, { batch, rows }) => {
    const [dy, indices] = [at(args, 0), at(args, 1)];
    needFloat(dy);
    needRank(dy, 3);
    needIndex(indices);
    need(equalShapes(dy.shape.slice(0, 2), indices.shape), () => `rows and indices differ: ${printType(dy)} and ${printType(indices)}`);
    exact(axisOf(dy, 0), batch, "rows over images");
    return [tensor([batch, rows, axisOf(dy, 2)])];
  },
  gather_table: (args) => {
    const [x, indices] = [at(args, 0), at(args, 1)];
    needFloat(x);
    needRank(x, 2);
    needIndex(indices);
    needRank(indices, 2);
    return [tensor([...indices.shape, axisOf(x, 1)])];
  },
  scatter_table: (args, { rows }) => {
    const [dy, indices] = [at(args, 0), at(args, 1)];
    needFloat(dy);
    needRank(dy, 3);
    needIndex(indices);
    need(equalShapes(dy.shape.slice(0, 2), indices.shape), () => `rows and indices differ: ${printType(dy)} and ${printType(indices)}`);
    return [tensor([rows, axisOf(dy, 2)])];
  },
  tile_batch: (args, { copies }) => {
    const x = at(args, 0);
    return [{ ...x, shape: replaced(x.shape, 0, mul(constantDim(copies), axisOf(x, 0))) }];
  },
  sum_tiles: (args, { copies }) => {
    const x = at(args, 0);
    needFloat(x);
    need(copies > 0, "copies must be positive");
    return [{ ...x, shape: replaced(x.shape, 0, exact(axisOf(x, 0), constantDim(copies), "axis 0 over copies")) }];
  },
  one_hot: (args, { size }) => {
    const x = at(args, 0);
    needIndex(x);
    return [tensor([...x.shape, size])];
  },
  patchify: (args, { patch }) => {
    const x = at(args, 0);
    needFloat(x);
    needRank(x, 4);
    const [p, q] = sidesOf(patch);
    const n = mul(exact(axisOf(x, 1), p, "height over patch"), exact(axisOf(x, 2), q, "width over patch"));
    return [tensor([axisOf(x, 0), n, product([p, q, axisOf(x, 3)])])];
  },
  unpatchify: (args, { patch, height, width }) => {
    const x = at(args, 0);
    needFloat(x);
    needRank(x, 3);
    const [p, q] = sidesOf(patch);
    needEqualDims(axisOf(x, 1), mul(exact(height, p, "height over patch"), exact(width, q, "width over patch")), "numbers of patches");
    return [tensor([axisOf(x, 0), height, width, exact(axisOf(x, 2), mul(p, q), "width over patch area")])];
  },
  smooth_l1: sameAll,
  smooth_l1_grad: sameAll,
  stack_front: (args) => {
    const [count, element] = stackOf(at(args, 0));
    need(count > 0, "an empty sequence has no last element");
    return [{ ...element, stack: [count - 1, ...element.stack] }];
  },
  stack_last: (args) => {
    const [count, element] = stackOf(at(args, 0));
    need(count > 0, "an empty sequence has no last element");
    return [element];
  },
  stack_join: (args) => {
    need(args.length <= 2, `one or two operands are needed, got ${args.length}`);
    const element = at(args, args.length - 1);
    if (args.length === 1) return [{ ...element, stack: [1, ...element.stack] }];
    const [count, other] = stackOf(at(args, 0));
    needSame(other, element);
    return [{ ...element, stack: [count + 1, ...element.stack] }];
  },
} satisfies { readonly [O in PrimitiveName]: ShapeRule<O> };
