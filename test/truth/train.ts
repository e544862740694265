/** Training runs of the truth test: each is measured once, and kept. */
import { expect, test } from "vitest";
import type { Case } from "./corpus.js";
import { keyOf } from "./meaning.js";
import { isAs, measure } from "./measure.js";
import { earlier, keep, recall } from "./store.js";

/** A test for each program: it is trained unless its measurement is there. Programs that mean the same are trained once. */
export function trainAll(programs: readonly Case[], seed: number, steps: number): void {
  const wanted = new Map(programs.flatMap((one) => {
    const key = keyOf(one);
    return key === undefined || recall(key, seed, steps) !== undefined ? [] : [[key, one] as const];
  }).reverse());
  const todo = [...wanted].reverse().map(([key, one]) => ({ id: one.id, key, one }));
  test(`what is measured after ${steps} steps from seed ${seed} need not be trained`, () => expect(todo.length).toBeLessThanOrEqual(programs.length));
  for (const { id, key, one } of todo) {
    test(`${id}, seed ${seed}, ${steps} steps`, async () => {
      const before = earlier(id, seed, steps);
      const same = before !== undefined && (await isAs(before, one));
      const measured = same ? before : await measure(one, seed, steps);
      keep({ key, measured });
      const what = measured.failed ?? `loss ${measured.loss.first} -> ${measured.loss.last}, ${measured.seconds} s`;
      process.stderr.write(`${id}, seed ${seed}, ${steps} steps: ${same ? "compiled in another way, trains as before" : what}\n`);
      expect(measured.id).toBe(id);
    });
  }
}
