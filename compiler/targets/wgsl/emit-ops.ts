/**
 * From operations to dispatches: which kernels each kind of work becomes.
 *
 * Owns the switch over kinds and temporary tensors between the dispatches of one operation. The kernels' texts are in
 * `kernels/`, places in memory are given later (`memory.ts`).
 */
import type { Dim } from "../../types/dim.js";
import { costed } from "./cost.js";
import type { Op, Tensor } from "./graph.js";
import { readsOf } from "./graph.js";
import { attentionDraft, attentionGradDrafts } from "./kernels/attention.js";
import { gemmDraft, weightGradDrafts } from "./kernels/gemm.js";
import { mapDraft } from "./kernels/map.js";
import { concatDrafts, gatherDraft, iotaDraft, oneHotDraft, padDraft, scatterDraft } from "./kernels/move.js";
import { affineDrafts, lossDrafts, reduceDrafts, twoSumsDraft } from "./kernels/reduce.js";
import { normDraft, normGradDraft, rowsDraft, rowsGradDraft } from "./kernels/rows.js";
import type { Draft, Limits } from "./kernel.js";
import { upperBound } from "./kernel.js";
import type { Traced } from "./trace.js";

/** All dispatches of a graph, in order; `tile` chooses for products. */
export function draftsOf(traced: Traced, bounds: ReadonlyMap<string, number>, tile?: Limits["tile"]): Draft[] {
  const { ops, tensors } = traced.graph;
  const wanted = new Set<Tensor>([...ops.flatMap((op) => readsOf(op.work)), ...[...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor)]);
  if (traced.result !== undefined) wanted.add(traced.result);
  const live = (t: Tensor): boolean => wanted.has(t) || t.home.kind === "grad";
  const cx: Limits = {
    bound: (d) => upperBound(d, bounds),
    tile,
    scratch: (shape: readonly Dim[], name: string) => {
      const made: Tensor = { id: tensors.length, dtype: "f32", shape, home: { kind: "work" }, name };
      tensors.push(made);
      return made;
    },
  };
  return inPairs(ops.flatMap((op) => costed(op.work, drafts(cx, op, live))), (t) => t.home.kind === "grad" && !wanted.has(t));
}

/**
 * Sums of parts that end in gradients nobody reads before the update wait for the next one: two become one dispatch. Only
 * two, because the portable profile has eight bindings and each sum takes up to three.
 */
function inPairs(all: readonly Draft[], waits: (t: Tensor) => boolean): Draft[] {
  const out: Draft[] = [];
  let waiting: Draft | undefined;
  for (const draft of all) {
    const { adds } = draft;
    if (adds === undefined || !waits(adds.first) || (adds.second !== undefined && !waits(adds.second))) out.push(draft);
    else if (waiting?.adds === undefined) waiting = draft;
    else {
      out.push(twoSumsDraft(waiting.adds, adds, draft.origin));
      waiting = undefined;
    }
  }
  return waiting === undefined ? out : [...out, waiting];
}

function drafts(cx: Limits, op: Op, live: (t: Tensor) => boolean): Draft[] {
  const { work } = op;
  switch (work.kind) {
    case "map": return [mapDraft(op, work)];
    case "gemm": return [gemmDraft(cx, op, work)];
    case "gemm_tn_sums": return weightGradDrafts(cx, op, work);
    case "reduce": return reduceDrafts(cx, op, work);
    case "rows": return [rowsDraft(op, work)];
    case "rows_grad": return [rowsGradDraft(op, work)];
    case "norm": return [normDraft(op, work, live)];
    case "norm_grad": return [normGradDraft(op, work)];
    case "norm_grad_affine": return affineDrafts(cx, op, work);
    case "attention": return [attentionDraft(op, work)];
    case "attention_grad": return attentionGradDrafts(cx, op, work);
    case "gather": return [gatherDraft(op, work)];
    case "scatter": return [scatterDraft(op, work)];
    case "concat": return concatDrafts(op, work);
    case "pad": return [padDraft(op, work)];
    case "iota": return [iotaDraft(op, work)];
    case "one_hot": return [oneHotDraft(op, work)];
    case "smooth_l1_mean": return lossDrafts(cx, op, work, live(work.slope));
  }
}
