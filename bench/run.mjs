/**
 * `npm run bench`: every speed and memory claim of the project as ratios measured in one run, written to
 * `bench/results.json` and `bench/results.md`. Each row runs in a process of its own; a row whose engine or package is
 * missing says so and is left out, never made up. Quiet machines give quiet numbers: nothing else should run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const rows = [];
const results = { date: new Date().toISOString().slice(0, 10), cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };

const node = (args, env = {}) => run(process.execPath, args, env);
const compiler = node([here("compile.mjs")]);
results.compile = compiler;
row("compile `specs/ijepa.jepa`, warm", compiler && `${compiler.compile_reference.wall_ms.toFixed(0)} ms`, "under 150 ms");
row("check `specs/ijepa.jepa`, warm", compiler && `${compiler.check_reference.wall_ms.toFixed(1)} ms`, "under 10 ms");
row("compile time, 48 blocks / 12 blocks", compiler && compiler.ratio_48_to_12.toFixed(2), "at most 1.2");
row("emitted lines, 48 blocks / 12 blocks", compiler && `${compiler.lines_48} / ${compiler.lines_12}`, "equal");

for (const [engine, goal] of [["tfjs-node", 0.75], ["wasm", 0.85]]) {
  const rounds = engine === "wasm" ? "5" : "15";
  const both = node([here("step.mjs"), "--engine", engine, "--rounds", rounds]);
  const compiled = node([here("step.mjs"), "--engine", engine, "--rounds", "4", "--forms", "compiled"]);
  const tape = node([here("step.mjs"), "--engine", engine, "--rounds", "4", "--forms", "tape"]);
  results[engine] = { both, compiled, tape };
  row(`step, compiled / handwritten with the tape, ${engine}`, both && (both.compiled.wall_ms / both.tape.wall_ms).toFixed(2), `at most ${goal}`);
  row(`peak memory, compiled / handwritten, ${engine}`, compiled && tape && (compiled.peak_rss_mb / tape.peak_rss_mb).toFixed(2), "at most 1");
  const shared = node([here("replicas.mjs"), "--engine", engine, "--turns", engine === "wasm" ? "2" : "3", "--steps", engine === "wasm" ? "4" : "8"]);
  results[engine].replicas = shared;
  row(`images/s, two replicas / one process, ${engine}`, shared && `${(shared.shared.images_per_second / shared.one.images_per_second).toFixed(2)} (${shared.shared.images_per_second.toFixed(1)} / ${shared.one.images_per_second.toFixed(1)})`, "");
}

const python = here("../.engines/torch/bin/python");
if (existsSync(python)) {
  const settings = [["1 thread", { OMP_NUM_THREADS: "1" }, ["--threads", "1"]], ["all cores, passive wait", { OMP_WAIT_POLICY: "passive" }, []]];
  const runs = settings.map(([name, env, args]) => ({ name, result: run(python, [here("pytorch/ijepa_step.py"), "--steps", "15", ...args], env) })).filter((r) => r.result);
  const best = runs.sort((a, b) => b.result.images_per_second - a.result.images_per_second)[0];
  results.torch = runs;
  const ours = results["tfjs-node"].both?.compiled.images_per_second;
  const shared = results["tfjs-node"].replicas?.shared.images_per_second;
  row("images/s, two replicas on tfjs-node / PyTorch eager at its best setting", best && shared && (shared / best.result.images_per_second).toFixed(2), "");
  row("images/s, compiled on tfjs-node / PyTorch eager at its best setting", best && ours && `${(ours / best.result.images_per_second).toFixed(2)} (${ours.toFixed(0)} / ${best.result.images_per_second.toFixed(0)}, ${best.name})`, "at least 0.7, aim 1.0");
} else console.warn("NOT MEASURED: PyTorch is not here; `node scripts/setup-torch.mjs` installs it.");

const table = ["| what | measured | goal |", "|---|---|---|", ...rows.map((r) => `| ${r.what} | ${r.measured} | ${r.goal} |`)].join("\n");
const head = `# Benchmarks\n\nWritten by \`npm run bench\` on ${results.date}: ${results.cpu}, ${results.cores} cores, Node ${results.node}.\nThe model is \`bench/ijepa-bench.jepa\` (encoder 192 wide, 6 deep, 3 heads; predictor 96 wide, 3 deep; batch 64; context 18,\n4 x 10 targets). Ratios are of medians measured in turns in one process; memory is peak RSS of a process each.\n`;
writeFileSync(here("results.json"), `${JSON.stringify(results, undefined, 1)}\n`);
writeFileSync(here("results.md"), `${head}\n${table}\n`);
console.log(table);

function row(what, measured, goal) {
  rows.push({ what, measured: measured || "not measured", goal });
}

function run(program, args, env) {
  console.error(`… ${args.map((a) => a.split("/").at(-1)).join(" ")}`);
  const done = spawnSync(program, args, { encoding: "utf8", env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2", ...env }, maxBuffer: 1 << 26 });
  const line = done.stdout?.trim().split("\n").at(-1) ?? "";
  if (done.status === 0 && line.startsWith("{")) return JSON.parse(line);
  console.warn(`NOT MEASURED: ${args.join(" ")}\n${done.stderr?.trim().split("\n").slice(-3).join("\n")}`);
  return undefined;
}
