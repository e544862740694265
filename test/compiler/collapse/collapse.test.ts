/** The collapse analysis decides by facts: the published cases, more mechanisms, and other spellings of each. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import type { CheckResult } from "../../../compiler/compile.js";
import { expected, folder } from "./corpus.js";
import { mechanisms, spellings } from "./variations.js";

const notes: ReadonlySet<string> = new Set(["M-COVER", "M-TRUNC", "M-DUP", "M-CORR", "M-WEAK"]);

function checked(file: string, text: string): CheckResult {
  const result = check({ file, text });
  const broken = result.analyses === undefined ? result.diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message}`) : [];
  expect(broken).toEqual([]);
  return result;
}

function outcome(text: string): { readonly verdict: string | undefined; readonly rules: readonly string[] } {
  const { analyses } = checked("m.jepa", text);
  return { verdict: analyses?.program.verdict, rules: (analyses?.program.rules ?? []).filter((r) => !notes.has(r)) };
}

test("every published case has a program", () => {
  expect(expected.length).toBe(62);
  expect(readdirSync(folder).filter((f) => f.endsWith(".jepa")).sort()).toEqual(expected.map((e) => e.file).sort());
});

test.each(expected.map((e) => [e.file, e] as const))("%s has the verdict of the literature, for the right reason", (file, e) => {
  const { program } = checked(file, readFileSync(join(folder, file), "utf8")).analyses ?? { program: undefined };
  expect(program?.verdict).toBe(e.verdict);
  expect(program?.rules).toEqual(expect.arrayContaining([...e.rules]));
});

test.each(mechanisms.map((m) => [m.name, m] as const))("%s", (_, m) => {
  const got = outcome(m.text);
  expect({ verdict: got.verdict, rules: got.rules.filter((r) => m.rules.includes(r) || m.rules.length === 0) }).toEqual({ verdict: m.verdict, rules: [...m.rules] });
});

test.each(spellings.flatMap((s) => s.programs.map((p) => [`${s.of}, ${p.name}`, p] as const)))("the same verdict: %s", (_, p) => {
  expect(outcome(p.text)).toEqual({ verdict: p.verdict, rules: [...p.rules] });
});
