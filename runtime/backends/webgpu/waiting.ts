/// <reference types="@webgpu/types" />
/**
 * How the host waits for a device.
 *
 * Owns the choice by device: a driver that computes on the processor gets the processor while the host waits. Under Node,
 * Dawn looks for results in every turn of the event loop, as fast as turns go, which keeps one core from working; a
 * `restingWait` lets the turns come slower the longer they wait. On every other device a wait is a wait.
 */

/** Waits for what a device has promised. */
export type Wait = <T>(promise: Promise<T>) => Promise<T>;

const waits = new WeakMap<GPUDevice, Wait>();

/** From now on the host waits for `device` like this. */
export function waitBy(device: GPUDevice, wait: Wait): void {
  waits.set(device, wait);
}

/** Waits for something that `device` has promised. */
export function waited<T>(device: GPUDevice, promise: Promise<T>): Promise<T> {
  return waits.get(device)?.(promise) ?? promise;
}

/** Milliseconds that are added to a turn's rest with every turn, and the longest rest. */
const [MORE, MOST] = [0.01, 0.5];

/**
 * A wait that puts rests between the turns of the event loop: short at first, so that what is ready soon is seen soon, and
 * never longer than half a millisecond. Each new promise begins with short rests again.
 */
export function restingWait(): Wait {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  let [open, rest, turning] = [0, 0, false];
  const turn = (): void => {
    if (open === 0) {
      turning = false;
      return;
    }
    // Nobody wakes this thread: it sleeps until the time is over.
    if (rest > 0) Atomics.wait(nobody, 0, 0, rest);
    rest = Math.min(MOST, rest + MORE);
    setImmediate(turn);
  };
  const done = (): void => {
    open--;
  };
  return (promise) => {
    open++;
    rest = 0;
    promise.then(done, done);
    if (!turning) setImmediate(turn);
    turning = true;
    return promise;
  };
}
