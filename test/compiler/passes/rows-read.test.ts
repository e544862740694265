/**
 * Rows that are read: where the pass applies, values and gradients are those of the program without it and of central
 * differences; where it must not, the module stays the same object.
 */
import { expect, test, vi } from "vitest";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { runPasses } from "../../../compiler/passes/pass.js";
import { afterAutodiff, beforeAutodiff, cleanup } from "../../../compiler/passes/pipelines.js";
import { rowsRead } from "../../../compiler/passes/rows-read.js";
import { queryForms, tfjsPasses } from "../../../compiler/targets/tfjs/passes.js";
import { defineFunc } from "../../../compiler/tensor/build.js";
import type { FuncBuilder } from "../../../compiler/tensor/build.js";
import { bindDims, evaluate } from "../../../compiler/tensor/eval.js";
import { funcFlops } from "../../../compiler/tensor/flops.js";
import type { Module, ValueId } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32, funcOf, i32 } from "../../../compiler/tensor/ir.js";
import { ops } from "../../../compiler/tensor/ops.js";
import { dim, dims, evaluate as evaluateDim } from "../../../compiler/types/dim.js";
import { compileRepo } from "../../fidelity/compiled.js";
import { expectGradients, expectVerified } from "../autodiff/support.js";
import { argumentsFor } from "../targets/harness.js";
import { addBlock, addCrossBlock, ijepa, readInPart } from "../targets/programs.js";

vi.setConfig({ testTimeout: 120_000 });

const width = 4;
const only = (ids: readonly ValueId[]): ValueId => ids[0] ?? -1;

function narrowed(module: Module): Module {
  return runPasses(module, [...beforeAutodiff, rowsRead, queryForms, cleanup], { roots: ["main"] }).module;
}

/** Tokens that are given and tokens to predict, one after another. */
function joined(b: FuncBuilder): ValueId {
  return b.op("concat", [b.input("known", f32(dims(["B", "K", width])), "data"), b.input("queries", f32(dims(["B", "L", width])), "data")], { axis: 1 });
}

/** A function `main` over tokens, blocks of parameters of depth `count`, and the mean square of what `body` gives. */
function program(count: number, body: (b: FuncBuilder, x: ValueId, run: (x: ValueId) => ValueId) => readonly ValueId[], block = addBlock(emptyModule, "block", width, 2)): Module {
  return defineFunc(block, { name: "main", dims: ["B", "K", "L"] }, (b) => {
    const x = joined(b);
    const inner = funcOf(block, "block").inputs.slice(1);
    const stacked = inner.map((i) => b.input(`blocks.*.${i.path}`, { ...(funcOf(block, "block").values[i.value]?.type ?? f32([])), stack: [count] }, "param"));
    const run = (from: ValueId): ValueId => {
      const made = b.repeat("block", { carries: [from], stacked }, { count, dims: { R: "B", T: "K+L" } });
      made.stacked.forEach((s, i) => b.output(`state ${i}`, s, "data"));
      return only(made.carries);
    };
    const losses = body(b, x, run).map((y) => b.op("mean", [b.op("square", [y])], { axes: b.shapeOf(y).map((_, i) => i), keep: false }));
    b.output("loss", losses.reduce((sum, l) => b.op("add", [sum, l])), "loss");
  });
}

const picked = (b: FuncBuilder, x: ValueId, start = "K", size = "L"): ValueId => b.op("slice", [x], { axis: 1, start: dim(start), size: dim(size) });

const sizes = { B: 2, K: 2, L: 3 };

/** Values and gradients of all parameters, by name. */
function results(module: Module, prepare: boolean): Map<string, Float64Array> {
  const wrt = (i: { role: string }): boolean => i.role === "param";
  const d = addGradient(prepare ? narrowed(module) : module, "main", { wrt, outputs: [0] });
  const whole = prepare ? runPasses(d.module, afterAutodiff, { roots: [d.gradient] }).module : d.module;
  expectVerified(whole);
  const args = argumentsFor(module, "main", { dims: sizes, indexBelow: 5 });
  const found = evaluate(whole, d.gradient, args, bindDims(funcOf(module, "main"), args));
  return new Map(funcOf(whole, d.gradient).outputs.map((o, i) => [`${o.role} ${o.path}`, found[i]?.data ?? new Float64Array()]));
}

function expectSame(module: Module): void {
  const [want, got] = [results(module, false), results(module, true)];
  expect([...got.keys()]).toEqual([...want.keys()]);
  for (const [name, values] of want) {
    const scale = values.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
    values.forEach((x, i) => expect(Math.abs(x - (got.get(name)?.[i] ?? NaN)) / scale, name).toBeLessThan(1e-11));
  }
}

/** Names of functions that make some rows only, as reached from main. */
function copies(module: Module): string[] {
  return [...narrowed(module).funcs.keys()].filter((name) => /_rows/.test(name));
}

function cost(module: Module): number {
  return evaluateDim(funcFlops(module, "main"), new Map(Object.entries(sizes))) ?? NaN;
}

const swapped = (b: FuncBuilder, x: ValueId, run: (x: ValueId) => ValueId): readonly ValueId[] => [picked(b, run(x), "0", "K")];

test.each([
  ["the last of three blocks", program(3, (b, x, run) => [picked(b, run(x))]), ["block_rows"]],
  ["one block", program(1, (b, x, run) => [picked(b, run(x))]), ["block_rows"]],
  ["the first rows", program(2, swapped), ["block_rows"]],
  ["rows whose bounds are numbers", program(2, (b, x, run) => [picked(b, run(x), "0", "1")]), ["block_rows"]],
  ["a norm and a product before the slice", program(2, (b, x, run) => [picked(b, b.op("normalize", [run(x)], { eps: 1e-6 }))]), ["block_rows"]],
  ["two loops, one read whole", program(2, (b, x, run) => [picked(b, run(run(x)))]), ["block_rows"]],
  ["the same loop read by other rows elsewhere", program(2, (b, x, run) => [picked(b, run(b.op("neg", [x]))), picked(b, run(x), "0", "K")]), ["block_rows", "block_rows_2"]],
  ["queries, keys and values of their own", program(2, (b, x, run) => [picked(b, run(x))], addCrossBlock(emptyModule, "block", width)), ["block_rows"]],
] as const)("%s: fewer operations, the same values and gradients", (_, module, names) => {
  expect(copies(module)).toEqual(names);
  expect(cost(narrowed(module))).toBeLessThan(cost(runPasses(module, [...beforeAutodiff], { roots: ["main"] }).module));
  expectSame(module);
});

test("gradients through a peeled loop agree with central differences", () => {
  const module = narrowed(program(2, (b, x, run) => [picked(b, run(x))]));
  expect(module.funcs.has("block_rows")).toBe(true);
  expectGradients(module, "main", argumentsFor(module, "main", { dims: { B: 1, K: 1, L: 2 }, indexBelow: 1 }), { wrt: (i) => i.role === "param" || i.role === "data" });
});

test("a call in a function in a call is narrowed to the bottom, and attention keeps whole keys and values", () => {
  const module = defineFunc(addBlock(emptyModule, "block", width, 2), { name: "outer", dims: ["R", "T"] }, (b) => {
    const inner = funcOf(addBlock(emptyModule, "block", width, 2), "block");
    const args = inner.inputs.map((i) => b.input(i.path, inner.values[i.value]?.type ?? f32([]), i.role));
    const called = only(b.call("block", args, { R: "R", T: "T" }));
    b.output("out", b.op("tanh", [b.op("add", [called, b.op("scale", [args[0] ?? -1], { by: 0.5 })])]));
  });
  const whole = defineFunc(module, { name: "main", dims: ["B", "K", "L"] }, (b) => {
    const inner = funcOf(module, "outer");
    const [, ...params] = inner.inputs;
    const x = joined(b);
    const y = only(b.call("outer", [x, ...params.map((i) => b.input(i.path, inner.values[i.value]?.type ?? f32([]), "param"))], { R: "B", T: "K+L" }));
    b.output("loss", b.op("mean", [b.op("square", [picked(b, y)])], { axes: [0, 1, 2], keep: false }), "loss");
  });
  expect(copies(whole)).toEqual(["block_rows", "outer_rows"]);
  const rows = funcOf(narrowed(whole), "block_rows");
  const attention = rows.nodes.find((n) => n.op === "attention_rows");
  expect(attention?.args.map((a) => rows.values[a]?.type.shape.length)).toEqual([3]);
  expect(rows.nodes.filter((n) => n.op === "sdpa")).toEqual([]);
  expectSame(whole);
});

test("a loop that works row by row is run on the rows alone, and no iteration is peeled off", () => {
  const rowwise = defineFunc(emptyModule, { name: "block", dims: ["R", "T"] }, (b) => {
    const x = b.input("x", f32(dims(["R", "T", width])), "data");
    const [w, bias] = [b.input("w", f32(dims([width, width])), "param"), b.input("b", f32(dims([width])), "param")];
    b.output("out", b.op("add", [x, b.op("gelu", [b.op("linear", [b.op("linear", [only(b.multi("normalize", [x], { eps: 1e-6 })), w, bias]), w, bias])])]));
  });
  const module = program(3, (b, x, run) => [picked(b, run(x))], rowwise);
  const main = funcOf(narrowed(module), "main");
  expect(main.nodes.filter((n) => n.op === "repeat").map((n) => n.attrs.count)).toEqual([3]);
  expect(main.nodes.filter((n) => n.op === "stack_last" || n.op === "stack_front")).toEqual([]);
  expectSame(module);
});

/** A block that also hands out a statistic of each iteration, as batch norm does with its running mean. */
function withState(): Module {
  const block = addBlock(emptyModule, "plain", width, 2);
  return defineFunc(block, { name: "block", dims: ["R", "T"] }, (b) => {
    const inner = funcOf(block, "plain");
    const args = inner.inputs.map((i) => b.input(i.path, inner.values[i.value]?.type ?? f32([]), i.role));
    const y = only(b.call("plain", args));
    b.output("out", y);
    b.output("mean", b.op("mean", [y], { axes: [0, 1], keep: false }));
  });
}

function gathered(): Module {
  return program(2, (b, x, run) => [b.op("gather_rows", [run(x), b.input("at", i32(dims(["B", "L"])), "index")], { copies: 1 })]);
}

/** A block whose output mixes rows: each row less the mean of all. */
function mixing(): Module {
  return defineFunc(emptyModule, { name: "block", dims: ["R", "T"] }, (b) => {
    const x = b.input("x", f32(dims(["R", "T", width])), "data");
    const weights = [b.input("w", f32(dims([width, width])), "param"), b.input("b", f32(dims([width])), "param")];
    const h = b.op("linear", [b.op("gelu", [b.op("linear", [x, ...weights])]), ...weights]);
    b.output("out", b.op("sub", [h, b.op("mean", [h], { axes: [1], keep: true })]));
  });
}

test.each([
  ["the output is also read whole", program(2, (b, x, run) => { const y = run(x); return [picked(b, y), y]; })],
  ["two slices read different rows", program(2, (b, x, run) => { const y = run(x); return [picked(b, y), picked(b, y, "0", "K")]; })],
  ["the slice is along features", program(2, (b, x, run) => [b.op("slice", [run(x)], { axis: 2, start: dim(1), size: dim(2) })])],
  ["the slice is along the batch", program(2, (b, x, run) => [b.op("slice", [run(x)], { axis: 0, start: dim(0), size: dim(1) })])],
  ["rows are picked by index", gathered()],
  ["iterations hand out values of their own", program(2, (b, x, run) => [picked(b, run(x))], withState())],
  ["the body mixes rows after its products", program(2, (b, x, run) => [picked(b, run(x))], mixing())],
  ["nothing but elementwise ops would get smaller", program(2, (b, x) => [picked(b, b.op("tanh", [x]))])],
  ["rows are read of an input", program(2, (b, x, run) => [picked(b, x), run(x)])],
] as const)("nothing is done where %s", (_, module) => {
  const before = runPasses(module, beforeAutodiff, { roots: ["main"] }).module;
  expect(runPasses(before, [rowsRead], { roots: ["main"] }).module).toBe(before);
});

test("a loop from the last element to the first is left alone", () => {
  const block = addBlock(emptyModule, "block", width, 2);
  const module = defineFunc(block, { name: "main", dims: ["B", "K", "L"] }, (b) => {
    const inner = funcOf(block, "block");
    const stacked = inner.inputs.slice(1).map((i) => b.input(i.path, { ...(inner.values[i.value]?.type ?? f32([])), stack: [2] }, "param"));
    const y = only(b.repeat("block", { carries: [joined(b)], stacked }, { count: 2, reverse: true, dims: { R: "B", T: "K+L" } }).carries);
    b.output("loss", b.op("mean", [picked(b, y)], { axes: [0, 1, 2], keep: false }), "loss");
  });
  expect(runPasses(module, [rowsRead], { roots: ["main"] }).module).toBe(module);
});

test("constants of a loop, sequences that are computed and rows of a constant come out right", () => {
  const module = readInPart();
  expect(copies(module)).toEqual(["layer_rows"]);
  expectSame(module);
});

test("depth changes the counts and nothing else", () => {
  const text = (depth: number): string => JSON.stringify([...narrowed(ijepa(depth)).funcs.values()].map((f) => [f.name, f.nodes.map((n) => n.op)]));
  expect(text(48)).toBe(text(12));
});

test("the pass runs for tfjs and not for wgsl, whose table has no row for what it makes", () => {
  const made = new Set<string>(["attention_rows", "attention_rows_grad", "stack_front", "stack_last", "stack_join"] satisfies (keyof typeof ops)[]);
  const found = (target: "tfjs" | "wgsl"): boolean => {
    const { step } = compileRepo("examples/ijepa-small.jepa", { set: { width: 32, depth: 2, heads: 2 }, target });
    return [...step.module.funcs.values()].some((f) => f.nodes.some((n) => made.has(n.op)));
  };
  expect(tfjsPasses.before).toContain(rowsRead);
  expect([found("tfjs"), found("wgsl")]).toEqual([true, false]);
});
