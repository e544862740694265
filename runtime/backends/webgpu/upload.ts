/// <reference types="@webgpu/types" />
/**
 * A batch into the inputs of a plan.
 *
 * Owns what is checked on the way (sizes and lengths against the plan's bounds) and where the parts of a batch lie.
 */
import type { MaskBatch, StepBatch, WgslPlan } from "../../abi.js";
import { HostError } from "../../base/errors.js";
import { partOf } from "../parts.js";
import { partStride } from "./session.js";
import type { Symbols } from "./sizes.js";

type PlanInput = WgslPlan["inputs"][number];

/** An input with its buffer; `needed` says that forward and backward read it, so that its absence is a mistake. */
export interface InputPlace {
  readonly input: PlanInput;
  readonly buffer: GPUBuffer;
  readonly needed: boolean;
}

/** Writes a batch; gives the values of the symbols. Throws `HostError` "mismatch" where batch and plan do not fit. */
export function upload(queue: GPUQueue, plan: WgslPlan, places: readonly InputPlace[], batch: StepBatch): Symbols {
  const parts = plan.accumulate?.parts ?? 1;
  const most = plan.bounds["B"] ?? 0;
  if (batch.size > most * parts) throw new HostError("mismatch", `the plan is for batches of up to ${most * parts}, this one has ${batch.size}`, `compile the program with batch ${batch.size}`);
  const symbols = new Map([["B", batch.size / parts]]);
  for (const { input } of places) {
    const mask = batch.masks[input.name];
    if (mask !== undefined && input.symbol !== undefined) symbols.set(input.symbol, checked(plan, input, mask).length);
  }
  for (let part = 0; part < parts; part++) write(queue, places, partOf(batch, part, parts), part);
  return symbols;
}

function write(queue: GPUQueue, places: readonly InputPlace[], batch: StepBatch, part: number): void {
  for (const { input, buffer, needed } of places) {
    const data = batch.masks[input.name]?.indices ?? batch.images[input.name] ?? batch.draws[input.name];
    if (data === undefined && needed) throw new HostError("mismatch", `the batch has no ${input.name}`, "report this: loader and plan disagree");
    if (data === undefined) continue;
    if (data.byteLength > input.ref.bytes) throw new HostError("mismatch", `${input.name} has ${data.byteLength} bytes, the plan is for ${input.ref.bytes}`, "report this: loader and plan disagree");
    queue.writeBuffer(buffer, part * partStride(input.ref), copyable(data));
  }
}

function checked(plan: WgslPlan, input: PlanInput, mask: MaskBatch): MaskBatch {
  const bound = plan.bounds[input.symbol ?? ""] ?? 0;
  if (mask.length > bound) throw new HostError("mismatch", `mask ${input.name} has ${mask.length} positions, the plan is for up to ${bound}`, "report this: the sampler drew more than the compiler's bound");
  return mask;
}

/** A view that a queue takes: Dawn aborts the process over one of shared memory. */
export function copyable(data: Float32Array | Int32Array): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  if (isUnshared(data)) return data;
  return data instanceof Float32Array ? new Float32Array(data) : new Int32Array(data);
}

function isUnshared(data: Float32Array | Int32Array): data is Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer;
}
