/** From a program to a trained and probed encoder by the command line alone, as processes: train, resume, probe. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { jepac, root, small, temporary } from "./support.js";

const bin = join(root, "dist/compiler/cli/bin.js");

/** Runs a process to its end; `during` is asked every 50 ms until it says that it has done its part. */
function run(words: readonly string[], cwd: string, during: (child: ChildProcess) => boolean = () => true, program = process.execPath): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((done, fail) => {
    const child = spawn(program, words, { cwd, env: { ...process.env, NO_COLOR: "1" } });
    let out = "";
    let err = "";
    child.stdout.on("data", (part: Buffer) => { out += part.toString(); });
    child.stderr.on("data", (part: Buffer) => { err += part.toString(); });
    child.on("error", fail);
    const watch = setInterval(() => { if (during(child)) clearInterval(watch); }, 50);
    child.on("close", (code) => {
      clearInterval(watch);
      done({ code, out, err });
    });
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

test("mistakes of a program are told before anything about its folder", { timeout: 60_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small.replace("normalize(teacher(image))", "normalize(teachr(image))"), "held/metrics.jsonl": "{}" });
  const ran = await run([bin, "train", "small.jepa", "--out", "held"], cwd);
  expect(ran.code).toBe(1);
  expect(ran.err).toContain("teachr");
  expect(ran.err).not.toContain("already holds a run");
});

test("a run whose pictures are nowhere leaves nothing behind: exit 2", { timeout: 60_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const ran = await run([bin, "train", "small.jepa", "--data", "nowhere"], cwd);
  expect(ran.code).toBe(2);
  expect(ran.err).toContain(`there is no folder nowhere with pictures: ${join(cwd, "nowhere")}`);
  expect(existsSync(join(cwd, "runs"))).toBe(false);
});

test("a run that cannot start says why and takes away what it made, and only that: exit 2", { timeout: 120_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small, "empty/notes.txt": "no picture", "runs/other/notes.txt": "mine" });
  const at = (path: string): string => join(cwd, path);
  const all = (): string[] => readdirSync(cwd, { recursive: true, encoding: "utf8" }).sort();
  const before = all();
  const refused: readonly [readonly string[], string][] = [
    [["--data", at("empty"), "--out", at("runs/new")], "there are no pictures in"],
    [["--eval-data", at("nowhere"), "--out", at("runs/new")], "there is no image folder"],
    [["--replicas", "3", "--out", at("new/deep")], "--replicas 3: a batch of 16 cannot be cut into equal parts"],
    [["--replicas", "3", "--out", at("runs/other")], "--replicas 3: a batch of 16 cannot be cut into equal parts"],
    [["--out", at("small.jepa")], "cannot write into small.jepa/compiled: "],
    [["--out", at("small.jepa/run")], "cannot write into small.jepa/run/compiled: "],
  ];
  for (const [words, said] of refused) {
    const ran = await jepac(["train", "small.jepa", "--engine", "wasm", ...words], { cwd });
    expect(ran.err.replaceAll("\\", "/")).toContain(said);
    expect(ran.err).toMatch(/^help: ./m);
    expect(ran.code, ran.err).toBe(2);
    expect(all(), words.join(" ")).toEqual(before);
  }
});

test("a disk that is full while a program is compiled leaves no folder of a run: exit 2", { timeout: 60_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  if (process.platform === "win32") return console.warn("NOT TESTED: a disk that is full while a program is compiled: only a shell's ulimit can make one");
  // A limit on the size of files is told as a full disk is.
  const ran = await run(["-c", `trap '' XFSZ; ulimit -f 8; exec ${JSON.stringify(process.execPath)} ${JSON.stringify(bin)} train small.jepa`], cwd, undefined, "sh");
  expect([ran.code, ran.err]).toEqual([2, expect.stringContaining("cannot write into runs/tiny/compiled: ")]);
  expect(existsSync(join(cwd, "runs"))).toBe(false);
});

test("an engine of the other target is refused before anything is compiled: exit 2", { timeout: 120_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const all = (): string[] => readdirSync(cwd, { recursive: true, encoding: "utf8" }).sort();
  const before = all();
  const refused: readonly [readonly string[], string][] = [
    [["train", "small.jepa", "--target", "wgsl", "--engine", "wasm"], "error: wasm runs programs that are compiled for tfjs, and this one is for wgsl\nhelp: compile it with --target tfjs, or leave --engine away\n"],
    [["train", "small.jepa", "--engine", "webgpu"], "error: webgpu runs programs that are compiled for wgsl, and this one is for tfjs\nhelp: compile it with --target wgsl, or leave --engine away\n"],
    [["sweep", "small.jepa", "--engine", "webgpu"], "error: webgpu runs programs that are compiled for wgsl, and this one is for tfjs\nhelp: compile it with --target wgsl, or leave --engine away\n"],
  ];
  for (const [words, said] of refused) {
    // Compiling is the first that would be told: what was linked, and which pictures there are.
    expect(await jepac(words, { cwd })).toEqual({ code: 2, out: "", err: said });
    expect(all(), words.join(" ")).toEqual(before);
  }
});

test("a run whose terminal is lost ends with a checkpoint, and the hint goes on with the same words", { timeout: 120_000, skip: process.platform === "win32" }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const words = ["--engine", "wasm", "--workers", "0", "--steps", "100000", "--no-probe", "--no-report", "--out", "a"];
  const ran = await run([bin, "train", "small.jepa", "--set", "width=8", "--target", "tfjs", ...words], cwd, (child) => {
    // Once it has stepped; twice, as kernel and shell do.
    const metrics = join(cwd, "a/metrics.jsonl");
    if (!existsSync(metrics) || readFileSync(metrics, "utf8") === "") return false;
    child.kill("SIGHUP");
    child.kill("SIGHUP");
    return true;
  });
  expect(ran.code, ran.err).toBe(130);
  expect(existsSync(join(cwd, "a/checkpoint.safetensors"))).toBe(true);
  expect(ran.err).toMatch(/stopped after step \d+ of 100000; go on with: npx jepac train small\.jepa --target tfjs --set width=8 --out a --resume --engine wasm --workers 0 --no-probe --no-report\n/);
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
