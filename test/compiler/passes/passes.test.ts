/**
 * Passes: each keeps the values of random graphs, before and after differentiation; each does what its header shows; the
 * runner verifies, names the culprit and records.
 */
import { expect, test } from "vitest";
import { addGradient } from "../../../compiler/autodiff/differentiate.js";
import { cse } from "../../../compiler/passes/cse.js";
import { dce } from "../../../compiler/passes/dce.js";
import { expandSdpa } from "../../../compiler/passes/expand-sdpa.js";
import { fold } from "../../../compiler/passes/fold.js";
import { inlineUpTo } from "../../../compiler/passes/inline.js";
import type { Pass } from "../../../compiler/passes/pass.js";
import { runPasses } from "../../../compiler/passes/pass.js";
import { afterAutodiff, allPasses, beforeAutodiff, beforeAutodiffExpanded, cleanup } from "../../../compiler/passes/pipelines.js";
import { simplify } from "../../../compiler/passes/simplify.js";
import { stripStopGradient } from "../../../compiler/passes/strip-stop-gradient.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import type { Module } from "../../../compiler/tensor/ir.js";
import { funcOf, withFunc } from "../../../compiler/tensor/ir.js";
import { parseModule } from "../../../compiler/tensor/parse.js";
import { printModule } from "../../../compiler/tensor/print.js";
import { expectVerified } from "../autodiff/support.js";
import { randomArgs, randomEnv, randomModule } from "../tensor/random.js";

/** Many graphs in one test: allowed to be slow on a busy machine. */
const slow = { timeout: 60_000 };

const seeds = Array.from({ length: 6 }, (_, i) => i + 1);

/** Largest difference of two runs, relative to values of the order of 1. */
function difference(a: Module, b: Module, fn: string, seed: number): number {
  const args = randomArgs(a, fn, seed);
  const [left, right] = [a, b].map((m) => evaluate(m, fn, args, randomEnv));
  expect(right?.map((x) => x.shape)).toEqual(left?.map((x) => x.shape));
  let worst = 0;
  left?.forEach((x, i) => x.data.forEach((v, j) => (worst = Math.max(worst, Math.abs(v - (right?.[i]?.data[j] ?? NaN)) / Math.max(1, Math.abs(v))))));
  return worst;
}

function differentiated(seed: number): { module: Module; fn: string } {
  const { module, gradient } = addGradient(randomModule(seed), "main", { wrt: (i) => i.role !== "index", outputs: (o) => o.role === "loss" });
  return { module, fn: gradient };
}

for (const pass of [...allPasses, cleanup]) {
  test(`${pass.name} keeps the values of random graphs`, slow, () => {
    for (const seed of seeds) {
      const module = randomModule(seed);
      const after = runPasses(module, [pass], { roots: ["main"] }).module;
      expect(difference(module, after, "main", seed), `seed ${seed}`).toBeLessThan(1e-12);
    }
  });

  test(`${pass.name} keeps the gradients of random graphs`, slow, () => {
    for (const seed of seeds) {
      const { module, fn } = differentiated(seed);
      const after = runPasses(module, [pass], { roots: [fn] }).module;
      expect(difference(module, after, fn, seed), `seed ${seed}`).toBeLessThan(1e-9);
    }
  });
}

test.each([["plain", beforeAutodiff], ["expanded", beforeAutodiffExpanded]])("gradients are the same when passes run before and after differentiation, %s", slow, (_, before) => {
  for (const seed of seeds.slice(0, 10)) {
    const direct = differentiated(seed);
    const prepared = runPasses(randomModule(seed), before, { roots: ["main"] }).module;
    const made = addGradient(prepared, "main", { wrt: (i) => i.role !== "index", outputs: (o) => o.role === "loss" });
    const after = runPasses(made.module, afterAutodiff, { roots: [made.gradient] }).module;
    const paths = (m: Module, fn: string): string[] => funcOf(m, fn).outputs.map((o) => `${o.role} ${o.path}`);
    // Passes may prove that an input has no gradient; they never find one more.
    const kept = paths(after, made.gradient);
    const whole = paths(direct.module, direct.fn);
    expect(whole).toEqual(expect.arrayContaining(kept));
    const args = randomArgs(direct.module, direct.fn, seed);
    const left = evaluate(direct.module, direct.fn, args, randomEnv);
    const right = evaluate(after, made.gradient, args, randomEnv);
    whole.forEach((path, i) => {
      const other = right[kept.indexOf(path)]?.data ?? new Float64Array(left[i]?.data.length ?? 0);
      left[i]?.data.forEach((x, j) => expect(Math.abs(x - (other[j] ?? NaN)), `seed ${seed}, ${path}`).toBeLessThan(1e-9 * Math.max(1, Math.abs(x))));
    });
  }
});

/** Runs passes on IR text; the result as text without names. */
function after(passes: readonly Pass[], text: string, roots = ["main"]): string {
  const module = parseModule(text);
  expectVerified(module);
  return printModule(runPasses(module, passes, { roots }).module).trim();
}

function main(...lines: string[]): string {
  return ["func main(B) {", ...lines.map((l) => `  ${l}`), "}"].join("\n");
}

test("fold computes ops over constants", () => {
  expect(after([fold, dce], main(
    '%0 "x" = data "x": f32[B, 2]',
    "%1 = fill() {shape: [4], value: 2, stack: []}: f32[4]",
    "%2 = neg(%1): f32[4]",
    "%3 = reshape(%2) {shape: [2, 2]}: f32[2, 2]",
    "%4 = scale_dim(%0) {num: 3, den: 4}: f32[B, 2]",
    'return data "y" = %3',
    'return data "z" = %4',
  ))).toBe(main(
    '%0 "x" = data "x": f32[B, 2]',
    "%1 = fill() {shape: [2, 2], value: -2, stack: []}: f32[2, 2]",
    "%2 = scale(%0) {by: 0.75}: f32[B, 2]",
    'return data "y" = %1',
    'return data "z" = %2',
  ));
});

test("fold leaves what is not finite to the run", () => {
  const text = main("%0 = fill() {shape: [2], value: 0, stack: []}: f32[2]", "%1 = recip(%0): f32[2]", 'return data "y" = %1');
  expect(after([fold], text)).toBe(text);
});

test("the gradient of a split into three becomes one concat", () => {
  expect(after([cleanup], main(
    '%0 "a" = data "a": f32[B, 2]',
    '%1 "b" = data "b": f32[B, 3]',
    '%2 "c" = data "c": f32[B, 4]',
    "%3 = pad(%2) {axis: 1, before: 5, after: 0}: f32[B, 9]",
    "%4 = pad(%1) {axis: 1, before: 2, after: 4}: f32[B, 9]",
    "%5 = add(%3, %4): f32[B, 9]",
    "%6 = pad(%0) {axis: 1, before: 0, after: 7}: f32[B, 9]",
    "%7 = add(%5, %6): f32[B, 9]",
    'return data "y" = %7',
  ))).toBe(main(
    '%0 "a" = data "a": f32[B, 2]',
    '%1 "b" = data "b": f32[B, 3]',
    '%2 "c" = data "c": f32[B, 4]',
    "%3 = concat(%0, %1, %2) {axis: 1}: f32[B, 9]",
    'return data "y" = %3',
  ));
});

test("simplify takes constants into scale and shift, negation into subtraction, and views of views apart", () => {
  expect(after([cleanup], main(
    '%0 "x" = data "x": f32[B, 2]',
    "%1 = fill() {shape: [], value: 3, stack: []}: f32[]",
    "%2 = mul(%1, %0): f32[B, 2]",
    "%3 = neg(%2): f32[B, 2]",
    "%4 = add(%0, %3): f32[B, 2]",
    "%5 = transpose(%4) {perm: [1, 0]}: f32[2, B]",
    "%6 = transpose(%5) {perm: [1, 0]}: f32[B, 2]",
    "%7 = sum(%6) {axes: [], keep: false}: f32[B, 2]",
    'return data "y" = %7',
  ))).toBe(main(
    '%0 "x" = data "x": f32[B, 2]',
    "%1 = scale(%0) {by: 3}: f32[B, 2]",
    "%2 = sub(%0, %1): f32[B, 2]",
    'return data "y" = %2',
  ));
});

test("a constant that widens its operand is not taken into scale", () => {
  const text = main(
    '%0 "x" = data "x": f32[2]',
    "%1 = fill() {shape: [B, 2], value: 3, stack: []}: f32[B, 2]",
    "%2 = mul(%0, %1): f32[B, 2]",
    'return data "y" = %2',
  );
  expect(after([cleanup], text)).toBe(text);
});

test("cse makes each value once, whatever the order of a sum's operands", () => {
  expect(after([cse, dce], main(
    '%0 "x" = data "x": f32[2]',
    '%1 "y" = data "y": f32[2]',
    "%2 = add(%0, %1): f32[2]",
    "%3 = add(%1, %0): f32[2]",
    "%4 = sub(%2, %3): f32[2]",
    'return data "z" = %4',
  ))).toBe(main(
    '%0 "x" = data "x": f32[2]',
    '%1 "y" = data "y": f32[2]',
    "%2 = add(%0, %1): f32[2]",
    "%3 = sub(%2, %2): f32[2]",
    'return data "z" = %3',
  ));
});

test("cse does not take a - b for b - a", () => {
  const text = main(
    '%0 "x" = data "x": f32[2]',
    '%1 "y" = data "y": f32[2]',
    "%2 = sub(%0, %1): f32[2]",
    "%3 = sub(%1, %0): f32[2]",
    "%4 = mul(%2, %3): f32[2]",
    'return data "z" = %4',
  );
  expect(after([cse, dce], text)).toBe(text);
});

const callee = `func f() {
  %0 "x" = data "x": f32[2]
  %1 "w" = param "w": f32[2]
  %2 = exp(%0): f32[2]
  %3 = mul(%0, %1): f32[2]
  return data "y" = %2
  return saved "z" = %3
}
`;

test("dce removes outputs that nobody reads, the inputs behind them, and functions that nobody calls", () => {
  const text = `${callee}\n${callee.replace("func f", "func unused")}\n${main(
    '%0 "x" = data "x": f32[2]',
    '%1 "w" = param "w": f32[2]',
    "%2, %3 = call(%0, %1) {fn: f, dims: {}}: f32[2], f32[2]",
    'return data "y" = %2',
  )}`;
  expect(after([dce], text)).toBe(`func f() {
  %0 "x" = data "x": f32[2]
  %1 = exp(%0): f32[2]
  return data "y" = %1
}

${main('%0 "x" = data "x": f32[2]', '%1 "w" = param "w": f32[2]', "%2 = call(%0) {fn: f, dims: {}}: f32[2]", 'return data "y" = %2')}`);
});

test("dce removes what a repeat saves for nobody, and keeps its carries", () => {
  const text = `${callee}\n${main(
    '%0 "x" = data "x": f32[2]',
    '%1 "w" = param "w": 3 of f32[2]',
    "%2, %3 = repeat(%0, %1) {fn: f, dims: {}, count: 3, reverse: false, carries: 1, consts: 0, stacked: 1}: f32[2], 3 of f32[2]",
    'return data "y" = %2',
  )}`;
  expect(after([dce], text)).toContain("%2 = repeat(%0) {fn: f, dims: {}, count: 3, reverse: false, carries: 1, consts: 0, stacked: 0}: f32[2]");
});

test("inline puts small functions in place, their dimensions renamed", () => {
  const text = `func flat(N) {
  %0 "x" = data "x": f32[N, 2]
  %1 = reshape(%0) {shape: [2*N]}: f32[2*N]
  return data "y" = %1
}

${main('%0 "x" = data "x": f32[4*B, 2]', "%1 = call(%0) {fn: flat, dims: {N: 4*B}}: f32[8*B]", 'return data "y" = %1')}`;
  expect(after([inlineUpTo(1), dce], text)).toBe(main('%0 "x" = data "x": f32[4*B, 2]', "%1 = reshape(%0) {shape: [8*B]}: f32[8*B]", 'return data "y" = %1'));
});

test("expand-sdpa leaves attention whose log-sum-exp is read", () => {
  const text = (read: string): string => main(
    '%0 "q" = data "q": f32[B, 3, 4]',
    "%1, %2 = sdpa(%0, %0, %0) {heads: 2}: f32[B, 3, 4], f32[B, 2, 3]",
    `return data "y" = ${read}`,
  );
  expect(after([expandSdpa], text("%2"))).toContain("sdpa");
  expect(after([expandSdpa], text("%1"))).not.toContain("sdpa");
  expect(after([expandSdpa], text("%1"))).toContain("softmax");
});

test("strip-stop-gradient leaves no mark", () => {
  const text = main('%0 "x" = data "x": f32[2]', "%1 = stop_gradient(%0): f32[2]", "%2 = neg(%1): f32[2]", 'return data "y" = %2');
  expect(after([stripStopGradient], text)).toBe(main('%0 "x" = data "x": f32[2]', "%1 = neg(%0): f32[2]", 'return data "y" = %1'));
});

test("cleaning up twice changes nothing", slow, () => {
  for (const seed of seeds.slice(0, 8)) {
    const { module, fn } = differentiated(seed);
    const once = runPasses(module, [cleanup], { roots: [fn] }).module;
    expect(printModule(runPasses(once, [cleanup], { roots: [fn] }).module)).toBe(printModule(once));
  }
});

test("the runner records every pass, with the caller's clock", () => {
  let clock = 0;
  const { records } = runPasses(randomModule(1), [simplify, cse], { roots: ["main"] }, () => (clock += 5));
  expect(records.map((r) => ({ stage: r.stage, level: r.level, ms: r.ms }))).toEqual([
    { stage: "simplify", level: "tensor", ms: 5 },
    { stage: "cse", level: "tensor", ms: 5 },
  ]);
  expect(parseModule(records[1]?.text() ?? "").funcs.size).toBe(3);
});

test("the runner says that nothing changed", () => {
  const module = runPasses(randomModule(2), [cleanup], { roots: ["main"] }).module;
  expect(runPasses(module, [cse], { roots: ["main"] }).records.map((r) => r.changed)).toEqual([false]);
});

test("a pass that breaks the IR is named", () => {
  const broken: Pass = {
    name: "break-it",
    summary: "drops the first node",
    run: (module) => {
      const func = funcOf(module, "main");
      return withFunc(module, { ...func, nodes: func.nodes.slice(1) });
    },
  };
  expect(() => runPasses(randomModule(1), [broken], { roots: ["main"] })).toThrow("pass `break-it`");
});
