/**
 * Checkpoints: what is in one, and when one fits a program.
 *
 * Owns the mapping between a run's state and a safetensors file: parameters under their own names, optimizer slots as
 * `optimizer.<slot>.<name>`, monitor queues as `#monitor.<watch>` (no program can have that name), and everything that makes the run what it is in the
 * metadata. Loader, masks and schedules are pure functions of the step, so a step number is all that they need. Files and
 * their rotation are in checkpoint-store.ts. No clock and no machine name goes in: equal runs write equal bytes.
 */
import type { Manifest, Parameter } from "../abi.js";
import { counted } from "../base/counted.js";
import { HostError } from "../base/errors.js";
import { readSafetensors, writeSafetensors } from "../base/safetensors.js";
import type { TensorToWrite } from "../base/safetensors.js";
import { wholeNumber } from "./guards.js";
import { elementCount } from "./init.js";

/** Everything a run is, between two steps. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  readonly totalSteps: number;
  readonly seed: number;
  readonly batch: number;
  /** What the data looked like: a resumed run on other data is another run. */
  readonly data: string;
  readonly program: string;
  readonly hash: string;
  readonly engine: string;
  /** Parameters and optimizer slots, as `Engine.exportState` gives them. */
  readonly state: ReadonlyMap<string, Float32Array>;
  /** Rows of the monitor queues, by watch. */
  readonly queues: ReadonlyMap<string, Float32Array>;
  /** Memory of the monitors, as JSON. */
  readonly monitors: string;
}

const FORMAT = "jepac-checkpoint-1";
const QUEUE = "#monitor.";
const OPTIMIZER = "optimizer.";

/**
 * A checkpoint as bytes. Throws `HostError` "not-a-number" when a parameter is not finite: a bad state must never take the
 * place of a good one.
 */
export function encodeCheckpoint(checkpoint: Checkpoint, parameters: readonly Parameter[]): Uint8Array {
  const shapes = new Map(parameters.map((parameter) => [parameter.name, parameter.shape]));
  const tensors: TensorToWrite[] = [];
  for (const [name, data] of checkpoint.state) {
    if (!isFinite32(data)) throw new HostError("not-a-number", `after step ${checkpoint.step}, ${name} holds values that are not finite`, "lower the learning rate or clip the gradient (gradient_clip)");
    tensors.push({ name, shape: shapeOf(name, data, shapes), data });
  }
  for (const [name, data] of checkpoint.queues) tensors.push({ name: `${QUEUE}${name}`, shape: [data.length], data });
  const { step, totalSteps, seed, batch, data, program, hash, engine, monitors } = checkpoint;
  const metadata = { format: FORMAT, program, hash, step: String(step), total_steps: String(totalSteps), seed: String(seed), batch: String(batch), data, engine, monitors };
  return writeSafetensors(tensors, metadata);
}

/** Whether the metadata of a safetensors file say that it is a checkpoint of a run. */
export function isCheckpoint(metadata: Readonly<Record<string, string>>): boolean {
  return metadata["format"] === FORMAT;
}

/**
 * Reads a checkpoint; `where` names the file in messages. Throws `HostError` "truncated-file" or "bad-file" for damaged
 * bytes and "mismatch" for a file that is no checkpoint of jepac.
 */
export function decodeCheckpoint(bytes: Uint8Array, where: string): Checkpoint {
  const { tensors, metadata } = readSafetensors(bytes, where);
  if (!isCheckpoint(metadata)) {
    throw new HostError("mismatch", `${where} is not a checkpoint of this version of jepac (format ${metadata["format"] ?? "unknown"})`, "give a checkpoint.safetensors written by a jepac run");
  }
  const state = new Map<string, Float32Array>();
  const queues = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) {
    if (!(tensor.data instanceof Float32Array)) throw new HostError("bad-file", `${where}: ${name} is not float32`, "use a checkpoint written by jepac");
    if (name.startsWith(QUEUE)) queues.set(name.slice(QUEUE.length), tensor.data);
    else state.set(name, tensor.data);
  }
  const whole = (key: string): number => {
    const value = wholeNumber(metadata[key]);
    if (value === undefined) throw new HostError("bad-file", `${where}: ${key} is missing from its metadata`, "the file is damaged; use the checkpoint before it");
    return value;
  };
  return {
    step: whole("step"),
    totalSteps: whole("total_steps"),
    seed: whole("seed"),
    batch: whole("batch"),
    data: metadata["data"] ?? "",
    program: metadata["program"] ?? "",
    hash: metadata["hash"] ?? "",
    engine: metadata["engine"] ?? "",
    monitors: metadata["monitors"] ?? "[]",
    state,
    queues,
  };
}

/**
 * Refuses a checkpoint that does not belong to a program: another name, another source, missing or differently sized
 * parameters, or some that the program does not have. Throws `HostError` "mismatch" that says which. With `otherSource`, a changed source is let through as long
 * as every parameter fits.
 */
export function checkFits(checkpoint: Pick<Checkpoint, "program" | "hash"> & { readonly state: ReadonlyMap<string, { readonly length: number }> }, manifest: Pick<Manifest, "program" | "source" | "parameters">, where: string, options: { readonly otherSource?: boolean } = {}): void {
  if (checkpoint.program !== manifest.program) {
    throw new HostError("mismatch", `${where} belongs to the program ${checkpoint.program}, not to ${manifest.program}`, "give the run folder of this program, or start anew in another folder with --out");
  }
  if (checkpoint.hash !== manifest.source.hash && options.otherSource !== true) {
    throw new HostError(
      "mismatch",
      `${where} was made from another version of ${manifest.source.file} (${checkpoint.hash.slice(0, 12)}…, now ${manifest.source.hash.slice(0, 12)}…)`,
      "restore the source it was trained with, start anew with --out, or go on regardless with --other-source if every parameter still fits",
    );
  }
  for (const { name, shape } of manifest.parameters) {
    const held = checkpoint.state.get(name);
    const wanted = elementCount(shape);
    if (held === undefined) throw new HostError("mismatch", `${where} has no parameter ${name}`, "it was made from another version of the program; start anew with --out");
    if (held.length !== wanted) throw new HostError("mismatch", `${where}: ${name} has ${counted(held.length, "value")}, the program needs ${wanted} (${shape.join(" × ")})`, "it was made from another version of the program; start anew with --out");
  }
  const known = new Set(manifest.parameters.map(({ name }) => name));
  const strange = [...checkpoint.state.keys()].find((name) => !name.startsWith(OPTIMIZER) && !known.has(name));
  if (strange !== undefined) throw new HostError("mismatch", `${where} has a parameter ${strange}, which the program does not have`, "it was made from another version of the program, or by another version of jepac; start anew with --out");
}

/** Whether a program can go on with a run that was compiled from `before`, as far as is seen without its checkpoint. Throws as `checkFits` does. */
export function checkGoesOn(before: Pick<Manifest, "program" | "source" | "parameters">, manifest: Pick<Manifest, "program" | "source" | "parameters">, where: string, options: { readonly otherSource?: boolean } = {}): void {
  const state = new Map(before.parameters.map(({ name, shape }) => [name, { length: elementCount(shape) }]));
  checkFits({ program: before.program, hash: before.source.hash, state }, manifest, where, options);
}

function shapeOf(name: string, data: Float32Array, shapes: ReadonlyMap<string, readonly number[]>): readonly number[] {
  const base = !shapes.has(name) && name.startsWith(OPTIMIZER) ? name.slice(name.indexOf(".", OPTIMIZER.length) + 1) : name;
  const shape = shapes.get(base);
  return shape !== undefined && elementCount(shape) === data.length ? shape : [data.length];
}

/** Whether all values are finite: the sum of `x · 0` is NaN as soon as one is not. */
function isFinite32(data: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += (data[i] ?? 0) * 0;
  return sum === 0;
}
