/**
 * The text of emitted modules: readable, safe whatever a program calls its things, no longer for deeper models.
 */
import { expect, test, vi } from "vitest";
import { defineFunc } from "../../../compiler/tensor/build.js";
import type { Module } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32 } from "../../../compiler/tensor/ir.js";
import { dims } from "../../../compiler/types/dim.js";
import { compare, engines, importText, stepOf, textOf } from "./harness.js";
import { ijepa, odds } from "./programs.js";

vi.setConfig({ testTimeout: 120_000 });

const source = `model small {
  h = proj(x)
  loss mse(gelu(h), x)
}
`;

function small(): Module {
  const at = (text: string): { file: string; start: number; end: number } => {
    const start = source.indexOf(text);
    return { file: "small.jepa", start, end: start + text.length };
  };
  return defineFunc(emptyModule, { name: "main", dims: ["B"], doc: "One projection.", origin: at("model") }, (b) => {
    const x = b.input("x", f32(dims(["B", 4])), "data");
    b.origin = at("h = proj");
    const h = b.name(b.op("linear", [x, b.input("proj.weight", f32(dims([4, 4])), "param"), b.input("proj.bias", f32(dims([4])), "param")]), "h");
    b.origin = at("loss");
    const d = b.name(b.op("sub", [b.op("gelu", [h]), x]), "difference");
    b.output("mse", b.op("mean", [b.op("square", [d])], { axes: [0, 1], keep: false }), "loss");
  });
}

test("a small program reads like this", () => {
  const text = textOf(stepOf({ module: small(), main: "main", doc: "A small program.", sources: new Map([["small.jepa", source]]) }));
  expect(text.slice(text.indexOf("export function step"))).toMatchInlineSnapshot(`
    "export function step(k, p, inputs) {
      const { x } = inputs.images;
      const [mse, saved] = main_forward(k, p, x);
      const grads = main_backward(k, saved, x);
      return { loss: mse, losses: {}, grads, watch: {}, state: {} };
    }

    /** Encoders alone: token features of normalized images [n, H, W, C]. The caller owns the result. */
    export const encoders = {};

    /**
     * One projection.
     * x [B, 4] -> mse []
     */
    function main_forward(k, p, x) {
      // small.jepa:2  h = proj(x)
      const h = k.linear(x, p.proj.weight, p.proj.bias);
      // small.jepa:3  loss mse(gelu(h), x)
      const [a, slope] = k.geluPair(h); k.free(h);
      const difference = k.sub(a, x); k.free(a);
      const h2 = k.square(difference);
      const mse = k.meanAll(h2); k.free(h2);
      return [mse, { slope, difference }];
    }

    /**
     * The backward of \`main\`.
     * x [B, 4] -> gradients
     */
    function main_backward(k, saved, x) {
      const [B] = x.shape;
      // small.jepa:3  loss mse(gelu(h), x)
      const d = k.mul(k.scalar(1), 1 / (4 * B));
      const d2 = k.mul(d, saved.difference); k.free(d, saved.difference);
      const d3 = k.mul(d2, 2); k.free(d2);
      const d4 = k.mul(d3, saved.slope); k.free(d3, saved.slope);
      // small.jepa:2  h = proj(x)
      const d_proj_weight = k.linearGradWeight(x, d4);
      const d_proj_bias = k.sumLeading(d4); k.free(d4);
      return { proj: { weight: d_proj_weight, bias: d_proj_bias } };
    }
    "
  `);
});

test("four times the depth is the same number of lines", () => {
  const lines = (depth: number): number => textOf(stepOf({ module: ijepa(depth), main: "main" })).split("\n").length;
  expect(lines(48)).toBe(lines(12));
});

test("blocks of encoder and predictor are one function, whatever their widths and names, but for the block that is read in part", () => {
  const text = textOf(stepOf({ module: ijepa(3), main: "main" }));
  expect(text.match(/^function \w*block\w*\(/gm)).toEqual([
    "function block(", "function block_forward(", "function block_backward(", "function predictor_block_rows_forward(", "function predictor_block_rows_backward(",
  ]);
});

test("the last block of a predictor goes by itself, and its gradients join those of the others", () => {
  const text = textOf(stepOf({ module: ijepa(3), main: "main" }));
  expect(text).toContain("predictor_block_rows_forward(k, p.predict.blocks[2], ");
  expect(text).toContain("for (let i = 0; i < 2; i++) {");
  expect(text).toContain(".push(d_blocks_2);");
  const single = textOf(stepOf({ module: ijepa(1), main: "main" }));
  expect(single).toContain("predictor_block_rows_forward(k, p.predict.blocks[0], ");
  expect(single).toMatch(/const d_blocks\w* = \[d_blocks_0\];/);
});

test("no line is wider than 110 columns and every kernel that is called exists", async () => {
  const [engine] = await engines();
  if (engine === undefined) throw new Error("no engine");
  const { makeKernels } = await import("../../../runtime/backends/tfjs/kernels.js");
  const k = makeKernels(engine.tf, engine);
  for (const module of [ijepa(), odds()]) {
    const text = textOf(stepOf({ module, main: "main" }));
    expect(text.split("\n").filter((line) => line.length > 110)).toEqual([]);
    const called = new Set([...text.matchAll(/\bk\.(\w+)\(/g)].map((m) => m[1] ?? ""));
    expect([...called].filter((name) => !Object.hasOwn(k, name))).toEqual([]);
    expect(text).not.toMatch(/\btf\.|\bimport\b|\brequire\b/);
  }
  k.dispose();
});

const hostile = [
  "class", "await", "arguments", "k", "p", "inputs", "saved", "step", "i", "n", "grads", "__proto__", "constructor",
  "a b", "1st", "ünïcode", "*/ throw 1 /*", "\"); throw 1; (\"", "${throw 1}", "\u2028throw 1",
];

function hostileModule(): Module {
  let module = defineFunc(emptyModule, { name: "delete", dims: ["k"], doc: "*/ throw 1; /* \u2028 throw 2" }, (b) => {
    const x = b.input("new", f32(dims(["k", 2])), "data");
    const inner = b.name(b.op("tanh", [b.op("mul", [x, b.input("eval", f32(dims([2])), "param")])]), "return");
    // More than the passes would inline, so that there is a function of this name.
    const more = b.op("add", [b.name(b.op("sigmoid", [inner]), "saved"), b.name(b.op("square", [inner]), "k")]);
    b.output("yield", b.op("mul", [b.op("sin", [more]), b.name(b.op("exp", [inner]), "p")]));
  });
  module = defineFunc(module, { name: "main", dims: ["k"] }, (b) => {
    const xs = hostile.map((name) => b.input(name, f32(dims(["k", 2])), "data"));
    let sum = b.fill([], 0);
    xs.forEach((x, i) => {
      const name = (hostile[i] ?? "").replaceAll(".", "");
      const scale = b.input(`net.${name}.eval`, f32(dims([2])), "param");
      const [y = -1] = b.call("delete", [x, scale], { k: "k" });
      sum = b.name(b.op("add", [sum, b.op("mean", [b.op("square", [y])], { axes: [0, 1], keep: false })]), name);
    });
    b.output("total", sum, "loss");
    hostile.forEach((name) => b.output(`${name} term`, b.op("scale", [sum], { by: 0.5 }), "loss"));
  });
  return module;
}

test("reserved words, names of the emitted code itself and hostile texts stay names", async () => {
  const [engine] = await engines();
  if (engine === undefined) throw new Error("no engine");
  const sources = new Map([["small.jepa", "*/ throw 1\n\u2028throw 2"]]);
  const run = await compare({ module: hostileModule(), main: "main", sources, doc: "*/ throw 1 /*\u2029throw 2" }, { dims: { k: 3 }, indexBelow: 1 }, engine);
  expect(run.worst).toBeLessThan(1e-5);
});

test("gradients of a module used twice are added object by object", () => {
  expect(textOf(stepOf({ module: odds(), main: "main" }))).toContain("k.addTrees(");
});

test("a program's documentation cannot become code", async () => {
  const text = textOf(stepOf({ module: small(), main: "main", doc: "*/ globalThis.pwned = 1; /*\u2028globalThis.pwned = 1" }));
  await importText(text);
  expect(Reflect.get(globalThis, "pwned")).toBeUndefined();
});
