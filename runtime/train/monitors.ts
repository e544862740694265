/**
 * The run-time half of the collapse check: alarms while a program trains.
 *
 * Owns the judgement of the monitors that the compiler put into the manifest (collapse reference, 3.6). A monitor looks at
 * one number; when the number is bad on every look for `steps` steps, one alarm goes out, and no second one until the
 * number has been good again. The memory of a monitor is plain data that goes into checkpoints. Measuring is done
 * elsewhere (signals.ts, the engine); what an alarm leads to is decided by the loop.
 */
import { own } from "../base/own.js";
import type { Manifest, MonitorSpec } from "../abi.js";
import { isRecord } from "./guards.js";
import type { WatchSignal } from "./signals.js";

/** What is known after a step; parts that were not measured at this step are absent. */
export interface Observation {
  readonly step: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Weights of losses that change over training. */
  readonly weights?: Readonly<Record<string, number>>;
  readonly signals?: Readonly<Record<string, WatchSignal>>;
  /** Euclidean gradient norm by parameter group. */
  readonly gradientNorm?: Readonly<Record<string, number>>;
  /** `‖target − source‖ / ‖source‖` by EMA target. */
  readonly teacherDistance?: Readonly<Record<string, number>>;
  /** By mask, the share of images for which it kept what should have been taken out of it. */
  readonly overlap?: Readonly<Record<string, number>>;
}

/** A monitor that went off. */
export interface Alarm {
  readonly step: number;
  readonly monitor: MonitorSpec["kind"];
  /** The watch, loss, group or target it looked at. */
  readonly subject: string;
  readonly value: number;
  /** What the value was held against. */
  readonly limit: number;
  /** The first step of the bad stretch. */
  readonly since: number;
  readonly because: string;
}

/** The monitors of a run. */
export interface Monitors {
  /** Judges what was measured after a step; returns the alarms that go off now. */
  observe(seen: Observation): Alarm[];
  /** Memory as JSON, for checkpoints. */
  exportState(): string;
  /** Goes on from an exported state, so that a resumed run raises the same alarms. */
  importState(state: string): void;
}

/** The step whose effective rank later ranks are held against, and by which something is learned (collapse reference 3.6: 500, or a quarter of a short run). */
export function rankBaselineStep(total: number): number {
  return Math.max(1, Math.min(500, Math.floor(total / 4)));
}

/**
 * How many steps in a row a number must be bad: what the monitor says, but no more than a quarter of the run, or a run of
 * a few hundred steps would be over before anything could be said of it. One that is patient waits in any run: its number is bad
 * for a while in runs that come to nothing bad.
 */
export function patience(spec: Pick<MonitorSpec, "steps" | "patient">, total: number): number {
  return spec.patient === true ? spec.steps : Math.max(1, Math.min(spec.steps, Math.floor(total / 4)));
}

/** Monitors for a manifest; `total` is the number of steps of the run. */
export function createMonitors(manifest: Pick<Manifest, "monitors">, total: number): Monitors {
  const memory = manifest.monitors.map(fresh);
  return {
    observe: (seen) => manifest.monitors.flatMap((spec, at) => judge(spec, memory[at] ?? fresh(), seen, total)),
    exportState: () => JSON.stringify(memory.map(written)),
    importState(state) {
      const parsed: unknown = JSON.parse(state);
      if (!Array.isArray(parsed)) return;
      memory.forEach((slot, at) => restore(slot, parsed[at]));
    },
  };
}

/** An alarm in words: step, monitor, value, limit, and the reason the compiler gave. */
export function alarmText(alarm: Alarm): string {
  const value = Number.isFinite(alarm.value) ? alarm.value.toPrecision(3) : String(alarm.value);
  const span = alarm.since === alarm.step ? "" : ` since step ${alarm.since}`;
  return `collapse alarm at step ${alarm.step}: ${alarm.monitor} of ${alarm.subject} is ${value}, limit ${alarm.limit.toPrecision(3)}${span}. ${alarm.because}`;
}

interface Memory {
  /** First step of the bad stretch by subject. */
  readonly bad: Map<string, number>;
  readonly raised: Set<string>;
  /** Numbers a monitor compares with later: rank at the baseline step, first and highest spread, last distance. */
  readonly marks: Map<string, number>;
}

interface Reading {
  readonly subject: string;
  readonly value: number;
  readonly limit: number;
  readonly bad: boolean;
}

function fresh(): Memory {
  return { bad: new Map(), raised: new Set(), marks: new Map() };
}

function judge(spec: MonitorSpec, memory: Memory, seen: Observation, total: number): Alarm[] {
  const alarms: Alarm[] = [];
  for (const { subject, value, limit, bad } of readings(spec, memory, seen, total)) {
    if (!bad) {
      memory.bad.delete(subject);
      memory.raised.delete(subject);
      continue;
    }
    const since = memory.bad.get(subject) ?? seen.step;
    memory.bad.set(subject, since);
    if (memory.raised.has(subject) || seen.step - since + 1 < patience(spec, total)) continue;
    memory.raised.add(subject);
    alarms.push({ step: seen.step, monitor: spec.kind, subject, value, limit, since, because: spec.because });
  }
  return alarms;
}

function readings(spec: MonitorSpec, memory: Memory, seen: Observation, total: number): Reading[] {
  switch (spec.kind) {
    case "embedding-std":
      return spreadReadings(spec, memory, seen);
    case "token-std":
      return tokenReadings(spec, memory, seen);
    case "code-entropy":
      return overWatch(spec, seen, (signal) => signal.entropy);
    case "effective-rank":
      return rankReadings(spec, memory, seen, total);
    case "loss-trivial":
      return lossReadings(spec, memory, seen, total);
    case "teacher-distance":
      return distanceReadings(spec, memory, seen);
    case "gradient-norm":
      return gradientReadings(spec, seen);
    case "mask-overlap":
      return Object.entries(seen.overlap ?? {}).filter(([mask]) => mask === spec.watch).map(([subject, value]) => ({ subject, value, limit: spec.threshold, bad: value > spec.threshold }));
  }
}

/** By group; where a step was asked for gradients and has none, it is that of all parameters that is 0. */
function gradientReadings(spec: MonitorSpec, { gradientNorm }: Observation): Reading[] {
  if (gradientNorm === undefined) return [];
  const norms: [string, number][] = Object.keys(gradientNorm).length === 0 ? [["all parameters", 0]] : Object.entries(gradientNorm).filter(([group]) => spec.watch === undefined || spec.watch === group);
  return norms.map(([subject, value]) => below(subject, value, spec.threshold, true));
}

/** Bad when under the limit; with `inclusive`, also when equal (limits of exactly 0). NaN is bad: nothing can be vouched for. */
function below(subject: string, value: number, limit: number, inclusive = false): Reading {
  return { subject, value, limit, bad: Number.isNaN(value) || value < limit || (inclusive && value === limit) };
}

function overWatch(spec: MonitorSpec, seen: Observation, pick: (signal: WatchSignal) => number | undefined): Reading[] {
  return watched(spec, seen).flatMap(([name, signal]) => {
    const value = pick(signal);
    return value === undefined ? [] : [below(name, value, spec.threshold)];
  });
}

/** The signals a monitor looks at: its own watch, or all of them when it names none. */
function watched(spec: MonitorSpec, seen: Observation): [string, WatchSignal][] {
  return Object.entries(seen.signals ?? {}).filter(([name]) => spec.watch === undefined || spec.watch === name);
}

/**
 * Spread against the threshold, or against half of the first reading where that is less: features of an untrained vision
 * transformer already spread by under 0.2, because every picture has the same positions. Never less than a tenth of it.
 */
function spreadReadings(spec: MonitorSpec, memory: Memory, seen: Observation): Reading[] {
  return watched(spec, seen).map(([name, { std }]) => {
    const first = memory.marks.get(name) ?? std;
    memory.marks.set(name, first);
    const limit = Number.isNaN(first) ? spec.threshold : Math.max(spec.threshold / 10, Math.min(spec.threshold, first / 2));
    return below(name, std, limit);
  });
}

/**
 * Spread over pictures by spread over positions against the threshold, or against a quarter of the first reading where that is more:
 * what told pictures apart and comes to tell positions has fallen, long before nothing is left. Never against more than a quarter.
 */
function tokenReadings(spec: MonitorSpec, memory: Memory, seen: Observation): Reading[] {
  return watched(spec, seen).flatMap(([name, { imagesToTokens }]) => {
    if (imagesToTokens === undefined) return [];
    const first = memory.marks.get(name) ?? imagesToTokens;
    memory.marks.set(name, first);
    return [below(name, imagesToTokens, Number.isNaN(first) ? spec.threshold : Math.max(spec.threshold, Math.min(0.25, first / 4)))];
  });
}

function rankReadings(spec: MonitorSpec, memory: Memory, seen: Observation, total: number): Reading[] {
  return watched(spec, seen).flatMap(([name, signal]) => {
    const mark = memory.marks.get(name);
    if (mark !== undefined) return [below(name, signal.rank, spec.threshold * mark)];
    if (seen.step >= rankBaselineStep(total)) memory.marks.set(name, signal.rank);
    return [];
  });
}

/** Steps that any run is given to predict something. */
const PREDICTS_BY = 20;

/**
 * Bad while a loss sits within the threshold of a trivial value. When the monitor also names a watch, its features must have
 * lost half of their highest spread as well: a loss may pass its trivial value on the way to a good one. Every run begins
 * with a prediction that says nothing, so that value counts from the baseline step on, and never in the first
 * {@link PREDICTS_BY}: a trial of a few steps has learned nothing, and nothing can be said of it.
 */
function lossReadings(spec: MonitorSpec, memory: Memory, seen: Observation, total: number): Reading[] {
  for (const [name, signal] of spec.watch === undefined ? [] : watched(spec, seen)) {
    memory.marks.set(`top ${name}`, Math.max(memory.marks.get(`top ${name}`) ?? 0, signal.std));
    memory.marks.set(`now ${name}`, signal.std);
  }
  const top = memory.marks.get(`top ${spec.watch ?? ""}`);
  const now = memory.marks.get(`now ${spec.watch ?? ""}`);
  const falling = spec.watch === undefined || (top !== undefined && now !== undefined && now < top / 2);
  const value = spec.loss === undefined ? undefined : own(seen.losses, spec.loss);
  if (spec.loss === undefined || value === undefined || spec.trivial === undefined) return [];
  const first = memory.marks.get("first") ?? value;
  memory.marks.set("first", first);
  // What weighs nothing in this step is not being trained, and may have any value.
  const counts = falling && own(seen.weights ?? {}, spec.loss) !== 0 && (spec.trivial.of !== "no prediction" || seen.step >= Math.max(PREDICTS_BY, rankBaselineStep(total)));
  const apart = value - spec.trivial.value;
  // Codes that go under their least are no codes.
  const near = (spec.trivial.of === "one code" ? apart : Math.abs(apart)) <= room(spec, Math.abs(first - spec.trivial.value));
  return [{ subject: spec.loss, value, limit: spec.trivial.value, bad: counts && near }];
}

/** How near a loss counts as at its trivial value, which was `way` from its first one. */
function room({ threshold, share = 0, most = Infinity }: MonitorSpec, way: number): number {
  // A loss that begins where it should not be is there, whatever share of no way that is.
  return way === 0 ? threshold : Math.min(Math.max(threshold, share * way), most * way);
}

/** Bad when a teacher is its student (distance within the threshold, 0 for aliased weights) or has not moved since the last look. */
function distanceReadings(spec: MonitorSpec, memory: Memory, seen: Observation): Reading[] {
  return Object.entries(seen.teacherDistance ?? {}).filter(([target]) => spec.watch === undefined || spec.watch === target).map(([target, value]) => {
    const before = memory.marks.get(target);
    memory.marks.set(target, value);
    const reading = below(target, value, spec.threshold, true);
    return before === value ? { ...reading, bad: true } : reading;
  });
}

/** A memory as plain data, in the order that things were remembered. */
function written(slot: Memory): unknown {
  return { bad: Object.fromEntries(slot.bad), raised: Object.fromEntries([...slot.raised].map((subject) => [subject, true])), marks: Object.fromEntries(slot.marks) };
}

function restore(slot: Memory, state: unknown): void {
  if (!isRecord(state)) return;
  refill(slot.bad, numbersOf(state["bad"]));
  refill(slot.marks, numbersOf(state["marks"]));
  slot.raised.clear();
  for (const subject of Object.keys(isRecord(state["raised"]) ? state["raised"] : {})) slot.raised.add(subject);
}

function refill(map: Map<string, number>, entries: readonly [string, number][]): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}

function numbersOf(value: unknown): [string, number][] {
  return Object.entries(isRecord(value) ? value : {}).flatMap(([key, item]): [string, number][] => (typeof item === "number" ? [[key, item]] : []));
}
