/**
 * Initial values of parameters: the same seed gives the same bits, whatever the order or the engine.
 *
 * Owns the step from `Initializer` (plain data of the manifest) to float32 arrays. Every tensor draws from a stream of its
 * own, keyed by (seed, "init", name), so adding a module to a program does not move the values of the others. Moving
 * averages start as copies of what they follow (I-JEPA 1.5). Leaves the placing of the arrays to the engines.
 */
import type { Initializer, Manifest, Parameter } from "../abi.js";
import { HostError } from "../base/errors.js";
import { positionsOf } from "../base/grid.js";
import { sincos2d, sincos3d } from "../base/positions.js";
import { purposeHash, stream } from "../base/random.js";
import type { Stream } from "../base/random.js";
import { rotary } from "./rotary.js";

export { sincos2d, sincos3d };

/**
 * Values of every parameter of a manifest at step 0, by name, in manifest order. `ema` parameters own a copy of what they
 * follow. `given` are values that others trained (see pretrained.ts), in the place of drawn ones. Throws `HostError` "mismatch" for a manifest whose `follows` leads nowhere or in a circle.
 */
export function initialState(manifest: Pick<Manifest, "parameters">, seed: number, given: ReadonlyMap<string, Float32Array> = new Map()): Map<string, Float32Array> {
  const byName = new Map(manifest.parameters.map((parameter) => [parameter.name, parameter]));
  const values = new Map<string, Float32Array>();
  for (const parameter of manifest.parameters) {
    const first = origin(parameter, byName);
    values.set(parameter.name, given.get(first.name)?.slice() ?? initialValue(first, seed));
  }
  return values;
}

/** The values of one tensor: a pure function of its name, shape, initializer and the seed. */
export function initialValue(parameter: Pick<Parameter, "name" | "shape" | "init">, seed: number): Float32Array {
  const { name, shape, init } = parameter;
  const size = elementCount(shape);
  if (init.kind === "sincos2d") return repeated(sincos2d(init.rows, init.cols, tableWidth(parameter, init, size)), init.frames ?? 1);
  if (init.kind === "sincos3d") return sincos3d(init.frames, init.rows, init.cols, tableWidth(parameter, init, size));
  if (init.kind === "rotary") return rotary(init.sides, shape.at(-1) ?? 0, init.base);
  const out = new Float32Array(size);
  const constant = constantOf(init);
  if (constant !== undefined) return out.fill(constant);
  // The purpose is hashed to 32 bits; the second word makes two names of one program share a stream only by a 64-bit chance.
  const draws = stream(seed, `init ${name}`, purposeHash([...name].reverse().join("")));
  const draw = drawOf(init, shape, draws);
  for (let i = 0; i < size; i++) out[i] = draw();
  return init.kind === "unit_rows" ? unitRows(out, shape.at(-1) ?? 1) : out;
}

/** A table as often as a clip has rows of tubes. */
function repeated(plane: Float32Array, times: number): Float32Array {
  if (times === 1) return plane;
  const out = new Float32Array(times * plane.length);
  for (let i = 0; i < times; i++) out.set(plane, i * plane.length);
  return out;
}

/** Number of elements of a shape; a scalar has one. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

function origin(parameter: Parameter, byName: ReadonlyMap<string, Parameter>): Parameter {
  let at = parameter;
  for (let hops = 0; at.follows !== undefined; hops++) {
    const next = byName.get(at.follows);
    if (next === undefined) throw broken(`parameter ${at.name} follows ${at.follows}, which does not exist`);
    if (hops > byName.size) throw broken(`parameter ${parameter.name} follows itself`);
    if (elementCount(next.shape) !== elementCount(at.shape)) throw broken(`parameter ${at.name} follows ${next.name}, which has another shape`);
    at = next;
  }
  return at;
}

function broken(message: string): HostError {
  return new HostError("mismatch", message, "compile the program again: this manifest is damaged");
}

function tableWidth(parameter: Pick<Parameter, "name">, init: { readonly rows: number; readonly cols: number; readonly frames?: number }, size: number): number {
  const width = size / positionsOf(init);
  if (!Number.isInteger(width)) throw broken(`parameter ${parameter.name} does not hold a table of ${init.frames === undefined ? "" : `${init.frames} by `}${init.rows} by ${init.cols} places`);
  return width;
}

function constantOf(init: Initializer): number | undefined {
  if (init.kind === "zeros") return 0;
  if (init.kind === "ones") return 1;
  return init.kind === "constant" ? init.value : undefined;
}

function drawOf(init: Initializer, shape: readonly number[], draws: Stream): () => number {
  switch (init.kind) {
    case "unit_rows":
      return () => draws.normal();
    case "normal":
      return () => init.std * draws.normal();
    case "trunc_normal":
      return () => truncated(init.std, init.cut, draws);
    case "uniform":
      return () => draws.range(init.low, init.high);
    case "xavier_uniform": {
      const bound = Math.sqrt(6 / ((shape.at(-2) ?? 1) + (shape.at(-1) ?? 1)));
      return () => draws.range(-bound, bound);
    }
    default:
      throw broken(`unknown initializer ${init.kind}`);
  }
}

/** Each row over its length; numbers are rounded once more by it. */
function unitRows(out: Float32Array, width: number): Float32Array {
  for (let at = 0; at < out.length; at += width) {
    const row = out.subarray(at, at + width);
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    for (let i = 0; i < row.length; i++) row[i] = (row[i] ?? 0) / length;
  }
  return out;
}

/** By rejection, from the normal itself where much of it lies inside the cut, else from a uniform: with few tries either way. */
function truncated(std: number, cut: number, draws: Stream): number {
  if (!(cut > 0)) throw broken(`a truncated normal needs a cut above 0, not ${cut}`);
  for (;;) {
    const value = cut < std ? draws.range(-cut, cut) : std * draws.normal();
    const taken = cut < std ? draws.uniform() < Math.exp(-0.5 * (value / std) ** 2) : Math.abs(value) <= cut;
    if (taken) return value;
  }
}
