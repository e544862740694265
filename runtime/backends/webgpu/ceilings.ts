/// <reference types="@webgpu/types" preserve="true" />
/**
 * What a device can do, measured on it: the rate of multiply-adds, of copies, and of a plain matrix product.
 *
 * Owns three small kernels and their timing. They are what a profile's rates are held against: a stated peak says little of
 * a device under its present driver and clock. Work grows until a dispatch takes some milliseconds; the best of several
 * counts, because only disturbances make it slower.
 */
import { Stamps } from "./profiler.js";
import type { Ceilings } from "./samples.js";

/** Milliseconds that a measured dispatch should take. */
const LONG_ENOUGH = 4;
const REPEATS = 5;
const STORAGE = 128 | 8 | 4;

interface Job {
  /** Sizes of the buffers that are bound from 0 on, in bytes. */
  readonly buffers: readonly number[];
  readonly groups: readonly [number, number];
}

/** Measures a device that was opened with timestamps. */
export async function measureCeilings(device: GPUDevice): Promise<Ceilings> {
  const stamps = new Stamps(device, 2);
  try {
    const most = Math.min(device.limits.maxStorageBufferBindingSize, 128 * 1024 * 1024);
    const arithmetic = await grown(device, stamps, arithmeticKernel, 64, 65535, (n) => ({ buffers: [n * 1024], groups: [n, 1] }), (n) => n * 256 * ROUNDS * 4 * 4 * 2);
    const copy = await grown(device, stamps, copyKernel, 1 << 22, most, (n) => ({ buffers: [n, n], groups: [Math.min(65535, n / 4096), Math.ceil(n / 4096 / 65535)] }), (n) => 2 * n);
    const gemm = await grown(device, stamps, gemmKernel, 256, 4096, (n) => ({ buffers: [n * n * 4, n * n * 4, n * n * 4], groups: [n / 64, n / 64] }), (n) => 2 * n ** 3);
    return { arithmetic: arithmetic.rate, copy: copy.rate, gemm: gemm.rate, gemmSide: gemm.size };
  } finally {
    stamps.dispose();
  }
}

/** Doubles the size until a dispatch takes long enough; units of work per second at the last size. */
async function grown(device: GPUDevice, stamps: Stamps, code: string, from: number, to: number, job: (n: number) => Job, work: (n: number) => number): Promise<{ rate: number; size: number }> {
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module: device.createShaderModule({ code }), entryPoint: "main" } });
  let best = { rate: 0, size: from };
  for (let n = from; n <= to; n *= 2) {
    const milliseconds = await fastest(device, stamps, pipeline, job(n));
    if (milliseconds === undefined) break;
    best = { rate: work(n) / (milliseconds / 1000), size: n };
    if (milliseconds >= LONG_ENOUGH) break;
  }
  return best;
}

/** The least time of several runs; undefined where the device has no room for it. */
async function fastest(device: GPUDevice, stamps: Stamps, pipeline: GPUComputePipeline, job: Job): Promise<number | undefined> {
  device.pushErrorScope("out-of-memory");
  const buffers = job.buffers.map((size) => device.createBuffer({ size, usage: STORAGE }));
  const full = await device.popErrorScope();
  try {
    if (full !== null) return undefined;
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })) });
    let least = Infinity;
    for (let i = 0; i < REPEATS; i++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass({ timestampWrites: stamps.around(0) });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(job.groups[0], job.groups[1]);
      pass.end();
      stamps.resolve(encoder, 1);
      device.queue.submit([encoder.finish()]);
      const [start = 0, end = 0] = await stamps.read(1);
      if (i > 0) least = Math.min(least, Math.max(end - start, 1e-3));
    }
    return least;
  } finally {
    for (const b of buffers) b.destroy();
  }
}

const ROUNDS = 256;

/** Four chains of vec4 multiply-adds a thread: enough that none waits for its own result for long. */
const arithmeticKernel = `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
  let s = f32(at.x) * 1e-9 + 0.5;
  var a = vec4<f32>(s);
  var b = vec4<f32>(s + 0.1);
  var c = vec4<f32>(s + 0.2);
  var d = vec4<f32>(s + 0.3);
  let m = vec4<f32>(s, 0.25, 0.75, 0.125);
  for (var i = 0u; i < ${ROUNDS}u; i++) {
    a = fma(a, m, m);
    b = fma(b, m, m);
    c = fma(c, m, m);
    d = fma(d, m, m);
  }
  let r = a + b + c + d;
  y[at.x] = r.x + r.y + r.z + r.w;
}`;

/** A thread copies 16 bytes; 256 threads a workgroup. */
const copyKernel = `
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = (group.y * groups.x + group.x) * 256u + thread;
  if (i < arrayLength(&y)) { y[i] = x[i]; }
}`;

/** c = a b for square matrices whose side is a multiple of 64: tiles of 64 x 64, 4 x 4 a thread. */
const gemmKernel = `
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let quads = groups.x * 16u;
  let tx = thread % 16u;
  let ty = thread / 16u;
  var r0 = vec4<f32>();
  var r1 = vec4<f32>();
  var r2 = vec4<f32>();
  var r3 = vec4<f32>();
  for (var k = 0u; k < quads * 4u; k += 16u) {
    tile_a[thread] = a[(group.y * 64u + thread / 4u) * quads + k / 4u + thread % 4u];
    tile_b[thread] = b[(k + ty) * quads + group.x * 16u + tx];
    workgroupBarrier();
    for (var j = 0u; j < 4u; j++) {
      let a0 = tile_a[(ty * 4u) * 4u + j];
      let a1 = tile_a[(ty * 4u + 1u) * 4u + j];
      let a2 = tile_a[(ty * 4u + 2u) * 4u + j];
      let a3 = tile_a[(ty * 4u + 3u) * 4u + j];
      for (var l = 0u; l < 4u; l++) {
        let q = tile_b[(j * 4u + l) * 16u + tx];
        r0 = fma(vec4<f32>(a0[l]), q, r0);
        r1 = fma(vec4<f32>(a1[l]), q, r1);
        r2 = fma(vec4<f32>(a2[l]), q, r2);
        r3 = fma(vec4<f32>(a3[l]), q, r3);
      }
    }
    workgroupBarrier();
  }
  let at = (group.y * 64u + ty * 4u) * quads + group.x * 16u + tx;
  c[at] = r0;
  c[at + quads] = r1;
  c[at + 2u * quads] = r2;
  c[at + 3u * quads] = r3;
}`;
