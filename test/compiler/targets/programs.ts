/**
 * Programs in tensor IR for the targets' tests: a small I-JEPA, and one that uses what that one does not.
 */
import { defineFunc } from "../../../compiler/tensor/build.js";
import type { FuncBuilder } from "../../../compiler/tensor/build.js";
import type { Module, TensorType, ValueId } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32, i32 } from "../../../compiler/tensor/ir.js";
import { dim, dims } from "../../../compiler/types/dim.js";
import type { DimLike } from "../../../compiler/types/dim.js";

const tensor = (...shape: DimLike[]): TensorType => f32(dims(shape));

/** Parameters of a block: paths and shapes. */
const blockParams = (width: number): [path: string, shape: number[]][] => [
  ["norm.weight", [width]], ["norm.bias", [width]], ["qkv.weight", [width, 3 * width]], ["qkv.bias", [3 * width]],
  ["fc1.weight", [width, 2 * width]], ["fc1.bias", [2 * width]], ["fc2.weight", [2 * width, width]], ["fc2.bias", [width]],
];

function first(ids: readonly ValueId[]): ValueId {
  return ids[0] ?? -1;
}

/** A pre-norm block: attention over thirds of one projection, then an MLP, both residual. */
export function addBlock(module: Module, name: string, width: number, heads: number): Module {
  return defineFunc(module, { name, dims: ["R", "T"], doc: "One residual block." }, (b) => {
    const x = b.input("x", tensor("R", "T", width), "data");
    const param = new Map(blockParams(width).map(([path, shape]) => [path, b.input(path, tensor(...shape), "param")]));
    const p = (path: string): ValueId => param.get(path) ?? -1;
    const [y = -1] = b.multi("normalize", [x], { eps: 1e-6 });
    const h = b.op("add", [b.op("mul", [y, p("norm.weight")]), p("norm.bias")]);
    const qkv = b.op("linear", [h, p("qkv.weight"), p("qkv.bias")]);
    const o = first(b.multi("sdpa", b.split(qkv, 2, [width, width, width]), { heads }));
    const middle = b.name(b.op("add", [x, o]), "middle");
    const hidden = b.op("gelu", [b.op("linear", [middle, p("fc1.weight"), p("fc1.bias")])]);
    b.output("out", b.op("add", [middle, b.op("linear", [hidden, p("fc2.weight"), p("fc2.bias")])]));
  });
}

/** A residual block whose queries, keys and values are products of their own; keys and values are of scaled tokens. */
export function addCrossBlock(module: Module, name: string, width: number): Module {
  return defineFunc(module, { name, dims: ["R", "T"], doc: "One block of attention." }, (b) => {
    const x = b.input("x", tensor("R", "T", width), "data");
    const bias = b.input("bias", tensor(width), "param");
    const product = (from: ValueId, path: string): ValueId => b.op("linear", [from, b.input(path, tensor(width, width), "param"), bias]);
    const [y = -1] = b.multi("normalize", [x], { eps: 1e-6 });
    const scaled = b.op("scale", [y], { by: 0.7 });
    const o = first(b.multi("sdpa", [product(y, "q"), product(scaled, "k"), product(scaled, "v")], { heads: 2 }));
    b.output("out", b.op("add", [x, product(o, "out")]));
  });
}

/** What a predictor that is read in part does not show: a learned constant of the loop, a sequence that is computed, rows of a constant. */
export function readInPart(): Module {
  const width = 6;
  const module = defineFunc(emptyModule, { name: "layer", dims: ["R", "T"] }, (b) => {
    const x = b.input("x", tensor("R", "T", width), "data");
    const shared = b.input("shared", tensor("R", "T", width), "data");
    const [w, bias] = [b.input("w", tensor(width, width), "param"), b.input("bias", tensor(width), "param")];
    const h = b.op("linear", [b.op("add", [x, shared]), w, bias]);
    const o = first(b.multi("sdpa", [h, x, h], { heads: 2 }));
    b.output("out", b.op("add", [b.op("mul", [x, shared]), b.op("tanh", [o])]));
  });
  return defineFunc(module, { name: "main", dims: ["B", "K", "L"], doc: "Layers of which a few rows are read." }, (b) => {
    const x = b.op("concat", [b.input("known", tensor("B", "K", width), "data"), b.input("queries", tensor("B", "L", width), "data")], { axis: 1 });
    const shared = b.op("mul", [x, b.input("net.shared", tensor(width), "param")]);
    const w = b.op("tanh", [b.input("net.layers.*.w", f32(dims([width, width]), [3]), "param")]);
    const bias = b.input("net.layers.*.bias", f32(dims([width]), [3]), "param");
    const looped = first(b.repeat("layer", { carries: [x], consts: [shared], stacked: [w, bias] }, { count: 3, dims: { R: "B", T: "K+L" } }).carries);
    const rows = b.op("slice", [looped], { axis: 1, start: dim("K"), size: dim("L") });
    b.output("loss", b.op("mean", [b.op("square", [rows])], { axes: [0, 1, 2], keep: false }), "loss");
  });
}

const inputsOf = (b: FuncBuilder, prefix: string, width: number, depth: number): ValueId[] =>
  blockParams(width).map(([path, shape]) => b.input(`${prefix}.*.${path}`, f32(dims(shape), [depth]), "param"));

/** I-JEPA in small: student on the context, teacher on all, predictor over context and queries, two target blocks. */
export function ijepa(depth = 2, names = { block: "block", other: "predictor_block" }): Module {
  const [width, narrow, n] = [12, 8, 16];
  let module = addBlock(emptyModule, names.block, width, 2);
  module = addBlock(module, names.other, narrow, 2);
  return defineFunc(module, { name: "main", dims: ["B", "K", "L"], doc: "A small I-JEPA." }, (b) => {
    const image = b.input("image", tensor("B", 16, 16, 3), "data");
    const context = b.input("context", i32(dims(["B", "K"])), "index");
    const targets = b.input("targets", i32(dims(["2*B", "L"])), "index");
    const patches = b.op("patchify", [image], { patch: [4, 4] });
    const encode = (prefix: string, at?: ValueId): ValueId => {
      const w = b.input(`${prefix}.embed.weight`, tensor(48, width), "param");
      const bias = b.input(`${prefix}.embed.bias`, tensor(width), "param");
      const table = b.input(prefix === "student" ? "frozen.positions" : "teacher.positions", tensor(n, width), "param");
      const rows = at === undefined ? patches : b.op("gather_rows", [patches, at], { copies: 1 });
      const places = at === undefined ? table : b.op("gather_table", [table, at]);
      const x = b.op("add", [b.op("linear", [rows, w, bias]), places]);
      const stacked = inputsOf(b, `${prefix}.blocks`, width, depth);
      return first(b.repeat(names.block, { carries: [x], stacked }, { count: depth, dims: { R: "B", T: at === undefined ? n : "K" } }).carries);
    };
    const known = b.name(encode("student", context), "z_context");
    const [whole = -1] = b.multi("normalize", [encode("teacher")], { eps: 1e-5 });
    const wanted = b.name(b.op("gather_rows", [b.op("stop_gradient", [whole]), targets], { copies: 2 }), "z_target");
    const down = b.op("linear", [known, b.input("predict.down.weight", tensor(width, narrow), "param"), b.input("predict.down.bias", tensor(narrow), "param")]);
    const positions = b.input("frozen.narrow", tensor(n, narrow), "param");
    const token = b.op("broadcast", [b.input("predict.token", tensor(1, 1, narrow), "param")], { shape: dims(["2*B", "L", narrow]) });
    const queries = b.op("add", [token, b.op("gather_table", [positions, targets])]);
    const joined = b.op("concat", [b.op("tile_batch", [down], { copies: 2 }), queries], { axis: 1 });
    const stacked = inputsOf(b, "predict.blocks", narrow, depth);
    const mixed = first(b.repeat(names.other, { carries: [joined], stacked }, { count: depth, dims: { R: "2*B", T: "K+L" } }).carries);
    const picked = b.op("slice", [mixed], { axis: 1, start: dim("K"), size: dim("L") });
    const guess = b.name(b.op("linear", [picked, b.input("predict.up.weight", tensor(narrow, width), "param"), b.input("predict.up.bias", tensor(width), "param")]), "z_hat");
    const loss = b.op("mean", [b.op("smooth_l1", [guess, wanted], { beta: 1 })], { axes: [0, 1, 2], keep: false });
    b.output("total", loss, "loss");
    b.output("smooth_l1", loss, "loss");
    b.output("student", b.op("mean", [known], { axes: [1], keep: false }), "watch");
  });
}

/**
 * What I-JEPA does not use: one module for two inputs, a loop with a constant that is learned, cross attention, values
 * returned twice, batch statistics, a loop over saved inputs, sizes that only products show.
 */
export function odds(): Module {
  let module = defineFunc(emptyModule, { name: "mix", dims: ["R", "T"] }, (b) => {
    const x = b.input("x", tensor("R", "T", 6), "data");
    const shared = b.input("shared", tensor(6), "param");
    const w = b.input("w", tensor(6, 6), "param");
    const y = b.op("tanh", [b.op("matmul", [b.op("mul", [x, shared]), w], { ta: false, tb: false })]);
    b.output("out", b.op("add", [y, b.op("mul", [x, x])]));
    b.output("mean", b.op("mean", [y], { axes: [1], keep: false }));
  });
  module = defineFunc(module, { name: "encoder", dims: ["R"], doc: "Mixes, then looks at the middle." }, (b) => {
    const x = b.input("x", tensor("R", 4, 6), "data");
    const shared = b.input("shared", tensor(6), "param");
    const w = b.input("mixes.*.w", f32(dims([6, 6]), [3]), "param");
    const looped = b.repeat("mix", { carries: [x], consts: [shared], stacked: [w] }, { count: 3, dims: { R: "R", T: 4 } });
    const out = first(looped.carries);
    const [k = -1, q = -1] = b.split(out, 1, [3, 1]);
    const o = first(b.multi("sdpa", [q, k, k], { heads: 2 }));
    b.output("out", b.op("reshape", [o], { shape: dims(["R", 6]) }));
    b.output("tokens", out);
  });
  return defineFunc(module, { name: "main", dims: ["B"], doc: "Two views through one encoder." }, (b) => {
    const shared = b.input("net.shared", tensor(6), "param");
    const w = b.input("net.mixes.*.w", f32(dims([6, 6]), [3]), "param");
    const [left, right] = ["first", "second"].map((name) => first(b.call("encoder", [b.input(name, tensor("2*B", 4, 6), "data"), shared, w], { R: "2*B" })));
    const spread = (x: ValueId): ValueId => {
      const centered = b.op("sub", [x, b.op("mean", [x], { axes: [0], keep: true })]);
      const variance = b.op("mean", [b.op("square", [centered])], { axes: [0], keep: false });
      const short = b.op("relu", [b.op("shift", [b.op("neg", [b.op("sqrt", [b.op("shift", [variance], { by: 1e-4 })])])], { by: 1 })]);
      return b.op("mean", [short], { axes: [0], keep: false });
    };
    const near = b.op("mean", [b.op("square", [b.op("sub", [left ?? -1, right ?? -1])])], { axes: [0, 1], keep: false });
    const entropy = b.op("mean", [b.op("mul", [b.op("softmax", [left ?? -1]), b.op("log_softmax", [right ?? -1])])], { axes: [0, 1], keep: false });
    const apart = b.op("add", [spread(left ?? -1), spread(right ?? -1)]);
    const total = b.op("sub", [b.op("add", [near, b.op("scale", [apart], { by: 25 })]), entropy]);
    b.output("total", total, "loss");
    b.output("near", near, "loss");
    b.output("again", near, "loss");
    b.output("left", left ?? -1, "watch");
    b.output("left too", left ?? -1, "watch");
  });
}
