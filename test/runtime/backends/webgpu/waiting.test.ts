/**
 * Waits for a driver that computes on the processor: turns of the event loop come slower the longer one waits, start anew with
 * each promise, and end with the last; other devices are waited for without anything between.
 */
import { afterEach, expect, test, vi } from "vitest";
import { restingWait, waitBy, waited } from "../../../../runtime/backends/webgpu/waiting.js";

afterEach(() => vi.restoreAllMocks());

/** Lets the event loop turn. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((done) => setImmediate(done));
}

/** Rests that were taken, in milliseconds; none is really taken. */
function restsTaken(): number[] {
  const rests: number[] = [];
  vi.spyOn(Atomics, "wait").mockImplementation((_array: unknown, _index: unknown, _value: unknown, timeout?: number) => {
    rests.push(timeout ?? Infinity);
    return "timed-out";
  });
  return rests;
}

test("rests grow to half a millisecond, begin anew with each promise, and end with the last one", async () => {
  const rests = restsTaken();
  const wait = restingWait();
  const first = opened<string>();
  const got = wait(first.promise);
  await turns(80);
  expect(rests.length).toBeGreaterThan(60);
  expect(rests).toEqual([...rests].sort((a, b) => a - b));
  expect(rests[0]).toBeLessThan(0.02);
  expect(rests.at(-1)).toBe(0.5);
  const second = opened<number>();
  const failing = wait(second.promise);
  const before = rests.length;
  await turns(3);
  expect(rests[before]).toBeLessThan(0.02);
  first.resolve("done");
  second.reject(new Error("lost"));
  expect(await got).toBe("done");
  await expect(failing).rejects.toThrow("lost");
  await turns(2);
  const after = rests.length;
  await turns(5);
  expect(rests.length).toBe(after);
});

test("only the device it was said for is waited for like that", async () => {
  const rests = restsTaken();
  const [software, card] = [device(), device()];
  waitBy(software, restingWait());
  const open = opened<number>();
  const [a, b] = [waited(software, Promise.resolve(1)), waited(card, open.promise)];
  expect(await a).toBe(1);
  await turns(2);
  const before = rests.length;
  await turns(5);
  expect(rests.length).toBe(before);
  open.resolve(2);
  expect(await b).toBe(2);
});

function device(): GPUDevice {
  const made: unknown = {};
  return isDevice(made) ? made : expect.unreachable("any object stands for a device here");
}

function isDevice(x: unknown): x is GPUDevice {
  return typeof x === "object";
}

interface Opened<T> { readonly promise: Promise<T>; resolve(value: T): void; reject(error: Error): void }

function opened<T>(): Opened<T> {
  let [resolve, reject]: [(value: T) => void, (error: Error) => void] = [() => undefined, () => undefined];
  const promise = new Promise<T>((yes, no) => { [resolve, reject] = [yes, no]; });
  return { promise, resolve: (value) => resolve(value), reject: (error) => reject(error) };
}
