/// <reference types="@webgpu/types" />
/**
 * The WebGPU device of a page or of a worker in one.
 *
 * Owns finding the browser's adapter, with words for each thing that may be missing, and opening a device on which a plan
 * fits. The same under Node is `device.ts`.
 */
import type { WgslModule } from "../../abi.js";
import { errorText, HostError } from "../../base/errors.js";
import { describeBy } from "./forms.js";
import { deviceRequest } from "./request.js";

/** What gets WebGPU where a browser has none. */
const WAYS = "Chrome and Edge have WebGPU from version 113 on. Elsewhere it may have to be switched on: on Linux start Chrome with --enable-unsafe-webgpu, or set chrome://flags/#enable-unsafe-webgpu.";

/** An adapter of the browser, and maker and kind in words. */
export interface PageAdapter {
  readonly adapter: GPUAdapter;
  readonly name: string;
}

/** The browser's adapter. Throws `HostError` "no-engine" with what is missing: a secure context, WebGPU, or a driver. */
export async function pageAdapter(): Promise<PageAdapter> {
  if (!globalThis.isSecureContext) throw new HostError("no-engine", "This page was not opened in a secure context, and WebGPU is only there in one.", "Open it as http://127.0.0.1 on the machine that serves it, or by https.");
  const gpu: GPU | undefined = "gpu" in navigator ? navigator.gpu : undefined;
  if (gpu === undefined) throw new HostError("no-engine", "This browser has no WebGPU.", WAYS);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new HostError("no-engine", "This browser finds no WebGPU adapter: no graphics driver that it takes.", WAYS);
  const { vendor, description, architecture } = adapter.info;
  return { adapter, name: [vendor, description || architecture].filter(Boolean).join(" ") || "WebGPU" };
}

/** A device on which the plan of `module` fits. Throws `HostError` "no-engine". */
export async function openPageDevice(module: Pick<WgslModule, "plan">): Promise<{ readonly device: GPUDevice; readonly name: string }> {
  const { adapter, name } = await pageAdapter();
  const request = deviceRequest(module, adapter, name);
  try {
    const device = await adapter.requestDevice(request);
    describeBy(device, adapter.info);
    return { device, name };
  } catch (error) {
    throw new HostError("no-engine", `${name} gives no device: ${errorText(error)}`, WAYS, { cause: error });
  }
}
