/// <reference types="@webgpu/types" />
/**
 * From a compiled program to a running engine.
 *
 * Owns the choice by target and the translation of a missing engine into a host error, and puts replicas beside an engine
 * where a run has them. What engines exist and how they are found is known in backends/; what a step does is known to the
 * engine.
 */
import { performance } from "node:perf_hooks";
import type { Engine, Manifest, TfjsModule, WgslModule } from "../abi.js";
import { EngineMissing, loadTf } from "../backends/tfjs/engine.js";
import type { Kernels } from "../backends/tfjs/kernels.js";
import { createTfjsEngine } from "../backends/tfjs/run.js";
import type { Tensor } from "../backends/tfjs/tf.js";
import { measureCeilings } from "../backends/webgpu/ceilings.js";
import { openNodeDevice } from "../backends/webgpu/device.js";
import { checkPlan } from "../backends/webgpu/check-plan.js";
import { createWebgpuEngine } from "../backends/webgpu/engine.js";
import type { Profile } from "../backends/webgpu/profile-report.js";
import { profileOf, profileText, profileTrace } from "../backends/webgpu/profile-report.js";
import type { Profiler } from "../backends/webgpu/profiler.js";
import { createProfiler } from "../backends/webgpu/profiler.js";
import { HostError } from "../base/errors.js";
import { initialState } from "./init.js";
import { checkEngineRuns, engineChoice, wrongEngine } from "./options.js";
import type { EngineChoice } from "./options.js";
import { openReplicas, replicaCount, replicaScript, threadsEach } from "./replicas.js";

/** The module of a program compiled for tfjs, as `model.mjs` exports it. */
export type CompiledModule = TfjsModule<Tensor, Kernels>;

/** What `model.mjs` of any target exports. */
export type ProgramModule = CompiledModule | WgslModule;

/** An engine that is ready, and what was passed over to get it. */
export interface ChosenEngine {
  readonly engine: Engine;
  /** One line for every better engine that is not here, with the reason. */
  readonly notes: readonly string[];
  /** Why this one, in a sentence. */
  readonly why: string;
  /** Processes that share each batch, this one counted; 1 unless said. */
  readonly replicas?: number;
  /** The profile of the steps so far, where one was asked for; undefined before enough steps. */
  readonly profile?: () => Promise<ProfileFiles | undefined>;
}

/** A profile in its three forms: for a terminal, as data, as a trace for a viewer. */
export interface ProfileFiles {
  readonly text: string;
  readonly data: Profile;
  readonly trace: string;
}

/** Wishes beside the engine itself. */
export interface EngineWishes {
  /** Look at this many steps as wholes and as many dispatch by dispatch. */
  readonly profile?: number;
  /** The run that the engine is for; without it, all is computed in this process. */
  readonly run?: PlannedRun;
}

/** What decides whether processes share the batches of a run. */
export interface PlannedRun {
  /** The folder of the compiled program, from which other processes load it. */
  readonly folder: string | undefined;
  readonly batch: number;
  readonly steps: number;
  /** The number of processes that was asked for. */
  readonly replicas: number | undefined;
}

/**
 * The engine for a compiled program, holding its initial parameters for `seed`. Throws `HostError` "usage" for an
 * engine that there is not, "no-engine" when the one asked for is not here, and "mismatch" for a program of another target.
 */
export async function createEngine(manifest: Manifest, module: ProgramModule, choice: EngineChoice = "auto", seed: number = manifest.train.seed, wishes: EngineWishes = {}): Promise<ChosenEngine> {
  engineChoice(choice);
  if (manifest.format !== 1) throw new HostError("mismatch", `this program has format ${String(manifest.format)}, this runtime reads format 1`, "compile it again, or install the version of jepac that made it");
  if ((manifest.target === "wgsl") !== ("plan" in module)) {
    throw new HostError("mismatch", `the manifest was compiled for ${manifest.target}, the module beside it was not`, "compile the program again into this folder");
  }
  if ("plan" in module) {
    checkEngineRuns("wgsl", choice);
    if (wishes.run !== undefined) replicaCount({ manifest, asked: wishes.run.replicas, batch: wishes.run.batch, steps: wishes.run.steps });
    return webgpuEngine(manifest, module, seed, wishes);
  }
  if (choice === "webgpu") throw wrongEngine("tfjs", choice);
  if (wishes.profile !== undefined) throw new HostError("usage", "--profile measures the kernels of a program that was compiled for wgsl; this one was compiled for tfjs", "add --target wgsl, or profile the process with node --cpu-prof");
  try {
    return await tfjsEngine(manifest, module, choice, seed, wishes.run);
  } catch (error) {
    if (!(error instanceof EngineMissing)) throw error;
    throw new HostError("no-engine", error.message, "run jepac doctor to see what this machine has, or leave --engine away", { cause: error });
  }
}

async function tfjsEngine(manifest: Manifest, module: CompiledModule, choice: Exclude<EngineChoice, "webgpu">, seed: number, run: PlannedRun | undefined): Promise<ChosenEngine> {
  const wanted = run === undefined ? 1 : replicaCount({ manifest, asked: run.replicas, batch: run.batch, steps: run.steps });
  const { tf, name, version, raw, notes } = await loadTf(choice, wanted === 1 ? {} : { threads: threadsEach(wanted) });
  const why = choice === "auto" ? "the fastest that is here" : "as asked";
  const host = { tf, raw, name, version, initial: initialState(manifest, seed) };
  // One graphics card is not shared, and plain JavaScript is for tests: there only who asks for replicas gets them.
  const count = run?.replicas === undefined && (name === "tfjs-node-gpu" || name === "cpu") ? 1 : wanted;
  const alone = async (lost?: string): Promise<ChosenEngine> => ({ engine: await createTfjsEngine(manifest, module, host), notes: lost === undefined ? notes : [...notes, `replicas: ${lost}`], why });
  if (count === 1) return alone();
  try {
    const replicas = await openReplicas({ manifest, count, script: replicaScript(), folder: run?.folder, engine: name, seed });
    try {
      return { engine: replicas.join(await createTfjsEngine(manifest, module, { ...host, allReduce: replicas.allReduce })), notes, why, replicas: count };
    } catch (error) {
      replicas.close();
      throw error;
    }
  } catch (error) {
    // Who asked for them is told; a run that would have had them by itself goes on without.
    if (run?.replicas !== undefined || !(error instanceof HostError)) throw error;
    return alone(error.message);
  }
}

async function webgpuEngine(manifest: Manifest, module: WgslModule, seed: number, wishes: EngineWishes): Promise<ChosenEngine> {
  checkPlan(module.plan);
  const { device, name, language, version, release } = await openNodeDevice(module, { timestamps: wishes.profile !== undefined });
  const profiler = wishes.profile === undefined ? undefined : createProfiler({ device, plan: module.plan, clock: () => performance.now(), steps: wishes.profile });
  const engine = await createWebgpuEngine(manifest, module, { device, name, language, version, release, profiler, initial: initialState(manifest, seed) });
  const why = "the one that runs wgsl";
  return profiler === undefined ? { engine, notes: engine.notes, why } : { engine, notes: engine.notes, why, profile: () => profileFiles(device, name, profiler) };
}

async function profileFiles(device: GPUDevice, name: string, profiler: Profiler): Promise<ProfileFiles | undefined> {
  const samples = profiler.samples();
  const data = profileOf(name, samples, await measureCeilings(device));
  return data === undefined ? undefined : { data, text: profileText(data), trace: profileTrace(name, samples) };
}
