/** A loss whose two sides are one value asks for no agreement: what it is besides counts, and nothing else. */
import { expect, test } from "vitest";
import { checked, outcomeOf } from "./pairs.js";

const head = "head g = projector(64, 64)\n";
/** Ways to write one value twice. */
const twice: readonly string[] = ["g(za), g(za)", "g(za), g(pool(f(a)))", "g(za), stopgrad(g(za))", "g(za) + 0, 1 * g(za)", "g(za), g(za) + g(za) - g(za)", "g(za), g(pool(now(a)))"];
const frame = `${head}encoder now = ema(f, momentum: 0)\n`;

test.each(twice)("barlow and info_nce of (%s) attract nothing", (sides) => {
  for (const kind of ["barlow", "info_nce", "barlow_off_diagonal"]) expect(`${kind} ${outcomeOf(`${frame}loss ${kind}(${sides})`)}`).toBe(`${kind} error E-NOATTRACT`);
});

test.each(twice)("a comparison of (%s) is no term", (sides) => {
  for (const kind of ["mse", "l1", "smooth_l1", "negative_cosine", "barlow_diagonal"]) expect(`${kind} ${outcomeOf(`${frame}loss ${kind}(${sides})`)}`).toBe(`${kind} error E-DEAD`);
  expect(outcomeOf(`${frame}${sides.split(", ").map((s, i) => `s${i} = ${s}`).join("\n")}\nloss mean(square(s0 - s1))`)).toBe("error E-DEAD");
});

test.each(["g(za), 2 * g(za)", "g(za), -g(za)"])("lengths do not count in angles and correlations: (%s)", (sides) => {
  for (const kind of ["barlow", "info_nce"]) expect(`${kind} ${outcomeOf(`${head}loss ${kind}(${sides})`)}`).toBe(`${kind} error E-NOATTRACT`);
  expect(outcomeOf(`${head}loss negative_cosine(${sides})`)).toBe("error E-DEAD");
  expect(outcomeOf(`${head}loss mse(${sides})`)).toBe("error E-SYM");
});

test("offsets do not count in correlations, and do in angles", () => {
  expect(outcomeOf(`${head}loss barlow(g(za), g(za) + 1)`)).toBe("error E-NOATTRACT");
  expect(outcomeOf(`${head}loss negative_cosine(g(za), g(za) + 1)`)).toBe("error E-SYM");
});

test("two views are two values, and so are two networks", () => {
  expect(outcomeOf(`${head}loss barlow(g(za), g(zb))`)).toBe("sound");
  expect(outcomeOf(`${head}loss info_nce(g(za), g(zb))`)).toBe("sound");
  expect(outcomeOf(`${head}head h = projector(64, 64)\nloss info_nce(g(za), h(zb))`)).toBe("sound");
});

test("beside an agreement, negatives of one value hold and its decorrelation does not", () => {
  expect(outcomeOf("loss mse(za, zb) + info_nce(za, za)")).toBe("sound");
  expect(outcomeOf("loss mse(za, zb) + barlow(za, za)")).toBe("error E-NOGUARD");
  expect(outcomeOf("loss mse(za, zb) + barlow_off_diagonal(za, za)")).toBe("error E-NOGUARD");
  expect(outcomeOf("loss mse(za, zb) + barlow_diagonal(za, za)")).toBe("error E-SYM");
});

test("a term that compares a value with itself is named, and takes nothing from a sound program", () => {
  const lines = "predictor p = mlp(64)\nloss pull = mse(p(za), tb)\nloss idle = mse(za, za)";
  expect(outcomeOf(lines)).toBe("sound");
  expect(checked(lines).diagnostics.map((d) => [d.code, d.message])).toEqual([["JEP4054", "`mse` has no effect: both its sides are one value."]]);
});
