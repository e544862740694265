/**
 * Every op that has an ONNX row, run by onnxruntime beside the float64 interpreter; every op that has none is refused by name.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { emitOnnx } from "../../compiler/targets/onnx/emit.js";
import { onnxRows } from "../../compiler/targets/onnx/lowering.js";
import { defineFunc } from "../../compiler/tensor/build.js";
import type { FuncBuilder } from "../../compiler/tensor/build.js";
import { evaluate } from "../../compiler/tensor/eval.js";
import type { Module, ValueId } from "../../compiler/tensor/ir.js";
import { emptyModule, f32 } from "../../compiler/tensor/ir.js";
import type { PrimitiveName } from "../../compiler/tensor/ops.js";
import { dim, dims } from "../../compiler/types/dim.js";
import { stream } from "../../runtime/base/random.js";
import { pythonWith } from "./python.js";
import { channelsFirst, temporaryFolder } from "./runs.js";

vi.setConfig({ testTimeout: 300_000 });

/** From tokens [B, 4, 8] with values on both sides of 0, a positive copy, and a vector parameter [8]. */
type Case = (b: FuncBuilder, x: ValueId, positive: ValueId, w: ValueId) => ValueId;

const unary = (op: "neg" | "exp" | "abs" | "sign" | "relu" | "step" | "tanh" | "sigmoid" | "erf" | "gelu" | "sin" | "cos" | "square" | "softmax" | "log_softmax" | "stop_gradient"): Case => (b, x) => b.op(op, [x]);
const onPositive = (op: "log" | "sqrt" | "rsqrt" | "recip"): Case => (b, _x, positive) => b.op(op, [positive]);
const binary = (op: "add" | "sub" | "mul" | "div" | "max" | "min" | "less"): Case => (b, x, positive) => b.op(op, [x, positive]);

/** One case or more for each op that can be exported. */
const cases: readonly (readonly [op: PrimitiveName, build: Case])[] = [
  ...(["neg", "exp", "abs", "sign", "relu", "step", "tanh", "sigmoid", "erf", "gelu", "sin", "cos", "square", "softmax", "log_softmax", "stop_gradient"] as const).map((op) => [op, unary(op)] as const),
  ...(["log", "sqrt", "rsqrt", "recip"] as const).map((op) => [op, onPositive(op)] as const),
  ...(["add", "sub", "mul", "div", "max", "min", "less"] as const).map((op) => [op, binary(op)] as const),
  ["scale", (b, x) => b.op("scale", [x], { by: -1.5 })],
  ["shift", (b, x) => b.op("shift", [x], { by: 0.25 })],
  ["scale_dim", (b, x) => b.op("scale_dim", [x], { num: dim("B"), den: dim(3) })],
  ["scale_dim", (b, x) => b.op("scale_dim", [x], { num: dim(2), den: dim("2*B") })],
  ["select", (b, x, positive) => b.op("select", [b.op("step", [x]), x, positive])],
  ["fill", (b, x) => b.op("add", [x, b.op("fill", [], { shape: dims(["B", 4, 8]), value: 0.5, stack: [] })])],
  ["reshape", (b, x) => b.op("reshape", [x], { shape: dims(["B", 2, 16]) })],
  ["reshape", (b, x) => b.op("reshape", [b.op("reshape", [x], { shape: dims(["4*B", 8]) })], { shape: dims(["B", 4, 8]) })],
  ["transpose", (b, x) => b.op("transpose", [x], { perm: [0, 2, 1] })],
  ["broadcast", (b, x, _p, w) => b.op("mul", [x, b.op("broadcast", [w], { shape: dims(["B", 4, 8]) })])],
  ["slice", (b, x) => b.op("slice", [x], { axis: 1, start: dim(1), size: dim(2) })],
  ["pad", (b, x) => b.op("pad", [x], { axis: 1, before: dim(2), after: dim(1) })],
  ["concat", (b, x, positive) => b.op("concat", [x, positive], { axis: 2 })],
  ["sum", (b, x) => b.op("sum", [x], { axes: [1], keep: true })],
  ["mean", (b, x) => b.op("mean", [x], { axes: [1], keep: false })],
  ["reduce_max", (b, x) => b.op("reduce_max", [x], { axes: [2], keep: true })],
  ["matmul", (b, x, positive) => b.op("matmul", [x, positive], { ta: true, tb: false })],
  ["matmul", (b, x, positive) => b.op("matmul", [x, positive], { ta: false, tb: true })],
  ["linear", (b, x, _p, w) => b.op("linear", [x, b.op("reshape", [w], { shape: dims([8, 1]) }), b.op("slice", [w], { axis: 0, start: dim(3), size: dim(1) })])],
  ["feed_forward", (b, x, _p, w) => {
    const h = b.op("linear", [x, b.op("reshape", [w], { shape: dims([8, 1]) }), b.op("slice", [w], { axis: 0, start: dim(3), size: dim(1) })]);
    return b.multi("feed_forward", [h, b.op("reshape", [w], { shape: dims([1, 8]) }), w, b.op("reshape", [w], { shape: dims([8, 1]) }), b.op("slice", [w], { axis: 0, start: dim(2), size: dim(1) })])[0] ?? -1;
  }],
  ["scale_rows", (b, x, _p, w) => b.op("matmul", [x, b.op("scale_rows", [b.op("reshape", [w], { shape: dims([8, 1]) }), w])], { ta: false, tb: false })],
  ["normalize", (b, x) => b.multi("normalize", [x], { eps: 1e-5 })[0] ?? -1],
  ["layer_norm", (b, x, _p, w) => b.op("add", [b.op("mul", [b.multi("normalize", [x], { eps: 1e-3 })[0] ?? -1, w]), w])],
  ["sdpa", (b, x, positive) => b.multi("sdpa", [x, positive, b.op("tanh", [x])], { heads: 2 })[0] ?? -1],
  ["sdpa_causal", (b, x, positive) => b.multi("sdpa_causal", [x, positive, b.op("tanh", [x])], { heads: 2, block: 2 })[0] ?? -1],
  ["attention", (b, x, positive) => b.multi("sdpa", b.split(b.op("concat", [x, positive, b.op("tanh", [x])], { axis: 2 }), 2, [8, 8, 8]), { heads: 4 })[0] ?? -1],
  ["qkv_attention", (b, x, positive, w) => {
    const columns = b.op("concat", [0.5, -0.25, 1].map((by) => b.op("scale", [b.op("reshape", [w], { shape: dims([8, 1]) })], { by })), { axis: 1 });
    const [o = -1] = b.multi("qkv_attention", [b.op("add", [x, positive]), b.op("concat", [columns, columns], { axis: 1 }), b.op("slice", [w], { axis: 0, start: dim(1), size: dim(6) })], { heads: 2 });
    return o;
  }],
  ["gelu_slope", (b, x) => b.op("gelu", [b.op("scale", [x], { by: 3 })])],
];

function moduleOf(build: Case): Module {
  return defineFunc(emptyModule, { name: "encode_e", dims: ["B"] }, (b) => {
    const image = b.input("image", f32(dims(["B", 4, 4, 2])), "data");
    const w = b.input("e.w", f32(dims([8])), "param");
    const x = b.op("patchify", [image], { patch: [1, 4] });
    b.output("out", build(b, x, b.op("shift", [b.op("abs", [x])], { by: 0.5 }), w), "data");
  });
}

const job = { encoder: "e", program: "ops", compiler: "0", metadata: {} };

test("onnxruntime computes every exported op as the interpreter does", () => {
  const python = pythonWith(["onnx", "onnxruntime"], "ONNX ops in onnxruntime");
  if (python === undefined) return;
  const batch = 3;
  const draws = stream(2, "ops");
  const image = Float32Array.from({ length: batch * 32 }, () => 1.5 * draws.normal());
  const w = Float32Array.from({ length: 8 }, () => 1 + 0.5 * draws.normal());
  const folder = temporaryFolder();
  const images = join(folder, "images.bin");
  writeFileSync(images, channelsFirst(image, batch, 4, 2));
  const jobs = cases.map(([op, build], i) => {
    const result = emitOnnx({ ...job, module: moduleOf(build), values: new Map([["e.w", w]]) }, `${op}.onnx`);
    if (result.kind === "refused") throw new Error(`${op}: ${result.problems.join()}`);
    const stem = join(folder, `${i}-${op}`);
    writeFileSync(`${stem}.onnx`, result.model);
    return ["onnx", `${stem}.onnx`, images, `${stem}.bin`];
  });
  const ran = spawnSync(python, [join(import.meta.dirname, "encode.py"), JSON.stringify(jobs)], { encoding: "utf8" });
  expect(ran.status, ran.stderr).toBe(0);
  for (const [i, [op, build]] of cases.entries()) {
    const [want] = evaluate(moduleOf(build), "encode_e", [{ shape: [batch, 4, 4, 2], data: Float64Array.from(image) }, { shape: [8], data: Float64Array.from(w) }]);
    const got = new Float32Array(Uint8Array.from(readFileSync(jobs[i]?.[3] ?? "")).buffer);
    expect(got.length, op).toBe(want?.data.length);
    const worst = (want?.data ?? new Float64Array()).reduce((most, x, at) => Math.max(most, Math.abs(x - (got[at] ?? Number.NaN)) / Math.max(1, Math.abs(x))), 0);
    expect(worst, `${op} (case ${i})`).toBeLessThan(2e-6);
  }
});

test("every op that has a row is run above, and every one without is refused with its reason", () => {
  const run = new Set<string>(cases.map(([op]) => op)).add("patchify");
  // No operand of an encoder is an integer, so there is nothing to convert.
  run.add("to_f32");
  const rows = Object.entries(onnxRows);
  expect(rows.filter(([op, row]) => typeof row === "function" && !run.has(op)).map(([op]) => op)).toEqual([]);
  for (const [op, row] of rows) if (typeof row !== "function") expect(row.why.length, op).toBeGreaterThan(15);
  const paints = moduleOf((b, x) => b.op("unpatchify", [x], { patch: [2, 2], height: dim(4), width: dim(4) }));
  expect(emitOnnx({ ...job, module: paints, values: new Map([["e.w", new Float32Array(8)]]) }, "x.onnx")).toEqual({ kind: "refused", problems: ["`unpatchify` in `encode_e`: it makes images, which encoders read"] });
  const valueless = moduleOf((b, x, _p, w) => b.op("add", [x, w]));
  expect(emitOnnx({ ...job, module: valueless, values: new Map() }, "x.onnx")).toEqual({ kind: "refused", problems: ["e.w, of which the checkpoint has no values that fit"] });
});
