/**
 * Sight: which content of which picture a value has seen.
 *
 * For every source (an input, or a view of one) its moments (`moments.ts`) and the positions that went in: all of them, those of some masks, or all but
 * those a mask token stands in for. While every token has only seen its own place, choosing positions narrows the set;
 * once tokens have mixed, choosing unsees nothing. Batch statistics are kept apart from full mixing: what passes through a
 * mean of the batch is a trace of the content, not the content. An upper bound, never less than the truth.
 */
import type { Node } from "../model/ir.js";
import { opTable } from "../model/ops.js";
import type { Domain } from "./interpret.js";
import type { Moments } from "./moments.js";
import { bothMoments, momentsKey, momentsThrough, ownMoments } from "./moments.js";

/** What is seen of one source. */
export interface SourceSight {
  /** Positions of these masks only; undefined = all. */
  readonly only: readonly string[] | undefined;
  /** Less the positions of these. */
  readonly except: readonly string[];
  readonly mix: "local" | "statistics" | "full";
  /** Before it was narrowed, statistics over all tokens went in. */
  readonly spilled: boolean;
  /** Which moments of it, where it is a clip. */
  readonly moments: Moments;
}

export type Sight = ReadonlyMap<string, SourceSight>;

/** Sight of a batch, and of the batches that it is a union of. */
export interface Seen {
  readonly all: Sight;
  readonly parts: readonly Sight[] | undefined;
}

const none: Sight = new Map();

/** Sight as a domain of facts. Rows of a union stay apart until something looks across the batch, which no sight follows. */
export const sightDomain: Domain<Seen> = {
  nothing: { all: none, parts: undefined },
  key: ({ all, parts }) => `${sightKey(all)}|${parts?.map(sightKey).join("|") ?? ""}`,
  rootKey: () => "",
  input: (node) => ({ all: node.type.space.kind === "actions" || node.type.space.kind === "labels" ? none : new Map([[node.attrs.path ?? "?", { only: undefined, except: [], mix: "local", spilled: false, moments: ownMoments(node.type) }]]), parts: undefined }),
  parameter: () => ({ all: none, parts: undefined }),
  op: seenOf,
  leave: (seen) => seen,
};

function sightKey(sight: Sight): string {
  return [...sight].map(([s, x]) => `${s}:${x.only?.join("+") ?? "*"}-${x.except.join("+")}${x.mix}${x.spilled ? "!" : ""}@${momentsKey(x.moments)}`).sort().join(";");
}

function seenOf(node: Node, given: readonly Seen[]): Seen {
  const args = given.map((seen) => inTime(node, seen));
  const first = args[0];
  if (node.op === "union") return { all: union(args.map((a) => a.all)), parts: args.flatMap((a) => a.parts ?? [a.all]) };
  if (node.op === "slice_batch" && first?.parts !== undefined) {
    const size = first.parts.length / (node.attrs.count ?? 1);
    const start = (node.attrs.index ?? 0) * size;
    const own = Number.isInteger(size) ? first.parts.slice(start, start + size) : first.parts;
    return { all: union(own), parts: own.length > 1 ? own : undefined };
  }
  const count = args.find((a) => a.parts !== undefined)?.parts?.length;
  const together = count !== undefined && args.every((a) => a.parts === undefined ? a.all.size === 0 : a.parts.length === count);
  const parts = together ? Array.from({ length: count }, (_, i) => sightOf(node, args.map((a) => a.parts?.[i] ?? a.all))) : undefined;
  return { all: sightOf(node, args.map((a) => a.all)), parts };
}

/** An operand as the rows of the result see it along time. */
function inTime(node: Node, { all, parts }: Seen): Seen {
  const through = (sight: Sight): Sight => map(sight, (x) => ({ ...x, moments: momentsThrough(node, x.moments) }));
  return { all: through(all), parts: parts?.map(through) };
}

function sightOf(node: Node, args: readonly Sight[]): Sight {
  if (node.op === "scale" && node.attrs.value === 0 && node.attrs.schedule === undefined) return none;
  const { mask } = node.attrs;
  const all = union(args);
  if (mask !== undefined && node.op === "at") return map(all, (x) => narrowed(x, mask));
  if (mask !== undefined && node.op === "replace_at") return map(all, (x) => (x.mix === "full" ? x : { ...x, except: [...new Set([...x.except, mask])].sort(), spilled: x.spilled || x.mix === "statistics" }));
  if (node.op === "batch_normalize" || node.op === "batch_norm" || node.op === "whiten" || node.op === "center") {
    return node.type.axes.includes("token") ? map(all, (x) => (x.mix === "local" ? { ...x, mix: "statistics" } : x)) : all;
  }
  const { mixes } = opTable[node.op];
  const removed = node.attrs.over ?? [];
  const mixed = mixes === "tokens" || (mixes === "axes" && removed.some((a) => a === "token" || a === "height" || a === "width"));
  return mixed && node.op !== "expand_at" ? map(all, (x) => (x.mix === "full" ? x : { ...x, mix: "full" })) : all;
}

function narrowed(x: SourceSight, mask: string): SourceSight {
  if (x.mix === "full") return x;
  const known = x.only?.includes(mask) === false ? x.only : [mask];
  return { ...x, only: known, spilled: x.spilled || x.mix === "statistics", mix: "local" };
}

function map(sight: Sight, f: (x: SourceSight) => SourceSight): Sight {
  return new Map([...sight].map(([s, x]) => [s, f(x)]));
}

function union(args: readonly Sight[]): Sight {
  const filled = args.filter((a) => a.size > 0);
  if (filled.length <= 1) return filled[0] ?? none;
  const out = new Map<string, SourceSight>();
  for (const sight of filled) {
    for (const [source, x] of sight) {
      const y = out.get(source);
      out.set(source, y === undefined ? x : {
        only: x.only === undefined || y.only === undefined ? undefined : [...new Set([...x.only, ...y.only])].sort(),
        except: x.except.filter((m) => y.except.includes(m)),
        mix: x.mix === "full" || y.mix === "full" ? "full" : x.mix === "statistics" || y.mix === "statistics" ? "statistics" : "local",
        spilled: x.spilled || y.spilled,
        moments: bothMoments(x.moments, y.moments),
      });
    }
  }
  return out;
}
