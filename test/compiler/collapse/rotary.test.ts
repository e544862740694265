/** A turn tells predictions apart where it reaches the queries: not trained in the truth test, whose small frame falls for sincos tables too (U718). */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { asks, predicted } from "./unseen/rotary.js";
import { grid } from "./unseen/template.js";

test.each([["rotary(q, 2)", "rotary(k, 2)", false], ["rotary(q, 2)", "k", false], ["q", "rotary(k, 2)", true], ["q", "k", true],
  ["rotary(q, 2) - rotary(q, 2)", "rotary(k, 2)", true], ["rotary(q - q, 2)", "rotary(k, 2)", true], ["rotary(q, 2)", "k - k", true],
  ["rotary(q, 2) - q", "rotary(k, 2)", false], ["rotary(normalize(q) - normalize(q), 2)", "k", true], ["gelu(rotary(q, 2)) - gelu(rotary(q, 2))", "k", true]] as const)("queries %s, keys %s: all predictions alike: %s", (q, k, alike) => {
  const { source } = grid({ id: "R1", title: "turned", verdict: "sound", why: "places", modules: asks(q, k), body: predicted });
  const { diagnostics } = check({ file: "m.jepa", text: source });
  expect(diagnostics.filter((d) => d.severity === "error").map((d) => d.code)).toEqual(alike ? ["JEP5018"] : []);
});
