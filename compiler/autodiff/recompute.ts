/**
 * Save or recompute: how the backward function comes by each forward value that it reads.
 *
 * Inputs are the caller's, who passes them again. A value that is only another view of something (reshape, transpose,
 * broadcast, a copy of rows, patches of an image, an end of a sequence) is made again from what it is a view of, so that no bytes are saved
 * twice; slices likewise, where their root is at hand or the needed slices cover it (q, k and v of one projection).
 * With `elementwise` also an elementwise op whose operands are at hand anyway is made again: less memory, more arithmetic.
 * Everything else is saved. Decisions only; `differentiate.ts` builds.
 */
import type { Func, Node, ValueId } from "../tensor/ir.js";
import { producers } from "../tensor/visit.js";
import type { OpName } from "../tensor/ops.js";
import { elementwise } from "../tensor/ops.js";
import { constantDim, equal, total } from "../types/dim.js";

/** How much to recompute rather than save. */
export type RecomputePolicy = "views" | "elementwise";

/** How each needed forward value is had. */
export interface RecomputePlan {
  /** Values that come from outside (an input handed back, or saved), in order. */
  readonly sources: readonly ValueId[];
  /** Values to make again, by their producing node. */
  readonly remade: ReadonlyMap<ValueId, Node>;
}

const views: ReadonlySet<OpName> = new Set<OpName>([
  "reshape", "transpose", "broadcast", "tile_batch", "stop_gradient", "to_f32", "one_hot", "patchify", "unpatchify", "fill", "iota",
  // A weight times the scale of a norm: as large as the weight, which the caller has anyway.
  "scale_rows",
  "stack_front", "stack_last",
]);

/** Plans for the needed values; `given` are the inputs that the caller hands back. Values outside `func.values` are saved. */
export function planRecompute(func: Func, needed: Iterable<ValueId>, given: ReadonlySet<ValueId>, policy: RecomputePolicy): RecomputePlan {
  const made = producers(func);
  const sources = new Set<ValueId>();
  const remade = new Map<ValueId, Node>();
  const wanted = [...needed].sort((a, b) => a - b);
  const covered = coveredRoots(wanted.flatMap((id) => made.get(id) ?? []), func);
  const isAtHand = (id: ValueId): boolean => given.has(id) || sources.has(id) || remade.has(id);
  const obtain = (id: ValueId): void => {
    if (isAtHand(id)) {
      if (!remade.has(id)) sources.add(id);
      return;
    }
    const node = made.get(id);
    if (node === undefined || !canRemake(node)) sources.add(id);
    else {
      node.args.forEach(obtain);
      remade.set(id, node);
    }
  };
  const canRemake = (node: Node): boolean => {
    if (views.has(node.op)) return true;
    if (node.op === "slice") return node.args.every((a) => covered.has(a) || isAtHand(a) || wanted.includes(a));
    return policy === "elementwise" && elementwise.has(node.op) && node.args.every((a) => isAtHand(a) || isFree(a));
  };
  /** Made from nothing that would have to be saved for it. */
  const isFree = (id: ValueId): boolean => {
    const node = made.get(id);
    return node !== undefined && canRemake(node) && node.args.every((a) => isAtHand(a) || isFree(a));
  };
  for (const id of wanted) obtain(id);
  return { sources: [...sources].sort((a, b) => a - b), remade };
}

/** Operands of which the needed slices, along one axis, add up to the whole. */
function coveredRoots(nodes: readonly Node[], func: Func): Set<ValueId> {
  const slices = nodes.filter((n) => n.op === "slice");
  return new Set(
    slices.flatMap((slice) => {
      const root = slice.args[0] ?? -1;
      const siblings = new Set(slices.filter((s) => s.args[0] === root && s.attrs.axis === slice.attrs.axis));
      const whole = func.values[root]?.type.shape[slice.attrs.axis] ?? constantDim(-1);
      return equal(total([...siblings].map((s) => s.attrs.size)), whole) ? [root] : [];
    }),
  );
}
