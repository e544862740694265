/**
 * Runs for the weight tests: a compiled program and a checkpoint whose every value is away from where training starts.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Manifest } from "../../runtime/abi.js";
import { loadTf } from "../../runtime/backends/tfjs/engine.js";
import { createTfjsEngine } from "../../runtime/backends/tfjs/run.js";
import { stream } from "../../runtime/base/random.js";
import { loadCompiled } from "../../runtime/train/compiled.js";
import { encodeCheckpoint } from "../../runtime/train/checkpoint.js";
import { initialState } from "../../runtime/train/init.js";
import { jepac } from "../compiler/cli/support.js";

/** A folder that is gone after the tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "jepac-weights-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A run folder with its values. */
export interface MadeRun {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly state: ReadonlyMap<string, Float32Array>;
}

/** Compiles `text` into a run folder and writes a checkpoint of noisy values; `spare` names parameters that keep their start. */
export async function makeRun(text: string, options: { readonly words?: readonly string[]; readonly spare?: (name: string) => boolean } = {}): Promise<MadeRun> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "program.jepa"), text);
  const compiled = await jepac(["compile", "program.jepa", "-o", "run/compiled", ...(options.words ?? [])], { cwd: folder });
  if (compiled.code !== 0) throw new Error(`the program does not compile:\n${compiled.err}${compiled.out}`);
  const run = join(folder, "run");
  const { manifest } = await loadCompiled(join(run, "compiled"), "compiled");
  const state = initialState(manifest, 7);
  for (const [name, values] of state) {
    if (options.spare?.(name) === true) continue;
    const draws = stream(11, `noise ${name}`);
    // Exact in bfloat16 neither before nor after: rounding somewhere on the way would show.
    values.forEach((v, i) => { values[i] = v + 0.08 * draws.normal(); });
  }
  const checkpoint = encodeCheckpoint({
    step: 5, totalSteps: 9, seed: 7, batch: 16, data: "noise", program: manifest.program, hash: manifest.source.hash, engine: "wasm", state, queues: new Map(), monitors: "[]",
  }, manifest.parameters);
  writeFileSync(join(run, "checkpoint.safetensors"), checkpoint);
  return { folder: run, manifest, state };
}

/** Token features of normalized NHWC pictures under an encoder of a run, on the wasm engine. */
export async function features(run: MadeRun, encoder: string, images: Float32Array, n: number): Promise<Float32Array> {
  const { manifest, module } = await loadCompiled(join(run.folder, "compiled"), "compiled");
  if (!("step" in module)) throw new Error("the run was compiled for tfjs");
  const loaded = await loadTf("wasm");
  const engine = await createTfjsEngine(manifest, module, { ...loaded, initial: run.state });
  try {
    return await engine.encode(encoder, images, n);
  } finally {
    engine.dispose();
  }
}

/** NHWC as NCHW, which other libraries take. */
export function channelsFirst(images: Float32Array, n: number, side: number, channels = 3): Float32Array {
  const out = new Float32Array(images.length);
  const area = side * side;
  for (let b = 0; b < n; b++) for (let at = 0; at < area; at++) for (let c = 0; c < channels; c++) out[(b * channels + c) * area + at] = images[(b * area + at) * channels + c] ?? Number.NaN;
  return out;
}
