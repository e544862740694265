/**
 * The files that use a file, open or not: what its names reach.
 *
 * Owns where users are looked for: under the folders of the editor and of the projects that its documents lie in, as `use`
 * does not leave a project. Folders of packages and hidden ones hold none, and links are not followed.
 */
import { readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** Most entries of folders that are looked at: a folder of everything is no project. */
const mostEntries = 50_000;

/** Programs under folders. */
export interface Programs {
  /** Absolute paths. */
  readonly paths: readonly string[];
  /** Whether all folders were looked at. */
  readonly whole: boolean;
}

/** The `.jepa` files under folders, each once; those that cannot be read hold none. */
export function programsUnder(folders: readonly string[]): Programs {
  const paths = new Set<string>();
  const seen = new Set<string>();
  const next = [...folders];
  let entries = 0;
  for (let folder = next.shift(); folder !== undefined; folder = next.shift()) {
    if (seen.has(folder)) continue;
    seen.add(folder);
    for (const entry of entriesOf(folder)) {
      entries += 1;
      if (entry.isFile() && entry.name.endsWith(".jepa")) paths.add(join(folder, entry.name));
      if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules") next.push(join(folder, entry.name));
    }
    if (entries > mostEntries) return { paths: [...paths], whole: false };
  }
  return { paths: [...paths], whole: true };
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Of some files those that use `target`, by themselves or by way of others; `target` first, where it is one of them. */
export function usersOf(target: string, paths: readonly string[], textOf: (path: string) => string | undefined): readonly string[] {
  const uses = new Map(paths.map((path) => [path, usedIn(path, textOf(path) ?? "")]));
  const found = new Set([target]);
  for (const path of found) for (const [user, used] of uses) if (used.has(path)) found.add(user);
  return [...found].filter((path) => uses.has(path));
}

/** The files that a text names in a `use`, in comments too: what really uses the target is for loading to say. */
function usedIn(path: string, text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/\buse\s*"([^"\r\n]*)"/g)].map(([, name = ""]) => resolve(dirname(path), name.replaceAll("\\", "/"))));
}
