/** From a program to a trained and probed encoder by the command line alone, as processes: train, resume, probe. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root, small, temporary } from "./support.js";

const bin = join(root, "dist/compiler/cli/bin.js");

function run(words: readonly string[], cwd: string): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, words, { cwd, env: { ...process.env, NO_COLOR: "1" } });
    let out = "";
    let err = "";
    child.stdout.on("data", (part: Buffer) => { out += part.toString(); });
    child.stderr.on("data", (part: Buffer) => { err += part.toString(); });
    child.on("error", fail);
    child.on("close", (code) => done({ code, out, err }));
  });
}

const rows = (folder: string): { step: number; loss: number }[] => readFileSync(join(folder, "metrics.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));

test("train compiles, trains, probes and reports; resume goes on; probe repeats the table", { timeout: 240_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const options = ["--engine", "wasm", "--workers", "0"];
  const first = await run([bin, "train", "small.jepa", ...options], cwd);
  expect(first.err).not.toContain("mistake of jepac");
  expect(first.code, first.err).toBe(0);
  const folder = join(cwd, "runs/tiny");
  for (const file of ["metrics.jsonl", "report.html", "probe.json", "compiled/model.mjs", "compiled/graph.svg"]) expect(existsSync(join(folder, file)), file).toBe(true);
  expect(rows(folder).map((r) => r.step)).toEqual([1, 2, 3, 4]);
  expect(readFileSync(join(folder, "report.html"), "utf8")).toContain("<svg");
  expect(first.err).toMatch(/linear/i);

  const longer = await run([bin, "train", "small.jepa", "--resume", "--steps", "6", "--no-probe", "--no-report", ...options], cwd);
  expect(longer.code, longer.err).toBe(0);
  expect(rows(folder).map((r) => r.step)).toEqual([1, 2, 3, 4, 5, 6]);

  const probe = await run([bin, "probe", "runs/tiny", "--engine", "wasm"], cwd);
  expect(probe.code, probe.err).toBe(0);
  expect(probe.err).toContain("checkpoint of step 6");
});

test("a compiled folder trains on its own, with the same losses as jepac train", { timeout: 240_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  expect((await run([bin, "compile", "small.jepa"], cwd)).code).toBe(0);
  const options = ["--engine", "wasm", "--workers", "0", "--steps", "3", "--no-probe", "--no-report"];
  const own = await run([join(cwd, "out/train.mjs"), ...options, "--out", "a"], cwd);
  expect(own.code, own.err).toBe(0);
  expect((await run([bin, "train", "small.jepa", ...options, "--out", "b"], cwd)).code).toBe(0);
  expect(rows(join(cwd, "a")).map((r) => r.loss)).toEqual(rows(join(cwd, "b")).map((r) => r.loss));
});

test("a run whose pictures are nowhere leaves nothing behind: exit 2", { timeout: 60_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const ran = await run([bin, "train", "small.jepa", "--data", "nowhere"], cwd);
  expect(ran.code).toBe(2);
  expect(ran.err).toContain("there is no folder nowhere with pictures");
  expect(existsSync(join(cwd, "runs"))).toBe(false);
});

test("a program with mistakes does not begin to train: exit 1", { timeout: 60_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small.replace("stopgrad", "stopgrd") });
  const ran = await run([bin, "train", "small.jepa"], cwd);
  expect(ran.code).toBe(1);
  expect(ran.err).toContain("Did you mean `stopgrad`?");
  expect(existsSync(join(cwd, "runs"))).toBe(false);
});

test("a pipe that closes early is no mistake", { timeout: 60_000 }, async () => {
  const ran = await run(["-e", `
    const { spawn } = require("node:child_process");
    const child = spawn(process.execPath, [${JSON.stringify(bin)}, "graph", "specs/ijepa.jepa", "--format", "json"], { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.once("data", () => child.stdout.destroy());
    child.on("close", (code) => { console.log("ended with", code); });
  `], root);
  expect(ran.err).toBe("");
  expect(ran.out).toBe("ended with 0\n");
});
