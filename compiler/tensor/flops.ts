/**
 * What an op costs: floating-point operations as a polynomial of the dimensions.
 *
 * Total over the op table. Counts multiply and add as two; a transcendental function counts as one, a fused row op by the
 * operations per element of its definition. Moving data costs nothing here: bytes are the memory planner's matter.
 * `funcFlops` adds a function up, loops by multiplication: the numbers of `jepac` cost reports.
 */
// tidy: table
import type { Dim } from "../types/dim.js";
import { add, constantDim, mul, product, substitute, total } from "../types/dim.js";
import type { Func, Module, Node, TensorType } from "./ir.js";
import { IrError, funcOf, typeOf } from "./ir.js";
import type { Attrs, PrimitiveName } from "./ops.js";

/** A rule: operand types, result types, attributes to a count. */
export type FlopsRule<O extends PrimitiveName> = (args: readonly TensorType[], results: readonly TensorType[], attrs: Attrs<O>) => Dim;

/** Operations of one call of a function, in the function's own dimensions. */
export function funcFlops(module: Module, name: string): Dim {
  const known = new Map<string, Dim>();
  for (const func of module.funcs.values()) {
    known.set(func.name, total(func.nodes.map((node) => nodeFlops(func, node, known))));
    if (func.name === name) break;
  }
  return known.get(funcOf(module, name).name) ?? constantDim(0);
}

function nodeFlops(func: Func, node: Node, known: ReadonlyMap<string, Dim>): Dim {
  if (node.op === "call" || node.op === "repeat") {
    const inner = known.get(node.attrs.fn);
    if (inner === undefined) throw new IrError(`There is no function \`${node.attrs.fn}\` before \`${func.name}\`.`);
    const once = substitute(inner, new Map(Object.entries(node.attrs.dims)));
    return node.op === "call" ? once : mul(constantDim(node.attrs.count), once);
  }
  const types = (ids: readonly number[]): TensorType[] => ids.map((id) => typeOf(func, id));
  return opFlops<PrimitiveName>(node.op, types(node.args), types(node.results), node.attrs);
}

function opFlops<O extends PrimitiveName>(op: O, args: readonly TensorType[], results: readonly TensorType[], attrs: Attrs<O>): Dim {
  const table: { readonly [P in PrimitiveName]: FlopsRule<P> } = flops;
  return table[op](args, results, attrs);
}

type Types = readonly TensorType[];

function elements(type: TensorType | undefined): Dim {
  return type === undefined ? constantDim(0) : product([...type.stack.map(constantDim), ...type.shape]);
}

const free = (): Dim => constantDim(0);
const perResult = (n: number) => (_: Types, results: Types): Dim => mul(constantDim(n), elements(results[0]));
const perOperand = (n: number) => (args: Types): Dim => mul(constantDim(n), elements(args[0]));

function width(type: TensorType | undefined, fromEnd: number): Dim {
  return type?.shape.at(-fromEnd) ?? constantDim(1);
}

/** 2 * rows * in * out. */
function linearProduct(rows: TensorType | undefined, other: Dim): Dim {
  return product([constantDim(2), elements(rows), other]);
}

function attentionProducts(n: number): (args: Types) => Dim {
  // Each product over a score matrix is 2 * B * Tq * Tk * (heads * d).
  return (args) => product([constantDim(2 * n), elements(args[0]), width(args[1], 2)]);
}

/** The cost of every primitive op. */
const flops = {
  neg: perResult(1), exp: perResult(1), log: perResult(1), sqrt: perResult(1), rsqrt: perResult(2), square: perResult(1),
  abs: perResult(1), sign: perResult(1), relu: perResult(1), step: perResult(1), tanh: perResult(1), sigmoid: perResult(3),
  erf: perResult(1), gelu: perResult(5), sin: perResult(1), cos: perResult(1), recip: perResult(1), scale: perResult(1),
  shift: perResult(1), scale_dim: perResult(1), stop_gradient: free, to_f32: free,
  add: perResult(1), sub: perResult(1), mul: perResult(1), div: perResult(1), max: perResult(1), min: perResult(1),
  less: perResult(1), select: perResult(1),
  fill: free, iota: free, reshape: free, transpose: free, broadcast: free, slice: free, pad: free, concat: free,
  sum: perOperand(1), mean: perOperand(1), reduce_max: perOperand(1), sum_leading: perOperand(1),
  matmul: (args, results, { ta }) => linearProduct(results[0], width(args[0], ta ? 2 : 1)),
  linear: (args, results) => add(linearProduct(results[0], width(args[0], 1)), elements(results[0])),
  linear_grad_x: (args, results) => linearProduct(results[0], width(args[0], 1)),
  linear_grad_w: (args) => linearProduct(args[0], width(args[1], 1)),
  scale_rows: perResult(1),
  softmax: perResult(5), softmax_grad: perResult(4), log_softmax: perResult(5), log_softmax_grad: perResult(4),
  normalize: perResult(7), normalize_grad: perResult(8), gelu_grad: perResult(8),
  gelu_slope: perResult(13),
  layer_norm: perResult(9),
  layer_norm_grad: perResult(12),
  // The memory has two numbers for each hidden value, so its size times a width is a product.
  feed_forward: ([x], [y, memory]) => add(mul(elements(memory), total([width(x, 1), width(y, 1), constantDim(7)])), elements(y)),
  feed_forward_grad: ([x, , , memory, dy]) => add(mul(elements(memory), total([mul(constantDim(2), width(x, 1)), mul(constantDim(2), width(dy, 1)), constantDim(1)])), elements(dy)),
  smooth_l1_mean: perOperand(8),
  attention: (args, results) => product([constantDim(4), elements(results[0]), width(args[0], 2)]),
  // What `linear` and `attention` cost: 2 * rows * in * 3D, and the bias; 4 * rows * T * D.
  qkv_attention: ([x, w, b], [o]) => total([linearProduct(x, width(w, 1)), product([constantDim(3), elements(o)]), product([constantDim(4), elements(o), width(x, 2)]), mul(constantDim(0), elements(b))]),
  attention_grad: (args) => product([constantDim(8), elements(args[1]), width(args[1], 2)]),
  attention_rows: (args, results) => product([constantDim(4), elements(results[0]), width(args[0], 2)]),
  attention_rows_grad: (args) => product([constantDim(8), elements(args[1]), width(args[0], 2)]),
  sdpa: attentionProducts(2),
  sdpa_grad: attentionProducts(5),
  // Of all pairs: what later blocks have is left out by kernels, or masked.
  sdpa_causal: attentionProducts(2),
  sdpa_causal_grad: attentionProducts(5),
  gather_rows: free, scatter_rows: perOperand(1), gather_table: free, scatter_table: perOperand(1), tile_batch: free,
  sum_tiles: perOperand(1), one_hot: free, patchify: free, unpatchify: free,
  smooth_l1: perResult(4), smooth_l1_grad: perResult(4),
  stack_front: free, stack_last: free, stack_join: free,
} satisfies { readonly [O in PrimitiveName]: FlopsRule<O> };
