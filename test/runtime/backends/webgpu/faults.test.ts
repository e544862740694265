/**
 * Faults of a device: a run goes on after its device is lost, and everything else is one message with a way out.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { Engine, WgslModule } from "../../../../runtime/abi.js";
import { nodeLimits, openNodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { createWebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { openSession } from "../../../../runtime/backends/webgpu/session.js";
import { HostError } from "../../../../runtime/base/errors.js";
import type { Checkpoint } from "../../../../runtime/train/checkpoint.js";
import type { ChosenEngine } from "../../../../runtime/train/engines.js";
import { initialState } from "../../../../runtime/train/init.js";
import { train } from "../../../../runtime/train/main.js";
import { throughLosses } from "../../../../runtime/train/recover.js";
import { compilePlan, deviceFor, tinyText } from "../../../compiler/targets/wgsl/programs.js";

const ready = compilePlan(tinyText.replace("batch          5", "batch          5\n    checkpoint_every 4 steps"));
/** Dawn's GPU objects: one that is collected takes its devices along, in the middle of a call. */
const kept: GPU[] = [];
const folder = mkdtempSync(join(tmpdir(), "jepac-faults-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A device of the plan, or undefined where there is none; what was opened, to be destroyed by tests. */
async function openEngine(module: WgslModule = ready.module): Promise<{ engine: Engine; device: GPUDevice } | undefined> {
  const node = await deviceFor(module);
  if (node === undefined) return undefined;
  const engine = await createWebgpuEngine(ready.manifest, module, { device: node.device, name: node.name, language: node.language, version: "test", release: () => node.release(), initial: initialState(ready.manifest, ready.manifest.train.seed) });
  return { engine, device: node.device };
}

/** Trains ten steps; the device of the n-th engine is destroyed as its step of that number begins. */
async function run(name: string, losses: readonly (number | undefined)[]): Promise<{ text: string; opened: number; out: string } | undefined> {
  const notes: string[] = [];
  let opened = 0;
  const out = join(folder, name);
  const createEngine = async (): Promise<ChosenEngine> => {
    const own = await openEngine();
    if (own === undefined) throw new HostError("no-engine", "no device", "none");
    const at = losses[opened++];
    const step: Engine["step"] = (batch, hyper, want) => {
      if (hyper.step === at) own.device.destroy();
      return own.engine.step(batch, hyper, want);
    };
    return { engine: { ...own.engine, step }, notes: [], why: "as asked" };
  };
  const host = { terminal: { isTTY: false, columns: 100, write: (text: string) => { notes.push(text); return true; } }, createEngine };
  try {
    await train({ manifest: ready.manifest, module: ready.module, options: { steps: 10, out, probe: false, report: false, workers: 0 }, host });
  } catch (error) {
    if (error instanceof HostError && error.code === "no-engine" && error.message === "no device") return undefined;
    notes.push(error instanceof HostError ? `error: ${error.code}: ${error.message}; help: ${error.help}` : `not a HostError: ${String(error)}`);
  }
  return { text: notes.join(""), opened, out };
}

test("a run whose device is lost opens it again and goes on from the last checkpoint, to the same bits", async () => {
  const whole = await run("whole", []);
  if (whole === undefined) return;
  const lost = await run("lost", [7, 9]);
  expect(lost?.opened).toBe(3);
  expect(lost?.text).toMatch(/was lost: .*; it was opened again, and the run goes on after step 4/);
  expect(lost?.text).toMatch(/was lost: .*; it was opened again, and the run goes on after step 8/);
  const read = (out: string | undefined, file: string): string => readFileSync(join(out ?? "", file)).toString("base64");
  for (const file of ["checkpoint.safetensors", "metrics.jsonl"]) expect(read(lost?.out, file) === read(whole.out, file)).toBe(true);
});

test("a device that is lost at the same place again ends the run with the reason, and the checkpoint stands", async () => {
  const lost = await run("twice", [6, 6]);
  if (lost === undefined) return;
  expect(lost.opened).toBe(2);
  expect(lost.text).toMatch(/error: device-lost: the device .+ was lost: .+; it was lost before too, after the same step 4; help: go on from the last checkpoint with --resume/);
});

test("a device that cannot be opened again is told with why it was lost", async () => {
  const lost = new HostError("device-lost", "the device x was lost: unplugged", "go on with --resume");
  const failing = { run: (): Promise<never> => Promise.reject(lost), reopen: (): Promise<never> => Promise.reject(new HostError("no-engine", "WebGPU finds no adapter", "")), last: (): Promise<Checkpoint | undefined> => Promise.resolve(undefined), note: () => undefined };
  await expect(throughLosses({ engine: unused, from: undefined }, failing)).rejects.toMatchObject({ code: "device-lost", message: "the device x was lost: unplugged; it could not be opened again: WebGPU finds no adapter", help: "go on with --resume" });
});

/** An engine that nobody calls. */
const never = (): never => {
  throw new Error("not to be called");
};
const unused: Engine = { name: "none", version: "", step: never, encode: never, exportState: never, importState: never, memory: never, dispose: never };

test("a kernel that does not compile on this driver is named with its line", async () => {
  const [first] = ready.module.plan.kernels;
  const file = first?.file ?? "";
  const broken = { ...ready.module, kernels: { ...ready.module.kernels, [file]: (ready.module.kernels[file] ?? "").replace("fn main", "fn main_of_nothing") + "\nlet nonsense" } };
  const node = await deviceFor(ready.module);
  if (node === undefined) return;
  const opening = createWebgpuEngine(ready.manifest, broken, { device: node.device, name: node.name, version: "test", initial: initialState(ready.manifest, 1) });
  await expect(opening).rejects.toMatchObject({ code: "no-engine", message: expect.stringMatching(new RegExp(`^kernel ${file} does not compile on .+: line \\d+: `)), help: expect.stringContaining("--target tfjs") });
  node.device.destroy();
  node.release();
});

test("a plan beyond the device's limits, and a kernel that is not there, are refused before anything is made", async () => {
  const node = await deviceFor(ready.module);
  if (node === undefined) return;
  const host = { device: node.device, name: node.name, version: "test", initial: initialState(ready.manifest, 1) };
  const { plan } = ready.module;
  const wide = { ...ready.module, plan: { ...plan, buffers: plan.buffers.map((b) => ({ ...b, bytes: 2 ** 33 })), step: { ...plan.step, dispatches: plan.step.dispatches.map((d) => ({ ...d, bind: d.bind.map((r) => ({ ...r, bytes: 2 ** 32 })) })) } } };
  await expect(createWebgpuEngine(ready.manifest, wide, host)).rejects.toMatchObject({ code: "no-engine", message: expect.stringContaining("binds 4294967296 bytes at once"), help: expect.stringContaining("smaller batch") });
  const long = { ...ready.module, plan: { ...plan, buffers: plan.buffers.map((b) => ({ ...b, bytes: 2 ** 40 })) } };
  await expect(createWebgpuEngine(ready.manifest, long, host)).rejects.toMatchObject({ code: "no-engine", message: expect.stringContaining("a buffer of 1099511627776 bytes"), help: expect.stringContaining("smaller batch") });
  await expect(createWebgpuEngine(ready.manifest, { ...ready.module, kernels: {} }, host)).rejects.toMatchObject({ code: "mismatch", help: expect.stringContaining("compile the program again") });
  node.device.destroy();
  node.release();
});

/** A plan with a field, or the first entry of a list, changed. */
const damages: readonly (readonly [what: string, change: (plan: Record<string, unknown>, copy: WgslModule["plan"]) => void, message: string])[] = [
  ["no number of held steps", (p) => { delete p["held"]; }, "plan.json has no `held`"],
  ["no dispatches of the step", (p) => { delete p["step"]; }, "plan.json has no `step`"],
  ["an update that is no program", (p) => { p["update"] = { dispatches: 3 }; }, "plan.json has a `update` that is no list of dispatches"],
  ["a bound that is a word", (p) => { p["bounds"] = { B: "x" }; }, "plan.json has no bound for B"],
  ["parts that are none", (p) => { p["accumulate"] = { parts: 2 }; }, "plan.json has an `accumulate` without its parts"],
  ["a kernel of another plan", (p, { step }) => { p["step"] = { ...step, dispatches: step.dispatches.map((d) => ({ ...d, kernel: 1000 })) }; }, "plan.json has no kernel 1000, which dispatch 0 runs"],
  ["a buffer of another plan", (p, { inputs }) => { p["inputs"] = inputs.map((i) => ({ ...i, ref: { ...i.ref, buffer: 1000 } })); }, "plan.json has no buffer 1000, which image lies in"],
  ["a place beyond its buffer", (p, { parameters }) => { p["parameters"] = parameters.map((x) => ({ ...x, ref: { ...x.ref, at: 2 ** 40 } })); }, "plan.json has a place beyond the buffer"],
  ["a size over a symbol without a bound", (p, { step }) => { p["step"] = { ...step, dispatches: step.dispatches.map((d) => ({ ...d, groups: [{ terms: [[1, "Z"]] }] })) }; }, "plan.json has sizes that are none (dispatch 0"],
  ["no buffer of sizes", (p, { buffers }) => { p["buffers"] = buffers.map((b) => (b.name === "sizes" ? { ...b, name: "size" } : b)); }, "plan.json has no buffer \"sizes\""],
  ["another format", (p) => { p["format"] = 2; }, "this plan has format 2, this runtime reads format 1"],
];

test.each(damages)("a plan with %s is refused by what is wrong with it, before a kernel sees it", async (_, change, message) => {
  const node = await deviceFor(ready.module);
  if (node === undefined) return;
  const plan = structuredClone(ready.module.plan);
  change(plan as unknown as Record<string, unknown>, plan);
  const host = { device: node.device, name: node.name, version: "test", initial: initialState(ready.manifest, 1) };
  await expect(createWebgpuEngine(ready.manifest, { ...ready.module, plan }, host)).rejects.toMatchObject({ code: "mismatch", message: expect.stringContaining(message), help: expect.stringMatching(/compile (it|the program) again/) });
  node.device.destroy();
  node.release();
});

test("f16 on an adapter or a device without it is refused, and f32 named as the way out", async () => {
  const half = compilePlan(undefined, undefined, undefined, { storage: "f16" });
  const node = await deviceFor(ready.module);
  if (node === undefined) return;
  expect(half.module.plan.features).toEqual(["shader-f16"]);
  expect(node.device.features.has("shader-f16")).toBe(false);
  const wanted = (feature: string) => ({ code: "no-engine", message: `${node.name} has no ${feature}, which this plan needs`, help: "compile with --precision f32" });
  const host = { device: node.device, name: node.name, version: "test", initial: initialState(half.manifest, 1) };
  await expect(createWebgpuEngine(half.manifest, half.module, host)).rejects.toMatchObject(wanted("shader-f16"));
  node.device.destroy();
  node.release();
  // The same question to an adapter, about a feature that none has.
  await expect(openNodeDevice({ plan: { ...half.module.plan, features: ["shader-f17"] } })).rejects.toMatchObject(wanted("shader-f17"));
  await expect(nodeLimits(["shader-f17"])).rejects.toMatchObject(wanted("shader-f17"));
});

test("memory that runs out ends with the plan's bytes and three ways out", async () => {
  // Dawn's null backend holds 512 MiB; software drivers take whatever they are asked for, and fill it when it is used.
  const loaded: { create(options: string[]): GPU } = await import(pathToFileURL(createRequire(import.meta.url).resolve("webgpu")).href);
  const gpu = loaded.create(["backend=null"]);
  kept.push(gpu);
  const device = await (await gpu.requestAdapter())?.requestDevice();
  if (device === undefined) throw new Error("Dawn has no null backend");
  const plan = { ...ready.module.plan, buffers: Array.from({ length: 3 }, (_, i) => ({ name: `b${i}`, kind: "work" as const, bytes: 2 ** 28 })), memory: { total: 3 * 2 ** 28, work: 0, lowerBound: 0 } };
  await expect(openSession(device, { ...ready.module, plan }, "a small device")).rejects.toMatchObject({
    code: "no-engine", message: expect.stringMatching(/^a small device cannot hold the plan's 805306368 bytes: .*memory/i), help: "compile with a smaller batch (this plan is for 5), or write `accumulate` or `recompute blocks` into `train`",
  });
  device.destroy();
});
