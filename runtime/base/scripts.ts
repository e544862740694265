/**
 * Compiled scripts that run in a thread or process of their own.
 *
 * Owns where such a script lies: beside its caller when that is compiled; from TypeScript sources (tests) in `dist/`, and
 * then only when nothing there is older than the sources, so that no stale code is run in silence. Starting and talking to
 * it is the caller's.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/**
 * The script `name` beside the module at `caller` (its `import.meta.url`), or undefined where it has not been compiled.
 * `parts` are the folders of the runtime whose code it runs.
 */
export function findScript(caller: string, name: string, parts: readonly string[]): URL | undefined {
  const here = dirname(fileURLToPath(caller));
  if (existsSync(join(here, `${name}.js`))) return pathToFileURL(join(here, `${name}.js`));
  const runtime = dirname(dirname(fileURLToPath(import.meta.url)));
  const built = join(runtime, "..", "dist", "runtime");
  const script = join(built, relative(runtime, here), `${name}.js`);
  if (!existsSync(script)) return undefined;
  return parts.every((part) => newest(join(built, part), ".js") >= newest(join(runtime, part), ".ts")) ? pathToFileURL(script) : undefined;
}

function newest(folder: string, extension: string): number {
  return Math.max(0, ...readdirSync(folder).filter((name) => name.endsWith(extension)).map((name) => statSync(join(folder, name)).mtimeMs));
}
