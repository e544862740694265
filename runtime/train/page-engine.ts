/**
 * An engine in a page: what `createEngine` is under Node.
 *
 * Owns putting device, plan and first values together. Its types name nothing of WebGPU, so that whoever uses them needs no
 * declarations of it.
 */
import type { Engine, Manifest, WgslModule } from "../abi.js";
import { checkPlan } from "../backends/webgpu/check-plan.js";
import { createWebgpuEngine } from "../backends/webgpu/engine.js";
import { openPageDevice, pageAdapter } from "../backends/webgpu/page.js";
import { limitsOf } from "../backends/webgpu/request.js";
import { HostError } from "../base/errors.js";
import { initialState } from "./init.js";

/** An engine on the browser's WebGPU. */
export interface PageEngine extends Engine {
  /** Maker and kind of the device, as the browser says them. */
  readonly device: string;
  /** What a person should know of how kernels run on it. */
  readonly notes: readonly string[];
  /** Comes when the device is gone, with the browser's reason; also after `dispose`. Its state is gone with it. */
  readonly lost: Promise<string>;
}

/** What this browser's device takes, as `device` of `compile`: bytes of one binding and of one buffer, and what kind of device it is. */
export interface PageLimits {
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  /** Whether a processor stands in for a GPU. */
  readonly software: boolean;
  /** Whether its threads have some 250 registers each. */
  readonly ample: boolean;
}

/** Asks this browser's device what a plan for it must fit. Throws `HostError` "no-engine" with what is missing. */
export async function pageLimits(): Promise<PageLimits> {
  const { adapter, name } = await pageAdapter();
  const { bindingBytes, bufferBytes, software, ample } = limitsOf(adapter);
  // Not every browser says that its adapter is a fallback; the drivers that are one are known by name.
  return { bindingBytes, bufferBytes, software: software || /swiftshader|llvmpipe|software/i.test(name), ample };
}

/**
 * The engine of a program that was compiled for wgsl, in a page or a worker, with its initial parameters for `seed`. `module` is what
 * the compiled `model.mjs` exports, or `{ plan, kernels }` of what `compile` gives (texts of its `.wgsl` files by path). Weights of a
 * checkpoint come in by `importState(decodeCheckpoint(bytes, name).state)`. Throws `HostError` "no-engine" where the browser or its device
 * cannot run it, "mismatch" for a program of another target or a plan of another version.
 */
export async function openPageEngine(manifest: Manifest, module: WgslModule, seed: number = manifest.train.seed): Promise<PageEngine> {
  if (manifest.target !== "wgsl" || !("plan" in module)) throw new HostError("mismatch", `a page runs programs that were compiled for wgsl, this one was compiled for ${manifest.target}`, 'compile it with --target wgsl, or { target: "wgsl" }');
  checkPlan(module.plan);
  const initial = initialState(manifest, seed);
  const { device, name } = await openPageDevice(module);
  try {
    const engine = await createWebgpuEngine(manifest, module, { device, name, version: navigator.userAgent, initial });
    return { ...engine, device: name, lost: device.lost.then(({ message, reason }) => message || reason) };
  } catch (error) {
    // A page lives on, and so would the device.
    device.destroy();
    throw error;
  }
}
