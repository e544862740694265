/**
 * What shape rules refuse, op by op: operands that are one size, one axis or one element type off, and attributes out of
 * range. Targets trust these rules and look at nothing again.
 */
import { expect, test } from "vitest";
import { emptyModule, funcOf, makeNode } from "../../../compiler/tensor/ir.js";
import type { PrimitiveName } from "../../../compiler/tensor/ops.js";
import { inferNode, printType } from "../../../compiler/tensor/shapes.js";
import { dim, dims } from "../../../compiler/types/dim.js";
import type { Operand } from "./support.js";
import { cases, operandType } from "./support.js";

const any = (...shape: number[]): Operand => ({ shape, domain: "any" });
const index = (...shape: number[]): Operand => ({ shape, domain: { below: 1 } });
const sequence = (stack: readonly number[], ...shape: number[]): Operand => ({ shape, stack, domain: "any" });

/** The op, its operands, a part of what is said; attributes are those of the op's first case, but for the ones given. */
const refusals: readonly (readonly [op: PrimitiveName, operands: readonly Operand[], said: string, attrs?: object])[] = [
  ["neg", [index(2)], "an f32 operand is needed, got i32[2]"],
  ["to_f32", [any(2)], "an i32 operand is needed, got f32[2]"],
  ["add", [any(2, 3), any(2)], "shapes do not broadcast: f32[2, 3] and f32[2]"],
  ["select", [any(2), any(3), any(2)], "shapes do not broadcast"],
  ["reshape", [any(2, 4)], "numbers of elements differ: 8 and 6"],
  ["transpose", [any(2, 3, 4)], "[0, 0, 1] is no permutation", { perm: [0, 0, 1] }],
  ["transpose", [any(2, 3)], "[2, 0, 1] is no permutation"],
  ["broadcast", [any(3, 1)], "f32[3, 1] does not broadcast to [4, 2, 3]"],
  ["broadcast", [any(4, 2, 3)], "does not broadcast to [2, 3]", { shape: dims([2, 3]) }],
  ["slice", [any(2, 2, 3)], "start 1, size 2 leaves axis 1"],
  ["slice", [any(2, 4, 3)], "start -1, size 2 leaves axis 1", { start: dim(-1) }],
  ["slice", [any(2, 4, 3)], "start 1, size -1 leaves axis 1", { size: dim(-1) }],
  ["pad", [any(2, 3, 2)], "padding is negative", { before: dim(-1) }],
  ["pad", [any(2, 3, 2)], "padding is negative", { after: dim(-1) }],
  ["concat", [any(2, 3), any(3, 1), any(2, 0)], "operands differ: f32[3, 1] and f32[2, 1]"],
  ["concat", [any(2, 3), index(2, 1)], "operands differ"],
  ["sum", [any(2, 3)], "axes must be increasing, got [1, 0]", { axes: [1, 0] }],
  ["mean", [any(2, 3)], "axes must be increasing, got [1, 1]", { axes: [1, 1] }],
  ["reduce_max", [any(2, 3)], "axis 2 is outside f32[2, 3]", { axes: [2] }],
  ["matmul", [any(2, 3), any(4, 4)], "inner sizes differ: 3 and 4"],
  ["matmul", [any(2, 3), any(3, 2)], "inner sizes differ: 3 and 2", { tb: true }],
  ["matmul", [any(2, 2, 3), any(3, 3, 4)], "leading axes differ"],
  ["matmul", [any(2, 3, 2), any(3, 4)], "does not go with a transposed batch", { ta: true }],
  ["matmul", [any(3), any(3, 4)], "matrices are needed"],
  ["linear", [any(2, 4), any(3, 5), any(5)], "inner sizes differ: 4 and 3"],
  ["linear", [any(2, 4), any(4, 5), any(6)], "sizes of weight and bias differ: 5 and 6"],
  ["linear", [any(2, 4), any(4, 5, 1), any(5)], "rank 2 is needed"],
  ["linear_grad_x", [any(2, 3, 5), any(4, 6)], "outer sizes differ: 5 and 6"],
  ["linear_grad_w", [any(2, 3, 4), any(2, 2, 5)], "leading axes differ"],
  ["scale_rows", [any(3, 4), any(4)], "operand `s` is f32[3], got f32[4]"],
  ["softmax_grad", [any(2, 3), any(3, 2)], "operands differ"],
  ["normalize_grad", [any(2, 4), any(2), any(2, 4)], "operand `rstd` is f32[2, 1], got f32[2]"],
  ["normalize_grad", [any(2, 4), any(2, 1), any(2, 3)], "operands differ"],
  ["layer_norm", [any(2, 4), any(3), any(4)], "scale or offset is f32[4], got f32[3]"],
  ["layer_norm", [any(2, 4), any(4), any(1)], "scale or offset is f32[4], got f32[1]"],
  ["layer_norm_grad", [any(2, 4), any(2, 4), any(4), any(2, 4)], "operand `rstd`"],
  ["layer_norm_grad", [any(2, 4), any(2, 1), any(2), any(2, 4)], "operand `scale`"],
  ["layer_norm_grad", [any(2, 4), any(2, 1), any(4), any(2, 5)], "operands differ"],
  ["feed_forward", [any(2, 3, 4), any(4, 5), any(5), any(6, 3), any(3)], "inner sizes differ: 5 and 6"],
  ["feed_forward_grad", [any(2, 3, 4), any(4, 5), any(5, 3), any(2, 3, 5), any(2, 3, 3)], "operand `memory` is f32[2, 3, 10], got f32[2, 3, 5]"],
  ["feed_forward_grad", [any(2, 3, 4), any(4, 5), any(5, 3), any(2, 3, 10), any(2, 3, 4)], "operand `dy` is f32[2, 3, 3], got f32[2, 3, 4]"],
  ["smooth_l1", [any(4, 5), any(5, 4)], "operands differ"],
  ["smooth_l1_grad", [any(4, 5), any(4, 5), any(4, 1)], "operands differ"],
  ["smooth_l1_mean", [any(4, 5), any(4, 1)], "operands differ"],
  ["attention", [any(2, 3, 11)], "width of qkv over three: 11 is not a multiple of 3"],
  ["attention", [any(2, 3, 9)], "width over heads: 3 is not a multiple of 2"],
  ["attention", [any(2, 3, 12)], "heads must be positive", { heads: 0 }],
  ["attention", [any(3, 12)], "rank 3 is needed"],
  ["attention_grad", [any(2, 2, 3, 9), any(2, 4, 4)], "rows differ: 3 and 4"],
  ["attention_grad", [any(2, 2, 3, 9), any(2, 3, 6)], "widths differ: 4 and 6"],
  ["attention_grad", [any(2, 2, 3, 10), any(2, 3, 4)], "what memory holds beside probabilities, over three: 7 is not a multiple of 3"],
  ["attention_rows", [any(2, 4, 12)], "start 3, size 2 leaves the rows", { start: dim(3) }],
  ["attention_rows_grad", [any(2, 2, 4, 8), any(2, 2, 6)], "widths differ: 4 and 6"],
  ["sdpa", [any(2, 3, 4), any(2, 5, 4), any(2, 6, 4)], "operands differ"],
  ["sdpa", [any(2, 3, 4), any(1, 5, 4), any(1, 5, 4)], "batches differ: 2 and 1"],
  ["sdpa", [any(2, 3, 4), any(2, 5, 6), any(2, 5, 6)], "widths differ: 4 and 6"],
  ["sdpa", [any(2, 3, 4), any(2, 5, 4), any(2, 5, 4)], "width over heads: 4 is not a multiple of 3", { heads: 3 }],
  ["sdpa_causal", [any(2, 3, 4), any(2, 5, 4), any(2, 5, 4)], "queries and keys", { heads: 2, block: 1 }],
  ["sdpa_causal", [any(2, 3, 4), any(2, 3, 4), any(2, 3, 4)], "a block must have rows", { heads: 2, block: 0 }],
  ["sdpa_grad", [any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 3, 5), any(2, 2, 3), any(2, 3, 4)], "operand `o`"],
  ["sdpa_grad", [any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 3, 2), any(2, 3, 4)], "operand `lse` is f32[2, 2, 3], got f32[2, 3, 2]"],
  ["sdpa_grad", [any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 3, 4), any(2, 2, 3), any(2, 4, 4)], "operand `do`"],
  ["gather_rows", [any(2, 4, 3), index(5, 3)], "rows of indices and copies of images differ: 5 and 4"],
  ["gather_rows", [any(2, 4, 3), any(4, 3)], "an i32 operand is needed"],
  ["gather_rows", [any(4, 3), index(4, 3)], "rank 3 is needed"],
  ["scatter_rows", [any(3, 3, 2), index(3, 3)], "rows over images: 3 is not a multiple of 2"],
  ["scatter_rows", [any(4, 3, 2), index(4, 2)], "rows and indices differ"],
  ["gather_table", [any(5, 3), index(4)], "rank 2 is needed"],
  ["scatter_table", [any(2, 4, 3), index(4, 2)], "rows and indices differ"],
  ["sum_tiles", [any(7, 2)], "axis 0 over copies: 7 is not a multiple of 3"],
  ["sum_tiles", [any(6, 2)], "copies must be positive", { copies: 0 }],
  ["one_hot", [any(2, 3)], "an i32 operand is needed"],
  ["patchify", [any(2, 5, 6, 3)], "height over patch: 5 is not a multiple of 2"],
  ["patchify", [any(2, 4, 5, 3)], "width over patch: 5 is not a multiple of 2"],
  ["unpatchify", [any(2, 5, 12)], "numbers of patches differ: 5 and 6"],
  ["unpatchify", [any(2, 6, 10)], "width over patch area: 10 is not a multiple of 4"],
  ["stack_front", [sequence([0], 2)], "an empty sequence has no last element"],
  ["stack_front", [any(2)], "a stacked value is needed, got f32[2]"],
  ["stack_last", [sequence([0], 2)], "an empty sequence has no last element"],
  ["stack_join", [sequence([2], 2, 3), any(3, 2)], "operands differ"],
  ["stack_join", [any(2), any(2), any(2)], "one or two operands are needed, got 3"],
  ["add", [sequence([2], 3), sequence([3], 3)], "stacked operands need equal stacks and shapes"],
  ["add", [sequence([2], 3), sequence([2], 1)], "stacked operands need equal stacks and shapes"],
];

for (const [op, operands, said, attrs = {}] of refusals) {
  const types = operands.map(operandType);
  test(`${op} refuses ${types.map(printType).join(", ")}: ${said}`, () => {
    const node = makeNode({ op, args: types.map((_, i) => i), results: [], attrs: { ...cases[op][0]?.attrs, ...attrs }, origin: undefined });
    const inferred = inferNode((name) => funcOf(emptyModule, name), node, types);
    expect(inferred).toMatchObject({ kind: "problem", problem: expect.stringContaining(said) });
  });
}
