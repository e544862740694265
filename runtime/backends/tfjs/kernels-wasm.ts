/**
 * The kernels on the wasm engine: two-dimensional products by tfjs (XNNPACK), the rest by SIMD kernels on the same heap.
 *
 * XNNPACK's product is good only for two dims with nothing transposed, so transposed operands are transposed first (into
 * scratch) by a kernel that does it in a millisecond. Attention never splits heads: its products address each head inside
 * [B, N, 3D] by strides. Everything reaches the heap through two documented methods of the backend, `makeOutput` and
 * `getMemoryOffset`, and its exported memory; where one is missing, or SIMD is, the plain kernels serve.
 */
import type { Kernels, Queries } from "./kernels.js";
import { asMatrix } from "./kernels-plain.js";
import { simdKernels } from "./wasm-simd.js";
import type { SimdKernels } from "./wasm-simd.js";
import type { DataType } from "./api.js";
import type { Tensor, Tf } from "./tf.js";

type TensorInfo = { dataId: object; shape: number[]; dtype: DataType };

/** What the kernels need of the wasm backend. */
type Backend = {
  readonly wasm: { readonly asm: { readonly memory: WebAssembly.Memory } };
  makeOutput(shape: number[], dtype: "float32"): TensorInfo;
  getMemoryOffset(dataId: object): number;
};

/** The heap, its kernels, and tensors on it. */
export type Heap = {
  readonly simd: SimdKernels;
  /** A new tensor, its contents undefined. */
  make(shape: readonly number[]): Tensor;
  /** The same, out of reach of an enclosing tidy. */
  makeKept(shape: readonly number[]): Tensor;
  /** Byte address of a tensor's data: good until the tensor is disposed, even if the memory grows. */
  at(x: Tensor): number;
  /** The values of a tensor, in place: good until the next allocation. */
  values(x: Tensor): Float32Array;
  /** `count` values at an address: good until the next allocation. */
  floats(at: number, count: number): Float32Array;
  ints(x: Tensor): Int32Array;
};

const heaps = new WeakMap<object, Heap>();

/** The heap of a wasm engine with SIMD; nothing on any other. */
export function wasmHeap(tf: Tf): Heap | undefined {
  const backend: unknown = tf.backend();
  if (!isWasm(backend)) return undefined;
  const known = heaps.get(backend);
  if (known !== undefined) return known;
  const { memory } = backend.wasm.asm;
  const simd = simdKernels(memory);
  if (simd === undefined) return undefined;
  const make = (shape: readonly number[]): Tensor => tf.engine().makeTensorFromTensorInfo(backend.makeOutput([...shape], "float32"));
  const heap: Heap = {
    simd, make,
    makeKept: (shape) => tf.keep(make(shape)),
    at: (x) => backend.getMemoryOffset(x.dataId),
    values: (x) => new Float32Array(memory.buffer, backend.getMemoryOffset(x.dataId), x.size),
    floats: (at, count) => new Float32Array(memory.buffer, at, count),
    ints: (x) => new Int32Array(memory.buffer, backend.getMemoryOffset(x.dataId), x.size),
  };
  heaps.set(backend, heap);
  return heap;
}

function isWasm(value: unknown): value is Backend {
  if (typeof value !== "object" || value === null || !("makeOutput" in value) || !("getMemoryOffset" in value) || !("wasm" in value)) return false;
  const { wasm } = value;
  if (typeof wasm !== "object" || wasm === null || !("asm" in wasm)) return false;
  const { asm } = wasm;
  return typeof asm === "object" && asm !== null && "memory" in asm && asm.memory instanceof WebAssembly.Memory;
}

/** The kernels of the wasm engine, or nothing where its heap is out of reach. */
export function wasmKernels(tf: Tf, plain: Kernels): Kernels | undefined {
  const heap = wasmHeap(tf);
  if (heap === undefined) return undefined;
  return { ...plain, ...products(tf, heap, plain), ...pointwise(heap), ...rows(heap, plain), ...picking(heap, plain), ...attention(heap, plain) };
}

function transposed(heap: Heap, x: Tensor): Tensor {
  const [count, width] = asMatrix(x);
  const out = heap.make([width, count]);
  heap.simd.transpose(heap.at(x), 4 * width, heap.at(out), 4 * count, count, width);
  return out;
}

function products(tf: Tf, heap: Heap, plain: Kernels) {
  const matrix = (x: Tensor): Tensor => x.reshape(asMatrix(x));
  const flatProduct = (x: Tensor, w: Tensor, b?: Tensor): Tensor => {
    const wide = matrix(x);
    const product: Tensor = b === undefined ? tf.matMul(wide, w) : tf.fused.matMul({ a: wide.as2D(...asMatrix(x)), b: w.as2D(...asMatrix(w)), bias: b });
    wide.dispose();
    if (x.rank === 2) return product;
    const out = product.reshape([...x.shape.slice(0, -1), product.shape[1] ?? 0]);
    product.dispose();
    return out;
  };
  const linear: Kernels["linear"] = (x, w, b) => tf.tidy(() => {
    if (x.rank !== 1 || b === undefined) return flatProduct(x, w, b);
    // The backend takes as a bias only what was made with one axis: a reshaped product is not, a sum is.
    return tf.add(flatProduct(x, w), b);
  });
  const linearGradInput: Kernels["linearGradInput"] = (dy, w) => {
    const turned = transposed(heap, w);
    const dx = flatProduct(dy, turned);
    turned.dispose();
    return dx;
  };
  const linearGradWeight: Kernels["linearGradWeight"] = (x, dy) => {
    const turned = transposed(heap, x);
    const right = matrix(dy);
    const dw: Tensor = tf.matMul(turned, right);
    plain.free(turned, right);
    return dw;
  };
  const sumLeading: Kernels["sumLeading"] = (dy) => {
    const [count, width] = asMatrix(dy);
    const out = heap.make([width]);
    heap.values(out).fill(0);
    const [from, to] = [heap.at(dy), heap.at(out)];
    for (let row = 0; row < count; row++) heap.simd.accumulate(from + 4 * row * width, to, width);
    return out;
  };
  const matmul: Kernels["matmul"] = (a, b, ta = false, tb = false) => {
    if (b.rank === 2 && (a.rank === 2 || !ta)) {
      if (ta && tb) return tf.tidy(() => tf.matMul(transposed(heap, a), transposed(heap, b)));
      if (ta) return linearGradWeight(a, b);
      return tb ? linearGradInput(a, b) : flatProduct(a, b);
    }
    return sameBatch(a, b) ? batched(heap, a, b, ta, tb) : plain.matmul(a, b, ta, tb);
  };
  return { linear, linearGradInput, linearGradWeight, sumLeading, matmul };
}

function sameBatch(a: Tensor, b: Tensor): boolean {
  return a.rank === b.rank && a.shape.slice(0, -2).every((size, axis) => size === b.shape[axis]);
}

function batched(heap: Heap, a: Tensor, b: Tensor, ta: boolean, tb: boolean): Tensor {
  const [aRows = 0, aColumns = 0] = a.shape.slice(-2);
  const [bRows = 0, bColumns = 0] = b.shape.slice(-2);
  const [m, k] = ta ? [aColumns, aRows] : [aRows, aColumns];
  const n = tb ? bRows : bColumns;
  const out = heap.make([...a.shape.slice(0, -2), m, n]);
  const turned = tb ? heap.make([k, n]) : undefined;
  const count = m === 0 || k === 0 ? 0 : a.size / (m * k);
  for (let i = 0; i < count; i++) {
    const from = heap.at(b) + 4 * i * bRows * bColumns;
    if (turned !== undefined) heap.simd.transpose(from, 4 * k, heap.at(turned), 4 * n, n, k);
    heap.simd.gemm(heap.at(a) + 4 * i * m * k, ta ? 4 : 4 * k, ta ? 4 * m : 4,
      turned === undefined ? from : heap.at(turned), 4 * n, heap.at(out) + 4 * i * m * n, 4 * n, m, n, k, 1);
  }
  turned?.dispose();
  return out;
}

function pointwise(heap: Heap) {
  const gelu: Kernels["gelu"] = (x) => {
    const y = heap.make(x.shape);
    heap.simd.gelu(heap.at(x), heap.at(y), x.size);
    return y;
  };
  const geluPair: Kernels["geluPair"] = (x) => {
    const y = heap.make(x.shape);
    const slope = heap.make(x.shape);
    heap.simd.geluPair(heap.at(x), heap.at(y), heap.at(slope), x.size);
    return [y, slope];
  };
  const geluGrad: Kernels["geluGrad"] = (x, dy) => {
    const [y, slope] = geluPair(x);
    y.dispose();
    const dx = slope.mul(dy);
    slope.dispose();
    return dx;
  };
  return { gelu, geluPair, geluGrad };
}

function rows(heap: Heap, plain: Kernels) {
  const { simd, at } = heap;
  const normalize: Kernels["normalize"] = (x, eps) => {
    const [count, width] = asMatrix(x);
    const y = heap.make(x.shape);
    const rstd = heap.make([...x.shape.slice(0, -1), 1]);
    simd.normalize(at(x), at(y), at(rstd), count, width, eps);
    return [y, rstd];
  };
  const layerNorm: Kernels["layerNorm"] = (x, scale, offset, eps) => {
    const [y, rstd] = normalize(x, eps);
    return [plain.affine(y, scale, offset), y, rstd];
  };
  const sumLeading: Kernels["sumLeading"] = (dy) => {
    const [count, width] = asMatrix(dy);
    const out = heap.make([width]);
    heap.values(out).fill(0);
    for (let row = 0; row < count; row++) simd.accumulate(at(dy) + 4 * row * width, at(out), width);
    return out;
  };
  return {
    normalize, layerNorm,
    softmaxGrad: (y: Tensor, dy: Tensor): Tensor => {
      const dx = heap.make(y.shape);
      simd.softmaxGrad(at(y), at(dy), at(dx), ...asMatrix(y), 1);
      return dx;
    },
    normalizeGrad: (y: Tensor, rstd: Tensor, dy: Tensor): Tensor => {
      const dx = heap.make(y.shape);
      simd.normalizeGrad(at(y), at(rstd), at(dy), at(dx), ...asMatrix(y));
      return dx;
    },
    layerNormGrad: (y: Tensor, rstd: Tensor, scale: Tensor, dout: Tensor): [Tensor, Tensor, Tensor] => {
      const dx = heap.make(y.shape);
      simd.layerNormGrad(at(y), at(rstd), at(scale), at(dout), at(dx), ...asMatrix(y));
      const product = dout.mul(y);
      const dscale = sumLeading(product);
      product.dispose();
      return [dx, dscale, sumLeading(dout)];
    },
    layerNormOnly: (x: Tensor, scale: Tensor, offset: Tensor, eps: number): Tensor => {
      const [y, rstd] = normalize(x, eps);
      const out = plain.affine(y, scale, offset);
      plain.free(y, rstd);
      return out;
    },
    sumTo: (x: Tensor, shape: readonly number[]): Tensor =>
      shape.length === 1 && shape[0] === x.shape.at(-1) && x.rank > 1 ? sumLeading(x) : plain.sumTo(x, shape),
  };
}

function picking(heap: Heap, plain: Kernels) {
  const inside = (token: number, tokens: number): number => {
    if (token < 0 || token >= tokens) throw new Error(`index ${token} is outside 0..${tokens - 1}`);
    return token;
  };
  const gatherRows: Kernels["gatherRows"] = (x, index, copies) => {
    const [count = 0, kept = 0] = index.shape;
    const [, tokens = 0, width = 0] = x.shape;
    const out = heap.make([count, kept, width]);
    const [from, to, which, batch] = [heap.values(x), heap.values(out), heap.ints(index), count / copies];
    for (let i = 0; i < count * kept; i++) {
      const row = (Math.floor(i / kept) % batch) * tokens + inside(which[i] ?? -1, tokens);
      to.set(from.subarray(row * width, (row + 1) * width), i * width);
    }
    return out;
  };
  const scatterRows: Kernels["scatterRows"] = (dy, index, batch, tokens) => {
    const [count = 0, kept = 0] = index.shape;
    const width = dy.shape.at(-1) ?? 0;
    const out = heap.make([batch, tokens, width]);
    heap.values(out).fill(0);
    const [which, from, to] = [heap.ints(index), heap.at(dy), heap.at(out)];
    for (let i = 0; i < count * kept; i++) {
      const row = (Math.floor(i / kept) % batch) * tokens + inside(which[i] ?? -1, tokens);
      heap.simd.accumulate(from + 4 * i * width, to + 4 * row * width, width);
    }
    return out;
  };
  const sumTiles: Kernels["sumTiles"] = (dy, copies) => {
    const [count = 0, ...rest] = dy.shape;
    const out = heap.make([count / copies, ...rest]);
    const size = dy.size / copies;
    heap.values(out).set(heap.values(dy).subarray(0, size));
    for (let copy = 1; copy < copies; copy++) heap.simd.accumulate(heap.at(dy) + 4 * copy * size, heap.at(out), size);
    return out;
  };
  const tileBatch: Kernels["tileBatch"] = (x, copies) => {
    const out = heap.make([copies * (x.shape[0] ?? 1), ...x.shape.slice(1)]);
    const [from, to] = [heap.values(x), heap.values(out)];
    for (let copy = 0; copy < copies; copy++) to.set(from, copy * x.size);
    return out;
  };
  const broadcastRows: Kernels["broadcastRows"] = (v, count, tokens) => {
    const out = heap.make([count, tokens, v.size]);
    const [from, to] = [heap.values(v), heap.values(out)];
    for (let row = 0; row < count * tokens; row++) to.set(from, row * v.size);
    return out;
  };
  const asOneImage = (x: Tensor): number[] => [1, ...x.shape];
  return {
    gatherRows, scatterRows, sumTiles, tileBatch, broadcastRows,
    gatherTable: (x: Tensor, index: Tensor): Tensor => {
      const image = x.reshape(asOneImage(x));
      const out = gatherRows(image, index, index.shape[0] ?? 1);
      image.dispose();
      return out;
    },
    scatterTable: (dy: Tensor, index: Tensor, tokens: number): Tensor => {
      const sums = scatterRows(dy, index, 1, tokens);
      const out = plain.reshape(sums, sums.shape.slice(1));
      sums.dispose();
      return out;
    },
  };
}

type HeadShape = { readonly batch: number; readonly tokens: number; readonly heads: number; readonly size: number; readonly queries: Queries };

/** Calls `work` for every image and head with the byte offsets of its first row of qkv (k and v lie D and 2D columns on), first query, out and p. */
function eachHead({ batch, tokens, heads, size, queries }: HeadShape, work: (qkv: number, query: number, out: number, p: number) => void): void {
  const width = heads * size;
  for (let image = 0; image < batch; image++) {
    for (let head = 0; head < heads; head++) {
      const [rows, column] = [image * tokens, head * size];
      const out = 4 * (image * queries.count * width + column);
      work(4 * (rows * 3 * width + column), 4 * ((rows + queries.first) * 3 * width + column), out, 4 * (image * heads + head) * queries.count * tokens);
    }
  }
}

/** Puts zeros where a row that did not attend has its gradient by q. */
function clearOthers(grad: Float32Array, { batch, tokens, heads, size, queries }: HeadShape): void {
  const width = heads * size;
  for (let row = 0; row < batch * tokens; row++) {
    const asked = (row % tokens) - queries.first;
    if (asked < 0 || asked >= queries.count) grad.fill(0, row * 3 * width, row * 3 * width + width);
  }
}

function attention(heap: Heap, plain: Kernels) {
  const { simd, at } = heap;
  const attention: Kernels["attention"] = (qkv, heads, scale, asked) => {
    const [batch = 0, tokens = 0, triple = 0] = qkv.shape;
    const width = triple / 3;
    const size = width / heads;
    const queries = asked ?? { first: 0, count: tokens };
    const { count } = queries;
    const out = heap.make([batch, count, width]);
    const p = heap.make([batch, heads, count, tokens]);
    const turned = heap.make([size, tokens]);
    const [from, to, scores, scratch] = [at(qkv), at(out), at(p), at(turned)];
    eachHead({ batch, tokens, heads, size, queries }, (qkvAt, queryAt, outAt, pAt) => {
      simd.transpose(from + qkvAt + 4 * width, 4 * triple, scratch, 4 * tokens, tokens, size);
      simd.gemm(from + queryAt, 4 * triple, 4, scratch, 4 * tokens, scores + pAt, 4 * tokens, count, tokens, size, scale);
      simd.softmax(scores + pAt, scores + pAt, count, tokens);
      simd.gemm(scores + pAt, 4 * tokens, 4, from + qkvAt + 8 * width, 4 * triple, to + outAt, 4 * width, count, size, tokens, 1);
    });
    turned.dispose();
    return [out, [qkv.clone(), p]];
  };
  const attentionGrad: Kernels["attentionGrad"] = (saved, dout, scale, first = 0) => {
    const [qkv, p] = saved;
    if (qkv === undefined || p === undefined) throw new Error("attentionGrad: not what attention saved");
    const [batch = 0, heads = 0, count = 0, tokens = 0] = p.shape;
    const width = dout.shape[2] ?? 0;
    const size = width / heads;
    const grad = heap.make(qkv.shape);
    const turned = heap.make([size, tokens]);
    const ds = heap.make([count, tokens]);
    const shape = { batch, tokens, heads, size, queries: { first, count } };
    if (count < tokens) clearOthers(heap.values(grad), shape);
    const [from, to, weights, above, scratch, scores] = [at(qkv), at(grad), at(p), at(dout), at(turned), at(ds)];
    const [line, wide, long] = [4 * tokens, 4 * width, 12 * width];
    eachHead(shape, (qkvAt, queryAt, outAt, pAt) => {
      simd.gemm(weights + pAt, 4, line, above + outAt, wide, to + qkvAt + 2 * wide, long, tokens, size, count, 1);
      simd.transpose(from + qkvAt + 2 * wide, long, scratch, line, tokens, size);
      simd.gemm(above + outAt, wide, 4, scratch, line, scores, line, count, tokens, size, 1);
      simd.softmaxGrad(weights + pAt, scores, scores, count, tokens, scale);
      simd.gemm(scores, line, 4, from + qkvAt + wide, long, to + queryAt, long, count, size, tokens, 1);
      simd.gemm(scores, 4, line, from + queryAt, long, to + qkvAt + wide, long, tokens, size, count, 1);
    });
    plain.free(turned, ds);
    return grad;
  };
  return {
    attention, attentionGrad,
    attentionOnly: (qkv: Tensor, heads: number, scale: number, queries?: Queries): Tensor => {
      const [out, saved] = attention(qkv, heads, scale, queries);
      plain.free(saved);
      return out;
    },
    ...separateHeads(heap, plain),
  };
}

/** The form with q, k and v apart, for cross-attention and for authors who split heads themselves. */
function separateHeads(heap: Heap, plain: Kernels) {
  const { simd, at } = heap;
  const sdpa: Kernels["sdpa"] = (q, k, v, scale) => {
    const scores = batched(heap, q, k, false, true);
    const scaled = plain.mul(scores, scale);
    scores.dispose();
    simd.softmax(at(scaled), at(scaled), ...asMatrix(scaled));
    return [batched(heap, scaled, v, false, false), scaled];
  };
  const sdpaGrad: Kernels["sdpaGrad"] = (q, k, v, p, dout, scale) => {
    const ds = batched(heap, dout, v, false, true);
    simd.softmaxGrad(at(p), at(ds), at(ds), ...asMatrix(p), scale);
    const grads: [Tensor, Tensor, Tensor] = [batched(heap, ds, k, false, false), batched(heap, ds, q, true, false), batched(heap, p, dout, true, false)];
    ds.dispose();
    return grads;
  };
  return { sdpa, sdpaGrad };
}
