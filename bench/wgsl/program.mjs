/** Programs of the WebGPU benchmarks, compiled in this process. */
import { readFileSync } from "node:fs";
import { compile } from "../../dist/compiler/index.js";

/** What large GPUs hold in one binding and in one buffer. */
const large = { bindingBytes: 2 ** 31 - 4, bufferBytes: 2 ** 32 - 4 };

/** Manifest and module of a program beside this file, planned for a large device. */
export async function compileForBench(name, options = {}) {
  const file = new URL(name, import.meta.url).pathname;
  const read = (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const result = compile({ file, text: readFileSync(file, "utf8"), read }, { target: "wgsl", device: large, ...options });
  if (!result.ok) throw new Error(result.diagnostics.map((d) => d.message).join("\n"));
  // From the files, as a run has it.
  const plan = JSON.parse(result.files.find((f) => f.path === "plan.json").text);
  return { manifest: result.manifest, plan, module: { plan, kernels: Object.fromEntries(result.files.filter((f) => f.path.endsWith(".wgsl")).map((f) => [f.path, f.text])) } };
}

/** What this machine's device takes, and whether a processor stands in for a GPU: as `jepac train` plans. */
export async function limitsHere() {
  const { nodeLimits } = await import("../../dist/runtime/backends/webgpu/device.js");
  return nodeLimits();
}

export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
