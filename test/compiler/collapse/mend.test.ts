/** Fixes mend: applied to the programs of the corpus, they take the fault away, break nothing, and leave no refusal. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import type { CheckResult } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import type { Diagnostic } from "../../../compiler/messages/report.js";
import { corpus } from "./corpus.js";
import { pairOf } from "./pairs.js";

const checked = (text: string): CheckResult => check({ file: "m.jepa", text });
const ofGraph = (d: Diagnostic): boolean => /^JEP[45]/.test(d.code);

interface Mended {
  readonly id: string;
  readonly offered: readonly string[];
  readonly left: readonly string[];
  readonly verdict: string;
  readonly text: string;
}

/** Applies certain fixes round by round, as `jepac check --fix` does; undefined where there are none. */
function mend(id: string, source: string): Mended | undefined {
  let result = checked(source);
  let text = source;
  const offered = new Set<string>();
  for (let round = 0; round < 6; round++) {
    const found = result.diagnostics.filter((d) => ofGraph(d) && d.fixes.length === 1);
    if (found.length === 0) break;
    for (const d of found) offered.add(d.code);
    ({ text } = applyFixes(text, "m.jepa", certainFixes(found)));
    result = checked(text);
  }
  if (offered.size === 0) return undefined;
  return { id, offered: [...offered], left: result.diagnostics.map((d) => d.code), verdict: result.analyses?.program.verdict ?? "broken", text };
}

const all = corpus.filter((c) => c.verdict !== "sound").flatMap((c) => mend(c.id, c.source) ?? []);

test("no fix breaks a program, and none leaves the fault that it was offered for", () => {
  expect(all.length).toBeGreaterThan(80);
  expect(all.filter((m) => m.verdict === "broken" || m.left.some((code) => m.offered.includes(code))).map((m) => `${m.id} ${m.left.join()}\n${m.text}`)).toEqual([]);
});

test("what was refused and has a fix is refused no more", () => {
  expect(all.filter((m) => m.verdict === "error").map((m) => `${m.id} ${m.left.join()}\n${m.text}`)).toEqual([]);
});

test.each([
  "JEP4001", "JEP4002", "JEP4003", "JEP4004", "JEP4005", "JEP4006", "JEP4007", "JEP4008", "JEP4009", "JEP4010", "JEP4011", "JEP4012", "JEP4013", "JEP4014", "JEP4015", "JEP4016",
  "JEP4020", "JEP4022", "JEP4032", "JEP4035", "JEP5010", "JEP5015", "JEP5016", "JEP5021",
])("%s has a fix that makes some program of the corpus sound", (code) => {
  expect(all.filter((m) => m.offered.includes(code) && m.verdict === "sound").length).toBeGreaterThan(0);
});

test("a predictor of the program is taken only where it fits: not one that is told positions, nor one of another width", () => {
  const mended = (lines: string): string => mend("", pairOf(lines))?.text ?? "";
  const told = mend("", pairOf("mask where = random(0.5)\nmask rest = all minus where\npredictor p = vit_predictor(width: 16, depth: 1, heads: 2)\nloss mse(p(f(image at where), at: rest), stopgrad(normalize(t(image))) at rest) + mse(za, tb)"));
  expect([told?.verdict, told?.text]).toEqual(["sound", expect.stringContaining("mse(predict(za), tb)")]);
  const wide = "predictor p = mlp(64, out: 32)\nloss mse(p(join(za, za)), tb) + mse(za, tb)";
  expect([mended(wide), mend("", pairOf(wide))?.verdict]).toEqual([expect.stringContaining("mse(predict(za), tb)"), "sound"]);
  expect(mended("predictor p = mlp(64)\nloss mse(p(za), tb) + mse(zb, tb)")).toContain("mse(p(zb), tb)");
});

test("a predictor is put in, once for both directions, and a head is moved to the other side", () => {
  const textOf = (id: string): string => all.find((m) => m.id === id)?.text ?? "";
  expect(textOf("C003")).toContain("  predictor predict = mlp(64)\n");
  expect(textOf("C003")).toContain("loss 0.5 * negative_cosine(predict(z1), stopgrad(z2)) + 0.5 * negative_cosine(predict(z2), stopgrad(z1))");
  expect(textOf("C012")).toContain("negative_cosine(h(z1), stopgrad(z2))");
  expect(textOf("C028")).toContain("negative_cosine(h(pool(f(a))), pool(t(b)))");
  expect(textOf("C121")).toContain("min_keep: 8");
  expect(textOf("C119")).not.toContain("overlap: true");
});

test("two encoders that follow each other get no stop: each would go on following the other", () => {
  const other = "encoder g = vit(patch: 4, width: 32, depth: 2, heads: 2)\nhead u = linear(10)\nhead v = linear(10)\nlu = u(za)\nlv = v(pool(g(a)))";
  expect(mend("", pairOf(`${other}\nloss cross_entropy(lu, softmax(lv)) + cross_entropy(lv, softmax(lu))`))).toBeUndefined();
});

test("codes that are balanced instead of nothing, and are no sharper than the prediction, are sharpened with it", () => {
  const soft = mend("", pairOf("head d = prototypes(64)\nloss cross_entropy(d(za), stopgrad(softmax(d(zb), temperature: 0.1)), temperature: 0.1)"));
  expect([soft?.verdict, soft?.text]).toEqual(["sound", expect.stringContaining("sinkhorn(d(zb), temperature: 0.04)")]);
});

test.each([
  ["cross_entropy(5 * d(za), stopgrad(sinkhorn(d(zb), temperature: 1)))", "sinkhorn(d(zb), temperature: 0.08)"],
  ["cross_entropy(d(za), stopgrad(sinkhorn(10 * d(zb), temperature: 1)), temperature: 0.1)", "sinkhorn(10 * d(zb), temperature: 0.4)"],
  ["mse(softmax(d(za), temperature: 0.1), stopgrad(softmax(d(zb), temperature: 1)))", "sinkhorn(d(zb), temperature: 0.04)"],
])("%s is sharpened by what its codes are, not by what is written", (loss, code) => {
  const mended = mend("", pairOf(`head d = prototypes(64)\nloss ${loss}`));
  expect([mended?.verdict, mended?.text]).toEqual(["sound", expect.stringContaining(code)]);
});

test("a teacher of its own that no gradient reaches is an average that was forgotten, where it can be one", () => {
  const program = (teacher: string): string => `use std.vit
model m {
  input image: Image[32, 32, 3]
  mask targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask context = all minus targets
  encoder student = vit(patch: 8, width: 16, depth: 1, heads: 2)
  encoder teacher = ${teacher}
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  loss smooth_l1(predict(student(image at context), at: targets), stopgrad(normalize(teacher(image))) at targets)
}
`;
  const mended = mend("forgotten", program("vit(patch: 8, width: 16, depth: 1, heads: 2)"));
  expect(mended?.text).toContain("encoder teacher = ema(student, momentum: 0.996 -> 1)");
  expect([mended?.verdict, mended?.left.filter((code) => /^JEP[45]/.test(code))]).toEqual(["sound", []]);
  // Deeper than the student it cannot be its average, and frozen it is meant.
  for (const teacher of ["vit(patch: 8, width: 16, depth: 2, heads: 2)", "frozen(vit(patch: 8, width: 16, depth: 1, heads: 2))"]) expect(mend("other", program(teacher))).toBeUndefined();
});

test("a guard with the wrong sign is the cause of what it does not keep: it alone is told, and its fix makes MSN of it", () => {
  const msn = (sign: string): string => `use std.vit
use std.heads
model msn {
  input image: Image[32, 32, 3]
  view a = augment(image) { flip(p: 0.5) }
  view b = augment(image) { random_resized_crop(scale: 0.3..1.0) }
  encoder f = vit(8, 32, 1, 2)
  encoder t = ema(f, momentum: 0.996 -> 1.0)
  head proj = mlp_bn(32, 16)
  head proj_t = ema(proj, momentum: 0.996 -> 1.0)
  head codes = prototypes(24)
  z = codes(proj(pool(f(a))))
  target = stopgrad(softmax(codes(proj_t(pool(t(b)))), temperature: 0.025))
  loss cross_entropy(z, target, temperature: 0.1)
    ${sign} 1.0 * mean_entropy(softmax(z, temperature: 0.1))
}
train msn {
  data shapes(count: 64)
  steps 4
  batch 16
}
`;
  const errors = (text: string): Diagnostic[] => checked(text).diagnostics.filter((d) => d.severity === "error");
  const told = errors(msn("-"));
  expect(told.map((d) => d.code)).toEqual(["JEP4010"]);
  expect(applyFixes(msn("-"), "m.jepa", certainFixes(told)).text).toBe(msn("+"));
  expect(errors(msn("+"))).toEqual([]);
  // Without any guard the codes themselves are told.
  expect(errors(msn("-").replace(/\n {4}- 1\.0.*/, "")).map((d) => d.code)).toContain("JEP4013");
});
