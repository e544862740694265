/** The grammar's page is executed: its examples parse, and stand in the formatter's style. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { format } from "../../../compiler/syntax/format.js";
import { itemWords, statementWords, unitWords } from "../../../compiler/syntax/tokens.js";

const page = readFileSync(new URL("../../../docs/language-grammar.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```jepa\n([^]*?)```/g)].map((m) => m[1] ?? "");

test("the page has examples", () => {
  expect(examples.length).toBeGreaterThanOrEqual(5);
});

for (const [i, example] of examples.entries()) {
  test(`example ${i + 1} of the grammar page parses and is formatted`, () => {
    const result = format(example, "language-grammar.md");
    expect(result.diagnostics).toEqual([]);
    expect(result.text).toBe(example);
  });
}

test("every word of the language stands on the page", () => {
  for (const word of [...itemWords, ...statementWords]) expect(page).toContain(`"${word}"`);
  for (const word of unitWords) expect(page).toMatch(new RegExp(`${word.replace(/s$/, "")}`));
});
