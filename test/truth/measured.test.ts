/**
 * The checker's verdicts against what was measured (`measured.json`, made by `npm run test:truth`), without training:
 * every program of the corpus has a measurement, and does what the checker says or is known not to, with the reason.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { corpus, prepare } from "./corpus.js";
import { failures, thresholds } from "./criteria.js";
import { alarming, explained, untrained } from "./disagreements.js";
import { outcomesOf } from "./judgement.js";
import { isAs } from "./measure.js";
import { keyOf } from "./meaning.js";
import { pageNow, pageText } from "./page.js";
import { SEEDS, STEPS } from "./recipe.js";
import { measurements, pending } from "./store.js";

const programs = corpus();
const kept = measurements();
const outcomes = outcomesOf(programs, kept);

test("every program is measured; npm run test:truth trains what is missing", () => {
  const measured = new Set(kept.flatMap(({ key, measured: run }) => (run.seed === SEEDS[0] && run.steps === STEPS ? [key] : [])));
  const missing = programs.filter((one) => prepare(one).refused === undefined && !measured.has(keyOf(one) ?? "")).map((one) => one.id);
  const left = pending();
  if (left.length > 0) console.warn(`NOT TESTED: ${left.length} programs are not measured yet: ${left.join(", ")}`);
  expect(missing).toEqual(left);
});

test("programs that cannot be trained are known, and so is why", () => {
  expect(Object.fromEntries(programs.flatMap((one) => {
    const { refused } = prepare(one);
    return refused === undefined ? [] : [[one.id, refused.split(":")[0]]];
  }))).toEqual(untrained);
});

test("every program does what the checker says, or it is known why not", () => {
  const parting = outcomes.filter((o) => o.agrees === false);
  const told = parting.filter((o) => !(o.one.id in explained)).map((o) => ({ id: o.one.id, verdict: o.one.verdict, rules: o.one.rules, figures: o.figures }));
  expect(told).toEqual([]);
  const needed = new Set([...parting.map((o) => o.one.id), ...pending()]);
  expect(Object.keys(explained).filter((id) => !needed.has(id))).toEqual([]);
});

test("refused programs carry their refusals as allowed in their manifests", () => {
  const bad = outcomes.filter((o) => o.one.verdict === "error" && o.one.codes.some((c) => !prepare(o.one).manifest?.allowed.some((a) => a.codes.includes(c))));
  expect(bad.map((o) => o.one.id)).toEqual([]);
});

test("monitors are silent in sound programs, or it is known why not", () => {
  expect(outcomes.filter((o) => o.one.verdict === "sound" && o.alarms.length > 0).map((o) => o.one.id)).toEqual(Object.keys(alarming));
});

test("the page says what was measured; npm run test:truth writes it", () => {
  expect(pageNow(kept)).toBe(pageText());
});

test("a program trains as its measurement says, and another one does not", async () => {
  const find = (id: string): { readonly one: (typeof programs)[number]; readonly run: (typeof kept)[number]["measured"] | undefined } => {
    const one = programs.find((p) => p.id === id) ?? programs[0];
    if (one === undefined) throw new Error("no programs");
    return { one, run: kept.find((k) => k.key === keyOf(one))?.measured };
  };
  const [stopped, symmetric] = [find("C001"), find("C002")];
  if (stopped.run === undefined || symmetric.run === undefined) throw new Error("C001 and C002 are not measured");
  expect([await isAs(stopped.run, stopped.one), await isAs(symmetric.run, stopped.one)]).toEqual([true, false]);
}, 600_000);

test("the page of the truth test has the numbers and the rules of the criteria", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/truth.md"), "utf8");
  const rowOf = (failure: string): string => text.split("\n").find((line) => line.startsWith(`| ${failure} |`)) ?? "";
  expect(Object.values(thresholds).filter((n) => !new RegExp(`\\b${String(n).replace(".", "\\.")}\\b`).test(text))).toEqual([]);
  expect(Object.entries(failures).flatMap(([rule, list]) => list.filter((f) => !rowOf(f).includes(rule)).map((f) => `${rule}: ${f}`))).toEqual([]);
});
