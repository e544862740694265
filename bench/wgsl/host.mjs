/**
 * What a dispatch costs the host, without any device's part: the ViT-B/16 step (all its dispatches, narrow) encoded and
 * submitted on Dawn's null backend, which validates and does nothing. Prints a JSON line: microseconds for each dispatch
 * from the call of `engine.step` to its return, median and least of many steps, by the wall and by the time that the main
 * thread had a processor; the same with `skip_validation`; and where the time goes, by calls in a loop of their own.
 */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createWebgpuEngine } from "../../dist/runtime/backends/webgpu/engine.js";
import { sampleMasks } from "../../dist/runtime/masks/sample.js";
import { initialState } from "../../dist/runtime/train/init.js";
import { compileForBench, median } from "./program.mjs";

const { values } = parseArgs({ options: { steps: { type: "string", default: "300" } } });
const steps = Number(values.steps);
const { manifest, module, plan } = await compileForBench("host.jepa", { program: "host" });
const dispatches = plan.step.dispatches.length + plan.update.dispatches.length;
const { create } = await import("webgpu");
/** Dawn's GPU objects: one that is collected takes its devices along. */
const kept = [];
const thread = `/proc/self/task/${process.pid}/schedstat`;
const processor = existsSync(thread) ? () => Number(readFileSync(thread, "utf8").split(" ")[0]) / 1e6 : undefined;

const usual = await measure([]);
const trusted = await measure(["enable-dawn-features=skip_validation"]);
console.log(JSON.stringify({ dispatches, ...usual, skip_validation: trusted, calls: await callTimes() }));
process.exit(0);

async function open(toggles) {
  const gpu = create(["backend=null", ...toggles]);
  kept.push(gpu);
  const adapter = await gpu.requestAdapter();
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  return { gpu, device: await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize, maxBufferSize } }) };
}

async function measure(toggles) {
  const { gpu, device } = await open(toggles);
  const engine = await createWebgpuEngine(manifest, module, { device, name: "null backend", version: "", language: gpu.wgslLanguageFeatures, initial: initialState(manifest, 1) });
  const images = Object.fromEntries(manifest.views.map((v) => [v.name, new Float32Array(v.height * v.width * 3)]));
  const [walls, times] = [[], []];
  for (let step = 1; step <= steps; step++) {
    const batch = { size: 1, images, masks: Object.fromEntries(sampleMasks(manifest.masks, { seed: 1, step, batch: 1 })), draws: {} };
    const hyper = { step, learningRate: 1e-3, weightDecay: 0.05, momentum: { teacher: 0.99 } };
    const [begun, used] = [performance.now(), processor?.()];
    const result = engine.step(batch, hyper, { watch: false, gradientNorm: false });
    walls.push(performance.now() - begun);
    if (used !== undefined) times.push(processor() - used);
    await result;
  }
  engine.dispose();
  const each = (ms) => (1000 * ms) / dispatches;
  const warm = (list) => list.slice(Math.min(20, steps >> 1));
  return { median_us: each(median(warm(walls))), least_us: each(Math.min(...warm(walls))), ...(times.length === 0 ? {} : { processor_median_us: each(median(warm(times))) }) };
}

/** Least microseconds of each call that a dispatch takes, six storage bindings. */
async function callTimes() {
  const { device } = await open([]);
  const names = [0, 1, 2, 3, 4, 5];
  const code = `@group(0) @binding(0) var<uniform> p: vec4<u32>;\n${names.map((i) => `@group(0) @binding(${i + 1}) var<storage, read_write> b${i}: array<f32>;`).join("\n")}\n@compute @workgroup_size(64) fn main() { ${names.map((i) => `b${i}[0] = f32(p.x);`).join(" ")} }`;
  const shader = device.createShaderModule({ code });
  const layout = device.createBindGroupLayout({ entries: [{ binding: 0, visibility: 4, buffer: { type: "uniform" } }, ...names.map((i) => ({ binding: i + 1, visibility: 4, buffer: { type: "storage" } }))] });
  const pipelines = [0, 1].map(() => device.createComputePipeline({ layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }), compute: { module: shader, entryPoint: "main" } }));
  const [uniform, storage] = [device.createBuffer({ size: 65536, usage: 64 }), device.createBuffer({ size: 1 << 20, usage: 128 })];
  const n = 400;
  const groups = Array.from({ length: n }, (_, g) => device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: uniform, offset: (g % 200) * 256, size: 256 } }, ...names.map((i) => ({ binding: i + 1, resource: { buffer: storage, offset: ((g * 6 + i) % 4096) * 256, size: 256 } }))] }));
  const least = (work) => {
    let best = Infinity;
    for (let round = 0; round < 200; round++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipelines[0]);
      pass.setBindGroup(0, groups[0]);
      const begun = performance.now();
      for (let i = 0; i < n; i++) work(pass, i);
      best = Math.min(best, performance.now() - begun);
      pass.end();
      device.queue.submit([encoder.finish()]);
    }
    return (1000 * best) / n;
  };
  return {
    setPipeline: least((pass, i) => pass.setPipeline(pipelines[i & 1])),
    setBindGroup: least((pass, i) => pass.setBindGroup(0, groups[i])),
    dispatchWorkgroups: least((pass) => pass.dispatchWorkgroups(4)),
    all_three: least((pass, i) => { pass.setPipeline(pipelines[i & 1]); pass.setBindGroup(0, groups[i]); pass.dispatchWorkgroups(4); }),
  };
}
