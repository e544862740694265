/// <reference types="@webgpu/types" />
/**
 * How long a plan's step takes on a device by itself: for tuning and benchmarks.
 *
 * Owns the repeats, the choice of clock (the device's timestamps where it has them, else the host's around a submit and a
 * wait), and noise in the plan's buffers: units that multiply zeros draw less power and may run faster. The least time counts,
 * because only disturbances add to it. The device stays open; the plan's buffers do not.
 */
import type { WgslModule } from "../../abi.js";
import { noise } from "./noise.js";
import { Stamps } from "./profiler.js";
import { openSession } from "./session.js";
import { waited } from "./waiting.js";

/** What a measurement is made of. */
export interface Timing {
  readonly device: GPUDevice;
  readonly name: string;
  /** Milliseconds. */
  readonly clock: () => number;
  /** Runs that count, after those that warm the device up; with 0 the first one counts. */
  readonly repeats: number;
  /** Milliseconds after which repeats end: what is slow needs no second look. */
  readonly enough: number;
}

/** Milliseconds of work after which a card runs at the clock that it trains at. */
const WARM = 150;

/** Least milliseconds of the plan's `step`. Throws `HostError` where the device cannot run it. */
export async function timePlan(module: WgslModule, timing: Timing): Promise<number> {
  const { device, clock } = timing;
  const session = await openSession(device, module, timing.name);
  const stamps = device.features.has("timestamp-query") ? new Stamps(device, 2) : undefined;
  try {
    fillWithNoise(device, module.plan.buffers.flatMap(({ kind }, i) => (kind === "work" ? [session.bufferAt(i)] : [])));
    let started = clock();
    let least = Infinity;
    // Runs before the first that counts: a software driver compiles in one, and a card takes a while to leave its idle clock.
    let warming = true;
    for (let i = 0; i <= timing.repeats; i++) {
      const from = clock();
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass(stamps === undefined ? {} : { timestampWrites: stamps.around(0) });
      session.encode(pass, module.plan.step, new Map());
      pass.end();
      stamps?.resolve(encoder, 1);
      device.queue.submit([encoder.finish()]);
      if (stamps === undefined) await waited(device, device.queue.onSubmittedWorkDone());
      const [start = 0, end = 0] = (await stamps?.read(1)) ?? [from, clock()];
      if (timing.repeats > 0 && warming) {
        warming = clock() - started < WARM;
        i = 0;
        if (!warming) started = clock();
        continue;
      }
      least = Math.min(least, end - start);
      if (clock() - started > timing.enough) break;
    }
    session.check();
    return least;
  } finally {
    stamps?.dispose();
    session.close();
  }
}

function fillWithNoise(device: GPUDevice, buffers: readonly GPUBuffer[]): void {
  // A megabyte, again and again.
  const numbers = noise(1 << 19, -2, 3);
  for (const buffer of buffers) {
    for (let at = 0; at < buffer.size; at += numbers.byteLength) device.queue.writeBuffer(buffer, at, numbers, 0, Math.min(numbers.length, (buffer.size - at) / 2));
  }
}
