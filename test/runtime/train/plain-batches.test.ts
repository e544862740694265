/**
 * Batches without threads are those of the loader with threads, bit for bit, in any order of asking.
 */
import { expect, test } from "vitest";
import { syntheticSource } from "../../../runtime/data/synthetic.js";
import { openBatches } from "../../../runtime/train/batches.js";
import { plainBatches } from "../../../runtime/train/plain-batches.js";
import { compileRepo } from "../../fidelity/compiled.js";

test.each(["examples/ijepa-small.jepa", "examples/simclr-small.jepa", "examples/lejepa-small.jepa"])("%s: pictures, masks and random tensors are the same", async (file) => {
  const { manifest } = compileRepo(file);
  const source = syntheticSource({ count: 10, side: 32, seed: 0 });
  const recipe = { batch: 4, seed: 5 };
  const plain = plainBatches(manifest, source, recipe);
  const loader = await openBatches(manifest, source, recipe, { workers: 0 });
  // Two batches to an epoch: the third one is of another order. Steps are asked for out of turn, as after a resume.
  for (const step of [0, 2, 1, 5]) {
    const [a, b] = [await plain.next(step), await loader.next(step)];
    expect(a).toEqual(b);
    expect(Object.values(a.images).every((x) => x.some((v) => v !== x[0]))).toBe(true);
  }
  expect((await plain.next(0)).images).not.toEqual((await plain.next(1)).images);
  await loader.close();
});
