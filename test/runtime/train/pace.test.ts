/**
 * Checkpoints by the clock: when they are due, and that a run knows nothing of them.
 */
import { expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint } from "../../../runtime/train/checkpoint.js";
import type { Checkpoint } from "../../../runtime/train/checkpoint.js";
import { CHECKPOINT_MINUTES, createPace } from "../../../runtime/train/pace.js";
import { fakeManifest, monitor, record } from "./fakes.js";

const MINUTE = 60_000;

function watch(minutes: number) {
  let now = 0;
  const pace = createPace(() => now, minutes);
  return {
    dueAt: (minute: number): boolean => {
      now = minute * MINUTE;
      return pace.due();
    },
    passTo: (minute: number): void => { now = minute * MINUTE; },
    writeFor: (minute: number): Promise<void> => pace.writing(() => {
      now += minute * MINUTE;
      return Promise.resolve();
    }),
  };
}

test("a checkpoint is due ten minutes after the last one, whatever asked for that", async () => {
  const run = watch(CHECKPOINT_MINUTES);
  expect([0, 5, 9.99, 10].map(run.dueAt)).toEqual([false, false, false, true]);
  await run.writeFor(0.1);
  expect([19.9, 20.05].map(run.dueAt)).toEqual([false, false]);
  // The program's own, at 20.05.
  await run.writeFor(0.1);
  expect([30.1, 30.2].map(run.dueAt)).toEqual([false, true]);
});

test("what takes long to write is written less often, handing over included; a write that fails counts too", async () => {
  const run = watch(1);
  // Due at 1, handed over until 1.4, written until 1.5: half a minute, and twenty times that is waited.
  expect(run.dueAt(1)).toBe(true);
  run.passTo(1.4);
  await run.writeFor(0.1);
  expect([2.6, 11.4, 11.6].map(run.dueAt)).toEqual([false, false, true]);
  let now = 0;
  const pace = createPace(() => now, 1);
  await expect(pace.writing(() => { now = MINUTE; return Promise.reject(new Error("full")); })).rejects.toThrow("full");
  now = 20 * MINUTE;
  expect(pace.due()).toBe(false);
});

test("none is due by the clock with 0 minutes", () => {
  expect(watch(0).dueAt(1e9)).toBe(false);
});

test.each([false, true])("a checkpoint in the middle of the first epoch changes nothing of a run, and a run that goes on from it ends in the same bits (ahead: %s)", async (ahead) => {
  const manifest = fakeManifest({ monitors: [monitor("teacher-distance", 1e-9, 1), monitor("gradient-norm", 1e-9, 1)] });
  const bytes = (checkpoint: Checkpoint | undefined): Buffer => Buffer.from(checkpoint === undefined ? "" : encodeCheckpoint(checkpoint, manifest.parameters));
  const whole = await record({ manifest });
  let asked = 0;
  const often = await record({ manifest, ahead, change: { saveDue: () => (asked += 1) % 4 === 0 } });
  expect(often.rows).toEqual(whole.rows);
  expect(often.saved.map(({ step }) => step).slice(0, 5)).toEqual([4, 8, 10, 13, 17]);
  expect(bytes(often.saved.at(-1)).equals(bytes(whole.saved.at(-1)))).toBe(true);
  for (const from of often.saved.slice(0, 4)) {
    const on = await record({ manifest, ahead, resume: decodeCheckpoint(bytes(from), "memory") });
    expect(on.rows).toEqual(whole.rows.slice(from.step));
    expect(bytes(on.saved.at(-1)).equals(bytes(whole.saved.at(-1)))).toBe(true);
  }
});
