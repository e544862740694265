/**
 * The page of the language is executed. A `jepa` block is a program without mistakes that compiles; `jepa,check` is one
 * that is only checked; `jepa,model` are lines of the page's first program, `jepa,train` settings of it, `jepa,module`
 * modules behind it; `error JEP…` says that this very code is reported, and nothing else.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check, compile } from "../../compiler/compile.js";
import type { Source } from "../../compiler/compile.js";
import { printGraph } from "../../compiler/model/print.js";
import { catalogue } from "../../compiler/messages/catalogue.js";
import { builtinNames } from "../../compiler/check/builtins.js";
import { sources } from "../../compiler/std/sources.js";
import { format } from "../../compiler/syntax/format.js";
import type { Block } from "./page.js";
import { blocksOf, root } from "./page.js";

const pages = ["docs/language.md", "docs/masks.md", "docs/data.md", "README.md"];
const read = (path: string): string | undefined => {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return undefined;
  }
};

const base = blocksOf("docs/language.md").find((b) => b.info === "jepa")?.text ?? "";

/** The program that a block stands for. */
function programOf(block: Block, kind: string): string {
  const indent = (text: string): string => text.replace(/^(?=.)/gm, "  ");
  const end = base.indexOf("\n}\n");
  switch (kind) {
    case "model": return `${base.slice(0, end + 1)}${indent(block.text)}${base.slice(end + 1)}`;
    case "train": return base.replace(/^train \w+ \{[^]*?^\}$/m, (t) => `${t.split("\n")[0] ?? ""}\n${indent(block.text)}}`);
    case "module": return `${base}\n${block.text}`;
    default: return block.text;
  }
}

for (const page of pages) {
  for (const block of blocksOf(page).filter((b) => b.info.startsWith("jepa") && !b.info.includes("file="))) {
    const [words = "", error] = block.info.split(" ");
    const kind = words.split(",").find((w) => ["model", "train", "module", "check"].includes(w)) ?? "program";
    const expected = words.includes("error") ? error ?? "none" : undefined;
    test(`${page}:${block.line} ${expected === undefined ? "is a program" : `is refused with ${expected}`}`, () => {
      const source: Source = { file: "specs/page.jepa", text: programOf(block, kind), read };
      const first = check(source);
      const results = first.programs.map((program) => check(source, { program }));
      const codes = [...new Set([first, ...results].flatMap((r) => r.diagnostics.filter((d) => d.severity === "error").map((d) => d.code)))];
      expect(codes).toEqual(expected === undefined ? [] : [expected]);
      if (expected === undefined && kind !== "check") for (const program of first.programs) expect(compile(source, { program }).files.map((f) => f.path)).toContain("model.mjs");
      if (expected === undefined && kind === "program") expect(format(block.text, "page.jepa").text).toBe(block.text);
    });
  }
}

test("the page tells the numbers that built-ins take unless said", () => {
  const table = /<!-- defaults[^]*?<!-- end -->/.exec(readFileSync(join(root, "docs/language.md"), "utf8"))?.[0] ?? "";
  const calls = [...table.matchAll(/`(\w+\(x[^`]*\))`/g)].map((m) => m[1] ?? "");
  const graphOf = (call: string): string => {
    const states = "  state mean[w] ~ zeros\n  state variance[w] ~ ones\n  state running[w] ~ zeros\n  learn codebook[w, w] ~ zeros\n";
    const text = `${base.replace("z_hat = predict", "z_hat = under_test()(predict").replace("at: targets)", "at: targets))")}\nmodule under_test(heads = 2) (x: Tokens[w]) -> Tensor {\n${states}  ${call}\n}\n`;
    const { graph, diagnostics } = check({ file: "specs/page.jepa", text, read });
    if (graph === undefined) throw new Error(`${call}: ${diagnostics.map((d) => d.message).join("; ")}`);
    return printGraph(graph, { origins: false });
  };
  expect(calls.length).toBe(11);
  for (const call of calls) {
    const bare = call.replaceAll(/, \w+: [\w.-]+/g, "");
    expect(bare, call).not.toBe(call);
    expect(graphOf(bare), call).toBe(graphOf(call));
    for (const [said] of call.matchAll(/\w+: [\d.e-]+/g)) expect(graphOf(bare), said).not.toBe(graphOf(call.replace(said, said.replace(/: .*/, ": 0.25").replace(/(iterations): .*/, "$1: 2").replace(/(base): .*/, "$1: 100"))));
  }
});

test("the page names every built-in and every module of the library", () => {
  const text = readFileSync(join(root, "docs/language.md"), "utf8");
  const modules = Object.values(sources).flatMap((source) => [...source.matchAll(/^module (\w+)/gm)].map((m) => m[1] ?? ""));
  expect([...builtinNames(), ...modules].filter((name) => !text.includes(`\`${name}`) && !text.includes(`${name}(`))).toEqual([]);
});

test("the codes that the pages speak of are in the catalogue", () => {
  for (const page of pages) {
    const text = readFileSync(join(root, page), "utf8");
    expect([...text.matchAll(/JEP\d{4}/g)].map((m) => m[0]).filter((code) => !Object.hasOwn(catalogue, code))).toEqual([]);
  }
});
