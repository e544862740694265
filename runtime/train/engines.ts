/**
 * From a compiled program to a running engine.
 *
 * Owns the choice by target and the translation of a missing engine into a host error. What engines exist and how they
 * are found is known in backends/; what a step does is known to the engine.
 */
import type { Engine, Manifest, TfjsModule } from "../abi.js";
import { EngineMissing, loadTf } from "../backends/tfjs/engine.js";
import type { Kernels } from "../backends/tfjs/kernels.js";
import { createTfjsEngine } from "../backends/tfjs/run.js";
import type { Tensor } from "../backends/tfjs/tf.js";
import { HostError } from "../base/errors.js";
import { initialState } from "./init.js";
import type { EngineChoice } from "./options.js";

/** The module of a compiled program, as `model.mjs` exports it. */
export type CompiledModule = TfjsModule<Tensor, Kernels>;

/** An engine that is ready, and what was passed over to get it. */
export interface ChosenEngine {
  readonly engine: Engine;
  /** One line for every better engine that is not here, with the reason. */
  readonly notes: readonly string[];
  /** Why this one, in a sentence. */
  readonly why: string;
}

/**
 * The engine for a compiled program, holding its initial parameters for `seed`. Throws `HostError` "no-engine" when the
 * one asked for is not here, and "mismatch" for a program of another target.
 */
export async function createEngine(manifest: Manifest, module: CompiledModule, choice: EngineChoice = "auto", seed: number = manifest.train.seed): Promise<ChosenEngine> {
  if (manifest.format !== 1) throw new HostError("mismatch", `this program has format ${String(manifest.format)}, this runtime reads format 1`, "compile it again, or install the version of jepac that made it");
  if (manifest.target !== "tfjs") throw new HostError("no-engine", `this program was compiled for ${manifest.target}, which this trainer does not run`, "compile it with --target tfjs");
  try {
    const { tf, name, version, raw, notes } = await loadTf(choice);
    const engine = await createTfjsEngine(manifest, module, { tf, raw, name, version, initial: initialState(manifest, seed) });
    return { engine, notes, why: choice === "auto" ? "the fastest that is here" : "as asked" };
  } catch (error) {
    if (!(error instanceof EngineMissing)) throw error;
    throw new HostError("no-engine", error.message, "run jepac doctor to see what this machine has, or leave --engine away", { cause: error });
  }
}
