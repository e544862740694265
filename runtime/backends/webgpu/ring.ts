/// <reference types="@webgpu/types" />
/**
 * The ring through which losses come back: several steps write into one staging buffer, which is mapped once for all of
 * them while the next steps write into the other.
 *
 * Owns which step's numbers lie where, and the order in which results are given: that of the steps. Reading never stands
 * in the way of the next step, as long as no more steps are begun than the two halves hold.
 */
import type { PlanOutput } from "../../abi.js";
import type { Session } from "./session.js";
import { mapped, outputBytes, outputsIn } from "./session.js";
import type { Symbols } from "./sizes.js";

/** Losses by output, once for each part of the batch that ran by itself. */
export type Losses = readonly (readonly Float32Array[])[];

interface Waiting {
  /** Of each part. */
  readonly symbols: readonly Symbols[];
  resolve(losses: Losses): void;
  reject(error: unknown): void;
}

interface Half {
  readonly staging: GPUBuffer;
  waiting: Waiting[];
  reading: boolean;
}

/** Losses on their way. */
export class LossRing {
  readonly #halves: readonly Half[];
  readonly #stride: number;
  #current = 0;

  /** `held` steps go into one half, with `parts` sets of outputs each. */
  constructor(readonly session: Session, readonly outputs: readonly PlanOutput[], readonly held: number, readonly parts: number, staging: readonly GPUBuffer[]) {
    this.#halves = staging.map((s) => ({ staging: s, waiting: [], reading: false }));
    this.#stride = outputBytes(outputs);
  }

  /** Copies one part's losses of the step that is being encoded. */
  copy(encoder: GPUCommandEncoder, part: number): void {
    const half = this.#half();
    if (half.reading) throw new Error("webgpu: more steps were begun than the ring of losses holds");
    let at = (half.waiting.length * this.parts + part) * this.#stride;
    for (const output of this.outputs) {
      encoder.copyBufferToBuffer(this.session.bufferAt(output.ref.buffer), output.ref.at, half.staging, at, output.ref.bytes);
      at += outputBytes([output]);
    }
  }

  /** The losses of the step that was submitted just now; with `later` they may wait for others. */
  begun(symbols: readonly Symbols[], later: boolean): Promise<Losses> {
    const half = this.#half();
    const result = new Promise<Losses>((resolve, reject) => half.waiting.push({ symbols, resolve, reject }));
    if (!later || half.waiting.length === this.held) this.land();
    return result;
  }

  /** Begins to read everything that is still out. */
  land(): void {
    const half = this.#half();
    if (half.waiting.length === 0) return;
    this.#current = (this.#current + 1) % this.#halves.length;
    half.reading = true;
    void this.#read(half);
  }

  #half(): Half {
    const half = this.#halves[this.#current];
    if (half === undefined) throw new Error("webgpu: a ring has two halves");
    return half;
  }

  async #read(half: Half): Promise<void> {
    const { waiting } = half;
    try {
      const all = await mapped(this.session, half.staging, (range) => waiting.map(({ symbols }, step) =>
        symbols.map((own, part) => outputsIn(range, (step * this.parts + part) * this.#stride, this.outputs, own))));
      [half.waiting, half.reading] = [[], false];
      waiting.forEach(({ resolve }, i) => resolve(all[i] ?? []));
    } catch (error) {
      [half.waiting, half.reading] = [[], false];
      for (const { reject } of waiting) reject(error);
    }
  }
}
