/** Names of whole programs: every rename keeps its program sound, and no text, however it is cut, stops an answer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { completions } from "../../../compiler/editor/completion.js";
import { coloring } from "../../../compiler/editor/colors.js";
import { hintText, hoverText } from "../../../compiler/editor/hover.js";
import type { Files } from "../../../compiler/editor/names.js";
import { declarationOf, occurrences, placesOf } from "../../../compiler/editor/names.js";
import { outline } from "../../../compiler/editor/outline.js";
import { rename } from "../../../compiler/editor/rename.js";
import { load } from "../../../compiler/load.js";
import { applyEdits } from "../../../compiler/messages/fixes.js";
import { createDiagnostics } from "../../../compiler/messages/report.js";
import { filesIn, root } from "../../tidy/files.js";

const read = (path: string): string | undefined => {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return undefined;
  }
};
const programs = filesIn(["specs", "examples"], [".jepa"]);

function filesOf(path: string, text: string): Files {
  const { main, used, library } = load(path, text, read, createDiagnostics());
  return { main, used, library };
}

function errorsOf(file: string, text: string): string[] {
  const { programs: names } = check({ file, text, read });
  return names.flatMap((program) => check({ file, text, read }, { program }).diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message}`));
}

test("whatever a published program or an example declares can have another name, and the program is as it was", { timeout: 120_000 }, () => {
  let renamed = 0;
  for (const { path, text } of programs) {
    if (errorsOf(path, text).length > 0) continue;
    const files = filesOf(path, text);
    for (const occurrence of occurrences(files.main).filter((o) => o.role.kind === "declares")) {
      const result = rename(files, occurrence, "of_another_name");
      // Names that a used file declares first are renamed there too, and that file is another test's.
      if (!("edits" in result) || result.edits.some((e) => e.span.file !== path)) continue;
      renamed += 1;
      expect(errorsOf(path, applyEdits(text, result.edits)), `${path}: ${occurrence.name.text}`).toEqual([]);
    }
  }
  expect(renamed).toBeGreaterThan(150);
});

test("a text that is cut anywhere still has its answers", () => {
  let asked = 0;
  for (const { path, text } of programs) {
    for (const share of [0.2, 0.5, 0.8]) {
      const at = Math.floor(text.length * share);
      for (const cut of [text.slice(0, at), text.slice(0, at) + text.slice(at + 17)]) {
        const files = filesOf(path, cut);
        const results = [check({ file: path, text: cut, read })];
        expect(coloring(cut).every((c, i, all) => c.start >= (all[i - 1]?.end ?? 0) && c.end > c.start && c.end <= cut.length), path).toBe(true);
        outline(files.main);
        completions(files, cut, at);
        for (const occurrence of occurrences(files.main)) {
          asked += 1;
          expect(cut.slice(occurrence.name.span.start, occurrence.name.span.end)).toBe(occurrence.name.text);
          hoverText(files, results, occurrence);
          const declared = declarationOf(files, occurrence);
          if (declared === undefined) continue;
          hintText(declared, results);
          placesOf(files, declared);
        }
      }
    }
  }
  expect(asked).toBeGreaterThan(1000);
});
