/**
 * Metrics files, progress lines and tables.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { openRows, readRows } from "../../../runtime/log/jsonl.js";
import { createProgress, duration, number, progressLine } from "../../../runtime/log/progress.js";
import type { Tick } from "../../../runtime/log/progress.js";
import { textTable } from "../../../runtime/log/table.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jepac-log-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const tick: Tick = { step: 30, total: 200, epoch: 2, epochs: 10, loss: 0.12345, learningRate: 1e-3, imagesPerSecond: 98.4, secondsLeft: 75, signals: { teacher: { std: 0.834, rank: 26.71 } } };

test("rows are appended, and resuming cuts off what came after and what was cut in half", async () => {
  const path = join(folder, "metrics.jsonl");
  const log = await openRows<{ step: number; loss: number }>(path, 0);
  for (let step = 1; step <= 5; step++) log.append({ step, loss: 1 / step });
  appendFileSync(path, '{"step":6,"lo');
  const resumed = await openRows<{ step: number; loss: number }>(path, 3);
  resumed.append({ step: 4, loss: 9 });
  expect(readRows(path)).toEqual([{ step: 1, loss: 1 }, { step: 2, loss: 0.5 }, { step: 3, loss: 1 / 3 }, { step: 4, loss: 9 }]);
  await openRows(path, 0);
  expect(readFileSync(path, "utf8")).toBe("");
});

test("rows of a run that never was are none", () => {
  expect(readRows(join(folder, "nothing.jsonl"))).toEqual([]);
});

test("a device that is full is told apart when appending", async () => {
  const path = join(folder, "metrics.jsonl");
  const log = await openRows<{ step: number }>(path, 0);
  rmSync(path);
  const { symlinkSync, existsSync } = await import("node:fs");
  if (!existsSync("/dev/full")) {
    console.warn("NOT TESTED: appending to a full device (this system has no /dev/full)");
    return;
  }
  symlinkSync("/dev/full", path);
  let thrown: unknown;
  try {
    log.append({ step: 1 });
  } catch (error) {
    thrown = error;
  }
  expect(thrown instanceof HostError && thrown.code).toBe("disk-full");
  // Half a row may be in the file: it is not "unchanged", and no reason to start anew.
  expect(thrown instanceof HostError && thrown.help).toBe("free some space, or let the file be written; then go on with --resume");
});

test("a progress line says where the run is", () => {
  expect(progressLine(tick)).toBe(" 30/200  ██░░░░░░░░░░░░░░  15%  loss 0.1235  teacher std 0.83 rank 26.7  98 img/s  1 min 15 s left  epoch 2/10  lr 1.0e-3");
});

test("a rate that is not known yet is left out, and so is the time that would follow from it", () => {
  const first = progressLine({ ...tick, step: 1, imagesPerSecond: 0, secondsLeft: Infinity, signals: {} });
  expect(first).toBe("  1/200  ░░░░░░░░░░░░░░░░   0%  loss 0.1235  epoch 2/10  lr 1.0e-3");
  expect(progressLine({ ...tick, clips: true })).toContain("  98 clips/s  ");
  expect(progressLine({ ...tick, terms: { mse: 0.12345 } })).toBe(progressLine(tick));
  expect(progressLine({ ...tick, terms: { mse: 0.12345, spread: 12.5, near: NaN, far: 1e-9, last: 1 } })).toContain("  1 min 15 s left  mse 0.123 spread 12.5 near NaN far 1e-9 …  epoch 2/10");
  expect(progressLine({ ...tick, imagesPerSecond: 0.25 })).toContain("  0.3 img/s  1 min 15 s left  ");
});

test("a narrow terminal gets the most important parts, never more than it is wide", () => {
  for (const columns of [10, 30, 50, 80]) expect(progressLine(tick, columns).length).toBeLessThanOrEqual(columns);
  expect(progressLine(tick, 60)).toMatch(/^ 30\/200 .* loss 0\.1235$/);
});

test("a terminal that says it has no columns is one of unknown width", () => {
  let text = "";
  const progress = createProgress({ isTTY: true, columns: 0, write: (part) => (text += part) }, () => 0);
  progress.tick({ step: 1, total: 4, epoch: 1, epochs: 1, loss: 0.5, learningRate: 1e-3, imagesPerSecond: 0, secondsLeft: 0, signals: {} });
  expect(text).toContain("1/4");
  expect(text).toContain("loss 0.5000");
});

test("a terminal redraws one line, a pipe gets a line every few seconds and the last one", () => {
  const show = (isTTY: boolean): string => {
    let text = "";
    let now = 0;
    const progress = createProgress({ isTTY, columns: 200, write: (part) => (text += part) }, () => now);
    for (let step = 1; step <= 200; step++) {
      now = step * 60;
      progress.tick({ ...tick, step });
    }
    progress.note("checkpoint");
    progress.end();
    return text;
  };
  const piped = show(false).trimEnd().split("\n");
  expect(piped.map((line) => line.trim().split("/")[0])).toEqual(["1", "85", "169", "200", "checkpoint"]);
  expect(show(false)).not.toContain("\x1b");
  const drawn = show(true);
  expect(drawn.split("\r").length).toBeGreaterThan(60);
  expect(drawn.split("\n").length).toBe(2);
});

test("other long work redraws one line, a pipe gets a line after some seconds, a quiet run none", () => {
  const shown = (isTTY: boolean, quiet: boolean): string => {
    let [text, now] = ["", 0];
    const progress = createProgress({ isTTY, columns: 12, write: (part) => (text += part) }, () => now, { quiet });
    for (const [at, line] of [[0, "features 1 of 3"], [50, "features 2 of 3"], [6000, "features 3 of 3"]] as const) {
      now = at;
      progress.status(line);
    }
    progress.note("done");
    return text;
  };
  expect(shown(true, false)).toBe("\r\x1b[2Kfeatures 1 \r\x1b[2Kfeatures 3 \r\x1b[2Kdone\n");
  expect(shown(false, false)).toBe("features 3 of 3\ndone\n");
  expect(shown(true, true)).toBe("done\n");
});

test("a quiet run shows notes only", () => {
  let text = "";
  const progress = createProgress({ isTTY: true, write: (part) => (text += part) }, () => 0, { quiet: true });
  progress.tick(tick);
  progress.note("alarm");
  progress.end();
  expect(text).toBe("alarm\n");
});

test("durations and numbers are short", () => {
  expect([0, 59.6, 61, 3600, 90000, Infinity].map(duration)).toEqual(["0 s", "1 min 00 s", "1 min 01 s", "1 h 00 min", "25 h 00 min", "–"]);
  expect([0, 0.12345, 1234.5, 1e-5, NaN].map(number)).toEqual(["0.000", "0.1235", "1235", "1.00e-5", "NaN"]);
});

test("tables line up", () => {
  expect(textTable(["probe", "trained"], [["linear", "39.9 %"], ["k", "7"]])).toBe("probe   trained\n──────  ───────\nlinear   39.9 %\nk             7");
});
