/**
 * The trainer's command line, and Ctrl-C.
 */
import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { expect, test, vi } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { INTERRUPTED, outliveReader, watchInterrupts } from "../../../runtime/train/interrupt.js";
import { createEngine } from "../../../runtime/train/engines.js";
import { train } from "../../../runtime/train/main.js";
import { optionsHelp, parseOptions } from "../../../runtime/train/options.js";
import type { EngineChoice, TrainerOptions } from "../../../runtime/train/options.js";
import { probeRun } from "../../../runtime/train/probe-main.js";
import { resumeCommand, shellWord } from "../../../runtime/train/run-folder.js";
import { fakeManifest } from "./fakes.js";

function refusal(...argv: string[]): string {
  try {
    parseOptions(argv);
  } catch (error) {
    if (error instanceof HostError && error.code === "usage") return `${error.message} | ${error.help}`;
    throw error;
  }
  throw new Error(`${argv.join(" ")} was accepted`);
}

test("options are read in both spellings", () => {
  expect(parseOptions(["--data", "pics", "--batch=32", "--epochs", "1.5", "--no-probe", "--engine", "wasm"])).toEqual({ data: "pics", batch: 32, epochs: 1.5, probe: false, engine: "wasm" });
});

test("resume takes the latest unless told otherwise, and does not swallow the next option", () => {
  expect(parseOptions(["--resume"])).toEqual({ resume: "latest" });
  expect(parseOptions(["--resume", "previous"])).toEqual({ resume: "previous" });
  expect(parseOptions(["--resume", "--quiet"])).toEqual({ resume: "latest", quiet: true });
  expect(refusal("--resume=yesterday")).toMatch(/latest or previous, not yesterday/);
});

test("places of weights are read by module, and nothing else is", () => {
  expect(parseOptions(["--pretrained", "teacher=runs/a=b,code=w.safetensors"])).toEqual({ pretrained: { teacher: "runs/a=b", code: "w.safetensors" } });
  for (const word of ["teacher", "=w", "teacher=", "teacher=w,,"]) expect(refusal("--pretrained", word)).toMatch(/--pretrained takes <module=path>, not .* \| name the module/);
});

test("an unknown option is refused with the nearest one", () => {
  expect(refusal("--bach", "3")).toBe("there is no option --bach | did you mean --batch? (--help lists all)");
  expect(refusal("pictures")).toMatch(/there is no option pictures/);
});

test("values that an option cannot take are refused", () => {
  expect(refusal("--steps", "ten")).toMatch(/--steps takes a whole number from 1, not ten/);
  expect(refusal("--steps", "0")).toMatch(/from 1, not 0/);
  expect(refusal("--steps", "1e99")).toMatch(/not 1e99/);
  expect(refusal("--epochs", "-1")).toMatch(/--epochs/);
  for (const value of ["-1", "soon", "Infinity"]) expect(refusal("--checkpoint-minutes", value)).toBe(`--checkpoint-minutes takes a number from 0, not ${value} | give minutes, such as 10 or 0.5; 0 leaves it at the checkpoints of the program`);
  expect(refusal("--engine", "cuda")).toMatch(/there is no engine cuda \| engines: auto/);
  expect(refusal("--data")).toMatch(/--data needs a value/);
  expect(refusal("--data", "--quiet")).toMatch(/--data needs a value/);
  expect(refusal("--out", "")).toMatch(/--out needs a value/);
  expect(refusal("--out=")).toMatch(/--out needs a value/);
  expect(refusal("--quiet=yes")).toMatch(/takes no value/);
  expect(refusal("--steps", "3", "--epochs", "2")).toMatch(/twice/);
});

test("options that a program gives are held to the same: by name, with what they take", async () => {
  const refused: readonly [unknown, RegExp][] = [
    [{ steps: 2.5 }, /steps takes a whole number from 1, not 2\.5/], [{ steps: "2" }, /steps takes a whole number from 1, not "2"/], [{ epochs: 0 }, /epochs takes a number above 0/],
    [{ engine: "foo" }, /engine takes one of auto, .*not "foo"/], [{ out: "" }, /out takes a path that is not empty/], [{ quiet: "yes" }, /quiet takes true or false/],
    [{ stepz: 3 }, /there is no option stepz/], [{ steps: 3, epochs: 1 }, /say the same thing twice/], [{ checkpointMinutes: "10" }, /checkpointMinutes takes a number from 0, not "10"/], [{ workers: -1 }, /workers takes a whole number from 0, not -1/],
  ];
  const manifest = fakeManifest();
  const module = { step: () => raise(), encoders: {} };
  for (const [given, said] of refused) {
    const options: TrainerOptions = Object.assign({}, given);
    for (const start of [() => train({ manifest, module, options }), () => probeRun({ manifest, module, options })]) await expect(start()).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(said), help: expect.stringMatching(/./) });
  }
});

test("an engine that there is not is refused by its name", async () => {
  const choice: EngineChoice = JSON.parse('"foo"');
  await expect(createEngine(fakeManifest(), { step: () => raise(), encoders: {} }, choice, 0)).rejects.toMatchObject({ code: "usage", message: "there is no engine foo", help: expect.stringContaining("wasm") });
});

test("what goes into a shell's line is one word of it, whatever is in it", { skip: process.platform === "win32" }, () => {
  for (const path of ["runs/a-1", "runs/h $HOME", "it's", "a\\b", "`id`", "!x", '"', "", "width=64", "a;b", "*"]) {
    expect(spawnSync("/bin/sh", ["-c", `printf %s ${shellWord(path)}`], { encoding: "utf8" }).stdout).toBe(path);
  }
  expect([shellWord("runs/a-1"), shellWord("predict.depth=6")]).toEqual(["runs/a-1", "predict.depth=6"]);
  expect(resumeCommand("node train.mjs", "runs/h $HOME")).toBe("node train.mjs --out 'runs/h $HOME' --resume");
});

function raise(): never {
  throw new Error("the module was run");
}

test("the help names every option", () => {
  const help = optionsHelp("tiny");
  for (const name of ["--data", "--eval-data", "--engine", "--out", "--resume", "--steps", "--epochs", "--batch", "--seed", "--workers", "--probe", "--no-probe", "--report", "--quiet"]) expect(help).toContain(name);
});

/** A process that is not one: signals are pressed, and what the watch does is seen. */
function fakeProcess() {
  const handlers = new Map<string, Set<() => void>>([["SIGINT", new Set()], ["SIGTERM", new Set()], ["SIGHUP", new Set()]]);
  const exits: number[] = [];
  const said: string[] = [];
  const source = {
    on: (signal: string, handler: () => void) => handlers.get(signal)?.add(handler),
    off: (signal: string, handler: () => void) => handlers.get(signal)?.delete(handler),
    exit: (code: number) => exits.push(code),
  };
  const press = (signal: string): void => handlers.get(signal)?.forEach((handler) => handler());
  const waiting: (() => void)[] = [];
  const moment = (over: () => void): unknown => waiting.push(over);
  const pass = (): void => waiting.splice(0).forEach((over) => over());
  return { handlers, exits, said, source, press, moment, pass };
}

test("the first Ctrl-C asks, a later one quits at once, and released handlers are gone", () => {
  const { handlers, exits, said, source, press, moment, pass } = fakeProcess();
  const interrupts = watchInterrupts(source, (text) => said.push(text), moment);
  expect(interrupts.requested()).toBe(false);
  press("SIGTERM");
  expect([interrupts.requested(), exits, said.length]).toEqual([true, [], 1]);
  pass();
  expect(exits).toEqual([]);
  press("SIGINT");
  expect(exits).toEqual([INTERRUPTED]);
  interrupts.release();
  expect([...handlers.values()].map((set) => set.size)).toEqual([0, 0, 0]);
});

test("signals within a moment of the first are the same request, whatever they are, and told once", () => {
  const { exits, said, source, press, moment, pass } = fakeProcess();
  const interrupts = watchInterrupts(source, (text) => said.push(text), moment);
  for (const signal of ["SIGTERM", "SIGTERM", "SIGINT", "SIGHUP"]) press(signal);
  expect([interrupts.requested(), exits, said.length]).toEqual([true, [], 1]);
  // The moment begins with the first: relays that go on and on do not draw it out.
  pass();
  press("SIGTERM");
  expect(exits).toEqual([INTERRUPTED]);
});

test("the moment lasts a second, and signals that a busy step kept waiting count as within it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate"] });
  try {
    const { exits, source, press } = fakeProcess();
    watchInterrupts(source, () => undefined);
    press("SIGTERM");
    await vi.advanceTimersByTimeAsync(999);
    press("SIGTERM");
    expect(exits).toEqual([]);
    // The timer is due and its immediate is not yet: here a process that was busy hears of its signals.
    vi.advanceTimersToNextTimer();
    press("SIGTERM");
    expect(exits).toEqual([]);
    vi.advanceTimersToNextTimer();
    press("SIGTERM");
    expect(exits).toEqual([INTERRUPTED]);
  } finally {
    vi.useRealTimers();
  }
});

test("a lost terminal asks for the end however often it is told, and Ctrl-C after it still quits at once", () => {
  const { exits, said, source, press, moment, pass } = fakeProcess();
  const interrupts = watchInterrupts(source, (text) => said.push(text), moment);
  press("SIGHUP");
  pass();
  press("SIGHUP");
  expect([interrupts.requested(), exits, said.length]).toEqual([true, [], 1]);
  press("SIGTERM");
  expect(exits).toEqual([INTERRUPTED]);
});

test("a reader that is gone does not end a run, other errors of a stream do", () => {
  const stream = new EventEmitter();
  const fail = (code: string) => (): boolean => stream.emit("error", Object.assign(new Error(`write ${code}`), { code }));
  expect(fail("EIO")).toThrow("write EIO");
  outliveReader(stream);
  outliveReader(stream);
  expect(stream.listenerCount("error")).toBe(1);
  expect(fail("EIO")).not.toThrow();
  expect(fail("EPIPE")).not.toThrow();
  expect(fail("ENOSPC")).toThrow("write ENOSPC");
});
