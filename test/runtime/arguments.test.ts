/** Numbers that callers hand to the runtime: what would give a wrong number in place of an answer is refused in words. */
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Schedule } from "../../runtime/index.js";
import { durationSteps, linearProbe, nearestAccuracy, resolveRecipe, scheduleValue, writeSafetensors } from "../../runtime/index.js";
import { createEngine, evalSet, folderSource, loadCompiled, syntheticSource } from "../../runtime/node.js";
import { small, temporary } from "../compiler/cli/support.js";
import { compileRepo } from "../fidelity/compiled.js";

/** Two classes on two axes, `each` rows of both: every neighbor of a row is of its class. */
const set = (each: number, change: (features: Float32Array) => void = () => undefined): Parameters<typeof nearestAccuracy>[0] => {
  const features = Float32Array.from({ length: each * 4 }, (_, i) => ((i >> 1) % 2 === i % 2 ? 1 : 0.1));
  change(features);
  return { features, n: 2 * each, width: 2, labels: Int32Array.from({ length: 2 * each }, (_, i) => i % 2) };
};

test("a vote without voters, or by a temperature that is none, is refused; sound ones are as they were", () => {
  expect(nearestAccuracy(set(4), set(2), 2, { k: 3 })).toBe(1);
  expect(nearestAccuracy(set(4), set(2), 2, { k: 50, temperature: 0.01 })).toBe(1);
  for (const k of [0, -1, 1.5, NaN]) expect(() => nearestAccuracy(set(4), set(2), 2, { k })).toThrow(new RangeError(`k is ${k}, not a whole number of neighbors from 1 on`));
  for (const temperature of [0, -0.07, NaN, Infinity]) expect(() => nearestAccuracy(set(4), set(2), 2, { temperature })).toThrow(new RangeError(`the temperature is ${temperature}, not a number above 0`));
});

test("features that are no numbers, and sets without rows, have no accuracy", () => {
  const broken = set(4, (features) => { features[5] = NaN; });
  for (const score of [nearestAccuracy, linearProbe]) {
    expect(() => score(broken, set(2), 2)).toThrow("feature 1 of row 2 is NaN");
    expect(() => score(set(4), set(2, (f) => { f[0] = Infinity; }), 2)).toThrow("feature 0 of row 0 is Infinity");
    expect(() => score(set(4), set(0), 2)).toThrow("a set has no rows");
    expect(() => score(set(0), set(4), 2)).toThrow("a set has no rows");
  }
});

test("arrays of types that the format does not hold here are not written as bytes", () => {
  for (const data of [Float64Array.of(1), [1], new Uint16Array(1), undefined]) {
    const write = (): unknown => Reflect.apply(writeSafetensors, undefined, [[{ name: "a", shape: [1], data: data ?? { length: 1 } }]]);
    expect(write).toThrow('"a" is no array of a type that is written');
  }
});

test("steps, horizons and durations that are none have no value", () => {
  const schedule: Schedule = { kind: "cosine", points: [0.1, 0.4], warmup: undefined, stretch: 1 };
  expect(scheduleValue(schedule, 100, { steps: 100, stepsPerEpoch: 10 })).toBe(0.4);
  expect(() => scheduleValue(schedule, NaN, { steps: 100, stepsPerEpoch: 10 })).toThrow(new RangeError("the step is NaN, not a number"));
  expect(() => Reflect.apply(scheduleValue, undefined, [schedule, 1, { totalSteps: 100, stepsPerEpoch: 10 }])).toThrow("the horizon's steps is undefined");
  expect(() => Reflect.apply(durationSteps, undefined, [{ unit: "days", value: 2 }, 10])).toThrow("2 days with 10 steps an epoch are no number of steps");
  expect(() => durationSteps({ unit: "epochs", value: 2 }, NaN)).toThrow(RangeError);
  const { manifest } = compileRepo("small.jepa", { text: small });
  expect(() => Reflect.apply(resolveRecipe, undefined, [manifest])).toThrow(new RangeError("the number of pictures is undefined, not a whole number"));
  for (const batch of [0, -1, 1.5, NaN]) expect(() => resolveRecipe(manifest, 100, { batch })).toThrow(new RangeError(`the batch is ${batch}, not a whole number of pictures from 1 on`));
});

test("pictures are laid out by sizes, limits and statistics that are some", async () => {
  const source = syntheticSource({ count: 3, side: 8, seed: 0 });
  const sound = { side: 8, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
  expect((await evalSet(source, { ...sound, limit: 2 })).count).toBe(2);
  expect((await evalSet(source, { ...sound, limit: 0 })).count).toBe(0);
  for (const side of [0, -8, 1.5, NaN]) await expect(evalSet(source, { ...sound, side })).rejects.toThrow("whole numbers of pixels from 1 on");
  for (const limit of [-1, 1.5, NaN]) await expect(evalSet(source, { ...sound, limit })).rejects.toThrow(`the limit is ${limit}`);
  for (const wrong of [{ mean: [0.5] }, { std: [0.25, 0, 0.25] }, { mean: undefined }, { std: [1, 1, NaN] }]) {
    const given: unknown = { ...sound, ...wrong };
    await expect(Reflect.apply(evalSet, undefined, [source, given])).rejects.toThrow("mean and std have one number for each channel");
  }
  const folder = temporary({ "a.png": "" });
  expect((await folderSource(folder, { onCorrupt: "refuse" })).onCorrupt).toBe("refuse");
  for (const wrong of [{ channels: 0 }, { channels: 2.5 }, { bands: [] }, { bands: [0] }, { channels: 2, bands: [1] }]) await expect(Reflect.apply(folderSource, undefined, [folder, wrong])).rejects.toThrow(/^(channels|bands) /);
  for (const wrong of [{ onCorrupt: "ignore" }, { onSmall: "crop" }]) await expect(Reflect.apply(folderSource, undefined, [folder, wrong])).rejects.toThrow(/^on\w+ is (ignore|crop); it is /);
});

test("an engine that was disposed says so, whatever it is asked, and may be disposed twice", async () => {
  const { manifest, files } = compileRepo("small.jepa", { text: small });
  const folder = temporary(Object.fromEntries(files.map((f) => [f.path, f.text])));
  const { module } = await loadCompiled(folder);
  await expect(loadCompiled(join(folder, "nowhere"))).rejects.toMatchObject({ code: "bad-file", message: expect.stringContaining(`${join(folder, "nowhere")} has no manifest.json, so it is no compiled program`) });
  const { engine } = await createEngine(manifest, module, "cpu");
  const state = await engine.exportState();
  engine.dispose();
  engine.dispose();
  const [encoder] = manifest.encoders;
  for (const ask of [() => engine.encode(encoder?.name ?? "", new Float32Array(1), 1), () => engine.exportState(), () => engine.importState(state)]) {
    await expect(ask()).rejects.toMatchObject({ code: "closed", message: "the engine was disposed" });
  }
});
