/**
 * The loop over a real small problem: it learns, resumes bit for bit, stops on Ctrl-C, NaN and collapse, and keeps its
 * order of schedules.
 */
import { expect, test } from "vitest";
import type { Manifest } from "../../../runtime/abi.js";
import { HostError } from "../../../runtime/base/errors.js";
import { decodeCheckpoint, encodeCheckpoint } from "../../../runtime/train/checkpoint.js";
import type { Checkpoint } from "../../../runtime/train/checkpoint.js";
import { fakeBatch, fakeManifest, linearEngine, monitor, record, runningAhead } from "./fakes.js";

async function failure(run: Promise<unknown>): Promise<HostError> {
  const error = await run.then(() => undefined, (thrown: unknown) => thrown);
  if (!(error instanceof HostError)) throw new Error(`expected a HostError, got ${String(error)}`);
  return error;
}

test("the linear problem is learned and every step leaves a row", async () => {
  const { end, rows, saved } = await record();
  expect(end).toEqual({ kind: "finished", step: 40, alarms: [] });
  expect(rows.map((row) => row.step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  expect(rows.at(-1)?.loss ?? Infinity).toBeLessThan(0.05 * (rows[0]?.loss ?? 0));
  expect(saved.map((checkpoint) => checkpoint.step)).toEqual([10, 20, 30, 40]);
});

test("learning rate and decay are read at t = 1 first, momentum at its start", async () => {
  const { rows } = await record();
  expect(rows[0]?.lr).toBeCloseTo(0.01 + (1 / 10) * 0.04, 12);
  expect(rows[9]?.lr).toBeCloseTo(0.05, 12);
  expect(rows[39]?.lr).toBeCloseTo(0.001, 12);
  expect(rows[0]?.wd).toBeCloseTo(0.1 + (0.01 - 0.1) * 0.5 * (1 + Math.cos(Math.PI / 40)), 12);
  expect(rows[0]?.momentum["teacher"]).toBe(0.9);
  expect(rows[1]?.momentum["teacher"]).toBeCloseTo(0.9 + 0.1 / 40, 12);
});

test("a run that is stopped anywhere and resumed is the run that never stopped, bit for bit", async () => {
  const whole = await record();
  const last = whole.saved.at(-1);
  if (last === undefined) throw new Error("the run saved nothing");
  const manifest = fakeManifest();
  for (const stopAfter of [1, 7, 10, 23, 39]) {
    const first = await record({ stopAfter });
    expect(first.end.kind).toBe("interrupted");
    const checkpoint = first.saved.at(-1);
    if (checkpoint === undefined) throw new Error("the interrupted run saved nothing");
    expect(checkpoint.step).toBe(stopAfter);
    const read = decodeCheckpoint(encodeCheckpoint(checkpoint, manifest.parameters), "memory");
    const second = await record({ resume: read });
    expect([...first.rows, ...second.rows]).toEqual(whole.rows);
    const end = second.saved.at(-1);
    if (end === undefined) throw new Error("the resumed run saved nothing");
    expect(Buffer.from(encodeCheckpoint(end, manifest.parameters)).equals(Buffer.from(encodeCheckpoint(last, manifest.parameters)))).toBe(true);
  }
});

test("before the first checkpoint there is nothing to go on from, and the way out does not say so", async () => {
  const error = await failure(record({ faults: { nanAt: 3 } }));
  expect(error.message).toBe("step 3: the loss is NaN; no checkpoint had been written yet");
  expect(error.help).not.toMatch(/resume|last good/);
  expect(error.help).toMatch(/then start again$/);
});

test("a first loss that is not a number is the program's: no learning rate is blamed before anything has been trained", async () => {
  const [first, later] = [await failure(record({ faults: { nanAt: 1 } })), await failure(record({ faults: { nanAt: 2 } }))];
  expect(first.message).toBe("step 1: the loss is NaN; no checkpoint had been written yet");
  expect(first.help).not.toMatch(/learning rate|clip/);
  expect(first.help).toMatch(/one token or image.*then start again$/);
  expect(later.help).toMatch(/learning rate/);
});

test("a loss that is not a number stops the run, and names the step and the last good state", async () => {
  const error = await failure(record({ faults: { nanAt: 25 } }));
  expect(error.code).toBe("not-a-number");
  expect(error.message).toBe("step 25: the loss is NaN; the last good state is step 20");
  expect(error.help).toMatch(/--resume/);
});

test("a state with an infinite weight is never written over a good one", async () => {
  const manifest = fakeManifest();
  const bytes: Uint8Array[] = [];
  const error = await failure(
    record({
      faults: { badWeightAt: 20 },
      change: {
        sink: {
          step: () => undefined,
          alarm: () => undefined,
          save: (checkpoint) => Promise.resolve().then(() => void bytes.push(encodeCheckpoint(checkpoint, manifest.parameters))),
          lastGood: () => Promise.resolve({ step: 10, text: "the last good state is step 10" }),
        },
      },
    }),
  );
  expect(error.code).toBe("not-a-number");
  expect(error.message).toMatch(/after step 20, student\.weight holds values that are not finite; the last good state is step 10/);
  expect(bytes.length).toBe(1);
});

test("the next batch is asked for before the step runs, and no step is asked for twice", async () => {
  const asked: number[] = [];
  const seen: number[] = [];
  await record({
    change: {
      batches: {
        next: (step) => {
          asked.push(step);
          return Promise.resolve(fakeBatch(7, step, 8));
        },
      },
      sink: {
        step: (report) => {
          seen.push(asked.length - report.row.step);
        },
        alarm: () => undefined,
        save: () => Promise.resolve(),
        lastGood: () => Promise.resolve({ text: "" }),
      },
    },
  });
  expect(asked).toEqual(Array.from({ length: 40 }, (_, i) => i));
  expect(seen.slice(0, -1).every((ahead) => ahead === 1)).toBe(true);
});

test("an engine that runs ahead leaves the same rows, checkpoints and bits, wherever it is stopped and resumed", async () => {
  const manifest = fakeManifest({ monitors: [monitor("teacher-distance", 1e-9, 1), monitor("gradient-norm", 1e-9, 1)] });
  const whole = await record({ manifest });
  const ahead = await record({ manifest, ahead: true });
  expect(ahead.rows).toEqual(whole.rows);
  expect(ahead.end).toEqual(whole.end);
  const bytes = (checkpoints: readonly Checkpoint[]): Buffer[] => checkpoints.map((c) => Buffer.from(encodeCheckpoint(c, manifest.parameters)));
  expect(bytes(ahead.saved)).toEqual(bytes(whole.saved));
  for (const stopAfter of [4, 11, 26]) {
    const first = await record({ manifest, ahead: true, stopAfter });
    const checkpoint = first.saved.at(-1);
    expect(first.end.kind).toBe("interrupted");
    expect(checkpoint?.step).toBe(first.end.step);
    expect(first.rows.length).toBe(first.end.step);
    const second = await record({ manifest, ahead: true, ...(checkpoint === undefined ? {} : { resume: checkpoint }) });
    expect([...first.rows, ...second.rows]).toEqual(whole.rows);
    expect(bytes(second.saved.slice(-1))).toEqual(bytes(whole.saved.slice(-1)));
  }
});

test("steps are begun before the results of earlier ones have come, and a bad one is still called by its own number", async () => {
  const manifest = fakeManifest({ watches: [] });
  const out: number[] = [];
  let begun = 0;
  const engine = runningAhead(linearEngine(manifest, 7, { nanAt: 25 }));
  const counted = { ...engine, step: (...given: Parameters<typeof engine.step>) => { begun += 1; return engine.step(...given); } };
  const saved: number[] = [];
  const sink = {
    step: ({ row }: { readonly row: { readonly step: number } }) => { out.push(begun - row.step); },
    alarm: () => undefined,
    save: (checkpoint: Checkpoint) => { saved.push(checkpoint.step); return Promise.resolve(); },
    lastGood: () => Promise.resolve({ step: 20, text: `the last good state is step ${saved.at(-1)}` }),
  };
  const error = await failure(record({ manifest, change: { engine: counted, sink } }));
  expect(error.message).toBe("step 25: the loss is NaN; the last good state is step 20");
  expect(saved).toEqual([10, 20]);
  expect(begun).toBeGreaterThan(25);
  expect(Math.max(...out)).toBeGreaterThanOrEqual(2);
  expect(out.length).toBe(24);
});

test("a loader that fails ends the run with its own error", async () => {
  const broken = { next: (step: number) => (step === 3 ? Promise.reject(new HostError("bad-image", "cat.jpg is cut short", "remove it")) : Promise.resolve(fakeBatch(7, step, 8))) };
  expect((await failure(record({ change: { batches: broken } }))).message).toBe("cat.jpg is cut short");
});

test("a collapse ends the run when the program says stop, and only warns otherwise", async () => {
  const base = fakeManifest({ monitors: [monitor("embedding-std", 0.2, 3, { watch: "student" })] });
  const warned = await record({ manifest: base, faults: { collapseFrom: 12 } });
  expect(warned.end.kind).toBe("finished");
  expect(warned.alarms.length).toBe(1);
  for (const ahead of [false, true]) {
    const stopped = await record({ manifest: { ...base, train: { ...base.train, onCollapse: "stop" } }, faults: { collapseFrom: 12 }, ahead });
    expect(stopped.end.kind).toBe("collapsed");
    expect(stopped.end.step).toBeLessThan(22);
    expect(stopped.saved.at(-1)?.step).toBe(stopped.end.step);
    expect(stopped.rows.length).toBe(stopped.end.step);
  }
});

/** Goes off after so many steps: the loss of the linear problem never leaves so wide a band. */
const always = (steps: number): Manifest["monitors"][number] => monitor("loss-trivial", 1e9, steps, { loss: "loss", trivial: { of: "constant", value: 0 } });

test("nothing is saved while a step up to it is still out: it may turn out bad", async () => {
  for (const nanAt of [18, 19, 20]) {
    const saved: number[] = [];
    const sink = { step: () => undefined, alarm: () => undefined, save: ({ step }: Checkpoint) => { saved.push(step); return Promise.resolve(); }, lastGood: () => Promise.resolve({ text: "" }) };
    const manifest = fakeManifest({ watches: [] });
    const error = await failure(record({ manifest, change: { engine: runningAhead(linearEngine(manifest, 7, { nanAt })), sink } }));
    expect(error.message).toContain(`step ${nanAt}: the loss is NaN`);
    expect(saved).toEqual([10]);
  }
});

test("a collapse that is heard of while later steps are out still ends the run", async () => {
  const base = fakeManifest({ watches: [], monitors: [always(2)] });
  const stopped = await record({ manifest: { ...base, train: { ...base.train, onCollapse: "stop" } }, ahead: true });
  expect(stopped.alarms.map((alarm) => alarm.step)).toEqual([2]);
  expect(stopped.end.kind).toBe("collapsed");
  expect(stopped.end.step).toBeLessThan(9);
  expect(stopped.rows.length).toBe(stopped.end.step);
});

test("for how many images of a batch a mask overlaps is heard by its monitor", async () => {
  const manifest = fakeManifest({ monitors: [monitor("mask-overlap", 0.5, 3, { watch: "context" })] });
  const batches = { next: (step: number) => Promise.resolve({ ...fakeBatch(7, step, 8), masks: { context: { count: 1, length: 1, indices: new Int32Array(8), relaxed: step < 10 ? 4 : 5 } } }) };
  const { alarms } = await record({ manifest, change: { batches } });
  expect(alarms.map(({ step, since, subject, value }) => [step, since, subject, value])).toEqual([[13, 11, "context", 5 / 8]]);
});

test("what a monitor has seen before a stop counts after it", async () => {
  const manifest = fakeManifest({ monitors: [always(8), monitor("embedding-std", 0.2, 6, { watch: "student" })] });
  const faults = { collapseFrom: 12 };
  const whole = await record({ manifest, faults });
  expect(whole.alarms.map(({ step, since, monitor: kind }) => [kind, step, since])).toEqual([["loss-trivial", 8, 1], ["embedding-std", 19, 14]]);
  for (const stopAfter of [3, 7, 9, 15, 19, 25]) {
    const first = await record({ manifest, faults, stopAfter });
    const checkpoint = first.saved.at(-1);
    if (checkpoint === undefined) throw new Error("the interrupted run saved nothing");
    const second = await record({ manifest, faults, resume: decodeCheckpoint(encodeCheckpoint(checkpoint, manifest.parameters), "memory") });
    expect([...first.alarms, ...second.alarms]).toEqual(whole.alarms);
  }
});
