/** Attention that looks back only: no later moment reaches an earlier one, and all earlier ones do. */
import { expect, it } from "vitest";
import { check } from "../../../compiler/compile.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { funcOf } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { printGraph } from "../../../compiler/model/print.js";
import { parseGraph } from "../../../compiler/model/parse.js";
import { checkMarked, sound } from "../check/marked.js";
import { argumentsFor, compileStep, numbers } from "./programs.js";

const dims = new Map([["B", 2]]);
const program = (lines: string): string => `use std.vit
model m {
  allow collapse("only what is seen counts here")
  allow leak("only what is seen counts here")
  input clip: Video[4, 8, 8, 3]
  input action: Action[5, 6]
  head h = linear(6)
  ${lines}
}
train m {
  data   shapes(count: 64)
  batch  2
}
`;
const attends = (of: string, more = ""): string => program(`y = h(${of})\n  z = attend(y, tanh(y), y, 2${more})\n  loss mean(square(z))`);

/** The output of attention, as what the backward pass saves of it, by moments. */
function seen(text: string, args: readonly NdArray[] | undefined): { readonly args: readonly NdArray[]; readonly z: Float64Array } {
  const step = compileStep(text);
  const forward = funcOf(step.module, step.forward);
  const given = args ?? argumentsFor(forward, dims, 5);
  const results = evaluate(step.module, step.forward, given, dims);
  return { args: given, z: Float64Array.from(results[forward.outputs.findIndex((o) => o.role === "saved" && (o.path === "z" || o.path.endsWith(".o")))]?.data ?? []) };
}

it("what a moment gives does not depend on later ones, and does on each before", () => {
  const text = attends("action", ", causal: true");
  const before = seen(text, undefined);
  expect(before.z.length).toBe(2 * 5 * 6);
  for (let moment = 0; moment < 5; moment++) {
    // The first operand is the action [2, 5, 6]: one number of that moment is another.
    const args = before.args.map((a, i) => (i === 0 ? { shape: a.shape, data: a.data.map((x, at) => x + (Math.floor(at / 6) % 5 === moment && at % 6 === 2 ? 0.3 : 0)) } : a));
    const after = seen(text, args).z;
    for (let t = 0; t < 5; t++) {
      const moved = Math.max(...[0, 1].flatMap((image) => [0, 1, 2, 3, 4, 5].map((f) => Math.abs((after[(image * 5 + t) * 6 + f] ?? NaN) - (before.z[(image * 5 + t) * 6 + f] ?? NaN)))));
      if (t < moment) expect(moved).toBe(0);
      else expect(moved).toBeGreaterThan(1e-6);
    }
  }
});

it("its gradient equals central differences", () => {
  const step = compileStep(attends("action", ", causal: true"));
  const [forward, backward] = [funcOf(step.module, step.forward), funcOf(step.module, step.backward)];
  const args = argumentsFor(forward, dims, 9);
  const loss = (a: readonly NdArray[]): number => evaluate(step.module, step.forward, a, dims)[forward.outputs.findIndex((o) => o.role === "loss")]?.data[0] ?? NaN;
  const results = evaluate(step.module, step.forward, args, dims);
  const known = new Map([...forward.inputs.map((input, i) => [`${input.role}:${input.path}`, args[i]] as const), ...forward.outputs.map((o, i) => [`${o.role}:${o.path}`, results[i]] as const)]);
  const grads = evaluate(step.module, step.backward, backward.inputs.map((i) => known.get(`${i.role}:${i.path}`) ?? { shape: [], data: Float64Array.of(1) }), dims);
  const next = numbers(3);
  for (const [o, { path }] of backward.outputs.entries()) {
    const at = forward.inputs.findIndex((i) => i.path === path);
    const direction = Float64Array.from(args[at]?.data ?? [], () => next());
    const moved = (step_: number): readonly NdArray[] => args.map((a, i) => (i === at ? { shape: a.shape, data: a.data.map((x, j) => x + step_ * (direction[j] ?? 0)) } : a));
    const numeric = (loss(moved(1e-5)) - loss(moved(-1e-5))) / 2e-5;
    expect(grads[o]?.data.reduce((sum, g, j) => sum + g * (direction[j] ?? 0), 0), path).toBeCloseTo(numeric, 7);
  }
});

it("a moment has one value, the patches of a frame, or the tubes of one row of them", () => {
  const blockOf = (of: string): number | undefined => {
    const { graph, diagnostics } = check({ file: "m.jepa", text: attends(of, ", causal: true") });
    if (graph === undefined) throw new Error(diagnostics.map((d) => d.message).join("; "));
    expect(parseGraph(printGraph(graph))).toEqual(graph);
    return graph.body.nodes.find((n) => n.op === "attend")?.attrs.block;
  };
  expect([blockOf("action"), blockOf("patches(clip, 4)"), blockOf("tubes(clip, 2, 2)")]).toEqual([1, 4, 16]);
});

it("tokens without known moments are refused, and so is a choice that is none", () => {
  checkMarked(sound(`  y = attend(z_context, z_context, z_context, heads: 4, causal: true)
//                                                              ^^^^ JEP3032 none that are known one by one: \`context\`
`));
  checkMarked(sound(`  y = attend(z_context, z_context, z_context, heads: 4, causal: 2)
//                                                              ^ JEP2010 true or false
`));
  const plain = check({ file: "m.jepa", text: attends("tubes(clip, 2, 2)", ", causal: false") }).graph;
  expect(plain?.body.nodes.find((n) => n.op === "attend")?.attrs.block).toBeUndefined();
});
