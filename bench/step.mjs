/**
 * Times training steps of the compiled I-JEPA, of the handwritten one, or of both in turns, on one engine. One process per
 * engine, because copies of tfjs share a registry; one process per form where memory is asked for.
 *
 *   node bench/step.mjs --engine tfjs-node|wasm --forms compiled,tape --rounds 12
 *
 * Prints one JSON line: per form the median wall time and least processor time of a step, peak tensor bytes and peak RSS.
 */
import { parseArgs } from "node:util";
import { createTfjsEngine, loadTf } from "../dist/runtime/node.js";
import { initialState } from "../dist/runtime/train/init.js";
import { makeTapeStep, smallConfig } from "./handwritten/tape.mjs";
import { compiledBench, exampleBatch, median, stepBatch } from "./program.mjs";

const { values } = parseArgs({ options: { engine: { type: "string", default: "tfjs-node" }, forms: { type: "string", default: "compiled,tape" }, rounds: { type: "string", default: "12" } } });
const rounds = Number(values.rounds);
const { tf, raw, name, version } = await loadTf(values.engine);
const example = exampleBatch(smallConfig);
const makers = { compiled: makeCompiled, tape: makeTape };
const forms = [];
for (const form of values.forms.split(",")) forms.push({ form, run: await makers[form](), wall: [], cpu: [], peak: 0 });

for (let round = -2; round < rounds; round++) {
  for (const f of forms) {
    const used = process.cpuUsage();
    const start = performance.now();
    await f.run();
    const wall = performance.now() - start;
    const spent = process.cpuUsage(used);
    if (round < 0) continue;
    f.wall.push(wall);
    f.cpu.push((spent.user + spent.system) / 1000);
  }
}
const result = Object.fromEntries(forms.map((f) => [f.form, { wall_ms: median(f.wall), cpu_ms: Math.min(...f.cpu), images_per_second: (1000 * smallConfig.batch) / median(f.wall) }]));
console.log(JSON.stringify({ engine: name, version, rounds, ...result, peak_rss_mb: process.resourceUsage().maxRSS / 1024, live_mb: tf.memory().numBytes / 2 ** 20 }));
process.exit(0);

async function makeCompiled() {
  const { manifest, module } = await compiledBench();
  const engine = await createTfjsEngine(manifest, module, { tf, raw, name, version, initial: initialState(manifest, 0) });
  const batch = stepBatch(example, smallConfig);
  let step = 0;
  return async () => {
    step++;
    const { loss } = await engine.step(batch, { step, learningRate: 1e-3, weightDecay: 0.05, momentum: { teacher: 0.996 } }, { watch: false, gradientNorm: false });
    if (!Number.isFinite(loss)) throw new Error("the compiled step diverged");
  };
}

async function makeTape() {
  const c = smallConfig;
  const { step } = makeTapeStep(tf, c);
  const images = tf.tensor4d(example.images, [c.batch, c.image, c.image, 3]);
  const context = tf.tensor2d(example.context, [c.batch, c.context], "int32");
  const targets = tf.tensor2d(example.targets, [c.targets * c.batch, c.target], "int32");
  return async () => {
    if (!Number.isFinite(step(images, context, targets))) throw new Error("the handwritten step diverged");
  };
}
