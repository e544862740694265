/**
 * Activation recomputation: what a block of the forward pass leaves for the backward pass is made again there.
 *
 * Owns the choice of what is kept and the second copies of operations. Of every iteration of a repeat only what later
 * parts of the forward pass read is kept (its input and output); where the backward pass first reads anything else, the
 * operations that made it stand once more, on new tensors. They are the same kernels on the same numbers, so every
 * gradient keeps its bits. The last block of all is left alone: its values would still be alive anyway.
 */
import { withoutUnread } from "./fuse.js";
import type { Op, Tensor } from "./graph.js";
import { readsOf, withTensors, writesOf } from "./graph.js";
import { withoutDead } from "./trace.js";
import type { Traced } from "./trace.js";

/** One block: its operations, and what the backward pass reads of it that nothing else keeps alive. */
interface Block {
  readonly ops: readonly Op[];
  readonly saved: ReadonlySet<Tensor>;
  readonly kept: ReadonlySet<Tensor>;
  /** The first operation of the backward pass that reads any of it. */
  readonly first: number;
}

/** The graph with blocks made again in the backward pass. */
export function recomputeBlocks(traced: Traced): Traced {
  const { ops } = traced.graph;
  const pinned = new Set<Tensor>([...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor));
  const blocks = blocksOf(ops, (t) => pinned.has(t) || t.home.kind !== "work");
  const before = new Map<number, Op[]>();
  const replaced = new Map<Tensor, Tensor>();
  let id = traced.graph.tensors.length;
  const made: Tensor[] = [];
  for (const block of blocks) {
    const own = needed(block);
    const copies = new Map(own.flatMap((op) => writesOf(op.work)).map((t): [Tensor, Tensor] => [t, { ...t, id: id++, home: { kind: "work" } }]));
    made.push(...copies.values());
    for (const t of block.saved) replaced.set(t, copies.get(t) ?? t);
    const again = own.map((op): Op => ({ ...op, block: undefined, backward: true, work: withTensors(op.work, (t) => copies.get(t) ?? t) }));
    before.set(block.first, [...(before.get(block.first) ?? []), ...again]);
  }
  const all = ops.flatMap((op, i): Op[] => [...(before.get(i) ?? []), op.backward === true ? { ...op, work: withTensors(op.work, (t) => replaced.get(t) ?? t) } : op]);
  const keep = (t: Tensor): boolean => pinned.has(t) || t.home.kind !== "work";
  return withoutDead({ ...traced, graph: { tensors: [...traced.graph.tensors, ...made], ops: withoutUnread(all, keep) } });
}

function blocksOf(ops: readonly Op[], keep: (t: Tensor) => boolean): Block[] {
  const members = new Map<number, Op[]>();
  const maker = new Map<Tensor, number>();
  for (const op of ops) {
    if (op.block === undefined || op.backward === true) continue;
    members.set(op.block, [...(members.get(op.block) ?? []), op]);
    for (const t of writesOf(op.work)) maker.set(t, op.block);
  }
  const kept = new Set<Tensor>();
  const saved = new Map<number, Map<Tensor, number>>();
  ops.forEach((op, at) => {
    for (const t of readsOf(op.work)) {
      const block = maker.get(t);
      if (block === undefined || op.block === block) continue;
      if (op.backward !== true || keep(t)) kept.add(t);
      else if (saved.get(block)?.has(t) !== true) saved.set(block, new Map([...(saved.get(block) ?? []), [t, at]]));
    }
  });
  const blocks = [...saved].sort(([a], [b]) => a - b).slice(0, -1).flatMap(([block, reads]): Block[] => {
    const own = [...reads].filter(([t]) => !kept.has(t));
    if (own.length === 0) return [];
    return [{ ops: members.get(block) ?? [], saved: new Set(own.map(([t]) => t)), kept, first: Math.min(...own.map(([, at]) => at)) }];
  });
  return blocks;
}

/** Operations of the block that the saved values come from, in order; what is kept is read where it lies. */
function needed(block: Block): Op[] {
  const wanted = new Set(block.saved);
  return [...block.ops].reverse().filter(({ work }) => {
    const own = writesOf(work).some((t) => wanted.has(t));
    if (own) for (const t of readsOf(work)) if (!block.kept.has(t)) wanted.add(t);
    return own;
  }).reverse();
}
