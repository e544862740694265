/** The public surface: names that users may rely on. A change here is a change of the package, and shows in review. */
import { expect, test } from "vitest";
import ts from "typescript";
import type { SourceFile } from "./files.js";
import { filesIn, root, tree } from "./files.js";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const entries = { ".": "compiler/index.ts", "./runtime": "runtime/index.ts", "./runtime/node": "runtime/node.ts", "./runtime/webgpu": "runtime/webgpu.ts" } as const;

function exportsOf(file: SourceFile): string[] {
  return tree(file).statements.flatMap((s) => {
    if (!ts.isExportDeclaration(s) || s.exportClause === undefined || !ts.isNamedExports(s.exportClause)) return [];
    return s.exportClause.elements.map((e) => `${s.isTypeOnly || e.isTypeOnly ? "type" : "value"} ${e.name.text}`);
  }).sort();
}

for (const [entry, path] of Object.entries(entries)) {
  test(`the names that jepac${entry.slice(1)} exports are the known ones`, async () => {
    const file = filesIn([path.split("/")[0] ?? ""], [".ts"]).find((f) => f.path === path);
    const names = file === undefined ? [] : exportsOf(file);
    expect(names).not.toEqual([]);
    await expect(`${names.join("\n")}\n`).toMatchFileSnapshot(`api/${path.replace(/\//g, "-").replace(".ts", ".txt")}`);
  });
}

test("the package exports the entries that are documented, and nothing else", () => {
  const manifest: { exports: Record<string, { types: string; default: string }> } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(Object.keys(manifest.exports)).toEqual(Object.keys(entries));
  for (const [entry, path] of Object.entries(entries)) {
    expect(manifest.exports[entry]).toEqual({ types: `./dist/${path.replace(".ts", ".d.ts")}`, default: `./dist/${path.replace(".ts", ".js")}` });
  }
});
