/**
 * The repository as the tidy tests see it: source files with their texts and imports.
 *
 * Imports are read by the TypeScript scanner, so type imports, re-exports and dynamic imports all count, and a word in a
 * comment does not.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The repository's folder. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** A source file by its path from the root, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** All files with one of the extensions below the folders. */
export function filesIn(folders: readonly string[], extensions: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) => walk(folder)).filter((path) => extensions.some((e) => path.endsWith(e))).sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

function walk(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    return statSync(join(root, path)).isDirectory() ? walk(path) : [path];
  });
}

/** A module that a file names: inside the repository as a path to a `.ts` file, else the package's name. */
export interface Import {
  readonly to: string;
  readonly inside: boolean;
}

/** Everything a file imports, `import type` and `import()` included. */
export function importsOf(file: SourceFile): Import[] {
  return ts.preProcessFile(file.text, true, true).importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith(".")) return { to: fileName, inside: false };
    return { to: posix.join(posix.dirname(file.path), fileName).replace(/\.js$/, ".ts"), inside: true };
  });
}

/** The syntax tree of a file. */
export function tree(file: SourceFile): ts.SourceFile {
  return ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true);
}

/** All nodes of a tree. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}
