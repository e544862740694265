/** Families 5xxx and 6xxx: masks and recipes, each drawn in the source. */
import { expect, test } from "vitest";
import { check, compile } from "../../../compiler/compile.js";
import { applyFixes } from "../../../compiler/messages/fixes.js";
import { checkMarked, sound } from "./marked.js";

test("a mask is one of those there are", () => {
  checkMarked(sound(`  mask other = blok(scale: 0.2)
//             ^^^^ JEP5001 Did you mean \`block\`
`));
});

test("arithmetic is no mask", () => {
  checkMarked(sound(`  mask other = 3 + 4
//             ^^^^^ JEP5001 This is not a mask; there are block, random,
`));
});

test("what is taken away must be a mask", () => {
  checkMarked(sound(`  mask other = block(scale: 0.2) minus target
//                                     ^^^^^^ JEP5002 Did you mean \`targets\`
`));
});

test("a share of the grid is at most the whole", () => {
  checkMarked(sound(`  mask other = block(scale: 0.5..1.2)
//                          ^^^^^^^^ JEP5003 \`scale\` must lie above 0 and at most at
`));
});

test("a schedule with a warm-up has three points", () => {
  checkMarked(sound("", "", `  epochs 1
  learning_rate cosine(1e-4 -> 1e-3, warmup: 2 epochs)
//              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP6001 A schedule with 2 points does not fit its
`));
});

test("a momentum lies between 0 and 1", () => {
  checkMarked(sound(`  encoder other = ema(student, momentum: 0.9 -> 1.5)
//                                       ^^^^^^^^^^ JEP6002 A momentum lies between 0 and 1, and this
`));
});

test("a model without a recipe is trained by the defaults, and that is said", () => {
  checkMarked(`use std.vit
model m {
//    ^ JEP6003 \`m\` has no \`train\` block: the defaults are used.
  input image: Image[32, 32, 3]
  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 4)
  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 4) minus targets
  encoder student = vit(4, 64, 2, 4)
  encoder teacher = ema(student, momentum: 0.996 -> 1.0)
  predictor predict = vit_predictor(32, 1, 4)
  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, z_target)
}
`);
});

test("generated pictures that do not fill a batch are told before a run has nothing to do; as many as a batch do", () => {
  checkMarked(sound("", "", `  data shapes(count: 7)
//^^^^^^^^^^^^^^^^^^^^^ JEP6014 7 generated pictures do not fill a batch of 8, so no step can be made.
  batch 8
`));
  checkMarked(sound("", "", "  data shapes(count: 8)\n  batch 8\n"));
});

test("groups of images in which rows are cut divide a larger batch, and are whole numbers", () => {
  const grouped = (group: string, caret = ""): string => sound("", "", "  batch 8\n").replace("aspect: 1.0, min_keep: 4)", `aspect: 1.0, min_keep: 4, trim_group: ${group})`).replace(/^(.*trim_group.*)$/m, `$1${caret}`);
  expect(grouped("3")).toContain("trim_group: 3");
  checkMarked(grouped("3", "\n//^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP6019 A batch of 8 has no whole number of groups of 3 images"));
  for (const group of ["1", "2", "8", "128"]) checkMarked(grouped(group));
  checkMarked(sound(`  mask other = block(scale: 0.2, min_keep: 4, trim_group: 0)
//                                                        ^ JEP2011 \`trim_group\`
`));
});

test("images that are compared with each other are not computed in groups", () => {
  const compared = (batch: number): string => sound(`  loss apart = 0.1 * variance(pool(z_context))
//                   ^^^^^^^^^^^^^^^^^^^^^^^^^ JEP6013 a batch of ${batch} runs in parts
`, "", `  batch ${batch}\n`).replace("aspect: 1.0, min_keep: 4)", "aspect: 1.0, min_keep: 4, trim_group: 4)");
  checkMarked(compared(8));
  checkMarked(compared(4).replace(/^.*JEP6013.*\n/m, ""));
});

test("an augmentation is one of those there are", () => {
  checkMarked(sound("", `//                ^^^^^^ JEP6004 Did you mean \`flip\`
}
`, `  epochs 1
  data shapes() { flop() `));
});

test("a setting is one of those there are", () => {
  checkMarked(sound("", "", `  epochz 1
//^^^^^^ JEP6005 Did you mean \`epochs\`
`));
});

test("a setting takes one value", () => {
  checkMarked(sound("", "", `  epochs 1 2
//^^^^^^^^^^ JEP6006 \`epochs\` takes one value, and 2 are given.
`));
});

test("data are a folder or generated pictures", () => {
  checkMarked(sound("", "", `  epochs 1
  data pictures("a")
//^^^^^^^^^^^^^^^^^^ JEP6007 Data is \`images("folder")\`, \`videos("folder")\`, \`arrays("folder")\`, \`shapes(count: 4096)\` or \`waves(count: 4096)\`.
`));
});

test("an optimizer is one of those there are", () => {
  checkMarked(sound("", "", `  epochs 1
  optimizer adam(0.9)
//          ^^^^ JEP6008 Did you mean \`adamw\`
`));
});

test("a probe is one of those there are", () => {
  checkMarked(sound("", `probe m { linea(on: teacher) }
//        ^^^^^^^^^^^^^^^^^^ JEP6009 Did you mean \`linear\`
`));
});

test("a probe looks at an encoder", () => {
  checkMarked(sound("", `probe m { linear(on: teachr) }
//                   ^^^^^^ JEP6010 Did you mean \`teacher\`
`));
});

test("a probe that names no encoder lacks it; the only one there is, is offered", () => {
  checkMarked(sound("", `probe m { linear() }
//        ^^^^^^^^ JEP2005 \`linear\` needs the argument \`on\`.
`));
  const alone = (probe: string, mark: string) => `use std.vit
model m {
  input image: Image[32, 32, 3]
  encoder f = vit(4, 64, 2, 4)
  z = mean(f(image), over: tokens)
  loss variance(z) + 0.04 * covariance(z)
}
train m { epochs 1 }
probe m { ${probe} }${mark}
`;
  for (const [probe, caret, fixed] of [["linear()", "^^^^^^^^", "linear(on: f)"], ["knn", "^^^", "knn(on: f)"], ["knn(k: 5)", "^^^^^^^^^", "knn(on: f, k: 5)"]] as const) {
    const text = alone(probe, `\n//        ${caret} JEP2005 Add \`on: f\`.`);
    checkMarked(text, { fixed: text.replace(`{ ${probe} }`, `{ ${fixed} }`) });
  }
  checkMarked(alone("linear(on: 3)", "\n//                   ^ JEP2010 For `on` of `linear`, an encoder is expected, and this is `3`."));
});

test("a predictor is no encoder to probe", () => {
  checkMarked(sound("", `probe m { linear(on: predict) }
//                   ^^^^^^^ JEP6010 A probe needs an encoder to look at, and
`));
});

test("a probe may name an encoder by another name, and not complain again about a line that was refused", () => {
  checkMarked(sound("  encoder other = teacher\n", "probe m { linear(on: other, pool: mean) }\n"));
  checkMarked(sound(`  encoder other = ema(studnet, momentum: 0.9 -> 1.0)
//                    ^^^^^^^ JEP2001 Did you mean \`student\`
`, "probe m { linear(on: other, pool: mean) }\n"));
});

test("an augmentation is asked for no more than it can do, and for nothing it does not take", () => {
  const asked: readonly (readonly [string, string, string])[] = [
    ["random_resized_crop(scale: 0.3..1.5)", "scale: 0.3..1.5", "JEP2011 from 0.000001 to 1, and this is 0.3..1.5"],
    ["flip(p: 3)", "p: 3", "JEP2011 from 0 to 1, and this is 3"],
    ["flip(p: 0.1..0.5)", "p: 0.1..0.5", "JEP2010 a number is expected"],
    ["color_jitter(hue: 0.6)", "hue: 0.6", "JEP2011 from 0 to 0.5"],
    ["center_crop(size: 8)", "size", "JEP2004 no argument"],
  ];
  for (const [call, at, said] of asked) {
    const line = `  data shapes(count: 64) { ${call} }`;
    const mark = `//${" ".repeat(line.lastIndexOf(at) - 2)}${"^".repeat(at.length)} ${said}`;
    checkMarked(sound("", "", `  epochs 1\n${line}\n${mark}\n`));
  }
  checkMarked(sound("", "", "  epochs 1\n  data shapes(count: 64) { random_resized_crop(scale: 0.3..1.0, aspect: 0.5..2.0), blur(p: 0.5, radius: 1), center_crop }\n"));
});

test("normalization has a value for each channel, and that of ImageNet unless said", () => {
  const gray = (text: string): string => text.replace("Image[32, 32, 3]", "Image[32, 32, 1]");
  const data = (words: string, marks = ""): string => `  epochs 1\n  data shapes(count: 64) { normalize(${words}) }\n${marks}`;
  const trainOf = (text: string) => check({ file: "m.jepa", text }).checked?.training.train;
  checkMarked(sound("", "", data("mean: [0.5]", `//                                   ^^^^^^^^^^^ JEP6020 The number of values in \`mean\` is 1, and the number of channels of these pictures is 3.\n`)));
  checkMarked(gray(sound("", "", data("mean: [0.5], std: [0.2, 0.2, 0.2]", `//                                                ^^^^^^^^^^^^^^^^^^^^ JEP6020 The number of values in \`std\` is 3\n`))));
  checkMarked(gray(sound("", "", data("std: 0.2", `//                                   ^^^^^^^^ JEP2010 \`mean: [gray]\` and \`std: [gray]\` above 0\n`))));
  expect(trainOf(gray(sound("", "", data("mean: [0.02], std: [0.01]"))))).toMatchObject({ mean: [0.02], std: [0.01] });
  const bands = (text: string): string => text.replace("Image[32, 32, 3]", "Image[32, 32, 5]").replace("shapes(count: 64)", `images("scenes")`);
  checkMarked(bands(sound("", "", data("mean: [0.5]", `//                                  ^^^^^^^^^^^ JEP6020 The number of values in \`mean\` is 1, and the number of channels of these pictures is 5.\n`))));
  expect(trainOf(bands(sound("", "", `  epochs 1\n  data shapes(count: 64)\n`)))).toMatchObject({ mean: [0.5, 0.5, 0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25, 0.25, 0.25] });
  const [red, green, blue] = trainOf(sound())?.mean ?? [];
  const { mean = [], std = [] } = trainOf(gray(sound())) ?? {};
  expect([mean.length, std.length]).toEqual([1, 1]);
  expect(mean[0]).toBeCloseTo(0.299 * (red ?? NaN) + 0.587 * (green ?? NaN) + 0.114 * (blue ?? NaN), 3);
});

test("bands of files are numbers from one on, as many as the program takes channels", () => {
  const data = (words: string, marks = ""): string => sound("", "", `  epochs 1\n  data images("scenes", ${words})\n${marks}`);
  checkMarked(data("bands: [4, 3]", `//                      ^^^^^^^^^^^^^ JEP6024 \`bands\` takes 2 bands of each file, and \`image\` has 3 channels.\n`));
  checkMarked(data("bands: [0, 1, 2]", `//                             ^^^^^^^^^ JEP2010 a list of whole numbers from 1 on\n`));
  const { checked, diagnostics } = check({ file: "m.jepa", text: data("bands: [4, 3, 2]") });
  expect(diagnostics).toEqual([]);
  expect(checked?.training.train.data).toMatchObject({ kind: "images", bands: [4, 3, 2] });
});

test("what changes colors only does nothing to gray pictures, and is said and left out", () => {
  const gray = (text: string): string => text.replace("Image[32, 32, 3]", "Image[32, 32, 1]");
  const recipe = `  epochs 1
  data shapes(count: 64) {
    color_jitter(brightness: 0.2, saturation: 0.3, hue: 0)
//                                ^^^^^^^^^^^^^^^ JEP6021 \`saturation\` does nothing to pictures of 1 channel.
    grayscale(p: 0.2)
//  ^^^^^^^^^^^^^^^^^ JEP6021 \`grayscale\` does nothing to pictures of 1 channel.
    blur(p: 0.1)
  }
`;
  // Removed by who wants that and not by itself: the same lines may stand for a model in color.
  checkMarked(gray(sound("", "", recipe)), { fixed: gray(sound("", "", recipe)) });
  expect(check({ file: "m.jepa", text: gray(sound("", "", recipe)) }).checked?.training.transforms).toEqual([{ name: "color_jitter", args: { brightness: 0.2, saturation: 0, hue: 0 } }, { name: "blur", args: { p: 0.1 } }]);
  // A comma goes with what it parts; what is given without a name is known by its place.
  const line = (block: string): string => gray(sound("", "", `  epochs 1\n  data shapes(count: 64) { ${block} }\n`));
  for (const [written, mended] of [["flip(), grayscale(), blur()", "flip(), blur()"], ["grayscale(), flip()", "flip()"], ["flip(), grayscale()", "flip()"], ["grayscale()", ""], ["color_jitter(0.2, 0.2, 0.3)", undefined]] as const) {
    const { diagnostics } = check({ file: "m.jepa", text: line(written) });
    expect(diagnostics.map((d) => d.code), written).toEqual(["JEP6021"]);
    expect(applyFixes(line(written), "m.jepa", diagnostics.flatMap((d) => d.fixes)).text).toBe(line(mended ?? written));
  }
  // Comments of what stays are left standing; its own goes with it.
  const lines = (...block: string[]): string => line(`\n${block.map((l) => `    ${l}\n`).join("")} `);
  for (const [written, mended] of [
    [["grayscale() // no color", "// half of them", "flip()"], ["// half of them", "flip()"]],
    [["flip() // half of them", "grayscale()"], ["flip() // half of them"]],
    [["flip(),", "/* no color */", "grayscale()"], ["flip()", "/* no color */"]],
    [["flip(),", "grayscale(), // no color", "blur()"], ["flip(),", "blur()"]],
  ] as const) {
    const { diagnostics } = check({ file: "m.jepa", text: lines(...written) });
    expect(applyFixes(lines(...written), "m.jepa", diagnostics.flatMap((d) => d.fixes)).text).toBe(lines(...mended));
  }
  // What nobody wrote is no mistake.
  checkMarked(gray(sound("", "", "  epochs 1\n  data shapes(count: 64) { color_jitter(brightness: 0.2) }\n")));
  expect(check({ file: "m.jepa", text: sound("", "", recipe) }).diagnostics).toEqual([]);
});

test("an attentive probe takes heads that divide the width, numbers in their range, and no pooling", () => {
  checkMarked(sound("", "probe m { attentive(on: teacher, heads: 4, epochs: 5, learning_rate: 1e-3, weight_decay: 0) }\n"));
  checkMarked(sound("", `probe m { attentive(on: teacher, heads: 5) }
//                               ^^^^^^^^ JEP3011 A width of 64 cannot be split into 5 equal parts.
`));
  checkMarked(sound("", `probe m { attentive(on: teacher, epochs: 0) }
//                               ^^^^^^^^^ JEP2011 \`epochs\` must be a number from 1 to 10000, and this is 0.
`));
  checkMarked(sound("", `probe m { attentive(on: teacher, learning_rate: 0) }
//                               ^^^^^^^^^^^^^^^^ JEP2011 \`learning_rate\` must be a number above 0, and this is 0.
`));
  checkMarked(sound("", `probe m { attentive(on: teacher, weight_decay: -1) }
//                               ^^^^^^^^^^^^^^^^ JEP2011 \`weight_decay\` must be a number of at least 0, and this is -1.
`));
  checkMarked(sound("", `probe m { attentive(on: teacher, pool: mean) }
//                               ^^^^ JEP2004 \`attentive\` has no argument \`pool\`; it takes \`on\`, \`heads\`,
`));
  checkMarked(sound("", `probe m { attentiv(on: teacher) }
//        ^^^^^^^^^^^^^^^^^^^^^ JEP6009 Did you mean \`attentive\`
`));
});

test("an encoder has one probe of each kind, by whatever name it is called", () => {
  checkMarked(sound("", `probe m { linear(on: teacher); knn(on: teacher, k: 5); linear(on: student); knn(on: teacher, k: 20) }
//                                                                          ^^^^^^^^^^^^^^^^^^^^^^^ JEP2002 \`knn(on: teacher)\` is declared twice.
`));
  checkMarked(sound("  encoder other = teacher\n", `probe m { attentive(on: teacher); linear(on: teacher); attentive(on: student); attentive(on: other, heads: 2) }
//                                                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP2002 \`attentive(on: teacher)\` is declared twice.
`));
});

test("an encoder that pools has no tokens to attend to", () => {
  const program = (probe: string) => `use std.vit
use std.heads
module pooled() (image) -> Vector[64] { mean(vit(4, 64, 2, 4)(image), over: tokens) }
model m {
  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = pooled()
  head g = projector(hidden: 128, out: 64)
  loss mse(g(f(a)), g(f(b))) + variance(g(f(a))) + 0.04 * covariance(g(f(a)))
}
train m { epochs 1 }
probe m { ${probe}`;
  checkMarked(program("linear(on: f) }\n"));
  checkMarked(program(`attentive(on: f) }
//        ^^^^^^^^^^^^^^^^ JEP6026 An attentive probe reads tokens, and \`f\` gives one row for a picture.
`));
});

test("the manifest says what an attentive probe was told", () => {
  const { manifest } = compile({ file: "m.jepa", text: sound("", "probe m { knn(on: teacher, k: 5); attentive(teacher, heads: 2 * 2, epochs: 3) }\n") });
  expect(manifest?.probes).toEqual([
    { kind: "knn", on: "teacher", pool: "mean", args: { k: 5 } },
    { kind: "attentive", on: "teacher", pool: "attention", args: { heads: 4, epochs: 3 } },
  ]);
});
