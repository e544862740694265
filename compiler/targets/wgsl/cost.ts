/**
 * What a dispatch costs at the least: arithmetic of matrix work, bytes in and out.
 *
 * Owns the counts that a profile holds measured times against. Arithmetic is counted for matrix products and attention
 * (a multiplication and an addition are two operations; products that the backward pass makes again count again, because
 * the kernel does them); elementwise work is bound by memory and counts none. Bytes are each bound tensor once, twice
 * where it is updated in place: what a perfect cache would move. Both are polynomials, so they hold for every batch and mask.
 */
import type { Dim } from "../../types/dim.js";
import { add, constantDim, mul, product } from "../../types/dim.js";
import type { Work } from "./graph.js";
import type { Draft } from "./kernel.js";
import { elementBytes } from "./kernel.js";

/** The drafts of an operation, with their arithmetic where it is counted. */
export function costed(work: Work, drafts: readonly Draft[]): Draft[] {
  return drafts.map((d) => {
    const flops = flopsOf(work, d.name);
    return flops === undefined ? d : { ...d, flops };
  });
}

/** Products of the size rows x keys x width in an attention kernel: scores and output; scores, dP, dq; scores, dP, dv, dk. */
function attentionProducts(name: string): number | undefined {
  if (name.includes("_dkv")) return 4;
  if (name.includes("_dq")) return 3;
  if (name.includes("_grad")) return 7;
  return name.startsWith("attention") ? 2 : undefined;
}

function flopsOf(work: Work, name: string): Dim | undefined {
  const times = (n: number, dims: readonly Dim[]): Dim => mul(constantDim(n), product(dims));
  if (work.kind === "gemm") return name.startsWith("gemm") ? times(2, [work.batch, work.m, work.n, work.k]) : undefined;
  if (work.kind === "gemm_tn_sums") return name.startsWith("gemm") ? times(2, [work.m, work.n, work.k]) : undefined;
  if (work.kind !== "attention" && work.kind !== "attention_grad") return undefined;
  const products = attentionProducts(name);
  const { batch, rows, keys, width } = work.sizes;
  return products === undefined ? undefined : times(2 * products, [batch, rows, keys, width]);
}

/** Bytes that a dispatch moves. An optimizer's kernels, which alone read hyperparameters, update in place what they write. */
export function bytesMoved(draft: Draft): Dim {
  if (draft.elements !== undefined) return mul(constantDim(4), draft.elements);
  return draft.binds.reduce<Dim>((sum, b, i) => {
    const times = draft.hyper && draft.writes[i] === true ? 2 : 1;
    const elements = "kind" in b ? constantDim(b.count) : product(b.shape);
    return add(sum, mul(constantDim(elementBytes(b.dtype) * times), elements));
  }, constantDim(0));
}
