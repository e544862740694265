/**
 * The parameters of a model on the device, and the updates that train them.
 *
 * The order of one step is the caller's: read, compute gradients, update, average. Here is only how each is done quickly
 * and exactly: in place by resource ops on the native engine (`params-raw.ts`), in place on the heap by one SIMD sweep on
 * wasm, by plain tensors elsewhere (`params-tensor.ts`). All three follow the same arithmetic, PyTorch's AdamW
 * (Loshchilov and Hutter 2019, decoupled decay; eps outside the bias correction), and are bit-deterministic, so that a run
 * resumed from `export` and `exportOptimizer` is the run that never stopped.
 */
import { wasmHeap } from "./kernels-wasm.js";
import { heapUpdates } from "./params-heap.js";
import { rawUpdates } from "./params-raw.js";
import { tensorUpdates } from "./params-tensor.js";
import { nodeBackend } from "./tf.js";
import type { Tensor, Tf } from "./tf.js";

/** One parameter of the model. */
export type ParamSpec = {
  readonly name: string;
  readonly shape: readonly number[];
  /** Which field of the program it belongs to; parameters of one group move together. */
  readonly group: string;
  /** Whether weight decay applies. */
  readonly decay: boolean;
  /** Whether an optimiser may move it (a moving average's parameters and tables are not). */
  readonly trainable: boolean;
};

/** Settings of one AdamW step; `t` counts steps from 1. */
export type AdamWStep = {
  readonly lr: number; readonly weightDecay: number;
  readonly beta1: number; readonly beta2: number; readonly eps: number; readonly t: number;
};

/** Settings of one step of gradient descent with momentum; decay is coupled, as in PyTorch's SGD. */
export type SgdStep = { readonly lr: number; readonly momentum: number; readonly weightDecay: number };

/** Gradients by parameter name. A parameter that has none is left alone entirely: no decay, no moments. */
export type Grads = Readonly<Record<string, Tensor | undefined>>;

/** The parameters of a model. */
export type ParamStore = {
  /** All parameters by name. Borrowed: valid till the next update, not to be disposed. */
  read(): Record<string, Tensor>;
  adamw(grads: Grads, step: AdamWStep): void;
  sgd(grads: Grads, step: SgdStep): void;
  /** For each pair: target = m * target + (1 - m) * source. */
  ema(pairs: readonly (readonly [target: string, source: string])[], m: number): void;
  export(): Promise<Map<string, Float32Array>>;
  /** Takes new values for all or some parameters. */
  import(values: ReadonlyMap<string, Float32Array>): void;
  /** The optimiser's state, by `<moment>/<parameter>`; only for parameters that have been updated. */
  exportOptimizer(): Promise<Map<string, Float32Array>>;
  /** Replaces the optimiser's state. */
  importOptimizer(values: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
};

/** A parameter, a gradient or a set of values that does not fit the store. */
export class ParamMismatch extends Error {
  override readonly name = "ParamMismatch";
}

/** Optimiser state kept per parameter: Adam's first and second moment, SGD's momentum. */
export const slots = ["adam.m", "adam.v", "sgd.momentum"] as const;
/** Name of one kind of optimiser state. */
export type Slot = (typeof slots)[number];

/** What an engine does with the numbers; the store above it checks names and shapes. */
export type Updates = {
  read(name: string): Tensor;
  write(name: string, values: Float32Array): void;
  readSlot(slot: Slot, name: string): Tensor | undefined;
  writeSlot(slot: Slot, name: string, values: Float32Array): void;
  clearSlots(): void;
  adamw(name: string, grad: Tensor, step: AdamWStep, decay: boolean): void;
  sgd(name: string, grad: Tensor, step: SgdStep, decay: boolean): void;
  ema(target: string, source: string, m: number): void;
  dispose(): void;
};

/**
 * Puts parameters on the device.
 * @throws ParamMismatch when `initial` lacks a parameter or has another number of values.
 */
export function createParamStore(
  tf: Tf, options: { readonly raw: boolean }, specs: readonly ParamSpec[], initial: ReadonlyMap<string, Float32Array>,
): ParamStore {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  if (byName.size !== specs.length) throw new ParamMismatch("two parameters have the same name");
  const values = specs.map((spec) => [spec, checked(spec, initial.get(spec.name))] as const);
  const updates = engineUpdates(tf, options.raw, values);
  const spec = (name: string): ParamSpec => {
    const found = byName.get(name);
    if (found === undefined) throw new ParamMismatch(`there is no parameter ${name}`);
    return found;
  };
  const each = (grads: Grads, apply: (spec: ParamSpec, grad: Tensor) => void): void => {
    for (const name of Object.keys(grads)) spec(name);
    for (const one of specs) {
      const grad = grads[one.name];
      if (grad === undefined) continue;
      if (!one.trainable) throw new ParamMismatch(`${one.name} is not trainable, but a gradient was given for it`);
      if (grad.shape.join() !== one.shape.join()) throw new ParamMismatch(`the gradient of ${one.name} is [${grad.shape}], the parameter [${one.shape}]`);
      apply(one, grad);
    }
  };
  return {
    read: () => Object.fromEntries(specs.map(({ name }) => [name, updates.read(name)])),
    adamw: (grads, step) => each(grads, ({ name, decay }, grad) => updates.adamw(name, grad, step, decay)),
    sgd: (grads, step) => each(grads, ({ name, decay }, grad) => updates.sgd(name, grad, step, decay)),
    ema: (pairs, m) => {
      for (const [target, source] of pairs) {
        if (sizeOf(spec(target).shape) !== sizeOf(spec(source).shape)) throw new ParamMismatch(`${target} cannot follow ${source}: their shapes differ`);
        updates.ema(target, source, m);
      }
    },
    export: async () => new Map(await Promise.all(specs.map(async ({ name }) => [name, await floats(updates.read(name))] as const))),
    import: (given) => {
      const fitting = [...given].map(([name, data]) => [name, checked(spec(name), data)] as const);
      for (const [name, data] of fitting) updates.write(name, data);
    },
    exportOptimizer: async () => {
      const kept = slots.flatMap((slot) => specs.map(({ name }) => ({ key: `${slot}/${name}`, tensor: updates.readSlot(slot, name) })));
      const entries = await Promise.all(kept.map(async ({ key, tensor }) => tensor === undefined ? [] : [[key, await floats(tensor)] as const]));
      return new Map(entries.flat());
    },
    importOptimizer: (given) => {
      const fitting = [...given].map(([key, data]) => {
        const slot = slots.find((one) => key.startsWith(`${one}/`));
        if (slot === undefined) throw new ParamMismatch(`${key} is no optimiser state`);
        const name = key.slice(slot.length + 1);
        return { slot, name, data: checked(spec(name), data) };
      });
      updates.clearSlots();
      for (const { slot, name, data } of fitting) updates.writeSlot(slot, name, data);
    },
    dispose: () => updates.dispose(),
  };
}

type Initial = readonly (readonly [ParamSpec, Float32Array])[];

function engineUpdates(tf: Tf, raw: boolean, values: Initial): Updates {
  const node = raw ? nodeBackend(tf) : undefined;
  if (node !== undefined) return rawUpdates(tf, node, values);
  const heap = wasmHeap(tf);
  return heap !== undefined ? heapUpdates(heap, values) : tensorUpdates(tf, values);
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function checked(spec: ParamSpec, data: Float32Array | undefined): Float32Array {
  if (data === undefined) throw new ParamMismatch(`no values for ${spec.name}`);
  if (data.length !== sizeOf(spec.shape)) throw new ParamMismatch(`${spec.name} is [${spec.shape}], but ${data.length} values were given`);
  return data;
}

/** The values of a tensor, as an array of the caller's own. */
async function floats(tensor: Tensor): Promise<Float32Array> {
  return Float32Array.from(await tensor.data());
}
