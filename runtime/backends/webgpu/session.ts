/// <reference types="@webgpu/types" />
/**
 * A plan on a device: buffers, pipelines and bind groups made once, and the walk over a list of dispatches.
 *
 * Owns everything that touches the GPU, the same under Node and in a page. After `openSession` nothing is made any more:
 * running a program fills the blocks of sizes (only when lengths changed), and encodes. Reading back goes through staging
 * buffers of the plan. Errors of the device become `HostError`s with the way out; which engine calls what, when, is
 * `engine.ts`.
 */
import type { PlanDispatch, PlanKernel, PlanOutput, PlanProgram, PlanRef, WgslModule } from "../../abi.js";
import { HostError, errorText } from "../../base/errors.js";
import { abilitiesOf, descriptionOf, textsFor } from "./forms.js";
import type { Symbols } from "./sizes.js";
import { ProgramSizes, sizeValue } from "./sizes.js";
import { waited } from "./waiting.js";

/** Bytes of a dispatch's block of sizes. */
const BLOCK = 256;

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
  /** Throws what went wrong on the device since the last look, if anything did. */
  check(): void;
  /** Buffers and their bytes. */
  memory(): { readonly tensors: number; readonly bytes: number };
  /** Gives the buffers back and stops watching; the device lives on. */
  close(): void;
  /** Closes, and ends the device. */
  dispose(): void;
}

/** A program with everything that its dispatches need, in arrays that the walk goes through. */
interface Prepared {
  readonly sizes: ProgramSizes;
  /** Byte of its first block of sizes. */
  readonly first: number;
  readonly kernels: readonly number[];
  /** Bind groups by part of the batch. */
  readonly groups: readonly (readonly GPUBindGroup[])[];
}

/** A kernel on this device; `immediate` says that its scalars are not in a binding. */
interface Ready {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly immediate: boolean;
}

/** Puts a plan on a device. Throws `HostError` "no-engine" where the device cannot hold or run it. */
export async function openSession(device: GPUDevice, module: WgslModule, name: string, language: ReadonlySet<string> = new Set()): Promise<Session> {
  const { plan } = module;
  checkLimits(device, module, name);
  const faults = watchDevice(device, name);
  const buffers = await makeBuffers(device, module, name);
  const ready = await makePipelines(device, module, name, language);
  const index = new Map(plan.buffers.map((b, i) => [b.name, buffers[i] ?? fail(b.name)]));
  const buffer = (wanted: string): GPUBuffer => index.get(wanted) ?? fail(`buffer ${wanted}`);
  const prepared = await prepare(device, module, name, buffers, ready, { sizes: buffer("sizes"), hyper: buffer("hyper") });
  let hyper = new Float32Array(plan.hyper.length);
  const filled = (program: PlanProgram, symbols: Symbols): Prepared => {
    const own = prepared.get(program) ?? fail("program");
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
      const own = filled(program, symbols);
      walk(pass, own, own.groups[part] ?? fail(`part ${part}`), ready, hyper);
    },
    encodeEach(open, program, symbols, part = 0) {
      const own = filled(program, symbols);
      const groups = own.groups[part] ?? fail(`part ${part}`);
      own.kernels.forEach((_, i) => {
        const pass = open();
        walk(pass, own, groups, ready, hyper, i, i + 1);
        pass.end();
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

/** Bind groups of all programs. */
async function prepare(device: GPUDevice, { plan }: WgslModule, name: string, buffers: readonly GPUBuffer[], ready: readonly Ready[], host: { readonly sizes: GPUBuffer; readonly hyper: GPUBuffer }): Promise<Map<PlanProgram, Prepared>> {
  const parts = plan.accumulate?.parts ?? 1;
  const inputs = new Map(plan.inputs.map((i) => [i.ref.buffer, partStride(i.ref)]));
  const group = (dispatch: PlanDispatch, offset: number, part: number): GPUBindGroup => {
    const kernel = plan.kernels[dispatch.kernel] ?? fail("kernel");
    const { layout, immediate } = ready[dispatch.kernel] ?? fail("kernel");
    const entries: GPUBindGroupEntry[] = [
      { binding: 0, resource: { buffer: host.sizes, offset, size: BLOCK } },
      ...dispatch.bind.map((ref, i) => ({ binding: i + 1, resource: { buffer: buffers[ref.buffer] ?? fail("buffer"), offset: ref.at + part * (inputs.get(ref.buffer) ?? 0), size: ref.bytes } })),
      ...(kernel.hyper && !immediate ? [{ binding: dispatch.bind.length + 1, resource: { buffer: host.hyper } }] : []),
    ];
    return device.createBindGroup({ layout, entries });
  };
  const prepared = new Map<PlanProgram, Prepared>();
  let first = 0;
  device.pushErrorScope("validation");
  for (const program of programsOf(plan)) {
    const sizes = new ProgramSizes(program, BLOCK / 4);
    const from = first;
    const at = (i: number): number => from + (sizes.blockOf[i] ?? 0) * BLOCK;
    const groups = [program.dispatches.map((d, i) => group(d, at(i), 0))];
    for (let part = 1; part < (program === plan.step ? parts : 1); part++) {
      groups.push(program.dispatches.map((d, i) => (d.bind.some((r) => inputs.has(r.buffer)) ? group(d, at(i), part) : groups[0]?.[i] ?? fail("group"))));
    }
    prepared.set(program, { sizes, first, kernels: program.dispatches.map((d) => d.kernel), groups });
    first += sizes.blocks.byteLength;
  }
  const wrong = await waited(device, device.popErrorScope());
  if (wrong !== null) throw new HostError("no-engine", `${name} refuses the plan: ${wrong.message}`, "report this: it is a mistake of the compiler");
  return prepared;
}

/** Everything that is run, in the order in which blocks of sizes lie. */
function programsOf(plan: WgslModule["plan"]): PlanProgram[] {
  const { accumulate } = plan;
  return [plan.step, ...(accumulate === undefined ? [] : [accumulate.first, accumulate.rest]), plan.norms, plan.update, ...(plan.prepare === undefined ? [] : [plan.prepare]), ...Object.values(plan.encoders)];
}

function walk(pass: GPUComputePassEncoder, { kernels, sizes: { counts } }: Prepared, groups: readonly GPUBindGroup[], ready: readonly Ready[], hyper: Float32Array<ArrayBuffer>, from = 0, to = kernels.length): void {
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
  return Math.ceil(ref.bytes / BLOCK) * BLOCK;
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

/** The plan was compiled for more than this device or adapter has. */
export function lacksFeatures(name: string, missing: readonly string[]): HostError {
  return new HostError("no-engine", `${name} has no ${missing.join(", ")}, which this plan needs`, "compile with --precision f32");
}

/** What a device must take: the largest binding and the largest buffer, in bytes. */
export function neededLimits({ plan }: Pick<WgslModule, "plan">): { readonly binding: number; readonly buffer: number } {
  const binding = programsOf(plan).reduce((n, p) => p.dispatches.reduce((m, d) => d.bind.reduce((k, r) => Math.max(k, r.bytes), m), n), 0);
  return { binding, buffer: plan.buffers.reduce((n, b) => Math.max(n, b.bytes), 0) };
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

/** Line of a kernel that declares the scalars of a step, and what stands there on devices that take them without a buffer. */
const HYPER = { uniform: /@group\(0\) @binding\(\d+\) var<uniform> h: Hyper;/, immediate: "var<immediate> h: Hyper;" };

/** All pipelines at once. */
async function makePipelines(device: GPUDevice, module: WgslModule, name: string, language: ReadonlySet<string>): Promise<Ready[]> {
  const { plan, kernels } = module;
  const abilities = abilitiesOf(descriptionOf(device));
  const layouts = new Map<string, GPUBindGroupLayout>();
  const bytes = plan.hyper.length * 4;
  const has = language.has("immediate_address_space") && bytes <= ((device.limits as { readonly maxImmediateSize?: number }).maxImmediateSize ?? 0);
  const portable = plan.kernels.map((kernel) => kernels[kernel.file] ?? missingKernel(kernel.file));
  const made = await waited(device, Promise.allSettled(plan.kernels.map(async (kernel, i) => {
    const text = portable[i] ?? missingKernel(kernel.file);
    const immediate = kernel.hyper && has && HYPER.uniform.test(text);
    const layout = layoutOf(device, layouts, kernel, immediate);
    const texts = textsFor(kernel, module, abilities).map(({ file, code }) => ({ file, code: immediate ? `requires immediate_address_space;\n${code.replace(HYPER.uniform, HYPER.immediate)}` : code }));
    const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout], ...(immediate ? { immediateSize: bytes } : {}) });
    return { layout, immediate, pipeline: await makePipeline(device, pipelineLayout, texts, kernel.file, name) };
  })));
  // All have come back before one is complained about: Dawn does not survive a device that is let go of with pipelines under way.
  return made.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

function layoutOf(device: GPUDevice, known: Map<string, GPUBindGroupLayout>, { writes, hyper }: PlanKernel, immediate: boolean): GPUBindGroupLayout {
  const block = hyper && !immediate;
  const key = `${writes.map((w) => (w ? "w" : "r")).join("")}${block ? "h" : ""}`;
  const compute = 4;
  const storage = (write: boolean): GPUBufferBindingLayout => ({ type: write ? "storage" : "read-only-storage" });
  const entries: GPUBindGroupLayoutEntry[] = [
    { binding: 0, visibility: compute, buffer: { type: "uniform" } },
    ...writes.map((write, i) => ({ binding: i + 1, visibility: compute, buffer: storage(write) })),
    ...(block ? [{ binding: writes.length + 1, visibility: compute, buffer: { type: "uniform" } satisfies GPUBufferBindingLayout }] : []),
  ];
  const layout = known.get(key) ?? device.createBindGroupLayout({ entries });
  known.set(key, layout);
  return layout;
}

/** The pipeline of the best form that the device takes; a form it refuses gives way to the next. */
async function makePipeline(device: GPUDevice, layout: GPUPipelineLayout, texts: readonly { readonly file: string; readonly code: string }[], wanted: string, name: string): Promise<GPUComputePipeline> {
  const [first, ...rest] = texts;
  if (first === undefined) return missingKernel(wanted);
  try {
    return await compilePipeline(device, layout, first.file, first.code, name);
  } catch (error) {
    if (rest.length === 0) throw error;
    return makePipeline(device, layout, rest, wanted, name);
  }
}

async function compilePipeline(device: GPUDevice, layout: GPUPipelineLayout, file: string, code: string, name: string): Promise<GPUComputePipeline> {
  // What is wrong with a text comes by the pipeline, and must not count as a fault of the device.
  device.pushErrorScope("validation");
  const shader = device.createShaderModule({ label: file, code });
  const refused = device.popErrorScope();
  try {
    return await device.createComputePipelineAsync({ label: file, layout, compute: { module: shader, entryPoint: "main" } });
  } catch (error) {
    await refused;
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

function missingKernel(file: string): never {
  throw new HostError("mismatch", `the plan names the kernel ${file}, which is not there`, "compile the program again: plan and kernels are of different versions");
}

function fail(what: string): never {
  throw new HostError("mismatch", `the plan has no ${what}`, "compile the program again: plan and runtime are of different versions");
}
