/// <reference types="@webgpu/types" />
/**
 * How long a plan's step takes on a device by itself: for tuning and benchmarks.
 *
 * Owns the repeats and the choice of clock: the device's timestamps where it has them, else the host's around a submit and
 * a wait. The least time counts, because only disturbances add to it. The device stays open; the plan's buffers do not.
 */
import type { WgslModule } from "../../abi.js";
import { Stamps } from "./profiler.js";
import { openSession } from "./session.js";
import { waited } from "./waiting.js";

/** What a measurement is made of. */
export interface Timing {
  readonly device: GPUDevice;
  readonly name: string;
  /** Milliseconds. */
  readonly clock: () => number;
  /** Runs that count; one before them does not. */
  readonly repeats: number;
  /** Milliseconds after which repeats end: what is slow needs no second look. */
  readonly enough: number;
}

/** Least milliseconds of the plan's `step`. Throws `HostError` where the device cannot run it. */
export async function timePlan(module: WgslModule, timing: Timing): Promise<number> {
  const { device, clock } = timing;
  const session = await openSession(device, module, timing.name);
  const stamps = device.features.has("timestamp-query") ? new Stamps(device, 2) : undefined;
  try {
    const started = clock();
    let least = Infinity;
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
      // The first run does not count, however long it took: a software driver compiles in it.
      if (i > 0 || timing.repeats === 0) least = Math.min(least, end - start);
      if (i > 0 && clock() - started > timing.enough) break;
    }
    session.check();
    return least;
  } finally {
    stamps?.dispose();
    session.close();
  }
}
