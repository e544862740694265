/** What a page shows of a text, as data: findings with their fixes, the standing of each program, proofs, sizes; and that it is what `check --why` tells. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Mend, Overview } from "../../../compiler/editor/overview.js";
import { overview, programOf } from "../../../compiler/editor/overview.js";
import { checkEvery } from "../../../compiler/every-program.js";
import { explainProof } from "../../../compiler/proof.js";
import { readRepo } from "../../fidelity/compiled.js";

const collapsing = readFileSync(join(import.meta.dirname, "../collapse/cases/c002-simsiam-nosg.jepa"), "utf8").replace(/loss .*/, "loss negative_cosine(h(z1), z2)");
const see = (text: string, program?: string, file = "m.jepa"): Overview => overview(checkEvery({ file, text, read: readRepo }), file, program);
const applied = (text: string, fix: Mend | undefined): string => (fix?.edits ?? []).toSorted((a, b) => b.start - a.start).reduce((t, e) => t.slice(0, e.start) + e.text + t.slice(e.end), text);

test("a refusal has its place, its reason, the lines that mend it, and a fix that makes the program sound", () => {
  const { findings, program, programs, waiting } = see(collapsing);
  expect([program?.standing, program?.word, waiting, programs]).toEqual(["error", "refused", undefined, [{ name: "simsiam_nosg", standing: "error" }]]);
  const [finding] = findings;
  expect(finding).toMatchObject({ code: "JEP4001", severity: "error", line: 16, source: expect.stringContaining("SimSiam") });
  expect(collapsing.slice(finding?.start, finding?.end)).toBe("negative_cosine(h(z1), z2)");
  const [fix] = finding?.fixes ?? [];
  const mended = applied(collapsing, fix);
  expect(mended.split("\n")).toEqual(expect.arrayContaining([...(fix?.lines ?? [])]));
  expect(fix?.lines.join("\n")).toContain("stopgrad(");
  expect(see(mended).program?.standing).toBe("sound");
});

test("the whole of it survives the way out of a worker", () => {
  const seen = see(collapsing);
  expect(structuredClone(seen)).toEqual(seen);
});

test("proofs are those that check --why prints, sentence by sentence", () => {
  const file = "specs/vicreg.jepa";
  const found = checkEvery({ file, text: readRepo(file) ?? "", read: readRepo });
  const result = programOf(found);
  const printed = result?.analyses === undefined ? "" : explainProof(result.analyses, result.texts);
  const { program } = overview(found, file);
  expect(program?.losses.length).toBeGreaterThan(0);
  for (const { name, word, grounds, path } of program?.losses ?? []) {
    expect(printed).toContain(`loss ${name}: ${word}`);
    for (const { text, source } of grounds) expect(printed).toContain(`    ${text}\n      source: ${source}\n`);
    for (const step of path) expect(printed).toContain(step.text);
  }
  for (const text of program?.watched ?? []) expect(printed).toContain(text);
});

test("parts add up to the whole, and say what changes them", () => {
  const file = "examples/ijepa-small.jepa";
  const { program } = see(readRepo(file) ?? "", undefined, file);
  expect(program?.parts.map(({ name, how }) => `${name}: ${how}`)).toEqual(["student: vit, trained by smooth_l1", "teacher: vit, follows student", "predict: vit_predictor, trained by smooth_l1"]);
  expect(program?.parts.reduce((n, p) => n + p.parameters, 0)).toBe(program?.parameters);
  // In words: those of the optimizer or an average, and the table of positions, apart.
  const [student] = program?.parts ?? [];
  const [own, fixed] = (student?.size ?? "").split(" + ").map((part) => Number(part.replace(/[^\d]/g, "")));
  expect(student?.size).toMatch(/^[\d,]+ \+ [\d,]+ fixed$/);
  expect((own ?? 0) + (fixed ?? 0)).toBe(student?.parameters);
  expect(program?.masks[0]).toMatch(/^`context` keeps [\d.]+ of 64 positions/);
});

test("of several programs the one that is named is looked at; each has its standing, and mistakes elsewhere say in which file", () => {
  const text = `use "./specs/ijepa.jepa"\nvariant fine of ijepa {}\nvariant shortcut of ijepa {\n  z_target = student(image) at targets\n  loss smooth_l1(z_hat, z_target)\n}\n`;
  const seen = see(text, "shortcut");
  expect(seen.program?.name).toBe("shortcut");
  expect(seen.programs).toEqual([{ name: "fine", standing: "sound" }, { name: "shortcut", standing: "error" }]);
  expect([seen.program?.ok, see(text).program?.name, see(text).program?.ok]).toEqual([false, "fine", true]);
  const places = seen.findings.find((f) => f.code === "JEP4001")?.related ?? [];
  expect(places.map((p) => p.file)).toEqual(expect.arrayContaining(["specs/ijepa.jepa", undefined]));
});

test("while mistakes stand nothing is acquitted, and a fix in another file says in which, with its lines", () => {
  const broken = see(collapsing.replace("pool(f(b))", "pool(ff(b))"));
  expect(broken.program?.standing ?? "none").toBe("broken");
  expect(broken.program?.losses).toEqual([]);
  expect(broken.waiting).toContain("not checked while these errors stand");
  expect(broken.findings[0]?.fixes[0]?.lines).toEqual(["  z2 = pool(f(b))"]);
  const base = 'use "./base.jepa"\nvariant v of m {}\n';
  const found = checkEvery({ file: "v.jepa", text: base, read: (path) => (path === "base.jepa" ? collapsing.replace("simsiam_nosg", "m").replace("simsiam_nosg", "m").replace("pool(f(b))", "pool(ff(b))") : undefined) });
  const inBase = overview(found, "v.jepa").findings.find((f) => f.file === "base.jepa");
  expect(inBase?.message).toContain("`ff`");
  expect(inBase?.fixes).toMatchObject([{ title: "Replace with `f`", file: "base.jepa", lines: ["  z2 = pool(f(b))"] }]);
});
