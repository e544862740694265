/**
 * A profile as numbers, as a table for a terminal, and as a trace for a viewer.
 *
 * Owns the arithmetic over a profiler's samples: medians over steps, rates against ceilings of the same device, one clock
 * for host and device. It touches no device; `profiler.ts` measures, `ceilings.ts` gives the ceilings. The trace is
 * Chrome's Trace Event Format (JSON object form), which chrome://tracing and Perfetto open.
 */
import { textTable } from "../../log/table.js";
import type { Ceilings, DispatchSample, Phase, StepSample } from "./samples.js";
import { PHASES } from "./samples.js";

/** What one kernel took in a step. */
export interface KernelProfile {
  readonly name: string;
  /** Dispatches in a step. */
  readonly calls: number;
  /** Milliseconds on the device in a step: the median over steps of the sum over its dispatches. */
  readonly milliseconds: number;
  /** Part of all kernels' time. */
  readonly share: number;
  /** Floating-point operations and bytes in a step; operations only where they are counted. */
  readonly flops: number | undefined;
  readonly bytes: number;
}

/** A profile of some steps. */
export interface Profile {
  readonly device: string;
  /** Steps with timestamps around the pass, and around every dispatch. */
  readonly wholeSteps: number;
  readonly eachSteps: number;
  readonly dispatches: number;
  /** Means over whole steps on the device's clock, milliseconds: a step with the time between steps, and its dispatches alone. */
  readonly wall: number;
  readonly gpu: number;
  /** Milliseconds of the host in each phase. */
  readonly host: Readonly<Record<Phase, number>>;
  /** Sum over kernels, milliseconds a step. */
  readonly kernelTime: number;
  /** In order of falling time. */
  readonly kernels: readonly KernelProfile[];
  readonly ceilings: Ceilings;
}

/** The profile of a profiler's samples; undefined before both kinds of look have been taken. */
export function profileOf(device: string, samples: readonly StepSample[], ceilings: Ceilings): Profile | undefined {
  const whole = samples.filter((s) => s.kind === "whole");
  const each = samples.filter((s) => s.kind === "each");
  const [first] = each;
  if (whole.length === 0 || first === undefined) return undefined;
  const start = Math.min(...whole.map((s) => s.device.start));
  const end = Math.max(...whole.map((s) => s.device.end));
  const kernels = kernelsOf(each);
  const kernelTime = kernels.reduce((n, k) => n + k.milliseconds, 0);
  return {
    device, wholeSteps: whole.length, eachSteps: each.length, dispatches: first.dispatchCount,
    wall: (end - start) / whole.length, gpu: whole.reduce((n, s) => n + s.device.end - s.device.start, 0) / whole.length,
    host: phasesOf(whole), kernelTime, kernels: kernels.map((k) => ({ ...k, share: k.milliseconds / kernelTime })), ceilings,
  };
}

function kernelsOf(each: readonly StepSample[]): KernelProfile[] {
  const names = [...new Set(each.flatMap((s) => s.dispatches.map((d) => d.kernel)))];
  const sum = (list: readonly DispatchSample[], of: (d: DispatchSample) => number): number => list.reduce((n, d) => n + of(d), 0);
  const profiles = names.map((name): KernelProfile => {
    const own = each.map((s) => s.dispatches.filter((d) => d.kernel === name));
    const flops = median(own.map((list) => sum(list, (d) => d.flops ?? 0)));
    return {
      name, calls: median(own.map((list) => list.length)), milliseconds: median(own.map((list) => sum(list, (d) => d.end - d.start))), share: 0,
      flops: flops === 0 ? undefined : flops, bytes: median(own.map((list) => sum(list, (d) => d.bytes))),
    };
  });
  return profiles.sort((a, b) => b.milliseconds - a.milliseconds);
}

function phasesOf(whole: readonly StepSample[]): Record<Phase, number> {
  const of = (phase: Phase): number => {
    const before = PHASES[PHASES.indexOf(phase) - 1];
    return median(whole.map((s) => s.phases[phase] - (before === undefined ? s.began : s.phases[before])));
  };
  return { upload: of("upload"), encode: of("encode"), submit: of("submit") };
}

/** The profile as text: the step, the ceilings, a row for each kernel. */
export function profileText(p: Profile): string {
  const { ceilings: c } = p;
  const perDispatch = (1000 * (p.host.encode + p.host.submit)) / p.dispatches;
  const rows = p.kernels.map((k) => [
    k.name, String(k.calls), k.milliseconds.toFixed(3), percent(k.share),
    ...(k.flops === undefined ? ["", ""] : [(k.flops / k.milliseconds / 1e6).toFixed(1), percent(k.flops / (k.milliseconds / 1000) / c.arithmetic)]),
    (k.bytes / k.milliseconds / 1e6).toFixed(1), percent(k.bytes / (k.milliseconds / 1000) / c.copy),
  ]);
  return [
    `profile of ${p.wholeSteps} whole steps and ${p.eachSteps} steps dispatch by dispatch on ${p.device}`,
    `a step: ${p.wall.toFixed(2)} ms, of which the device works ${p.gpu.toFixed(2)} ms (${percent(p.gpu / p.wall)}); ${p.dispatches} dispatches, ${p.kernelTime.toFixed(2)} ms as the sum of kernels`,
    `host: upload ${p.host.upload.toFixed(2)} ms, encode ${p.host.encode.toFixed(2)} ms, submit ${p.host.submit.toFixed(2)} ms; ${perDispatch.toFixed(2)} us of encoding and submitting for each dispatch`,
    `ceilings: ${giga(c.arithmetic)} GFLOP/s multiply-add, ${giga(c.gemm)} GFLOP/s in a plain ${c.gemmSide}^3 product, ${giga(c.copy)} GB/s copy`,
    textTable(["kernel", "calls", "ms/step", "share", "GFLOP/s", "of peak", "GB/s", "of copy"], rows),
  ].join("\n");
}

/** One event of the trace: times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly cat?: string;
  readonly ph: "X" | "M";
  readonly ts?: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly args?: Readonly<Record<string, string | number>>;
}

/** The samples as a Chrome trace. The device's clock is moved onto the host's as little as causes before effects allow. */
export function profileTrace(device: string, samples: readonly StepSample[]): string {
  const begin = Math.min(...samples.map((s) => s.began));
  const shift = Math.max(...samples.map((s) => s.phases.encode - s.device.start));
  const span = (name: string, cat: string, tid: number, from: number, to: number, args?: TraceEvent["args"]): TraceEvent => ({ name, cat, ph: "X", ts: 1000 * (from - begin), dur: 1000 * Math.max(0, to - from), pid: 1, tid, ...(args === undefined ? {} : { args }) });
  const events = samples.flatMap((s, i): TraceEvent[] => [
    span(`step ${i + 1} (${s.kind === "whole" ? "one pass" : "a pass for each dispatch"})`, "step", 1, s.began, s.phases.submit),
    ...PHASES.map((phase, n) => span(phase, "host", 1, n === 0 ? s.began : s.phases[PHASES[n - 1] ?? "upload"], s.phases[phase])),
    ...(s.kind === "whole" ? [span("all dispatches", "device", 2, s.device.start + shift, s.device.end + shift)] : []),
    ...s.dispatches.map((d) => span(d.kernel, "device", 2, d.start + shift, d.end + shift, { workgroups: d.groups, bytes: d.bytes, ...(d.flops === undefined ? {} : { flops: d.flops }) })),
  ]);
  const name = (what: string, of: string, tid: number): TraceEvent => ({ name: what, ph: "M", pid: 1, tid, args: { name: of } });
  const all = [name("process_name", "jepac", 0), name("thread_name", "host", 1), name("thread_name", device, 2), ...events];
  return `{"displayTimeUnit":"ms","traceEvents":[\n${all.map((e) => JSON.stringify(e)).join(",\n")}\n]}\n`;
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function giga(x: number): string {
  return (x / 1e9).toFixed(1);
}

function percent(x: number): string {
  return `${(100 * x).toFixed(1)} %`;
}
