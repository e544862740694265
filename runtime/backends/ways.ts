/**
 * The commands that get what an engine lacks.
 *
 * Owns where the set-up scripts lie: they ship with the package, so that the command is another one in a checkout than where
 * jepac was installed from npm, and it is given as it has to be typed in the folder that the process is in. What the scripts
 * do is theirs; what is missing is known to the engines.
 */
import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** What gets the package that speaks WebGPU under Node. */
export const WEBGPU_PACKAGE = "npm install --no-save webgpu@0.6.2";

/** What to type in `cwd` to run a script of this package: `node scripts/setup-vulkan.mjs` in a checkout. */
export function scriptCommand(script: string, cwd: string = process.cwd()): string {
  const path = join(packageRoot(), "scripts", script);
  const near = relative(cwd, path);
  const shown = near.startsWith("..") || isAbsolute(near) ? path : near;
  return `node ${/\s/.test(shown) ? JSON.stringify(shown) : shown}`;
}

/** The nearest folder upward with a `package.json`. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
