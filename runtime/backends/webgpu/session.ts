/// <reference types="@webgpu/types" />
/**
 * A plan on a device: buffers, pipelines and bind groups made once, and the walk over a list of dispatches.
 *
 * Owns everything that touches the GPU, the same under Node and in a page. After `openSession` nothing is made any more:
 * running a program fills the blocks of sizes (only when lengths changed), and encodes. Reading back goes through staging
 * buffers of the plan. Errors of the device become `HostError`s with the way out. Pipelines are `pipelines.ts`; which engine
 * calls what, when, is `engine.ts`.
 */
import type { PlanDispatch, PlanOutput, PlanProgram, PlanRef, WgslModule } from "../../abi.js";
import { HostError, errorText } from "../../base/errors.js";
import type { Family, Ready } from "./pipelines.js";
import { makePipelines } from "./pipelines.js";
import { programsOf } from "./programs.js";
import { lacksFeatures, neededLimits } from "./request.js";
import type { Symbols } from "./sizes.js";
import { ALIGNED, ProgramSizes, sizeValue } from "./sizes.js";
import { waited } from "./waiting.js";

/** A plan that is ready to run. */
export interface Session {
  readonly device: GPUDevice;
  /** The buffer of that name. Throws `HostError` "mismatch" where the plan has none. */
  buffer(name: string): GPUBuffer;
  bufferAt(index: number): GPUBuffer;
  /** The scalars of the step to come. */
  setHyper(values: Float32Array<ArrayBuffer>): void;
  /** Encodes a program's dispatches into a pass; `part` says which part of the inputs it reads. */
  encode(pass: GPUComputePassEncoder, program: PlanProgram, symbols: Symbols, part?: number): void;
  /** The same with a pass of its own for each dispatch, begun by `open`. For profiles. */
  encodeEach(open: () => GPUComputePassEncoder, program: PlanProgram, symbols: Symbols, part?: number): void;
  /** Encodes one dispatch of a program, by another pipeline of its kernel where one is given. */
  encodeOne(pass: GPUComputePassEncoder, program: PlanProgram, symbols: Symbols, dispatch: number, pipeline?: GPUComputePipeline): void;
  /** Kernels that run by subgroup matrices, each family with the pipeline of a portable text to hold them against. */
  readonly families: readonly Family[];
  /** From now on these kernels run by their portable texts. Throws `HostError` "no-engine" where one does not compile. */
  runPortably(kernels: readonly number[]): Promise<void>;
  /** Throws what went wrong on the device since the last look, if anything did. */
  check(): void;
  /** Buffers and their bytes. */
  memory(): { readonly tensors: number; readonly bytes: number };
  /** Gives the buffers back and stops watching; the device lives on. */
  close(): void;
  /** Closes, and ends the device. */
  dispose(): void;
}

/** A program, for one part of the batch, with everything that its dispatches need, in arrays that the walk goes through. */
interface Prepared {
  readonly sizes: ProgramSizes;
  /** Byte of its first block of sizes. */
  readonly first: number;
  readonly kernels: readonly number[];
  readonly groups: readonly GPUBindGroup[];
}

/** Puts a plan on a device. Throws `HostError` "no-engine" where the device cannot hold or run it. */
export async function openSession(device: GPUDevice, module: WgslModule, name: string, language: ReadonlySet<string> = new Set()): Promise<Session> {
  const { plan } = module;
  checkLimits(device, module, name);
  const faults = watchDevice(device, name);
  const buffers = await makeBuffers(device, module, name);
  const pipelines = await makePipelines(device, module, name, language);
  const ready = [...pipelines.ready];
  const index = new Map(plan.buffers.map((b, i) => [b.name, buffers[i] ?? fail(b.name)]));
  const buffer = (wanted: string): GPUBuffer => index.get(wanted) ?? fail(`buffer ${wanted}`);
  const prepared = await prepare(device, module, name, buffers, ready, { sizes: buffer("sizes"), hyper: buffer("hyper") });
  let hyper = new Float32Array(plan.hyper.length);
  const filled = (program: PlanProgram, symbols: Symbols, part = 0): Prepared => {
    const own = prepared.get(program)?.[part] ?? fail(`part ${part}`);
    if (own.sizes.fill(symbols)) device.queue.writeBuffer(buffer("sizes"), own.first, own.sizes.blocks);
    return own;
  };
  const close = (): void => {
    faults.silence();
    for (const b of buffers) b.destroy();
  };
  const uniform = ready.some((r, i) => plan.kernels[i]?.hyper === true && !r.immediate);
  return {
    device,
    buffer,
    bufferAt: (i) => buffers[i] ?? fail(`buffer ${i}`),
    setHyper(values) {
      hyper = values;
      if (uniform) device.queue.writeBuffer(buffer("hyper"), 0, values);
    },
    encode(pass, program, symbols, part = 0) {
      walk(pass, filled(program, symbols, part), ready, hyper);
    },
    encodeEach(open, program, symbols, part = 0) {
      const own = filled(program, symbols, part);
      own.kernels.forEach((_, i) => {
        const pass = open();
        walk(pass, own, ready, hyper, i, i + 1);
        pass.end();
      });
    },
    encodeOne(pass, program, symbols, dispatch, pipeline) {
      const own = filled(program, symbols);
      const kernel = own.kernels[dispatch] ?? fail(`dispatch ${dispatch}`);
      const by = pipeline === undefined ? ready : ready.map((r, i) => (i === kernel ? { ...r, pipeline } : r));
      walk(pass, own, by, hyper, dispatch, dispatch + 1);
    },
    families: pipelines.families,
    async runPortably(kernels) {
      const portable = await waited(device, Promise.all(kernels.map((i) => pipelines.portable(i))));
      kernels.forEach((kernel, i) => {
        const [known, pipeline] = [ready[kernel], portable[i]];
        if (known !== undefined && pipeline !== undefined) ready[kernel] = { ...known, pipeline };
      });
    },
    check: () => faults.check(),
    memory: () => ({ tensors: buffers.length, bytes: plan.buffers.reduce((n, b) => n + b.bytes, 0) }),
    close,
    dispose() {
      close();
      device.destroy();
    },
  };
}

/** Bind groups and sizes of all programs; the step's for each part, whose inputs and lengths are its own. */
async function prepare(device: GPUDevice, { plan }: WgslModule, name: string, buffers: readonly GPUBuffer[], ready: readonly Ready[], host: { readonly sizes: GPUBuffer; readonly hyper: GPUBuffer }): Promise<Map<PlanProgram, readonly Prepared[]>> {
  const parts = plan.accumulate?.parts ?? 1;
  const inputs = new Map(plan.inputs.map((i) => [i.ref.buffer, partStride(i.ref)]));
  const group = (dispatch: PlanDispatch, { offset, size }: { readonly offset: number; readonly size: number }, part: number): GPUBindGroup => {
    const kernel = plan.kernels[dispatch.kernel] ?? fail("kernel");
    const { layout, immediate } = ready[dispatch.kernel] ?? fail("kernel");
    const entries: GPUBindGroupEntry[] = [
      { binding: 0, resource: { buffer: host.sizes, offset, size } },
      ...dispatch.bind.map((ref, i) => ({ binding: i + 1, resource: { buffer: buffers[ref.buffer] ?? fail("buffer"), offset: ref.at + part * (inputs.get(ref.buffer) ?? 0), size: ref.bytes } })),
      ...(kernel.hyper && !immediate ? [{ binding: dispatch.bind.length + 1, resource: { buffer: host.hyper } }] : []),
    ];
    return device.createBindGroup({ layout, entries });
  };
  const prepared = new Map<PlanProgram, readonly Prepared[]>();
  let next = 0;
  device.pushErrorScope("validation");
  for (const program of programsOf(plan)) {
    prepared.set(program, Array.from({ length: program === plan.step ? parts : 1 }, (_, part): Prepared => {
      const sizes = new ProgramSizes(program);
      const first = next;
      next += sizes.blocks.byteLength;
      return { sizes, first, kernels: program.dispatches.map((d) => d.kernel), groups: program.dispatches.map((d, i) => group(d, { offset: first + (sizes.blockOf[i] ?? 0) * sizes.blockBytes, size: sizes.blockBytes }, part)) };
    }));
  }
  const wrong = await waited(device, device.popErrorScope());
  if (wrong !== null) throw new HostError("no-engine", `${name} refuses the plan: ${wrong.message}`, "report this: it is a mistake of the compiler");
  return prepared;
}

function walk(pass: GPUComputePassEncoder, { kernels, groups, sizes: { counts } }: Prepared, ready: readonly Ready[], hyper: Float32Array<ArrayBuffer>, from = 0, to = kernels.length): void {
  let current = -1;
  for (let i = from; i < to; i++) {
    const kernel = kernels[i] ?? -1;
    if (kernel !== current) {
      const own = ready[kernel] ?? fail("kernel");
      pass.setPipeline(own.pipeline);
      if (own.immediate) pass.setImmediates(0, hyper);
      current = kernel;
    }
    pass.setBindGroup(0, groups[i]);
    const [x = 0, y = 1, z = 1] = [counts[i * 3], counts[i * 3 + 1], counts[i * 3 + 2]];
    // Each argument that Node hands to Dawn takes time, and most dispatches have one dimension.
    if (y === 1 && z === 1) pass.dispatchWorkgroups(x);
    else pass.dispatchWorkgroups(x, y, z);
  }
}

/** Bytes from one part of an input to the next. */
export function partStride(ref: PlanRef): number {
  return padded(ref);
}

/** Copies outputs one after another into a staging buffer, from `start` on. */
export function copyOutputs(encoder: GPUCommandEncoder, session: Session, outputs: readonly PlanOutput[], staging: GPUBuffer, start = 0): void {
  let at = start;
  for (const { ref } of outputs) {
    encoder.copyBufferToBuffer(session.bufferAt(ref.buffer), ref.at, staging, at, ref.bytes);
    at += padded(ref);
  }
}

/** Bytes that outputs take in a staging buffer. */
export function outputBytes(outputs: readonly PlanOutput[]): number {
  return outputs.reduce((n, { ref }) => n + padded(ref), 0);
}

/** Maps a staging buffer and takes the outputs out of it, each with the number of elements it has in this run. */
export function readOutputs(session: Session, outputs: readonly PlanOutput[], staging: GPUBuffer, symbols: Symbols): Promise<Float32Array[]> {
  return mapped(session, staging, (range) => outputsIn(range, 0, outputs, symbols));
}

/** Outputs that lie in a mapped range from `at` on. */
export function outputsIn(range: ArrayBuffer, at: number, outputs: readonly PlanOutput[], symbols: Symbols): Float32Array[] {
  let from = at;
  return outputs.map(({ ref, count }) => {
    const values = new Float32Array(range.slice(from, from + 4 * sizeValue(count, symbols)));
    from += padded(ref);
    return values;
  });
}

/** Maps a staging buffer for as long as `take` needs. Throws what the device has to say where that fails. */
export async function mapped<T>(session: Session, staging: GPUBuffer, take: (range: ArrayBuffer) => T): Promise<T> {
  try {
    await waited(session.device, staging.mapAsync(GPU_MAP_READ));
  } catch (error) {
    session.check();
    throw new HostError("device-lost", `results could not be read back: ${errorText(error)}`, RESUME);
  }
  const out = take(staging.getMappedRange());
  staging.unmap();
  session.check();
  return out;
}

/** Reads a whole buffer through a staging buffer that lives only as long. */
export async function readBuffer(session: Session, source: GPUBuffer): Promise<Float32Array> {
  const { device } = session;
  const staging = device.createBuffer({ size: source.size, usage: 1 /* MAP_READ */ | 8 /* COPY_DST */ });
  try {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(source, 0, staging, 0, source.size);
    device.queue.submit([encoder.finish()]);
    await waited(device, staging.mapAsync(GPU_MAP_READ));
    return new Float32Array(staging.getMappedRange().slice(0));
  } catch (error) {
    session.check();
    throw new HostError("device-lost", `the device's memory could not be read: ${errorText(error)}`, RESUME);
  } finally {
    staging.destroy();
  }
}

/** GPUMapMode.READ; Node has no global of that name. */
const GPU_MAP_READ = 1;

const RESUME = "go on from the last checkpoint with --resume; if it happens again, take a smaller batch or another engine";

function padded(ref: PlanRef): number {
  return Math.ceil(ref.bytes / ALIGNED) * ALIGNED;
}

function checkLimits(device: GPUDevice, module: WgslModule, name: string): void {
  const { plan } = module;
  const missing = (plan.features ?? []).filter((f) => !device.features.has(f));
  if (missing.length > 0) throw lacksFeatures(name, missing);
  const need = neededLimits(module);
  const smaller = `compile with a smaller batch (this plan is for ${plan.bounds["B"] ?? 0})`;
  if (need.binding > device.limits.maxStorageBufferBindingSize) throw new HostError("no-engine", `the plan binds ${need.binding} bytes at once, ${name} takes ${device.limits.maxStorageBufferBindingSize}`, smaller);
  if (need.buffer > device.limits.maxBufferSize) throw new HostError("no-engine", `the plan has a buffer of ${need.buffer} bytes, ${name} takes ${device.limits.maxBufferSize}`, smaller);
}

const usages = { uniform: 64 | 8, staging: 1 | 8, storage: 128 | 8 | 4 };

async function makeBuffers(device: GPUDevice, { plan }: WgslModule, name: string): Promise<GPUBuffer[]> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const buffers = plan.buffers.map((b) => device.createBuffer({ label: b.name, size: Math.max(16, b.bytes), usage: b.kind === "uniform" ? usages.uniform : b.kind === "staging" ? usages.staging : usages.storage }));
  const [invalid, full] = await waited(device, Promise.all([device.popErrorScope(), device.popErrorScope()]));
  const wrong = full ?? invalid;
  if (wrong !== null) throw new HostError("no-engine", `${name} cannot hold the plan's ${plan.memory.total} bytes: ${wrong.message}`, `compile with a smaller batch (this plan is for ${plan.bounds["B"] ?? 0}), or write \`accumulate\` or \`recompute blocks\` into \`train\``);
  return buffers;
}

interface Faults {
  check(): void;
  silence(): void;
}

function watchDevice(device: GPUDevice, name: string): Faults {
  let fault: HostError | undefined;
  let silent = false;
  void device.lost.then((info) => {
    if (!silent) fault = new HostError("device-lost", `the device ${name} was lost: ${info.message || info.reason}`, RESUME);
  });
  const told = (event: GPUUncapturedErrorEvent): void => {
    fault ??= new HostError("device-lost", `${name} reports an error: ${event.error.message}`, "report this; until then train with --target tfjs");
  };
  device.addEventListener("uncapturederror", told);
  return {
    check() {
      if (fault !== undefined) throw fault;
    },
    silence() {
      silent = true;
      device.removeEventListener("uncapturederror", told);
    },
  };
}

function fail(what: string): never {
  throw new HostError("mismatch", `the plan has no ${what}`, "compile the program again: plan and runtime are of different versions");
}
