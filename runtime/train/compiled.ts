/**
 * A compiled program, read back from its folder.
 *
 * Owns the checks between a folder on disk and the runtime: the manifest is JSON of a known format, the module has what the
 * contract asks for. What does not fit is a mistake of files (exit code 2) that names the file. What a plan says is looked
 * at by the engine that runs it.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Manifest } from "../abi.js";
import { HostError, errorText } from "../base/errors.js";
import type { ProgramModule } from "./engines.js";

/** What a trainer is made from. */
export interface CompiledProgram {
  readonly manifest: Manifest;
  readonly module: ProgramModule;
}

/** Loads `manifest.json` and `model.mjs` of `folder` (absolute). Throws `HostError` "bad-file". */
export async function loadCompiled(folder: string, shown: string): Promise<CompiledProgram> {
  const manifest = readManifest(folder, shown);
  const path = join(folder, "model.mjs");
  try {
    // A module is loaded once for its address: with its content in the address, a second program in this folder is not the first.
    const content = createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
    const module: unknown = await import(`${pathToFileURL(path).href}?${content}`);
    if (isModule(module)) return { manifest, module };
  } catch (error) {
    throw new HostError("bad-file", `cannot load ${shown}/model.mjs: ${errorText(error)}`, "compile the program again");
  }
  throw new HostError("bad-file", `${shown}/model.mjs is not a compiled model`, "compile the program again");
}

/** Reads the manifest. Throws `HostError` "bad-file". */
export function readManifest(folder: string, shown: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  } catch (error) {
    throw new HostError("bad-file", `cannot read ${shown}/manifest.json: ${errorText(error)}`, "name a folder that `jepac compile` or `jepac train` wrote");
  }
  if (isManifest(value)) return value;
  throw new HostError("bad-file", `${shown}/manifest.json is not a manifest of format 1`, "compile the program again with this version of jepac");
}

/** Format and kind are looked at; the rest was written by a compiler of that format. */
function isManifest(value: unknown): value is Manifest {
  return typeof value === "object" && value !== null && "format" in value && value.format === 1 && "parameters" in value && Array.isArray(value.parameters)
    && "program" in value && typeof value.program === "string" && "train" in value;
}

function isModule(value: unknown): value is ProgramModule {
  return typeof value === "object" && value !== null && (("step" in value && typeof value.step === "function" && "encoders" in value) || ("plan" in value && "kernels" in value));
}
