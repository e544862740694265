/**
 * Which programs may have their batches cut, proven by numbers: where the manifest says that images do not see each other,
 * the mean of the gradients of two halves is the gradient of the batch, in float64 and for every parameter; where it does
 * not say so, it is another one.
 */
import { expect, test } from "vitest";
import { compile } from "../../../compiler/compile.js";
import type { Manifest, StepBatch } from "../../../runtime/abi.js";
import { partOf } from "../../../runtime/backends/parts.js";
import { HostError } from "../../../runtime/base/errors.js";
import { initialState } from "../../../runtime/train/init.js";
import { readRepo } from "../../fidelity/compiled.js";
import { allowing, corpus, small } from "../../truth/corpus.js";
import { interpreted, relative } from "../targets/wgsl/oracle.js";
import { batchFor } from "../targets/wgsl/programs.js";

/** The small systems, and every sixth of the corpus; all 358 that have masks to draw were held against it once: none says wrongly that it may be cut. */
const cases = corpus().filter((c, i) => c.id.endsWith("-small") || i % 6 === 0);

/** Four images; undefined for the programs whose masks cannot be drawn. */
function drawn(manifest: Manifest): StepBatch | undefined {
  try {
    return batchFor(manifest, 1, 4);
  } catch (error) {
    if (error instanceof HostError && error.code === "bad-mask") return undefined;
    throw error;
  }
}

test("a batch may be cut exactly where its halves have its gradient", { timeout: 900_000 }, () => {
  const seen = { separable: 0, comparing: 0, needless: [] as string[], wrong: [] as string[] };
  for (const { id, file, text, set } of cases.map(small)) {
    const result = compile({ file, text: allowing(text), read: readRepo }, set === undefined ? {} : { set });
    const { manifest, step } = result;
    if (manifest === undefined || step === undefined) continue;
    const batch = drawn(manifest);
    if (batch === undefined) continue;
    const state = initialState(manifest, 3);
    const whole = interpreted(step, state, batch).grads;
    const halves = [0, 1].map((part) => interpreted(step, state, partOf(batch, part, 2)).grads);
    const apart = Math.max(0, ...[...whole].map(([name, grad]) => relative(grad.map((_, i) => halves.reduce((sum, half) => sum + (half.get(name)?.[i] ?? Number.NaN) / 2, 0)), grad)));
    if (manifest.train.separable === true) {
      seen.separable += 1;
      if (!(apart < 1e-9)) seen.wrong.push(`${id}: ${apart}`);
    } else {
      seen.comparing += 1;
      if (apart < 1e-9) seen.needless.push(id);
    }
  }
  console.info(`${seen.separable} programs may be cut, ${seen.comparing} not, of which the numbers would allow ${seen.needless.length}: ${seen.needless.join(", ")}`);
  expect(seen.wrong, "say that their batch may be cut").toEqual([]);
  expect(seen.separable).toBeGreaterThan(20);
  expect(seen.comparing).toBeGreaterThan(20);
});
