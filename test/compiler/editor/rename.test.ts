/** Renames that could change a program in silence: its parameters are the same afterwards, or the rename is refused. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { occurrenceAt } from "../../../compiler/editor/names.js";
import { rename } from "../../../compiler/editor/rename.js";
import { load } from "../../../compiler/load.js";
import { applyEdits } from "../../../compiler/messages/fixes.js";
import { createDiagnostics } from "../../../compiler/messages/report.js";

const program = (call: string, more = ""): string => `module enc(patch, width, depth = 1) (image) -> Tokens[width] {
  part trunk = vit(patch, width, depth, heads: 2)
  trunk(image)
}

module random(ratio) (x: Features[in]) -> Features[in] {
  part up = linear(in)
  up(x) * ratio
}

model base {
  param width = 16
  param depth = 2
  input image: Image[32, 32, 3]
  mask targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask context = random(ratio: 0.85..1.00, min_keep: 0) minus targets
  encoder student = ${call}
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  head scaled = random(ratio: 2)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = scaled(predict(student(image at context), at: targets))
  loss smooth_l1(z_hat, z_target) in latent(teacher)
}

train base { batch 16, learning_rate cosine(1e-4 -> 1e-3 -> 1e-5, warmup: 0.5 epochs) }
${more}`;

const variant = "variant twice of base {\n  again = predict(student(image at context), at: targets)\n  loss mse(again, z_target)\n}\n";

/** What a program is: its errors, and sizes and number of the parameters of each program. */
function meaning(text: string): unknown {
  const { programs } = check({ file: "x.jepa", text });
  return programs.map((name) => {
    const { graph, diagnostics } = check({ file: "x.jepa", text }, { program: name });
    return { errors: diagnostics.filter((d) => d.severity === "error").map((d) => d.code), params: graph?.instances.map((i) => i.params.map((p) => p.shape)), losses: graph?.losses.map((l) => l.kind), calls: graph?.funcs.length };
  });
}

/** The text with another name for the first thing called `from` after `before`; the reason where that is refused. */
function renamed(text: string, before: string, from: string, to: string): string {
  const { main, used, library } = load("x.jepa", text, () => undefined, createDiagnostics());
  const result = rename({ main, used, library }, occurrenceAt(main, text.indexOf(from, text.indexOf(before))), to);
  return "refused" in result ? result.refused : applyEdits(text, result.edits);
}

test("the program is sound to begin with", () => {
  expect(meaning(program("enc(width, 4)", variant))).toMatchObject([{ errors: [] }, { errors: [] }]);
});

test("a parameter that a call finds by its name is found after it has another one", () => {
  const text = program("enc(width, 4)");
  const after = renamed(text, "module enc", "width", "w");
  expect(after).toContain("enc(w: width, 4)");
  expect(after).toContain("module enc(patch, w, depth = 1) (image) -> Tokens[w]");
  expect(meaning(after)).toEqual(meaning(text));
});

test.for([
  ["enc(4, width)", "param width", "width", "w"],
  ["enc(width, 4)", "param width", "width", "w"],
  ["enc(width, 4)", "param width", "width", "patch"],
  ["enc(4, depth, width)", "module enc", "depth", "width_of"],
  ["enc(8, depth)", "param depth", "depth", "width"],
  ["enc(8, width, depth)", "module enc", "patch", "depth_too"],
  ["enc(depth, width, 4)", "module enc", "depth", "layers"],
  ["enc(depth, width, 4)", "param depth", "depth", "layers"],
  ["enc(depth, width, 4)", "module enc", "patch", "grid"],
] as const)("`%s`, %s: `%s` as `%s` changes nothing, or is refused", ([call, before, from, to]) => {
  const text = program(call, variant);
  const after = renamed(text, before, from, to);
  if (after.includes("\n")) expect(meaning(after)).toEqual(meaning(text));
  else expect(after).toMatch(/declared already|finds its parameters by name and by order/);
});

test("words of the language are not the module of that name", () => {
  const text = program("enc(4, width)");
  const after = renamed(text, "module random", "random", "mixer");
  expect(after).toContain("head scaled = mixer(ratio: 2)");
  expect(after).toContain("mask context = random(ratio: 0.85..1.00, min_keep: 0) minus targets");
  expect(meaning(after)).toEqual(meaning(text));
  expect(renamed(text, "module random", "ratio", "factor")).toContain("random(ratio: 0.85..1.00, min_keep: 0)");
  expect(renamed(text, "mask context", "random", "mixer")).toContain("is a word of the language");
  for (const [word, place] of [["cosine", "cosine("], ["latent", "latent("]] as const) {
    const named = text.replaceAll("z_hat", word);
    expect(renamed(named, `${word} = scaled`, word, "guess")).toContain(place);
  }
});

test("a name that means something else in a variant, or where a module is used, is refused", () => {
  const text = program("enc(4, width)", variant);
  expect(renamed(text, "model base", "z_hat", "again")).toContain("declared already");
  expect(renamed(text, "module enc", "enc", "student")).toContain("declared already");
  expect(renamed(text.replace("module random", "module block"), "module block", "block", "mixer")).toContain("takes the place of the library's");
  expect(renamed(text, "model base", "z_hat", "true")).toContain("a value of the language");
  expect(meaning(renamed(text, "model base", "z_hat", "guess"))).toEqual(meaning(text));
});

test("the element of a loop that is called like a module is known in the loop alone", () => {
  const text = program("enc(4, width)").replace("module random", `module deep(width, depth) (x: Tokens[outer]) -> Tokens[width] {
  part grow = linear(width)
  part layers = depth of block(2)
  y = grow(x)
  repeat block in layers {
    y = block(y)
  }
  y
}

module random`);
  const after = renamed(text, "repeat block", "block", "layer");
  expect(after).toContain("part layers = depth of block(2)");
  expect(after).toContain("repeat layer in layers {\n    y = layer(y)");
  expect(meaning(after)).toEqual(meaning(text));
});
