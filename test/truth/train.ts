/** One half of the training runs of the truth test: each is measured once, and kept. */
import { expect, test } from "vitest";
import type { Case } from "./corpus.js";
import { measure } from "./measure.js";
import { keep, keyOf, recall } from "./store.js";

/** A test for each program: it is trained unless its result is there. */
export function trainAll(programs: readonly Case[], seed: number): void {
  test.each(programs.map((p) => [p.id, p] as const))(`%s, seed ${seed}`, async (_, one) => {
    const key = keyOf(one, seed);
    const known = recall(one, seed, key);
    const measured = known ?? (await measure(one, seed));
    if (known === undefined) {
      keep(one, seed, key, measured);
      const what = measured.refused ?? measured.failed ?? `loss ${measured.loss.first.toPrecision(3)} -> ${measured.loss.last.toPrecision(3)}, ${measured.seconds} s`;
      process.stderr.write(`${one.id}, seed ${seed}: ${what}\n`);
    }
    expect(measured.id).toBe(one.id);
  });
}
