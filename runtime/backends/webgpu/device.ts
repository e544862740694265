/// <reference types="@webgpu/types" />
/**
 * A WebGPU device under Node, through the npm package `webgpu` (Dawn).
 *
 * Owns finding the package and an adapter, also the SwiftShader that `scripts/setup-vulkan.mjs` may have put into
 * `.engines/`, and opening a device for a plan (`request.ts`). What is missing is said with the command that gets it. Running a
 * plan is `session.ts`, which works in a page too; a page gets its device from `navigator.gpu`.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { WgslModule } from "../../abi.js";
import { HostError, errorText } from "../../base/errors.js";
import { WEBGPU_PACKAGE, scriptCommand } from "../ways.js";
import { describeBy } from "./forms.js";
import type { AdapterLimits } from "./request.js";
import { deviceRequest, isAmple, lacksFeatures, limitsOf } from "./request.js";
import { restingWait, waitBy } from "./waiting.js";

/** A device with what a person wants to know of it. */
export interface NodeDevice {
  readonly device: GPUDevice;
  /** Adapter and driver in words. */
  readonly name: string;
  /** What its WGSL knows beyond the standard. */
  readonly language: ReadonlySet<string>;
  /** Version of the package. */
  readonly version: string;
  /** Whether a processor stands in for a GPU. */
  readonly software: boolean;
  /** Whether its threads have some 250 registers each. */
  readonly ample: boolean;
  /** Ends the device and what was made with it. */
  release(): void;
}

/** What gets a driver where there is none. */
const way = (): string => `run jepac doctor; on a machine without a GPU: ${scriptCommand("setup-vulkan.mjs")} gets a software driver`;

/** What else a device is opened for. */
export interface DeviceWishes {
  /** With timestamps, as exact as the driver has them. */
  readonly timestamps?: boolean;
}

/** Opens a device on which the plan fits. Throws `HostError` "no-engine". */
export async function openNodeDevice(module: Pick<WgslModule, "plan">, wishes: DeviceWishes = {}): Promise<NodeDevice> {
  const { gpu, adapter, name, version } = await openAdapter(wishes, dawnOptions(module.plan.features));
  const request = deviceRequest(module, adapter, name);
  const timestamps: GPUFeatureName[] = wishes.timestamps === true && adapter.features.has("timestamp-query") ? ["timestamp-query"] : [];
  try {
    const device = await adapter.requestDevice({ ...request, requiredFeatures: [...timestamps, ...request.requiredFeatures] });
    describeBy(device, adapter.info);
    if (adapter.info.isFallbackAdapter) waitBy(device, restingWait());
    return { device, name, software: adapter.info.isFallbackAdapter, ample: isAmple(adapter.info), language: new Set(gpu.wgslLanguageFeatures), version: `${version} (Dawn, ${name})`, release: () => device.destroy() };
  } catch (error) {
    throw new HostError("no-engine", `${name} gives no device: ${errorText(error)}`, way(), { cause: error });
  }
}

/**
 * What a plan must fit to run here: bytes of one binding and of one buffer, and what kind of device it is. Throws `HostError`
 * "no-engine" where there is no device, or none with the features that a plan will need.
 */
export async function nodeLimits(needed: readonly string[] = []): Promise<AdapterLimits> {
  const { adapter, name } = await openAdapter({}, dawnOptions(needed));
  const missing = needed.filter((f) => !new Set<string>(adapter.features).has(f));
  if (missing.length > 0) throw lacksFeatures(name, missing);
  return limitsOf(adapter);
}

/** Dawn's objects, held till the process ends. */
const instances: GPU[] = [];

/**
 * Holds a GPU object for ever. One that is collected takes its instance along, while Dawn's runner of events may still be
 * scheduled for it (a device that was just lost or destroyed leaves such events), and that ends the process with an abort
 * or a hang. They are few and small, and since webgpu 0.6 they do not keep a process alive.
 */
function kept(gpu: GPU): GPU {
  instances.push(gpu);
  return gpu;
}

interface OpenAdapter {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  readonly name: string;
  readonly version: string;
}

async function openAdapter(wishes: DeviceWishes = {}, options: readonly string[] = []): Promise<OpenAdapter> {
  // llvmpipe compiles for vectors of 4 lanes in a third of the time that 8 lanes take, and runs no slower: it gathers lane by lane.
  process.env["LP_NATIVE_VECTOR_WIDTH"] ??= "128";
  const { create, version } = await loadPackage();
  const toggles = [...options, ...(wishes.timestamps === true ? ["disable-dawn-features=timestamp_quantization"] : [])];
  let gpu = kept(create(toggles));
  let adapter = await gpu.requestAdapter();
  if (adapter === null && useSwiftShader()) {
    gpu = kept(create(toggles));
    adapter = await gpu.requestAdapter();
  }
  if (adapter === null) throw new HostError("no-engine", "WebGPU finds no adapter: no usable Vulkan, Metal or D3D12 driver", way());
  const { info } = adapter;
  return { gpu, adapter, version, name: [info.vendor, info.description || info.device].filter((text) => text !== "").join(" ") || "WebGPU device" };
}

/**
 * What Dawn is told: to show f16 on NVIDIA and subgroup matrices at all, and not to clamp every index. Kernels guard their
 * edges themselves, and a browser, where other people's programs run, goes on clamping (`docs/decisions/unchecked-indices.md`).
 */
function dawnOptions(needed: readonly string[] = []): string[] {
  const f16 = needed.includes("shader-f16") ? ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia"] : [];
  return [`enable-dawn-features=${["disable_robustness", ...f16].join(",")}`];
}

interface DawnPackage {
  create(options: string[]): GPU;
  readonly version: string;
}

async function loadPackage(): Promise<DawnPackage> {
  for (const from of [join(process.cwd(), "resolve-from-here.js"), fileURLToPath(import.meta.url)]) {
    const require = createRequire(from);
    let entry: string;
    try {
      entry = require.resolve("webgpu");
    } catch {
      continue;
    }
    try {
      const loaded: { create(options: string[]): GPU } = await import(pathToFileURL(entry).href);
      const about: { readonly version?: string } = require(join(dirname(entry), "package.json"));
      return { create: (options) => loaded.create(options), version: about.version ?? "unknown" };
    } catch (error) {
      throw new HostError("no-engine", `the npm package webgpu is there but does not load: ${errorText(error)}`, way(), { cause: error });
    }
  }
  throw new HostError("no-engine", "the npm package webgpu is not installed", WEBGPU_PACKAGE);
}

/** Points Vulkan at a SwiftShader in `.engines/` of this folder or one above the package; whether there is one. */
function useSwiftShader(): boolean {
  const folders = [process.cwd()];
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) folders.push(at);
  const home = folders.map((folder) => join(folder, ".engines", "swiftshader")).find((folder) => existsSync(join(folder, "vk_swiftshader_icd.json")));
  if (home === undefined || process.env["VK_DRIVER_FILES"] !== undefined) return false;
  process.env["VK_DRIVER_FILES"] = join(home, "vk_swiftshader_icd.json");
  try {
    // No addon, so this throws; but the loader stays in the process, and Dawn's own dlopen by name then finds it.
    process.dlopen({ exports: {} }, join(home, "libvulkan.so.1"));
  } catch {
    return true;
  }
  return true;
}
