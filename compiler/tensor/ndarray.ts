/**
 * Arrays of the float64 interpreter: a shape and row-major float64 data.
 *
 * Owns index arithmetic (strides, broadcasting, iteration) that the kernels share. Written for being right and readable;
 * the only concession to speed is that elementwise ops on equal shapes skip the index arithmetic. i32 values are kept in
 * the same arrays: every i32 is a float64. Nothing here changes an array after it has been returned.
 */
import { IrError } from "./ir.js";

/** A row-major array. A stacked value carries its stack as leading axes. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}

/** An array of zeros. */
export function zeros(shape: readonly number[]): NdArray {
  return { shape, data: new Float64Array(sizeOf(shape)) };
}

/** An array from a list of numbers in row-major order. @throws IrError where the number of elements is wrong. */
export function ndarray(shape: readonly number[], values: ArrayLike<number>): NdArray {
  if (values.length !== sizeOf(shape)) throw new IrError(`Shape [${shape.join(", ")}] has ${sizeOf(shape)} elements, got ${values.length}.`);
  return { shape, data: Float64Array.from(values) };
}

/** The array whose element i is f(i). */
export function generate(shape: readonly number[], f: (index: number) => number): NdArray {
  const out = zeros(shape);
  for (let i = 0; i < out.data.length; i++) out.data[i] = f(i);
  return out;
}

/** Row-major strides. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * (shape[i + 1] ?? 1);
  return strides;
}

/** Broadcast of two shapes, aligned from the right; operands are known to fit. */
export function joinShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    return x === 1 ? y : x;
  });
}

/** f over corresponding elements, shapes broadcast. */
export function zip(a: NdArray, b: NdArray, f: (x: number, y: number) => number): NdArray {
  const shape = joinShapes(a.shape, b.shape);
  const left = broadcastTo(a, shape).data;
  const right = broadcastTo(b, shape).data;
  return generate(shape, (i) => f(left[i] ?? NaN, right[i] ?? NaN));
}

/** f over the elements. */
export function map(a: NdArray, f: (x: number) => number): NdArray {
  return generate(a.shape, (i) => f(a.data[i] ?? NaN));
}

/** The array repeated to a shape; the array itself where it has that shape. */
export function broadcastTo(a: NdArray, shape: readonly number[]): NdArray {
  if (a.shape.length === shape.length && a.shape.every((d, i) => d === shape[i])) return a;
  const own = stridesOf(a.shape);
  const offset = shape.length - a.shape.length;
  const strides = shape.map((_, i) => (i < offset || a.shape[i - offset] === 1 ? 0 : (own[i - offset] ?? 0)));
  return gather(a, shape, strides, 0);
}

/** Reads `a` through strides: element (i, j, ...) of the result is a.data[base + i*s0 + j*s1 + ...]. */
export function gather(a: NdArray, shape: readonly number[], strides: readonly number[], base: number): NdArray {
  const out = zeros(shape);
  eachOffset(shape, strides, base, (offset, i) => {
    out.data[i] = a.data[offset] ?? NaN;
  });
  return out;
}

/** Visits all positions of a shape in row-major order with their offset under `strides`. */
export function eachOffset(shape: readonly number[], strides: readonly number[], base: number, visit: (offset: number, i: number) => void): void {
  const n = sizeOf(shape);
  const index = shape.map(() => 0);
  let offset = base;
  for (let i = 0; i < n; i++) {
    visit(offset, i);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] ?? 0) + 1;
      offset += strides[axis] ?? 0;
      if (next < (shape[axis] ?? 0)) {
        index[axis] = next;
        break;
      }
      index[axis] = 0;
      offset -= next * (strides[axis] ?? 0);
    }
  }
}

/** The array as [outer, size of axis, inner]. */
export function around(shape: readonly number[], axis: number): { outer: number; size: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), size: shape[axis] ?? 1, inner: sizeOf(shape.slice(axis + 1)) };
}

/** Element `index` of the first axis. */
export function elementAt(a: NdArray, index: number): NdArray {
  const shape = a.shape.slice(1);
  const n = sizeOf(shape);
  return { shape, data: a.data.slice(index * n, (index + 1) * n) };
}

/** Arrays of one shape as one array with a new first axis; `inner` is the shape where the list is empty. */
export function stackArrays(parts: readonly NdArray[], inner: readonly number[]): NdArray {
  const out = zeros([parts.length, ...inner]);
  parts.forEach((p, i) => out.data.set(p.data, i * sizeOf(inner)));
  return out;
}
