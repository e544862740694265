/** Schedules against the worked example of the published ViT-H/14 run (I-JEPA facts, 4.1). */
import { expect, test } from "vitest";
import type { Schedule } from "../../../runtime/abi.js";
import { durationSteps, scheduleValue } from "../../../runtime/optim/schedule.js";
import { resolveRecipe } from "../../../runtime/train/recipe.js";
import { fakeManifest } from "../train/fakes.js";

const run = { steps: 300 * 625, stepsPerEpoch: 625 };
const rate: Schedule = { kind: "warmup_cosine", points: [2e-4, 1e-3, 1e-6], warmup: { unit: "epochs", value: 40 }, stretch: 1 };
const decay: Schedule = { kind: "cosine", points: [0.04, 0.4], warmup: undefined, stretch: 1 };
const momentum: Schedule = { kind: "linear", points: [0.996, 1], warmup: undefined, stretch: 1 };

function near(actual: number, expected: number, tolerance = 1e-9): void {
  expect(Math.abs(actual - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(tolerance);
}

test("the learning rate follows the worked example of the published run", () => {
  near(scheduleValue(rate, 1, run), 2.00032e-4);
  near(scheduleValue(rate, 24_999, run), 9.99968e-4);
  near(scheduleValue(rate, 25_000, run), 1e-3, 0);
  near(scheduleValue(rate, 93_750, run), 6.200381743e-4, 1e-12);
  near(scheduleValue(rate, 187_500, run), 1e-6, 1e-15);
});

test("the weight decay is a cosine from the first step, without warm-up", () => {
  near(scheduleValue(decay, 1, run), 0.04 + 0.36 * 0.5 * (1 - Math.cos(Math.PI / 187_500)), 1e-15);
  near(scheduleValue(decay, 1, run), 0.040000003, 3e-9);
  near(scheduleValue(decay, 93_750, run), 0.22);
  near(scheduleValue(decay, 187_500, run), 0.4);
});

test("the momentum starts at exactly its first value and is read at the zero-based step", () => {
  expect(scheduleValue(momentum, 1, run)).toBe(0.996);
  near(scheduleValue(momentum, 2, run), 0.9960000213, 5e-11);
  expect(scheduleValue(momentum, 187_501, run)).toBe(1);
});

test("a run's momentum on a cosine starts at exactly its first value too (BYOL, DINO)", () => {
  const of = (schedule: Schedule) => resolveRecipe(fakeManifest({ ema: [{ target: "teacher", source: "student", momentum: schedule }] }), 80, { duration: { unit: "steps", value: 40 } });
  const byol = (k: number): number => 1 - (1 - 0.996) * 0.5 * (Math.cos((Math.PI * k) / 40) + 1);
  for (const k of [0, 1, 20, 39]) near(of({ ...momentum, kind: "cosine" }).hyperAt(k + 1).momentum["teacher"] ?? 0, byol(k), 1e-15);
  for (const k of [0, 1, 20, 39]) near(of(momentum).hyperAt(k + 1).momentum["teacher"] ?? 0, 0.996 + 0.004 * (k / 40), 1e-15);
});

test("a learning rate that ends above its peak rises to that end, and is not there at once", () => {
  const rising: Schedule = { ...rate, points: [1e-4, 1e-3, 2e-3] };
  near(scheduleValue(rising, 25_000, run), 1e-3, 1e-12);
  near(scheduleValue(rising, 25_000 + (187_500 - 25_000) / 2, run), 1.5e-3, 1e-12);
  near(scheduleValue(rising, 187_500, run), 2e-3, 1e-12);
});

test("a stretched horizon stops short of the end, as V-JEPA wants it", () => {
  const stretched: Schedule = { ...decay, stretch: 1.25 };
  near(scheduleValue(stretched, 187_500, run), 0.4 - 0.36 * 0.5 * (1 + Math.cos(Math.PI * 0.8)), 1e-12);
  near(scheduleValue({ ...momentum, stretch: 1.25 }, 187_501, run), 0.996 + 0.004 * 0.8, 1e-12);
});

test("steps after the horizon keep the last value", () => {
  near(scheduleValue(rate, 400_000, run), 1e-6, 1e-15);
  near(scheduleValue(decay, 400_000, run), 0.4, 0);
  expect(scheduleValue(momentum, 400_000, run)).toBe(1);
});

test("durations are cut to whole steps", () => {
  expect(durationSteps({ unit: "epochs", value: 0.75 }, 31)).toBe(23);
  expect(durationSteps({ unit: "steps", value: 40 }, 31)).toBe(40);
});

test("a schedule with the wrong number of points is refused in words", () => {
  expect(() => scheduleValue({ ...rate, points: [1e-3] }, 1, run)).toThrow(/warmup_cosine schedule takes 3/);
  expect(() => scheduleValue({ ...decay, points: [0.1, Number.NaN] }, 1, run)).toThrow(/finite/);
});
