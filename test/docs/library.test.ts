/** The programs on the page of the library are run, and print what the page says. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { temporary } from "../compiler/cli/support.js";
import { blocksOf, root } from "./page.js";

const page = "docs/library.md";
const blocks = blocksOf(page);
const programs = blocks.flatMap((block, i) => (block.info === "js" ? [{ ...block, printed: blocks[i + 1] }] : []));
const small = blocksOf("README.md").find((block) => block.info === "jepa" && block.text.includes("model small {"));

test("every program on the page says what it prints", () => {
  expect(programs.map((p) => p.printed?.info)).toEqual(["text", "text", "text"]);
});

test.each(programs)("the program on line $line prints what stands below it", { timeout: 180_000 }, ({ text, printed }) => {
  if (!existsSync(join(root, "dist/runtime/node.js"))) {
    console.warn(`NOT TESTED: ${page}, which needs the built package: npm run build`);
    return;
  }
  const folder = temporary({ "small.jepa": small?.text ?? "", "program.mjs": text });
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/jepac"), "junction");
  expect(execFileSync(process.execPath, ["program.mjs"], { cwd: folder, encoding: "utf8" })).toBe(printed?.text);
});

test("the programs of the page and of the README are strict TypeScript, by `ok` alone", { timeout: 60_000 }, () => {
  if (!existsSync(join(root, "dist/compiler/index.d.ts"))) {
    console.warn(`NOT TESTED: types of ${page}, which need the built package: npm run build`);
    return;
  }
  const readme = blocksOf("README.md").filter((block) => block.info === "js").map(({ text }) => text);
  expect(readme).toHaveLength(1);
  const texts = [...programs.map(({ text }) => text), ...readme];
  const folder = temporary(Object.fromEntries([
    ...texts.map((text, i) => [`p${i}.mts`, text]),
    // The way that lets a collapsing program through is a mistake of types: a graph that is there says nothing of `analyses`.
    ["wrong.mts", `import { check } from "jepac";\nconst { graph, analyses } = check({ file: "a.jepa", text: "" });\nif (graph !== undefined) console.log(analyses.losses);\n`],
  ]));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/jepac"), "junction");
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
    strict: true, noUncheckedIndexedAccess: true, noEmit: true, skipLibCheck: true, types: ["node"], typeRoots: [join(root, "node_modules/@types")],
  };
  const files = ["wrong", ...texts.map((_, i) => `p${i}`)].map((name) => join(folder, `${name}.mts`));
  const program = ts.createProgram(files, options);
  const told = (file: string): string[] => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((d) => ts.flattenDiagnosticMessageText(d.messageText, "\n"));
  };
  expect(files.slice(1).flatMap(told)).toEqual([]);
  expect(told(files[0] ?? "")).toEqual(["'analyses' is possibly 'undefined'."]);
});

test("what the page names is exported where it says", () => {
  const names = ["index", "runtime-index", "runtime-node", "runtime-webgpu"].map((name) => readFileSync(join(root, `test/tidy/api/${name === "index" ? "compiler-index" : name}.txt`), "utf8")).join("");
  const named = [...readFileSync(join(root, page), "utf8").replace(/^```[^]*?^```$/gm, "").matchAll(/`(\w+)(?:\([^`]*\))?`/g)].map((m) => m[1] ?? "");
  const functions = named.filter((name) => /^(flow|dependsOn|trainedBy|edges|explainProof|runLoop|openRunEncoder|folderSource|openPageEngine|compile|HostError|QueryError)$/.test(name));
  expect(new Set(functions).size).toBe(12);
  expect(functions.filter((name) => !names.includes(`value ${name}\n`))).toEqual([]);
});
