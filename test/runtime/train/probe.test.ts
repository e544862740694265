/**
 * Probes: the minimizer against a known minimum, heads on separable and random features, and the whole protocol.
 */
import { expect, test } from "vitest";
import type { ProbeSpec } from "../../../runtime/abi.js";
import { stream } from "../../../runtime/base/random.js";
import { HostError } from "../../../runtime/base/errors.js";
import { syntheticSource } from "../../../runtime/data/synthetic.js";
import { probeSets } from "../../../runtime/train/datasets.js";
import { meanPool } from "../../../runtime/train/features.js";
import type { ProbeSet } from "../../../runtime/train/features.js";
import { minimize } from "../../../runtime/train/lbfgs.js";
import type { LabelledFeatures } from "../../../runtime/train/labelled.js";
import { linearProbe } from "../../../runtime/train/linear-head.js";
import { nearestAccuracy } from "../../../runtime/train/nearest.js";
import { gainText } from "../../../runtime/train/gains.js";
import { probeTable, runProbes } from "../../../runtime/train/probe.js";
import type { FactorScore } from "../../../runtime/train/probe.js";
import { fakeManifest, linearEngine, WIDTH } from "./fakes.js";

/** Gaussian blobs: class centers `apart` from each other, rows in class order unless mixed. */
function blobs(n: number, width: number, classes: number, apart: number, seed: number): LabelledFeatures {
  const centers = stream(99, "centers");
  const center = Float32Array.from({ length: classes * width }, () => centers.normal() * apart);
  const draws = stream(seed, "rows");
  const labels = Int32Array.from({ length: n }, (_, i) => i % classes);
  const features = Float32Array.from({ length: n * width }, (_, i) => draws.normal() + (center[(labels[Math.floor(i / width)] ?? 0) * width + (i % width)] ?? 0));
  return { features, labels, n, width };
}

test("the minimizer reaches the minimum of an ill-conditioned quadratic", () => {
  const scales = [1, 10, 100, 1000, 10000];
  const reached = minimize(
    (x, gradient) => scales.reduce((sum, scale, i) => {
      gradient[i] = scale * ((x[i] ?? 0) - i);
      return sum + 0.5 * scale * ((x[i] ?? 0) - i) ** 2;
    }, 0),
    new Float64Array(5),
    { iterations: 200, tolerance: 1e-8 },
  );
  reached.forEach((value, i) => expect(Math.abs(value - i)).toBeLessThan(1e-4));
});

test("separable classes are told apart by both probes", () => {
  const [train, test] = [blobs(400, 16, 4, 2, 1), blobs(200, 16, 4, 2, 2)];
  expect(linearProbe(train, test, 4).accuracy).toBeGreaterThan(0.98);
  expect(nearestAccuracy(train, test, 4)).toBeGreaterThan(0.98);
});

test("features that know nothing score like guessing", () => {
  const [train, test] = [blobs(1000, 16, 4, 0, 1), blobs(1000, 16, 4, 0, 2)];
  expect(Math.abs(linearProbe(train, test, 4).accuracy - 0.25)).toBeLessThan(0.06);
  expect(Math.abs(nearestAccuracy(train, test, 4) - 0.25)).toBeLessThan(0.06);
});

test("overlapping Gaussian classes come close to the best that any classifier can do", () => {
  // Two unit Gaussians with centers 2 apart: Bayes accuracy Φ(1) = 0.8413.
  const draws = stream(5, "two");
  const make = (n: number): LabelledFeatures => {
    const labels = Int32Array.from({ length: n }, (_, i) => i % 2);
    return { features: Float32Array.from(labels, (label) => draws.normal() + 2 * label), labels, n, width: 1 };
  };
  expect(Math.abs(linearProbe(make(4000), make(8000), 2).accuracy - 0.8413)).toBeLessThan(0.015);
});

test("what lies in a small part of the variance of correlated features is read as well as any classifier can", () => {
  // Sixteen independent parts, each with a sixteenth of what tells the classes apart, of deviations from 1 to 0.001, and mixed: the mix
  // can be undone, so that the best any classifier can do is still Φ(1) = 0.8413, for centers 2 deviations apart.
  const width = 16;
  const mixing = stream(3, "mixing");
  const mix = Float64Array.from({ length: width * width }, () => mixing.normal());
  const draws = stream(6, "rows");
  const make = (n: number): LabelledFeatures => {
    const labels = Int32Array.from({ length: n }, (_, i) => i % 2);
    const features = new Float32Array(n * width);
    labels.forEach((label, i) => {
      for (let k = 0; k < width; k++) {
        const part = (draws.normal() + (2 / Math.sqrt(width)) * label) * 10 ** (-k / 5);
        for (let j = 0; j < width; j++) features[i * width + j] = (features[i * width + j] ?? 0) + part * (mix[k * width + j] ?? 0);
      }
    });
    return { features, labels, n, width };
  };
  const { accuracy, whitened } = linearProbe(make(2000), make(8000), 2);
  expect(whitened).toBe(true);
  // Standardized features alone gave 0.797 here.
  expect(Math.abs(accuracy - 0.8413)).toBeLessThan(0.015);
});

test("the head does not care about the scale of features, nor about one that does not vary", () => {
  const [train, test] = [blobs(300, 8, 3, 1, 1), blobs(300, 8, 3, 1, 2)];
  const rescale = (data: LabelledFeatures): LabelledFeatures => ({ ...data, features: data.features.map((value, i) => (i % 8 === 0 ? 7 : value * 10 ** ((i % 8) - 4))) });
  const drop = (data: LabelledFeatures): LabelledFeatures => ({ ...data, features: data.features.map((value, i) => (i % 8 === 0 ? 7 : value)) });
  expect(Math.abs(linearProbe(rescale(train), rescale(test), 3).accuracy - linearProbe(drop(train), drop(test), 3).accuracy)).toBeLessThan(0.01);
});

test("the neighbors' vote is weighted: one twin outweighs many strangers", () => {
  const train = { features: Float32Array.of(1, 0, 0.6, 0.8, 0.6, 0.8, 0.6, 0.8), labels: Int32Array.of(0, 1, 1, 1), n: 4, width: 2 };
  const query = { features: Float32Array.of(2, 0), labels: Int32Array.of(0), n: 1, width: 2 };
  // exp(1/0.07) against 3 · exp(0.6/0.07); with a flat vote class 1 would win.
  expect(nearestAccuracy(train, query, 2, { k: 4 })).toBe(1);
  expect(nearestAccuracy(train, query, 2, { k: 4, temperature: 1 })).toBe(0);
});

test("pooling is the mean over tokens", () => {
  expect(meanPool(Float32Array.of(1, 2, 3, 4, 10, 20, 30, 40), 2, 2)).toEqual(Float32Array.of(2, 3, 20, 30));
});

test("4,000 features of width 128 in 10 classes: the linear probe is no worse than its neighbors", () => {
  const [train, test] = [blobs(4000, 128, 10, 0.15, 1), blobs(1000, 128, 10, 0.15, 2)];
  const { accuracy } = linearProbe(train, test, 10);
  const near = nearestAccuracy(train, test, 10);
  console.info(`probe of 4000 x 128, 10 classes: linear ${accuracy.toFixed(3)}, 20-nn ${near.toFixed(3)}`);
  expect(accuracy).toBeGreaterThan(near - 0.05);
}, 90_000);

function probeSet(n: number, seed: number): ProbeSet {
  const { features, labels } = blobs(n, WIDTH, 3, 1, seed);
  return {
    feed: { count: n, images: (from, to) => Promise.resolve(features.slice(from * WIDTH, to * WIDTH)) },
    factors: [{ name: "class", classes: ["a", "b", "c"], labels }, { name: "parity", classes: ["even", "odd"], labels: labels.map((label) => label % 2) }],
  };
}

test("the protocol scores every factor trained and untrained, and leaves the engine as it was", async () => {
  const manifest = fakeManifest();
  const engine = linearEngine(manifest, 7);
  const flattened = new Map(await engine.exportState());
  // A "trained" encoder that has kept one feature of six: rank 1, and worse than its start.
  flattened.set("student.weight", Float32Array.of(1, 0, 0, 0, 0, 0));
  await engine.importState(flattened);
  const heard: string[] = [];
  const report = await runProbes({ manifest, engine, seed: 7, step: 40, train: probeSet(300, 1), test: probeSet(150, 2), testName: "other blobs", onProgress: (text) => heard.push(text) });
  expect(heard.filter((text) => text.endsWith("picture 256 of 300"))).toHaveLength(2);
  expect(heard.slice(-2)).toEqual(["probing: heads and neighbors of student: class", "probing: heads and neighbors of student: parity"]);
  expect(await engine.exportState()).toEqual(flattened);
  const [score] = report.encoders;
  expect(score?.encoder).toBe("student");
  expect(score?.factors.map((factor) => factor.factor)).toEqual(["class", "parity"]);
  expect(score?.factors[0]?.chance).toBeCloseTo(1 / 3, 6);
  expect(score?.rank.trained).toBeCloseTo(1, 5);
  if (score === undefined) throw new Error("no encoder was scored");
  expect(gainText(score, report.testImages)).toMatch(/^the trained student beside the untrained one: worse on class \(linear [\d.]+ → [\d.]+ %.*\nits features fell from an effective rank of [3-6]\.\d to 1\.0, and longer training may take more/);
  expect(score?.rank.untrained ?? 0).toBeGreaterThan(3);
  expect(score?.factors[0]?.linear.untrained ?? 0).toBeGreaterThan((score?.factors[0]?.linear.trained ?? 1) + 0.1);
  const table = probeTable(report);
  expect(table).toMatch(/untrained\s+trained\s+guessing/);
  expect(table).toMatch(/linear probe of student: class \(3 classes\)/);
});

test("each encoder is asked as many neighbors as its own probe says, and the table says how many voted", async () => {
  const knn = (on: string, args: Record<string, number>): ProbeSpec => ({ kind: "knn", on, pool: "mean", args });
  const [student] = fakeManifest().encoders;
  const encoders = student === undefined ? [] : [student, { ...student, name: "teacher" }];
  const names = async (probes: readonly ProbeSpec[], rows: number): Promise<string[]> => {
    const manifest = fakeManifest({ encoders, probes });
    const report = await runProbes({ manifest, engine: linearEngine(manifest, 7), seed: 7, step: 0, train: probeSet(rows, 1), test: probeSet(30, 2), testName: "" });
    return [...probeTable(report).matchAll(/(\d+-nearest neighbors of \w+): class/g)].map(([, name]) => name ?? "");
  };
  expect(await names([knn("student", { k: 5 }), knn("teacher", { k: 9 })], 60)).toEqual(["5-nearest neighbors of student", "9-nearest neighbors of teacher"]);
  expect(await names([knn("student", {})], 60)).toEqual(["20-nearest neighbors of student"]);
  expect(await names([knn("student", {})], 12)).toEqual(["12-nearest neighbors of student"]);
});

test("a probe of an encoder that does not exist names those that do", async () => {
  const manifest = fakeManifest({ probes: [{ kind: "linear", on: "teecher", pool: "mean", args: {} }] });
  const job = { manifest, engine: linearEngine(manifest, 7), seed: 7, step: 0, train: probeSet(30, 1), test: probeSet(30, 2), testName: "" };
  await expect(runProbes(job)).rejects.toThrow(/teecher, which is no encoder/);
});

test("features and labels that are not the rows that they are said to be are refused, not read as zeros", () => {
  const set = { features: new Float32Array(12), labels: Int32Array.of(0, 1, 2, 0), n: 4, width: 3 };
  for (const score of [linearProbe, nearestAccuracy]) {
    expect(() => score({ ...set, n: 5 }, set, 3)).toThrow(new RangeError("12 numbers are not 5 rows of width 3"));
    expect(() => score(set, { ...set, labels: Int32Array.of(0, 1) }, 3)).toThrow(new RangeError("2 labels are not one for each of 4 rows"));
    expect(() => score(set, set, 2)).toThrow(new RangeError("a label is 2, and 2 classes have the numbers from 0 to 1"));
    expect(() => score(set, { ...set, features: new Float32Array(8), width: 2 }, 3)).toThrow(new RangeError("rows to fit on have width 3, rows to test on 2"));
  }
  expect(() => meanPool(new Float32Array(10), 2, 3)).toThrow(new RangeError("10 numbers are not 2 rows of width 3"));
});

test("encoders of two sizes see the same pictures: one that cannot be read for the second of them would shift all labels after it", async () => {
  const manifest = fakeManifest({
    encoders: [8, 12].map((side) => ({ name: `at ${side}`, input: "image", width: WIDTH, tokens: 0, grid: undefined, trained: true, size: { height: side, width: side, channels: 3 } })),
    probes: [8, 12].map((side): ProbeSpec => ({ kind: "linear", on: `at ${side}`, pool: "mean", args: {} })),
  });
  const source = syntheticSource({ count: 20, side: 8, seed: 1 });
  const said: string[] = [];
  const readWith = (misses: (index: number, times: number) => boolean): ReturnType<typeof probeSets> => {
    const times = new Map<number, number>();
    const decode = async (index: number): ReturnType<typeof source.decode> => {
      times.set(index, (times.get(index) ?? 0) + 1);
      if (misses(index, times.get(index) ?? 0)) throw new HostError("unreadable-image", `cannot read ${index}`, "let it be read");
      return source.decode(index);
    };
    const own = { ...source, spec: undefined, onCorrupt: "skip" as const, describe: (index: number) => source.describe(index), label: (index: number, factor?: string) => source.label(index, factor), decode };
    return probeSets(manifest, { source: own, lines: [], signature: "" }, undefined, (text) => said.push(text));
  };
  expect((await readWith((index) => index === 3))?.train.feed.count).toBe(16);
  expect(said).toEqual([expect.stringMatching(/^1 picture of .* cannot be read or decoded and is left out/)]);
  await expect(readWith((index, times) => index === 3 && times === 2)).rejects.toMatchObject({ code: "io", message: expect.stringContaining("could be read at one size and not at another") });
});

test("what training gained is told apart from what that many test samples cannot show", () => {
  const factor = (name: string, linear: [number, number], nearest: [number, number]): FactorScore => ({ factor: name, classes: 4, chance: 0.25, neighbors: 20, linear: { untrained: linear[0], trained: linear[1] }, nearest: { untrained: nearest[0], trained: nearest[1] } });
  const rank = { untrained: 20, trained: 15 };
  const factors = [factor("color", [0.5, 0.7], [0.3, 0.32]), factor("shape", [0.25, 0.27], [0.25, 0.24]), factor("cell", [0.6, 0.5], [0.2, 0.4])];
  // Three standard errors of the difference of two shares near one half are 3 √(2 · 0.25 / 1000) = 0.067 on 1,000 samples.
  expect(gainText({ encoder: "f", width: 8, rank, factors }, 1000)).toBe(
    "the trained f beside the untrained one: better on color (linear 50.0 → 70.0 %), cell (neighbors 20.0 → 40.0 %); worse on cell (linear 60.0 → 50.0 %); no difference that 1000 test samples would show on shape\ntrain for longer, try another learning rate, or look at the curves in the report",
  );
  // On ten samples 0.5 and 0.7 differ by less than chance does: 3 √((0.25 + 0.21) / 10) = 0.64.
  expect(gainText({ encoder: "f", width: 8, rank, factors }, 10)).toMatch(/^the trained f beside the untrained one: no difference that 10 test samples would show on color, shape, cell\ntrain for longer/);
  expect(gainText({ encoder: "f", width: 8, rank, factors: factors.slice(0, 2) }, 1000)).toBe("the trained f beside the untrained one: better on color (linear 50.0 → 70.0 %); no difference that 1000 test samples would show on shape");
});
