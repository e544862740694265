/**
 * TensorFlow.js as far as jepac uses it: the types of tensors and functions, declared here.
 *
 * Types only, and none of them from tfjs: its own declarations do not compile without `skipLibCheck`, and whoever imports
 * jepac's types would inherit that. A test (test/runtime/backends/api.test.ts) holds the real package to this table, so
 * a function that tfjs lacks or spells otherwise does not get past the type checker. Shapes are mutable arrays, as there.
 */

/** Element types in use. */
export type DataType = "float32" | "int32" | "bool";

/** The numbers of a tensor, as typed arrays. */
export type Numbers = Float32Array | Int32Array | Uint8Array;

/** A float32 or int32 tensor of any rank. @hidden TensorFlow.js's own pages document its members. */
export interface Tensor extends TensorOf<Tensor> {}

/** The TensorFlow.js API object, whichever engine stands behind it. @hidden TensorFlow.js's own pages document its members. */
export interface Tf extends TfOf<Tensor> {
  /** Runs `make` and frees the tensors that it made, except those in its result. */
  tidy<R>(make: () => R): R;
}

/** A tensor, where `T` is what tensors are: {@link Tensor}, or tfjs's own class when the table is held against it. */
export interface TensorOf<T> {
  readonly id: number;
  readonly dataId: object;
  readonly shape: number[];
  readonly dtype: string;
  readonly size: number;
  readonly rank: number;
  readonly isDisposed: boolean;
  data(): Promise<Numbers>;
  dataSync(): Numbers;
  dispose(): void;
  clone(): T;
  abs(): T;
  add(other: T | number): T;
  as1D(): T;
  as2D(rows: number, columns: number): T;
  cast(dtype: DataType): T;
  clipByValue(low: number, high: number): T;
  concat(others: T | T[], axis?: number): T;
  div(other: T | number): T;
  erf(): T;
  exp(): T;
  expandDims(axis?: number): T;
  floor(): T;
  greater(other: T | number): T;
  log(): T;
  matMul(other: T, transposeA?: boolean, transposeB?: boolean): T;
  max(axes?: number | number[], keepDims?: boolean): T;
  maximum(other: T | number): T;
  mean(axes?: number | number[], keepDims?: boolean): T;
  min(axes?: number | number[], keepDims?: boolean): T;
  minimum(other: T | number): T;
  mul(other: T | number): T;
  neg(): T;
  notEqual(other: T | number): T;
  reshape(shape: number[]): T;
  rsqrt(): T;
  slice(begin: number | number[], size?: number | number[]): T;
  softmax(axis?: number): T;
  sqrt(): T;
  square(): T;
  sub(other: T | number): T;
  sum(axes?: number | number[], keepDims?: boolean): T;
  tile(repeats: number[]): T;
  transpose(order?: number[]): T;
}

/** The API object, where `T` is what tensors are. */
export interface TfOf<T> {
  readonly version: { readonly tfjs: string };
  /** The class of all tensors, for `instanceof`. */
  readonly Tensor: abstract new (...args: never) => T;
  readonly fused: { matMul(args: { a: T; b: T; bias?: T }): T };
  backend(): object;
  setBackend(name: string): Promise<boolean>;
  getBackend(): string;
  ready(): Promise<void>;
  env(): { getAsync(flag: string): Promise<unknown> };
  engine(): { makeTensorFromTensorInfo(info: { dataId: object; shape: number[]; dtype: DataType }): T };
  memory(): { numTensors: number; numBytes: number };
  keep(tensor: T): T;
  tensor(values: Numbers | number[] | number[][], shape?: number[], dtype?: DataType): T;
  tensor1d(values: Numbers | number[], dtype?: DataType): T;
  tensor2d(values: Numbers | number[] | number[][], shape?: [number, number], dtype?: DataType): T;
  scalar(value: number, dtype?: DataType): T;
  fill(shape: number[], value: number, dtype?: DataType): T;
  ones(shape: number[], dtype?: DataType): T;
  zeros(shape: number[], dtype?: DataType): T;
  onesLike(x: T): T;
  zerosLike(x: T): T;
  range(start: number, stop: number, step?: number, dtype?: "float32" | "int32"): T;
  oneHot(indices: T, depth: number): T;
  abs(x: T): T;
  add(a: T | number, b: T | number): T;
  addN(list: T[]): T;
  broadcastTo(x: T, shape: number[]): T;
  cast(x: T, dtype: DataType): T;
  clone(x: T): T;
  concat(list: T[], axis?: number): T;
  cos(x: T): T;
  div(a: T | number, b: T | number): T;
  erf(x: T): T;
  exp(x: T): T;
  gather(x: T, indices: T, axis?: number): T;
  greater(a: T | number, b: T | number): T;
  less(a: T | number, b: T | number): T;
  log(x: T): T;
  logSoftmax(x: T, axis?: number): T;
  logSumExp(x: T, axes?: number | number[], keepDims?: boolean): T;
  logicalAnd(a: T, b: T): T;
  matMul(a: T, b: T, transposeA?: boolean, transposeB?: boolean): T;
  max(x: T, axes?: number | number[], keepDims?: boolean): T;
  maximum(a: T | number, b: T | number): T;
  mean(x: T, axes?: number | number[], keepDims?: boolean): T;
  minimum(a: T | number, b: T | number): T;
  mul(a: T | number, b: T | number): T;
  neg(x: T): T;
  norm(x: T): T;
  pad(x: T, paddings: [number, number][]): T;
  reciprocal(x: T): T;
  relu(x: T): T;
  reshape(x: T, shape: number[]): T;
  rsqrt(x: T): T;
  scatterND(indices: T, updates: T, shape: number[]): T;
  sigmoid(x: T): T;
  sign(x: T): T;
  sin(x: T): T;
  slice(x: T, begin: number | number[], size?: number | number[]): T;
  softmax(x: T, axis?: number): T;
  split(x: T, sizes: number | number[], axis?: number): T[];
  sqrt(x: T): T;
  square(x: T): T;
  squaredDifference(a: T | number, b: T | number): T;
  sub(a: T | number, b: T | number): T;
  sum(x: T, axes?: number | number[], keepDims?: boolean): T;
  tanh(x: T): T;
  tile(x: T, repeats: number[]): T;
  transpose(x: T, order?: number[]): T;
  where(condition: T, a: T, b: T): T;
}
