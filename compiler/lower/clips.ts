/**
 * Lowering of what has an axis of time: clips cut into tokens, and ops between the tokens of each moment.
 *
 * Tensor ops know images in a batch; a clip `[B, T, …]` is as many images as it has moments, so that the axis is folded into
 * the batch where an op keeps moments apart, and into the features where one choice of tokens holds for all of them. Owns these
 * two foldings, and the order of numbers within a tube: frame, row, column, channel, slowest first.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import type { Dim } from "../types/dim.js";
import { constantDim, divide, mul, product } from "../types/dim.js";

function sizesOf(b: FuncBuilder, x: ValueId, axes: number): readonly [Dim, Dim, ...Dim[]] {
  const [rows, moments, ...rest] = b.shapeOf(x);
  if (rows === undefined || moments === undefined || rest.length + 2 !== axes) throw new Error(`a clip with ${axes} axes has ${b.shapeOf(x).length}`);
  return [rows, moments, ...rest];
}

/** `[B, T, …]` as `[B T, …]`: each moment for itself. */
export function momentsApart(b: FuncBuilder, x: ValueId): ValueId {
  const [rows, moments, ...rest] = sizesOf(b, x, b.shapeOf(x).length);
  return b.op("reshape", [x], { shape: [mul(rows, moments), ...rest] });
}

/** Patches of every frame, `[B, T, tokens, features]`. */
export function framePatches(b: FuncBuilder, clip: ValueId, patch: readonly number[]): ValueId {
  const [rows, moments] = sizesOf(b, clip, 5);
  const flat = b.op("patchify", [momentsApart(b, clip)], { patch });
  return b.op("reshape", [flat], { shape: [rows, moments, ...b.shapeOf(flat).slice(1)] });
}

/** Tubes of so many frames, `[B, T / frames · tokens of a frame, frames · features of a patch]`. */
export function tubeTokens(b: FuncBuilder, clip: ValueId, patch: readonly number[], frames: number): ValueId {
  const [rows, moments] = sizesOf(b, clip, 5);
  const flat = b.op("patchify", [momentsApart(b, clip)], { patch });
  const [, places = constantDim(1), features = constantDim(1)] = b.shapeOf(flat);
  const depth = constantDim(frames);
  const along = divide(moments, depth);
  if (along === undefined) throw new Error(`tubes of ${frames} frames do not tile a clip`);
  const tubes = b.op("reshape", [flat], { shape: [mul(rows, along), depth, places, features] });
  return b.op("reshape", [b.op("transpose", [tubes], { perm: [0, 2, 1, 3] })], { shape: [rows, mul(along, places), mul(depth, features)] });
}

/** Tokens of every moment at the positions of a mask: rows of an image are picked once, with all moments side by side. */
export function pickMoments(b: FuncBuilder, x: ValueId, index: ValueId, copies: number): ValueId {
  const [rows, moments, tokens = constantDim(1), features = constantDim(1)] = sizesOf(b, x, 4);
  const beside = b.op("reshape", [b.op("transpose", [x], { perm: [0, 2, 1, 3] })], { shape: [rows, tokens, mul(moments, features)] });
  const picked = b.op("gather_rows", [beside, index], { copies });
  const [sets = rows, length = tokens] = b.shapeOf(picked);
  return b.op("transpose", [b.op("reshape", [picked], { shape: [sets, length, moments, features] })], { perm: [0, 2, 1, 3] });
}

/** Attention between the tokens of each moment. */
export function attendMoments(b: FuncBuilder, qkv: readonly ValueId[], heads: number): ValueId | undefined {
  const [q] = qkv;
  if (q === undefined) return undefined;
  const [out] = b.multi("sdpa", qkv.map((x) => momentsApart(b, x)), { heads });
  return out === undefined ? undefined : b.op("reshape", [out], { shape: b.shapeOf(q) });
}

/** Rows looked up for each image, `[B, K, D]`, as one that all of its moments share. */
export function forAllMoments(b: FuncBuilder, rows: ValueId): ValueId {
  const [images = constantDim(1), ...rest] = b.shapeOf(rows);
  return b.op("reshape", [rows], { shape: [images, constantDim(1), ...rest] });
}

/** Rows of a table that each moment has for itself, `[T, N, D]`, looked up for each image: `[B, T, K, D]`. */
export function pickForMoments(b: FuncBuilder, table: ValueId, index: ValueId): ValueId {
  const [moments = constantDim(1), places = constantDim(1), width = constantDim(1)] = b.shapeOf(table);
  const beside = b.op("reshape", [b.op("transpose", [table], { perm: [1, 0, 2] })], { shape: [places, mul(moments, width)] });
  const picked = b.op("gather_table", [beside, index]);
  const [images = constantDim(1), length = constantDim(1)] = b.shapeOf(picked);
  return b.op("transpose", [b.op("reshape", [picked], { shape: [images, length, moments, width] })], { perm: [0, 2, 1, 3] });
}

/** What an encoder gives of a clip as rows of tokens: `[B, T, tokens, D]` and `[B, T, D]` as `[B, n, D]`, in the order frame, row, column. */
export function tokensOfClip(b: FuncBuilder, x: ValueId): ValueId {
  const [rows, ...rest] = b.shapeOf(x);
  const width = rest.at(-1);
  if (rows === undefined || width === undefined) throw new Error("an encoder gives features");
  return b.op("reshape", [x], { shape: [rows, product(rest.slice(0, -1)), width] });
}
