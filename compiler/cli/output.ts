/**
 * A compiled program as a folder on disk.
 *
 * Owns three promises. A failed write leaves the old folder as it was: all files are first written beside their places,
 * flushed, and only then renamed, the manifest last. A folder that holds something else is not written into. And
 * `node out/train.mjs` finds the runtime: where `jepac` does not resolve from the folder, a link to this installation is
 * put there, and said. What was made for nothing can be taken away again.
 */
import { existsSync, readFileSync, readdirSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CompiledFile } from "../compile.js";
import { systemCode } from "../../runtime/base/errors.js";
import { makeFolder } from "../../runtime/base/files.js";
import { CliError } from "./command.js";
import { reason } from "./source.js";

/** Writes `files` into `folder` (absolute), which is made when missing. @throws CliError */
export function writeFolder(folder: string, files: readonly CompiledFile[], shown: string): void {
  refuseForeign(folder, shown);
  const stage = join(folder, `.jepac-${process.pid}`);
  const before = planFiles(folder);
  try {
    makeFolder(stage);
    for (const file of files) writeFileSync(join(stage, file.path), file.text, { flush: true });
    const ordered = files.toSorted((a, b) => Number(a.path === "manifest.json") - Number(b.path === "manifest.json"));
    for (const file of ordered) renameSync(join(stage, file.path), join(folder, file.path));
    // Kernels of the plan that was there would pass for this program's.
    for (const path of before) if (!files.some((f) => f.path === path)) rmSync(join(folder, path), { force: true });
  } catch (error) {
    throw new CliError(`cannot write into ${shown}: ${reason(error)}`, "the files that were there are unchanged; free some space, or give another folder");
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** The files of a plan that is in a folder: itself and its kernels. None where there is no plan that can be read. */
function planFiles(folder: string): string[] {
  try {
    const plan: { readonly kernels?: readonly { readonly file: string; readonly forms?: readonly { readonly file: string }[] }[] } = JSON.parse(readFileSync(join(folder, "plan.json"), "utf8"));
    const kernels = (plan.kernels ?? []).flatMap(({ file, forms = [] }) => [file, ...forms.map((f) => f.file)]);
    return ["plan.json", ...kernels.filter((path) => /^[\w.-]+\.wgsl$/.test(path))];
  } catch {
    return [];
  }
}

/** What a folder to write into (absolute) holds; nothing where it is missing. @throws CliError for a file, and a place below one. */
export function namesIn(folder: string, shown: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw new CliError(systemCode(error) === "ENOTDIR" ? `cannot write into ${shown}: ${existsSync(folder) ? "it is a file" : "it would lie below a file"}` : `cannot write into ${shown}: ${reason(error)}`, "give another folder");
  }
}

/** A folder is free when it is missing, empty, or holds a compiled program (or a run around one). */
function refuseForeign(folder: string, shown: string): void {
  const names = namesIn(folder, shown);
  const ours = new Set(["model.mjs", "manifest.json", "train.mjs", "encoders.txt", "graph.svg", "node_modules"]);
  const left = names.filter((name) => !name.startsWith(".jepac-"));
  if (left.length === 0 || left.every((name) => ours.has(name)) || isCompiled(join(folder, "manifest.json"))) return;
  throw new CliError(`${shown} holds something else than a compiled program (${left.slice(0, 3).join(", ")}${left.length > 3 ? ", …" : ""})`, `give a folder of its own, such as -o ${join(shown, "mine")}`);
}

function isCompiled(manifest: string): boolean {
  try {
    const value: unknown = JSON.parse(readFileSync(manifest, "utf8"));
    return typeof value === "object" && value !== null && "format" in value && "parameters" in value && "program" in value;
  } catch {
    return false;
  }
}

/** `folder` (absolute) and those above it that are missing, from the inside out: what writing into it would make. */
export function missingFolders(folder: string): string[] {
  const missing: string[] = [];
  for (let at = folder; !existsSync(at); at = dirname(at)) missing.push(at);
  return missing;
}

/** Takes away what `missingFolders` had told, once it is of no use: the folder with all in it, those above it where nothing else is. */
export function removeMade(made: readonly string[]): void {
  const [folder, ...above] = made;
  if (folder === undefined) return;
  try {
    rmSync(folder, { recursive: true, force: true });
    for (const outer of above) rmdirSync(outer);
  } catch {
    // Another run has put something there meanwhile, or it cannot be removed: it stays, and the error before this one counts.
  }
}

/** Makes `jepac` resolvable from `folder`; returns the link's target when one had to be made. @throws CliError */
export function linkRuntime(folder: string, shown: string): string | undefined {
  const require = createRequire(join(folder, "train.mjs"));
  try {
    require.resolve("jepac/runtime/node");
    return undefined;
  } catch {
    // Not inside of a project that has it.
  }
  const own = packageFolder();
  const link = join(folder, "node_modules", "jepac");
  try {
    makeFolder(dirname(link));
    rmSync(link, { recursive: true, force: true });
    symlinkSync(own, link, "junction");
  } catch (error) {
    throw new CliError(`cannot link jepac into ${shown}: ${reason(error)}`, "install jepac where the folder is (npm install jepac)");
  }
  return own;
}

/** The folder of this installation: the nearest upward with a `package.json`. */
function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}
