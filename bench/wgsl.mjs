/**
 * `npm run bench:wgsl`: the speed of the WGSL target on this machine's WebGPU device, as ratios measured in one run, written
 * to `bench/wgsl-results.md` and `bench/wgsl-results.json`. Each measurement runs in a process of its own and is cut off
 * after `--limit` seconds (300; once more on a software driver, which keeps what it compiled), so the command ends on any
 * machine. On a driver that computes on a processor, sizes are small and only ratios and the host's figures mean something.
 * What cannot be had here says "not measured" and why; nothing is made up. `--quick` takes the smallest sizes, `--skip race`
 * leaves rows out, `--python` names the Python that has torch.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openNodeDevice } from "../dist/runtime/backends/webgpu/device.js";
import { compileForBench } from "./wgsl/program.mjs";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, skip: { type: "string", multiple: true, default: [] }, limit: { type: "string", default: "300" }, python: { type: "string" } } });
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const python = values.python ?? here("../.engines/torch/bin/python");
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
row(`f32 GEMM ${side}^3 / f32 peak (${stated === undefined ? "measured multiply-add rate" : "stated"})`, gemm && `${(gemm.flops / peak).toFixed(2)} (${si(gemm.flops)}FLOP/s of ${si(peak)}FLOP/s)`, "0.50, stretch 0.72", results.gemm_why);
const half = measure("gemm_f16", "gemm.mjs", ["--side", String(side), "--kind", "f16"]);
const halfTorch = half && measureTorch("gemm_torch", "gemm.py", ["--side", String(side)]);
row(`f16 subgroup-matrix GEMM ${side}^3 / PyTorch bf16 GEMM, same GPU`, half && halfTorch && `${(half.flops / halfTorch.flops).toFixed(2)} (${si(half.flops)}FLOP/s of ${si(halfTorch.flops)}FLOP/s)`, "0.20, stretch 0.45", results.gemm_f16_why ?? results.gemm_torch_why);

const program = software ? "vit_small" : "vit_b";
const step = measure("step", "step.mjs", ["--file", fileOf(program), "--program", program, "--steps", software ? "3" : "10"]);
const roof = software ? undefined : peak && peak / 84.5e9;
row(`I-JEPA step, ${program}, f32: images/s / roofline`, step && roof && `${(step.images_per_second / roof).toFixed(2)} (${step.images_per_second.toFixed(0)} of ${roof.toFixed(0)})`, "0.40, stretch 0.60", software ? `the ViT-B/16 step needs a GPU; ${step === undefined ? "" : `${program} here: ${step.step_ms.toFixed(0)} ms a step, ${step.images_per_second.toFixed(1)} images/s`}` : undefined);
const stepHalf = measure("step_f16", "step.mjs", ["--file", fileOf(program), "--program", program, "--steps", software ? "3" : "10", "--precision", "f16"]);
// The lengths that the mask law keeps of a batch of 128: 51 context tokens, four targets of 33.
const torch = stepHalf && measureTorch("step_torch", "ijepa_step.py", ["--device", "cuda", "--bf16", "--batch", "128", ...pairs({ image: 224, patch: 16, width: 768, depth: 12, heads: 12, "pred-width": 384, "pred-depth": 6, context: 51, targets: 4, target: 33 })]);
row(`the same in f16 / PyTorch eager bf16, same GPU`, !software && stepHalf && torch && `${(stepHalf.images_per_second / torch.images_per_second).toFixed(2)} (${stepHalf.images_per_second.toFixed(0)} / ${torch.images_per_second.toFixed(0)} images/s)`, "0.30, stretch 0.70", `${results.step_f16_why ?? results.step_torch_why ?? "no GPU"}${software && stepHalf ? `; f16 / f32 of ${program} on this driver: ${(stepHalf.images_per_second / step?.images_per_second).toFixed(2)}` : ""}`);

if (stepHalf?.passed_over.length > 0) row("kernels by subgroup matrices that this device does not compute rightly, so that portable ones ran in that step", stepHalf.passed_over.map((note) => note.split(":")[0]).join("; "), "none");

// A software driver compiles for a long time, and jax-js has a kernel for nearly every operation: depth 1 has them all. How far
// ahead one is depends on the size: overheads of dispatches count in narrow and deep models, rates of products in wide ones.
const sizes = values.quick ? ["image_size=8 width=12 depth=1 images=1"]
  : software ? ["image_size=16 width=48 depth=1 images=4", "image_size=16 width=48 depth=3 images=4", "image_size=32 width=96 depth=1 images=8"]
  : ["image_size=224 patch=16 width=768 depth=12 heads=12 images=32"];
for (const [i, size] of sizes.entries()) for (const peer of ["tfjs", "jax"]) {
  const key = `race_${peer}${i === 0 ? "" : `_${i + 1}`}`;
  const race = measure(key, "race.mjs", ["--forms", `ours,${peer}`, "--rounds", software ? "9" : "8", ...size.split(" ").flatMap((s) => ["--set", s])]);
  const [ours, other] = [race?.forms.ours, race?.forms[peer]];
  const name = peer === "tfjs" ? "@tensorflow/tfjs-backend-webgpu" : "@jax-js/jax";
  const fits = race?.valid === true && ours !== undefined && other !== undefined;
  const why = race?.failed?.[peer] ?? (race !== undefined && !fits ? `the losses differ by ${race.worst_loss_difference}` : undefined);
  row(`step time, ${name} / ours (ViT ${size.replaceAll(" ", ", ")}; each step's loss read)`, fits && `${(other.ms / ours.ms).toFixed(2)} (${other.ms.toFixed(1)} / ${ours.ms.toFixed(1)} ms; losses agree to ${race.worst_loss_difference.toExponential(0)})`, "5, stretch 20", why ?? results[`${key}_why`], software && fits ? `processor time ${(other.processor_ms / ours.processor_ms).toFixed(2)} (${other.processor_ms.toFixed(1)} / ${ours.processor_ms.toFixed(1)} ms)` : undefined);
  if (fits) row(`the same, with our steps running ahead as the training loop runs them`, `${(other.ms / race.ahead_ms).toFixed(2)} (${race.ahead_ms.toFixed(1)} ms)`, "");
}
row(`device busy / wall, batch ${step?.batch ?? ""}`, step && step.busy.toFixed(3), "0.95, stretch 0.98", results.step_why);
const host = measure("host", "host.mjs", values.quick ? ["--steps", "100"] : []);
row("host time for each dispatch, encoding and submit of the ViT-B/16 step, Dawn's null backend", host && `${host.median_us.toFixed(2)} us median, ${host.least_us.toFixed(2)} us least (with skip_validation ${host.skip_validation.median_us.toFixed(2)} and ${host.skip_validation.least_us.toFixed(2)})${host.processor_median_us === undefined ? "" : `; processor time ${host.processor_median_us.toFixed(2)} us median`}`, "2 us, stretch 1.5 us", results.host_why, host && `Dawn's three calls alone ${host.calls.all_three.toFixed(2)} us; with this device ${step === undefined ? "not measured" : `${step.host_us_per_dispatch.toFixed(2)} us least`}`);
const page = measure("host_page", "host-page.mjs", ["--steps", values.quick ? "10" : "30"]);
row("the same on the main thread of a page", page && `${page.median_us.toFixed(2)} us median, ${page.least_us.toFixed(2)} us least (Chromium ${page.browser})`, "2 us, stretch 1.5 us", results.host_page_why);
row("submits, allocations of a step", step && `${step.submits}, ${step.allocations}`, "1, 0", results.step_why);
const vit = await planned("vit_b");
const count = vit && vit.step.dispatches.length + vit.update.dispatches.length;
results.vit_b_plan = vit && { dispatches: count, kernels: vit.kernels.length, memory: vit.memory };
row("dispatches of a ViT-B/16 step (counted in the plan)", vit && String(count), "600, stretch 450", results.vit_b_why);
row("optimizer kernel's bandwidth / copy bandwidth", step && step.optimizer_of_copy.toFixed(2), "0.80, stretch 0.92", results.step_why, software ? "caches of a processor hold all of it: says little" : "");
const bytes = (kinds) => vit.buffers.filter((b) => kinds.includes(b.kind)).reduce((n, b) => n + b.bytes, 0);
row("peak memory / (weights, optimizer state, lower bound of live values), ViT-B/16 at batch 128", vit && (vit.memory.total / (bytes(["parameter", "half", "slot"]) + vit.memory.lowerBound)).toFixed(3), "1.25, stretch 1.10", results.vit_b_why, vit && `${si(vit.memory.total)}B`);
const cold = measure("cold", "step.mjs", ["--file", fileOf(program), "--program", program, "--steps", "1"], { MESA_SHADER_CACHE_DISABLE: "true", __GL_SHADER_DISK_CACHE: "0" });
row(`all pipelines ready, cold, ${program}`, cold && `${(cold.pipelines_ready_ms / 1000).toFixed(2)} s (${cold.pipelines} kernels)`, "5 s on NVIDIA, stretch 1.5 s", results.cold_why, "with buffers and weights; the driver's disk cache switched off");

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

/** Options as a command line takes them. */
function pairs(options) {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

function measureTorch(name, script, args) {
  if (existsSync(python)) return measure(name, `../pytorch/${script}`, args, {}, python);
  results[`${name}_why`] = "no PyTorch here; `node scripts/setup-torch.mjs` installs it";
  return undefined;
}

/** Runs a script; its JSON line, or undefined with the reason said aloud and kept. */
function measure(name, script, args, env = {}, program = process.execPath) {
  if (values.skip.some((s) => name.startsWith(s))) {
    results[`${name}_why`] = "left out by --skip";
    return undefined;
  }
  console.error(`… ${script} ${args.join(" ")}`);
  const once = () => spawnSync(program, [here(`wgsl/${script}`), ...args], { encoding: "utf8", env: { ...process.env, ...env }, maxBuffer: 1 << 28, timeout: 1000 * Number(values.limit), killSignal: "SIGKILL" });
  let done = once();
  // A software driver compiles on the processor and keeps what it has compiled: the second time may be short enough.
  if (done.error?.code === "ETIMEDOUT" && software && env.MESA_SHADER_CACHE_DISABLE === undefined) done = once();
  const line = done.stdout?.trim().split("\n").at(-1) ?? "";
  if (done.status === 0 && line.startsWith("{")) return (results[name] = JSON.parse(line));
  const reason = done.error?.code === "ETIMEDOUT" ? `cut off after ${values.limit} s, at ${args.join(" ")}; load ${readLoad()}` : done.stderr?.trim().split("\n").at(-1);
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
