/**
 * Places of parameters, gradients, optimizer slots and inputs: everything that stays.
 *
 * Parameters of one group lie in one arena (several where a device's binding would not hold it), decayed ones first, then
 * the other trained ones, then those that nothing updates. A moving average's arena has the order of what it follows, so
 * that optimizer and moving average are one sweep over both. Gradients and slots have the layout of their parameters.
 */
import type { Manifest, Parameter } from "../../../runtime/abi.js";
import { TooLarge, aligned } from "./memory.js";

/** One parameter's place in its shard, in elements. */
export interface Slot {
  readonly parameter: Parameter;
  readonly at: number;
  readonly count: number;
}

/** Part of a group: one buffer for each of values, gradients and slots. */
export interface Shard {
  /** `student`, `student_1`: the stem of the buffers' names. */
  readonly name: string;
  readonly group: string;
  readonly slots: readonly Slot[];
  readonly count: number;
  /** Elements that decay, and elements that have gradients; both from 0. */
  readonly decayed: number;
  readonly updated: number;
  /** Elements that a moving average of this shard follows. */
  readonly followed: number;
  /** Whether there is an f16 copy. */
  readonly half: boolean;
}

/**
 * Lays out all groups; `hasGrad` says which trained parameters get a gradient, `halves` which have an f16 copy: those copies lie
 * in the same places, so that starts are multiples of what WebGPU wants for elements of 2 bytes.
 */
export function layOut(manifest: Pick<Manifest, "parameters">, hasGrad: ReadonlySet<string>, shardBytes: number, halves: ReadonlySet<string> = new Set()): Shard[] {
  const elementBytes = halves.size === 0 ? 4 : 2;
  const groups = [...new Set(manifest.parameters.map((p) => p.group))];
  const byName = new Map(manifest.parameters.map((p) => [p.name, p]));
  const source = (p: Parameter): Parameter => (p.follows === undefined ? p : source(byName.get(p.follows) ?? p));
  const rank = (p: Parameter): number => {
    const s = source(p);
    if (s.role !== "trained") return 3;
    if (!hasGrad.has(s.name)) return 2;
    return s.decay ? 0 : 1;
  };
  return groups.flatMap((group) => {
    const own = manifest.parameters.filter((p) => p.group === group);
    const trained = own.some((p) => p.role === "trained");
    const ordered = own.map((p, i) => ({ p, i, r: rank(p) })).sort((a, b) => a.r - b.r || a.i - b.i);
    return shards(group, ordered.map(({ p, r }) => ({ p, r: trained || p.role === "ema" ? r : 3 })), shardBytes, elementBytes, halves);
  });
}

function shards(group: string, ordered: readonly { p: Parameter; r: number }[], shardBytes: number, elementBytes: number, halves: ReadonlySet<string>): Shard[] {
  const spaceOf = (p: Parameter): number => aligned(countOf(p) * elementBytes) / elementBytes;
  const out: Shard[] = [];
  let slots: Slot[] = [];
  let ranks: number[] = [];
  let at = 0;
  const close = (): void => {
    if (slots.length === 0) return;
    const end = (limit: number): number => slots.reduce((n, s, i) => ((ranks[i] ?? 9) <= limit ? s.at + spaceOf(s.parameter) : n), 0);
    const name = out.length === 0 ? group : `${group}_${out.length}`;
    out.push({ name, group, slots, count: at, decayed: end(0), updated: end(1), followed: end(2), half: slots.some((s) => halves.has(s.parameter.name)) });
    [slots, ranks, at] = [[], [], 0];
  };
  for (const { p, r } of ordered) {
    const count = countOf(p);
    const size = spaceOf(p);
    if (size * 4 > shardBytes) throw new TooLarge(`the parameter \`${p.name}\``, count * 4, "binding", shardBytes);
    if ((at + size) * 4 > shardBytes) close();
    slots.push({ parameter: p, at, count });
    ranks.push(r);
    at += size;
  }
  close();
  return out;
}

function countOf(p: Parameter): number {
  return p.shape.reduce((n, d) => n * d, 1);
}
