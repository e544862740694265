/** The package is what it says: one version, a lock file for every registry, an embedded library that is up to date. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { format } from "../../compiler/syntax/format.js";
import { sources } from "../../compiler/std/sources.js";
import { version } from "../../compiler/version.js";
import { filesIn, root } from "./files.js";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const parsed = (path: string): Record<string, unknown> => JSON.parse(read(path));
const library = filesIn(["compiler/std"], [".jepa"]);

test("the compiler, the package and its lock file say one version, and the changelog knows it", () => {
  expect(parsed("package.json")["version"]).toBe(version);
  expect(parsed("package-lock.json")["version"]).toBe(version);
  expect(read("CHANGELOG.md")).toContain(`[${version}]`);
});

test("the lock file names no place to download from, so that it works with every registry", () => {
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

test("dependencies are pinned", () => {
  const { dependencies, devDependencies } = parsed("package.json");
  const versions = Object.values({ ...Object(dependencies), ...Object(devDependencies) });
  expect(versions.filter((v) => !/^\d+\.\d+\.\d+$/.test(String(v)))).toEqual([]);
});

test("the embedded library is what the .jepa files say", () => {
  expect(Object.keys(sources)).toEqual(library.map((f) => f.path.replace(/^.*\/|\.jepa$/g, "")));
  for (const file of library) expect(sources[file.path.replace(/^.*\/|\.jepa$/g, "")]).toBe(file.text);
});

test("the library, the published programs and the examples stand in the formatter's style", () => {
  const programs = [...library, ...filesIn(["specs", "examples"], [".jepa"])];
  expect(programs.filter((f) => format(f.text, f.path).text !== f.text).map((f) => f.path)).toEqual([]);
});

test("what is packed is what runs and what is read: no rest of a build, nothing of a source that is gone", () => {
  const told: unknown = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  const packed: readonly string[] = JSON.stringify(told).match(/(?<="path":")[^"]+/g) ?? [];
  // The library's files lie beside the compiler, for editors that go to a definition.
  const license = "compiler/syntax/chevrotain.LICENSE.txt";
  const extension = "jepac.vsix";
  const sources = new Set([...filesIn(["compiler", "runtime"], [".ts"]).map((f) => f.path.replace(/\.ts$/, "")), ...library.map((f) => f.path), license, extension]);
  const odd = packed.filter((path) => !/^(specs|examples|docs)\/|^(README|CHANGELOG)\.md$|^LICENSE$|^package\.json$|^scripts\/(setup[\w-]*|find-chromium)\.mjs$/.test(path))
    .filter((path) => !sources.has(path.replace(/^dist\/|\.d\.ts$|\.js$/g, "")) || path.endsWith(".map"));
  expect(odd).toEqual([]);
  const needed = ["dist/compiler/cli/bin.js", "dist/compiler/index.d.ts", "dist/runtime/node.js", "dist/runtime/data/worker.js", "scripts/setup.mjs", "scripts/setup-tfjs-node.mjs", "scripts/setup-vulkan.mjs", "docs/cli.md", "examples/ijepa-small.jepa", "specs/ijepa.jepa", "LICENSE", `dist/${license}`, `dist/${extension}`, ...library.map((f) => `dist/${f.path}`)];
  expect(needed.filter((path) => !packed.includes(path))).toEqual([]);
  // The parser's library is one file of the package, and not hundreds of others.
  expect(/^(?:import\b|export\b.*\bfrom\b)/m.test(read("dist/compiler/syntax/chevrotain.js"))).toBe(false);
});

test("no file of the repository knows the machine it was made on, or a registry", () => {
  const words = [["", "work", ""], ["", "root", ""], ["", "home", ""], ["", "Users", ""]].map((w) => w.join("/"));
  const hosts = ["registry.npm" + "js", "npm" + "mirror", "arti" + "factory", "pypi." + "org"];
  const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" }).split("\0").filter((f) => f !== "");
  const texts = tracked.filter((f) => !/\.(png|jpe?g|safetensors|wasm)$/.test(f)).flatMap((path) => {
    try {
      return [{ path, text: read(path) }];
    } catch {
      return [];
    }
  });
  expect(texts.length).toBeGreaterThan(100);
  const found = texts.flatMap(({ path, text }) => [...words, ...hosts].filter((w) => new RegExp(`(^|[\\s"'\`(=:])${w.replaceAll(".", "\\.")}`, "m").test(text)).map((w) => `${path}: ${w}`));
  expect(found).toEqual([]);
});
