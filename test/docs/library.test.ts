/** The programs on the page of the library are run, and print what the page says. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
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

test("what the page names is exported where it says", () => {
  const names = ["index", "runtime-index", "runtime-node", "runtime-webgpu"].map((name) => readFileSync(join(root, `test/tidy/api/${name === "index" ? "compiler-index" : name}.txt`), "utf8")).join("");
  const named = [...readFileSync(join(root, page), "utf8").replace(/^```[^]*?^```$/gm, "").matchAll(/`(\w+)(?:\([^`]*\))?`/g)].map((m) => m[1] ?? "");
  const functions = named.filter((name) => /^(flow|dependsOn|trainedBy|edges|explainProof|runLoop|openRunEncoder|folderSource|openPageEngine|compile|HostError|QueryError)$/.test(name));
  expect(new Set(functions).size).toBe(12);
  expect(functions.filter((name) => !names.includes(`value ${name}\n`))).toEqual([]);
});
