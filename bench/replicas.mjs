/**
 * Times training steps in one process and with replicas, in turns: a process of its own for each turn, because the native engine
 * takes its number of threads when it is loaded.
 *
 *   node bench/replicas.mjs --engine tfjs-node|wasm --replicas 2 --turns 3 --steps 8
 *
 * Prints one JSON line: by number of replicas the median wall time of a step over all turns, and images a second.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createEngine } from "../dist/runtime/node.js";
import { smallConfig } from "./handwritten/tape.mjs";
import { compiledBench, exampleBatch, median, stepBatch } from "./program.mjs";

const { values } = parseArgs({ options: { engine: { type: "string", default: "tfjs-node" }, replicas: { type: "string", default: "2" }, turns: { type: "string", default: "3" }, steps: { type: "string", default: "8" }, one: { type: "boolean", default: false } } });
const replicas = Number(values.replicas);
if (values.one) console.log(JSON.stringify(await steps(replicas)));
else {
  const times = { 1: [], [replicas]: [] };
  for (let turn = 0; turn < Number(values.turns); turn++) {
    for (const n of [1, replicas]) times[n].push(...inProcess(n));
  }
  const row = (n) => ({ wall_ms: median(times[n]), images_per_second: (1000 * smallConfig.batch) / median(times[n]) });
  console.log(JSON.stringify({ engine: values.engine, replicas, turns: Number(values.turns), one: row(1), shared: row(replicas) }));
}
process.exit(0);

function inProcess(n) {
  const done = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--one", "--engine", values.engine, "--replicas", String(n), "--steps", values.steps], { encoding: "utf8", maxBuffer: 1 << 26 });
  if (done.status !== 0) throw new Error(done.stderr);
  return JSON.parse(done.stdout.trim().split("\n").at(-1));
}

async function steps(n) {
  const { manifest, module, folder } = await compiledBench();
  const { engine, replicas: had = 1 } = await createEngine(manifest, module, values.engine, 0, { run: { folder, batch: smallConfig.batch, steps: 1000, replicas: n } });
  if (had !== n) throw new Error(`${had} replicas instead of ${n}`);
  const batch = stepBatch(exampleBatch(smallConfig), smallConfig);
  const wall = [];
  for (let step = 1; step <= Number(values.steps) + 2; step++) {
    const start = performance.now();
    const { loss } = await engine.step(batch, { step, learningRate: 1e-3, weightDecay: 0.05, momentum: { teacher: 0.996 } }, { watch: false, gradientNorm: false });
    if (!Number.isFinite(loss)) throw new Error("the step diverged");
    if (step > 2) wall.push(performance.now() - start);
  }
  engine.dispose();
  return wall;
}
