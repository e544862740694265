/**
 * Schedules: a hyper-parameter as a function of the step.
 *
 * Owns the four forms of the contract (`abi.ts`) with the exact formulas of the I-JEPA release, odd ones included: the
 * learning rate and the weight decay are read at the 1-based step, the momentum at the 0-based one; warm-up and horizon
 * are cut to whole steps (except the momentum's). Being functions of the step alone, they need no state to resume.
 */
import type { Duration, Schedule } from "../abi.js";
import { HostError } from "../base/errors.js";

/** The length of a run, in steps. */
export interface Horizon {
  readonly steps: number;
  readonly stepsPerEpoch: number;
}

/** A duration in whole steps: `trunc(epochs · stepsPerEpoch)`. Throws a RangeError where that is no number of steps. */
export function durationSteps(duration: Duration, stepsPerEpoch: number): number {
  const steps = Math.trunc(duration.unit === "epochs" ? duration.value * stepsPerEpoch : duration.unit === "steps" ? duration.value : NaN);
  if (!(steps >= 0 && Number.isFinite(steps))) throw new RangeError(`${duration.value} ${duration.unit} with ${stepsPerEpoch} steps an epoch are no number of steps`);
  return steps;
}

function points(schedule: Schedule, count: number): readonly number[] {
  if (schedule.points.length === count && schedule.points.every(Number.isFinite)) return schedule.points;
  throw new HostError("bad-schedule", `a ${schedule.kind} schedule takes ${count} finite numbers, got [${schedule.points.join(", ")}]`, "compile the program again with this version of jepac");
}

/** Half cosine from 1 (x = 0) to 0 (x = 1). */
function halfCosine(x: number): number {
  return 0.5 * (1 + Math.cos(Math.PI * x));
}

/** I-JEPA weight decay: cosine from t = 1 without warm-up, and never past its end. */
function cosine(from: number, to: number, t: number, total: number): number {
  const value = to + (from - to) * halfCosine(t / total);
  return to <= from ? Math.max(to, value) : Math.min(to, value);
}

/** I-JEPA learning rate: linear to the peak over `warmup` steps, then half a cosine to `final`, and never past it. */
function warmupCosine(start: number, peak: number, final: number, t: number, warmup: number, total: number): number {
  if (t < warmup) return start + (t / Math.max(1, warmup)) * (peak - start);
  const value = final + (peak - final) * halfCosine((t - warmup) / Math.max(1, total - warmup));
  return final <= peak ? Math.max(final, value) : Math.min(final, value);
}

/**
 * The value at step `t` (1-based) of a run of `horizon` length (reference: I-JEPA facts, 4.1).
 * - `constant [v]`
 * - `linear [from, to]`: the momentum form, `from + i(to − from)/(stretch · steps)` with `i = t − 1`: step 1 gets exactly `from`.
 * - `cosine [from, to]`: the weight-decay form; reaches `to` at `trunc(stretch · steps)` and stays.
 * - `warmup_cosine [start, peak, final]`: the learning-rate form, with the horizon `trunc(stretch · steps)`.
 * Throws `HostError` "bad-schedule" when the points do not fit the form, and a RangeError for a step or a horizon that is none.
 */
export function scheduleValue(schedule: Schedule, t: number, horizon: Horizon): number {
  for (const [what, value] of [["the step", t], ["the horizon's steps", horizon.steps], ["the horizon's stepsPerEpoch", horizon.stepsPerEpoch]] as const) {
    if (!Number.isFinite(value)) throw new RangeError(`${what} is ${value}, not a number`);
  }
  const total = Math.trunc(schedule.stretch * horizon.steps);
  switch (schedule.kind) {
    case "constant": {
      const [value = 0] = points(schedule, 1);
      return value;
    }
    case "linear": {
      const [from = 0, to = 0] = points(schedule, 2);
      const value = from + ((t - 1) * (to - from)) / (horizon.steps * schedule.stretch);
      return to >= from ? Math.min(to, value) : Math.max(to, value);
    }
    case "cosine": {
      const [from = 0, to = 0] = points(schedule, 2);
      return cosine(from, to, Math.min(t, Math.max(1, total)), Math.max(1, total));
    }
    case "warmup_cosine": {
      const [start = 0, peak = 0, final = 0] = points(schedule, 3);
      const warmup = schedule.warmup === undefined ? 0 : durationSteps(schedule.warmup, horizon.stepsPerEpoch);
      return warmupCosine(start, peak, final, Math.min(t, Math.max(warmup, total)), warmup, total);
    }
  }
}

/**
 * The momentum of a moving average at step `t` (1-based): read at the 0-based step, so that step 1 gets exactly the first value
 * (I-JEPA facts, 4.1; for the cosine BYOL 3.2 and the code of DINO). `linear` is the momentum form and counts so by itself.
 */
export function momentumValue(schedule: Schedule, t: number, horizon: Horizon): number {
  return scheduleValue(schedule, schedule.kind === "linear" ? t : t - 1, horizon);
}
