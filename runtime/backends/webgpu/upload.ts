/// <reference types="@webgpu/types" />
/**
 * A batch into the inputs of a plan.
 *
 * Owns what is checked on the way (sizes and lengths against the plan's bounds, positions against the grid: kernels do not
 * check the places that they read and write) and where the parts of a batch lie.
 */
import type { Hyper, MaskBatch, StepBatch, WgslPlan } from "../../abi.js";
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
  /** Positions of its grid, where it is a mask. */
  readonly positions: number | undefined;
}

/** Writes a batch and the weights of losses that change; gives the values of the symbols for each of its parts. Throws `HostError` "mismatch" where batch and plan do not fit. */
export function upload(queue: GPUQueue, plan: WgslPlan, places: readonly InputPlace[], batch: StepBatch, hyper: Hyper): readonly Symbols[] {
  const parts = plan.accumulate?.parts ?? 1;
  const most = plan.bounds["B"] ?? 0;
  if (batch.size > most * parts) throw new HostError("mismatch", `the plan is for batches of up to ${most * parts}, this one has ${batch.size}`, `compile the program with batch ${batch.size}`);
  for (const place of places) {
    const mask = batch.masks[place.input.name];
    if (mask !== undefined) check(plan, place, mask);
  }
  // Under the names of inputs, which no view, mask or draw has: with a space.
  const weights = Object.fromEntries(Object.entries(hyper.weights ?? {}).map(([loss, weight]) => [`weight ${loss}`, Float32Array.of(weight)]));
  return Array.from({ length: parts }, (_, part) => {
    const own = partOf(batch, part, parts);
    write(queue, places, { ...own, draws: { ...own.draws, ...weights } }, part);
    return lengthsOf(places, own);
  });
}

function lengthsOf(places: readonly InputPlace[], { size, masks }: StepBatch): Symbols {
  return new Map([["B", size], ...places.flatMap(({ input: { name, symbol } }): [string, number][] => {
    const length = masks[name]?.length;
    return symbol === undefined || length === undefined ? [] : [[symbol, length]];
  })]);
}

function write(queue: GPUQueue, places: readonly InputPlace[], batch: StepBatch, part: number): void {
  for (const { input, buffer, needed } of places) {
    const data = batch.masks[input.name]?.indices ?? batch.images[input.name] ?? batch.numbers?.[input.name] ?? batch.draws[input.name];
    if (data === undefined && needed) throw new HostError("mismatch", `the batch has no ${input.name}`, "report this: loader and plan disagree");
    if (data === undefined) continue;
    if (data.byteLength > input.ref.bytes) throw new HostError("mismatch", `${input.name} has ${data.byteLength} bytes, the plan is for ${input.ref.bytes}`, "report this: loader and plan disagree");
    queue.writeBuffer(buffer, part * partStride(input.ref), copyable(data));
  }
}

function check(plan: WgslPlan, { input, positions }: InputPlace, mask: MaskBatch): void {
  const bound = plan.bounds[input.symbol ?? ""];
  if (bound !== undefined && mask.length > bound) throw new HostError("mismatch", `mask ${input.name} has ${mask.length} positions, the plan is for up to ${bound}`, "report this: the sampler drew more than the compiler's bound");
  const beyond = positions === undefined ? undefined : mask.indices.find((i) => i < 0 || i >= positions);
  if (beyond !== undefined) throw new HostError("mismatch", `mask ${input.name} has the position ${beyond}, its grid has 0 to ${(positions ?? 0) - 1}`, "give masks of the grid that the program was compiled for");
}

/** A view that a queue takes: Dawn aborts the process over one of shared memory. */
export function copyable(data: Float32Array | Int32Array): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  if (isUnshared(data)) return data;
  return data instanceof Float32Array ? new Float32Array(data) : new Int32Array(data);
}

function isUnshared(data: Float32Array | Int32Array): data is Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  return data.buffer instanceof ArrayBuffer;
}
