/**
 * One slip of the pen is one error: what follows from it is not told before it is mended.
 *
 * The programs of `specs/` and `examples/` with a single mistake each, at places drawn by a fixed rule: a letter of a word dropped,
 * doubled or swapped with the next, a bracket or a comma left out. Then cases for what a guess, a line that could not be read, and
 * a number that goes to several places lead to.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import type { Diagnostic } from "../../../compiler/messages/report.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { checkMarked } from "./marked.js";

const files = ["specs", "examples"].flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".jepa")).map((f) => join(folder, f).replaceAll("\\", "/"))).sort();

function errorsOf(file: string, text: string): readonly Diagnostic[] {
  return check({ file, text, read: (path) => readFileSync(path, "utf8") }).diagnostics.filter((d) => d.severity === "error");
}

/** Uniform numbers below `n` from a fixed stream. */
function stream(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

interface Slip {
  readonly at: number;
  readonly from: string;
  readonly to: string;
}

const kinds: Readonly<Record<string, (code: string, draw: (n: number) => number) => Slip | undefined>> = {
  drop: (code, draw) => inWord(code, draw, (w, i) => w.slice(0, i) + w.slice(i + 1)),
  swap: (code, draw) => inWord(code, draw, (w, i) => `${w.slice(0, i)}${w[i + 1] ?? ""}${w[i] ?? ""}${w.slice(i + 2)}`),
  double: (code, draw) => inWord(code, draw, (w, i) => w.slice(0, i) + w.slice(i - 1)),
  bracket: (code, draw) => drawn(code, draw, /[()[\]{}]/g, () => ""),
  comma: (code, draw) => drawn(code, draw, /,/g, () => ""),
};

function drawn(code: string, draw: (n: number) => number, pattern: RegExp, change: (found: string) => string): Slip | undefined {
  const all = [...code.matchAll(pattern)];
  const found = all[draw(Math.max(1, all.length))];
  return found === undefined ? undefined : { at: found.index, from: found[0], to: change(found[0]) };
}

function inWord(code: string, draw: (n: number) => number, change: (word: string, i: number) => string): Slip | undefined {
  return drawn(code, draw, /[A-Za-z_]\w{3,}/g, (word) => change(word, 1 + draw(word.length - 2)));
}

test.each(Object.entries(kinds))("a single mistake in a published program is one error: %s", (kind, slip) => {
  const draw = stream(kind.length);
  let refused = 0;
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    // Comments and texts hold no mistakes.
    const code = text.replace(/\/\/.*|"[^"\n]*"/g, (m) => " ".repeat(m.length));
    const found = slip(code, draw);
    if (found === undefined) continue;
    const errors = errorsOf(file, text.slice(0, found.at) + found.to + text.slice(found.at + found.from.length));
    expect(errors.map((d) => d.message).slice(1), `${file}, ${found.from} -> ${found.to}: ${errors[0]?.message ?? ""}`).toEqual([]);
    refused += errors.length;
  }
  // A word may turn into another one that is as good; most do not.
  expect(refused).toBeGreaterThan(files.length / 2);
});

const base = (lines: string, train = "train m { steps 2 }"): string => `use std.vit
model m {
  param width = 16
  input image: Image[16, 16, 3]
  mask targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus targets
  encoder student = vit(4, width, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
${lines}}
${train}
`;

test("a name that is not known is told once, and its fix mends every line that speaks of it", () => {
  const text = base(`  z_context = student(image at contxt)
  extra = student(image at contxt)
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, stopgrad(teacher(image)) at targets) + 0.1 * variance(pool(extra))
`);
  const { diagnostics } = check({ file: "m.jepa", text });
  expect(diagnostics.map((d) => [d.code, d.related.length])).toEqual([["JEP2001", 1]]);
  expect(applyFixes(text, "m.jepa", certainFixes(diagnostics)).text).toBe(text.replaceAll("contxt", "context"));
});

test("what rests on a guess is silent until the guess is taken; other mistakes on the way are told", () => {
  // The most likely name (`targets`) puts the prediction elsewhere than its target, which nobody has written.
  checkMarked(base(`  z_context = student(image at context)
  z_hat = predict(z_context, at: targts)
//                               ^^^^^^ JEP2001 Did you mean \`targets\`
  loss smooth_l1(z_hat, stopgrad(teacher(image)) at context)
`));
  checkMarked(base(`  z_context = student(image at context)
  z_hat = predict(z_context, at: targts)
//                               ^^^^^^ JEP2001 Did you mean \`targets\`
  loss smooth_l1(z_hatt, stopgrad(teacher(image)) at targets)
//               ^^^^^^ JEP2001 Did you mean \`z_hat\`
`));
});

test("a line that could not be read declares what it may have declared, and its block goes with it", () => {
  const errors = check({ file: "m.jepa", text: base(`  view a b = augment(image) {
    random_resized_crop(scale: 0.4..1.0)
    flip(p: 0.5)
  }
  z_context = student(a at context)
  other = pool(student(b)
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, stopgrad(teacher(image)) at targets) + variance(other)
`) }).diagnostics.filter((d) => d.severity === "error");
  expect(errors.map((d) => d.code)).toEqual(["JEP1002", "JEP1004"]);
});

test("a block without its brace is read as the block that it is", () => {
  const lines = `  z_context = student(image at context)
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, stopgrad(teacher(image)) at targets)
`;
  const right = base(lines, "train m {\n  steps 2\n  data shapes(count: 64) { flip(p: 0.5) }\n}");
  for (const wrong of [right.replace("model m {", "model m"), right.replace("train m {", "train m"), right.replace(") { flip", ") flip"), base(lines, "train m steps 2 }")]) {
    const { diagnostics } = check({ file: "m.jepa", text: wrong });
    expect(diagnostics.map((d) => d.message)).toEqual([expect.stringMatching(/^Expected `\{`/)]);
    expect(check({ file: "m.jepa", text: applyFixes(wrong, "m.jepa", certainFixes(diagnostics)).text }).ok).toBe(true);
  }
});

test("one wrong number is one mistake, wherever it goes; an argument's slip is not missed as well", () => {
  const rest = `  z_context = student(image at context)
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, stopgrad(teacher(image)) at targets)
`;
  const codes = (text: string): readonly string[] => check({ file: "m.jepa", text }).diagnostics.filter((d) => d.severity === "error").map((d) => d.code);
  expect(codes(base(rest).replace("width: 8", "width: 3.5"))).toEqual(["JEP2011"]);
  expect(codes(base(rest).replace("width = 16", "width = 0"))).toEqual(["JEP2011"]);
  expect(codes(base(rest).replace("width: 8", "widht: 8"))).toEqual(["JEP2004"]);
  expect(codes(base(rest, "train m { steps 9\n  learning_rate cosine(0 -> 1e-3 -> 0, wramup: 2 steps) }"))).toEqual(["JEP2004"]);
  expect(codes(base(rest, "train m { steps 9\n  learning_rate cosine(0 -> 1e-3 -> 0, warmup: 2 stpes) }"))).toEqual(["JEP1010"]);
  expect(codes(`${base(rest)}variant v of m { param widht = 18 }\n`)).toEqual([]);
  const variant = check({ file: "m.jepa", text: `${base(rest)}variant v of m { param widht = 32\n  encoder student = vit(4, width, depth: 1, heads: 8) }\n` }, { program: "v" });
  expect(variant.diagnostics.filter((d) => d.severity === "error").map((d) => d.code)).toEqual(["JEP2021"]);
});
