/**
 * The trainer's command line, and Ctrl-C.
 */
import { EventEmitter } from "node:events";
import { expect, test, vi } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { INTERRUPTED, outliveReader, watchInterrupts } from "../../../runtime/train/interrupt.js";
import { optionsHelp, parseOptions } from "../../../runtime/train/options.js";

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

test("an unknown option is refused with the nearest one", () => {
  expect(refusal("--bach", "3")).toBe("there is no option --bach | did you mean --batch? (--help lists all)");
  expect(refusal("pictures")).toMatch(/there is no option pictures/);
});

test("values that an option cannot take are refused", () => {
  expect(refusal("--steps", "ten")).toMatch(/--steps takes a whole number from 1, not ten/);
  expect(refusal("--steps", "0")).toMatch(/from 1, not 0/);
  expect(refusal("--steps", "1e99")).toMatch(/not 1e99/);
  expect(refusal("--epochs", "-1")).toMatch(/--epochs/);
  expect(refusal("--engine", "cuda")).toMatch(/there is no engine cuda \| engines: auto/);
  expect(refusal("--data")).toMatch(/--data needs a value/);
  expect(refusal("--data", "--quiet")).toMatch(/--data needs a value/);
  expect(refusal("--quiet=yes")).toMatch(/takes no value/);
  expect(refusal("--steps", "3", "--epochs", "2")).toMatch(/twice/);
});

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
