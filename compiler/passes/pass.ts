/**
 * Passes as values, and the runner.
 *
 * Owns what a pass is (a name, a summary, a pure function from module to module) and the one loop that runs passes:
 * it verifies after each, names the culprit, and keeps a record of every step. Dumps, golden files and timings all read the
 * records; no pass prints or measures itself. The core has no clock, so the caller may hand one in.
 * The list of passes to run is `pipelines.ts`.
 */
import type { Func, Module } from "../tensor/ir.js";
import { printModule } from "../tensor/print.js";
import { assertVerified } from "../tensor/verify.js";

/** What a pass may know beside the module. */
export interface PassContext {
  /** Functions that are called from outside: their signatures stay, and everything they do not reach may go. */
  readonly roots: readonly string[];
}

/** One step from module to module. Pure: same input, same output. */
export interface Pass {
  /** Written once: flag of `jepac dev`, file name of dumps and goldens, heading in the documents. */
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  readonly run: (module: Module, cx: PassContext) => Module;
}

/** What is kept of every stage of a compilation, passes among them. */
export interface StageRecord {
  readonly stage: string;
  readonly level: "ast" | "model" | "tensor" | "files";
  /** Milliseconds by the caller's clock; 0 without one. */
  readonly ms: number;
  /** Whether the stage's result differs from what it was given. */
  readonly changed: boolean;
  readonly text: () => string;
}

/** What the runner returns. */
export interface PassResult {
  readonly module: Module;
  readonly records: readonly StageRecord[];
}

/** Runs passes in order, verifying after each. @throws IrError naming the pass that broke the IR. */
export function runPasses(module: Module, passes: readonly Pass[], cx: PassContext, now: () => number = () => 0): PassResult {
  const records: StageRecord[] = [];
  let current = module;
  let before = printModule(module);
  for (const pass of passes) {
    const start = now();
    const next = runOne(current, pass, cx);
    const text = printModule(next);
    records.push({ stage: pass.name, level: "tensor", ms: now() - start, changed: text !== before, text: () => text });
    current = next;
    before = text;
  }
  return { module: current, records };
}

/** A pass that runs others in turn until a round changes nothing, at most `limit` rounds. Verifies between them. */
export function untilStable(name: string, passes: readonly Pass[], limit = 8): Pass {
  const run = (module: Module, cx: PassContext): Module => {
    let current = module;
    let before = printModule(module);
    for (let round = 0; round < limit; round++) {
      for (const pass of passes) current = runOne(current, pass, cx);
      const after = printModule(current);
      if (after === before) return current;
      before = after;
    }
    return current;
  };
  return { name, summary: `${passes.map((p) => p.name).join(", ")}, until nothing changes`, run };
}

/** A pass that rewrites functions one by one; each sees the functions before it as already rewritten. */
export function perFunction(name: string, summary: string, rewrite: (module: Module, func: Func) => Func): Pass {
  return {
    name,
    summary,
    run: (module) => {
      const funcs = new Map<string, Func>();
      for (const func of module.funcs.values()) funcs.set(func.name, rewrite({ funcs }, func));
      return { funcs };
    },
  };
}

function runOne(module: Module, pass: Pass, cx: PassContext): Module {
  const next = pass.run(module, cx);
  if (next !== module) assertVerified(next, `pass \`${pass.name}\``);
  return next;
}
