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
import { calleesOf } from "../tensor/visit.js";

/** What a pass may know beside the module. */
export interface PassContext {
  /** Functions that are called from outside: their signatures stay, and everything they do not reach may go. */
  readonly roots: readonly string[];
  /** What earlier passes of the same compilation learned; without it nothing is skipped. */
  readonly memo?: PassMemo;
}

/**
 * What is known of functions that have not changed: that they verify, and which passes leave them alone. Functions are
 * immutable, so identity of a function and of those it calls is enough; it lives as long as one compilation.
 */
export interface PassMemo {
  readonly verified: WeakMap<Func, readonly Func[]>;
  readonly settled: WeakMap<Func, Map<string, readonly Func[]>>;
}

/** An empty memo, for one compilation. */
export function createMemo(): PassMemo {
  return { verified: new WeakMap(), settled: new WeakMap() };
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
  /** What the stage made, printed. */
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
  for (const pass of passes) {
    const start = now();
    const next = runOne(current, pass, cx);
    records.push({ stage: pass.name, level: "tensor", ms: now() - start, changed: next !== current, text: () => printModule(next) });
    current = next;
  }
  return { module: current, records };
}

/** A pass that runs others in turn until a round changes nothing, at most `limit` rounds. Verifies between them. */
export function untilStable(name: string, passes: readonly Pass[], limit = 8): Pass {
  const run = (module: Module, cx: PassContext): Module => {
    let current = module;
    for (let round = 0; round < limit; round++) {
      const before = current;
      for (const pass of passes) current = runOne(current, pass, cx);
      if (current === before) return current;
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
    run: (module, cx) => {
      const funcs = new Map<string, Func>();
      let changed = false;
      for (const func of module.funcs.values()) {
        const next = isSettled(cx.memo, name, func, funcs) ? func : rewrite({ funcs }, func);
        if (next === func) settle(cx.memo, name, func, funcs);
        else changed = true;
        funcs.set(func.name, next);
      }
      return changed ? { funcs } : module;
    },
  };
}

function runOne(module: Module, pass: Pass, cx: PassContext): Module {
  const next = pass.run(module, cx);
  if (next !== module) assertVerified(next, `pass \`${pass.name}\``, cx.memo?.verified);
  return next;
}

function isSettled(memo: PassMemo | undefined, pass: string, func: Func, known: ReadonlyMap<string, Func>): boolean {
  const callees = memo?.settled.get(func)?.get(pass);
  return callees !== undefined && callees.every((c) => known.get(c.name) === c);
}

function settle(memo: PassMemo | undefined, pass: string, func: Func, known: ReadonlyMap<string, Func>): void {
  if (memo === undefined) return;
  const passes = memo.settled.get(func) ?? new Map<string, readonly Func[]>();
  memo.settled.set(func, passes.set(pass, calleesOf(func, known)));
}
