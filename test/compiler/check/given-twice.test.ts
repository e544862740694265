/** An argument has one value: a second one is refused wherever arguments are bound, by name or by place, and both places are told. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { checkMarked, sound } from "./marked.js";

/** The JEP2032 reports of a program: what is said, the text of the second place and that of the first. */
function twice(text: string): readonly (readonly string[])[] {
  const { diagnostics } = check({ file: "m.jepa", text });
  expect(diagnostics.filter((d) => d.severity === "error").map((d) => d.code)).toEqual(diagnostics.flatMap((d) => (d.code === "JEP2032" ? [d.code] : [])));
  return diagnostics.filter((d) => d.code === "JEP2032").map((d) => [d.message, text.slice(d.span.start, d.span.end), ...d.related.map((r) => text.slice(r.span.start, r.span.end))]);
}

const lines: readonly (readonly [line: string, callee: string, name: string, second: string, first: string])[] = [
  ["encoder e = vit(patch: 4, width: 32, depth: 1, heads: 2, heads: 4)", "vit", "heads", "heads: 4", "heads: 2"],
  ["encoder e = vit(4, 32, 2, 2, patch: 8)", "vit", "patch", "patch: 8", "4"],
  ["encoder e = vit(patch: 4, 32, 2, 2, 4, width: 8)", "vit", "width", "width: 8", "32"],
  ["mask other = block(scale: 0.15..0.2, 0.3..0.4)", "block", "scale", "0.3..0.4", "scale: 0.15..0.2"],
  ["mask other = block(0.15..0.2, 0.75..1.5)", "block", "scale", "0.75..1.5", "0.15..0.2"],
  ["mask other = random(0.5, ratio: 0.25)", "random", "ratio", "ratio: 0.25", "0.5"],
  ["mask other = block(scale: 0.2, min_keep: 1, min_keep: 2)", "block", "min_keep", "min_keep: 2", "min_keep: 1"],
  ["encoder e = ema(student, 0.5, momentum: 0.99)", "ema", "momentum", "momentum: 0.99", "0.5"],
  ["encoder e = ema(student, momentum: 0.99 -> 1.0, momentum: 0.5)", "ema", "momentum", "momentum: 0.5", "momentum: 0.99 -> 1.0"],
  ["loss extra = smooth_l1(z_hat, z_target, beta: 1, beta: 2)", "smooth_l1", "beta", "beta: 2", "beta: 1"],
  ["z_soft = softmax(z_hat, 0.1, temperature: 0.5)", "softmax", "temperature", "temperature: 0.5", "0.1"],
  ["z_more = predict(z_context, at: targets, at: context)", "vit_predictor", "at", "at: context", "at: targets"],
  ["z_more = predict(z_context, context: z_context)", "vit_predictor", "context", "context: z_context", "z_context"],
  ["z_more = linear(out: 8)(out: 16)(z_hat)", "linear", "out", "out: 16", "out: 8"],
  ["view a, b = augment(image, size: 32, size: 16) { flip(p: 0.5) }", "augment", "size", "size: 16", "size: 32"],
  ["view a, b = augment(image) { random_resized_crop(0.3..1.0, scale: 0.5..1.0) }", "random_resized_crop", "scale", "scale: 0.5..1.0", "0.3..1.0"],
];

test.each(lines)("%s", (line, callee, name, second, first) => {
  expect(twice(sound(`  ${line}\n`))).toEqual([[`\`${callee}\` is given \`${name}\` twice.`, second, first]]);
});

const settings: typeof lines = [
  ["data shapes(17, count: 5)", "shapes", "count", "count: 5", "17"],
  ["data images(\"a\", path: \"b\")", "images", "path", "path: \"b\"", "\"a\""],
  ["data shapes(64) { normalize(mean: [0.5, 0.5, 0.5], mean: [0.4, 0.4, 0.4]) }", "normalize", "mean", "mean: [0.4, 0.4, 0.4]", "mean: [0.5, 0.5, 0.5]"],
  ["optimizer adamw(0.9, beta1: 0.8)", "adamw", "beta1", "beta1: 0.8", "0.9"],
  ["learning_rate cosine(1e-3 -> 1e-4, stretch: 1, stretch: 2)", "cosine", "stretch", "stretch: 2", "stretch: 1"],
];

test.each(settings)("%s", (setting, callee, name, second, first) => {
  expect(twice(sound("", "", `  ${setting}\n  batch 2\n`))).toEqual([[`\`${callee}\` is given \`${name}\` twice.`, second, first]]);
});

test("a probe, and the start of learned numbers", () => {
  expect(twice(sound("", "probe m { knn(on: teacher, k: 20, on: student) }\n"))).toEqual([["`knn` is given `on` twice.", "on: student", "on: teacher"]]);
  expect(twice(sound("  head h = odd()\n  z_odd = h(z_hat)\n", "module odd() (x: Tokens[width]) -> Tokens[width] {\n  learn w[width] ~ normal(0.1, std: 0.2)\n  x * w\n}\n")))
    .toEqual([["`normal` is given `std` twice.", "std: 0.2", "0.1", "h(z_hat)"]]);
});

test("what is said from outside takes the place of what the program says", () => {
  const { diagnostics, graph } = check({ file: "m.jepa", text: sound() }, { set: { "predict.depth": 3 } });
  expect(diagnostics).toEqual([]);
  expect(graph?.instances.find((i) => i.name === "predict")?.config).toMatchObject({ width: 32, depth: 3, heads: 4 });
});

test("places that names before them have taken are passed over, and bare names find theirs", () => {
  const { diagnostics, graph } = check({ file: "m.jepa", text: sound("  param width = 64\n  encoder e = vit(patch: 4, width, 2, 4)\n  encoder g = vit(width, 4, heads: 4, depth: 2)\n") });
  expect(diagnostics.filter((d) => d.severity === "error")).toEqual([]);
  for (const name of ["e", "g"]) expect(graph?.instances.find((i) => i.name === name)?.config).toEqual({ patch: 4, width: 64, depth: 2, heads: 4 });
});

test("a mask with one wrong option is told of the others too", () => {
  checkMarked(sound(`  mask other = block(scale: 0.1..1.2, aspect: -1..1.5, min_keep: -1) minus target
//                          ^^^^^^^^ JEP5003 \`scale\`
//                                            ^^^^^^^ JEP5003 \`aspect\`
//                                                               ^^ JEP2011 \`min_keep\`
//                                                                         ^^^^^^ JEP5002
`));
});
