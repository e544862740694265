/**
 * Finds the TensorFlow.js engine to train on.
 *
 * Four engines speak one API. "auto" takes the quickest that is there: a native one when the user has it (or when
 * `scripts/setup-tfjs-node.mjs` has built it into `.engines/tfjs-node`), otherwise wasm, which plain npm always carries.
 * It never falls back in silence: `notes` says which engines were passed over and why, for the run's first lines.
 *
 * Packages are loaded with `require`: tfjs ships CommonJS, and its parts (core, wasm backend) must be one instance.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { scriptCommand } from "../ways.js";
import { nodeBackend } from "./tf.js";
import type { Tf } from "./tf.js";

/** Engines that run compiled tfjs modules, quickest first; "cpu" is plain JavaScript and only for tests. */
export const tfEngines = ["tfjs-node-gpu", "tfjs-node", "wasm", "cpu"] as const;

/** Name of an engine, see {@link tfEngines}. */
export type TfEngine = (typeof tfEngines)[number];

/** An engine that is loaded and ready. */
export type LoadedTf = {
  readonly tf: Tf;
  readonly name: TfEngine;
  /** tfjs version, and the TensorFlow library's where there is one: "4.22.0 (TensorFlow 2.21.0)". */
  readonly version: string;
  /** True where any TensorFlow op can be run by name (the native engines). */
  readonly raw: boolean;
  /** One line for each better engine that was passed over, with the reason and the way to get it. */
  readonly notes: readonly string[];
};

/** An engine that was asked for cannot be loaded; the message says what is missing and what gets it. */
export class EngineMissing extends Error {
  override readonly name = "EngineMissing";
  constructor(readonly engine: TfEngine, reason: string, way: string) {
    super(`engine ${engine}: ${reason}; ${way}`);
  }
}

/** What to type to get an engine. */
export function wayToGet(name: TfEngine): string {
  switch (name) {
    case "tfjs-node-gpu": return "npm install --no-save @tensorflow/tfjs-node-gpu@4.22.0 (NVIDIA, CUDA 11.2, cuDNN 8.1)";
    case "tfjs-node": return scriptCommand("setup-tfjs-node.mjs");
    case "wasm": return "npm install @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0";
    case "cpu": return "npm install @tensorflow/tfjs@4.22.0";
  }
}

/**
 * Loads an engine, or the best one present. `threads`: how many one op of the processor's native engine may use (all
 * cores unless said); it holds for the whole process, from the first load on.
 * @throws EngineMissing when the engine asked for (or, for "auto", even wasm) cannot be loaded.
 */
export async function loadTf(choice: "auto" | TfEngine, options: { readonly threads?: number | undefined } = {}): Promise<LoadedTf> {
  const { threads } = options;
  if (choice !== "auto") return { ...(await loadEngine(choice, threads)), notes: [] };
  const notes: string[] = [];
  for (const name of ["tfjs-node-gpu", "tfjs-node"] as const) {
    try {
      return { ...(await loadEngine(name, threads)), notes };
    } catch (error) {
      if (!(error instanceof EngineMissing)) throw error;
      notes.push(error.message);
    }
  }
  return { ...(await loadEngine("wasm", threads)), notes };
}

type Engine = Omit<LoadedTf, "notes">;

async function loadEngine(name: TfEngine, threads: number | undefined): Promise<Engine> {
  switch (name) {
    case "tfjs-node-gpu":
    case "tfjs-node":
      return loadNative(name, threads);
    case "wasm":
      return loadWasm();
    case "cpu":
      return loadPlain();
  }
}

/**
 * Folders from which `@tensorflow/tfjs-node` may resolve: the caller's, this package's, and every `.engines/tfjs-node`
 * on the way up from either.
 */
export function nativeRoots(cwd: string = process.cwd()): string[] {
  const here = dirname(fileURLToPath(import.meta.url));
  const built = [...ancestors(cwd), ...ancestors(here)].map((folder) => join(folder, ".engines", "tfjs-node"));
  return [...new Set([cwd, here, ...built.filter((folder) => existsSync(folder))])];
}

function ancestors(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}

function loadNative(name: "tfjs-node-gpu" | "tfjs-node", threads: number | undefined): Engine {
  if (Number(process.versions.node.split(".")[0]) >= 23) {
    throw new EngineMissing(name, `does not work on Node ${process.versions.node}`, "use Node 20 or 22");
  }
  prepareNative(name === "tfjs-node" ? threads : undefined);
  const failures: string[] = [];
  for (const root of nativeRoots()) {
    const require = createRequire(join(root, "resolve-from-here.js"));
    const packageName = `@tensorflow/${name}`;
    try {
      require.resolve(packageName);
    } catch {
      continue;
    }
    try {
      const tf: Tf = require(packageName);
      const library = nodeBackend(tf)?.binding.TF_Version ?? "unknown";
      return { tf, name, version: `${tf.version.tfjs} (TensorFlow ${library})`, raw: true };
    } catch (error) {
      failures.push(firstLine(error));
    }
  }
  throw new EngineMissing(name, failures[0] ?? "not installed", `to get it: ${wayToGet(name)}`);
}

/** Defaults for the native library, set before it is opened; what the user has set stays. */
function prepareNative(threads: number | undefined): void {
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
  process.env["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true";
  // TensorFlow turns oneDNN's products on by itself only with AVX-512; with AVX2 they take a fifth off a step as well.
  process.env["TF_ENABLE_ONEDNN_OPTS"] ??= "1";
  if (threads !== undefined) process.env["TF_NUM_INTRAOP_THREADS"] ??= String(threads);
}

async function loadWasm(): Promise<Engine> {
  const require = createRequire(import.meta.url);
  try {
    const tf: Tf = require("@tensorflow/tfjs");
    const wasm: WasmModule = require("@tensorflow/tfjs-backend-wasm");
    const folder = dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"));
    wasm.setWasmPaths(join(folder, "dist") + "/");
    if (!(await tf.setBackend("wasm"))) throw new Error("the backend did not start");
    await tf.ready();
    return { tf, name: "wasm", version: tf.version.tfjs, raw: false };
  } catch (error) {
    throw new EngineMissing("wasm", firstLine(error), `to get it: ${wayToGet("wasm")}`);
  }
}

type WasmModule = { setWasmPaths(folder: string): void };

async function loadPlain(): Promise<Engine> {
  const require = createRequire(import.meta.url);
  try {
    const tf: Tf = require("@tensorflow/tfjs");
    await tf.setBackend("cpu");
    await tf.ready();
    return { tf, name: "cpu", version: tf.version.tfjs, raw: false };
  } catch (error) {
    throw new EngineMissing("cpu", firstLine(error), `to get it: ${wayToGet("cpu")}`);
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n").find((line) => line.trim() !== "") ?? "unknown reason").trim();
}
