/**
 * Signals and monitors: what they measure against closed forms, when alarms go off, and that their memory survives.
 */
import { expect, test } from "vitest";
import { stream } from "../../../runtime/base/random.js";
import { alarmText, createMonitors, patience, rankBaselineStep } from "../../../runtime/train/monitors.js";
import type { Alarm, Monitors, Observation } from "../../../runtime/train/monitors.js";
import { codeEntropy, createSignals, tokenRatio } from "../../../runtime/train/signals.js";
import type { WatchSignal } from "../../../runtime/train/signals.js";
import { teacherDistance } from "../../../runtime/train/loop.js";
import { fakeManifest, monitor } from "./fakes.js";

const healthy: WatchSignal = { std: 0.9, rank: 20, imagesToTokens: 1, rows: 100, entropy: 0.9 };

function seen(step: number, change: Partial<WatchSignal> = {}, loss = 1): Observation {
  return { step, losses: { loss }, signals: { student: { ...healthy, ...change } } };
}

function alarmsOf(monitors: Monitors, observations: readonly Observation[]): Alarm[] {
  return observations.flatMap((observation) => monitors.observe(observation));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

test("a spread under the threshold alarms once it has held for long enough, and once only", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 5)] }), 1000);
  const alarms = alarmsOf(monitors, range(1, 30).map((step) => seen(step, { std: step >= 10 ? 0.1 : 0.9 })));
  expect(alarms).toEqual([{ step: 14, monitor: "embedding-std", subject: "student", value: 0.1, limit: 0.2, since: 10, because: "the loss is protected by dynamics only" }]);
  expect(alarmText(alarms[0] ?? raise())).toBe("collapse alarm at step 14: embedding-std of student is 0.100, limit 0.200 since step 10. the loss is protected by dynamics only");
});

test("a spread that recovers starts counting anew", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 5)] }), 1000);
  expect(alarmsOf(monitors, range(1, 40).map((step) => seen(step, { std: step % 4 === 0 ? 0.9 : 0.1 })))).toEqual([]);
});

test("a spread that recovers and falls again alarms again", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 3)] }), 1000);
  const alarms = alarmsOf(monitors, range(1, 30).map((step) => seen(step, { std: step < 5 || (step > 12 && step < 20) ? 0.9 : 0.1 })));
  expect(alarms.map(({ since, step }) => [since, step])).toEqual([[5, 7], [20, 22]]);
});

test("features that begin with a small spread are held against half of it, and never against less than a tenth of the limit", () => {
  const from = (first: number, then: number): number | undefined => {
    const monitors = createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 1)] }), 1000);
    return alarmsOf(monitors, [seen(1, { std: first }), seen(2, { std: then })])[0]?.limit;
  };
  expect(from(0.18, 0.1)).toBeUndefined();
  expect(from(0.18, 0.08)).toBe(0.09);
  expect(from(0.03, 0.025)).toBeUndefined();
  expect(from(0.01, 0.01)).toBeCloseTo(0.02, 12);
});

test("in a short run a quarter of it is long enough", () => {
  expect(patience({ steps: 200 }, 10_000)).toBe(200);
  expect(patience({ steps: 200 }, 160)).toBe(40);
  expect(patience({ steps: 200 }, 2)).toBe(1);
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 200)] }), 40);
  expect(alarmsOf(monitors, range(1, 40).map((step) => seen(step, { std: step >= 20 ? 0.1 : 0.9 }))).map((a) => a.step)).toEqual([29]);
});

test("a patient monitor waits in a short run as long as in any", () => {
  const steps = range(1, 60).map((step) => seen(step, { std: step >= 10 && step < 40 ? 0.1 : 0.9 }));
  const of = (change: { patient?: true }): number => alarmsOf(createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 200, change)] }), 60), steps).length;
  expect([of({}), of({ patient: true })]).toEqual([1, 0]);
  expect(alarmsOf(createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 200, { patient: true })] }), 300), range(1, 300).map((step) => seen(step, { std: 0.01 }))).map((a) => a.step)).toEqual([200]);
});

test("features that are not numbers alarm too", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("embedding-std", 0.2, 1)] }), 1000);
  expect(monitors.observe(seen(1, { std: NaN })).length).toBe(1);
});

test("the effective rank is held against its value at the baseline step", () => {
  expect(rankBaselineStep(10_000)).toBe(500);
  expect(rankBaselineStep(400)).toBe(100);
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("effective-rank", 0.25, 1)] }), 400);
  expect(alarmsOf(monitors, [seen(50, { rank: 3 }), seen(100, { rank: 40 }), seen(150, { rank: 11 })])).toEqual([]);
  expect(monitors.observe(seen(200, { rank: 9 }))[0]?.limit).toBe(10);
});

test("images over tokens catches a positional collapse", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("token-std", 0.05, 2)] }), 100);
  expect(alarmsOf(monitors, [1, 2, 3].map((step) => seen(step, { imagesToTokens: 0.01 }))).map((alarm) => alarm.step)).toEqual([2]);
});

test("a loss at its trivial value alarms, with a watch only while its spread falls", () => {
  const trivial = { value: Math.log(64), of: "uniform codes" } as const;
  const plain = createMonitors(fakeManifest({ monitors: [monitor("loss-trivial", 1e-3, 3, { loss: "loss", trivial })] }), 100);
  expect(alarmsOf(plain, range(1, 5).map((step) => seen(step, {}, Math.log(64) + 1e-4))).map((alarm) => alarm.step)).toEqual([3]);
  const careful = createMonitors(fakeManifest({ monitors: [monitor("loss-trivial", 1e-3, 1, { loss: "loss", watch: "student", trivial })] }), 100);
  expect(careful.observe(seen(1, {}, Math.log(64)))).toEqual([]);
  expect(careful.observe(seen(2, { std: 0.3 }, Math.log(64))).length).toBe(1);
});

test("images over tokens are held against a quarter of their first reading, and never against more than a quarter", () => {
  const of = (first: number, later: number): number => {
    const monitors = createMonitors(fakeManifest({ monitors: [monitor("token-std", 0.05, 1)] }), 100);
    return alarmsOf(monitors, [seen(1, { imagesToTokens: first }), seen(2, { imagesToTokens: later })]).length;
  };
  // An untrained vision transformer begins at a third; another network may begin at 8 and fall to 1 as it learns.
  expect([of(0.36, 0.1), of(0.36, 0.08), of(8, 1), of(8, 0.24), of(0.04, 0.049)]).toEqual([0, 1, 0, 1, 1]);
});

test("a refused term is at its constant when little of its way is left, another one when next to nothing is", () => {
  const run = (spec: { share?: number; most?: number; of?: "constant" | "one code" }, losses: readonly number[], value = 0): number[] => {
    const monitors = createMonitors(fakeManifest({ monitors: [monitor("loss-trivial", 1e-3, 1, { loss: "loss", trivial: { value, of: spec.of ?? "constant" }, ...spec })] }), 100);
    return alarmsOf(monitors, losses.map((loss, at) => seen(at + 1, {}, loss))).map((a) => a.step);
  };
  expect(run({}, [0.6, 0.04, 0.02])).toEqual([]);
  expect(run({ share: 0.05 }, [0.6, 0.04, 0.02])).toEqual([3]);
  expect(run({ share: 0.05 }, [-0.1, -0.94, -0.96], -1)).toEqual([3]);
  // Begins within the threshold: 0.0008 is nothing that was lost, 0.000007 is.
  expect(run({}, [0.0008, 0.0004, 0.000007])).toEqual([1]);
  expect(run({ most: 0.01 }, [0.0008, 0.0004, 0.000007])).toEqual([3]);
  expect(run({ most: 0.01 }, [0, 0])).toEqual([1]);
  // No codes have a cross-entropy under 0.
  expect([run({}, [1, -3]), run({ of: "one code" }, [1, -3])]).toEqual([[], [2]]);
});

test("what a refused loss began with is remembered by a run that goes on", () => {
  const manifest = fakeManifest({ monitors: [monitor("loss-trivial", 1e-3, 3, { loss: "loss", trivial: { value: 0, of: "constant" }, share: 0.05 })] });
  const steps = range(1, 12).map((step) => seen(step, {}, 1 / step ** 2));
  const whole = alarmsOf(createMonitors(manifest, 100), steps);
  expect(whole.map((a) => [a.step, a.since])).toEqual([[7, 5]]);
  const [first, second] = [createMonitors(manifest, 100), createMonitors(manifest, 100)];
  const before = alarmsOf(first, steps.slice(0, 4));
  second.importState(first.exportState());
  expect([...before, ...alarmsOf(second, steps.slice(4))]).toEqual(whole);
});

test("a loss at the value of predicting nothing alarms, but not at the start, where nothing is predicted yet", () => {
  const trivial = { value: 0.4247, of: "no prediction" } as const;
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("loss-trivial", 0.0085, 200, { loss: "loss", trivial })] }), 400);
  const alarms = alarmsOf(monitors, range(1, 400).map((step) => seen(step, {}, 0.43)));
  expect(alarms.map(({ step, since, limit }) => [step, since, limit])).toEqual([[199, 100, 0.4247]]);
  expect(alarmsOf(createMonitors(fakeManifest({ monitors: [monitor("loss-trivial", 0.0085, 200, { loss: "loss", trivial })] }), 400), range(1, 400).map((step) => seen(step, {}, step < 150 ? 0.43 : 0.41)))).toEqual([]);
});

test("a group without gradient alarms at the first step, by name", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("gradient-norm", 0, 1)] }), 100);
  const alarms = monitors.observe({ step: 1, losses: {}, gradientNorm: { student: 0.4, head: 0 } });
  expect(alarms.map((alarm) => alarm.subject)).toEqual(["head"]);
});

test("a run in which nothing has a gradient alarms at the first step; a monitor of one group looks at no other", () => {
  const of = (watch: string | undefined, gradientNorm: Record<string, number> | undefined): string[] =>
    createMonitors(fakeManifest({ monitors: [monitor("gradient-norm", 0, 1, { watch })] }), 100).observe({ step: 1, losses: {}, ...(gradientNorm === undefined ? {} : { gradientNorm }) }).map(alarmText);
  expect(of(undefined, {})).toEqual(["collapse alarm at step 1: gradient-norm of all parameters is 0.00, limit 0.00. the loss is protected by dynamics only"]);
  expect(of(undefined, undefined)).toEqual([]);
  expect([of("student", { student: 0.4, head: 0 }).length, of("head", { student: 0.4, head: 0 }).length]).toEqual([0, 1]);
});

test("a mask that keeps what should be taken out of it for most images alarms, another one does not", () => {
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("mask-overlap", 0.5, 3, { watch: "context" })] }), 100);
  const alarms = (context: number, targets: number): number[] => alarmsOf(monitors, range(1, 5).map((step) => ({ step, losses: {}, overlap: { context, targets } }))).map((a) => a.step);
  expect([alarms(0.4, 1), alarms(0.6, 0)]).toEqual([[], [3]]);
});

test("a teacher that is its student, or never moves, alarms", () => {
  const of = (first: number, second: number): number => {
    const monitors = createMonitors(fakeManifest({ monitors: [monitor("teacher-distance", 0, 1)] }), 100);
    return alarmsOf(monitors, [first, second].map((value, i) => ({ step: 10 * (i + 1), losses: {}, teacherDistance: { teacher: value } }))).length;
  };
  expect(of(0, 0)).toBe(1);
  expect(of(0.5, 0.5)).toBe(1);
  expect(of(0.5, 0.4)).toBe(0);
});

test("the distance of a teacher is relative and over all its parameters", () => {
  const state = new Map([["student.weight", Float32Array.of(3, 4, 0, 0, 0, 0)], ["teacher.weight", Float32Array.of(3, 3, 0, 0, 0, 0)]]);
  expect(teacherDistance(fakeManifest(), state)).toEqual({ teacher: 1 / 5 });
});

test("memory survives: monitors stopped in the middle of a bad stretch alarm when they would have", () => {
  const manifest = fakeManifest({ monitors: [monitor("embedding-std", 0.2, 6), monitor("effective-rank", 0.25, 1)] });
  const steps = range(1, 20).map((step) => seen(step, { std: step > 8 ? 0.1 : 0.9, rank: step > 15 ? 1 : 20 }));
  const whole = alarmsOf(createMonitors(manifest, 20), steps);
  const first = createMonitors(manifest, 20);
  const before = alarmsOf(first, steps.slice(0, 11));
  const second = createMonitors(manifest, 20);
  second.importState(first.exportState());
  expect([...before, ...alarmsOf(second, steps.slice(11))]).toEqual(whole);
  expect(whole.length).toBe(2);
});

test("features are asked for on the last steps before a reading only, enough to fill the queue", () => {
  const signals = createSignals([{ name: "z", width: 8, over: "images" }], 10, 50, 1000);
  expect(range(1, 100).filter((step) => signals.wants(step))).toEqual([47, 48, 49, 50, 97, 98, 99, 100]);
  expect(range(1, 100).filter((step) => signals.due(step))).toEqual([50, 100]);
});

test("isotropic features read a spread near 1 and a full rank, constant ones 0", () => {
  const width = 8;
  const draws = stream(1, "test");
  const signals = createSignals([{ name: "z", width, over: "images" }], 32, 1, 10);
  signals.push({ z: Float32Array.from({ length: 32 * width }, () => draws.normal()) });
  const good = signals.read()["z"];
  expect(good?.std).toBeGreaterThan(0.9);
  expect(good?.rank).toBeGreaterThan(7);
  signals.push({ z: new Float32Array(32 * width).fill(1) });
  expect(signals.read()["z"]?.std).toBeLessThan(1e-6);
  expect(signals.read()["z"]?.rows).toBe(32);
});

test("the token ratio tells features of the position from features of the image", () => {
  const [batch, tokens, width] = [4, 5, 3];
  const draws = stream(2, "test");
  const code = Float32Array.from({ length: 64 }, () => draws.normal());
  const make = (at: (image: number, token: number) => number): Float32Array =>
    Float32Array.from({ length: batch * tokens * width }, (_, i) => code[(at(Math.floor(i / (tokens * width)), Math.floor(i / width) % tokens) * width + (i % width)) % 64] ?? 0);
  expect(tokenRatio(make((_, token) => token), batch, width)).toBeLessThan(1e-6);
  expect(tokenRatio(make((image) => image), batch, width)).toBe(Infinity);
  expect(tokenRatio(Float32Array.from({ length: 64 * 64 * 4 }, () => draws.normal()), 64, 4)).toBeCloseTo(1, 1);
});

test("an encoder of tokens has its pictures held against its positions", () => {
  const width = 4;
  const signals = createSignals([{ name: "z", width, over: "images" }, { name: "z by position", width, over: "positions", of: "z" }], 8, 1, 10);
  const rows = (n: number, scale: number): Float32Array => Float32Array.from({ length: n * width }, (_, i) => scale * (Math.floor(i / width) % 2));
  signals.push({ z: rows(8, 0.1), "z by position": rows(16, 2) });
  const read = signals.read();
  expect(Object.keys(read)).toEqual(["z"]);
  expect(read["z"]?.imagesToTokens).toBeCloseTo(0.05, 6);
  expect([...signals.exportState().keys()]).toEqual(["z"]);
  // One picture has no spread: nothing can be said of it, and no alarm goes off.
  const alone = createSignals([{ name: "z", width, over: "images" }, { name: "z by position", width, over: "positions", of: "z" }], 8, 1, 10);
  for (const scale of [1, 2]) alone.push({ z: rows(1, scale), "z by position": rows(16, 2) });
  expect(alone.read()["z"]?.rows).toBe(2);
  expect(alone.read()["z"]?.imagesToTokens).toBeUndefined();
});

test("code entropy is 1 for balanced codes and 0 for one code", () => {
  expect(codeEntropy(Float32Array.of(0.5, 0.5))).toBeCloseTo(1, 12);
  expect(codeEntropy(Float32Array.of(1, 0))).toBe(0);
  expect(codeEntropy(Float32Array.of(0.97, 0.01, 0.01, 0.01))).toBeCloseTo((-0.97 * Math.log(0.97) - 0.03 * Math.log(0.01)) / Math.log(4), 6);
});

test("the entropy of codes is read of the watched codes, the least of several, and alarms where all rows have one", () => {
  const watches = [{ name: "f", width: 2, over: "images" }, { name: "codes of f", width: 3, over: "codes", of: "f" }, { name: "codes of f 2", width: 2, over: "codes", of: "f" }] as const;
  const signals = createSignals(watches, 2, 1, 10);
  signals.push({ f: Float32Array.of(1, 0, 0, 1), "codes of f": Float32Array.of(1 / 3, 1 / 3, 1 / 3), "codes of f 2": Float32Array.of(1, 0) });
  const read = signals.read();
  expect(Object.keys(read)).toEqual(["f"]);
  expect(read["f"]?.entropy).toBe(0);
  expect(read["f"]?.imagesToTokens).toBeUndefined();
  const monitors = createMonitors(fakeManifest({ monitors: [monitor("code-entropy", 1e-3, 1, { watch: "f" })] }), 100);
  expect(monitors.observe({ step: 1, losses: {}, signals: read }).map((a) => a.subject)).toEqual(["f"]);
});

function raise(): never {
  throw new Error("there was no alarm");
}

test.each(["constructor", "__proto__", "toString"])("an encoder called %s is watched, judged and remembered like any other", (name) => {
  const signals = createSignals([{ name, width: 2, over: "images" }], 4, 2, 10);
  signals.push({});
  expect(Object.keys(signals.read())).toEqual([]);
  signals.push(Object.fromEntries([[name, Float32Array.of(1, 0, 0, 1, 1, 1, 0, 0)]]));
  expect(Object.entries(signals.read()).map(([key, signal]) => [key, signal.rows])).toEqual([[name, 4]]);

  const manifest = fakeManifest({ monitors: [monitor("embedding-std", 0.2, 3)] });
  const low = (step: number): Observation => ({ step, losses: {}, signals: Object.fromEntries([[name, { ...healthy, std: 0.01 }]]) });
  const whole = alarmsOf(createMonitors(manifest, 100), [4, 5, 6, 7].map(low));
  expect(whole.map(({ step, subject, since }) => ({ step, subject, since }))).toEqual([{ step: 6, subject: name, since: 4 }]);
  const first = createMonitors(manifest, 100);
  expect(alarmsOf(first, [4, 5].map(low))).toEqual([]);
  const second = createMonitors(manifest, 100);
  second.importState(first.exportState());
  expect(alarmsOf(second, [6, 7].map(low))).toEqual(whole);
});
