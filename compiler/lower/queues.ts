/**
 * Queues of earlier keys: state that a step reads as the step before has left it and then pushes its own keys into.
 *
 * A queue is a matrix `[queue, width]` of unit rows, newest first (MoCo, He et al., 2020, 3.2 and algorithm 1). It starts as random directions, as
 * MoCo's code does, so that its first steps have negatives too. A step puts its keys in front, in the order of its
 * rows, and what is beyond the length falls off: of a step with more keys than the queue has room for, the first stay. No gradient passes
 * through it in either direction. Every use has a queue of its own, in a group of its own. Owns its name, its start and that rule; which rows are keys is the user's (`losses-batch.ts`).
 */
import type { Node, ParamDecl } from "../model/ir.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { f32 } from "../tensor/ir.js";
import { constantDim } from "../types/dim.js";

/** A queue of the step under construction. */
export interface Queue {
  /** Keys of earlier steps, `[queue, width]`. */
  readonly rows: ValueId;
  /** Says what this step's keys are, `[any number, width]`. */
  push(keys: ValueId): void;
}

/** All queues of a program. */
export interface Queues {
  /** The queue of a node, made at its only use. */
  open(node: Node, size: number, width: number): Queue;
  /** What each becomes, by path. */
  readonly next: ReadonlyMap<string, ValueId>;
  /** Their declarations, by absolute path, with the group that each is alone in. */
  readonly params: readonly (ParamDecl & { readonly group: string })[];
}

/** No queues yet. `nameOf` gives the group of a node's queue a name that nothing else has. */
export function createQueues(b: FuncBuilder, nameOf: (node: Node) => string): Queues {
  const next = new Map<string, ValueId>();
  const params: (ParamDecl & { readonly group: string })[] = [];
  return {
    next, params,
    open(node, size, width) {
      const group = nameOf(node);
      const path = `${group}.queue`;
      params.push({ path, group, shape: [size, width], stack: [], init: { kind: "unit_rows" }, role: "state", origin: node.origin });
      const rows = b.input(path, f32([constantDim(size), constantDim(width)]), "param");
      return {
        rows: b.op("stop_gradient", [rows]),
        push: (keys) => {
          const all = b.op("concat", [b.op("stop_gradient", [keys]), rows], { axis: 0 });
          next.set(path, b.op("slice", [all], { axis: 0, start: constantDim(0), size: constantDim(size) }));
        },
      };
    },
  };
}
