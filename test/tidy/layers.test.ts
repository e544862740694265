/** The folder listing is the architecture: imports go down only, type imports too, and never in a circle. */
import { expect, test } from "vitest";
import type { SourceFile } from "./files.js";
import { filesIn, importsOf } from "./files.js";

const compiler = filesIn(["compiler"], [".ts"]);
const runtime = filesIn(["runtime"], [".ts"]);

/** Lowest first; folders in one row stand beside each other and do not know one another. */
const compilerOrder: readonly (readonly string[])[] = [
  ["base"], ["messages"], ["syntax"], ["types"], ["model"], ["check"], ["collapse"], ["masks", "leaks", "dead"], ["tensor"], ["lower"], ["autodiff"], ["passes"],
  ["targets"], ["."], ["editor"], ["cli"],
];
const runtimeOrder: readonly (readonly string[])[] = [["abi.ts"], ["base"], ["data"], ["masks"], ["optim"], ["log"], ["backends"], ["export"], ["import"], ["train"], ["."]];

/** The standard library as data with its names, and the version: anybody may read them, and they import nothing. */
const leaves: readonly string[] = ["compiler/std/sources.ts", "compiler/std/names.ts", "compiler/version.ts"];

function layerOf(path: string): string {
  const [, first = "", second] = path.split("/");
  if (path === "runtime/abi.ts") return "abi.ts";
  return second === undefined ? "." : first;
}

function climbs(files: readonly SourceFile[], order: readonly (readonly string[])[], top: string): string[] {
  const rank = (layer: string): number => order.findIndex((row) => row.includes(layer));
  return files.flatMap((file) => importsOf(file).flatMap(({ to, inside }) => {
    if (!inside || !to.startsWith(`${top}/`) || leaves.includes(to)) return [];
    const [from, into] = [layerOf(file.path), layerOf(to)];
    return from === into || rank(into) < rank(from) ? [] : [`${file.path} (${from}) imports ${to} (${into})`];
  }));
}

test("every folder of the compiler and of the runtime has its place in the order", () => {
  const folders = (files: readonly SourceFile[]): Set<string> => new Set(files.filter((f) => !leaves.includes(f.path)).map((f) => layerOf(f.path)));
  expect([...folders(compiler)].filter((f) => !compilerOrder.flat().includes(f))).toEqual([]);
  expect([...folders(runtime)].filter((f) => !runtimeOrder.flat().includes(f))).toEqual([]);
});

test("imports in the compiler go down only", () => {
  expect(climbs(compiler, compilerOrder, "compiler")).toEqual([]);
});

test("imports in the runtime go down only", () => {
  expect(climbs(runtime, runtimeOrder, "runtime")).toEqual([]);
});

test("the runtime never imports the compiler", () => {
  expect(runtime.flatMap((f) => importsOf(f).filter((i) => i.to.startsWith("compiler/") || i.to === "jepac").map((i) => `${f.path} imports ${i.to}`))).toEqual([]);
});

test("the compiler knows of the runtime only the contract; its command line may use all of it", () => {
  const beyond = compiler.filter((f) => !f.path.startsWith("compiler/cli/"))
    .flatMap((f) => importsOf(f).filter((i) => i.to.startsWith("runtime/") && i.to !== "runtime/abi.ts").map((i) => `${f.path} imports ${i.to}`));
  expect(beyond).toEqual([]);
});

test("the contract holds types only", () => {
  const abi = runtime.find((f) => f.path === "runtime/abi.ts");
  expect(abi?.text).not.toMatch(/^export (const|let|function|class)/m);
  expect(abi && importsOf(abi)).toEqual([]);
});

test("the compiler's core touches no file, clock, process or terminal", () => {
  const core = compiler.filter((f) => !f.path.startsWith("compiler/cli/"));
  // One file names it, which the build puts its bundle in the place of.
  expect(core.flatMap((f) => importsOf(f).filter((i) => !i.inside).map((i) => `${f.path} imports ${i.to}`))).toEqual(Array(2).fill("compiler/syntax/chevrotain.ts imports chevrotain"));
  expect(core.filter((f) => /\b(process\.|Date\.now|new Date\(|Math\.random|performance\.now|console\.)/.test(withoutTexts(f.text))).map((f) => f.path)).toEqual([]);
});

test("what the page loads, of the compiler and of the runtime, needs nothing that a browser lacks", () => {
  const page = filesIn(["examples/browser"], [".js"]);
  const sources = new Map([...compiler, ...runtime].map((f) => [f.path, f]));
  const loaded = new Set<string>();
  const outside: string[] = [];
  const visit = (path: string, by: string): void => {
    const file = sources.get(path);
    if (file === undefined) outside.push(`${by} imports ${path}`);
    if (file === undefined || loaded.has(path)) return;
    loaded.add(path);
    for (const { to, inside } of valuesOf(file)) {
      if (inside) visit(to, path);
      else if (to !== "chevrotain") outside.push(`${path} imports ${to}`);
    }
  };
  for (const file of page) for (const { to } of importsOf(file)) if (/^examples\/browser\/(compiler|runtime)\//.test(to)) visit(to.replace("examples/browser/", ""), file.path);
  expect(outside).toEqual([]);
  for (const path of ["compiler/index.ts", "compiler/editor/overview.ts", "runtime/train/loop.ts"]) expect([...loaded]).toContain(path);
  expect([...loaded].filter((path) => path.startsWith("compiler/cli/"))).toEqual([]);
});

/** Imports that are there when the file runs: types are gone by then. */
function valuesOf(file: SourceFile): ReturnType<typeof importsOf> {
  return importsOf({ ...file, text: file.text.replace(/^(import|export) type [^;]*;/gm, "") });
}

/** Comments and quoted texts say many words (generated code among them) that are not calls. */
function withoutTexts(text: string): string {
  return text.replace(/\/\*[^]*?\*\//g, "").replace(/\/\/.*$/gm, "").replace(/`[^`]*`/g, "``").replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
}

/** Files that are one thing in several parts, and need one another: an elaborator recurses through all kinds of syntax. */
const groups: readonly RegExp[] = [
  /^compiler\/check\/(apply|body|expr|losses|positions|statements|builtin[\w-]*)\.ts$/,
  /^compiler\/lower\/losses[\w-]*\.ts$/,
  /^runtime\/backends\/tfjs\/kernels[\w-]*\.ts$/,
  /^runtime\/backends\/tfjs\/params[\w-]*\.ts$/,
];

test("no file imports itself through others, type imports included", () => {
  const graph = new Map([...compiler, ...runtime].map((f) => [f.path, importsOf(f).filter((i) => i.inside).map((i) => i.to)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    const cycle = at >= 0 ? [...way.slice(at), path] : [];
    if (at >= 0 && !groups.some((group) => cycle.every((p) => group.test(p)))) cycles.push(cycle.join(" -> "));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  expect(cycles).toEqual([]);
});
