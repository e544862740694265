/** The verdicts on programs that were written from the theory, before the checker was asked. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { everything, later, unseen } from "./corpus.js";

test("every program of the corpus has an id of its own, and accepts its own verdict", () => {
  expect(new Set(everything.map((c) => c.id)).size).toBe(everything.length);
  expect(everything.filter((c) => !c.accept.includes(c.verdict))).toEqual([]);
  expect(unseen.length).toBeGreaterThanOrEqual(200);
});

test.each([...unseen, ...later].map((u) => [`${u.id} ${u.title}`, u] as const))("%s", (_, u) => {
  const { analyses, diagnostics } = check({ file: "m.jepa", text: u.source });
  if (u.code !== undefined) {
    expect(diagnostics.filter((d) => d.severity === "error").map((d) => d.code)).toContain(u.code);
    return;
  }
  const broken = analyses === undefined ? diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message}`) : [];
  expect(broken).toEqual([]);
  const { verdict = "none", rules = [] } = analyses?.program ?? {};
  expect(u.accept.includes(verdict as never) ? u.accept : `${verdict} ${rules.join(" ")}`).toEqual(u.accept);
  if (verdict === u.verdict) expect(rules).toEqual(expect.arrayContaining([...u.rules]));
});
