/**
 * Who owns a tensor, and when it is used last.
 *
 * A function owns what its kernels return and the saved values it is given; parameters and ordinary inputs are borrowed.
 * What it owns it frees at last use or gives away, each once: to its caller by returning it, or to a callee that takes it
 * as a saved value. Whoever needs a value that is not his to give, or that is needed again, gives a second handle
 * (`k.share`), so that no tensor has two owners. All this is known at compile time; emitted code counts nothing.
 */
import type { Func, ValueId } from "../../tensor/ir.js";

/** Last uses and ownership in one function. Node numbers are indices in `func.nodes`. */
export class Liveness {
  readonly #last = new Map<ValueId, number>();
  readonly #owned = new Set<ValueId>();

  /** `constants` are values that are written as numbers and own nothing. */
  constructor(func: Func, constants: ReadonlySet<ValueId>) {
    for (const input of func.inputs) if (input.role === "saved") this.#owned.add(input.value);
    func.nodes.forEach((node, at) => {
      for (const arg of node.args) this.#last.set(arg, at);
      for (const r of node.results) if (!constants.has(r)) this.#owned.add(r);
    });
    for (const o of func.outputs) this.#last.set(o.value, Infinity);
  }

  /** Whether the function (still) owns a value. */
  owns(id: ValueId): boolean {
    return this.#owned.has(id);
  }

  /** Whether node `at` may give the value away: it is owned, and this is its last and only use there. */
  canGive(id: ValueId, at: number, args: readonly ValueId[]): boolean {
    return this.owns(id) && this.#last.get(id) === at && args.indexOf(id) === args.lastIndexOf(id);
  }

  /** The value is someone else's from now on. */
  give(id: ValueId): void {
    this.#owned.delete(id);
  }

  /** Values that die with node `at` (-1: inputs that are never used), in order; they are not owned any more. */
  dying(candidates: readonly ValueId[], at: number): ValueId[] {
    const dead = [...new Set(candidates)].filter((id) => this.owns(id) && (this.#last.get(id) ?? at) <= at);
    dead.forEach((id) => this.give(id));
    return dead;
  }
}
