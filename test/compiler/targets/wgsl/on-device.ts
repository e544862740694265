/**
 * Functions of the tensor IR on a WebGPU device: traced, fused and run as a plan of their own, for comparison with the
 * float64 interpreter.
 */
import { draftsOf } from "../../../../compiler/targets/wgsl/emit-ops.js";
import { fuse } from "../../../../compiler/targets/wgsl/fuse.js";
import type { Tensor } from "../../../../compiler/targets/wgsl/graph.js";
import type { Size } from "../../../../compiler/targets/wgsl/kernel.js";
import { elementBytes } from "../../../../compiler/targets/wgsl/kernel.js";
import { sizeExpr } from "../../../../compiler/targets/wgsl/plan.js";
import { toHalf } from "../../../../compiler/targets/wgsl/precision.js";
import { traceFunction, withoutDead } from "../../../../compiler/targets/wgsl/trace.js";
import type { FuncBuilder } from "../../../../compiler/tensor/build.js";
import { defineFunc } from "../../../../compiler/tensor/build.js";
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
  body(b: FuncBuilder): readonly ValueId[];
}

/** A tensor's type. */
export const t = (...shape: DimLike[]): TensorType => f32(dims(shape));
/** An input. */
export const data = (b: FuncBuilder, name: string, type: TensorType): ValueId => b.input(name, type, type.dtype === "i32" ? "index" : "data");

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

/** Seeded inputs. */
export function argumentsOf(c: Case, module: Module): NdArray[] {
  const func = funcOf(module, "f");
  const env = new Map(Object.entries(c.env));
  return func.inputs.map((input) => {
    const { shape, dtype } = typeOf(func, input.value);
    const sizes = shape.map((d) => evaluateDim(d, env) ?? NaN);
    const next = stream(5, `${c.op} ${input.path}`);
    const one = (): number => (dtype === "i32" ? next.int(c.below ?? 1) : Math.fround(c.positive === true ? 0.1 + 3 * next.uniform() : 4 * next.uniform() - 2));
    return { shape: sizes, data: Float64Array.from({ length: sizes.reduce((n, d) => n * d, 1) }, one) };
  });
}

/** Runs a case on the device: every tensor in a buffer of its own, all dispatches in one pass. Gives results and names of kernels. */
export async function onDevice(c: Case, module: Module, args: readonly NdArray[], device: GPUDevice): Promise<{ got: Float32Array[]; kernels: string[] }> {
  const env = new Map(Object.entries(c.env));
  const bounds = new Map([...env, ...Object.entries(c.bounds ?? {})]);
  const { traced, results } = traceFunction(module, "f");
  const fused = fuse(withoutDead(traced));
  const ready = c.storage === "f16" ? toHalf(fused).traced : fused;
  const drafts = draftsOf(ready, bounds);
  const func = funcOf(module, "f");
  const buffers: WgslPlan["buffers"][number][] = [];
  const places = new Map<Tensor, PlanRef>();
  const place = (x: Tensor): PlanRef => {
    const known = places.get(x);
    if (known !== undefined) return known;
    const bytes = Math.max(4, Math.ceil(x.shape.reduce((n, d) => n * (evaluateDim(d, bounds) ?? NaN), 1) * elementBytes(x.dtype) / 4) * 4);
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
  const outs = results.map(place);
  const inputs = ready.graph.tensors.filter((x) => x.home.kind === "input").map((x) => ({ x, ref: place(x) }));
  const kernels = [...texts.keys()].map((text, i) => ({ name: `k${i}`, file: `k${i}`, writes: drafts.find((d) => d.text === text)?.writes ?? [], hyper: false }));
  const plan: WgslPlan = { ...emptyPlan, kernels, step: { dispatches, outputs: [] }, buffers: [...buffers, { name: "sizes", kind: "uniform", bytes: Math.max(1, drafts.length) * 256 }, { name: "hyper", kind: "uniform", bytes: 16 }] };
  const wgsl: WgslModule = { plan, kernels: Object.fromEntries([...texts.keys()].map((text, i) => [`k${i}`, text])) };
  const session = await openSession(device, wgsl, "test device");
  for (const { x, ref } of inputs) {
    const at = func.inputs.findIndex((i) => x.home.kind === "input" && i.path === x.home.name);
    const values = args[at]?.data ?? new Float64Array();
    device.queue.writeBuffer(session.bufferAt(ref.buffer), 0, x.dtype === "i32" ? Int32Array.from(values) : Float32Array.from(values));
  }
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  session.encode(pass, plan.step, env);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const got: Float32Array[] = [];
  for (const [i, ref] of outs.entries()) {
    const count = results[i]?.shape.reduce((n, d) => n * (evaluateDim(d, env) ?? NaN), 1) ?? 0;
    got.push((await readBuffer(session, session.bufferAt(ref.buffer))).slice(0, count));
  }
  session.check();
  return { got, kernels: drafts.map((d) => d.name) };
}

/** The largest difference over the largest magnitude; infinite where sizes differ or a value is none. */
export function worstOf(got: Float32Array | undefined, wanted: NdArray): number {
  const size = wanted.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
  const apart = wanted.data.reduce((m, x, j) => Math.max(m, Math.abs(x - (got?.[j] ?? NaN))), 0) / size;
  return Number.isNaN(apart) || got?.length !== wanted.data.length ? Infinity : apart;
}
