/**
 * Rotary positions as tensor ops: every pair of a head's features turned by the angle of its token's place.
 *
 * Feature `i` of a head is paired with feature `i + half` (half of what is turned), as in GPT-NeoX and DINOv3: a turn of the
 * plane that both span, so the product of a turned query and a turned key depends on how far apart they sit, and on nothing
 * else of where. What does not divide stays as it is, behind. In terms of slices, products and a join, which the wgsl target
 * addresses through: a rotation is one kernel there.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { IrError } from "../tensor/ir.js";
import { constantDim, constantOf } from "../types/dim.js";

/**
 * `x` `[…, heads · head]` turned by `turns` `[…, 2 · pairs]`, cosines before sines: with `a` the first `pairs` features of a head
 * and `b` the next, `[a cos - b sin, a sin + b cos, rest]` (RoFormer, eq. 34). Axes of `turns` are the last ones of `x`.
 */
export function lowerRotate(b: FuncBuilder, x: ValueId, turns: ValueId, heads: number): ValueId {
  const shape = b.shapeOf(x);
  const own = b.shapeOf(turns);
  const width = constantOf(shape.at(-1) ?? constantDim(0)) ?? 0;
  const pairs = (constantOf(own.at(-1) ?? constantDim(0)) ?? 0) / 2;
  const head = width / heads;
  if (!Number.isInteger(head) || !Number.isInteger(pairs) || pairs < 1 || 2 * pairs > head) throw new IrError(`A rotation of ${2 * pairs} of ${head} features of a head.`);
  const split = b.op("reshape", [x], { shape: [...shape.slice(0, -1), constantDim(heads), constantDim(head)] });
  const angles = b.op("reshape", [turns], { shape: [...own.slice(0, -1), constantDim(1), constantDim(2 * pairs)] });
  const part = (of: ValueId, axis: number, start: number, size: number): ValueId => b.op("slice", [of], { axis, start: constantDim(start), size: constantDim(size) });
  const [last, ofTurns] = [shape.length, own.length];
  const [first, second] = [part(split, last, 0, pairs), part(split, last, pairs, pairs)];
  const [cos, sin] = [part(angles, ofTurns, 0, pairs), part(angles, ofTurns, pairs, pairs)];
  const turned = [
    b.op("sub", [b.op("mul", [first, cos]), b.op("mul", [second, sin])]),
    b.op("add", [b.op("mul", [first, sin]), b.op("mul", [second, cos])]),
  ];
  const rest = head > 2 * pairs ? [part(split, last, 2 * pairs, head - 2 * pairs)] : [];
  return b.op("reshape", [b.op("concat", [...turned, ...rest], { axis: last })], { shape });
}
