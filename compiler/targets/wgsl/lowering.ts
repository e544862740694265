/**
 * The lowering table of the WGSL target: each primitive op as operations of the flat graph.
 *
 * Total over the op table, so that an op without a lowering does not compile. Movement that a kernel can address through
 * (slices, transposes, broadcasts, reshapes) becomes a view and costs nothing; elementwise ops become expressions that
 * `fuse.ts` joins. Attention keeps its operands instead of probabilities: the `memory` of `attention` is a handle on qkv, the
 * output and the log-sum-exp, from which the backward kernels make probabilities again.
 */
// tidy: table
import { IrError } from "../../tensor/ir.js";
import type { TensorType } from "../../tensor/ir.js";
import type { Attrs, PrimitiveName } from "../../tensor/ops.js";
import type { Dim } from "../../types/dim.js";
import { constantDim, divide, mul, product } from "../../types/dim.js";
import type { GraphBuilder } from "./build.js";
import { sliceView, splat, stridesOf, transposeView, viewOf, broadcastView } from "./build.js";
import type { AttentionSizes, Expr, IndexWork, Operand, Part, Tensor } from "./graph.js";

/** A row of an op that only a pass of the tfjs target puts in. */
const elsewhere = (): never => {
  throw new IrError("wgsl target: this op is made by a pass that runs for tfjs alone.");
};

/** What attention keeps for its gradient. */
export interface Memory {
  readonly kind: "memory";
  readonly qkv: Tensor;
  readonly o: Tensor;
  readonly lse: Tensor;
  readonly heads: number;
}

/** A value of the traced function: an operand, attention's memory, or one of these for each iteration of a repeat. */
export type Handle = Operand | Memory | { readonly kind: "stack"; readonly items: readonly Handle[] };

/** What a row sees of its node; shapes are in symbols of the step. */
export interface Site<O extends PrimitiveName> {
  readonly g: GraphBuilder;
  readonly args: readonly Handle[];
  readonly attrs: Attrs<O>;
  readonly types: readonly TensorType[];
}

/** The lowering of one op. */
export type Row<O extends PrimitiveName> = (site: Site<O>) => readonly Handle[];

/** Lowers one primitive. */
export function lowerOp<O extends PrimitiveName>(op: O, site: Site<O>): readonly Handle[] {
  const table: { readonly [P in PrimitiveName]: Row<P> } = lowerings;
  return table[op](site);
}

/** The operand of a handle. @throws IrError for attention's memory, which only attention_grad may take. */
export function operand(handle: Handle | undefined): Operand {
  if (handle === undefined || handle.kind === "memory" || handle.kind === "stack") throw new IrError(`wgsl target: a tensor is needed where there is ${handle?.kind ?? "nothing"}.`);
  return handle;
}

const one = constantDim(1);
const three = constantDim(3);

type AnySite = Pick<Site<PrimitiveName>, "g" | "args" | "types">;

const arg = (site: AnySite, i: number): Operand => operand(site.args[i]);
const whole = (site: AnySite, i: number): Tensor => site.g.whole(arg(site, i));
const shapeOf = (site: AnySite, i = 0): readonly Dim[] => site.types[i]?.shape ?? [];
const axis = (shape: readonly Dim[], i: number): Dim => shape.at(i) ?? one;
const made = (site: AnySite, i = 0): Tensor => site.g.tensor(site.types[i]?.dtype ?? "f32", shapeOf(site, i));

const apply = (text: string, ...args: Expr[]): Expr => ({ kind: "apply", text, args });

/** An elementwise op by its text. */
const each = (text: string) => (site: AnySite): Handle[] => site.g.map(shapeOf(site), site.args.map(operand), (loads) => [apply(text, ...loads)]);

/** Literal of a number in WGSL. */
export function literal(x: number): string {
  const rounded = Math.fround(x);
  if (!Number.isFinite(rounded)) throw new IrError(`wgsl target: ${x} is no f32.`);
  return rounded < 0 || Object.is(rounded, -0) ? `(${rounded}f)` : `${rounded}f`;
}

const reducing = (how: "sum" | "mean" | "max") => (site: Site<"sum"> | Site<"mean"> | Site<"reduce_max">): Handle[] => {
  const { axes } = site.attrs;
  let x = arg(site, 0);
  const rank = x.shape.length;
  if (axes.length === 0) return [x];
  const first = axes[0] ?? 0;
  let last = axes.at(-1) ?? first;
  let start = first;
  if (last - first + 1 !== axes.length) {
    const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
    x = transposeView(x, [...kept, ...axes]);
    start = kept.length;
    last = rank - 1;
  }
  const { shape } = x;
  const out = made(site);
  site.g.push({
    kind: "reduce", how, x: site.g.whole(x), outer: product(shape.slice(0, start)), red: product(shape.slice(start, last + 1)), inner: product(shape.slice(last + 1)), out,
  });
  return [viewOf(out)];
};

function gemm(site: AnySite, p: { a: Tensor; b: Tensor; batch?: Dim; m: Dim; n: Dim; k: Dim; ta?: boolean; tb?: boolean; bShared?: boolean }): Tensor {
  const out = made(site);
  site.g.push({ kind: "gemm", batch: one, ta: false, tb: false, bShared: true, epilogue: undefined, ...p, out });
  return out;
}

/** Adds a row vector to a matrix; the fusion pass puts it into the product. */
function addRow(site: AnySite, x: Tensor, row: Operand): Handle[] {
  return site.g.map(x.shape, [viewOf(x), row], ([a, b]) => [apply("($0 + $1)", a ?? none, b ?? none)]);
}

/** Sites inside an op that is made of others: the same graph, other types. */
const within = (site: AnySite, types: readonly TensorType[]) => (args: readonly Handle[]): { g: GraphBuilder; args: readonly Handle[]; attrs: Record<string, never>; types: readonly TensorType[] } => ({ g: site.g, args, attrs: {}, types });

const none: Expr = { kind: "number", value: 0 };

function thirds(qkv: Tensor, width: Dim): [Part, Part, Part] {
  const part = (i: number): Part => ({ tensor: qkv, width: mul(three, width), at: mul(constantDim(i), width) });
  return [part(0), part(1), part(2)];
}

function attentionSizes(site: AnySite): AttentionSizes {
  const { shape } = arg(site, 0);
  return { batch: axis(shape, 0), rows: axis(shape, 1), keys: axis(arg(site, 1).shape, 1), width: axis(shape, 2) };
}

/** A part of its own tensor, contiguous. */
const plainPart = (tensor: Tensor, width: Dim): Part => ({ tensor, width, at: constantDim(0) });

/** Attention of operands of their own; with `block`, of which later blocks of so many rows are hidden. */
function attending(site: AnySite, heads: number, block: number | undefined): Handle[] {
  const [o, lse] = [made(site, 0), made(site, 1)];
  const width = axis(o.shape, 2);
  const [q, k, v] = [0, 1, 2].map((i) => plainPart(whole(site, i), width));
  if (!q || !k || !v) throw new IrError("wgsl target: sdpa takes three operands.");
  site.g.push({ kind: "attention", q, k, v, heads, block, sizes: attentionSizes(site), o, lse });
  return [viewOf(o), viewOf(lse)];
}

function attendingGrad(site: AnySite, heads: number, block: number | undefined): Handle[] {
  const width = axis(shapeOf(site), 2);
  const [q, k, v] = [0, 1, 2].map((i) => plainPart(whole(site, i), width));
  const outs = [0, 1, 2].map((i) => made(site, i));
  const [dq, dk, dv] = outs.map((t) => plainPart(t, width));
  if (!q || !k || !v || !dq || !dk || !dv) throw new IrError("wgsl target: sdpa_grad takes six operands.");
  site.g.push({ kind: "attention_grad", q, k, v, heads, block, sizes: attentionSizes(site), o: whole(site, 3), lse: whole(site, 4), dO: whole(site, 5), dq, dk, dv });
  return outs.map((t) => viewOf(t));
}

function indexWork(site: AnySite, x: "gather" | "scatter", image: readonly Dim[], out: Tensor): IndexWork {
  const indices = arg(site, 1);
  const [batch, rows, width] = image.length === 3 ? [axis(image, 0), axis(image, 1), axis(image, 2)] : [one, axis(image, 0), axis(image, 1)];
  if (x === "gather" && indices.kind === "splat") throw new IrError("wgsl target: indices are data.");
  return { indices: site.g.whole(indices), indexRows: axis(indices.shape, 0), indexLength: axis(indices.shape, 1), batch, rows, width, out };
}

const gathering = (site: AnySite): Handle[] => {
  const out = made(site);
  site.g.push({ kind: "gather", x: whole(site, 0), ...indexWork(site, "gather", arg(site, 0).shape, out) });
  return [viewOf(out)];
};

const scattering = (site: AnySite): Handle[] => {
  const out = made(site);
  site.g.push({ kind: "scatter", dy: whole(site, 0), ...indexWork(site, "scatter", shapeOf(site), out) });
  return [viewOf(out)];
};

const rowwise = (how: "softmax" | "log_softmax") => (site: AnySite): Handle[] => {
  const out = made(site);
  site.g.push({ kind: "rows", how, x: whole(site, 0), out });
  return [viewOf(out)];
};

const rowwiseGrad = (how: "softmax" | "log_softmax") => (site: AnySite): Handle[] => {
  const out = made(site);
  site.g.push({ kind: "rows_grad", how, y: whole(site, 0), dy: whole(site, 1), out });
  return [viewOf(out)];
};

/** Axes that come apart as `[copies, rest]` in memory: a copy with the finer shape is the same elements. */
function copyAs(site: AnySite, x: Operand): Handle[] {
  return [viewOf(site.g.whole(x), shapeOf(site))];
}

/** Pixels in patch order: [B, H/p, W/q, p, q, C], whose elements in row-major order are patches. */
function patchView(image: readonly Dim[], patch: readonly number[]): { shape: Dim[]; strides: Dim[] } {
  const [p = one, q = one] = patch.map(constantDim);
  const [b, h, w, c] = [axis(image, 0), axis(image, 1), axis(image, 2), axis(image, 3)];
  const row = mul(w, c);
  return { shape: [b, exact(h, p), exact(w, q), p, q, c], strides: [mul(h, row), mul(p, row), mul(q, c), row, c, one] };
}

function exact(a: Dim, b: Dim): Dim {
  const q = divide(a, b);
  if (q === undefined) throw new IrError("wgsl target: a size does not divide.");
  return q;
}

/** The lowering of every primitive op. */
const lowerings = {
  neg: each("(-$0)"), exp: each("exp($0)"), log: each("log($0)"), sqrt: each("sqrt($0)"), rsqrt: each("inverseSqrt($0)"),
  square: each("square($0)"), abs: each("abs($0)"), sign: each("sign($0)"), relu: each("max($0, 0f)"), step: each("select(0f, 1f, $0 > 0f)"),
  tanh: each("tanh(clamp($0, -15f, 15f))"), sigmoid: each("sigmoid($0)"), erf: each("erf($0)"), gelu: each("gelu($0)"), sin: each("sin($0)"), cos: each("cos($0)"),
  recip: each("(1f / $0)"),
  scale: (site) => each(`($0 * ${literal(site.attrs.by)})`)(site),
  shift: (site) => each(`($0 + ${literal(site.attrs.by)})`)(site),
  scale_dim: (site) => site.g.map(shapeOf(site), [arg(site, 0)], ([x]) => [apply("($0 * $1)", x ?? none, { kind: "ratio", num: site.attrs.num, den: site.attrs.den })]),
  stop_gradient: ({ args }) => args,
  to_f32: each("f32($0)"),
  add: each("($0 + $1)"), sub: each("($0 - $1)"), mul: each("($0 * $1)"), div: each("($0 / $1)"),
  max: each("max($0, $1)"), min: each("min($0, $1)"), less: each("select(0f, 1f, $0 < $1)"),
  select: each("select($2, $1, $0 != 0f)"),
  fill: ({ attrs: { shape, value, stack } }) => [stack.reduceRight<Handle>((item, n) => ({ kind: "stack", items: Array.from({ length: n }, () => item) }), splat(value, shape))],
  iota: (site) => {
    const out = made(site);
    site.g.push({ kind: "iota", out });
    return [viewOf(out)];
  },
  reshape: (site) => [site.g.reshaped(arg(site, 0), shapeOf(site))],
  transpose: (site) => [transposeView(arg(site, 0), site.attrs.perm)],
  broadcast: (site) => {
    const x = arg(site, 0);
    return [x.kind === "splat" ? { ...x, shape: shapeOf(site) } : broadcastView(x, shapeOf(site))];
  },
  slice: (site) => [sliceView(arg(site, 0), site.attrs.axis, site.attrs.start, site.attrs.size)],
  pad: (site) => {
    const x = arg(site, 0);
    const { axis: at, before, after } = site.attrs;
    const out = made(site);
    site.g.push({ kind: "pad", x: site.g.whole(x), outer: product(x.shape.slice(0, at)), size: axis(x.shape, at), inner: product(x.shape.slice(at + 1)), before, after, out });
    return [viewOf(out)];
  },
  concat: (site) => {
    const at = site.attrs.axis;
    const out = made(site);
    const parts = site.args.map((a) => ({ x: site.g.whole(operand(a)), size: axis(operand(a).shape, at) }));
    site.g.push({ kind: "concat", parts, outer: product(out.shape.slice(0, at)), inner: product(out.shape.slice(at + 1)), out });
    return [viewOf(out)];
  },
  sum: reducing("sum"), mean: reducing("mean"), reduce_max: reducing("max"),
  sum_leading: (site) => {
    const { shape } = arg(site, 0);
    const out = made(site);
    site.g.push({ kind: "reduce", how: "sum", x: whole(site, 0), outer: one, red: product(shape.slice(0, -1)), inner: axis(shape, -1), out });
    return [viewOf(out)];
  },
  matmul: (site) => {
    const { ta, tb } = site.attrs;
    const [a, b] = [arg(site, 0), arg(site, 1)];
    const shared = b.shape.length === 2;
    const lead = product(a.shape.slice(0, -2));
    const [m, k] = ta ? [axis(a.shape, -1), axis(a.shape, -2)] : [axis(a.shape, -2), axis(a.shape, -1)];
    const n = tb ? axis(b.shape, -2) : axis(b.shape, -1);
    const batched = shared ? { batch: one, m: mul(lead, m) } : { batch: lead, m };
    return [viewOf(gemm(site, { a: site.g.whole(a), b: site.g.whole(b), ...batched, n, k, ta, tb, bShared: shared }))];
  },
  linear: (site) => {
    const [x, w] = [arg(site, 0), arg(site, 1)];
    const out = gemm(site, { a: site.g.whole(x), b: site.g.whole(w), m: product(x.shape.slice(0, -1)), n: axis(w.shape, 1), k: axis(w.shape, 0) });
    return addRow(site, out, arg(site, 2));
  },
  linear_grad_x: (site) => {
    const [dy, w] = [arg(site, 0), arg(site, 1)];
    return [viewOf(gemm(site, { a: site.g.whole(dy), b: site.g.whole(w), m: product(dy.shape.slice(0, -1)), n: axis(w.shape, 0), k: axis(w.shape, 1), tb: true }))];
  },
  linear_grad_w: (site) => {
    const [x, dy] = [arg(site, 0), arg(site, 1)];
    const out = made(site);
    site.g.push({ kind: "gemm_tn_sums", a: site.g.whole(x), b: site.g.whole(dy), m: axis(x.shape, -1), n: axis(dy.shape, -1), k: product(x.shape.slice(0, -1)), out, sums: undefined });
    return [viewOf(out)];
  },
  scale_rows: (site) => {
    const s = arg(site, 1);
    return site.g.map(shapeOf(site), [arg(site, 0), site.g.reshaped(s, [...s.shape, one])], ([a, b]) => [apply("($0 * $1)", a ?? none, b ?? none)]);
  },
  softmax: rowwise("softmax"), log_softmax: rowwise("log_softmax"), softmax_grad: rowwiseGrad("softmax"), log_softmax_grad: rowwiseGrad("log_softmax"),
  normalize: (site) => {
    const [y, rstd] = [made(site, 0), made(site, 1)];
    site.g.push({ kind: "norm", x: whole(site, 0), affine: undefined, y, rstd, eps: site.attrs.eps });
    return [viewOf(y), viewOf(rstd)];
  },
  normalize_grad: (site) => {
    const out = made(site);
    site.g.push({ kind: "norm_grad", y: whole(site, 0), rstd: whole(site, 1), scale: undefined, dy: whole(site, 2), out, affine: undefined, epilogue: undefined });
    return [viewOf(out)];
  },
  gelu_grad: each("($1 * gelu_slope($0))"),
  gelu_slope: (site) => site.g.map(shapeOf(site), [arg(site, 0)], ([x]) => [apply("gelu($0)", x ?? none), apply("gelu_slope($0)", x ?? none)]),
  layer_norm: (site) => {
    const [out, y, rstd] = [made(site, 0), made(site, 1), made(site, 2)];
    site.g.push({ kind: "norm", x: whole(site, 0), affine: { scale: whole(site, 1), offset: whole(site, 2), out }, y, rstd, eps: site.attrs.eps });
    return [viewOf(out), viewOf(y), viewOf(rstd)];
  },
  layer_norm_grad: (site) => {
    const [dx, dscale, doffset] = [made(site, 0), made(site, 1), made(site, 2)];
    const [y, dout] = [whole(site, 0), whole(site, 3)];
    site.g.push({ kind: "norm_grad_affine", rows: product(dx.shape.slice(0, -1)), width: axis(dx.shape, -1), y, dout, dscale, doffset });
    site.g.push({ kind: "norm_grad", y, rstd: whole(site, 1), scale: whole(site, 2), dy: dout, out: dx, affine: undefined, epilogue: undefined });
    return [viewOf(dx), viewOf(dscale), viewOf(doffset)];
  },
  feed_forward: (site) => {
    const [x, w1, w2, b2] = [arg(site, 0), arg(site, 1), arg(site, 3), site.args[4]];
    const hidden = within(site, [{ dtype: "f32", shape: [...x.shape.slice(0, -1), axis(w1.shape, 1)], stack: [] }]);
    const pair = lowerOp("gelu_slope", hidden(lowerOp("linear", hidden(site.args.slice(0, 3)))));
    const y = lowerOp("linear", { ...site, attrs: {}, args: [...pair.slice(0, 1), w2, ...(b2 === undefined ? [] : [b2])] });
    return [...y, { kind: "stack", items: pair }];
  },
  feed_forward_grad: (site) => {
    const [x, w1, w2, memory, dy] = site.args;
    if (memory?.kind !== "stack" || !x || !w1 || !w2 || !dy) throw new IrError("wgsl target: feed_forward_grad takes what feed_forward kept.");
    const [a, slope] = memory.items;
    if (!a || !slope) throw new IrError("wgsl target: feed_forward keeps two values.");
    const at = (i: number, args: readonly Handle[]) => ({ ...within(site, site.types.slice(i))(args) });
    const hidden = within(site, [{ dtype: "f32", shape: operand(slope).shape, stack: [] }]);
    const dh = lowerOp("mul", hidden([...lowerOp("linear_grad_x", hidden([dy, w2])), slope]));
    return [
      ...lowerOp("linear_grad_x", at(0, [...dh, w1])), ...lowerOp("linear_grad_w", at(1, [x, ...dh])), ...lowerOp("sum_leading", at(2, dh)),
      ...lowerOp("linear_grad_w", at(3, [a, dy])), ...lowerOp("sum_leading", at(4, [dy])),
    ];
  },
  smooth_l1_mean: (site) => {
    const [loss, slope] = [made(site, 0), made(site, 1)];
    site.g.push({ kind: "smooth_l1_mean", a: whole(site, 0), b: whole(site, 1), beta: site.attrs.beta, target: undefined, loss, slope });
    return [viewOf(loss), viewOf(slope)];
  },
  attention: (site) => {
    const { heads } = site.attrs;
    const qkv = whole(site, 0);
    const o = made(site);
    const [batch, rows, width] = [axis(o.shape, 0), axis(o.shape, 1), axis(o.shape, 2)];
    const lse = site.g.tensor("f32", [batch, constantDim(heads), rows], { kind: "work" }, "lse");
    const [q, k, v] = thirds(qkv, width);
    site.g.push({ kind: "attention", q, k, v, heads, block: undefined, sizes: { batch, rows, keys: rows, width }, o, lse });
    return [viewOf(o), { kind: "memory", qkv, o, lse, heads }];
  },
  qkv_attention: (site) => {
    const [x, w] = [arg(site, 0), arg(site, 1)];
    const qkv = within(site, [{ dtype: "f32", shape: [...x.shape.slice(0, -1), axis(w.shape, 1)], stack: [] }])(site.args);
    return lowerOp("attention", { ...site, args: lowerOp("linear", qkv) });
  },
  attention_grad: (site) => {
    const [memory] = site.args;
    if (memory?.kind !== "memory") throw new IrError("wgsl target: attention_grad takes what attention kept.");
    const { qkv, o, lse, heads } = memory;
    const width = axis(o.shape, 2);
    const dqkv = made(site);
    const [q, k, v] = thirds(qkv, width);
    const [dq, dk, dv] = thirds(dqkv, width);
    site.g.push({ kind: "attention_grad", q, k, v, heads, block: undefined, sizes: { batch: axis(o.shape, 0), rows: axis(o.shape, 1), keys: axis(o.shape, 1), width }, o, lse, dO: whole(site, 1), dq, dk, dv });
    return [viewOf(dqkv)];
  },
  sdpa: (site) => attending(site, site.attrs.heads, undefined), sdpa_grad: (site) => attendingGrad(site, site.attrs.heads, undefined),
  sdpa_causal: (site) => attending(site, site.attrs.heads, site.attrs.block), sdpa_causal_grad: (site) => attendingGrad(site, site.attrs.heads, site.attrs.block),
  gather_rows: gathering, scatter_rows: scattering, gather_table: gathering, scatter_table: scattering,
  tile_batch: (site) => {
    const x = arg(site, 0);
    const { copies } = site.attrs;
    const shape = [constantDim(copies), ...x.shape];
    return copyAs(site, x.kind === "splat" ? { ...x, shape } : broadcastView(x, shape));
  },
  sum_tiles: (site) => {
    const out = made(site);
    site.g.push({ kind: "reduce", how: "sum", x: whole(site, 0), outer: one, red: constantDim(site.attrs.copies), inner: product(out.shape), out });
    return [viewOf(out)];
  },
  one_hot: (site) => {
    const out = made(site);
    site.g.push({ kind: "one_hot", x: whole(site, 0), size: site.attrs.size, out });
    return [viewOf(out)];
  },
  patchify: (site) => {
    const x = arg(site, 0);
    const { shape, strides } = patchView(x.shape, site.attrs.patch);
    return copyAs(site, x.kind === "splat" ? { ...x, shape } : { ...viewOf(site.g.whole(x)), shape, strides });
  },
  unpatchify: (site) => {
    const x = arg(site, 0);
    if (x.kind === "splat") return [{ ...x, shape: shapeOf(site) }];
    const { shape } = patchView(shapeOf(site), site.attrs.patch);
    const view = { ...viewOf(site.g.whole(x)), shape, strides: stridesOf(shape) };
    return copyAs(site, transposeView(view, [0, 1, 3, 2, 4, 5]));
  },
  smooth_l1: (site) => each(`smooth_l1($0 - $1, ${literal(site.attrs.beta)})`)(site),
  smooth_l1_grad: (site) => each(`($2 * clamp(($0 - $1) / ${literal(site.attrs.beta)}, -1f, 1f))`)(site),
  attention_rows: elsewhere, attention_rows_grad: elsewhere, stack_front: elsewhere, stack_last: elsewhere, stack_join: elsewhere,
} satisfies { readonly [O in PrimitiveName]: Row<O> };
