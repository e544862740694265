/**
 * The profiler: it sees every dispatch, counts what the kernels do, changes no bit, and tells it in three forms.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Manifest, WgslPlan } from "../../../../runtime/abi.js";
import { measureCeilings } from "../../../../runtime/backends/webgpu/ceilings.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { openNodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import type { WebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { createWebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { profileOf, profileText, profileTrace } from "../../../../runtime/backends/webgpu/profile-report.js";
import { createProfiler } from "../../../../runtime/backends/webgpu/profiler.js";
import type { StepSample } from "../../../../runtime/backends/webgpu/samples.js";
import { sizeValue } from "../../../../runtime/backends/webgpu/sizes.js";
import { HostError } from "../../../../runtime/base/errors.js";
import { createEngine } from "../../../../runtime/train/engines.js";
import { initialState } from "../../../../runtime/train/init.js";
import { train } from "../../../../runtime/train/main.js";
import { batchFor, compilePlan, hyperFor, tfjsOf } from "../../../compiler/targets/wgsl/programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const ready = compilePlan();
const steps = 5;
const ceilings = { arithmetic: 4e12, copy: 1e11, gemm: 1e12, gemmSide: 256 };
let node: NodeDevice | undefined;
let plain: WebgpuEngine | undefined;
const folder = mkdtempSync(join(tmpdir(), "jepac-profile-"));

beforeAll(async () => {
  try {
    node = await openNodeDevice(ready.module, { timestamps: true });
    const other = await openNodeDevice(ready.module);
    plain = await createWebgpuEngine(ready.manifest, ready.module, { device: other.device, name: other.name, version: other.version, language: other.language, release: () => other.release(), initial: initialState(ready.manifest, 1) });
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== "no-engine") throw error;
    console.warn(`NOT TESTED: the profiler on a device: ${error.message}; ${error.help}`);
  }
});
afterAll(() => {
  plain?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Operations of a product as its own block of sizes says them, for a dispatch of kernels that are products. */
function productFlops(plan: WgslPlan, dispatch: WgslPlan["step"]["dispatches"][number], symbols: ReadonlyMap<string, number>): number | undefined {
  const { name, file } = plan.kernels[dispatch.kernel] ?? { name: "", file: "" };
  if (!name.startsWith("gemm")) return undefined;
  const fields = /struct Sizes \{ (.*?) \}/.exec(ready.module.kernels[file] ?? "")?.[1]?.split(", ").map((f) => f.replace(": u32", "")) ?? [];
  const size = (field: string): number => sizeValue(dispatch.sizes[fields.indexOf(field)] ?? NaN, symbols);
  const batches = name.startsWith("gemm_tn_") ? 1 : sizeValue(dispatch.groups[2] ?? 1, symbols);
  return 2 * size("m") * size("n") * size("k") * batches;
}

test("a profile has every dispatch of the step, counts what the kernels' sizes say, and changes no bit", async () => {
  if (node === undefined || plain === undefined) return;
  const { plan } = ready.module;
  const profiler = createProfiler({ device: node.device, plan, clock: () => performance.now(), skip: 1, steps: 2 });
  const engine = await createWebgpuEngine(ready.manifest, ready.module, { device: node.device, name: node.name, version: node.version, language: node.language, profiler, release: () => node?.release(), initial: initialState(ready.manifest, 1) });
  for (let step = 1; step <= steps; step++) {
    const want = { watch: false, gradientNorm: step === 4 };
    const [a, b] = [await engine.step(batchFor(ready.manifest, step), hyperFor(ready.manifest, step), want), await plain.step(batchFor(ready.manifest, step), hyperFor(ready.manifest, step), want)];
    expect(a).toEqual(b);
  }
  expect(profiler.done()).toBe(true);
  const samples = profiler.samples();
  expect(samples.map((s) => s.kind)).toEqual(["whole", "whole", "each", "each"]);
  const last = samples.at(-1);
  const dispatches = [...plan.step.dispatches, ...plan.update.dispatches];
  expect(last?.dispatches.map((d) => d.kernel)).toEqual(dispatches.map((d) => plan.kernels[d.kernel]?.name));
  expect(samples[2]?.dispatchCount).toBe(dispatches.length + plan.norms.dispatches.length);
  const masks = batchFor(ready.manifest, steps).masks;
  const symbols = new Map([["B", 5], ...plan.inputs.flatMap((i): [string, number][] => (i.symbol === undefined ? [] : [[i.symbol, masks[i.name]?.length ?? 0]]))]);
  const wanted = dispatches.map((d) => productFlops(plan, d, symbols));
  expect(wanted.filter((n) => n !== undefined).length).toBeGreaterThan(20);
  wanted.forEach((n, i) => { if (n !== undefined) expect([i, last?.dispatches[i]?.flops]).toEqual([i, n]); });
  for (const s of samples) for (const d of s.dispatches) expect(s.device.start <= d.start && d.start <= d.end && d.end <= s.device.end && d.bytes > 0).toBe(true);
  const profile = profileOf("a device", samples, await measureCeilings(node.device));
  engine.dispose();
  expect(new Set(profile?.kernels.map((k) => k.name))).toEqual(new Set([...dispatches, ...plan.norms.dispatches].map((d) => plan.kernels[d.kernel]?.name)));
  expect(profile?.kernels.reduce((n, k) => n + k.share, 0)).toBeCloseTo(1, 6);
  expect(profile?.kernelTime).toBeGreaterThan(0);
  for (const rate of [profile?.ceilings.arithmetic, profile?.ceilings.copy, profile?.ceilings.gemm]) expect(rate).toBeGreaterThan(1e6);
});

test("a run with --profile leaves a table, its numbers and a trace that parses", async () => {
  if (node === undefined) return;
  let said = "";
  const manifest: Manifest = { ...ready.manifest, target: "wgsl" };
  const options = { profile: 2, steps: 7, out: join(folder, "run"), workers: 0, probe: false, report: false };
  const summary = await train({ manifest, module: ready.module, options, host: { terminal: { write: (text: string) => (said += text) } } });
  expect(summary.exitCode).toBe(0);
  expect(said).toMatch(/adamw_ema\s+1 /);
  const profile: { kernels: { name: string; calls: number }[]; dispatches: number } = JSON.parse(readFileSync(join(folder, "run/profile.json"), "utf8"));
  expect(profile.kernels.reduce((n, k) => n + k.calls, 0)).toBe(profile.dispatches);
  const trace: { traceEvents: { ph: string; cat?: string; name: string; ts?: number; dur?: number }[] } = JSON.parse(readFileSync(join(folder, "run/trace.json"), "utf8"));
  const device = trace.traceEvents.filter((e) => e.cat === "device" && e.name !== "all dispatches");
  expect(device.length).toBe(2 * profile.dispatches);
  for (const e of trace.traceEvents) if (e.ph === "X") expect(Number.isFinite(e.ts) && (e.dur ?? -1) >= 0).toBe(true);
  const short = await train({ manifest, module: ready.module, options: { ...options, steps: 3, out: join(folder, "short") }, host: { terminal: { write: (text: string) => (said += text) } } });
  expect(short.exitCode).toBe(0);
  expect(said).toContain("no profile: the run was too short");
});

test("a program compiled for tfjs is not profiled: the way out is named", async () => {
  await expect(createEngine({ ...ready.manifest, target: "tfjs" }, await tfjsOf(), "cpu", 0, { profile: 2 })).rejects.toThrow(/compiled for tfjs/);
});

const sample = (kind: StepSample["kind"], began: number, device: readonly [number, number], times: readonly (readonly [string, number, number, number?])[]): StepSample => ({
  kind, began, phases: { upload: began + 1, encode: began + 3, submit: began + 4 }, dispatchCount: 3, device: { start: device[0], end: device[1] },
  dispatches: times.map(([kernel, start, end, flops]) => ({ kernel, start, end, flops, bytes: 1e6, groups: 7 })),
});
const gemm = 4e9;
const samples = [
  sample("whole", 0, [1000, 1008], []), sample("whole", 20, [1020, 1026], []),
  sample("each", 40, [1050, 1060], [["gemm", 1050, 1052, gemm], ["map", 1052, 1053], ["gemm", 1054, 1056, gemm]]),
];

test("rates and shares are those of the samples", () => {
  const profile = profileOf("a device", samples, ceilings);
  expect(profile).toMatchObject({ wall: 13, gpu: 7, kernelTime: 5, dispatches: 3, host: { upload: 1, encode: 2, submit: 1 } });
  expect(profile?.kernels).toEqual([
    { name: "gemm", calls: 2, milliseconds: 4, share: 0.8, flops: 2 * gemm, bytes: 2e6 },
    { name: "map", calls: 1, milliseconds: 1, share: 0.2, flops: undefined, bytes: 1e6 },
  ]);
  // 8 GFLOP in 4 ms are 2 TFLOP/s, half of 4; 1 MB in 1 ms are 1 GB/s, a hundredth of 100.
  expect(profile && profileText(profile)).toMatch(/gemm +2 +4\.000 +80\.0 % +2000\.0 +50\.0 % .*\nmap +1 +1\.000 +20\.0 % +1\.0 +1\.0 %/);
  expect(profileOf("a device", samples.slice(0, 2), ceilings)).toBeUndefined();
});

test("in a trace no dispatch begins before its commands were submitted", () => {
  const trace: { traceEvents: { cat?: string; name: string; ts: number }[] } = JSON.parse(profileTrace("a device", samples));
  const began = trace.traceEvents.filter((e) => e.cat === "device").map((e) => e.ts);
  // The first step was encoded at 3 and began at 1000 on the device's clock; with any other shift it would begin too early or later than needed.
  expect(began).toEqual([1000 - 997, 1020 - 997, 1050 - 997, 1052 - 997, 1054 - 997].map((ms) => ms * 1000));
});
