/**
 * Whether a plan that was read from a file is whole, before anything is made of it.
 *
 * Kernels under Node check no index, so a number that was lost or altered on disk must not reach them: every field of the
 * contract is there and of its kind, every number that names a kernel or a buffer names one, and what is bound lies within
 * its buffer. What a kernel computes is not looked at, nor whether the plan fits a device (`request.ts`, `session.ts`).
 */
import type { PlanDispatch, PlanProgram, PlanRef, SizeExpr, WgslPlan } from "../../abi.js";
import { HostError } from "../../base/errors.js";
import { programsOf } from "./programs.js";

type Kind = "count" | "list" | "record" | "program";

/** Fields that every plan has, and those that some have. */
const needed: Readonly<Record<string, Kind>> = {
  bounds: "record", kernels: "list", buffers: "list", inputs: "list", parameters: "list", step: "program", watches: "list", held: "count", norms: "program",
  update: "program", hyper: "list", encoders: "record", memory: "record",
} satisfies Partial<Record<keyof WgslPlan, Kind>>;
const optional: Readonly<Record<string, Kind>> = { accumulate: "record", prepare: "program", scaler: "record", features: "list", tiles: "list" } satisfies Partial<Record<keyof WgslPlan, Kind>>;

/** Buffers that the host asks for by name. */
const host = ["sizes", "hyper", "read losses 0", "read losses 1"];

const WAY = "compile the program again";

/** Throws `HostError` "mismatch" for what is no plan, or one that was damaged. */
export function checkPlan(plan: unknown): asserts plan is WgslPlan {
  if (!isRecord(plan)) throw wrong("is no object");
  if (plan["format"] !== 1) throw new HostError("mismatch", `this plan has format ${String(plan["format"])}, this runtime reads format 1`, "compile it again, or install the version of jepac that made it");
  for (const [name, kind] of Object.entries(needed)) if (!isOf(kind, plan[name])) throw wrong(plan[name] === undefined ? `has no \`${name}\`` : `has a \`${name}\` that is no ${words[kind]}`);
  for (const [name, kind] of Object.entries(optional)) if (plan[name] !== undefined && !isOf(kind, plan[name])) throw wrong(`has a \`${name}\` that is no ${words[kind]}`);
  checkNumbers(plan as unknown as WgslPlan);
}

const words: Readonly<Record<Kind, string>> = { count: "number from 1 on", list: "list", record: "object", program: "list of dispatches" };

function isOf(kind: Kind, value: unknown): boolean {
  if (kind === "count") return isCount(value) && value > 0;
  if (kind === "list") return Array.isArray(value);
  if (kind === "record") return isRecord(value);
  return isRecord(value) && Array.isArray(value["dispatches"]) && Array.isArray(value["outputs"]);
}

/** Every number that stands for something else, once all fields are there. */
function checkNumbers(plan: WgslPlan): void {
  for (const [symbol, bound] of Object.entries(plan.bounds)) if (!isOf("count", bound)) throw wrong(`has no bound for ${symbol}`);
  if (plan.bounds["B"] === undefined) throw wrong("has no bound for B");
  plan.buffers.forEach((b, i) => { if (!isRecord(b) || typeof b.name !== "string" || !isOf("count", b.bytes)) throw wrong(`has a buffer ${i} without a name or a size`); });
  for (const name of host) if (!plan.buffers.some((b) => b.name === name)) throw wrong(`has no buffer "${name}"`);
  plan.kernels.forEach((k, i) => { if (!isRecord(k) || typeof k.name !== "string" || typeof k.file !== "string" || !Array.isArray(k.writes)) throw wrong(`has a kernel ${i} without a name, a file or its bindings`); });
  if (plan.accumulate !== undefined && (!isOf("count", plan.accumulate.parts) || !isOf("program", plan.accumulate.first) || !isOf("program", plan.accumulate.rest))) throw wrong("has an `accumulate` without its parts");
  for (const [name, p] of Object.entries(plan.encoders)) if (!isOf("program", p)) throw wrong(`has no dispatches for the encoder ${name}`);
  for (const program of programsOf(plan)) checkProgram(plan, program);
  for (const { name, ref } of [...plan.inputs, ...plan.watches]) checkRef(plan, ref, name);
  for (const { name, ref, grad, slots } of plan.parameters) for (const own of [ref, ...(grad === undefined ? [] : [grad]), ...Object.values(slots)]) checkRef(plan, own, name);
  if (plan.scaler !== undefined) checkRef(plan, plan.scaler.ref, "the loss scale");
}

function checkProgram(plan: WgslPlan, { dispatches, outputs }: PlanProgram): void {
  dispatches.forEach((dispatch, i) => checkDispatch(plan, dispatch, i));
  for (const { name, ref } of outputs) checkRef(plan, ref, name);
}

function checkDispatch(plan: WgslPlan, { kernel, bind, sizes, groups }: PlanDispatch, i: number): void {
  const own = isCount(kernel) ? plan.kernels[kernel] : undefined;
  if (own === undefined) throw wrong(`has no kernel ${String(kernel)}, which dispatch ${i} runs`);
  if (!Array.isArray(bind) || bind.length !== own.writes.length) throw wrong(`binds other than ${own.name} takes (dispatch ${i})`);
  for (const ref of bind) checkRef(plan, ref, `dispatch ${i} of ${own.name}`);
  if (!Array.isArray(sizes) || !Array.isArray(groups) || ![...sizes, ...groups].every((e) => isSize(plan, e))) throw wrong(`has sizes that are none (dispatch ${i} of ${own.name})`);
}

function checkRef(plan: WgslPlan, ref: PlanRef, whose: string): void {
  const { buffer, at, bytes } = isRecord(ref) ? ref : { buffer: -1, at: 0, bytes: 0 };
  const own = isCount(buffer) ? plan.buffers[buffer] : undefined;
  if (own === undefined) throw wrong(`has no buffer ${String(buffer)}, which ${whose} lies in`);
  if (!isCount(at) || !isCount(bytes) || at + bytes > own.bytes) throw wrong(`has a place beyond the buffer "${own.name}" (${whose})`);
}

/** A number, a rounded-up quotient, or a sum of terms over symbols that have a bound. */
function isSize(plan: WgslPlan, e: SizeExpr): boolean {
  if (typeof e === "number") return isCount(e);
  if (!isRecord(e)) return false;
  if ("up" in e) return isOf("count", e.by) && isOf("count", e.times) && isSize(plan, e.up);
  return Array.isArray(e.terms) && e.terms.every(([coefficient, ...symbols]) => Number.isSafeInteger(coefficient) && symbols.every((s: string) => plan.bounds[s] !== undefined));
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(what: string): HostError {
  return new HostError("mismatch", `plan.json ${what}`, WAY);
}
