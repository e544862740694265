// What a step costs the host: microseconds for each dispatch, submits and objects made. `node bench/host.mjs`, after `npm run build`.
//
// The dispatches are those of the ViT-B/16 step with a small width and one image, so that the device is not what is measured.
// The time is that of the call of `engine.step` until it gives its promise back: inputs, sizes for new mask lengths, encoding, submit;
// on Linux the time that the main thread had a processor, so that other work on the machine does not count (kernels account for that in ticks: look at the mean of many steps).
import { existsSync, readFileSync } from "node:fs";
import { compile } from "../dist/compiler/index.js";
import { stream } from "../dist/runtime/base/random.js";
import { openNodeDevice } from "../dist/runtime/backends/webgpu/device.js";
import { createWebgpuEngine } from "../dist/runtime/backends/webgpu/engine.js";
import { sampleMasks } from "../dist/runtime/masks/sample.js";
import { initialState } from "../dist/runtime/train/init.js";

const STEPS = Number(process.argv[2] ?? 16);
const read = (path) => { try { return readFileSync(path, "utf8"); } catch { return undefined; } };
const compiled = compile({ file: "bench/vit-b.jepa", text: read("bench/vit-b.jepa").replace("batch          128", "batch          1").replace("width: 384", "width: 48"), read }, { target: "wgsl", set: { width: 48 } });
if (!compiled.ok) throw new Error(JSON.stringify(compiled.diagnostics));
const { manifest, plan } = compiled;
const kernels = Object.fromEntries(compiled.files.filter((f) => f.path.endsWith(".wgsl")).map((f) => [f.path, f.text]));
const node = await openNodeDevice({ plan });
const engine = await createWebgpuEngine(manifest, { plan, kernels }, { ...node, initial: initialState(manifest, 1) });

const counts = {};
const count = (target, name) => { const own = target[name].bind(target); target[name] = (...args) => { counts[name] = (counts[name] ?? 0) + 1; return own(...args); }; };
const dispatches = plan.step.dispatches.length + plan.update.dispatches.length;
const next = stream(1, "pixels", 0);
const images = Object.fromEntries(manifest.views.map((v) => [v.name, Float32Array.from({ length: v.height * v.width * 3 }, () => next.uniform())]));
const batch = (step) => ({ size: 1, images, masks: Object.fromEntries(sampleMasks(manifest.masks, { seed: 1, step, batch: 1 })), draws: {} });
const hyper = (step) => ({ step, learningRate: 1e-3, weightDecay: 0.05, momentum: { teacher: 0.99 } });
const task = `/proc/self/task/${process.pid}/schedstat`;
const clock = existsSync(task) ? () => Number(readFileSync(task, "utf8").split(" ")[0]) / 1e6 : () => performance.now();
const times = [];
for (let step = 1; step <= STEPS; step++) {
  if (step === 5) for (const name of ["createBuffer", "createBindGroup", "createCommandEncoder", "createComputePipelineAsync", "createShaderModule"]) count(node.device, name);
  if (step === 5) count(node.device.queue, "submit");
  const given = batch(step);
  const start = clock();
  const result = engine.step(given, hyper(step), { watch: false, gradientNorm: false });
  times.push(clock() - start);
  await result;
}
const sorted = times.slice(4).sort((a, b) => a - b);
const each = (ms) => ((ms * 1000) / dispatches).toFixed(2);
const mean = sorted.reduce((n, t) => n + t, 0) / sorted.length;
console.log(`${node.name}: ${dispatches} dispatches a step; host microseconds for each: mean ${each(mean)}, median ${each(sorted[Math.floor(sorted.length / 2)])}`);
console.log(`${STEPS - 4} steps made: ${JSON.stringify(counts)}`);
engine.dispose();
process.exit(0);
