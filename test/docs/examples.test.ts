/** The programs in `examples/api` run, and say what is true of the programs they look at. */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { small, temporary } from "../compiler/cli/support.js";
import { makeRun } from "../fidelity/runs.js";
import { root } from "./page.js";

const run = (name: string, ...words: string[]): string => execFileSync(process.execPath, [join(root, "examples/api", name), ...words], { encoding: "utf8", cwd: root });

test("every example that can be run is run here", () => {
  expect(readdirSync(join(root, "examples/api")).sort()).toEqual(["masks.mjs", "nearest.mjs", "parameters.mjs", "read-program.mjs", "what-target-sees.mjs", "what-trains.mjs"]);
});

test("the loss of I-JEPA trains student and predictor, and the teacher follows", () => {
  expect(run("what-trains.mjs")).toBe("smooth_l1 (smooth_l1) trains student, predict\nteacher follows student, momentum 0.996 -> 1\nnothing waits in vain for a gradient\n");
});

test("the target of I-JEPA sees the image through the teacher alone, the prediction through student and predictor", () => {
  const [target, prediction] = run("what-target-sees.mjs").split("\n");
  expect(target).toBe("z_target: sees image; uses teacher; follows student; chosen by targets");
  expect(prediction).toBe("z_hat: sees image; uses student, predict; follows nothing; chosen by targets, context");
});

test("the parameters of the published model are counted", () => {
  const text = run("parameters.mjs", "specs/ijepa.jepa");
  expect(text).toContain("630,434,560 trained");
  expect(text).toContain("22,279,424 trained");
});

test("a draw of the masks keeps context and targets apart", () => {
  const text = run("masks.mjs");
  const pictures = [...text.matchAll(/(?:^ {2}[^\n]*\n){8}/gm)].map((m) => m[0].replace(/[^.#\d]/g, ""));
  expect(pictures).toHaveLength(2);
  expect([...(pictures[0] ?? "")].filter((c, i) => c !== "." && pictures[1]?.[i] !== ".")).toEqual([]);
  expect(text).toContain("targets: 4 sets of ");
});

test("a picture that is there twice is its own nearest, under the encoder of a run", { timeout: 120_000 }, async () => {
  const { folder } = await makeRun(small);
  const pictures = temporary();
  const noise = (seed: number): Uint8Array => Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (seed * 7919 + i * i * (31 + seed) + i * 57) % 256);
  for (const [name, seed] of [["a", 1], ["b", 2], ["c", 3], ["d", 1]] as const) writeFileSync(join(pictures, `${name}.png`), await sharp(noise(seed), { raw: { width: 16, height: 16, channels: 3 } }).png().toBuffer());
  const lines = run("nearest.mjs", folder, pictures, "2").trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/a\.png: \S+d\.png 1\.0000, \S+[bc]\.png (0|-0)\.\d+$/);
  expect(lines[1]).not.toContain("1.0000");
  const bare = spawnSync(process.execPath, [join(root, "examples/api/nearest.mjs")], { encoding: "utf8" });
  expect([bare.status, bare.stderr]).toEqual([2, "usage: node examples/api/nearest.mjs <run> <pictures> [how many]\n"]);
});
