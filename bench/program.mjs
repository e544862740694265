/**
 * The model that the benchmarks time, compiled into a temporary folder, and the batch that every form of it is given.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { compile } from "../dist/compiler/index.js";

/** Its manifest and module, and the folder of `model.mjs`, which is gone when the process ends. */
export async function compiledBench() {
  const file = new URL("ijepa-bench.jepa", import.meta.url).pathname;
  const read = (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const result = compile({ file, text: readFileSync(file, "utf8"), read }, { program: "bench" });
  if (!result.ok) throw new Error(result.diagnostics.map((d) => d.message).join("\n"));
  const folder = mkdtempSync(join(tmpdir(), "jepac-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "model.mjs");
  writeFileSync(path, result.files.find((f) => f.path === "model.mjs").text);
  return { manifest: result.manifest, module: await import(pathToFileURL(path).href), folder };
}

/** Random pictures and masks of the sizes `c` (`smallConfig` of handwritten/tape.mjs). */
export function exampleBatch(c) {
  let state = 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const tokens = (c.image / c.patch) ** 2;
  const rows = (n, kept) => Int32Array.from(Array.from({ length: n }, () => {
    const order = Array.from({ length: tokens }, (_, i) => [random(), i]).sort((a, b) => a[0] - b[0]);
    return order.slice(0, kept).map(([, i]) => i).sort((a, b) => a - b);
  }).flat());
  const images = Float32Array.from({ length: c.batch * c.image * c.image * 3 }, () => random() * 2 - 1);
  return { images, context: rows(c.batch, c.context), targets: rows(c.targets * c.batch, c.target) };
}

/** An example as the engine of a compiled program takes it. */
export function stepBatch(example, c) {
  return {
    size: c.batch, images: { image: example.images }, draws: {},
    masks: { context: { count: 1, length: c.context, indices: example.context }, targets: { count: c.targets, length: c.target, indices: example.targets } },
  };
}

/** The upper median. */
export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
