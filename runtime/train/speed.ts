/**
 * Images per second, recently and over all.
 *
 * Owns a short window of step times. The first step is left out of both: engines compile and allocate in it, and a rate
 * that includes it says nothing about the rest of a run.
 */

/** How many steps "recently" is. */
const WINDOW = 20;

/** Counts images against a clock in milliseconds. */
export class Speed {
  readonly #clock: () => number;
  readonly #recent: { readonly at: number; readonly total: number }[] = [];
  #first: { readonly at: number; readonly total: number } | undefined;
  #total = 0;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** A step with so many images has ended. */
  add(images: number): void {
    this.#total += images;
    const mark = { at: this.#clock(), total: this.#total };
    this.#first ??= mark;
    this.#recent.push(mark);
    if (this.#recent.length > WINDOW + 1) this.#recent.shift();
  }

  /** Images per second over the last steps; 0 before the second one. */
  recent(): number {
    return rate(this.#recent[0], this.#recent.at(-1));
  }

  /** Images per second since the first step. */
  overall(): number {
    return rate(this.#first, this.#recent.at(-1));
  }
}

interface Mark {
  readonly at: number;
  readonly total: number;
}

function rate(from: Mark | undefined, to: Mark | undefined): number {
  if (from === undefined || to === undefined || to.at <= from.at) return 0;
  return ((to.total - from.total) * 1000) / (to.at - from.at);
}
