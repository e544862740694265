/// <reference types="@webgpu/types" />
/**
 * A plan on a device: buffers, pipelines and bind groups made once, and the walk over a list of dispatches.
 *
 * Owns everything that touches the GPU, the same under Node and in a page. After `openSession` nothing is made any more:
 * running a program fills the blocks of sizes (only when lengths changed), and encodes. Reading back goes through staging
 * buffers of the plan. Errors of the device become `HostError`s with the way out; which engine calls what, when, is
 * `engine.ts`.
 */
import type { PlanDispatch, PlanOutput, PlanProgram, PlanRef, WgslModule } from "../../abi.js";
import { HostError, errorText } from "../../base/errors.js";
import type { Symbols } from "./sizes.js";
import { groupCounts, sizeValue } from "./sizes.js";

/** Bytes of a dispatch's block of sizes. */
const BLOCK = 256;

/** A plan that is ready to run. */
export interface Session {
  readonly device: GPUDevice;
  /** The buffer of that name. Throws `HostError` "mismatch" where the plan has none. */
  buffer(name: string): GPUBuffer;
  bufferAt(index: number): GPUBuffer;
  /** Encodes a program's dispatches into a pass. */
  encode(pass: GPUComputePassEncoder, program: PlanProgram, symbols: Symbols): void;
  /** Throws what went wrong on the device since the last look, if anything did. */
  check(): void;
  /** Buffers and their bytes. */
  memory(): { readonly tensors: number; readonly bytes: number };
  dispose(): void;
}

interface Prepared {
  readonly program: PlanProgram;
  /** Number of its first block of sizes. */
  readonly first: number;
  readonly groups: readonly GPUBindGroup[];
  readonly blocks: Uint32Array<ArrayBuffer>;
  counts: readonly (readonly [number, number, number])[];
  key: string;
}

/** Puts a plan on a device. Throws `HostError` "no-engine" where the device cannot hold or run it. */
export async function openSession(device: GPUDevice, module: WgslModule, name: string): Promise<Session> {
  const { plan } = module;
  checkLimits(device, module, name);
  const faults = watchDevice(device, name);
  const buffers = await makeBuffers(device, module, name);
  const layouts = new Map<string, GPUBindGroupLayout>();
  const kinds = plan.kernels.map((kernel) => layoutOf(device, layouts, kernel.writes, kernel.hyper));
  const pipelines = await Promise.all(plan.kernels.map((kernel, i) => makePipeline(device, kinds[i] ?? fail("layout"), kernel.file, module.kernels[kernel.file] ?? missingKernel(kernel.file), name)));
  const index = new Map(plan.buffers.map((b, i) => [b.name, buffers[i] ?? fail(b.name)]));
  const buffer = (wanted: string): GPUBuffer => index.get(wanted) ?? fail(`buffer ${wanted}`);
  const [sizes, hyper] = [buffer("sizes"), buffer("hyper")];
  const group = (dispatch: PlanDispatch, block: number): GPUBindGroup => {
    const kernel = plan.kernels[dispatch.kernel] ?? fail("kernel");
    const entries: GPUBindGroupEntry[] = [
      { binding: 0, resource: { buffer: sizes, offset: block * BLOCK, size: BLOCK } },
      ...dispatch.bind.map((ref, i) => ({ binding: i + 1, resource: { buffer: buffers[ref.buffer] ?? fail("buffer"), offset: ref.at, size: ref.bytes } })),
      ...(kernel.hyper ? [{ binding: dispatch.bind.length + 1, resource: { buffer: hyper } }] : []),
    ];
    return device.createBindGroup({ layout: kinds[dispatch.kernel] ?? fail("layout"), entries });
  };
  const prepared = new Map<PlanProgram, Prepared>();
  let first = 0;
  device.pushErrorScope("validation");
  for (const program of [plan.step, plan.norms, plan.update, ...Object.values(plan.encoders)]) {
    const n = program.dispatches.length;
    const from = first;
    prepared.set(program, { program, first, groups: program.dispatches.map((d, i) => group(d, from + i)), blocks: new Uint32Array(n * (BLOCK / 4)), counts: [], key: "" });
    first += n;
  }
  const wrong = await device.popErrorScope();
  if (wrong !== null) throw new HostError("no-engine", `${name} refuses the plan: ${wrong.message}`, "report this: it is a mistake of the compiler");
  return {
    device,
    buffer,
    bufferAt: (i) => buffers[i] ?? fail(`buffer ${i}`),
    encode: (pass, program, symbols) => encode(device, sizes, pipelines, prepared.get(program) ?? fail("program"), pass, symbols),
    check: () => faults.check(),
    memory: () => ({ tensors: buffers.length, bytes: plan.buffers.reduce((n, b) => n + b.bytes, 0) }),
    dispose() {
      faults.silence();
      for (const b of buffers) b.destroy();
      device.destroy();
    },
  };
}

function encode(device: GPUDevice, sizes: GPUBuffer, pipelines: readonly GPUComputePipeline[], prepared: Prepared, pass: GPUComputePassEncoder, symbols: Symbols): void {
  const key = [...symbols].join();
  const { dispatches } = prepared.program;
  if (key !== prepared.key && dispatches.length > 0) {
    dispatches.forEach((d, i) => d.sizes.forEach((s, j) => (prepared.blocks[i * (BLOCK / 4) + j] = sizeValue(s, symbols))));
    device.queue.writeBuffer(sizes, prepared.first * BLOCK, prepared.blocks);
    prepared.counts = dispatches.map((d) => groupCounts(d.groups, symbols));
    prepared.key = key;
  }
  let current = -1;
  for (let i = 0; i < dispatches.length; i++) {
    const kernel = dispatches[i]?.kernel ?? -1;
    const pipeline = pipelines[kernel];
    const bound = prepared.groups[i];
    const counts = prepared.counts[i];
    if (pipeline === undefined || bound === undefined || counts === undefined) continue;
    if (kernel !== current) pass.setPipeline(pipeline);
    current = kernel;
    pass.setBindGroup(0, bound);
    pass.dispatchWorkgroups(counts[0], counts[1], counts[2]);
  }
}

/** Copies outputs one after another into a staging buffer. */
export function copyOutputs(encoder: GPUCommandEncoder, session: Session, outputs: readonly PlanOutput[], staging: GPUBuffer): void {
  let at = 0;
  for (const { ref } of outputs) {
    encoder.copyBufferToBuffer(session.bufferAt(ref.buffer), ref.at, staging, at, ref.bytes);
    at += padded(ref);
  }
}

/** Maps a staging buffer and takes the outputs out of it, each with the number of elements it has in this run. */
export async function readOutputs(session: Session, outputs: readonly PlanOutput[], staging: GPUBuffer, symbols: Symbols): Promise<Float32Array[]> {
  try {
    await staging.mapAsync(GPU_MAP_READ);
  } catch (error) {
    session.check();
    throw new HostError("device-lost", `results could not be read back: ${errorText(error)}`, RESUME);
  }
  const range = staging.getMappedRange();
  let at = 0;
  const out = outputs.map(({ ref, count }) => {
    const values = new Float32Array(range.slice(at, at + 4 * sizeValue(count, symbols)));
    at += padded(ref);
    return values;
  });
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
    await staging.mapAsync(GPU_MAP_READ);
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
  return Math.ceil(ref.bytes / BLOCK) * BLOCK;
}

function checkLimits(device: GPUDevice, module: WgslModule, name: string): void {
  const { plan } = module;
  const need = neededLimits(module);
  const smaller = `compile with a smaller batch (this plan is for ${plan.bounds["B"] ?? 0})`;
  if (need.binding > device.limits.maxStorageBufferBindingSize) throw new HostError("no-engine", `the plan binds ${need.binding} bytes at once, ${name} takes ${device.limits.maxStorageBufferBindingSize}`, smaller);
  if (need.buffer > device.limits.maxBufferSize) throw new HostError("no-engine", `the plan has a buffer of ${need.buffer} bytes, ${name} takes ${device.limits.maxBufferSize}`, smaller);
}

/** What a device must take: the largest binding and the largest buffer, in bytes. */
export function neededLimits({ plan }: Pick<WgslModule, "plan">): { readonly binding: number; readonly buffer: number } {
  const programs = [plan.step, plan.norms, plan.update, ...Object.values(plan.encoders)];
  const binding = programs.reduce((n, p) => p.dispatches.reduce((m, d) => d.bind.reduce((k, r) => Math.max(k, r.bytes), m), n), 0);
  return { binding, buffer: plan.buffers.reduce((n, b) => Math.max(n, b.bytes), 0) };
}

const usages = { uniform: 64 | 8, staging: 1 | 8, storage: 128 | 8 | 4 };

async function makeBuffers(device: GPUDevice, { plan }: WgslModule, name: string): Promise<GPUBuffer[]> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const buffers = plan.buffers.map((b) => device.createBuffer({ label: b.name, size: Math.max(16, b.bytes), usage: b.kind === "uniform" ? usages.uniform : b.kind === "staging" ? usages.staging : usages.storage }));
  const invalid = await device.popErrorScope();
  const full = await device.popErrorScope();
  const wrong = full ?? invalid;
  if (wrong !== null) throw new HostError("no-engine", `${name} cannot hold the plan's ${plan.memory.total} bytes: ${wrong.message}`, `compile with a smaller batch (this plan is for ${plan.bounds["B"] ?? 0})`);
  return buffers;
}

function layoutOf(device: GPUDevice, known: Map<string, GPUBindGroupLayout>, writes: readonly boolean[], hyper: boolean): GPUBindGroupLayout {
  const key = `${writes.map((w) => (w ? "w" : "r")).join("")}${hyper ? "h" : ""}`;
  const compute = 4;
  const storage = (write: boolean): GPUBufferBindingLayout => ({ type: write ? "storage" : "read-only-storage" });
  const entries: GPUBindGroupLayoutEntry[] = [
    { binding: 0, visibility: compute, buffer: { type: "uniform" } },
    ...writes.map((write, i) => ({ binding: i + 1, visibility: compute, buffer: storage(write) })),
    ...(hyper ? [{ binding: writes.length + 1, visibility: compute, buffer: { type: "uniform" } satisfies GPUBufferBindingLayout }] : []),
  ];
  const layout = known.get(key) ?? device.createBindGroupLayout({ entries });
  known.set(key, layout);
  return layout;
}

async function makePipeline(device: GPUDevice, layout: GPUBindGroupLayout, file: string, code: string, name: string): Promise<GPUComputePipeline> {
  const shader = device.createShaderModule({ label: file, code });
  try {
    return await device.createComputePipelineAsync({ label: file, layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }), compute: { module: shader, entryPoint: "main" } });
  } catch (error) {
    const info = await shader.getCompilationInfo();
    const [first] = info.messages.filter((m) => m.type === "error");
    const where = first === undefined ? errorText(error) : `line ${first.lineNum}: ${first.message}`;
    throw new HostError("no-engine", `kernel ${file} does not compile on ${name}: ${where}`, "report this with the device's name and driver; until then train with --target tfjs", { cause: error });
  }
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
  device.addEventListener("uncapturederror", (event) => {
    fault ??= new HostError("device-lost", `${name} reports an error: ${event.error.message}`, "report this; until then train with --target tfjs");
  });
  return {
    check() {
      if (fault !== undefined) throw fault;
    },
    silence() {
      silent = true;
    },
  };
}

function missingKernel(file: string): never {
  throw new HostError("mismatch", `the plan names the kernel ${file}, which is not there`, "compile the program again: plan and kernels are of different versions");
}

function fail(what: string): never {
  throw new HostError("mismatch", `the plan has no ${what}`, "compile the program again: plan and runtime are of different versions");
}
