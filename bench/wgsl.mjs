/**
 * `npm run bench:wgsl`: the speed of the WGSL target on this machine's WebGPU device, as ratios measured in one run, written
 * to `bench/wgsl-results.md` and `bench/wgsl-results.json`. Each row runs in a process of its own. On a driver that computes
 * on a processor, sizes are small and only ratios and the host's figures mean something. What cannot be had here says "not
 * measured" and why; nothing is made up. `--quick` takes the smallest sizes, `--skip race` leaves rows out.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openNodeDevice } from "../dist/runtime/backends/webgpu/device.js";
import { compileForBench } from "./wgsl/program.mjs";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, skip: { type: "string", multiple: true, default: [] }, limit: { type: "string", default: "900" } } });
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const node = await openNodeDevice({ plan: (await compileForBench("race.jepa", { program: "race" })).plan });
const device = node.name;
node.release();
const software = /llvmpipe|swiftshader|lavapipe/i.test(device);
/** f32 peaks without matrix units, as their makers state them. */
const stated = [[/H100|H200/, 66.9e12], [/A100/, 19.5e12]].find(([name]) => name.test(device))?.[1];
const rows = [];
const results = { date: new Date().toISOString().slice(0, 10), device, software, cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, load: readLoad() };

const side = values.quick ? 256 : software ? 512 : 4096;
const gemm = measure("gemm", "gemm.mjs", ["--side", String(side)]);
const peak = stated ?? gemm?.ceilings?.arithmetic;
row(`f32 GEMM ${side}^3 / f32 peak (${stated === undefined ? "measured multiply-add rate" : "stated"})`, gemm && `${(gemm.flops / peak).toFixed(2)} (${si(gemm.flops)}FLOP/s of ${si(peak)}FLOP/s)`, "0.50, stretch 0.72");
row("f16 subgroup-matrix GEMM / PyTorch bf16 GEMM", undefined, "0.20, stretch 0.45", "needs a device with subgroup matrices, and PyTorch on the same one");

const program = software ? "vit_small" : "vit_b";
const step = measure("step", "step.mjs", ["--file", fileOf(program), "--program", program, "--steps", software ? "3" : "10"]);
const roof = software ? undefined : peak && peak / 84.5e9;
row(`I-JEPA step, ${program}, f32: images/s / roofline`, step && roof && `${(step.images_per_second / roof).toFixed(2)} (${step.images_per_second.toFixed(0)} of ${roof.toFixed(0)})`, "0.40, stretch 0.60", software ? `the ViT-B/16 step needs a GPU; ${step === undefined ? "" : `${program} here: ${step.step_ms.toFixed(0)} ms a step, ${step.images_per_second.toFixed(1)} images/s`}` : undefined);
row("the same in f16 / PyTorch eager bf16", undefined, "0.30, stretch 0.70", "needs a GPU with both");

const small = values.quick ? ["width=24", "depth=1", "images=2"] : software ? ["width=48", "depth=2", "images=2"] : ["image_size=224", "patch=16", "width=768", "depth=12", "heads=12", "images=32"];
for (const peer of ["tfjs", "jax"]) {
  const race = measure(`race_${peer}`, "race.mjs", ["--forms", `ours,${peer}`, "--rounds", software ? "5" : "20", ...small.flatMap((s) => ["--set", s])]);
  const [ours, other] = [race?.forms.ours, race?.forms[peer]];
  const name = peer === "tfjs" ? "@tensorflow/tfjs-backend-webgpu" : "@jax-js/jax";
  const fits = race?.valid === true && ours !== undefined && other !== undefined;
  const why = race?.failed?.[peer] ?? (race !== undefined && !fits ? `the losses differ by ${race.worst_loss_difference}` : undefined);
  row(`step time, ${name} / ours (ViT ${small.join(", ")}; each step's loss read)`, fits && `${(other.ms / ours.ms).toFixed(2)} (${other.ms.toFixed(1)} / ${ours.ms.toFixed(1)} ms; losses agree to ${race.worst_loss_difference.toExponential(0)})`, "5, stretch 20", why ?? results[`race_${peer}_why`]);
  if (fits) row(`the same, with our steps running ahead as the training loop runs them`, `${(other.ms / race.ahead_ms).toFixed(2)} (${race.ahead_ms.toFixed(1)} ms)`, "");
}
row(`device busy / wall, batch ${step?.batch ?? ""}`, step && step.busy.toFixed(3), "0.95, stretch 0.98");
row("host time for each dispatch", step && `${step.host_us_per_dispatch.toFixed(2)} us`, "2 us, stretch 1.5 us");
row("submits, allocations of a step", step && `${step.submits}, ${step.allocations}`, "1, 0");
const vit = await planned("vit_b");
const count = vit && vit.step.dispatches.length + vit.update.dispatches.length;
results.vit_b_plan = vit && { dispatches: count, kernels: vit.kernels.length, memory: vit.memory };
row("dispatches of a ViT-B/16 step (counted in the plan)", vit && String(count), "600, stretch 450", results.vit_b_why);
row("optimizer kernel's bandwidth / copy bandwidth", step && step.optimizer_of_copy.toFixed(2), "0.80, stretch 0.92", undefined, software ? "caches of a processor hold all of it: says little" : "");
const bytes = (kinds) => vit.buffers.filter((b) => kinds.includes(b.kind)).reduce((n, b) => n + b.bytes, 0);
row("peak memory / (weights, optimizer state, lower bound of live values), ViT-B/16 at batch 128", vit && (vit.memory.total / (bytes(["parameter", "half", "slot"]) + vit.memory.lowerBound)).toFixed(3), "1.25, stretch 1.10", results.vit_b_why, vit && `${si(vit.memory.total)}B`);
row("all pipelines ready", step && `${(step.pipelines_ready_ms / 1000).toFixed(2)} s (${step.pipelines} kernels)`, "5 s cold on NVIDIA, stretch 1.5 s", undefined, "with the buffers; a driver's own cache may be warm");

results.load_after = readLoad();
const table = ["| what | measured | goal |", "|---|---|---|", ...rows.map((r) => `| ${r.what} | ${r.measured}${r.note ? `; ${r.note}` : ""} | ${r.goal} |`)].join("\n");
const head = `# Benchmarks of the WGSL target\n\nWritten by \`npm run bench:wgsl\` on ${results.date}: ${device}; ${results.cpu}, ${results.cores} cores, Node ${process.version}; load ${results.load} before, ${results.load_after} after.\n${software ? "The driver computes on the processor: rates mean little, ratios and the host's figures count.\n" : ""}Ratios are of medians measured in turns in one process.\n`;
writeFileSync(here("wgsl-results.json"), `${JSON.stringify(results, undefined, 1)}\n`);
writeFileSync(here("wgsl-results.md"), `${head}\n${table}\n`);
console.log(table);
process.exit(0);

function fileOf(program) {
  return program === "vit_b" ? "../vit-b.jepa" : "vit.jepa";
}

/** The plan of a program, which needs no device. */
async function planned(program) {
  try {
    return (await compileForBench(fileOf(program), { program })).plan;
  } catch (error) {
    results[`${program}_why`] = error.message.split("\n")[0];
    return undefined;
  }
}

function row(what, measured, goal, why, note) {
  rows.push({ what, measured: measured || `not measured${why ? `: ${why}` : ""}`, goal, note: measured ? note : "" });
}

/** Runs a script; its JSON line, or undefined with the reason said aloud and kept. */
function measure(name, script, args) {
  if (values.skip.some((s) => name.startsWith(s))) {
    results[`${name}_why`] = "left out by --skip";
    return undefined;
  }
  console.error(`… ${script} ${args.join(" ")}`);
  const done = spawnSync(process.execPath, [here(`wgsl/${script}`), ...args], { encoding: "utf8", maxBuffer: 1 << 28, timeout: 1000 * Number(values.limit) });
  const line = done.stdout?.trim().split("\n").at(-1) ?? "";
  if (done.status === 0 && line.startsWith("{")) return (results[name] = JSON.parse(line));
  const reason = done.error?.code === "ETIMEDOUT" ? `not done within ${values.limit} s` : done.stderr?.trim().split("\n").at(-1);
  console.warn(`NOT MEASURED: ${name}: ${reason}`);
  results[`${name}_why`] = reason;
  return undefined;
}

function si(x) {
  const [scale, letter] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1, ""]].find(([s]) => x >= s) ?? [1, ""];
  return `${(x / scale).toFixed(2)} ${letter}`;
}

function readLoad() {
  try {
    return readFileSync("/proc/loadavg", "utf8").split(" ")[0];
  } catch {
    return "unknown";
  }
}
