/**
 * From operations to dispatches: which kernels each kind of work becomes.
 *
 * Owns the switch over kinds and temporary tensors between the dispatches of one operation. The kernels' texts are in
 * `kernels/`, places in memory are given later (`memory.ts`).
 */
import type { Dim } from "../../types/dim.js";
import { costed } from "./cost.js";
import type { Op, Tensor } from "./graph.js";
import { instancesOf, readsOf } from "./graph.js";
import { attentionGradDrafts } from "./kernels/attention-grad.js";
import { attentionDraft } from "./kernels/attention.js";
import { gemmDraft, weightGradDrafts } from "./kernels/gemm.js";
import { lossDrafts } from "./kernels/loss.js";
import { mapDraft } from "./kernels/map.js";
import { concatDrafts, gatherDraft, iotaDraft, oneHotDraft, padDraft, scatterDraft } from "./kernels/move.js";
import { affineDrafts, affineOf, reduceDrafts, together } from "./kernels/reduce.js";
import { normGradSumsDrafts } from "./kernels/norm-grad.js";
import { normDraft, normGradDraft, rowsDraft, rowsGradDraft } from "./kernels/rows.js";
import type { GradientPlace } from "./kernels/sums.js";
import { batches } from "./kernels/sums.js";
import type { Draft, Limits } from "./kernel.js";
import { upperBound } from "./kernel.js";
import type { Traced } from "./trace.js";

/** What kernels may know of a device: how it chooses tiles for products, and whether a processor stands in for a GPU. */
export interface DeviceChoices {
  readonly choose?: Limits["tile"];
  readonly software?: boolean;
}

/** All dispatches of a graph, in order; `gradient` knows where gradients of parameters lie. */
export function draftsOf(traced: Traced, bounds: ReadonlyMap<string, number>, { choose, software = false }: DeviceChoices = {}, gradient?: (parameter: string) => GradientPlace): Draft[] {
  const { ops, tensors } = traced.graph;
  const wanted = new Set<Tensor>([...ops.flatMap((op) => readsOf(op.work)), ...[...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor)]);
  if (traced.result !== undefined) wanted.add(traced.result);
  const live = (t: Tensor): boolean => wanted.has(t) || t.home.kind === "grad";
  const cx: Limits = {
    bound: (d) => upperBound(d, bounds),
    tile: choose,
    software,
    scratch: (shape: readonly Dim[], name: string) => {
      const made: Tensor = { id: tensors.length, dtype: "f32", shape, home: { kind: "work" }, name };
      tensors.push(made);
      return made;
    },
  };
  return batches(neighbours(ops.flatMap((op) => costed(op.work, drafts(cx, op, live)).map((d) => ({ ...d, whose: instancesOf(op) })))), (t) => (t.home.kind === "grad" && !wanted.has(t) ? gradient?.(t.home.name) : undefined));
}

/** The gradient of a norm: by itself, or with those of scale and offset in one sweep, which wants more threads than a processor has. */
function normGradDrafts(cx: Limits, op: Op, work: Extract<Op["work"], { kind: "norm_grad" }>): Draft[] {
  const { affine } = work;
  if (affine === undefined) return [normGradDraft(cx, op, work)];
  if (!cx.software) return normGradSumsDrafts(cx, op, work, affine);
  return [normGradDraft(cx, op, work), ...affineDrafts(cx, op, affineOf(work, affine))];
}

/** Reductions over columns that stand next to each other, as one dispatch where that can be. */
function neighbours(all: readonly Draft[]): Draft[] {
  const out: Draft[] = [];
  let run: Draft[] = [];
  const close = (): void => {
    const joined = run.length < 2 ? undefined : together(run);
    out.push(...(joined === undefined ? run : [{ ...joined, whose: run.flatMap((d) => d.whose ?? []) }]));
    run = [];
  };
  for (const draft of all) {
    if (draft.columns === undefined || (run.length > 0 && together([...run, draft]) === undefined)) close();
    if (draft.columns === undefined) out.push(draft);
    else run.push(draft);
  }
  close();
  return out;
}

function drafts(cx: Limits, op: Op, live: (t: Tensor) => boolean): Draft[] {
  const { work } = op;
  switch (work.kind) {
    case "map": return [mapDraft(op, work)];
    case "gemm": return [gemmDraft(cx, op, work)];
    case "gemm_tn_sums": return weightGradDrafts(cx, op, work);
    case "reduce": return reduceDrafts(cx, op, work);
    case "rows": return [rowsDraft(cx, op, work)];
    case "rows_grad": return [rowsGradDraft(cx, op, work)];
    case "norm": return [normDraft(cx, op, work, live)];
    case "norm_grad": return normGradDrafts(cx, op, work);
    case "norm_grad_affine": return affineDrafts(cx, op, work);
    case "attention": return [attentionDraft(cx, op, work)];
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
