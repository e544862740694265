/**
 * Functions of the tensor IR on a WebGPU device: traced, fused and run as a plan of their own, for comparison with the
 * float64 interpreter. Values are stored as f32, or as f16 where the compiler's rule allows it.
 */
import type { DeviceChoices } from "../../../../compiler/targets/wgsl/emit-ops.js";
import { draftsOf } from "../../../../compiler/targets/wgsl/emit-ops.js";
import { fuse } from "../../../../compiler/targets/wgsl/fuse.js";
import type { Tensor } from "../../../../compiler/targets/wgsl/graph.js";
import { writesOf } from "../../../../compiler/targets/wgsl/graph.js";
import type { Draft, Size } from "../../../../compiler/targets/wgsl/kernel.js";
import { elementBytes } from "../../../../compiler/targets/wgsl/kernel.js";
import type { Tile } from "../../../../compiler/targets/wgsl/kernels/tiles.js";
import { sizeExpr } from "../../../../compiler/targets/wgsl/plan.js";
import { toHalf } from "../../../../compiler/targets/wgsl/precision.js";
import { TileBook } from "../../../../compiler/targets/wgsl/tile-book.js";
import { traceFunction, withoutDead } from "../../../../compiler/targets/wgsl/trace.js";
import type { FuncBuilder } from "../../../../compiler/tensor/build.js";
import { defineFunc } from "../../../../compiler/tensor/build.js";
import { evaluate } from "../../../../compiler/tensor/eval.js";
import type { Module, TensorType, ValueId } from "../../../../compiler/tensor/ir.js";
import { emptyModule, f32, funcOf, typeOf } from "../../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../../compiler/tensor/ndarray.js";
import type { DimLike } from "../../../../compiler/types/dim.js";
import { dims, evaluate as evaluateDim } from "../../../../compiler/types/dim.js";
import type { PlanDispatch, PlanRef, WgslModule, WgslPlan } from "../../../../runtime/abi.js";
import { stream } from "../../../../runtime/base/random.js";
import { openSession, readBuffer } from "../../../../runtime/backends/webgpu/session.js";

/** A function and the values of its dimensions; indices are below `below`, floats in -2..2 or, for logarithms and roots, above 0. */
export interface Case {
  readonly op: string;
  readonly note?: string;
  readonly env: Readonly<Record<string, number>>;
  readonly below?: number;
  readonly positive?: boolean;
  readonly tolerance?: number;
  /** Upper bounds that the plan is made for, where they are not the values. */
  readonly bounds?: Readonly<Record<string, number>>;
  /** What values within the function are stored as; f32 unless said. */
  readonly storage?: "f16";
  /** With the tile of a graphics card, where kernels are those of one. */
  readonly large?: boolean;
  /** With this tile, where kernels are those of a graphics card. */
  readonly tile?: Tile;
  body(b: FuncBuilder): readonly ValueId[];
}

/** A tensor's type. */
export const t = (...shape: DimLike[]): TensorType => f32(dims(shape));
/** An input. */
export const data = (b: FuncBuilder, name: string, type: TensorType): ValueId => b.input(name, type, type.dtype === "i32" ? "index" : "data");
/** A parameter: products read it from an f16 copy where values are f16. */
export const weight = (b: FuncBuilder, name: string, type: TensorType): ValueId => b.input(name, type, "param");

/** A plan without anything. */
export const emptyPlan: WgslPlan = {
  format: 1, bounds: {}, held: 1, kernels: [], buffers: [], inputs: [], parameters: [], watches: [], hyper: [], encoders: {},
  step: { dispatches: [], outputs: [] }, norms: { dispatches: [], outputs: [] }, update: { dispatches: [], outputs: [] }, memory: { total: 0, work: 0, lowerBound: 0 },
};

/** The case as a module with one function. */
export function build(c: Case): Module {
  return defineFunc(emptyModule, { name: "f", dims: Object.keys(c.env) }, (b) => {
    c.body(b).forEach((id, i) => b.output(`y${i}`, id));
  });
}

/** Seeded inputs; with `half` they are numbers that f16 has. */
export function argumentsOf(c: Case, module: Module, half = false): NdArray[] {
  const value = (next: ReturnType<typeof stream>): number => (c.positive === true ? 0.1 + 3 * next.uniform() : 4 * next.uniform() - 2);
  const func = funcOf(module, "f");
  const env = new Map(Object.entries(c.env));
  return func.inputs.map((input) => {
    const { shape, dtype } = typeOf(func, input.value);
    const sizes = shape.map((d) => evaluateDim(d, env) ?? NaN);
    const next = stream(5, `${c.op} ${input.path}`);
    const one = (): number => (dtype === "i32" ? next.int(c.below ?? 1) : half ? Math.round(256 * value(next)) / 256 : Math.fround(value(next)));
    return { shape: sizes, data: Float64Array.from({ length: sizes.reduce((n, d) => n * d, 1) }, one) };
  });
}

/** The graph of a case, fused; with `half`, f16 where the rule of the compiler puts it, results and inputs too. */
function graphOf(c: Case, module: Module, half: boolean): { ready: ReturnType<typeof fuse>; results: readonly Tensor[] } {
  const { traced, results } = traceFunction(module, "f");
  const fused = fuse(withoutDead(traced));
  if (!half) return { ready: c.storage === "f16" ? toHalf(fused).traced : fused, results };
  for (const x of fused.graph.tensors) if (x.home.kind === "input" && x.dtype === "f32") x.dtype = "f16";
  const { traced: halved } = toHalf({ ...fused, watches: [] });
  return { ready: { ...halved, watches: fused.watches }, results };
}

/** The dispatches of a case, with its graph and the tensors of its results. */
export function draftsOfCase(c: Case, module: Module, whose: Kernels, half: boolean): ReturnType<typeof graphOf> & { readonly drafts: readonly Draft[] } {
  const graph = graphOf(c, module, half);
  return { ...graph, drafts: draftsOf(graph.ready, new Map([...Object.entries(c.env), ...Object.entries(c.bounds ?? {})]), choicesOf(c, whose)) };
}

/** What a case left on the device. */
export interface OnDevice {
  readonly got: readonly Float32Array[];
  /** Names of the kernels, in the order in which they ran. */
  readonly kernels: readonly string[];
  /** What results are stored as. */
  readonly stored: readonly Tensor["dtype"][];
  /** Whether anything that the case makes is stored as f16. */
  readonly narrow: boolean;
}

/** Which kernels a case runs by: those of a graphics card or of a software driver; both run on any device. */
export type Kernels = "card" | "software";

/** A tile through workgroup memory that a software driver compiles soon. */
const soon: Tile = { bm: 32, bn: 32, bk: 4, tm: 4, tn: 4 };

function choicesOf(c: Case, whose: Kernels): DeviceChoices {
  if (whose === "software") return new TileBook([], true);
  return { choose: c.large === true ? new TileBook().choose : () => c.tile ?? soon, software: false };
}

/** Runs a case on the device: every tensor in a buffer of its own, all dispatches in one pass. With `half`, inputs and results are f16 too. */
export async function onDevice(c: Case, module: Module, args: readonly NdArray[], device: GPUDevice, whose: Kernels, half = false): Promise<OnDevice> {
  const env = new Map(Object.entries(c.env));
  const bounds = new Map([...env, ...Object.entries(c.bounds ?? {})]);
  const { ready, results, drafts } = draftsOfCase(c, module, whose, half);
  const func = funcOf(module, "f");
  const buffers: WgslPlan["buffers"][number][] = [];
  const places = new Map<Tensor, PlanRef>();
  const place = (x: Tensor): PlanRef => {
    const known = places.get(x);
    if (known !== undefined) return known;
    const bytes = Math.max(4, Math.ceil(countOf(x, bounds) * elementBytes(x.dtype) / 4) * 4);
    const ref = { buffer: buffers.length, at: 0, bytes };
    buffers.push({ name: `t${x.id}`, kind: "work", bytes });
    places.set(x, ref);
    return ref;
  };
  const texts = new Map<string, number>();
  const dispatches = drafts.map((d): PlanDispatch => {
    if (!texts.has(d.text)) texts.set(d.text, texts.size);
    const size = (s: Size): ReturnType<typeof sizeExpr> => sizeExpr(s);
    const [x, y, z] = d.groups;
    return { kernel: texts.get(d.text) ?? 0, bind: d.binds.map((b) => ("kind" in b ? { buffer: 0, at: 0, bytes: 4 } : place(b))), sizes: d.sizes.map(size), groups: y === undefined || z === undefined ? [size(x)] : [size(x), size(y), size(z)], cost: { bytes: 0 } };
  });
  const outs = results.map((x) => ({ x, ref: place(x) }));
  const given = ready.graph.tensors.flatMap((x) => ("name" in x.home ? [{ x, name: x.home.name, ref: place(x) }] : []));
  // A device that was opened without the features that forms need takes the portable texts.
  const drafted = [...texts.keys()].map((text) => drafts.find((d) => d.text === text));
  const kernels = drafted.map((d, i) => ({ name: `k${i}`, file: `k${i}`, writes: d?.writes ?? [], hyper: false, forms: (d?.forms ?? []).map(({ needs }) => ({ needs, file: `k${i}.${needs}` })) }));
  const plan: WgslPlan = { ...emptyPlan, kernels, step: { dispatches, outputs: [] }, buffers: [...buffers, { name: "sizes", kind: "uniform", bytes: Math.max(1, drafts.length) * 256 }, { name: "hyper", kind: "uniform", bytes: 16 }] };
  const forms = drafted.flatMap((d, i) => (d?.forms ?? []).map(({ needs, text }) => [`k${i}.${needs}`, text] as const));
  const wgsl: WgslModule = { plan, kernels: Object.fromEntries([...[...texts.keys()].map((text, i) => [`k${i}`, text] as const), ...forms]) };
  const session = await openSession(device, wgsl, "test device");
  for (const { x, name, ref } of given) device.queue.writeBuffer(session.bufferAt(ref.buffer), 0, encoded(x.dtype, args[func.inputs.findIndex((i) => i.path === name)]?.data ?? []));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  session.encode(pass, plan.step, env);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const got: Float32Array[] = [];
  for (const { x, ref } of outs) got.push(decoded(x.dtype, await readBuffer(session, session.bufferAt(ref.buffer)), countOf(x, env)));
  session.check();
  session.close();
  return { got, kernels: drafts.map((d) => d.name), stored: outs.map(({ x }) => x.dtype), narrow: ready.graph.ops.some(({ work }) => writesOf(work).some((t) => t.dtype === "f16")) };
}

function countOf(x: Tensor, env: ReadonlyMap<string, number>): number {
  return x.shape.reduce((n, d) => n * (evaluateDim(d, env) ?? NaN), 1);
}

/** Numbers as they lie on the device; those of f16 must be numbers that f16 has. */
function encoded(dtype: Tensor["dtype"], values: ArrayLike<number>): ArrayBuffer {
  if (dtype === "i32") return Int32Array.from(values).buffer;
  if (dtype === "f32") return Float32Array.from(values).buffer;
  const bits = new Uint16Array(2 * Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i++) bits[i] = halfBits(values[i] ?? NaN);
  return bits.buffer;
}

function decoded(dtype: Tensor["dtype"], raw: Float32Array, count: number): Float32Array {
  if (dtype !== "f16") return raw.slice(0, count);
  return Float32Array.from(new Uint16Array(raw.buffer, raw.byteOffset, count), (bits) => {
    const [sign, exponent, part] = [bits >> 15 === 1 ? -1 : 1, bits >> 10 & 31, bits & 1023];
    if (exponent === 31) return part === 0 ? sign * Infinity : NaN;
    return sign * (exponent === 0 ? part * 2 ** -24 : (1024 + part) * 2 ** (exponent - 25));
  });
}

/** Bits of a number that f16 has as a normal number, or of 0. */
function halfBits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const part = Math.abs(value) * 2 ** (10 - exponent) - 1024;
  if (!Number.isInteger(part) || exponent < -14 || exponent > 15) throw new Error(`f16 has no ${value}`);
  return (value < 0 ? 32768 : 0) | exponent + 15 << 10 | part;
}

/** The largest difference over the largest magnitude; infinite where sizes differ or a value is none. */
export function worstOf(got: Float32Array | undefined, wanted: NdArray): number {
  const size = wanted.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
  const apart = wanted.data.reduce((m, x, j) => Math.max(m, Math.abs(x - (got?.[j] ?? NaN))), 0) / size;
  return Number.isNaN(apart) || got?.length !== wanted.data.length ? Infinity : apart;
}

/** Runs a case on the device and in float64; the error of each result. */
export async function compared(c: Case, device: GPUDevice, whose: Kernels, half = false): Promise<OnDevice & { readonly errors: readonly number[] }> {
  const module = build(c);
  const args = argumentsOf(c, module, half);
  const wanted = evaluate(module, "f", args, new Map(Object.entries(c.env)));
  const ran = await onDevice(c, module, args, device, whose, half);
  return { ...ran, errors: wanted.map((w, i) => worstOf(ran.got[i], w)) };
}

/** The worst error of each op, for people. */
export function worstByOp(found: readonly { readonly op: string; readonly error: number }[]): string {
  const worst = new Map<string, number>();
  for (const { op, error } of found) worst.set(op, Math.max(worst.get(op) ?? 0, error));
  return [...worst].map(([op, e]) => `${op} ${e.toExponential(1)}`).join(", ");
}
