/**
 * The fixture that `witness.py` wrote, in the names and layouts of a compiled program.
 *
 * PyTorch keeps linear weights as [out, in] and the patch projection as [out, channel, y, x]; compiled programs keep
 * [in, out], with the rows of a patch ordered (y, x, channel). Images become NHWC. The translation is written here once
 * more, apart from the one that exports weights, so that a mistake in either shows.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NdArray } from "../../compiler/tensor/ndarray.js";

/** One step of the witness: scalars, and arrays by name in the layouts of a compiled program. */
export interface WitnessStep {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly momentum: number;
  /** Kept tokens of the context and of each target. */
  readonly lengths: readonly [context: number, target: number];
  readonly image: NdArray;
  readonly context: NdArray;
  readonly targets: NdArray;
  readonly grads: ReadonlyMap<string, NdArray>;
  /** Every trained and averaged parameter after the step. */
  readonly after: ReadonlyMap<string, NdArray>;
}

/** The whole run. */
export interface Witness {
  readonly batch: number;
  readonly perEpoch: number;
  readonly start: ReadonlyMap<string, NdArray>;
  readonly steps: readonly WitnessStep[];
}

interface Row { readonly step: number; readonly loss: number; readonly learningRate: number; readonly weightDecay: number; readonly momentum: number; readonly context: number; readonly target: number }
interface Entry { readonly name: string; readonly dtype: "f64" | "i32" | "u8"; readonly shape: readonly number[]; readonly offset: number }
interface Document { readonly batch: number; readonly perEpoch: number; readonly steps: readonly Row[]; readonly arrays: readonly Entry[] }

/** Reads the fixture of a folder (the committed one unless said). */
export function readWitness(folder = join(import.meta.dirname, "fixtures")): Witness {
  const document: Document = JSON.parse(readFileSync(join(folder, "witness.json"), "utf8"));
  const bytes = Uint8Array.from(readFileSync(join(folder, "witness.bin")));
  const arrays = new Map(document.arrays.map((entry) => [entry.name, arrayOf(entry, bytes)]));
  const get = (name: string): NdArray => {
    const found = arrays.get(name);
    if (found === undefined) throw new Error(`the fixture has no ${name}`);
    return found;
  };
  const parameters = (prefix: string): Map<string, NdArray> => new Map([...arrays].flatMap(([name, x]) => (name.startsWith(prefix) ? [parameter(name.slice(prefix.length), x)] : [])));
  return {
    batch: document.batch,
    perEpoch: document.perEpoch,
    start: parameters("start."),
    steps: document.steps.map(({ step, loss, learningRate, weightDecay, momentum, context, target }) => ({
      step, loss, learningRate, weightDecay, momentum, lengths: [context, target],
      image: transposed(mapped(get(`${step}.image`), (v) => v / 64 - 2), [0, 2, 3, 1]),
      context: get(`${step}.context`), targets: get(`${step}.targets`),
      grads: parameters(`${step}.grad.`), after: parameters(`${step}.after.`),
    })),
  };
}

function arrayOf({ dtype, shape, offset }: Entry, bytes: Uint8Array): NdArray {
  const n = shape.reduce((product, d) => product * d, 1);
  const { buffer } = bytes;
  const data = dtype === "f64" ? new Float64Array(buffer, offset, n) : Float64Array.from(dtype === "i32" ? new Int32Array(buffer, offset, n) : new Uint8Array(buffer, offset, n));
  return { shape, data };
}

/** The name and layout that a compiled program gives a parameter of the release. */
function parameter(name: string, x: NdArray): [string, NdArray] {
  const renamed = name
    .replace(/^encoder\./, "student.")
    .replace(/^target_encoder\./, "teacher.")
    .replace(/^predictor\.(predictor_)?/, "predict.");
  if (x.shape.length === 4) return [renamed, rows(transposed(x, [2, 3, 1, 0]))];
  return [renamed, x.shape.length === 2 ? transposed(x, [1, 0]) : x];
}

function rows(x: NdArray): NdArray {
  const out = x.shape.at(-1) ?? 1;
  return { shape: [x.data.length / out, out], data: x.data };
}

function mapped(x: NdArray, f: (v: number) => number): NdArray {
  return { shape: x.shape, data: x.data.map(f) };
}

/** Result axis i is operand axis perm[i]; by counting, for tests only. */
export function transposed(x: NdArray, perm: readonly number[]): NdArray {
  const shape = perm.map((p) => x.shape[p] ?? 1);
  const strides = x.shape.map((_, i) => x.shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const data = new Float64Array(x.data.length);
  const index = shape.map(() => 0);
  for (let at = 0; at < data.length; at++) {
    data[at] = x.data[index.reduce((sum, i, axis) => sum + i * (strides[perm[axis] ?? 0] ?? 0), 0)] ?? Number.NaN;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (shape[axis] ?? 0)) break;
      index[axis] = 0;
    }
  }
  return { shape, data };
}

/** Keeps the largest relative error (largest difference over largest value) with the name of its tensor. */
export class Worst {
  name = "";
  error = 0;
  count = 0;

  /** Compares one tensor and returns its error; missing or differently sized ones count as infinitely wrong. */
  see(name: string, got: ArrayLike<number> | undefined, want: ArrayLike<number> | undefined): number {
    let top = 0;
    let apart = got === undefined || want === undefined || got.length !== want.length ? Number.POSITIVE_INFINITY : 0;
    for (let i = 0; i < (want?.length ?? 0); i++) {
      top = Math.max(top, Math.abs(want?.[i] ?? 0));
      const d = Math.abs((got?.[i] ?? Number.NaN) - (want?.[i] ?? Number.NaN));
      apart = Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(apart, d);
    }
    const error = apart === 0 ? 0 : apart / Math.max(top, Number.MIN_VALUE);
    this.count += 1;
    if (error >= this.error) [this.name, this.error] = [name, error];
    return error;
  }

  toString(): string {
    return `${this.error.toExponential(1)} at ${this.name} (${this.count} tensors)`;
  }
}
