/// <reference types="@webgpu/types" />
/**
 * Whether kernels by subgroup matrices compute on this device what their portable texts compute.
 *
 * Subgroup matrices are an experiment of Dawn's, drivers differ, and a kernel that computes wrong numbers trains on without a
 * word. So before the first step one kernel of each family is run both ways on the same noise, in the plan's own buffers and
 * with sizes of the plan; where results differ by more than f16 explains, all of the family run by their portable texts, and
 * the run says so. Owns the noise, the comparison and the bound. Buffers are left zero, as they were made. What kernels
 * compute at all is the tests' matter: here it is only asked whether this device agrees with itself.
 */
import type { PlanDispatch, PlanProgram, PlanRef, WgslModule } from "../../abi.js";
import { halfToFloat } from "../../base/half.js";
import { noise } from "./noise.js";
import type { Family } from "./pipelines.js";
import { programsOf } from "./programs.js";
import type { Session } from "./session.js";
import { mapped } from "./session.js";
import type { Symbols } from "./sizes.js";

/** Most that a form may differ, as a part of the largest result: factors are rounded to f16 (2^-11) once or twice on their way. */
const BOUND = 0.02;
/** Bytes of a binding that are filled and compared at the most: some images and a layer's weights, not a whole batch. */
const MOST = 4 << 20;
/** Images that the kernels are given. */
const IMAGES = 2;
/** Bytes of noise; bindings begin at places of their own in it. */
const [NOISE, SHIFT] = [1 << 20, 4096];

/** Holds all families against their portable texts; one note for each that failed, which runs portably from now on. */
export async function proveForms(session: Session, module: WgslModule, name: string): Promise<readonly string[]> {
  const notes: string[] = [];
  if (session.families.length === 0) return notes;
  const prover = new Prover(session, module);
  try {
    for (const family of session.families) {
      const worst = await prover.difference(family);
      if (worst <= BOUND) continue;
      await session.runPortably(family.kernels);
      notes.push(`${family.name} by subgroup matrices: on ${name} its results ${told(worst)}; the portable kernel runs instead, slower`);
    }
  } finally {
    prover.dispose();
  }
  session.check();
  return notes;
}

function told(worst: number): string {
  return Number.isFinite(worst) ? `differ from those of the portable kernel by ${worst.toPrecision(2)} of the largest, where ${BOUND} is the most` : "are no numbers, nothing but zeros or none at all";
}

/** What the elements of a binding are. */
type Kind = "f16" | "f32" | "index";

/** A range that a dispatch binds, with what is done with it. */
interface Range {
  readonly ref: PlanRef;
  readonly kind: Kind;
  readonly writes: boolean;
  /** Bytes that are filled, and compared where it is written. */
  readonly bytes: number;
  /** Where its noise begins. */
  readonly from: number;
}

class Prover {
  readonly #noise = noise(NOISE / 2, -2, 2);
  readonly #source: GPUBuffer;
  readonly #staging: GPUBuffer;
  readonly #symbols: Symbols;

  constructor(readonly session: Session, readonly module: WgslModule) {
    this.#source = session.device.createBuffer({ size: NOISE, usage: 4 | 8 /* COPY_SRC, COPY_DST */ });
    this.#staging = session.device.createBuffer({ size: 8 * MOST, usage: 1 | 8 /* MAP_READ, COPY_DST */ });
    session.device.queue.writeBuffer(this.#source, 0, this.#noise);
    // Lengths one below their bounds: what is there for the largest ones must not be counted on.
    this.#symbols = new Map(Object.entries(module.plan.bounds).map(([symbol, most]) => [symbol, symbol === "B" ? Math.min(IMAGES, most) : Math.max(1, most - 1)]));
  }

  /** How far the two ways are apart, as a part of the largest result; infinite where nothing can be compared. */
  async difference({ witness, portable }: Family): Promise<number> {
    const found = dispatchOf(this.module, witness);
    if (found === undefined) return Infinity;
    const ranges = this.#ranges(witness, found.dispatch);
    const wanted = await this.#run(found, ranges, portable);
    const own = await this.#run(found, ranges, undefined);
    this.#clear(ranges);
    const parts = ranges.filter((r) => r.writes).map((range, i) => this.#compare(range, wanted[i], own[i]));
    const seen = parts.filter((part) => part !== undefined);
    return seen.length === 0 ? Infinity : Math.max(...seen);
  }

  #ranges(kernel: number, { bind }: PlanDispatch): Range[] {
    const { file = "", writes = [] } = this.module.plan.kernels[kernel] ?? {};
    const kinds = [...(this.module.kernels[file] ?? "").matchAll(/var<storage, \w+> \w+: array<(?:vec4<)?(\w+)>/g)].map((m): Kind => (m[1] === "f16" || m[1] === "f32" ? m[1] : "index"));
    return bind.map((ref, i) => ({ ref, kind: kinds[i] ?? "index", writes: writes[i] === true, bytes: Math.min(MOST, ref.bytes), from: (i + 1) * SHIFT }));
  }

  /** Fills what the dispatch binds, runs it, and reads what it may have written. */
  #run({ program, at }: Found, ranges: readonly Range[], pipeline: GPUComputePipeline | undefined): Promise<ArrayBuffer[]> {
    const { session } = this;
    const encoder = session.device.createCommandEncoder();
    for (const { ref, kind, bytes, from } of ranges) {
      const buffer = session.bufferAt(ref.buffer);
      if (kind === "index") encoder.clearBuffer(buffer, ref.at, bytes);
      else for (let done = 0; done < bytes; done += NOISE - from) encoder.copyBufferToBuffer(this.#source, from, buffer, ref.at + done, Math.min(NOISE - from, bytes - done));
    }
    const pass = encoder.beginComputePass();
    session.encodeOne(pass, program, this.#symbols, at, pipeline);
    pass.end();
    const written = ranges.filter((r) => r.writes);
    written.forEach(({ ref, bytes }, i) => encoder.copyBufferToBuffer(session.bufferAt(ref.buffer), ref.at, this.#staging, i * MOST, bytes));
    session.device.queue.submit([encoder.finish()]);
    return mapped(session, this.#staging, (range) => written.map(({ bytes }, i) => range.slice(i * MOST, i * MOST + bytes)));
  }

  #clear(ranges: readonly Range[]): void {
    const encoder = this.session.device.createCommandEncoder();
    for (const { ref } of ranges) encoder.clearBuffer(this.session.bufferAt(ref.buffer), ref.at, ref.bytes);
    this.session.device.queue.submit([encoder.finish()]);
  }

  /** The largest difference among the elements that either way has changed; undefined where neither did. */
  #compare({ kind, from }: Range, wanted = new ArrayBuffer(0), own = new ArrayBuffer(0)): number | undefined {
    const wide = kind !== "f16";
    const [a, b] = [wanted, own].map((bytes) => (wide ? new Uint32Array(bytes) : new Uint16Array(bytes)));
    if (a === undefined || b === undefined || kind === "index") return undefined;
    const before = wide ? new Uint32Array(this.#noise.buffer, from) : new Uint16Array(this.#noise.buffer, from);
    const value = wide ? floatOf : halfToFloat;
    let [changed, numbers, scale, worst] = [false, 0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      const [x = 0, y = 0, was = 0] = [a[i], b[i], before[i % before.length]];
      if (x === was && y === was) continue;
      changed = true;
      const [p, q] = [value(x), value(y)];
      if (!Number.isFinite(p) && !Number.isFinite(q)) continue;
      numbers++;
      worst = Math.max(worst, Number.isFinite(p - q) ? Math.abs(p - q) : Infinity);
      scale = Math.max(scale, finite(p));
    }
    if (!changed) return undefined;
    // Nothing but zeros, or nothing but what is no number, comes out of no kernel that was given noise.
    return numbers === 0 || scale === 0 ? Infinity : worst / scale;
  }

  dispose(): void {
    this.#source.destroy();
    this.#staging.destroy();
  }
}

interface Found {
  readonly program: PlanProgram;
  readonly dispatch: PlanDispatch;
  readonly at: number;
}

/** The first dispatch of a kernel. */
function dispatchOf({ plan }: WgslModule, kernel: number): Found | undefined {
  for (const program of programsOf(plan)) {
    const at = program.dispatches.findIndex((d) => d.kernel === kernel);
    const dispatch = program.dispatches[at];
    if (dispatch !== undefined) return { program, dispatch, at };
  }
  return undefined;
}

/** The magnitude of a number, 0 where it is none. */
const finite = (x: number): number => (Number.isFinite(x) ? Math.abs(x) : 0);

const word = new DataView(new ArrayBuffer(4));
function floatOf(bits: number): number {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}
