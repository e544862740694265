/**
 * The part of a plan after the backward pass: which arenas are updated how, in which order.
 *
 * Owns the choice between one sweep (an optimizer with the moving average that follows its group) and separate ones (a
 * group that several follow, or one that follows something that is not optimized), the buffers for norms and clipping, and
 * the list of hyperparameters. The kernels are `kernels/optimizer.ts`.
 */
import type { EmaEdge, Manifest } from "../../../runtime/abi.js";
import { partsIn } from "../parts.js";
import type { Shard } from "./arenas.js";
import type { BufferRef, Draft, Limits } from "./kernel.js";
import type { HyperBlock, Update } from "./kernels/optimizer.js";
import type { Mixed } from "./kernels/optimizer.js";
import { NORM_PARTS, accumulateDraft, clipDraft, emaDraft, larsDrafts, normDraft, slotsOf, stateDraft, updateDraft } from "./kernels/optimizer.js";
import type { ScalerRules } from "./kernels/scaler.js";
import { SCALER_COUNT, halfDraft, scalerDraft } from "./kernels/scaler.js";
import type { Named } from "./trace.js";

/** Drafts and buffers of the update. */
export interface Updates {
  /** Gradients of the first part of a batch, and of the others, into their sums; empty where a batch runs in one. */
  readonly first: readonly Draft[];
  readonly rest: readonly Draft[];
  readonly norms: readonly Draft[];
  /** Where each group's partial sums lie. */
  readonly groups: readonly { readonly group: string; readonly ref: BufferRef }[];
  readonly update: readonly Draft[];
  /** Makes f16 copies of parameters, after the host has written them. */
  readonly prepare: readonly Draft[];
  readonly hyperNames: readonly string[];
  /** Buffers beside arenas: name and number of elements. */
  readonly scratch: readonly (readonly [string, number])[];
}

/** The ending of the buffers that hold the gradients of a whole batch. */
export function totalOf(parts: number): "grad" | "total" {
  return parts === 1 ? "grad" : "total";
}

/** Decides the update; `rules` are there where losses are scaled. */
export function updatesOf(manifest: Manifest, shards: readonly Shard[], state: readonly Named[], rules: ScalerRules | undefined, cx: Pick<Limits, "software">): Updates {
  const { optimizer, gradientClip } = manifest.train;
  const hyper = hyperOf(manifest.ema);
  const trained = shards.filter((s) => s.updated > 0 && s.slots.some((x) => x.parameter.role === "trained"));
  const norms = trained.map((s, i) => ({ shard: s, ref: piece("norms", "norms", i * NORM_PARTS, NORM_PARTS) }));
  const scaler = rules === undefined ? undefined : piece("scaler", "scaler", 0, SCALER_COUNT);
  const clip = gradientClip === undefined || scaler !== undefined ? undefined : piece("clip", "clip", 0, 1);
  const parts = partsIn(manifest);
  const total = totalOf(parts);
  const taking = (first: boolean): Draft[] => (parts === 1 ? [] : trained.map((s) => accumulateDraft(piece(`${s.name}.grad`, "grad", 0, s.updated), piece(`${s.name}.${total}`, "total", 0, s.updated), parts, first)));
  const normDrafts = norms.map(({ shard, ref }) => normDraft(cx, piece(`${shard.name}.${total}`, "grad", 0, shard.updated), ref, scaler));
  const update: Draft[] = [];
  if (scaler !== undefined && rules !== undefined) update.push(...normDrafts, scalerDraft(scaler, piece("norms", "norms", 0, trained.length * NORM_PARTS), rules, optimizer, gradientClip, hyper.fields));
  if (clip !== undefined && gradientClip !== undefined) update.push(...normDrafts, clipDraft(piece("norms", "norms", 0, trained.length * NORM_PARTS), clip, gradientClip));
  const done = new Set<EmaEdge>();
  for (const s of trained) {
    const edges = manifest.ema.filter((e) => e.source === s.group);
    const [edge] = edges;
    const follower = edge === undefined || edges.length > 1 || optimizer.kind === "lars" ? undefined : followerOf(shards, s, edge);
    if (edge !== undefined && follower !== undefined) done.add(edge);
    const whole: Update = {
      value: piece(s.name, "param", 0, s.count), grad: piece(`${s.name}.${total}`, "grad", 0, s.updated),
      slots: slotsOf(optimizer).map((slot) => piece(`${s.name}.${slot}`, "slot", 0, s.updated)),
      decayed: s.decayed, updated: s.updated, followed: s.followed, clip, scaler, half: halfOf(s, 0, s.count),
      follower: follower === undefined || edge === undefined ? undefined : { value: piece(follower.name, "param", 0, follower.count), momentum: hyper.momentum(edge), half: halfOf(follower, 0, follower.count) },
    };
    if (optimizer.kind !== "lars") update.push(updateDraft(whole, optimizer, hyper));
    else {
      for (const slot of s.slots.filter((x) => x.at < s.updated)) {
        const own = (buffer: string, arena: string): BufferRef => piece(buffer, arena, slot.at, slot.count);
        const one: Update = { ...whole, value: own(s.name, "param"), grad: own(`${s.name}.${total}`, "grad"), slots: slotsOf(optimizer).map((n) => own(`${s.name}.${n}`, "slot")), updated: slot.count, half: halfOf(s, slot.at, slot.count) };
        update.push(...larsDrafts(one, optimizer, slot.parameter.decay, piece("lars", "lars", 0, 1), hyper));
      }
    }
  }
  for (const edge of manifest.ema) if (!done.has(edge)) update.push(...separateEma(shards, edge, hyper, scaler));
  for (const { name, tensor } of state) {
    const place = placeOf(shards, name);
    const shard = shards.find((s) => s.name === place?.buffer);
    if (place !== undefined) update.push(stateDraft(place, tensor, { scaler, half: shard === undefined ? undefined : halfOf(shard, place.at, place.count) }));
  }
  const prepare = shards.flatMap((s) => {
    const half = halfOf(s, 0, s.count);
    return half === undefined ? [] : [halfDraft(piece(s.name, "param", 0, s.count), half)];
  });
  const scratch: [string, number][] = [["norms", Math.max(1, trained.length) * NORM_PARTS], ...(clip === undefined ? [] : [["clip", 1] satisfies [string, number]]), ...(optimizer.kind === "lars" ? [["lars", 1] satisfies [string, number]] : [])];
  // With a loss scale the norms are part of every update.
  return { first: taking(true), rest: taking(false), norms: scaler === undefined ? normDrafts : [], prepare, groups: norms.map(({ shard, ref }) => ({ group: shard.group, ref })), update, hyperNames: hyper.names, scratch };
}

function hyperOf(ema: readonly EmaEdge[]): HyperBlock & { readonly names: readonly string[]; momentum(edge: EmaEdge): string } {
  const targets = ema.map((e) => e.target);
  return {
    names: ["learningRate", "weightDecay", "bias1", "bias2Root", ...targets.map((t) => `momentum ${t}`)],
    fields: ["learning_rate", "weight_decay", "bias1", "bias2_root", ...targets.map((_, i) => `momentum_${i}`)],
    momentum: (edge) => `momentum_${targets.indexOf(edge.target)}`,
  };
}

/** The shard of the target whose followed part lies exactly as the source's. */
function followerOf(shards: readonly Shard[], source: Shard, edge: EmaEdge): Shard | undefined {
  const position = shards.filter((s) => s.group === source.group).indexOf(source);
  const target = shards.filter((s) => s.group === edge.target)[position];
  if (target === undefined || target.followed !== source.followed) return undefined;
  const at = new Map(source.slots.map((s) => [s.parameter.name, s.at]));
  const own = target.slots.filter((s) => s.at < target.followed);
  return own.every((s) => s.parameter.follows !== undefined && at.get(s.parameter.follows) === s.at) && own.length === source.slots.filter((s) => s.at < source.followed).length
    && target.slots.every((s) => s.parameter.follows === undefined || s.at < target.followed) ? target : undefined;
}

/** A dispatch for each parameter that follows. */
function separateEma(shards: readonly Shard[], edge: EmaEdge, hyper: ReturnType<typeof hyperOf>, scaler: Mixed["scaler"]): Draft[] {
  return shards.filter((s) => s.group === edge.target).flatMap((s) => s.slots.flatMap((slot) => {
    const { role, follows } = slot.parameter;
    const source = role !== "ema" || follows === undefined ? undefined : placeOf(shards, follows);
    return source === undefined ? [] : [emaDraft(piece(s.name, "param", slot.at, slot.count), source, hyper.momentum(edge), hyper, { scaler, half: halfOf(s, slot.at, slot.count) })];
  }));
}

function placeOf(shards: readonly Shard[], name: string): BufferRef | undefined {
  for (const s of shards) {
    const slot = s.slots.find((x) => x.parameter.name === name);
    if (slot !== undefined) return piece(s.name, "param", slot.at, slot.count);
  }
  return undefined;
}

/** The f16 copy of part of a shard, where it has one. */
function halfOf(s: Shard, at: number, count: number): BufferRef | undefined {
  return s.half ? { ...piece(`${s.name}.half`, "half", at, count), dtype: "f16" } : undefined;
}

function piece(buffer: string, arena: string, at: number, count: number): BufferRef {
  return { kind: "buffer", buffer, arena, at, count };
}
