/**
 * What a step costs the host: one encoder, one submit, nothing made, no wait; results come back in order through the ring.
 */
import { expect, test } from "vitest";
import type { StepResult } from "../../../../runtime/abi.js";
import { createWebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { initialState } from "../../../../runtime/train/init.js";
import { batchFor, compilePlan, deviceFor, hyperFor } from "../../../compiler/targets/wgsl/programs.js";

const ready = compilePlan();

/** Counts calls of a device and its queue while they go through. */
function counting(target: Record<string, unknown>, names: readonly string[], counts: Map<string, number>): void {
  for (const name of names) {
    const own = target[name];
    if (typeof own !== "function") throw new Error(`there is no ${name}`);
    target[name] = (...given: unknown[]): unknown => {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return Reflect.apply(own, target, given);
    };
  }
}

test.each([true, false])("steps run ahead of their results: one encoder and one submit each, nothing else is made (immediates: %s)", async (immediates) => {
  const node = await deviceFor(ready.module);
  if (node === undefined) return;
  const engine = await createWebgpuEngine(ready.manifest, ready.module, {
    device: node.device, name: node.name, version: node.version, release: () => node.release(), initial: initialState(ready.manifest, 1), ...(immediates ? { language: node.language } : {}),
  });
  const counts = new Map<string, number>();
  const made = ["createBuffer", "createBindGroup", "createBindGroupLayout", "createPipelineLayout", "createShaderModule", "createComputePipeline", "createComputePipelineAsync", "createQuerySet"];
  try {
    const want = { watch: false, gradientNorm: false };
    const steps = Array.from({ length: ready.module.plan.held + 2 }, (_, i) => i + 1);
    const batches = steps.map((step) => batchFor(ready.manifest, step));
    const one = async (i: number, later: boolean): Promise<StepResult> => engine.step(batches[i] ?? batchFor(ready.manifest, 1), hyperFor(ready.manifest, i + 1), { ...want, later });
    const awaited: number[] = [];
    for (const i of steps.keys()) awaited.push((await one(i, false)).loss);
    await engine.importState(initialState(ready.manifest, 1));
    counting(Object.assign(node.device), [...made, "createCommandEncoder"], counts);
    counting(Object.assign(node.device.queue), ["submit"], counts);
    const order: number[] = [];
    const results = steps.map((_, i) => one(i, i + 1 < steps.length).then((r) => { order.push(i); return r.loss; }));
    expect(order).toEqual([]);
    expect(Object.fromEntries(counts)).toEqual({ createCommandEncoder: steps.length, submit: steps.length });
    expect(await Promise.all(results)).toEqual(awaited);
    expect(order).toEqual([...steps.keys()]);
    expect(new Set(awaited).size).toBe(steps.length);
    expect(counts.size).toBe(2);
  } finally {
    engine.dispose();
  }
}, 120_000);
