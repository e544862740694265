/** Training runs of the truth test: each is measured once, and kept. */
import { expect, test } from "vitest";
import type { Case } from "./corpus.js";
import { keyOf } from "./meaning.js";
import { isAs, measure } from "./measure.js";
import { earlier, keep, recall } from "./store.js";

/** A test for each program: it is trained unless its measurement is there, its own or that of one that means the same. */
export function trainAll(programs: readonly Case[], seed: number, steps: number): void {
  test(`${programs.length} programs from seed ${seed} for ${steps} steps`, () => expect(new Set(programs.map((one) => one.id)).size).toBe(programs.length));
  for (const one of programs) {
    test(`${one.id}, seed ${seed}, ${steps} steps`, async () => {
      const key = keyOf(one);
      if (key === undefined || recall(key, seed, steps) !== undefined) return;
      const before = earlier(one.id, seed, steps);
      const same = before !== undefined && (await isAs(before, one));
      const measured = same ? before : await measure(one, seed, steps);
      keep({ key, measured });
      const what = measured.failed ?? `loss ${measured.loss.first} -> ${measured.loss.last}, ${measured.seconds} s`;
      process.stderr.write(`${one.id}, seed ${seed}, ${steps} steps: ${same ? "written in another way, trains as before" : what}\n`);
      expect(measured.id).toBe(one.id);
    });
  }
}
