/**
 * Places in memory for what lives only within a step.
 *
 * Owns liveness over the list of dispatches and the packing: tensors in order of falling size, each into the lowest gap
 * that nothing alive at the same time occupies (greedy by size, which is near the lower bound for layered networks). Sizes
 * are upper bounds, so places hold for every mask. Arenas are buffers of at most `arenaBytes`; a tensor never crosses one.
 * Starts are multiples of 256 bytes, as WebGPU wants them of bindings.
 */
import { printShape } from "../../types/dim.js";
import type { Tensor } from "./graph.js";
import type { Draft } from "./kernel.js";

/** Which of a device's limits something is beyond: what one binding holds, what one buffer holds, or all its memory. */
export type LimitKind = "binding" | "buffer" | "memory";

/** What is too large, for which limit. */
export interface Excess {
  /** In words. */
  readonly what: string;
  readonly bytes: number;
  readonly kind: LimitKind;
  /** The bytes that there are. */
  readonly limit: number;
}

/** Something does not fit the limits: caught where the plan is asked for, and told as a diagnostic. */
export class TooLarge extends Error implements Excess {
  constructor(readonly what: string, readonly bytes: number, readonly kind: LimitKind, readonly limit: number) {
    super(`${what}: ${bytes} bytes, ${limit} fit`);
  }
}

/** Bindings start at multiples of this. */
const ALIGN = 256;

/** Where a tensor lies. */
export interface Place {
  readonly arena: number;
  readonly at: number;
  readonly bytes: number;
}

/** A packing. */
export interface Packing {
  readonly places: ReadonlyMap<Tensor, Place>;
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
  /** The most that is alive at once: no packing needs less. */
  readonly lowerBound: number;
}

interface Life {
  readonly tensor: Tensor;
  readonly bytes: number;
  readonly from: number;
  to: number;
}

/** Rounds up to the alignment. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGN) * ALIGN;
}

/** What a device takes at once. */
export interface HolderLimits {
  readonly bindingBytes: number;
  readonly bufferBytes: number;
}

/** The limit of one value, which lies in a buffer and is bound whole: the smaller one decides. */
export function valueLimit({ bindingBytes, bufferBytes }: HolderLimits): { readonly kind: LimitKind; readonly limit: number } {
  return bindingBytes <= bufferBytes ? { kind: "binding", limit: bindingBytes } : { kind: "buffer", limit: bufferBytes };
}

/** Packs the `work` tensors of some dispatches; `pinned` ones stay to the end. @throws TooLarge */
export function pack(drafts: readonly Draft[], bytesOf: (t: Tensor) => number, pinned: ReadonlySet<Tensor>, limits: HolderLimits): Packing {
  const { bufferBytes: arenaBytes } = limits;
  const most = valueLimit(limits);
  const lives = livesOf(drafts, bytesOf, pinned);
  const places = new Map<Tensor, Place>();
  const arenas: number[] = [];
  const placed: { life: Life; place: Place }[] = [];
  const order = [...lives].sort((a, b) => b.bytes - a.bytes || a.from - b.from || a.tensor.id - b.tensor.id);
  for (const life of order) {
    if (life.bytes > most.limit) throw new TooLarge(nameOf(life.tensor), life.bytes, most.kind, most.limit);
    const rivals = placed.filter((p) => p.life.from <= life.to && life.from <= p.life.to);
    const place = firstGap(life, rivals.map((r) => r.place), arenas.length, arenaBytes);
    arenas[place.arena] = Math.max(arenas[place.arena] ?? 0, place.at + aligned(life.bytes));
    places.set(life.tensor, place);
    placed.push({ life, place });
  }
  return { places, arenas, lowerBound: mostAlive(lives, drafts.length) };
}

/** A tensor in words. */
export function nameOf(t: Tensor): string {
  return `${t.name === undefined ? "a value" : `\`${t.name}\``} ${printShape(t.shape)}`;
}

function livesOf(drafts: readonly Draft[], bytesOf: (t: Tensor) => number, pinned: ReadonlySet<Tensor>): Life[] {
  const lives = new Map<Tensor, Life>();
  drafts.forEach((draft, at) => {
    for (const bound of draft.binds) {
      if ("kind" in bound || bound.home.kind !== "work") continue;
      const life = lives.get(bound) ?? { tensor: bound, bytes: bytesOf(bound), from: at, to: at };
      life.to = pinned.has(bound) ? drafts.length : at;
      lives.set(bound, life);
    }
  });
  return [...lives.values()];
}

function firstGap(life: Life, rivals: readonly Place[], arenas: number, arenaBytes: number): Place {
  const { bytes } = life;
  for (let arena = 0; arena < arenas; arena++) {
    const taken = rivals.filter((r) => r.arena === arena).sort((a, b) => a.at - b.at);
    let at = 0;
    for (const r of taken) {
      if (r.at - at >= aligned(bytes)) break;
      at = Math.max(at, r.at + aligned(r.bytes));
    }
    if (at + aligned(bytes) <= arenaBytes) return { arena, at, bytes };
  }
  return { arena: arenas, at: 0, bytes };
}

function mostAlive(lives: readonly Life[], steps: number): number {
  const change = new Array<number>(steps + 2).fill(0);
  for (const life of lives) {
    change[life.from] = (change[life.from] ?? 0) + life.bytes;
    change[life.to + 1] = (change[life.to + 1] ?? 0) - life.bytes;
  }
  let now = 0;
  let most = 0;
  for (const c of change) {
    now += c;
    most = Math.max(most, now);
  }
  return most;
}
