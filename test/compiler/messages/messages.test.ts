/** Diagnostics shown and applied: terminal, JSON, SARIF, fixes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { catalogue } from "../../../compiler/messages/catalogue.js";
import { applyEdits, applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { toJson } from "../../../compiler/messages/json.js";
import { plain, renderCount, renderDiagnostic, renderDiagnostics, renderShort } from "../../../compiler/messages/render.js";
import { report } from "../../../compiler/messages/report.js";
import type { Fix } from "../../../compiler/messages/report.js";
import { toSarif } from "../../../compiler/messages/sarif.js";
import { parse } from "../../../compiler/syntax/parse.js";

const file = "specs/m x.jepa";
const text = "model m {\n  param a: 3\n  y = f(g(1)\n  z = 2\n}\n";
const diagnostics = parse(text, file).diagnostics;
const texts = (name: string) => (name === file ? text : undefined);

test("a diagnostic shows its line, carets, help and what its fix makes of the line", () => {
  expect(renderDiagnostic(diagnostics[0] ?? report("JEP1001", { file, start: 0, end: 0 }, { text: "" }), texts)).toBe(`error[JEP1009]: A definition is written with \`=\`, not \`:\`.
 --> specs/m x.jepa:2:10
  |
2 |   param a: 3
  |          ^
  = help: Write \`=\`.
  = fix: write \`=\`
  | +   param a= 3`);
});

test("a because-note shows the other place", () => {
  const shown = renderDiagnostics(diagnostics, texts);
  expect(shown).toContain("  = because this `(` is open\n --> specs/m x.jepa:3:8\n  |\n3 |   y = f(g(1)\n  |        -");
  expect(shown.trimEnd().split("\n").at(-1)).toBe("2 errors");
});

test("colour is what the caller gives, around the plain text", () => {
  const style = { ...plain, error: (t: string) => `<r>${t}</r>`, dim: (t: string) => `<d>${t}</d>` };
  const coloured = renderDiagnostics(diagnostics, texts, style);
  expect(coloured).toContain("<r>error[JEP1009]</r>");
  expect(coloured.replace(/<\/?[rd]>/g, "")).toBe(renderDiagnostics(diagnostics, texts));
});

test("counts name each severity, and nothing is nothing", () => {
  const warning = report("JEP1001", { file, start: 0, end: 1 }, { text: "x" }, { severity: "warning" });
  expect(renderCount([...diagnostics, warning])).toBe("2 errors, 1 warning");
  expect(renderDiagnostics([], texts)).toBe("");
  expect(renderShort(warning, texts)).toBe("specs/m x.jepa:1:1: warning JEP1001: `x` is not part of the language.");
});

test("a program cannot write to the terminal, and a long line is cut around the place", () => {
  const nasty = `model m { x = "\u001b[31m" ${" ".repeat(500)}$ }`;
  const shown = renderDiagnostics(parse(nasty, file).diagnostics, () => nasty);
  expect(shown).not.toContain("\u001b");
  expect(Math.max(...shown.split("\n").map((l) => l.length))).toBeLessThan(160);
  const at = shown.split("\n").findIndex((l) => /^\d+ +\|/.test(l));
  const [source = "", carets = ""] = shown.split("\n").slice(at, at + 2);
  expect(source[carets.indexOf("^")]).toBe("$");
});

test("a place in an unknown file, an empty one or past the end is still shown", () => {
  for (const start of [0, 5]) expect(renderDiagnostic(report("JEP1001", { file: "other", start, end: start }, { text: "x" }), () => "")).toContain("--> other:1:");
  expect(renderDiagnostic(report("JEP1001", { file: "other", start: 3, end: 4 }, { text: "x" }), () => undefined)).toContain("--> other");
});

test("JSON has the public shape, positions from 1", () => {
  const json = toJson(file, diagnostics, texts);
  expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  expect(json.file).toBe(file);
  expect(json.diagnostics[0]).toEqual({
    code: "JEP1009", severity: "error", message: "A definition is written with `=`, not `:`.", file,
    start: { line: 2, column: 10 }, end: { line: 2, column: 11 }, help: "Write `=`.", related: [],
    fixes: [{ title: "write `=`", edits: [{ file, start: { line: 2, column: 10 }, end: { line: 2, column: 11 }, text: "=" }] }],
  });
  expect(json.diagnostics[1]?.related[0]).toEqual({ file, start: { line: 3, column: 8 }, end: { line: 3, column: 9 }, message: "this `(` is open" });
});

test("SARIF names each rule once and points results, notes and fixes at regions", () => {
  const log = toSarif([...diagnostics, ...diagnostics], texts, { version: "1.2.3" });
  const [run] = log.runs;
  expect(log.version).toBe("2.1.0");
  expect(run?.tool.driver.rules.map((r) => r.id)).toEqual(["JEP1004", "JEP1009"]);
  expect(run?.results).toHaveLength(4);
  for (const result of run?.results ?? []) expect(run?.tool.driver.rules[result.ruleIndex]?.id).toBe(result.ruleId);
  expect(run?.results[0]?.locations[0]?.physicalLocation).toEqual({
    artifactLocation: { uri: "specs/m%20x.jepa" }, region: { startLine: 2, startColumn: 10, endLine: 2, endColumn: 11 },
  });
  expect(run?.results[0]?.fixes[0]?.artifactChanges[0]?.replacements[0]?.insertedContent.text).toBe("=");
  expect(run?.results[1]?.relatedLocations[0]?.message.text).toBe("this `(` is open");
});

test("applying the certain fixes mends the program", () => {
  const fixed = applyFixes(text, file, certainFixes(diagnostics));
  expect(fixed.text).toBe("model m {\n  param a= 3\n  y = f(g(1))\n  z = 2\n}\n");
  expect(fixed.applied).toHaveLength(2);
  expect(parse(fixed.text, file).diagnostics).toEqual([]);
});

test("fixes that collide, leave the file or offer a choice are not applied", () => {
  const fix = (start: number, end: number, t: string): Fix => ({ title: "t", edits: [{ span: { file, start, end }, text: t }] });
  expect(applyFixes("abcdef", file, [fix(1, 3, "X"), fix(2, 4, "Y"), fix(3, 4, "Z"), fix(3, 3, "!"), fix(9, 10, "?")])).toMatchObject({ text: "aX!Zef", skipped: [fix(2, 4, "Y"), fix(9, 10, "?")] });
  expect(applyFixes("ab", file, [fix(1, 1, "X"), fix(1, 1, "Y")]).text).toBe("aXb");
  expect(applyFixes("ab", "other", [fix(0, 1, "X")])).toEqual({ text: "ab", applied: [], skipped: [] });
  const choice = report("JEP1001", { file, start: 0, end: 1 }, { text: "a" }, { fixes: [fix(0, 1, "X"), fix(0, 1, "Y")] });
  expect(certainFixes([choice])).toEqual([]);
});

test("edits apply as splices do, whatever their order", () => {
  const input = fc.tuple(fc.string({ maxLength: 30 }), fc.array(fc.tuple(fc.nat(30), fc.nat(30), fc.string({ maxLength: 3 })), { maxLength: 6 }));
  fc.assert(fc.property(input, ([source, raw]) => {
    const edits: Fix[] = raw.map(([a, b, t]) => ({ title: "", edits: [{ span: { file, start: Math.min(a, b, source.length), end: Math.min(Math.max(a, b), source.length) }, text: t }] }));
    const { text: result, applied } = applyFixes(source, file, edits);
    const backwards = applied.flatMap((f) => f.edits).toSorted((a, b) => b.span.start - a.span.start || b.span.end - a.span.end);
    expect(result).toBe(backwards.reduce((t, e) => t.slice(0, e.span.start) + e.text + t.slice(e.span.end), source));
    expect(applyEdits(source, [])).toBe(source);
  }), { seed: 5, numRuns: 300 });
});

test("every catalogue entry has a slug of its own, ends its sentence, and gives a page to read", () => {
  const entries = Object.entries(catalogue);
  expect(new Set(entries.map(([, e]) => e.slug)).size).toBe(entries.length);
  for (const [code, e] of entries) {
    expect(e.message, code).toMatch(/[.?]$/);
    expect(e.slug, code).toMatch(/^[a-z-]+\/[a-z0-9-]+$/);
    expect(e.explain.length, code).toBeGreaterThan(10);
  }
});

test("a fix that is a guess says so as data, and is not among the certain ones", () => {
  const text = "use std.vit $";
  const found = parse(text, file).diagnostics;
  expect(toJson(file, found, () => text).diagnostics[0]?.fixes).toMatchObject([{ title: "remove it", guess: true }]);
  expect(certainFixes(found)).toEqual([]);
  expect(certainFixes([...found, report("JEP2001", { file, start: 4, end: 7 }, { name: "std" }, { fixes: [{ title: "x", edits: [] }] })])).toEqual([]);
});
