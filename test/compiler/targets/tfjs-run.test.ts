/**
 * Emitted tfjs modules compute what the interpreter computes, and hold no more memory than they must.
 */
import { beforeAll, expect, test, vi } from "vitest";
import type { LoadedTf } from "../../../runtime/backends/tfjs/engine.js";
import { compare, engines } from "./harness.js";
import { ijepa, odds, readInPart } from "./programs.js";

// The interpreter is slow and the engines take seconds to load on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let found: LoadedTf[] = [];
beforeAll(async () => {
  found = await engines();
});

test("a small I-JEPA gives the interpreter's loss, watches and gradients, and leaks nothing", async () => {
  for (const engine of found) {
    const run = await compare({ module: ijepa(), main: "main" }, { dims: { B: 3, K: 5, L: 4 }, indexBelow: 16 }, engine);
    console.info(`${engine.name}: worst relative error ${run.worst.toExponential(1)}, peak ${run.peakBytes - run.bytesBefore} bytes in ${run.peakTensors} tensors`);
    expect(run.worst).toBeGreaterThan(0);
  }
});

test("shared modules, learned constants of loops, cross attention and values returned twice come out right", async () => {
  for (const engine of found) {
    const run = await compare({ module: odds(), main: "main" }, { dims: { B: 2 }, indexBelow: 1 }, engine);
    expect(run.worst).toBeGreaterThan(0);
  }
});

test("layers of which a few rows are read come out right, with constants of the loop and sequences that are computed", async () => {
  for (const engine of found) {
    for (const dims of [{ B: 2, K: 3, L: 2 }, { B: 1, K: 1, L: 4 }]) {
      const run = await compare({ module: readInPart(), main: "main" }, { dims, indexBelow: 1 }, engine);
      expect(run.worst).toBeGreaterThan(0);
    }
  }
});

test("other sizes run through the same text", async () => {
  const [engine] = found;
  if (engine === undefined) throw new Error("no engine");
  for (const dims of [{ B: 1, K: 1, L: 1 }, { B: 2, K: 16, L: 7 }]) {
    await compare({ module: ijepa(1), main: "main" }, { dims, indexBelow: 16, seed: 5 }, engine);
  }
});

test("peak memory grows with depth by what a block saves, not by its temporaries", async () => {
  const [engine] = found;
  if (engine === undefined) throw new Error("no engine");
  const fill = { dims: { B: 4, K: 12, L: 8 }, indexBelow: 16 };
  const peaks: number[] = [];
  for (const depth of [2, 4, 6]) {
    const run = await compare({ module: ijepa(depth), main: "main" }, fill, engine);
    peaks.push(run.peakBytes - run.bytesBefore);
  }
  const [a = 0, b = 0, c = 0] = peaks;
  // Rows of one block of each kind times what it saves per row (floats): norm output, its y and rstd, o, middle, gelu and
  // slope, q, k, v, and probabilities; parameters' gradients beside.
  const saved = (rows: number, tokens: number, width: number): number => 4 * (rows * tokens * (width * 12 + 1) + rows * 2 * tokens * tokens + width * (9 * width + 8));
  const perTwo = 2 * (saved(4, 12, 12) + saved(8, 20, 8));
  console.info(`peak bytes at depths 2, 4, 6: ${peaks.join(", ")}; bound per two blocks ${perTwo}`);
  expect(b - a).toBe(c - b);
  expect(b - a).toBeLessThanOrEqual(perTwo);
});
