/**
 * One program on the WGSL target, by the profiler: step time, the device's part, the host's time for each dispatch, submits
 * and allocations of a step (counted, not assumed), memory against its lower bound, pipelines cold, rates against ceilings.
 *
 *   node bench/wgsl/step.mjs --file vit-b.jepa --program vit_b --steps 8 [--precision f16] [--tune 60] [--set width=96]
 *
 * Prints a JSON line. Inputs are noise with masks as the sampler draws them. `--tune` takes the tiles
 * that `jepac tune` finds in so many seconds.
 */
import { parseArgs } from "node:util";
import { measureCeilings } from "../../dist/runtime/backends/webgpu/ceilings.js";
import { openNodeDevice } from "../../dist/runtime/backends/webgpu/device.js";
import { createWebgpuEngine } from "../../dist/runtime/backends/webgpu/engine.js";
import { createProfiler } from "../../dist/runtime/backends/webgpu/profiler.js";
import { profileOf, profileText } from "../../dist/runtime/backends/webgpu/profile-report.js";
import { sampleMasks } from "../../dist/runtime/masks/sample.js";
import { initialState } from "../../dist/runtime/train/init.js";
import { tunePlan } from "../../dist/compiler/cli/tune.js";
import { compileForBench, limitsHere } from "./program.mjs";

const { values } = parseArgs({ options: { file: { type: "string" }, program: { type: "string" }, steps: { type: "string", default: "8" }, set: { type: "string", multiple: true, default: [] }, precision: { type: "string", default: "f32" }, tune: { type: "string" }, text: { type: "boolean", default: false } } });
const set = Object.fromEntries(values.set.map((s) => [s.split("=")[0], Number(s.split("=")[1])]));
const limits = await limitsHere();
const compiled = (tiles) => compileForBench(values.file, { program: values.program, set, precision: values.precision, device: { ...limits, tiles } });
const first = await compiled([]);
const tiles = values.tune === undefined ? [] : await tunePlan(first.plan, Number(values.tune), { err: process.stderr, env: process.env, clock: () => performance.now() });
const { manifest, module, plan } = tiles.length === 0 ? first : await compiled(tiles);
const steps = Number(values.steps);
const node = await openNodeDevice(module, { timestamps: true });
const profiler = createProfiler({ device: node.device, plan, clock: () => performance.now(), skip: 2, steps });
const initial = initialState(manifest, 0);
const before = performance.now();
const engine = await createWebgpuEngine(manifest, module, { ...node, release: () => node.release(), profiler, initial });
const ready = performance.now() - before;

let state = 1;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const size = manifest.train.batch;
const images = Object.fromEntries(manifest.views.map((v) => [v.name, Float32Array.from({ length: size * v.height * v.width * 3 }, () => 2 * random() - 1)]));
const batchAt = (step) => ({ size, images, masks: Object.fromEntries(sampleMasks(manifest.masks, { seed: 3, step, batch: size })), draws: {} });

const made = { submits: 0, allocations: 0 };
count(node.device.queue, "submit", "submits");
for (const name of ["createBuffer", "createBindGroup", "createComputePipeline", "createComputePipelineAsync", "createTexture", "createBindGroupLayout", "createPipelineLayout", "createShaderModule"]) count(node.device, name, "allocations");
const waiting = [];
let counted;
const losses = [];
for (let step = 1; step <= 2 + 2 * steps; step++) {
  const hyper = { step, learningRate: 1e-3, weightDecay: 0.05, momentum: Object.fromEntries(manifest.ema.map((e) => [e.target, 0.996])) };
  const batch = batchAt(step);
  const from = { ...made };
  // A step without `later` brings home what the ring still holds: between the kinds of looks, and at the end.
  const flush = step === 2 || step === 2 + steps || step === 2 + 2 * steps;
  waiting.push(engine.step(batch, hyper, { watch: false, gradientNorm: false, later: !flush }));
  if (step === 3) counted = { submits: made.submits - from.submits, allocations: made.allocations - from.allocations };
  if (flush) losses.push(...(await Promise.all(waiting.splice(0))).map((r) => r.loss));
  else if (waiting.length >= (engine.ahead ?? 1)) losses.push((await waiting.shift()).loss);
}
const profile = profileOf(node.name, profiler.samples(), await measureCeilings(node.device));
if (values.text) console.error(profileText(profile));
const optimizer = profile.kernels.filter((k) => /^(adamw|sgd|lars)/.test(k.name));
const bandwidth = optimizer.reduce((n, k) => n + k.bytes, 0) / (optimizer.reduce((n, k) => n + k.milliseconds, 0) / 1000);
const bytes = (kinds) => plan.buffers.filter((b) => kinds.includes(b.kind)).reduce((n, b) => n + b.bytes, 0);
console.log(JSON.stringify({
  device: node.name, program: manifest.program, batch: size, parameters: manifest.counts.parameters, step_ms: profile.wall, gpu_ms: profile.gpu, busy: profile.gpu / profile.wall,
  images_per_second: (1000 * size) / profile.wall, dispatches: profile.dispatches, ...counted, host_us_per_dispatch: leastHost(),
  optimizer_bytes_per_second: bandwidth, optimizer_of_copy: bandwidth / profile.ceilings.copy, peak_bytes: plan.memory.total,
  memory_over_bound: plan.memory.total / (bytes(["parameter", "half", "slot"]) + plan.memory.lowerBound), pipelines: plan.kernels.length, pipelines_ready_ms: ready,
  passed_over: engine.notes, ceilings: profile.ceilings, losses, kernels: profile.kernels,
}));
process.exit(0);

function count(object, name, what) {
  const own = object[name].bind(object);
  object[name] = (...args) => {
    made[what]++;
    return own(...args);
  };
}

/** Microseconds of encoding and submitting for each dispatch in the step that was disturbed least: a software driver computes on the same cores. */
function leastHost() {
  return Math.min(...profiler.samples().filter((s) => s.kind === "whole").map((s) => (1000 * (s.phases.submit - s.phases.upload)) / s.dispatchCount));
}
