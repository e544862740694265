/**
 * Programs compiled for the fidelity tests: from a file of the repository or from a text beside one.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Compiled, CompileOptions, CompileResult, ProgramOptions } from "../../compiler/compile.js";
import { check, compile } from "../../compiler/compile.js";
import type { CompiledModule } from "../../runtime/train/engines.js";

/** Reads a file of a program, by its path from the repository's root. */
export function readRepo(path: string): string | undefined {
  try {
    return readFileSync(join(import.meta.dirname, "../..", path), "utf8");
  } catch {
    return undefined;
  }
}

/** A program that compiled, with everything the tests look at. */
export type Ready = Compiled;

/** Compiles `file` of the repository, or `text` as if it stood there; a program with errors fails the test with its messages. */
export function compileRepo(file: string, { text, ...options }: CompileOptions & { readonly text?: string } = {}): Ready {
  const result = compile({ file, text: text ?? readRepo(file) ?? "", read: readRepo }, options);
  if (!result.ok) throw new Error(`${file} does not compile:\n${messages(result.diagnostics)}`);
  return result;
}

/** Checks without compiling: for programs that are too large for more. */
export function checkRepo(file: string, { text, ...options }: ProgramOptions & { readonly text?: string } = {}): ReturnType<typeof check> {
  return check({ file, text: text ?? readRepo(file) ?? "", read: readRepo }, options);
}

function messages(diagnostics: CompileResult["diagnostics"]): string {
  return diagnostics.map((d) => `${d.severity} ${d.code}: ${d.message}`).join("\n");
}

/** Imports the compiled module of a program. */
export async function importModule(ready: Pick<Ready, "files">): Promise<CompiledModule> {
  const folder = mkdtempSync(join(tmpdir(), "jepac-fidelity-"));
  try {
    const file = join(folder, "model.mjs");
    writeFileSync(file, ready.files.find((f) => f.path === "model.mjs")?.text ?? "");
    const loaded: CompiledModule = await import(pathToFileURL(file).href);
    return loaded;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
