/// <reference types="@webgpu/types" preserve="true" />
/**
 * Where a step's time goes: timestamps of the device around dispatches, the host's clock around the phases of a step.
 *
 * Owns which steps are looked at and how. After some steps that are left alone, `steps` run as always with two timestamps
 * around their one pass: they tell the device's and the host's share of a step. Then `steps` run with a pass and two
 * timestamps for each dispatch: they tell the share of each kernel (passes of their own cost a little, so these steps are
 * slower). The same dispatches run in the same order, so results keep their bits. Turning samples into tables is
 * `profile-report.ts`; ceilings are `ceilings.ts`.
 */
import type { PlanProgram, WgslPlan } from "../../abi.js";
import { HostError } from "../../base/errors.js";
import type { DispatchSample, Phase, StepSample } from "./samples.js";
import type { Session } from "./session.js";
import type { Symbols } from "./sizes.js";
import { sizeValue } from "./sizes.js";
import { waited } from "./waiting.js";

/** A look at one step. */
export interface Look {
  mark(phase: Phase): void;
  /** Encodes what runs for one part of the batch, with timestamps; the first program reads that part's inputs. */
  encode(session: Session, encoder: GPUCommandEncoder, programs: readonly PlanProgram[], symbols: Symbols, part: number): void;
  /** After the last part: timestamps to where they can be read. */
  resolve(encoder: GPUCommandEncoder): void;
  /** Takes the timestamps home. */
  end(): Promise<void>;
}

/** Looks at steps. */
export interface Profiler {
  /** A look at the step that begins now; undefined for steps that are left alone. */
  begin(): Look | undefined;
  /** What was seen so far. */
  samples(): readonly StepSample[];
  /** Whether all looks are done. */
  done(): boolean;
}

/** What a profiler is made of. */
export interface ProfilerSetup {
  readonly device: GPUDevice;
  readonly plan: WgslPlan;
  /** Milliseconds. */
  readonly clock: () => number;
  /** Steps left alone before the first look. */
  readonly skip?: number;
  /** Looks of each kind. */
  readonly steps: number;
}

/** Steps left alone: the first ones compile, allocate and fill caches. */
const SKIPPED = 2;
/** Queries that one set may have. */
const SET = 4096;
const usage = { queryResolve: 0x200, copySource: 4, copyTarget: 8, mapRead: 1 };

/** Makes a profiler. Throws `HostError` "no-engine" where the device was opened without timestamps. */
export function createProfiler(setup: ProfilerSetup): Profiler {
  const { device, plan } = setup;
  if (!device.features.has("timestamp-query")) throw new HostError("no-engine", "this device has no timestamp queries", "train without --profile, or profile on another device or driver");
  const parts = plan.accumulate?.parts ?? 1;
  const most = parts * (plan.step.dispatches.length + (plan.accumulate?.rest.dispatches.length ?? 0)) + plan.norms.dispatches.length + plan.update.dispatches.length;
  // Several steps are under way at once, so each look has timestamps of its own.
  const stamps = Array.from({ length: 2 * setup.steps }, (_, i) => new Stamps(device, 2 * (i < setup.steps ? parts : Math.max(1, most))));
  const samples: StepSample[] = [];
  let seen = 0;
  const skip = setup.skip ?? SKIPPED;
  return {
    begin() {
      const at = seen++ - skip;
      const own = stamps[at];
      return own === undefined ? undefined : look(setup, own, at < setup.steps ? "whole" : "each", (sample) => samples.push(sample));
    },
    samples: () => samples,
    done: () => samples.length >= 2 * setup.steps,
  };
}

function look({ plan, clock }: ProfilerSetup, stamps: Stamps, kind: StepSample["kind"], keep: (sample: StepSample) => void): Look {
  const began = clock();
  const phases: Record<Phase, number> = { upload: began, encode: began, submit: began };
  const facts: Omit<DispatchSample, "start" | "end">[] = [];
  let pairs = 0;
  return {
    mark(phase) {
      phases[phase] = clock();
    },
    encode(session, encoder, programs, symbols, part) {
      facts.push(...programs.flatMap((p) => factsOf(plan, p, symbols)));
      if (kind === "whole") {
        const pass = encoder.beginComputePass({ timestampWrites: stamps.around(pairs++) });
        programs.forEach((program, i) => session.encode(pass, program, symbols, i === 0 ? part : 0));
        pass.end();
      } else {
        programs.forEach((program, i) => session.encodeEach(() => encoder.beginComputePass({ timestampWrites: stamps.around(pairs++) }), program, symbols, i === 0 ? part : 0));
      }
    },
    resolve: (encoder) => stamps.resolve(encoder, pairs),
    async end() {
      const times = await stamps.read(pairs);
      const dispatches = kind === "whole" ? [] : facts.map((f, i): DispatchSample => ({ ...f, start: times[2 * i] ?? 0, end: times[2 * i + 1] ?? 0 }));
      const bounds = { start: Math.min(...times.filter((_, i) => i % 2 === 0)), end: Math.max(...times) };
      stamps.dispose();
      keep({ kind, began, phases, dispatchCount: facts.length, device: bounds, dispatches });
    },
  };
}

function factsOf(plan: WgslPlan, program: PlanProgram, symbols: Symbols): Omit<DispatchSample, "start" | "end">[] {
  return program.dispatches.map(({ kernel, cost, groups }) => ({
    kernel: plan.kernels[kernel]?.name ?? "unknown",
    flops: cost.flops === undefined ? undefined : sizeValue(cost.flops, symbols),
    bytes: sizeValue(cost.bytes, symbols),
    groups: groups.reduce<number>((n, g) => n * sizeValue(g, symbols), 1),
  }));
}

/** Pairs of timestamps, in as many query sets as are needed. */
export class Stamps {
  readonly #sets: readonly GPUQuerySet[];
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(readonly device: GPUDevice, readonly count: number) {
    this.#sets = Array.from({ length: Math.ceil(count / SET) }, (_, i) => device.createQuerySet({ type: "timestamp", count: Math.min(SET, count - i * SET) }));
    this.#resolved = device.createBuffer({ size: count * 8, usage: usage.queryResolve | usage.copySource });
    this.#staging = device.createBuffer({ size: count * 8, usage: usage.mapRead | usage.copyTarget });
  }

  /** Where a pass writes the times of pair `n`. */
  around(n: number): GPUComputePassTimestampWrites {
    const querySet = this.#sets[Math.floor((2 * n) / SET)];
    if (querySet === undefined) throw new HostError("mismatch", `there is no pair ${n} of timestamps`, "report this");
    return { querySet, beginningOfPassWriteIndex: (2 * n) % SET, endOfPassWriteIndex: ((2 * n) % SET) + 1 };
  }

  /** Copies the first pairs to where they can be read. */
  resolve(encoder: GPUCommandEncoder, pairs: number): void {
    this.#sets.forEach((set, i) => {
      const n = Math.min(SET, 2 * pairs - i * SET);
      if (n > 0) encoder.resolveQuerySet(set, 0, n, this.#resolved, i * SET * 8);
    });
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, pairs * 16);
  }

  /** Milliseconds on the device's clock, two for each pair. */
  async read(pairs: number): Promise<number[]> {
    await waited(this.device, this.#staging.mapAsync(1, 0, pairs * 16));
    const nanoseconds = new BigUint64Array(this.#staging.getMappedRange(0, pairs * 16).slice(0));
    this.#staging.unmap();
    return Array.from(nanoseconds, (t) => Number(t) / 1e6);
  }

  dispose(): void {
    for (const set of this.#sets) set.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}
