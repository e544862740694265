/** What is exported is imported: a name that only its own file knows is not offered, and one that nobody knows is not there. */
import { posix } from "node:path";
import { expect, test } from "vitest";
import ts from "typescript";
import type { SourceFile } from "./files.js";
import { filesIn, tree } from "./files.js";

const sources = filesIn(["compiler", "runtime"], [".ts"]);
const users = [...sources, ...filesIn(["test"], [".ts"]), ...filesIn(["bench", "scripts", "examples"], [".mjs", ".js"])];

/** Functions, constants and classes that a file exports. Types are left out: a type in a signature is named so that it can be read about. */
function offered(file: SourceFile): string[] {
  return tree(file).statements.flatMap((s) => {
    if (!ts.canHaveModifiers(s) || ts.getModifiers(s)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) !== true) return [];
    if (ts.isVariableStatement(s)) return s.declarationList.declarations.map((d) => d.name.getText());
    return (ts.isFunctionDeclaration(s) || ts.isClassDeclaration(s)) && s.name !== undefined ? [s.name.text] : [];
  });
}

/** The source file that a module's name means: built files and those that a page is served stand for their sources. */
function sourceOf(from: string, name: string): string {
  const path = name.startsWith(".") ? posix.join(posix.dirname(from), name) : name;
  return path.replace(/^(dist|examples\/browser)\/(?=(compiler|runtime)\/)/, "").replace(/\.js$/, ".ts");
}

/** Names that a file takes from others, as `path name`; `path *` where it takes the whole module. */
function taken(file: SourceFile): string[] {
  const named = tree(file).statements.flatMap((s) => {
    if ((!ts.isImportDeclaration(s) && !ts.isExportDeclaration(s)) || s.moduleSpecifier === undefined || !ts.isStringLiteral(s.moduleSpecifier)) return [];
    const path = sourceOf(file.path, s.moduleSpecifier.text);
    const clause = ts.isImportDeclaration(s) ? s.importClause?.namedBindings : s.exportClause;
    if (clause !== undefined && (ts.isNamedImports(clause) || ts.isNamedExports(clause))) return clause.elements.map((e) => `${path} ${(e.propertyName ?? e.name).text}`);
    return [`${path} *`];
  });
  return [...named, ...[...file.text.matchAll(/\bimport\(\s*["'`]([^"'`]+)["'`]/g)].map((m) => `${sourceOf(file.path, m[1] ?? "")} *`)];
}

test("every function, constant and class that a file exports is taken by another one", () => {
  const known = new Set(users.flatMap(taken));
  const idle = sources.flatMap((file) => (known.has(`${file.path} *`) ? [] : offered(file).filter((name) => !known.has(`${file.path} ${name}`)).map((name) => `${file.path}: ${name}`)));
  expect(sources.length).toBeGreaterThan(300);
  expect(idle).toEqual([]);
});
