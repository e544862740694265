/**
 * Other spellings of known programs have the verdict of the first, for the same reasons; known changes have another.
 *
 * Programs and chains of rewritings are drawn with a fixed seed, so that a failure comes again; each rewriting is also tried
 * once on its own on a part of the corpus. Notes are left out: some of them speak of spelling.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { rules as collapseRules } from "../../../compiler/collapse/findings.js";
import { corpus, published } from "./corpus.js";
import { changing, equivalent } from "./rewrites.js";
import type { Draw } from "./rewrites.js";

const notes: ReadonlySet<string> = new Set([
  ...Object.entries(collapseRules).flatMap(([rule, { level }]) => (level === "note" ? [rule] : [])), "M-COVER", "M-TRUNC", "M-DUP", "M-CORR", "M-WEAK", "M-GATHER-SIDE", "M-TEMPORAL",
]);

const known = new Map<string, string>();

/** Verdict and reasons in one line; the codes of mistakes where it is not analyzed. */
function outcome(text: string): string {
  const found = known.get(text) ?? judge(text);
  known.set(text, found);
  return found;
}

function judge(text: string): string {
  const { analyses, diagnostics } = check({ file: "m.jepa", text });
  if (analyses === undefined) return `refused ${diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message}`).join("; ")}`;
  return [analyses.program.verdict, ...analyses.program.rules.filter((r) => !notes.has(r)).toSorted()].join(" ");
}

/** Numbers from a seed (linear congruential, high bits). */
function numbers(seed: number): Draw {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
}

const kinds = Object.entries(equivalent);
const analyzed = corpus.filter((_, i) => i % 2 === 0).filter((c) => !outcome(c.source).startsWith("refused"));

test.each(kinds)("%s: a part of the corpus, on its own", (name, rewrite) => {
  const changed = analyzed.filter((_, i) => (i + name.length) % 9 === 0).flatMap((c) => {
    const text = rewrite(c.source, numbers(name.length));
    const [before, after] = [outcome(c.source), text === undefined ? undefined : outcome(text)];
    return after === undefined || after === before ? [] : [`${c.id}: ${before} => ${after}\n${text ?? ""}`];
  });
  expect(changed).toEqual([]);
});

test("chains of rewritings, drawn", () => {
  let applied = 0;
  fc.assert(fc.property(fc.nat(analyzed.length - 1), fc.array(fc.nat(kinds.length - 1), { minLength: 2, maxLength: 4 }), fc.nat(), (which, chain, seed) => {
    const source = analyzed[which]?.source ?? "";
    const draw = numbers(seed);
    // A kind twice in one chain would declare its helpers twice.
    const text = [...new Set(chain)].reduce((t, k) => {
      const next = kinds[k]?.[1](t, draw);
      if (next !== undefined) applied++;
      return next ?? t;
    }, source);
    expect(outcome(text)).toBe(outcome(source));
  }), { seed: 20220607, numRuns: 100 });
  expect(applied).toBeGreaterThan(120);
});

const ofCase = (id: string): string => published.find((c) => c.id === id)?.source ?? "";

test.each([
  ["unstopped", ["C001", "C005", "C006"], "error", "E-SYM"],
  ["unpredicted", ["C001", "C005", "C006", "C008"], "error", "E-NOPRED"],
  ["unmoving", ["C008", "C076", "C084", "C091"], "risky", "W-FROZEN-TARGET"],
  ["unguarded", ["C039"], "error", "E-NOGUARD"],
  ["unguarded", ["C064"], "error", "E-SYM"],
  ["overlapping", ["C084", "C091", "C092", "C095", "C096", "C114"].filter((id) => ofCase(id).includes(" minus ")), "risky", "M-OVERLAP"],
] as const)("a known change: %s %j is %s, %s", (change, ids, verdict, rule) => {
  for (const id of ids) {
    const text = changing[change](ofCase(id), numbers(1));
    expect(`${id} ${outcome(ofCase(id)).split(" ")[0] ?? ""}`).toBe(`${id} sound`);
    const after = outcome(text ?? "").split(" ");
    expect([id, after[0], after.includes(rule)]).toEqual([id, verdict, true]);
  }
});

test("without weights, every program is refused: nothing learns", () => {
  const alive = published.filter((c) => !outcome(changing.weightless(c.source, numbers(1)) ?? "").startsWith("error"));
  expect(alive.map((c) => c.id)).toEqual([]);
});
