/**
 * A compiled plan as an engine: what the training loop calls, under Node and in a page.
 *
 * Owns the order inside a step (write inputs and hyperparameters, forward and backward, norms where wanted, update, copies
 * of what comes back: one encoder, one submit, no wait) and the names of state. Nothing is allocated in a step; losses come
 * back through a ring (`ring.ts`) while later steps run. Results are exact:
 * export, import, and on from there gives the same bits, because state is all there is and every kernel is deterministic.
 */
import type { Engine, Hyper, Manifest, PlanOutput, PlanProgram, StepBatch, StepResult, StepWants, WgslModule } from "../../abi.js";
import { positionsOf } from "../../base/grid.js";
import { checkPictures } from "../../base/encoder-input.js";
import { HostError } from "../../base/errors.js";
import type { Profiler } from "./profiler.js";
import { checkPlan } from "./check-plan.js";
import { proveForms } from "./proof.js";
import { LossRing } from "./ring.js";
import type { Losses } from "./ring.js";
import { joined, joinWatch } from "../parts.js";
import { checkWhole, LOSS_SCALE } from "../state.js";
import type { Session } from "./session.js";
import { copyOutputs, mapped, openSession, outputBytes, outputsIn, readBuffer, readOutputs } from "./session.js";
import type { Symbols } from "./sizes.js";
import { copyable, upload } from "./upload.js";
import type { InputPlace } from "./upload.js";

/** A device and the values to start from. */
export interface WebgpuHost {
  readonly device: GPUDevice;
  readonly name: string;
  readonly version: string;
  /** Values of every parameter of the manifest, by name. */
  readonly initial: ReadonlyMap<string, Float32Array>;
  /** `navigator.gpu.wgslLanguageFeatures`: with immediates, the scalars of a step take no buffer. */
  readonly language?: ReadonlySet<string>;
  /** Called when the engine is disposed, after its device. */
  readonly release?: () => void;
  /** Looks at steps; their results stay the same bits. */
  readonly profiler?: Profiler;
}

/** An engine that can also show the gradients of its last step, for tests, and says what it found out about the device. */
export interface WebgpuEngine extends Engine {
  gradients(): Promise<Map<string, Float32Array>>;
  /** What a person should know of how kernels run on this device. */
  readonly notes: readonly string[];
}

interface Run {
  readonly manifest: Manifest;
  readonly module: WgslModule;
  readonly session: Session;
  readonly ring: LossRing;
  readonly profiler: Profiler | undefined;
  readonly inputs: readonly InputPlace[];
}

/** The engine of a compiled plan. Throws `HostError` "no-engine" where the device cannot run it, "mismatch" where parts do not fit. */
export async function createWebgpuEngine(manifest: Manifest, module: WgslModule, host: WebgpuHost): Promise<WebgpuEngine> {
  const { plan } = module;
  checkPlan(plan);
  const session = await openSession(host.device, module, host.name, host.language);
  const notes = await proveForms(session, module, host.name);
  const ring = new LossRing(session, plan.step.outputs, plan.held, plan.accumulate?.parts ?? 1, [session.buffer("read losses 0"), session.buffer("read losses 1")]);
  const used = new Set(plan.step.dispatches.flatMap((d) => d.bind.map((r) => r.buffer)));
  const grids = new Map(manifest.masks.map(({ name, grid }) => [name, positionsOf(grid)]));
  const inputs = plan.inputs.map((input) => ({ input, buffer: session.bufferAt(input.ref.buffer), needed: used.has(input.ref.buffer), positions: grids.get(input.name) }));
  const run: Run = { manifest, module, session, ring, profiler: host.profiler, inputs };
  for (const { name, ref } of plan.parameters) {
    const values = host.initial.get(name);
    if (values === undefined) throw new HostError("mismatch", `there is no initial value for ${name}`, "compile the program again");
    write(run, name, ref, values);
  }
  if (plan.scaler !== undefined) write(run, LOSS_SCALE, plan.scaler.ref, Float32Array.from(plan.scaler.initial));
  prepare(run);
  return {
    name: "webgpu",
    version: host.version,
    notes,
    ahead: 2 * plan.held,
    step: (batch, hyper, want) => step(run, batch, hyper, want),
    encode: (encoder, images, n) => encode(run, encoder, images, n),
    exportState: () => exportState(run),
    importState: (state) => importState(run, state),
    gradients: () => gradients(run),
    memory: () => session.memory(),
    dispose() {
      session.dispose();
      host.release?.();
    },
  };
}

/** Makes what follows from parameters, after the host has written them. */
function prepare({ session, module: { plan } }: Run): void {
  if (plan.prepare === undefined) return;
  const encoder = session.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  session.encode(pass, plan.prepare, new Map([["B", 0]]));
  pass.end();
  session.device.queue.submit([encoder.finish()]);
}

/** Submits a step at once; the promise is for its results. */
async function step(run: Run, batch: StepBatch, hyper: Hyper, want: StepWants): Promise<StepResult> {
  const { session, ring, module: { plan } } = run;
  session.check();
  const look = run.profiler?.begin();
  const symbols = upload(session.device.queue, plan, run.inputs, batch, hyper);
  session.setHyper(hyperBlock(run, hyper));
  look?.mark("upload");
  const watches = want.watch && plan.watches.length > 0 ? session.buffer("read watches") : undefined;
  const norms = want.gradientNorm && plan.norms.outputs.length > 0 ? session.buffer("read norms") : undefined;
  const encoder = session.device.createCommandEncoder();
  symbols.forEach((own, part) => {
    const programs = programsOf(plan, part, norms !== undefined);
    if (look === undefined) encodePass(session, encoder, programs, own, part);
    else look.encode(session, encoder, programs, own, part);
    ring.copy(encoder, part);
    if (watches !== undefined) copyOutputs(encoder, session, plan.watches, watches, part * outputBytes(plan.watches));
  });
  if (norms !== undefined) copyOutputs(encoder, session, plan.norms.outputs, norms);
  look?.resolve(encoder);
  const commands = encoder.finish();
  look?.mark("encode");
  session.device.queue.submit([commands]);
  look?.mark("submit");
  const losses = ring.begun(symbols, want.later === true && watches === undefined && norms === undefined);
  if (watches === undefined && norms === undefined && look === undefined) return resultOf(run, await losses, [], []);
  const [own, watched, squares] = await Promise.all([
    losses,
    watches === undefined ? [] : readParts(run, watches, symbols),
    norms === undefined ? [] : readOutputs(session, plan.norms.outputs, norms, new Map()),
    look?.end(),
  ]);
  return resultOf(run, own, watched, squares);
}

/** What runs for one part of the batch; after the last one everything is updated. */
function programsOf({ accumulate, ...plan }: WgslModule["plan"], part: number, norms: boolean): PlanProgram[] {
  const last = part + 1 === (accumulate?.parts ?? 1);
  return [plan.step, ...(accumulate === undefined ? [] : [part === 0 ? accumulate.first : accumulate.rest]), ...(last && norms ? [plan.norms] : []), ...(last ? [plan.update] : [])];
}

/** All dispatches in one pass. */
function encodePass(session: Session, encoder: GPUCommandEncoder, programs: readonly PlanProgram[], symbols: Symbols, part: number): void {
  const pass = encoder.beginComputePass();
  programs.forEach((program, i) => session.encode(pass, program, symbols, i === 0 ? part : 0));
  pass.end();
}

/** Outputs of all parts of a batch, one part after the other. */
async function readParts({ session, manifest, module: { plan } }: Run, staging: GPUBuffer, symbols: readonly Symbols[]): Promise<Float32Array[]> {
  const { watches } = plan;
  const all = await mapped(session, staging, (range) => symbols.map((own, part) => outputsIn(range, part * outputBytes(watches), watches, own)));
  return watches.map(({ name }, i) => joinWatch(manifest.watches.find((w) => w.name === name)?.over ?? "images", all.flatMap((values) => values[i] ?? [])));
}

function resultOf({ module: { plan } }: Run, parts: Losses, watched: readonly Float32Array[], squares: readonly Float32Array[]): StepResult {
  const mean = (i: number): number => parts.reduce((n, losses) => n + (losses[i]?.[0] ?? Number.NaN), 0) / parts.length;
  return {
    loss: mean(0),
    losses: Object.fromEntries(plan.step.outputs.slice(1).map(({ name }, i) => [name, mean(i + 1)])),
    watch: Object.fromEntries(plan.watches.flatMap(({ name }, i) => (watched[i] === undefined ? [] : [[name, watched[i]]]))),
    gradientNorm: groupNorms(plan.norms.outputs, squares),
  };
}

function hyperBlock({ manifest, module: { plan } }: Run, hyper: Hyper): Float32Array<ArrayBuffer> {
  const { optimizer } = manifest.train;
  const [b1, b2] = optimizer.kind === "adamw" ? [optimizer.beta1, optimizer.beta2] : [0, 0];
  return Float32Array.from(plan.hyper, (name) => {
    if (name === "learningRate") return hyper.learningRate;
    if (name === "weightDecay") return hyper.weightDecay;
    if (name === "bias1") return 1 - b1 ** hyper.step;
    if (name === "bias2Root") return Math.sqrt(1 - b2 ** hyper.step);
    const momentum = hyper.momentum[name.replace(/^momentum /, "")];
    if (momentum === undefined) throw new HostError("mismatch", `step ${hyper.step} has no ${name}`, "report this: schedules and plan disagree");
    return momentum;
  });
}

/** Roots of the sums of squares; parts of one group may lie in several buffers. */
function groupNorms(outputs: readonly PlanOutput[], squares: readonly Float32Array[]): Record<string, number> {
  const sums = new Map<string, number>();
  outputs.forEach(({ name }, i) => sums.set(name, (squares[i] ?? new Float32Array()).reduce((n, x) => n + x, sums.get(name) ?? 0)));
  return squares.length === 0 ? {} : Object.fromEntries([...sums].map(([name, sum]) => [name, Math.sqrt(sum)]));
}

async function encode(run: Run, name: string, images: Float32Array, n: number): Promise<Float32Array> {
  const { session, manifest, module: { plan } } = run;
  const program = plan.encoders[name];
  const info = manifest.encoders.find((e) => e.name === name);
  const input = plan.inputs.find((i) => i.name === info?.input);
  const [output] = program?.outputs ?? [];
  if (info === undefined || program === undefined || input === undefined || output === undefined) throw new HostError("mismatch", `there is no encoder ${name}`, `encoders: ${Object.keys(plan.encoders).join(", ")}`);
  checkPictures(manifest, info, images.length, n);
  const chunk = plan.bounds["B"] ?? 1;
  const pixels = n === 0 ? 0 : images.length / n;
  const parts: Float32Array[] = [];
  for (let from = 0; from < n; from += chunk) {
    const size = Math.min(chunk, n - from);
    const symbols = new Map([["B", size]]);
    session.device.queue.writeBuffer(session.bufferAt(input.ref.buffer), 0, copyable(images.subarray(from * pixels, (from + size) * pixels)));
    const encoder = session.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    session.encode(pass, program, symbols);
    pass.end();
    copyOutputs(encoder, session, [output], session.buffer("read features"));
    session.device.queue.submit([encoder.finish()]);
    parts.push(...await readOutputs(session, [output], session.buffer("read features"), symbols));
  }
  return joined(parts);
}

async function exportState(run: Run): Promise<Map<string, Float32Array>> {
  const buffers = await readAll(run, ["parameter", "slot", "scaler"]);
  const { scaler } = run.module.plan;
  const state = new Map<string, Float32Array>();
  const order = new Map(run.module.plan.parameters.map((p) => [p.name, p]));
  for (const { name } of run.manifest.parameters) {
    const parameter = order.get(name);
    if (parameter !== undefined) state.set(name, part(buffers, parameter.ref));
  }
  for (const { name, slots } of run.module.plan.parameters) for (const [slot, ref] of Object.entries(slots)) state.set(`optimizer.${slot}.${name}`, part(buffers, ref));
  if (scaler !== undefined) state.set(LOSS_SCALE, part(buffers, scaler.ref));
  return state;
}

/** Where the state of the loss scale has the scale of the last step, and Adam's first bias correction. */
const [USED_SCALE, BIAS1] = [6, 2];

async function gradients(run: Run): Promise<Map<string, Float32Array>> {
  const buffers = await readAll(run, ["gradient", "scaler"]);
  const { scaler, parameters } = run.module.plan;
  const scale = scaler === undefined ? 1 : part(buffers, scaler.ref)[USED_SCALE] ?? 1;
  return new Map(parameters.flatMap(({ name, grad }) => (grad === undefined ? [] : [[name, part(buffers, grad).map((x) => x / scale)]])));
}

async function readAll(run: Run, kinds: readonly string[]): Promise<Map<number, Float32Array>> {
  const out = new Map<number, Float32Array>();
  run.session.check();
  run.ring.land();
  for (const [i, b] of run.module.plan.buffers.entries()) if (kinds.includes(b.kind)) out.set(i, await readBuffer(run.session, run.session.bufferAt(i)));
  run.session.check();
  return out;
}

type Ref = { readonly buffer: number; readonly at: number; readonly bytes: number };

function part(buffers: ReadonlyMap<number, Float32Array>, ref: Ref): Float32Array {
  return (buffers.get(ref.buffer) ?? new Float32Array()).slice(ref.at / 4, (ref.at + ref.bytes) / 4);
}

async function importState(run: Run, state: ReadonlyMap<string, Float32Array>): Promise<void> {
  const { plan } = run.module;
  const places = new Map<string, Ref>();
  for (const { name, ref, slots } of plan.parameters) {
    places.set(name, ref);
    for (const [slot, at] of Object.entries(slots)) places.set(`optimizer.${slot}.${name}`, at);
  }
  if (plan.scaler !== undefined) places.set(LOSS_SCALE, plan.scaler.ref);
  for (const name of state.keys()) if (!places.has(name) && name !== LOSS_SCALE) throw new HostError("mismatch", `the state holds ${name}, which is no parameter of this program`, "it was made from another version of the program");
  checkWhole(plan.parameters.map(({ name }) => name), state);
  for (const [name, values] of state) {
    const ref = places.get(name);
    if (ref !== undefined && values.length !== ref.bytes / 4) throw new HostError("mismatch", `${name} has ${values.length} values in the state, ${ref.bytes / 4} in the program`, "it was made from another version of the program");
  }
  const encoder = run.session.device.createCommandEncoder();
  for (const [i, b] of plan.buffers.entries()) if (b.kind === "slot") encoder.clearBuffer(run.session.bufferAt(i));
  run.session.device.queue.submit([encoder.finish()]);
  for (const [name, values] of state) {
    const ref = places.get(name);
    if (ref !== undefined) write(run, name, ref, values);
  }
  if (plan.scaler !== undefined && !state.has(LOSS_SCALE)) write(run, LOSS_SCALE, plan.scaler.ref, freshScale(plan.scaler.initial, state));
  prepare(run);
  run.session.check();
}

/** The loss scale for state that has none; where optimizer slots come along, from f32, their bias corrections go by the step's number. */
function freshScale(initial: readonly number[], state: ReadonlyMap<string, Float32Array>): Float32Array {
  const begun = [...state.keys()].some((name) => name.startsWith("optimizer."));
  return Float32Array.from(initial, (x, i) => (begun && (i === BIAS1 || i === BIAS1 + 1) ? -1 : x));
}

function write(run: Run, name: string, ref: Ref, values: Float32Array): void {
  if (values.length !== ref.bytes / 4) throw new HostError("mismatch", `${name} has ${values.length} values, ${ref.bytes / 4} are needed`, "compile the program again");
  run.session.device.queue.writeBuffer(run.session.bufferAt(ref.buffer), ref.at, copyable(values));
}
