/** House habits that a machine can hold: headers, sizes, and what the language makes too easy. */
import { expect, test } from "vitest";
import ts from "typescript";
import { filesIn, nodesOf, tree } from "./files.js";

const sources = filesIn(["compiler", "runtime"], [".ts"]);
const tests = filesIn(["test"], [".ts"]);
const trees = sources.map(tree);

test("every source file opens with a comment of 2 to 25 lines that says what it owns", () => {
  const bad = sources.flatMap(({ path, text }) => {
    const header = /^(?:#!.*\n)?(?:\/\/\/ <reference.*\n)*\/\*\*([^]*?)\*\//.exec(text)?.[1];
    const lines = header?.split("\n").filter((line) => line.replace(/^\s*\*/, "").trim() !== "").length ?? 0;
    return lines >= 2 && lines <= 25 ? [] : [`${path}: ${lines} lines`];
  });
  expect(bad).toEqual([]);
});

test("every test file says in its first lines what it proves", () => {
  expect(tests.filter((f) => !/^(\/\*\*|\/\/)/.test(f.text)).map((f) => f.path)).toEqual([]);
});

test("no file is longer than 600 lines, but for tables that say so", () => {
  const long = [...sources, ...tests].filter((f) => f.text.split("\n").length > 601 && !f.text.slice(0, 2000).includes("// tidy: table"));
  expect(long.map((f) => `${f.path}: ${f.text.split("\n").length - 1}`)).toEqual([]);
});

test("no function is longer than 120 lines", () => {
  const long = trees.flatMap((t) => [...nodesOf(t)].flatMap((node) => {
    if (!ts.isFunctionDeclaration(node) && !ts.isMethodDeclaration(node)) return [];
    const lines = t.getLineAndCharacterOfPosition(node.end).line - t.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    return lines <= 120 ? [] : [`${t.fileName}: ${node.name?.getText() ?? "?"} has ${lines} lines`];
  }));
  expect(long).toEqual([]);
});

test("there is no `any`, no enum, no default export, and nothing declared to be left for later", () => {
  const bad = trees.flatMap((t) => [...nodesOf(t)].flatMap((node) => {
    const line = (): string => `${t.fileName}:${t.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
    if (node.kind === ts.SyntaxKind.AnyKeyword) return [`${line()} any`];
    if (ts.isEnumDeclaration(node)) return [`${line()} enum`];
    if (node.kind === ts.SyntaxKind.DefaultKeyword && node.parent.kind !== ts.SyntaxKind.DefaultClause) return [`${line()} default export`];
    return [];
  }));
  const later = new RegExp(`\\b(${["TO", "FIX", "XX"].map((w) => w + { TO: "DO", FIX: "ME", XX: "X" }[w]).join("|")})\\b`);
  expect([...bad, ...sources.filter((f) => later.test(f.text)).map((f) => `${f.path} leaves something for later`)]).toEqual([]);
});

test("no test is skipped, focused or left to be written", () => {
  const words = new RegExp(`\\b(test|it|describe)\\.(${["skip", "only", "todo", "fails"].join("|")})\\b`);
  expect(tests.filter((f) => words.test(f.text)).map((f) => f.path)).toEqual([]);
});

test("modules keep no state of their own: no `let` at the top, but for a cache and two counters", () => {
  // The library parsed once; and two counters that only make names differ within a process.
  const made = new Set(["compiler/load.ts: library", "runtime/base/files.ts: temporaries", "runtime/backends/tfjs/params-raw.ts: stores"]);
  const bad = trees.flatMap((t) => t.statements.flatMap((s) => {
    if (!ts.isVariableStatement(s) || (s.declarationList.flags & ts.NodeFlags.Const) !== 0) return [];
    return s.declarationList.declarations.map((d) => `${t.fileName}: ${d.name.getText()}`).filter((name) => !made.has(name));
  }));
  expect(bad).toEqual([]);
});
