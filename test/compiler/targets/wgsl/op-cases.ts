/**
 * A case for every op of the table: odd sizes, single rows, lengths that fit no tile.
 */
import type { FuncBuilder } from "../../../../compiler/tensor/build.js";
import type { ValueId } from "../../../../compiler/tensor/ir.js";
import { i32 } from "../../../../compiler/tensor/ir.js";
import { dim, dims } from "../../../../compiler/types/dim.js";
import type { DimLike } from "../../../../compiler/types/dim.js";
import type { Case } from "./on-device.js";
import { data, t, weight } from "./on-device.js";

const one = (id: ValueId): readonly ValueId[] => [id];

const unary = ["neg", "exp", "square", "abs", "sign", "relu", "step", "tanh", "sigmoid", "erf", "gelu", "sin", "cos", "stop_gradient"] as const;
const positive = ["log", "sqrt", "rsqrt", "recip"] as const;
const binary = ["add", "sub", "mul", "max", "min", "less"] as const;
const rowShapes: readonly (readonly [string, DimLike[], Record<string, number>])[] = [
  ["7 rows of 130", ["N", 130], { N: 7 }], ["one row of 1", ["N", 1], { N: 1 }],
];

export const cases: readonly Case[] = [
  ...unary.map((op): Case => ({ op, env: { N: 301 }, body: (b) => one(b.op(op, [data(b, "x", t("N", 3))])) })),
  ...positive.map((op): Case => ({ op, env: { N: 301 }, positive: true, body: (b) => one(b.op(op, [data(b, "x", t("N"))])) })),
  ...binary.map((op): Case => ({ op, env: { N: 37 }, body: (b) => one(b.op(op, [data(b, "a", t("N", 5, 3)), data(b, "b", t(5, 1))])) })),
  { op: "div", env: { N: 9 }, positive: true, body: (b) => one(b.op("div", [data(b, "a", t("N", 5)), data(b, "b", t(5))])) },
  { op: "scale", env: { N: 5 }, body: (b) => one(b.op("scale", [data(b, "x", t("N"))], { by: -0.37 })) },
  { op: "shift", env: { N: 5 }, body: (b) => one(b.op("shift", [data(b, "x", t("N"))], { by: 1e-7 })) },
  { op: "scale_dim", env: { N: 7, M: 3 }, body: (b) => [b.op("scale_dim", [data(b, "x", t("N", "M"))], { num: dim("N"), den: dim("2*M") })] },
  { op: "select", env: { N: 19 }, body: (b) => one(b.op("select", [b.op("step", [data(b, "c", t("N"))]), data(b, "x", t("N")), data(b, "y", t("N"))])) },
  { op: "to_f32", env: { N: 5 }, below: 9, body: (b) => one(b.op("to_f32", [data(b, "x", i32(dims(["N"])))])) },
  { op: "fill", env: { N: 5 }, body: (b) => one(b.op("add", [data(b, "x", t("N", 2)), b.op("fill", [], { shape: dims(["N", 2]), value: 0.25, stack: [] })])) },
  { op: "iota", env: { N: 300 }, body: (b) => one(b.op("to_f32", [b.op("iota", [], { size: dim("N") })])) },
  { op: "reshape", env: { N: 6 }, body: (b) => one(b.op("reshape", [b.op("transpose", [data(b, "x", t("N", 4))], { perm: [1, 0] })], { shape: dims([2, 2, "N"]) })) },
  { op: "transpose", env: { N: 6 }, body: (b) => one(b.op("transpose", [data(b, "x", t(3, "N", 4, 2))], { perm: [2, 0, 3, 1] })) },
  { op: "broadcast", env: { N: 6 }, body: (b) => one(b.op("broadcast", [data(b, "x", t(3, 1))], { shape: dims(["N", 3, 4]) })) },
  { op: "slice", env: { N: 6 }, body: (b) => one(b.op("slice", [data(b, "x", t("N+2", 5))], { axis: 0, start: dim(2), size: dim("N") })) },
  { op: "slice", note: "middle axis", env: { N: 6 }, body: (b) => one(b.op("slice", [data(b, "x", t(3, "2*N", 5))], { axis: 1, start: dim("N"), size: dim("N") })) },
  { op: "pad", env: { N: 3 }, body: (b) => one(b.op("pad", [data(b, "x", t(2, "N", 5))], { axis: 1, before: dim("N"), after: dim(2) })) },
  { op: "concat", env: { N: 3 }, body: (b) => one(b.op("concat", [data(b, "x", t(2, "N", 5)), data(b, "y", t(2, 1, 5)), data(b, "z", t(2, "2*N", 5))], { axis: 1 })) },
  ...(["sum", "mean", "reduce_max"] as const).flatMap((op): Case[] => [
    { op, note: "rows", env: { N: 9 }, body: (b) => one(b.op(op, [data(b, "x", t("N", 131))], { axes: [1], keep: false })) },
    { op, note: "columns", env: { N: 1300 }, body: (b) => one(b.op(op, [data(b, "x", t("N", 7))], { axes: [0], keep: true })) },
    { op, note: "all", env: { N: 1301 }, body: (b) => one(b.op(op, [data(b, "x", t("N", 7))], { axes: [0, 1], keep: false })) },
    { op, note: "apart", env: { N: 13 }, body: (b) => one(b.op(op, [data(b, "x", t(5, "N", 7))], { axes: [0, 2], keep: false })) },
  ]),
  { op: "sum_leading", env: { N: 1000 }, body: (b) => one(b.op("sum_leading", [data(b, "x", t("N", 2, 5))])) },
  ...[[false, false], [false, true], [true, false], [true, true]].flatMap(([ta = false, tb = false]): Case[] => [
    { op: "matmul", note: `${ta} ${tb}`, env: { M: 67, K: 35, N: 70 }, body: (b) => one(b.op("matmul", [data(b, "a", ta ? t("K", "M") : t("M", "K")), weight(b, "b", tb ? t("N", "K") : t("K", "N"))], { ta, tb })) },
    { op: "matmul", note: `batched ${ta} ${tb}`, env: { B: 3, M: 5, K: 17, N: 1 }, body: (b) => one(b.op("matmul", [data(b, "a", ta ? t("B", 2, "K", "M") : t("B", 2, "M", "K")), weight(b, "b", tb ? t("B", 2, "N", "K") : t("B", 2, "K", "N"))], { ta, tb })) },
  ]),
  { op: "matmul", note: "tile of 128", large: true, env: { M: 1410, K: 9, N: 1400 }, body: (b) => one(b.op("matmul", [data(b, "a", t("M", "K")), data(b, "b", t("N", "K"))], { ta: false, tb: true })) },
  { op: "matmul", note: "with itself, shared", env: { M: 5, K: 3 }, body: (b) => { const x = data(b, "a", t("M", "K")); return [b.op("matmul", [x, x], { ta: false, tb: true }), b.op("matmul", [data(b, "c", t(4, "M", "K")), x], { ta: false, tb: true })]; } },
  { op: "linear", env: { B: 3, N: 11 }, body: (b) => one(b.op("linear", [data(b, "x", t("B", "N", 19)), weight(b, "w", t(19, 70)), weight(b, "b", t(70))])) },
  { op: "linear", note: "with gelu and residual", env: { B: 3, N: 11 }, body: (b) => { const [y = -1, slope = -1] = b.multi("gelu_slope", [b.op("linear", [data(b, "x", t("B", "N", 19)), weight(b, "w", t(19, 33)), weight(b, "b", t(33))])]); return [y, slope, b.op("add", [data(b, "r", t("B", "N", 7)), b.op("linear", [y, weight(b, "v", t(33, 7)), weight(b, "c", t(7))])])]; } },
  { op: "linear_grad_x", env: { B: 3, N: 11 }, body: (b) => one(b.op("mul", [b.op("linear_grad_x", [data(b, "dy", t("B", "N", 19)), weight(b, "w", t(9, 19))]), data(b, "s", t("B", "N", 9))])) },
  { op: "linear_grad_w", env: { B: 3, N: 11 }, body: (b) => one(b.op("linear_grad_w", [data(b, "x", t("B", "N", 70)), data(b, "dy", t("B", "N", 9))])) },
  { op: "linear_grad_w", note: "in parts, with the bias", env: { B: 3, N: 411 }, body: (b) => { const dy = data(b, "dy", t("B", "N", 66)); return [b.op("linear_grad_w", [data(b, "x", t("B", "N", 70)), dy]), b.op("sum_leading", [dy])]; } },
  { op: "scale_rows", env: {}, body: (b) => one(b.op("scale_rows", [weight(b, "w", t(19, 33)), weight(b, "s", t(19))])) },
  ...rowShapes.flatMap(([note, shape, env]): Case[] => [
    ...(["softmax", "log_softmax"] as const).map((op): Case => ({ op, note, env, body: (b) => one(b.op(op, [data(b, "x", t(...shape))])) })),
    ...(["softmax_grad", "log_softmax_grad"] as const).map((op): Case => ({ op, note, env, body: (b) => one(b.op(op, [data(b, "y", t(...shape)), data(b, "dy", t(...shape))])) })),
    ...(shape[1] === 1 ? [] : [
      { op: "normalize", note, env, body: (b: FuncBuilder) => b.multi("normalize", [data(b, "x", t(...shape))], { eps: 1e-5 }) },
      { op: "layer_norm", note, env, body: (b: FuncBuilder) => b.multi("layer_norm", [data(b, "x", t(...shape)), weight(b, "s", t(...shape.slice(1))), weight(b, "o", t(...shape.slice(1)))], { eps: 1e-5 }) },
    ]),
    { op: "normalize_grad", note, env, body: (b) => one(b.op("add", [b.op("normalize_grad", [data(b, "y", t(...shape)), data(b, "r", t(...shape.slice(0, 1), 1)), data(b, "dy", t(...shape))]), data(b, "rest", t(...shape))])) },
    { op: "layer_norm_grad", note, env, tolerance: 1e-4, body: (b) => b.multi("layer_norm_grad", [data(b, "y", t(...shape)), data(b, "r", t(...shape.slice(0, 1), 1)), weight(b, "s", t(...shape.slice(1))), data(b, "dy", t(...shape))]) },
  ]),
  { op: "layer_norm_grad", note: "rows in blocks, the last one short", env: { N: 701 }, tolerance: 1e-4, body: (b) => { const [dx = -1, ...sums] = b.multi("layer_norm_grad", [data(b, "y", t("N", 3, 130)), data(b, "r", t("N", 3, 1)), weight(b, "s", t(130)), data(b, "dy", t("N", 3, 130))]); return [b.op("add", [dx, data(b, "rest", t("N", 3, 130))]), ...sums]; } },
  { op: "layer_norm_grad", note: "rows too wide for registers", env: { N: 70 }, tolerance: 1e-4, body: (b) => b.multi("layer_norm_grad", [data(b, "y", t("N", 2050)), data(b, "r", t("N", 1)), weight(b, "s", t(2050)), data(b, "dy", t("N", 2050))]) },
  { op: "softmax", note: "more rows than groups along a dimension", env: { N: 66000 }, body: (b) => one(b.op("softmax", [data(b, "x", t("N", 2))])) },
  { op: "gelu_grad", env: { N: 301 }, body: (b) => one(b.op("gelu_grad", [data(b, "x", t("N")), data(b, "dy", t("N"))])) },
  { op: "gelu_slope", env: { N: 301 }, body: (b) => b.multi("gelu_slope", [data(b, "x", t("N"))]) },
  // Scaled, for scores of the size that normalized tokens and small weights give: those of values of 1 magnify f16's rounding of q and k.
  { op: "qkv_attention", env: { B: 2, T: 7 }, body: (b) => { const [o = -1, memory = -1] = b.multi("qkv_attention", [b.op("scale", [data(b, "x", t("B", "T", 10))], { by: 0.25 }), weight(b, "w", t(10, 24)), weight(b, "b", t(24))], { heads: 2 }); return [o, b.op("attention_grad", [memory, data(b, "do", t("B", "T", 8))])]; } },
  { op: "feed_forward", env: { B: 3, N: 11 }, body: (b) => b.multi("feed_forward", [data(b, "x", t("B", "N", 19)), weight(b, "w1", t(19, 33)), weight(b, "b1", t(33)), weight(b, "w2", t(33, 7)), weight(b, "b2", t(7))]).slice(0, 1) },
  {
    op: "feed_forward_grad", note: "after feed_forward", env: { B: 3, N: 11 }, tolerance: 1e-4, body: (b) => {
      const [x, w1, w2] = [data(b, "x", t("B", "N", 19)), weight(b, "w1", t(19, 33)), weight(b, "w2", t(33, 7))];
      const [y = -1, memory = -1] = b.multi("feed_forward", [x, w1, weight(b, "b1", t(33)), w2, weight(b, "b2", t(7))]);
      return [y, ...b.multi("feed_forward_grad", [x, w1, w2, memory, data(b, "dy", t("B", "N", 7))])];
    },
  },
  { op: "smooth_l1_mean", env: { N: 301 }, body: (b) => b.multi("smooth_l1_mean", [data(b, "a", t("N", 9)), data(b, "b", t("N", 9))], { beta: 0.5 }) },
  { op: "smooth_l1", env: { N: 301 }, body: (b) => one(b.op("smooth_l1", [data(b, "a", t("N")), data(b, "b", t("N"))], { beta: 0.5 })) },
  { op: "smooth_l1_grad", env: { N: 301 }, body: (b) => one(b.op("smooth_l1_grad", [data(b, "a", t("N")), data(b, "b", t("N")), data(b, "dy", t("N"))], { beta: 0.5 })) },
  ...[[1, 5, 3], [67, 4, 2], [130, 10, 1]].flatMap(([rows = 1, d = 1, heads = 1]): Case[] => [
    { op: "attention", note: `${rows} x ${d}, and attention_grad`, env: { B: 2, T: rows }, body: (b) => { const [o = -1, memory = -1] = b.multi("attention", [data(b, "qkv", t("B", "T", 3 * heads * d))], { heads }); return [o, b.op("attention_grad", [memory, data(b, "do", t("B", "T", heads * d))])]; } },
    { op: "sdpa", note: `${rows} x ${d}, and sdpa_grad`, env: { B: 2, T: rows, S: rows + 3 }, body: (b) => { const [q, k, v] = [data(b, "q", t("B", "T", heads * d)), data(b, "k", t("B", "S", heads * d)), data(b, "v", t("B", "S", heads * d))]; const [o = -1, lse = -1] = b.multi("sdpa", [q, k, v], { heads }); return [o, lse, ...b.multi("sdpa_grad", [q, k, v, o, lse, data(b, "do", t("B", "T", heads * d))], { heads })]; } },
  ]),
  ...[[1, 5, 3, 1], [67, 4, 2, 1], [130, 10, 1, 50], [71, 8, 2, 9]].map(([rows = 1, d = 1, heads = 1, block = 1]): Case => (
    { op: "sdpa_causal", note: `${rows} x ${d} by blocks of ${block}, and sdpa_causal_grad`, env: { B: 2, T: rows }, body: (b) => { const [q = -1, k = -1, v = -1, dO = -1] = ["q", "k", "v", "do"].map((name) => data(b, name, t("B", "T", heads * d))); const [o = -1, lse = -1] = b.multi("sdpa_causal", [q, k, v], { heads, block }); return [o, lse, ...b.multi("sdpa_causal_grad", [q, k, v, o, lse, dO], { heads, block })]; } }
  )),
  { op: "gather_rows", env: { B: 3, N: 7, K: 5 }, below: 7, body: (b) => one(b.op("gather_rows", [data(b, "x", t("B", "N", 6)), data(b, "i", i32(dims(["2*B", "K"])))], { copies: 2 })) },
  { op: "scatter_rows", env: { B: 3, N: 7, K: 5 }, below: 7, body: (b) => one(b.op("scatter_rows", [data(b, "dy", t("2*B", "K", 70)), data(b, "i", i32(dims(["2*B", "K"])))], { batch: dim("B"), rows: dim("N") })) },
  { op: "gather_table", env: { R: 3, N: 7, K: 5 }, below: 7, body: (b) => one(b.op("gather_table", [data(b, "x", t("N", 6)), data(b, "i", i32(dims(["R", "K"])))])) },
  { op: "scatter_table", env: { R: 3, N: 7, K: 5 }, below: 7, body: (b) => one(b.op("scatter_table", [data(b, "dy", t("R", "K", 6)), data(b, "i", i32(dims(["R", "K"])))], { rows: dim("N") })) },
  { op: "tile_batch", env: { B: 3 }, body: (b) => one(b.op("tile_batch", [data(b, "x", t("B", 5))], { copies: 4 })) },
  { op: "sum_tiles", env: { B: 3 }, body: (b) => one(b.op("sum_tiles", [data(b, "x", t("4*B", 5))], { copies: 4 })) },
  { op: "one_hot", env: { B: 3 }, below: 9, body: (b) => one(b.op("one_hot", [data(b, "x", i32(dims(["B", 2])))], { size: dim(9) })) },
  { op: "patchify", env: { B: 2 }, body: (b) => one(b.op("patchify", [data(b, "x", t("B", 6, 9, 2))], { patch: [2, 3] })) },
  { op: "unpatchify", env: { B: 2 }, body: (b) => one(b.op("unpatchify", [data(b, "x", t("B", 9, 12))], { patch: [2, 3], height: dim(6), width: dim(9) })) },
];
