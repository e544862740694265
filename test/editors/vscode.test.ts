/**
 * The extension for VS Code: its colors against those of the compiler on every program of the repository, where it finds the
 * language server, and what is in the package. The editor itself is not run here (docs/editors.md says with which it was tried).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { strFromU8, unzipSync } from "fflate";
import oniguruma from "vscode-oniguruma";
import textmate from "vscode-textmate";
import { afterAll, expect, test } from "vitest";
import { coloring, type Color } from "../../compiler/editor/colors.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "jepac-vscode-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In a process of its own, as it reads what was built. */
function packExtension(to: string): void {
  execFileSync(process.execPath, ["--input-type=module", "-e", `import { packExtension } from ${JSON.stringify(pathToFileURL(join(root, "scripts/vscode.mjs")).href)}; packExtension(${JSON.stringify(to)})`]);
}

/** What the classes of the grammar are in the compiler's words. */
const classes: readonly (readonly [scope: string, color: Color | undefined])[] = [
  ["comment.", "comment"], ["string.", "string"], ["constant.numeric", "number"], ["constant.language", "keyword"], ["keyword.other", "keyword"], ["keyword.operator.word", "keyword"],
  ["keyword.operator", "operator"], ["support.type.property-name", "property"], ["variable.other.property", "property"], ["entity.name.function", "function"], ["variable.parameter", "parameter"], ["variable.other", "variable"],
];

const packed = join(folder, "jepac.vsix");
packExtension(packed);

async function colorsOf(text: string): Promise<(Color | undefined)[]> {
  const grammar = strFromU8(unzipSync(readFileSync(packed))["extension/jepa.tmLanguage.json"] ?? new Uint8Array());
  await engine;
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({ createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns), createOnigString: (s) => new oniguruma.OnigString(s) }),
    loadGrammar: () => Promise.resolve(textmate.parseRawGrammar(grammar, "jepa.tmLanguage.json")),
  });
  const loaded = await registry.loadGrammar("source.jepa");
  if (loaded === null) throw new Error("no grammar");
  const out: (Color | undefined)[] = [];
  let state = textmate.INITIAL;
  for (const line of text.split("\n")) {
    const { tokens, ruleStack } = loaded.tokenizeLine(line, state);
    state = ruleStack;
    const at = out.length;
    for (const { startIndex, endIndex, scopes } of tokens) {
      const scope = scopes.at(-1) ?? "";
      const color = classes.find(([prefix]) => scope.startsWith(prefix))?.[1];
      for (let i = startIndex; i < Math.min(endIndex, line.length); i++) out[at + i] = color;
    }
    out.length = at + line.length + 1;
  }
  return out;
}

const engine = oniguruma.loadWASM(readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm")));

const programs = ["specs", "specs/published", "examples", "examples/ablations", "compiler/std", "test/compiler/collapse/cases"].flatMap((place) => readdirSync(join(root, place)).filter((name) => name.endsWith(".jepa")).map((name) => `${place}/${name}`));

test("lines alone color every program of the repository as the compiler does", async () => {
  const texts = programs.map((path) => readFileSync(join(root, path), "utf8"));
  const whole = texts.join("\n");
  const seen = await colorsOf(whole);
  const differ: string[] = [];
  for (const { start, end, color } of coloring(whole)) {
    for (let i = start; i < end; i++) {
      if (seen[i] === color || whole[i] === "\n") continue;
      const line = whole.lastIndexOf("\n", start) + 1;
      differ.push(`${whole.slice(line, whole.indexOf("\n", start))}: \`${whole.slice(start, end)}\` is ${color}, and shown as ${seen[i]}`);
      break;
    }
  }
  expect(programs.length).toBeGreaterThan(30);
  expect(differ).toEqual([]);
});

test("words of the language that are names where they stand are colored as names", async () => {
  const text = "model at {\n  loss = 3\n  mask of = block(at: loss) minus at\n  x = of at at\n  y = f(in: x, at: of) // at of\n}\n";
  const seen = await colorsOf(text);
  for (const { start, end, color } of coloring(text)) expect([text.slice(start, end), seen[start]]).toEqual([text.slice(start, end), color]);
});

test("the server is the jepac of the setting, of the file's packages or of the checkout, and what is missing is said with the way out", () => {
  const { findServer }: { findServer: (asked: { server?: string; places: readonly string[] }) => { bin?: string; folder?: string; missing?: string } } = require("../../editors/vscode/server.cjs");
  const bin = join("dist", "compiler", "cli", "bin.js");
  const lay = (path: string, text = ""): string => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
    return join(folder, path);
  };
  const installed = lay(join("work", "node_modules", "jepac", bin));
  mkdirSync(join(folder, "work", "deep", "er"), { recursive: true });
  mkdirSync(join(folder, "empty"), { recursive: true });
  expect(findServer({ places: [join(folder, "work", "deep", "er")] })).toEqual({ bin: installed, folder: join(folder, "work") });
  // The file's folder before that of the window; where a file has none above, the window's.
  expect(findServer({ places: [join(folder, "empty"), join(folder, "work")] })).toEqual({ bin: installed, folder: join(folder, "work") });
  expect(findServer({ server: "node_modules/jepac", places: [join(folder, "work")] })).toEqual({ bin: installed, folder: join(folder, "work") });
  expect(findServer({ server: installed, places: [join(folder, "empty")] }).bin).toBe(installed);
  expect(findServer({ server: "nowhere", places: [join(folder, "work")] }).missing).toBe(`The setting jepac.server says ${join(folder, "work", "nowhere")}, where there is no jepac.`);
  expect(findServer({ places: [join(folder, "empty")] }).missing).toContain("npm install jepac");
  lay(join("checkout", "package.json"), '{ "name": "jepac" }');
  expect(findServer({ places: [join(folder, "checkout")] }).missing).toContain("is not built: run `npm ci` there");
  const built = lay(join("checkout", bin));
  expect(findServer({ places: [join(folder, "checkout")] })).toEqual({ bin: built, folder: join(folder, "checkout") });
});

test("the package has what its manifest names, runs with what is in it, and is the same each time", async () => {
  const again = join(folder, "again.vsix");
  packExtension(again);
  expect(readFileSync(again).equals(readFileSync(packed))).toBe(true);
  const files = unzipSync(readFileSync(packed));
  const about = JSON.parse(strFromU8(files["extension/package.json"] ?? new Uint8Array()));
  expect(about.version).toBe(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);
  const named = [about.main, ...about.contributes.grammars.map(({ path }: { path: string }) => path), ...about.contributes.languages.map(({ configuration }: { configuration: string }) => configuration)];
  for (const path of named) expect(files[`extension/${String(path).replace(/^\.\//, "")}`], path).toBeDefined();
  for (const path of ["[Content_Types].xml", "extension.vsixmanifest"]) expect(files[path], path).toBeDefined();
  const types = strFromU8(files["[Content_Types].xml"] ?? new Uint8Array());
  for (const path of Object.keys(files)) if (/\.\w+$/.test(path) && !path.startsWith("[")) expect(types, path).toContain(`Extension=".${path.split(".").at(-1)}"`);
  // Unpacked alone, its code finds all that it requires but the editor, which gives `vscode`.
  const unpacked = join(folder, "unpacked");
  for (const [path, data] of Object.entries(files)) {
    mkdirSync(join(unpacked, path, ".."), { recursive: true });
    writeFileSync(join(unpacked, path), data);
  }
  mkdirSync(join(unpacked, "extension/node_modules/vscode"), { recursive: true });
  writeFileSync(join(unpacked, "extension/node_modules/vscode/index.js"), `
    const any = new Proxy(class {}, { get: (target, key) => (key in target ? target[key] : any), apply: () => any });
    module.exports = new Proxy({ version: "1.82.0" }, { get: (target, key) => (key in target ? target[key] : any) });`);
  const extension: { activate: unknown; deactivate: unknown } = require(join(unpacked, "extension/extension.cjs"));
  expect([typeof extension.activate, typeof extension.deactivate]).toEqual(["function", "function"]);
});
