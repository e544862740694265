/**
 * One race: the step of `race.jepa` compiled by jepac, in jax-js and in tfjs on WebGPU, in turns in one process on one
 * driver, with the same weights, pictures and optimizer. All losses must agree, or the race is not valid.
 *
 *   node bench/wgsl/race.mjs --forms ours,jax,tfjs --rounds 5 --set width=96 --set depth=3
 *
 * Prints a JSON line: median milliseconds of a step (its loss in hand) by form, by the wall and of processor time (on a
 * software driver that is all of the work), losses of each, and our step running ahead.
 */
import { parseArgs } from "node:util";
import { createWebgpuEngine } from "../../dist/runtime/backends/webgpu/engine.js";
import { openNodeDevice } from "../../dist/runtime/backends/webgpu/device.js";
import { initialState } from "../../dist/runtime/train/init.js";
import { compileForBench, limitsHere, median } from "./program.mjs";
import { makeJaxStep } from "./race-jax.mjs";
import { makeTfjsStep } from "./race-tfjs.mjs";
import { install, loadJax, loadTfjs, provideNavigator, versions } from "./peers.mjs";

const { values } = parseArgs({ options: { forms: { type: "string", default: "ours,jax,tfjs" }, rounds: { type: "string", default: "5" }, set: { type: "string", multiple: true, default: [] } } });
const set = Object.fromEntries(values.set.map((s) => [s.split("=")[0], Number(s.split("=")[1])]));
const { manifest, module } = await compileForBench("race.jepa", { program: "race", set, device: await limitsHere() });
const params = initialState(manifest, 0);
const view = manifest.views[0];
const config = { batch: manifest.train.batch, image: view.height, patch: manifest.encoders[0].grid.patch, width: manifest.encoders[0].width, heads: set.heads ?? 3, depth: manifest.parameters.filter((p) => /^student\.blocks\.\d+\.norm1\.weight$/.test(p.name)).length };
const spec = { config, params, lr: 1e-3, shapes: new Map(manifest.parameters.map((p) => [p.name, p.shape])), roles: new Map(manifest.parameters.map((p) => [p.name, p.role])) };
let state = 1;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const pictures = Float32Array.from({ length: config.batch * config.image * config.image * 3 }, () => 2 * random() - 1);
const MOMENTUM = 0.99;

const makers = {
  async ours() {
    const node = await openNodeDevice(module);
    const engine = await createWebgpuEngine(manifest, module, { ...node, release: () => node.release(), initial: params });
    const batch = { size: config.batch, images: { a: pictures, b: pictures }, masks: {}, draws: {} };
    let step = 0;
    const hyper = () => ({ step: ++step, learningRate: 1e-3, weightDecay: 0, momentum: { teacher: MOMENTUM } });
    const once = async () => (await engine.step(batch, hyper(), { watch: false, gradientNorm: false })).loss;
    return { step: once, ahead: (later) => engine.step(batch, hyper(), { watch: false, gradientNorm: false, later }), depth: engine.ahead ?? 1 };
  },
  async tfjs() {
    const made = makeTfjsStep(await loadTfjs(), spec);
    const images = made.images(pictures);
    return { step: () => made.step(images, MOMENTUM) };
  },
  async jax() {
    const made = makeJaxStep(await loadJax(), spec);
    const images = made.images(pictures);
    return { step: () => made.step(images, MOMENTUM) };
  },
};

const missing = values.forms === "ours" ? undefined : install();
if (missing !== undefined) console.error(missing);
await provideNavigator();
const forms = [];
const failed = {};
for (const form of values.forms.split(",")) {
  try {
    const started = performance.now();
    const made = await makers[form]();
    const losses = [await made.step()];
    forms.push({ form, made, losses, times: [], processor: [], first_ms: performance.now() - started });
    console.error(`${form}: loss ${losses[0]} after ${(performance.now() - started).toFixed(0)} ms`);
  } catch (error) {
    failed[form] = `${error?.message ?? error}`.split("\n")[0];
    console.error(`NOT MEASURED: ${form}: ${error?.stack ?? error}`);
  }
}
for (let round = -1; round < Number(values.rounds); round++) {
  for (const f of forms) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    f.losses.push(await f.made.step());
    const { user, system } = process.cpuUsage(used);
    if (round < 0) continue;
    f.times.push(performance.now() - start);
    f.processor.push((user + system) / 1000);
  }
}
const ours = forms.find((f) => f.form === "ours");
const ahead = ours === undefined ? undefined : await runAhead(ours.made);
const apart = Math.max(0, ...forms.flatMap((f) => f.losses.map((l, i) => Math.abs(l / forms[0].losses[i] - 1))));
console.log(JSON.stringify({
  config, versions, failed, worst_loss_difference: apart, valid: apart < 1e-3 && forms.every((f) => f.losses.at(-1) < f.losses[0]), ahead_ms: ahead,
  forms: Object.fromEntries(forms.map((f) => [f.form, { ms: median(f.times), processor_ms: median(f.processor), first_ms: f.first_ms, losses: f.losses }])),
}));
process.exit(0);

/** Milliseconds a step as the training loop runs it: no step waits for the one before. */
async function runAhead({ ahead, depth }) {
  const n = Math.max(depth, Number(values.rounds));
  const start = performance.now();
  const waiting = [];
  for (let i = 0; i < n; i++) {
    waiting.push(ahead(i < n - 1));
    if (waiting.length >= depth) await waiting.shift();
  }
  await Promise.all(waiting);
  return (performance.now() - start) / n;
}
