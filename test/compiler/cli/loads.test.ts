/**
 * What a command loads before it does anything: files and packages that are reached by imports, counted, not timed. `import()` is a
 * load of later, and a type is none.
 */
import { posix } from "node:path";
import { expect, test } from "vitest";
import ts from "typescript";
import { filesIn, tree } from "../../tidy/files.js";

const sources = new Map(filesIn(["compiler", "runtime"], [".ts"]).map((file) => [file.path, file]));

/** Modules that a file loads with itself. */
function loadedBy(path: string): string[] {
  const file = sources.get(path);
  if (file === undefined) throw new Error(`there is no ${path}`);
  return tree(file).statements.flatMap((s) => {
    const typed = ts.isImportDeclaration(s) ? s.importClause?.isTypeOnly === true : ts.isExportDeclaration(s) && s.isTypeOnly;
    if (typed || (!ts.isImportDeclaration(s) && !ts.isExportDeclaration(s)) || s.moduleSpecifier === undefined || !ts.isStringLiteral(s.moduleSpecifier)) return [];
    const { text } = s.moduleSpecifier;
    return [text.startsWith(".") ? posix.join(posix.dirname(path), text).replace(/\.js$/, ".ts") : text];
  });
}

/** All files and packages behind a file, Node's own left out. */
function behind(start: string): string[] {
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name) || name.startsWith("node:")) return;
    found.add(name);
    if (sources.has(name)) loadedBy(name).forEach(visit);
  };
  visit(start);
  return [...found];
}

const within = (names: readonly string[], places: readonly string[]): string[] => names.filter((name) => places.some((place) => name.startsWith(place)));
const engines = ["runtime/backends/", "runtime/data/", "runtime/export/", "sharp", "@tensorflow"];
const checker = ["compiler/check/", "compiler/syntax/", "compiler/collapse/", "chevrotain"];
const targets = ["compiler/targets/tfjs", "compiler/targets/wgsl", "compiler/passes/", "compiler/autodiff/", "compiler/lower/"];

test("help and version load the table of commands, and nothing that a command does", () => {
  const names = behind("compiler/cli/bin.ts");
  expect(names.filter((name) => !sources.has(name)).sort()).toEqual(["picocolors", "yargs"]);
  expect(within(names, [...checker, ...targets, ...engines])).toEqual([]);
  expect(names.length).toBeLessThan(20);
});

test.each([["explain", [...checker, ...targets, ...engines]], ["doctor", [...checker, ...targets, ...engines]], ["fmt", ["compiler/check/", "compiler/collapse/", ...targets, ...engines]], ["check", [...targets, ...engines]], ["graph", [...targets, ...engines]]])("jepac %s loads nothing that it has no use for", (name, places) => {
  const names = behind(`compiler/cli/${name}.ts`);
  expect(names.length).toBeGreaterThan(4);
  expect(within(names, places)).toEqual([]);
});

test("what is counted is there to be counted: a program that is trained loads targets and engines", () => {
  const names = behind("compiler/cli/train.ts");
  for (const place of [...targets, "runtime/data/", "sharp", "chevrotain"]) expect(within(names, [place]), place).not.toEqual([]);
});
