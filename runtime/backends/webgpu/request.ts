/// <reference types="@webgpu/types" />
/**
 * What a device is asked for on behalf of a plan, under Node and in a page: the limits that it needs, the features that it
 * needs, and those that it has other forms of kernels for where the adapter has them. And the other way round: what a plan must
 * fit that is made for an adapter.
 */
import type { WgslModule } from "../../abi.js";
import { HostError } from "../../base/errors.js";
import { usefulFeatures, usesMatrices } from "./forms.js";
import { programsOf } from "./programs.js";

/** What WebGPU gives without asking: bytes of one binding, and of one buffer. */
const USUAL = { binding: 128 * 1024 * 1024, buffer: 256 * 1024 * 1024 };
/** Bytes of workgroup memory that products by matrices take at the most, twice what is there without asking. */
const MATRIX_MEMORY = 32768;

/** What to ask of an adapter; limits beyond what it has are left to `openSession` to complain about. Throws `HostError` "no-engine" where it lacks a feature that the plan needs. */
export function deviceRequest(module: Pick<WgslModule, "plan">, { features, limits }: Pick<GPUAdapter, "features" | "limits">, name: string): { readonly requiredFeatures: GPUFeatureName[]; readonly requiredLimits: Record<string, number> } {
  const has = (f: string): f is GPUFeatureName => new Set<string>(features).has(f);
  const needed = module.plan.features ?? [];
  const missing = needed.filter((f) => !has(f));
  if (missing.length > 0) throw lacksFeatures(name, missing);
  const { binding, buffer } = neededLimits(module);
  const requiredLimits = {
    ...(binding > USUAL.binding ? { maxStorageBufferBindingSize: Math.min(binding, limits.maxStorageBufferBindingSize) } : {}),
    ...(buffer > USUAL.buffer ? { maxBufferSize: Math.min(buffer, limits.maxBufferSize) } : {}),
    ...(usesMatrices(module) ? { maxComputeWorkgroupStorageSize: Math.min(MATRIX_MEMORY, limits.maxComputeWorkgroupStorageSize) } : {}),
  };
  return { requiredFeatures: [...needed, ...usefulFeatures(module)].filter(has), requiredLimits };
}

/** The plan was compiled for more than this device or adapter has. */
export function lacksFeatures(name: string, missing: readonly string[]): HostError {
  return new HostError("no-engine", `${name} has no ${missing.join(", ")}, which this plan needs`, "compile with --precision f32");
}

/** What a device must take: the largest binding and the largest buffer, in bytes. */
export function neededLimits({ plan }: Pick<WgslModule, "plan">): { readonly binding: number; readonly buffer: number } {
  const binding = programsOf(plan).reduce((n, p) => p.dispatches.reduce((m, d) => d.bind.reduce((k, r) => Math.max(k, r.bytes), m), n), 0);
  return { binding, buffer: plan.buffers.reduce((n, b) => Math.max(n, b.bytes), 0) };
}

/** What a plan must fit to run on an adapter's devices: bytes of one binding and of one buffer, and what kind of device it is. */
export interface AdapterLimits {
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  readonly software: boolean;
  readonly ample: boolean;
}

/** The limits of plans for an adapter. */
export function limitsOf({ limits, info }: Pick<GPUAdapter, "limits" | "info">): AdapterLimits {
  return { bindingBytes: limits.maxStorageBufferBindingSize, bufferBytes: limits.maxBufferSize, software: info.isFallbackAdapter, ample: isAmple(info) };
}

/** NVIDIA and AMD give a thread 255 and 256 registers; WebGPU says nothing of them. */
export function isAmple({ vendor }: GPUAdapterInfo): boolean {
  return vendor === "nvidia" || vendor === "amd";
}
