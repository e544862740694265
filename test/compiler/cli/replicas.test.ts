/**
 * Replicas by the command line, as processes: the same step as in one process, the same run after a stop, and what is said
 * when a replica dies or cannot be had.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EngineMissing, loadTf } from "../../../runtime/backends/tfjs/engine.js";
import { host } from "./host.js";
import { root, small, temporary } from "./support.js";

const hosted = host();
const bin = join(root, "dist/compiler/cli/bin.js");

interface Ran {
  readonly code: number | null;
  readonly err: string;
}

/** The words of `jepac train` for a run of steps alone. */
const wordsOf = (words: readonly string[], file = "small.jepa"): string[] => ["train", file, ...(words.includes("--workers") ? [] : ["--workers", "0"]), "--no-probe", "--no-report", ...words];

/** Runs `jepac train` in a folder as a process; `onProgress` is called with the process and all that it has said, as it speaks and 20 times a second. */
function train(cwd: string, words: readonly string[], onProgress: (pid: number, text: string) => void = () => undefined, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [bin, ...wordsOf(words)], { cwd, env: { ...process.env, NO_COLOR: "1", ...env }, stdio: ["ignore", "ignore", "pipe"] });
    let err = "";
    child.stderr.on("data", (part: Buffer) => {
      err += part.toString();
      if (child.pid !== undefined) onProgress(child.pid, err);
    });
    const look = setInterval(() => { if (child.pid !== undefined) onProgress(child.pid, err); }, 50);
    child.on("error", fail);
    child.on("close", (code) => {
      clearInterval(look);
      done({ code, err });
    });
  });
}

const losses = (folder: string): number[] => readFileSync(join(folder, "metrics.jsonl"), "utf8").trimEnd().split("\n").map((line) => Number(JSON.parse(line).loss));
const state = (folder: string): Buffer => readFileSync(join(folder, "checkpoint.safetensors"));
const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("jepac-replicas-"));

/** Children of a process that are replicas. */
function replicasOf(pid: number): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((id) => {
    try {
      const parent = readFileSync(`/proc/${id}/stat`, "utf8").split(") ")[1]?.split(" ")[1];
      return Number(parent) === pid && readFileSync(`/proc/${id}/cmdline`, "utf8").includes("replica.js");
    } catch {
      return false;
    }
  });
}

async function isHere(engine: "tfjs-node"): Promise<boolean> {
  try {
    await loadTf(engine);
    return true;
  } catch (error) {
    if (error instanceof EngineMissing) return false;
    throw error;
  }
}

for (const engine of ["wasm", "tfjs-node"] as const) {
  test(`two replicas take the steps of one process whose batch runs in two parts (${engine})`, { timeout: 240_000 }, async (cx) => {
    if (engine === "tfjs-node" && !(await isHere(engine))) {
      console.warn("NOT TESTED: replicas on tfjs-node, which is not here (npm run setup)");
      cx.skip();
    }
    const before = leftovers();
    const cwd = temporary({ "package.json": "{}", "small.jepa": small });
    const options = ["--engine", engine, "--steps", "5"];
    const two = await train(cwd, [...options, "--replicas", "2", "--out", "two"]);
    expect(two.code, two.err).toBe(0);
    expect(two.err).toMatch(/engine: \S+ .*, 2 replicas/);
    const four = await train(cwd, [...options, "--replicas", "4", "--out", "four"]);
    expect(four.code, four.err).toBe(0);
    const one = await hosted(cwd, wordsOf([...options, "--replicas", "1", "--out", "one"]));
    expect(one.code, one.err).toBe(0);
    const parts = temporary({ "package.json": "{}", "small.jepa": small.replace("batch ", "accumulate 2\n  batch ") });
    const halves = await hosted(parts, wordsOf([...options, "--replicas", "1", "--out", "halves"]));
    expect(halves.code, halves.err).toBe(0);
    const far = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? Number.NaN))));
    expect(losses(join(cwd, "two")).length).toBe(5);
    expect(far(losses(join(cwd, "two")), losses(join(parts, "halves")))).toBeLessThan(engine === "wasm" ? 1e-12 : 1e-6);
    for (const name of ["two", "four"]) expect(far(losses(join(cwd, name)), losses(join(cwd, "one"))), name).toBeLessThan(1e-5);
    expect(leftovers().filter((name) => !before.includes(name))).toEqual([]);
  });
}

test("a run of two replicas that is killed in its first epoch, goes on, stops and goes on is the run that never stopped, bit for bit", { timeout: 240_000 }, async () => {
  // An epoch of 400 steps, of which these are the first: their checkpoints are of the clock.
  const cwd = temporary({ "package.json": "{}", "small.jepa": small.replace("count: 64", "count: 6400") });
  const options = ["--engine", "wasm"];
  expect((await train(cwd, [...options, "--steps", "60", "--replicas", "2", "--out", "whole"])).code).toBe(0);
  const before = leftovers();
  const dead = await train(cwd, [...options, "--steps", "60", "--replicas", "2", "--out", "parts", "--checkpoint-minutes", "0.001"], (pid) => {
    if (existsSync(join(cwd, "parts/checkpoint.safetensors"))) process.kill(pid, "SIGKILL");
  });
  expect(dead.code, dead.err).toBe(null);
  expect(leftovers().filter((name) => !before.includes(name))).toEqual([]);
  let pressed = false;
  const first = await train(cwd, [...options, "--out", "parts", "--resume"], (pid, text) => {
    if (pressed || !/ [1-9]\d*\/60 /.test(text)) return;
    pressed = true;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) for (const replica of replicasOf(pid)) process.kill(replica, signal);
    process.kill(pid, "SIGINT");
  });
  expect(first.code, first.err).toBe(130);
  expect(first.err).toMatch(/going on after step [1-9]\d*: 60 steps/);
  expect(JSON.parse(readFileSync(join(cwd, "parts/run.json"), "utf8"))).toMatchObject({ replicas: 2 });
  const second = await train(cwd, [...options, "--out", "parts", "--resume"]);
  expect(second.code, second.err).toBe(0);
  expect(second.err).toContain("2 replicas");
  expect(losses(join(cwd, "parts"))).toEqual(losses(join(cwd, "whole")));
  expect(state(join(cwd, "parts")).equals(state(join(cwd, "whole")))).toBe(true);
  expect(second.err).not.toContain("the run began in");
  const other = await hosted(cwd, wordsOf([...options, "--out", "parts", "--resume", "--steps", "62", "--replicas", "1"]));
  expect(other.code, other.err).toBe(0);
  expect(other.err).toContain("the run began in 2 processes: in one it goes on soundly, but not to the same last bits");
});

test("a replica that dies ends the run with the reason and the way on, and its checkpoint is there", { timeout: 240_000 }, async () => {
  if (!existsSync("/proc/self/stat")) {
    console.warn("NOT TESTED: the death of a replica, on a system without /proc");
    return;
  }
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  let shot = false;
  const ran = await train(cwd, ["--engine", "wasm", "--steps", "4000", "--replicas", "2", "--out", "run"], (pid) => {
    const [replica] = shot || !existsSync(join(cwd, "run/checkpoint.safetensors")) ? [] : replicasOf(pid);
    if (replica === undefined) return;
    shot = true;
    process.kill(replica, "SIGKILL");
  });
  expect(ran.code, ran.err).toBe(2);
  expect(ran.err).toContain("error: replica 1, a process that computes a part of each batch, ended (SIGKILL)");
  expect(ran.err).toContain("help: go on from the last checkpoint with --resume");
  const on = await hosted(cwd, wordsOf(["--engine", "wasm", "--out", "run", "--resume", "--steps", String(losses(join(cwd, "run")).length + 2)]));
  expect(on.code, on.err).toBe(0);
});

test("replicas that cannot be had are refused with the way out", { timeout: 120_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const odd = await hosted(cwd, wordsOf(["--engine", "wasm", "--steps", "2", "--replicas", "3"]));
  expect(odd.code).toBe(2);
  expect(odd.err).toMatch(/--replicas 3: a batch of \d+ cannot be cut into equal parts/);
  // What fails beside replicas must not leave them, or this process, waiting for each other.
  const threads = await train(cwd, ["--engine", "wasm", "--steps", "2", "--replicas", "2", "--workers", "100"]);
  expect(threads.code).toBe(2);
  expect(threads.err).toContain("error: workers is 100");
  const closed = { TMPDIR: join(cwd, "nowhere"), TEMP: join(cwd, "nowhere") };
  const asked = await train(cwd, ["--engine", "wasm", "--steps", "100", "--replicas", "2", "--out", "asked"], undefined, closed);
  expect(asked.code).toBe(2);
  expect(asked.err).toMatch(/error: cannot write .*nowhere.*\nhelp: free some space, name another temporary folder with TMPDIR, or take --replicas 1/);
  const unasked = await train(cwd, ["--engine", "wasm", "--steps", "100", "--out", "unasked"], undefined, closed);
  expect(unasked.code, unasked.err).toBe(0);
  if (availableParallelism() > 1) expect(unasked.err).toMatch(/passed over replicas: cannot write .*nowhere/);
  const together = await hosted(root, wordsOf(["--engine", "wasm", "--steps", "2", "--replicas", "2", "--out", join(cwd, "vicreg")], "examples/vicreg-small.jepa"));
  expect(together.code).toBe(2);
  expect(together.err).toContain("--replicas 2: this program compares the images of a step with each other, so its batch cannot be shared out");
});
