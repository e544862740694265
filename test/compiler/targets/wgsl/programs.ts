/**
 * Small programs for the tests of the wgsl target, compiled from source, with a device to run them on.
 */
import { sampleMasks } from "../../../../runtime/masks/sample.js";
import { emitWgsl } from "../../../../compiler/targets/wgsl/emit.js";
import { portable } from "../../../../compiler/targets/wgsl/plan.js";
import type { PlanLimits, Precision } from "../../../../compiler/targets/wgsl/plan.js";
import type { Hyper, Manifest, NumberInput, StepBatch, WgslModule } from "../../../../runtime/abi.js";
import { stream } from "../../../../runtime/base/random.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { nodeLimits, openNodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import type { WebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { createWebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import { HostError } from "../../../../runtime/base/errors.js";
import type { CompiledModule } from "../../../../runtime/train/engines.js";
import { initialState } from "../../../../runtime/train/init.js";
import type { Ready } from "../../../fidelity/compiled.js";
import { compileRepo, importModule } from "../../../fidelity/compiled.js";

/** I-JEPA with sizes that fit no tile: width 36, heads of 12, a 6 x 6 grid. */
export const tinyText = `use "../specs/ijepa.jepa"
variant tiny of ijepa {
  param image_size = 24
  param patch      = 4
  param width      = 36
  param depth      = 2
  param heads      = 3
  mask targets = 4 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 2)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 2) minus targets
  predictor predict = vit_predictor(width: 24, depth: 2, heads)
  train {
    data           shapes(count: 64)
    epochs         50
    batch          5
    learning_rate  cosine(2e-4 -> 1.5e-3 -> 1e-5, warmup: 1 epochs)
  }
}
`;

/** What a plan must fit on this machine, with tiles for its kind of device; the portable profile where there is no device. */
export const here: PlanLimits = await nodeLimits().catch((error: unknown) => {
  if (!(error instanceof HostError)) throw error;
  return portable;
});

/** A compiled program with its plan. */
export interface WithPlan extends Ready {
  readonly module: WgslModule;
}

/** Compiles the text as if it stood in examples/. */
export function compilePlan(text = tinyText, program = "tiny", limits?: PlanLimits, precision?: Precision): WithPlan {
  const ready = compileRepo("examples/wgsl-test.jepa", { text, program, target: "wgsl", ...(precision?.storage === "f16" ? { precision: "f16" } : {}) });
  return { ...ready, module: moduleOf(ready, limits, precision) };
}

/** The tfjs module of the same text, to compare with. */
export function tfjsOf(text = tinyText, program = "tiny"): Promise<CompiledModule> {
  return importModule(compileRepo("examples/wgsl-test.jepa", { text, program }));
}

/** Plan and kernels of a compiled program, as a run has them: from the texts of its files. */
export function moduleOf(ready: Ready, limits: PlanLimits = here, precision?: Precision): WgslModule {
  const { files } = emitWgsl(ready.step, ready.manifest, limits, precision);
  const plan: WgslModule["plan"] = JSON.parse(files.find((f) => f.path === "plan.json")?.text ?? "");
  return { plan, kernels: Object.fromEntries(files.filter((f) => f.path.endsWith(".wgsl")).map((f) => [f.path, f.text])) };
}

/** A device, or undefined where WebGPU has none here; that is said aloud. */
export async function deviceFor(module: WgslModule): Promise<NodeDevice | undefined> {
  try {
    return await openNodeDevice(module);
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== "no-engine") throw error;
    console.warn(`NOT TESTED: the wgsl target on a device: ${error.message}; ${error.help}`);
    return undefined;
  }
}

/** An engine for a compiled plan, or undefined where there is no device. */
export async function engineFor(ready: WithPlan, seed = 1): Promise<WebgpuEngine | undefined> {
  const node = await deviceFor(ready.module);
  if (node === undefined) return undefined;
  return createWebgpuEngine(ready.manifest, ready.module, { device: node.device, name: node.name, language: node.language, version: node.version, release: () => node.release(), initial: initialState(ready.manifest, seed) });
}

/** A batch of noise with the masks of a step. */
export function batchFor(manifest: Manifest, step: number, size = manifest.train.batch): StepBatch {
  const images: Record<string, Float32Array> = {};
  for (const view of manifest.views) {
    const next = stream(7, `pixels ${view.name} ${step}`, 0);
    const channels = manifest.inputs.find((i) => i.name === view.input)?.channels ?? 3;
    images[view.name] = Float32Array.from({ length: size * (view.frames ?? 1) * view.height * view.width * channels }, () => 2 * next.uniform() - 1);
  }
  const masks = Object.fromEntries(sampleMasks(manifest.masks, { seed: 3, step, batch: size }));
  const draws = Object.fromEntries(manifest.draws.map((d) => {
    const next = stream(7, `draw ${d.name} ${step}`, 0);
    return [d.name, Float32Array.from({ length: d.shape.reduce((n, x) => n * x, 1) }, () => (d.distribution === "normal" ? next.normal() : next.uniform()))];
  }));
  return { size, images, ...(manifest.numbers === undefined ? {} : { numbers: numbersFor(manifest.numbers, step, size) }), masks, draws };
}

/** Actions at random; of a label, one class for each image. */
function numbersFor(inputs: readonly NumberInput[], step: number, size: number): Record<string, Float32Array> {
  return Object.fromEntries(inputs.map(({ name, kind, shape }) => {
    const next = stream(7, `numbers ${name} ${step}`, 0);
    const each = shape.reduce((n, x) => n * x, 1);
    const rows = Array.from({ length: size }, () => {
      const chosen = next.int(each);
      return Array.from({ length: each }, (_, i) => (kind === "action" ? next.normal() : Number(i === chosen)));
    });
    return [name, Float32Array.from(rows.flat())];
  }));
}

/** Scalars as a run in its middle has them. */
export function hyperFor(manifest: Manifest, step: number): Hyper {
  return { step, learningRate: 1e-3, weightDecay: 0.05, momentum: Object.fromEntries(manifest.ema.map((e) => [e.target, 0.99])) };
}
