/**
 * Gradients of whole functions (calls, repeats, nested repeats, shared and stacked parameters) against central
 * differences, and what their derivatives look like: saved values, activity, size in depth.
 */
import { expect, test } from "vitest";
import { addGradient, differentiate } from "../../../compiler/autodiff/differentiate.js";
import { buildFunc, defineFunc } from "../../../compiler/tensor/build.js";
import type { FuncBuilder } from "../../../compiler/tensor/build.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import type { Module, ValueId } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32, funcOf, i32, typeOf } from "../../../compiler/tensor/ir.js";
import { parseModule } from "../../../compiler/tensor/parse.js";
import { printFunc, printModule } from "../../../compiler/tensor/print.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { dims } from "../../../compiler/types/dim.js";
import { draw, seeded } from "../tensor/support.js";
import { addLoss, expectGradients, expectVerified } from "./support.js";

const width = 4;

/** Random arguments for a function, its dimensions given. */
function argsFor(module: Module, fn: string, sizes: Record<string, number>, seed = 1): NdArray[] {
  const random = seeded(seed);
  const func = funcOf(module, fn);
  return func.inputs.map((input) => {
    const type = typeOf(func, input.value);
    const shape = [...type.stack, ...type.shape.map((d) => d.terms.reduce((n, t) => n + t.coefficient * t.powers.reduce((m, [s, p]) => m * (sizes[s] ?? NaN) ** p, 1), 0))];
    return draw(random, { shape, domain: type.dtype === "i32" ? { below: 3 } : "any" });
  });
}

function param(b: FuncBuilder, path: string, shape: readonly number[], stack: readonly number[] = []): ValueId {
  return b.input(path, f32(dims(shape), stack), "param");
}

/** A pre-norm block: attention and a perceptron, each with a residual. */
function defineBlock(module: Module): Module {
  const withNorm = defineFunc(module, { name: "layer_norm_affine", dims: ["B", "K"] }, (b) => {
    const x = b.input("x", f32(dims(["B", "K", width])), "data");
    const [gain, offset] = [param(b, "weight", [width]), param(b, "bias", [width])];
    const [y = -1] = b.multi("normalize", [x], { eps: 1e-2 });
    b.output("y", b.op("add", [b.op("mul", [y, gain]), offset]));
  });
  return defineFunc(withNorm, { name: "block", dims: ["B", "K"], doc: "A transformer block." }, (b) => {
    const x = b.input("x", f32(dims(["B", "K", width])), "data");
    const weights = [
      param(b, "norm1.weight", [width]), param(b, "norm1.bias", [width]),
      param(b, "qkv.weight", [width, 3 * width]), param(b, "qkv.bias", [3 * width]),
      param(b, "proj.weight", [width, width]), param(b, "proj.bias", [width]),
      param(b, "fc1.weight", [width, 8]), param(b, "fc1.bias", [8]),
      param(b, "fc2.weight", [8, width]), param(b, "fc2.bias", [width]),
    ];
    const w = (i: number): ValueId => weights[i] ?? -1;
    const [h = -1] = b.call("layer_norm_affine", [x, w(0), w(1)]);
    const [q = -1, k = -1, v = -1] = b.split(b.op("linear", [h, w(2), w(3)]), 2, [width, width, width]);
    const [o = -1] = b.multi("sdpa", [q, k, v], { heads: 2 });
    const x1 = b.op("add", [x, b.op("linear", [o, w(4), w(5)])]);
    const [h2 = -1] = b.call("layer_norm_affine", [x1, w(0), w(1)]);
    const up = b.op("gelu", [b.op("linear", [h2, w(6), w(7)])]);
    b.output("y", b.op("add", [x1, b.op("linear", [up, w(8), w(9)])]));
  });
}

/** An encoder of `depth` blocks. */
function defineEncoder(module: Module, depth: number): Module {
  const block = funcOf(module, "block");
  return defineFunc(module, { name: "encoder", dims: ["B", "K"] }, (b) => {
    const x = b.input("x", f32(dims(["B", "K", width])), "data");
    const stacked = block.inputs.slice(1).map((i) => b.input(`blocks.${i.path}`, { ...typeOf(block, i.value), stack: [depth] }, "param"));
    const { carries } = b.repeat("block", { carries: [x], stacked }, { count: depth });
    b.output("z", carries[0] ?? -1);
  });
}

function encoderLoss(depth: number): Module {
  return addLoss(defineEncoder(defineBlock(emptyModule), depth), "encoder", [0]);
}

const sizes = { B: 2, K: 3 };

test("a transformer block, with the same norm called twice, has the gradient of its differences", () => {
  const module = addLoss(defineBlock(emptyModule), "block", [0]);
  expectGradients(module, "block_loss", argsFor(module, "block_loss", sizes));
});

test("a repeated block has the gradient of its differences, under either recompute policy", () => {
  const module = encoderLoss(3);
  const args = argsFor(module, "encoder_loss", sizes, 3).map((a) => ({ ...a, data: a.data.map((x) => x / 2) }));
  expectGradients(module, "encoder_loss", args);
  expectGradients(module, "encoder_loss", args, { recompute: "elementwise" });
});

test("a repeat of no iterations passes its cotangents through", () => {
  const module = encoderLoss(0);
  expectGradients(module, "encoder_loss", argsFor(module, "encoder_loss", sizes));
});

test("zero rows give zero gradients of the right shape", () => {
  const module = encoderLoss(2);
  expectGradients(module, "encoder_loss", argsFor(module, "encoder_loss", { B: 2, K: 0 }));
});

/** An inner repeat over pairs within an outer repeat; a constant weight shared by all; per-iteration outputs summed. */
function nested(reverse: boolean): Module {
  const inner = defineFunc(emptyModule, { name: "inner", dims: ["N"] }, (b) => {
    const x = b.input("x", f32(dims(["N", 3])), "data");
    const shared = b.input("shared", f32(dims([3, 3])), "param");
    const gain = b.input("gain", f32(dims([3])), "param");
    const y = b.op("tanh", [b.op("mul", [b.op("matmul", [x, shared], { ta: false, tb: false }), gain])]);
    b.output("x", y);
    b.output("trace", b.op("mean", [b.op("square", [y])], { axes: [0, 1], keep: false }));
  });
  const outer = defineFunc(inner, { name: "outer", dims: ["N"] }, (b) => {
    const x = b.input("x", f32(dims(["N", 3])), "data");
    const total = b.input("total", f32([]), "scalar");
    const shared = b.input("shared", f32(dims([3, 3])), "param");
    const gains = b.input("gains", f32(dims([3]), [2]), "param");
    const skip = b.input("skip", f32(dims([3])), "param");
    const { carries, stacked } = b.repeat("inner", { carries: [x], consts: [shared], stacked: [gains] }, { count: 2, reverse });
    const y = carries[0] ?? -1;
    b.output("x", b.op("add", [b.op("mul", [x, skip]), y]));
    b.output("total", b.op("add", [total, b.op("sum", [b.op("square", [y])], { axes: [0, 1], keep: false })]));
    b.output("traces", stacked[0] ?? -1);
  });
  const read = defineFunc(outer, { name: "pick", dims: [] }, (b) => {
    const sum = b.input("sum", f32([]), "scalar");
    const trace = b.input("trace", f32([]), "scalar");
    b.output("sum", b.op("add", [sum, b.op("mul", [trace, b.op("exp", [trace])])]));
  });
  const readAll = defineFunc(read, { name: "pick_all", dims: [] }, (b) => {
    const sum = b.input("sum", f32([]), "scalar");
    const traces = b.input("traces", f32([], [2]), "data");
    b.output("sum", b.repeat("pick", { carries: [sum], stacked: [traces] }, { count: 2 }).carries[0] ?? -1);
  });
  return defineFunc(readAll, { name: "main", dims: ["N"] }, (b) => {
    const x = b.input("x", f32(dims(["N", 3])), "data");
    const shared = b.input("shared", f32(dims([3, 3])), "param");
    const gains = b.input("gains", f32(dims([3]), [4, 2]), "param");
    const skip = b.input("skip", f32(dims([3]), [4]), "param");
    const zero = b.fill([], 0);
    const { carries, stacked } = b.repeat("outer", { carries: [x, zero], consts: [shared], stacked: [gains, skip] }, { count: 4 });
    const { carries: sums } = b.repeat("pick_all", { carries: [carries[1] ?? -1], stacked: [stacked[0] ?? -1] }, { count: 4, reverse: true });
    const last = b.op("sum", [b.op("sin", [carries[0] ?? -1])], { axes: [0, 1], keep: false });
    b.output("loss", b.op("add", [sums[0] ?? -1, last]), "loss");
  });
}

test.each([false, true])("nested repeats with shared weights and per-iteration outputs agree with differences, reverse %s", (reverse) => {
  const module = nested(reverse);
  expectVerified(module);
  expectGradients(module, "main", argsFor(module, "main", { N: 2 }, 5));
});

test("a carry that the body replaces has the gradient of the first iteration only", () => {
  const body = defineFunc(emptyModule, { name: "body", dims: [] }, (b) => {
    const start = b.input("start", f32(dims([2])), "data");
    const sum = b.input("sum", f32(dims([2])), "data");
    const x = b.input("x", f32(dims([2])), "data");
    b.output("start", b.fill([2], 0.5));
    b.output("sum", b.op("add", [sum, b.op("mul", [b.op("square", [start]), x])]));
  });
  const module = defineFunc(body, { name: "main", dims: [] }, (b) => {
    const start = b.input("start", f32(dims([2])), "data");
    const x = b.input("x", f32(dims([2]), [3]), "data");
    const { carries } = b.repeat("body", { carries: [start, b.fill([2], 0)], stacked: [x] }, { count: 3 });
    b.output("loss", b.op("sum", [carries[1] ?? -1], { axes: [0], keep: false }), "loss");
  });
  expectGradients(module, "main", argsFor(module, "main", {}, 7));
});

test("a carry that reaches the loss only through another carry, iterations later, has its gradient", () => {
  const body = defineFunc(emptyModule, { name: "body", dims: [] }, (b) => {
    const [x, y, z] = ["x", "y", "z"].map((n) => b.input(n, f32(dims([2])), "data"));
    const w = b.input("w", f32(dims([2])), "param");
    b.output("x", b.op("mul", [x ?? -1, w]));
    b.output("y", b.op("add", [y ?? -1, b.op("sin", [x ?? -1])]));
    b.output("z", b.op("mul", [b.op("square", [y ?? -1]), b.op("cos", [z ?? -1])]));
  });
  const module = defineFunc(body, { name: "main", dims: [] }, (b) => {
    const x = b.input("x", f32(dims([2])), "data");
    const w = b.input("w", f32(dims([2]), [3]), "param");
    const { carries } = b.repeat("body", { carries: [x, b.fill([2], 0.5), b.fill([2], 0.3)], stacked: [w] }, { count: 3 });
    b.output("loss", b.op("sum", [carries[2] ?? -1], { axes: [0], keep: false }), "loss");
  });
  expectGradients(module, "main", argsFor(module, "main", {}, 13));
});

test("gathered tokens, mask tokens and tiled contexts have the gradient of their differences", () => {
  const module = defineFunc(emptyModule, { name: "main", dims: ["B", "K"] }, (b) => {
    const image = b.input("image", f32(dims(["B", 4, 4, 1])), "data");
    const index = b.input("targets", i32(dims(["2*B", "K"])), "index");
    const [w, bias, table, token] = [param(b, "w", [4, 3]), param(b, "b", [3]), param(b, "table", [4, 3]), param(b, "token", [3])];
    const x = b.op("add", [b.op("linear", [b.op("patchify", [image], { patch: [2, 2] }), w, bias]), table]);
    const taken = b.op("gather_rows", [x, index], { copies: 2 });
    const places = b.op("add", [b.op("gather_table", [table, index]), token]);
    const both = b.op("concat", [b.op("concat", [taken, places], { axis: 1 }), b.op("tile_batch", [x], { copies: 2 })], { axis: 1 });
    const [y = -1] = b.multi("normalize", [both], { eps: 1e-2 });
    const loss = b.op("smooth_l1", [y, b.op("stop_gradient", [b.op("square", [both])])], { beta: 1 });
    b.output("loss", b.op("mean", [loss], { axes: [0, 1, 2], keep: false }), "loss");
  });
  // Differences see through a stop-gradient, so the teacher's side is taken out here: its own test is below.
  const free = parseModule(printModule(module).replace("stop_gradient", "sign"));
  expectGradients(free, "main", argsFor(free, "main", { B: 2, K: 3 }, 9));
});

test("nothing behind a stop-gradient is differentiated", () => {
  const teacher = defineFunc(emptyModule, { name: "teacher", dims: [] }, (b) => {
    b.output("y", b.op("tanh", [b.op("matmul", [b.input("x", f32(dims([2, 3])), "data"), param(b, "w", [3, 3])], { ta: false, tb: false })]));
  });
  const module = defineFunc(teacher, { name: "main", dims: [] }, (b) => {
    const x = b.input("x", f32(dims([2, 3])), "data");
    const [student, ema] = [param(b, "student", [3, 3]), param(b, "teacher", [3, 3])];
    const target = b.op("stop_gradient", b.call("teacher", [x, ema]));
    const [z = -1] = b.call("teacher", [x, student]);
    b.output("loss", b.op("mean", [b.op("square", [b.op("sub", [z, target])])], { axes: [0, 1], keep: false }), "loss");
  });
  const d = differentiate(module, "main", { wrt: (i) => i.role === "param", outputs: [0] });
  expect(d.grads).toEqual([1]);
  const forward = printFunc(funcOf(d.module, d.forward));
  expect(forward.match(/call\([^)]*\) \{fn: teacher,/g)).toHaveLength(1);
  expect(forward.match(/call\([^)]*\) \{fn: teacher_forward,/g)).toHaveLength(1);
});

test("a forward function saves none of its inputs, and its caller hands them back", () => {
  const d = differentiate(encoderLoss(3), "encoder", { wrt: (i) => i.role === "param", outputs: [0] });
  for (const func of d.module.funcs.values()) {
    const inputs = new Set(func.inputs.map((i) => i.value));
    expect(func.outputs.filter((o) => o.role === "saved" && inputs.has(o.value)).map((o) => `${func.name}: ${o.path}`)).toEqual([]);
  }
  expect(d.inputs.filter((i) => i.kind === "input").length).toBeGreaterThan(0);
});

test("q, k and v are not saved beside the projection that they are slices of", () => {
  const d = differentiate(defineBlock(emptyModule), "block", { wrt: [0], outputs: [0] });
  const func = funcOf(d.module, d.forward);
  const sliced = new Set(func.nodes.filter((n) => n.op === "slice").flatMap((n) => n.results));
  expect(sliced.size).toBe(3);
  expect(func.outputs.filter((o) => o.role === "saved" && sliced.has(o.value))).toEqual([]);
});

test("a deeper model has the same derivative but for the count", () => {
  const text = (depth: number): string => printModule(addGradient(encoderLoss(depth), "encoder_loss", { wrt: (i) => i.role === "param", outputs: [0] }).module);
  expect(text(7048).replaceAll("7048", "7012")).toBe(text(7012));
  expect(text(7048).match(/reverse: true/g)).toHaveLength(1);
});

test("the backward of a matrix product is matrix products: nothing of size [M, N, K] is made", () => {
  const b = buildFunc(emptyModule, { name: "main", dims: ["M", "N", "K"] });
  const x = b.input("x", f32(dims(["M", "K"])), "data");
  const y = b.input("y", f32(dims(["K", "N"])), "data");
  b.output("loss", b.op("sum", [b.op("matmul", [x, y], { ta: false, tb: false })], { axes: [0, 1], keep: false }), "loss");
  const d = differentiate({ funcs: new Map([["main", b.finish()]]) }, "main", { wrt: [0, 1], outputs: [0] });
  const func = funcOf(d.module, d.backward);
  expect(func.nodes.map((n) => n.op)).toEqual(["reshape", "broadcast", "matmul", "matmul"]);
  expect(func.values.filter((v) => v.type.shape.length > 2)).toEqual([]);
});

test("the values of the forward function are those of the original", () => {
  const module = encoderLoss(3);
  const args = argsFor(module, "encoder_loss", sizes, 11);
  const made = addGradient(module, "encoder_loss", { wrt: (i) => i.role === "param", outputs: [0] });
  const [before, after] = [evaluate(module, "encoder_loss", args), evaluate(made.module, made.gradient, args)];
  expect(after[0]?.data).toEqual(before[0]?.data);
});
