/** The catalogue of diagnostics is whole: every code is used, explained, and worded like the others. */
import { expect, test } from "vitest";
import { catalogue } from "../../compiler/messages/catalogue.js";
import type { CatalogueEntry } from "../../compiler/messages/catalogue.js";
import { filesIn } from "./files.js";

const rows: readonly (readonly [string, CatalogueEntry])[] = Object.entries(catalogue);
const users = filesIn(["compiler"], [".ts"]).filter((f) => f.path !== "compiler/messages/catalogue.ts");
const tests = filesIn(["test", "docs"], [".ts", ".md"]).filter((f) => f.path !== "docs/diagnostics.md");

test("every code is reported by some part of the compiler", () => {
  expect(rows.map(([code]) => code).filter((code) => !users.some((f) => f.text.includes(`"${code}"`)))).toEqual([]);
});

test("every code stands in a test", () => {
  expect(rows.map(([code]) => code).filter((code) => !tests.some((f) => f.text.includes(code)))).toEqual([]);
});

test("every code has a page of at least a sentence, a name of its own, and a message that is a sentence", () => {
  const wrong = rows.flatMap(([code, e]) => [
    ...(e.explain.length < 20 ? [`${code}: no page`] : []),
    ...(/^[a-z]+\/[a-z-]+$/.test(e.slug) ? [] : [`${code}: name ${e.slug}`]),
    ...(/[.]$/.test(e.message) ? [] : [`${code}: message does not end`]),
    ...(e.help === undefined || /[.]$/.test(e.help) ? [] : [`${code}: help does not end`]),
  ]);
  expect(wrong).toEqual([]);
  expect(new Set(rows.map(([, e]) => e.slug)).size).toBe(rows.length);
});

test("codes stand in order and in their families", () => {
  const codes = rows.map(([code]) => code);
  expect(codes).toEqual([...codes].sort());
  expect(codes.every((code) => /^JEP[1-9]\d{3}$/.test(code))).toBe(true);
});
