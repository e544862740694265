/** Shared by the data tests: views, the real data when it is there, and a freshly compiled worker. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import type { ViewSpec } from "../../../runtime/abi.js";

const project = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

/** The small CIFAR-10 folder, or undefined (said aloud) where it is not. */
export function cifar(part: "train" | "test"): string | undefined {
  const root = join(project, "..", "shared", "data", "cifar10-small", part);
  if (existsSync(root)) return root;
  console.warn(`NOT TESTED: real pictures (cifar10-small/${part} is not at ../shared/data)`);
  return undefined;
}

/** A view of a square size. */
export function view(side: number, transforms: ViewSpec["transforms"] = [], name = "image"): ViewSpec {
  return { name, input: name, height: side, width: side, transforms };
}

/**
 * Compiles base and data of the runtime as they are now, so that worker threads are tested without a build. Lies under
 * node_modules, so that packages resolve; the caller removes `folder`.
 */
export function compileWorker(): { folder: string; script: URL } {
  const cache = join(project, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "jepac-worker-"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  for (const part of ["base", "data"]) {
    mkdirSync(join(folder, part));
    for (const name of readdirSync(join(project, "runtime", part))) {
      const text = readFileSync(join(project, "runtime", part, name), "utf8");
      const { outputText } = ts.transpileModule(text, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } });
      writeFileSync(join(folder, part, name.replace(/\.ts$/, ".js")), outputText);
    }
  }
  return { folder, script: pathToFileURL(join(folder, "data", "worker.js")) };
}
