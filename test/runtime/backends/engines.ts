/** The engines that the backend tests run on, and comparison of a tensor with a reference. */
import { expect, test } from "vitest";
import { EngineMissing, loadTf } from "../../../runtime/backends/tfjs/engine.js";
import type { LoadedTf, TfEngine } from "../../../runtime/backends/tfjs/engine.js";
import type { Tensor, Tf } from "../../../runtime/backends/tfjs/tf.js";
import type { Nd } from "./reference.js";

/** Whether an engine is here. The native one may be absent; that is said aloud, since its tests then do not run. */
export async function isPresent(name: TfEngine): Promise<boolean> {
  try {
    await loadTf(name);
    return true;
  } catch (error) {
    if (!(error instanceof EngineMissing) || name === "wasm" || name === "cpu") throw error;
    test(`${name} is not here, so nothing is tested on it`, () => {
      console.warn(`NOT TESTED: ${error.message}`);
      expect(error.message).toContain("setup-tfjs-node");
    });
    return false;
  }
}

export const load = (name: TfEngine): Promise<LoadedTf> => loadTf(name);

export const tensorOf = (tf: Tf, x: Nd): Tensor => tf.tensor(Float32Array.from(x.data), [...x.shape], "float32");

/** Largest difference relative to the reference's largest magnitude stays below `tolerance`. */
export function expectClose(actual: Tensor, reference: Nd, tolerance: number, what: string): void {
  expect(actual.shape, `shape of ${what}`).toEqual([...reference.shape]);
  const values = actual.dataSync();
  const scale = Math.max(1e-3, ...reference.data.map(Math.abs));
  let worst = 0;
  for (let i = 0; i < reference.data.length; i++) {
    const difference = Math.abs((values[i] ?? NaN) - (reference.data[i] ?? NaN)) / scale;
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
  }
  expect(worst, `worst relative error of ${what}`).toBeLessThan(tolerance);
}
