/**
 * From lowered functions to a step program: passes, differentiation, passes.
 *
 * Owns the order of stages after lowering, for every target: the target says which passes it wants on either side of
 * autodiff. Every stage is verified and recorded. Leaves lowering to `lower/` and code to the target.
 */
import { differentiate } from "../autodiff/differentiate.js";
import type { Lowered, ProgramParam } from "../lower/program.js";
import type { Pass, StageRecord } from "../passes/pass.js";
import { createMemo, runPasses } from "../passes/pass.js";
import type { Input } from "../tensor/ir.js";
import { printModule } from "../tensor/print.js";
import { assertVerified } from "../tensor/verify.js";
import type { StepParam, StepProgram } from "./step.js";

/** What a target asks of the way to it. */
export interface StepOptions {
  readonly before: readonly Pass[];
  readonly after: readonly Pass[];
  readonly now?: () => number;
}

/** What the program is called and where its texts are, for comments. */
export interface StepSource {
  readonly name: string;
  readonly doc: string | undefined;
  readonly file: string;
  readonly texts: ReadonlyMap<string, string>;
}

/** Runs the stages and gives the step program with the record of each stage. */
export function buildStep(lowered: Lowered, source: StepSource, options: StepOptions): { step: StepProgram; records: readonly StageRecord[] } {
  const now = options.now ?? (() => 0);
  const memo = createMemo();
  assertVerified(lowered.module, "lowering", memo.verified);
  const encoders = lowered.encoders.map((e) => e.func);
  const first: StageRecord = { stage: "lower", level: "tensor", ms: 0, changed: true, text: () => printModule(lowered.module) };
  const before = runPasses(lowered.module, options.before, { roots: [lowered.main, ...encoders], memo }, now);
  const start = now();
  const trained = new Set(lowered.params.filter((p) => p.trained).map((p) => p.path));
  const main = before.module.funcs.get(lowered.main);
  const d = differentiate(before.module, lowered.main, {
    wrt: (input: Input) => input.role === "param" && trained.has(input.path),
    outputs: [main?.outputs.findIndex((o) => o.role === "loss") ?? 0],
  });
  assertVerified(d.module, "autodiff", memo.verified);
  const record: StageRecord = { stage: "differentiate", level: "tensor", ms: now() - start, changed: true, text: () => printModule(d.module) };
  const after = runPasses(d.module, options.after, { roots: [d.forward, d.backward, ...encoders], memo }, now);
  const step: StepProgram = {
    name: source.name, doc: source.doc, file: source.file, module: after.module, forward: d.forward, backward: d.backward,
    encoders: lowered.encoders, params: lowered.params.map(stepParam), images: pictures(lowered), numbers: lowered.numbers.map((n) => n.name), draws: lowered.draws.map((d) => d.name), weights: lowered.weights, sources: source.texts,
  };
  return { step, records: [first, ...before.records, record, ...after.records] };
}

function stepParam(p: ProgramParam): StepParam {
  return { name: p.path, shape: p.shape, stack: p.stack, group: p.instance, trained: p.trained };
}

function pictures(lowered: Lowered): string[] {
  const roots = [lowered.main, ...lowered.encoders.map((e) => e.func)];
  const names = roots.flatMap((r) => (lowered.module.funcs.get(r)?.inputs ?? []).filter((i) => i.role === "data").map((i) => i.path));
  const others = new Set([...lowered.draws, ...lowered.numbers].map((d) => d.name));
  return [...new Set(names)].filter((name) => !others.has(name));
}
