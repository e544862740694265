/**
 * Other programs of the examples on WebGPU: losses and gradients of one step against the float64 interpreter.
 *
 * Where features go through batch normalization some gradients are 0 in exact arithmetic and what float32 leaves of them
 * is noise; so a difference counts against the tensor's own size, or a share of the largest gradient where that is more.
 */
import { expect, test } from "vitest";
import { interpreted } from "../../../compiler/targets/wgsl/oracle.js";
import { batchFor, engineFor, hyperFor, moduleOf } from "../../../compiler/targets/wgsl/programs.js";
import { compileRepo } from "../../../fidelity/compiled.js";

const programs = [
  { file: "examples/data2vec-small.jepa", batch: 2, tolerance: 1e-4, floor: 0 },
  { file: "examples/mae-small.jepa", batch: 2, tolerance: 1e-4, floor: 0 },
  { file: "examples/dino-small.jepa", batch: 2, tolerance: 1e-4, floor: 0 },
  { file: "examples/simclr-small.jepa", batch: 4, tolerance: 3e-3, floor: 1e-2 },
  { file: "examples/vicreg-small.jepa", batch: 6, tolerance: 3e-3, floor: 1e-2 },
];

test.each(programs)("one step of $file has the interpreter's loss and gradients", async ({ file, batch, tolerance, floor }) => {
  const compiled = compileRepo(file);
  const ready = { ...compiled, module: moduleOf(compiled) };
  const { memory } = ready.module.plan;
  expect(memory.work).toBeLessThanOrEqual(1.25 * memory.lowerBound);
  const engine = await engineFor(ready);
  if (engine === undefined) return;
  try {
    const given = batchFor(ready.manifest, 1, batch);
    const wanted = interpreted(ready.step, await engine.exportState(), given);
    const got = await engine.step(given, hyperFor(ready.manifest, 1), { watch: false, gradientNorm: false });
    expect(Math.abs(got.loss / (wanted.losses.get("total")?.data[0] ?? NaN) - 1)).toBeLessThan(1e-3);
    const grads = await engine.gradients();
    expect([...grads.keys()].sort()).toEqual([...wanted.grads.keys()].sort());
    const most = (x: ArrayLike<number>): number => Array.from(x).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const largest = Math.max(...[...wanted.grads.values()].map(most));
    for (const [name, w] of wanted.grads) {
      const own = grads.get(name) ?? new Float32Array();
      const apart = w.reduce((m, v, i) => Math.max(m, Math.abs(v - (own[i] ?? NaN))), 0) / Math.max(most(w), floor * largest);
      expect({ name, apart: apart < tolerance ? 0 : apart }).toEqual({ name, apart: 0 });
    }
  } finally {
    engine.dispose();
  }
}, 120_000);
