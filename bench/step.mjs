/**
 * Times training steps of the compiled I-JEPA, of the handwritten one, or of both in turns, on one engine. One process per
 * engine, because copies of tfjs share a registry; one process per form where memory is asked for.
 *
 *   node bench/step.mjs --engine tfjs-node|wasm --forms compiled,tape --rounds 12
 *
 * Prints one JSON line: per form the median wall time and least processor time of a step, peak tensor bytes and peak RSS.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { compile } from "../dist/compiler/index.js";
import { createTfjsEngine, loadTf } from "../dist/runtime/node.js";
import { initialState } from "../dist/runtime/train/init.js";
import { makeTapeStep, smallConfig } from "./handwritten/tape.mjs";

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
  const file = new URL("ijepa-bench.jepa", import.meta.url).pathname;
  const read = (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const result = compile({ file, text: readFileSync(file, "utf8"), read }, { program: "bench" });
  if (!result.ok) throw new Error(result.diagnostics.map((d) => d.message).join("\n"));
  const folder = mkdtempSync(join(tmpdir(), "jepac-bench-"));
  const path = join(folder, "model.mjs");
  writeFileSync(path, result.files.find((f) => f.path === "model.mjs").text);
  const module = await import(pathToFileURL(path).href);
  rmSync(folder, { recursive: true });
  const engine = await createTfjsEngine(result.manifest, module, { tf, raw, name, version, initial: initialState(result.manifest, 0) });
  const c = smallConfig;
  const batch = {
    size: c.batch, images: { image: example.images }, draws: {},
    masks: { context: { count: 1, length: c.context, indices: example.context }, targets: { count: c.targets, length: c.target, indices: example.targets } },
  };
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

function exampleBatch(c) {
  let state = 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const tokens = (c.image / c.patch) ** 2;
  const rows = (n, kept) => Int32Array.from(Array.from({ length: n }, () => {
    const order = Array.from({ length: tokens }, (_, i) => [random(), i]).sort((a, b) => a[0] - b[0]);
    return order.slice(0, kept).map(([, i]) => i).sort((a, b) => a - b);
  }).flat());
  const images = Float32Array.from({ length: c.batch * c.image * c.image * 3 }, () => random() * 2 - 1);
  return { images, context: rows(c.batch, c.context), targets: rows(c.targets * c.batch, c.target) };
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
