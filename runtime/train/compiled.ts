/**
 * A compiled program, read back from its folder.
 *
 * Owns the checks between a folder on disk and the runtime: the manifest is JSON of a known format, the files that it names
 * are there, the module has what the contract asks for. What does not fit is a mistake of files (exit code 2) that names the
 * file and the command that makes it. Files that are not as they were compiled are somebody's experiment, and told. What a
 * plan says is looked at by the engine that runs it.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Manifest } from "../abi.js";
import { counted } from "../base/counted.js";
import { HostError, errorText } from "../base/errors.js";
import { readBytes } from "../base/files.js";
import type { ProgramModule } from "./engines.js";
import { isRecord } from "./guards.js";
import { shellWord } from "./run-folder.js";

/** What a trainer is made from. */
export interface CompiledProgram {
  readonly manifest: Manifest;
  readonly module: ProgramModule;
  /** What a person should know of its files before they are run. */
  readonly warnings: readonly string[];
}

/** Loads `manifest.json` and `model.mjs` of `folder`, which messages call `shown`. Throws `HostError` "bad-file". */
export async function loadCompiled(folder: string, shown: string = folder): Promise<CompiledProgram> {
  const manifest = readManifest(folder, shown);
  const { missing, changed } = await comparedFiles(folder, manifest);
  const warnings = changed.length === 0 ? [] : [`${named(changed)} of ${shown} ${changed.length === 1 ? "is not as it was" : "are not as they were"} compiled: what runs is not what ${manifest.source.file} says`];
  if (missing.length > 0) throw new HostError("bad-file", `${shown} lacks ${named(missing)}`, compileAgain(manifest, shown));
  const path = join(folder, "model.mjs");
  try {
    // A module is loaded once for its address: with its content in the address, a second program in this folder is not the first.
    const content = createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
    const module: unknown = await import(`${pathToFileURL(path).href}?${content}`);
    if (isModule(module)) return { manifest, module, warnings };
  } catch (error) {
    throw new HostError("bad-file", `cannot load ${shown}/model.mjs: ${errorText(error)}`, compileAgain(manifest, shown));
  }
  throw new HostError("bad-file", `${shown}/model.mjs is not a compiled model`, compileAgain(manifest, shown));
}

/** Files of a compiled program (in `folder`, absolute) that are not there, and those that are not as they were compiled. Throws `HostError` "io". */
export async function comparedFiles(folder: string, manifest: Manifest): Promise<{ readonly missing: readonly string[]; readonly changed: readonly string[] }> {
  const missing: string[] = [];
  const changed: string[] = [];
  for (const [name, hash] of Object.entries(manifest.files ?? { "model.mjs": undefined })) {
    const path = join(folder, name);
    if (!existsSync(path)) missing.push(name);
    else if (hash !== undefined && createHash("sha256").update(await readBytes(path)).digest("hex") !== hash) changed.push(name);
  }
  return { missing, changed };
}

/** A few names, and how many more. */
export function named(files: readonly string[]): string {
  const more = files.length - 3;
  return more > 0 ? `${files.slice(0, 3).join(", ")} and ${counted(more, "other file")}` : files.join(", ");
}

/** The way out of a folder that is not whole. */
function compileAgain({ source, program, target, precision }: Manifest, shown: string): string {
  const words = [source.file, "--program", program, ...(target === "wgsl" ? ["--target", target] : []), ...(precision === undefined ? [] : ["--precision", precision]), "-o", shown];
  return `compile the program again: npx jepac compile ${words.map(shellWord).join(" ")} (with the --set, --batch and --device that it had)`;
}

/** Reads the manifest of `folder`, which messages call `shown`. Throws `HostError` "bad-file". */
export function readManifest(folder: string, shown: string = folder): Manifest {
  if (!existsSync(join(folder, "manifest.json"))) throw new HostError("bad-file", `${shown} has no manifest.json, so it is no compiled program`, `name a folder that \`jepac compile\` or \`jepac train\` wrote, or make it one: npx jepac compile <program>.jepa -o ${shellWord(shown)}`);
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
    && "program" in value && typeof value.program === "string" && "train" in value && "source" in value && isRecord(value.source) && typeof value.source["file"] === "string";
}

function isModule(value: unknown): value is ProgramModule {
  return typeof value === "object" && value !== null && (("step" in value && typeof value.step === "function" && "encoders" in value) || ("plan" in value && "kernels" in value));
}
