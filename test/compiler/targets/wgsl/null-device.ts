/**
 * Dawn's null backend as a device: it compiles and validates every kernel, and runs none. For tests of kernels that no driver at
 * hand can run.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { describeBy } from "../../../../runtime/backends/webgpu/forms.js";

/** Dawn's GPU objects: one that is collected takes its devices along, in the middle of a call. */
const kept: GPU[] = [];

/** A device that compiles everything and runs nothing. */
export async function nullDevice(): Promise<GPUDevice | undefined> {
  const loaded: { create(options: string[]): GPU } = await import(pathToFileURL(createRequire(import.meta.url).resolve("webgpu")).href);
  const gpu = loaded.create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  kept.push(gpu);
  const adapter = await gpu.requestAdapter();
  const wanted = ["shader-f16", "subgroups", "subgroup-size-control", "chromium-experimental-subgroup-matrix"];
  const has = (f: string): f is GPUFeatureName => adapter !== null && new Set<string>(adapter.features).has(f);
  if (adapter === null || !wanted.every(has)) {
    console.warn("NOT TESTED: kernels with subgroup matrices: Dawn's null backend lacks the features");
    return undefined;
  }
  return adapter.requestDevice({ requiredFeatures: wanted.filter(has) });
}

/** From now on the device says that it multiplies 16 x 16 matrices of f16 by subgroups of 32. */
export function describedWithMatrices(device: GPUDevice): void {
  const config = { M: 16, N: 16, K: 16, componentType: "f16", resultComponentType: "f32" };
  describeBy(device, Object.assign({ __brand: "GPUAdapterInfo" as const, vendor: "", architecture: "", device: "", description: "", subgroupMinSize: 32, subgroupMaxSize: 32, isFallbackAdapter: false }, { subgroupMatrixConfigs: [config] }));
}

/** A null device that says so. */
export async function matrixDevice(): Promise<GPUDevice | undefined> {
  const device = await nullDevice();
  if (device !== undefined) describedWithMatrices(device);
  return device;
}

/** The files of all shaders that the device makes from now on, in a list that grows. */
export function shadersOf(device: GPUDevice): string[] {
  const files: string[] = [];
  const create = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    files.push(descriptor.label ?? "");
    return create(descriptor);
  };
  return files;
}
