/** Completion measured by the published programs: what their authors wrote at a place is among what is offered there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { completions } from "../../../compiler/editor/completion.js";
import type { Files } from "../../../compiler/editor/names.js";
import { occurrences } from "../../../compiler/editor/names.js";
import { load } from "../../../compiler/load.js";
import { createDiagnostics } from "../../../compiler/messages/report.js";
import { infixWords, itemWords, unitWords } from "../../../compiler/syntax/tokens.js";
import { filesIn, root } from "../../tidy/files.js";

const programs = filesIn(["specs", "examples"], [".jepa"]);
const read = (path: string): string | undefined => programs.some((p) => p.path === path) ? readFileSync(join(root, path), "utf8") : undefined;

function filesOf(path: string, text: string): Files {
  const { main, used, library } = load(path, text, read, createDiagnostics());
  return { main, used, library };
}

/** Words that stand between operands or behind numbers, or begin what is at the left margin. */
const around: ReadonlySet<string> = new Set([...infixWords, ...unitWords, ...itemWords, "std"]);

test("every word of the published programs and examples is offered where it stands", () => {
  let asked = 0;
  const missing: string[] = [];
  for (const { path, text } of programs) {
    const files = filesOf(path, text);
    const declared = new Set(occurrences(files.main).filter((o) => o.role.kind === "declares").map((o) => o.name.span.start));
    const plain = text.replace(/\/\/[^\n]*|"[^"\n]*"/g, (c) => " ".repeat(c.length));
    for (const { 0: word, index } of plain.matchAll(/(?<![\w.])[A-Za-z_]\w*|(?<=[A-Za-z_]\w*\.)[A-Za-z_]\w*/g)) {
      if (declared.has(index) || around.has(word)) continue;
      asked += 1;
      const offered = completions(files, text, index + 1).map((c) => c.label.replace(/:$/, ""));
      if (!offered.includes(word)) missing.push(`${path}: ${text.slice(text.lastIndexOf("\n", index) + 1, index)}|${word}|`);
    }
  }
  expect(missing).toEqual([]);
  expect(asked).toBeGreaterThan(1500);
});

test("where a setting's value stands there are schedules, and between the braces of data what augments", () => {
  const offered = (recipe: string): readonly string[] => {
    const text = `use std.vit\nmodel m {\n  input image: Image[16, 16, 3]\n}\n${recipe.replace("|", "")}`;
    return completions(filesOf("m.jepa", text), text, text.indexOf("train m") + recipe.indexOf("|")).map((c) => c.label);
  };
  const rate = offered("train m {\n  learning_rate |\n}\n");
  expect(rate).toContain("cosine");
  expect(rate).not.toContain("flip");
  for (const recipe of ["train m {\n  data shapes(count: 4) { | }\n}\n", "train m {\n  data shapes(count: 4) {\n    flip\n    |\n  }\n}\n"]) {
    expect(offered(recipe), recipe).toEqual(expect.arrayContaining(["flip", "normalize"]));
    expect(offered(recipe), recipe).not.toContain("cosine");
  }
});
