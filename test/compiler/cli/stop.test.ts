/**
 * A program that collapses and asks to be stopped, from its text to the end of the run, on both targets: the run ends when
 * the alarm has held, says the step and why, exits with 3, and leaves a whole checkpoint of that very step.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../../runtime/train/checkpoint.js";
import { root, temporary } from "./support.js";

/** Symmetric agreement and nothing else, allowed. */
const falls = `use std.vit

model falls {
  input image: Image[16, 16, 3]
  view a, b = augment(image) {
    flip(p: 0.5)
  }
  encoder f = vit(8, width: 8, depth: 1, heads: 1)
  loss mse(pool(f(a)), pool(f(b)))
  allow collapse("to see it stopped")
}

train falls {
  data shapes(count: 64)
  epochs 20
  batch 16
  learning_rate 0.02
  on_collapse stop
}
`;

test.each(["tfjs", "wgsl"] as const)("a collapse stops the run on %s, with the step, the reason and a checkpoint", { timeout: 240_000 }, (target) => {
  const cwd = temporary({ "package.json": "{}", "falls.jepa": falls });
  const words = ["train", "falls.jepa", "--target", target, "--workers", "0", "--no-probe", "--no-report", "--out", "run"];
  const { status, stderr: err } = spawnSync(process.execPath, [join(root, "dist/compiler/cli/bin.js"), ...words], { cwd, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
  expect(status, err).toBe(3);
  const alarm = /collapse alarm at step (\d+): loss-trivial of mse is .* since step (\d+)\. `mse` at 0 is the constant solution/.exec(err);
  const [step, since] = [Number(alarm?.[1]), Number(alarm?.[2])];
  expect(step - since + 1).toBe(20);
  expect(step).toBeLessThan(80);
  expect(err).toContain(`stopped after step ${step}: the features are collapsing, and the program says on_collapse stop`);
  const saved = decodeCheckpoint(readFileSync(join(cwd, "run/checkpoint.safetensors")), "checkpoint.safetensors");
  expect(saved.step).toBe(step);
  expect([...saved.state.values()].every((values) => values.every(Number.isFinite))).toBe(true);
});
