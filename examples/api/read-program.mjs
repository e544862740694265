// A program on disk as the library wants it: a name, a text, and a way to read the files that it uses. Found from where the
// command is run, else beside these examples, where the published programs are.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const home = fileURLToPath(new URL("../../", import.meta.url));

export function readProgram(path) {
  const root = existsSync(path) ? "." : home;
  const read = (file) => (existsSync(resolve(root, file)) ? readFileSync(resolve(root, file), "utf8") : undefined);
  const text = read(path);
  if (text === undefined) throw new Error(`there is no ${path}`);
  return { source: { file: path, text, read } };
}
