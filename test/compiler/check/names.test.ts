/** Families 2xxx: names, structure, variants and files, each drawn in the source. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { checkMarked, sound } from "./marked.js";

test("an unknown name is reported with its nearest neighbor", () => {
  checkMarked(sound(`  extra = studnet(image)
//        ^^^^^^^ JEP2001 Did you mean \`student\`
`));
});

test("a loss named in another program's words is found by its nearest name", () => {
  checkMarked(sound(`  loss extra = smooth_l2(z_hat, z_target)
//             ^^^^^^^^^ JEP2001 Did you mean \`smooth_l1\`
`));
});

test("an encoder in `latent(…)` must be known", () => {
  checkMarked(sound(`  loss extra = mse(z_hat, z_target) in latent(teachr)
//                                            ^^^^^^ JEP2001 Did you mean \`teacher\`
`));
});

test("a name said twice is reported at its second place", () => {
  checkMarked(sound(`  z_extra = z_hat
  z_extra = z_target
//^^^^^^^ JEP2002 \`z_extra\` is declared twice.
`));
});

test("a model said twice is reported", () => {
  checkMarked(sound("", `  model m { }
//      ^ JEP2002 \`m\` is declared twice.
`));
});

test("a setting said twice is reported", () => {
  checkMarked(sound("", "", `  epochs 1
  epochs 2
//^^^^^^ JEP2002 Keep one of the two lines.
`));
});

test("a probe of an unknown model is reported", () => {
  checkMarked(sound("", `probe n { linear(on: teacher) }
//    ^ JEP2003 Did you mean \`m\`
`));
});

test("a variant of an unknown model is reported", () => {
  checkMarked(sound("", `variant v of mm { }
//           ^^ JEP2003 Did you mean \`m\`
`), { program: "v" });
});

test("an unknown argument of a module is reported at its name", () => {
  checkMarked(sound(`  encoder other = vit(4, 64, 2, haeds: 4)
//                              ^^^^^ JEP2004 Did you mean \`heads\`
`));
});

test("an unknown argument of a loss is reported at its name", () => {
  checkMarked(sound(`  loss extra = smooth_l1(z_hat, z_target, bta: 2)
//                                        ^^^ JEP2004 Did you mean \`beta\`
`));
});

test("an unknown argument of a built-in is reported at its name", () => {
  checkMarked(sound(`  y = softmax(z_hat, temprature: 2)
//                   ^^^^^^^^^^ JEP2004 Did you mean \`temperature\`
`));
});

test("an unknown input of a module is reported at its name", () => {
  checkMarked(sound(`  y = predict(z_context, att: targets)
//                       ^^^ JEP2004 Did you mean \`at\`
`));
});

test("an unknown option of a mask is reported at its name", () => {
  checkMarked(sound(`  mask other = block(scle: 0.5)
//                   ^^^^ JEP2004 Did you mean \`scale\`
`));
});

test("an unknown argument of an augmentation is reported", () => {
  checkMarked(sound("", `//                     ^^^^ JEP2004 \`flip\` has no argument \`prob\`; it takes \`p\`.
}
`, `  epochs 1
  data shapes() { flip(prob: 0.5) `));
});

test("an argument without a default must be given", () => {
  checkMarked(sound(`  y = vit(4, 64, 2)(image)
//    ^^^^^^^^^^^^^^^^^^^^ JEP2005 \`vit\` needs the argument \`heads\`.
`));
});

test("all that a module lacks is told where it is configured", () => {
  checkMarked(sound(`  predictor narrow = vit_predictor(width: 48)
//                   ^^^^^^^^^^^^^^^^^^^^^^^^ JEP2005 Add \`depth: …\` and \`heads: …\`.
  y = narrow(z_context, at: targets)
`));
});

test("an input of a module must be given", () => {
  checkMarked(sound(`  y = predict(z_context)
//    ^^^^^^^^^^^^^^^^^^ JEP2005 \`vit_predictor\` needs the argument \`at\`.
`));
});

test("too many arguments of a module are counted", () => {
  checkMarked(sound(`  encoder other = vit(4, 64, 2, 4, 4, 0.02, 9)
//                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP2006 The most arguments that \`vit\` takes is 6, and
`));
});

test("too many arguments of a built-in are counted", () => {
  checkMarked(sound(`  y = gelu(z_hat, z_hat, z_hat)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^ JEP2006 The most arguments that \`gelu\` takes is 1, and
`));
});

test("a loss takes as many values as it compares", () => {
  checkMarked(sound(`  loss extra = mse(z_hat)
//             ^^^^^^^^^^ JEP2005 \`mse\` compares 2 values; 1 is given
`));
});

test("an unknown part is reported with the parts there are", () => {
  checkMarked(sound(`  y = student.patch_embd(image)
//            ^^^^^^^^^^ JEP2007 Did you mean \`patch_embed\`
`));
});

test("a list of parts cannot be used on its own", () => {
  checkMarked(sound(`  y = student.blocks(image)
//            ^^^^^^ JEP2008 The part \`blocks\` of \`student\` cannot be used on
`));
});

test("`of` has no meaning outside of masks and parts", () => {
  checkMarked(sound(`  y = 4 of student
//    ^^^^^^^^^^^^ JEP2009 This cannot stand here: \`of\` belongs in a mask
`));
});

test("a mask belongs in a model", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  mask a = all
//^^^^^^^^^^^^ JEP2009 This cannot stand here: \`mask\` belongs in a model,
  x
}
`));
});

test("numbers that divide by zero are refused", () => {
  checkMarked(sound(`  encoder other = vit(4, 64 / 0, 2, 4)
//                       ^^^^^^ JEP2009 This cannot stand here: 64 / 0 is not
`));
});

test("a number is no tensor", () => {
  checkMarked(sound(`  y = gelu(3)
//         ^ JEP2010 For \`x\` of \`gelu\`, a tensor is expected, and
`));
});

test("a number is no encoder", () => {
  checkMarked(sound(`  encoder e = 12
//            ^^ JEP2010 For the encoder \`e\`, a module such as \`vit(…)\`
`));
});

test("a predictor cannot follow what is no encoder", () => {
  checkMarked(sound(`  encoder e = ema(image, momentum: 0.9)
//                ^^^^^ JEP2010 For \`of\` of \`ema\`, an encoder or head declared
`));
});

test("a word that an option does not know is reported with those it knows", () => {
  checkMarked(sound(`  mask other = block(scale: 0.5, sampler: fast)
//                                        ^^^^ JEP2010 For \`sampler\`, \`published\` or \`corrected\` is expected, and this
`));
});

test("a dimension of a billion is refused", () => {
  checkMarked(`model m {
  input image: Image[1000000000, 32, 3]
//                   ^^^^^^^^^^ JEP2011 An image size must be a number from 1
}
train m { epochs 1 }
`);
});

test("an image whose sizes multiply beyond every device is refused", () => {
  checkMarked(`model m {
  input image: Image[100000, 100000, 3]
//             ^^^^^^^^^^^^^^^^^^^^^^^^ JEP2011 The size of the image must be a number
}
train m { epochs 1 }
`);
});

test("a temperature above zero is asked for", () => {
  checkMarked(sound(`  y = softmax(z_hat, temperature: 0)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP2011 \`temperature\` must be a number above 0, and
`));
});

test("a negative count is refused", () => {
  checkMarked(sound(`  mask other = block(scale: 0.5, min_keep: -3)
//                                         ^^ JEP2011 \`min_keep\` must be a number of positions, 0 or more
`));
});

test("a batch of nothing is refused", () => {
  checkMarked(sound("", "", `  epochs 1
  batch 0
//      ^ JEP2011 \`batch\` must be a number from 1 to 1048576,
`));
});

test("a range runs from low to high", () => {
  checkMarked(sound(`  mask other = block(scale: 0.5..0.2)
//                          ^^^^^^^^ JEP2012 The range 0.5..0.2 runs backwards.
`));
});

test("a loss is declared in a space", () => {
  checkMarked(sound(`  loss extra = mse(z_hat, z_target) in latnt(teacher)
//                                     ^^^^^^^^^^^^^^ JEP2013 This does not name a space.
`));
});

test("a module may not contain itself", () => {
  checkMarked(sound(`  y = loop(student(image))
`, `module loop(x) {
  loop(x)
//^^^^^^^ JEP2014 Modules may not contain themselves: loop -> loop.
}
`));
});

test("modules may not contain each other", () => {
  checkMarked(sound(`  y = ping(student(image))
`, `module ping(x) { pong(x) }
module pong(x) { ping(x) }
//               ^^^^^^^ JEP2014 Modules may not contain themselves: ping -> pong ->
`));
});

test("a module has a result", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
//     ^^^ JEP2016 The module \`odd\` has no result.
  y = x
}
`));
});

test("an initializer is one of those there are", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  learn w[width] ~ zeroes
//                 ^^^^^^ JEP2017 Did you mean \`zeros\`
  x * w
}
`));
});

test("as many names as values", () => {
  checkMarked(sound(`  a, b = split(z_hat, 4)
//^^^^^^^^^^^^^^^^^^^^^^ JEP2018 The number of names is 2, and the number
`));
});

test("one value has one name", () => {
  checkMarked(sound(`  a, b = z_hat
//^^^^^^^^^^^^ JEP2018 The number of names is 2, and the number
`));
});

test("a loop that changes nothing is reported", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  repeat 3 { y = x }
//^^^^^^^^^^^^^^^^^^ JEP2019 This \`repeat\` changes nothing.
  x
}
`));
});

test("a loop runs a known number of times", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  repeat x { x = x * 2 }
//       ^ JEP2020 The count of a \`repeat\` must be known when
  x
}
`));
});

test("a variant's param overrides one of its base", () => {
  checkMarked(sound("", `variant v of m {
  param widht = 3
//      ^^^^^ JEP2021 \`widht\` overrides nothing: \`m\` does not declare it.
}
`), { program: "v" });
});

test("bindings that need each other are reported once", () => {
  checkMarked(sound(`  a = b
//^^^^^ JEP2023 These lines need each other: a -> b ->
  b = a
  c = a + z_hat
`));
});

test("variants that are based on each other are reported", () => {
  checkMarked(sound("", `variant v of w { }
//      ^ JEP2024 The variant \`v\` is a variant of itself.
variant w of v { }
`), { program: "v" });
});

test("a sweep changes something that is there", () => {
  checkMarked(sound("", `sweep s of m { predict.dept in [1, 2] }
//             ^^^^^^^^^^^^ JEP2025 Did you mean \`predict.depth\`
`));
});

test("a value that is set must be there, and a name near to one that is says so", () => {
  const help = (name: string, text = sound()): string | undefined => check({ file: "m.jepa", text }, { set: { [name]: 3 } }).diagnostics.find((d) => d.code === "JEP2025")?.help;
  const named = sound().replace("model m {", "model m {\n  param depth = 2").replace("vit(4, 64, 2, 4)", "vit(4, 64, depth, 4)");
  expect(help("depht", named)).toBe("Did you mean `depth`?");
  // Where only instances have it, said without the instance.
  expect(help("depht")).toBe("Did you mean `student.depth` or `predict.depth`?");
  expect(help("patch")).toBe("Did you mean `student.patch`?");
  expect(help("student.rato")).toBe("Did you mean `student.ratio`?");
  // An average has the configuration of what it follows.
  expect(help("teacher.depth")).toBe("Did you mean `student.depth`?");
  expect(help("nothing_like_it")).toMatch(/^There are `student.patch`, `student.width`, /);
  expect(help("student.ratio")).toBeUndefined();
  // An instance with a mistake of its own has no options to speak of.
  expect(help("student.depth", sound().replace("student = vit(", "student = vitt2x("))).toBeUndefined();
});

test("a sweep changes the options that `--set` does, and no others", () => {
  checkMarked(sound("", `sweep s of m { student.ratio in [1, 2] }
sweep t of m { teacher.depth in [1, 2] }
//             ^^^^^^^^^^^^^ JEP2025 Did you mean \`student.depth\`
`));
});

test("a model without a loss is refused", () => {
  checkMarked(`model m {
//    ^ JEP2026 The model \`m\` has no loss.
  input image: Image[32, 32, 3]
}
train m { epochs 1 }
`);
});

test("a view is made by augment", () => {
  checkMarked(sound(`  view a = student(image)
//         ^^^^^^^^^^^^^^ JEP2027 A view is made by \`augment(<input>)\`.
`));
});

test("a file that is not there is reported", () => {
  checkMarked(`  use "./nope.jepa"
//^^^^^^^^^^^^^^^^^ JEP2028 \`./nope.jepa\` cannot be used: there is no such file
use std.vit
model m {
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
train m {
  epochs 1
}
`);
});

const brought = (use: string, library = use): string => `  use "${use}"
//${"^".repeat(use.length + 6)} JEP2028 \`${library}\` cannot be used
use std.vit
variant small of base {
  param wide = 3
}
train base { steps 3 }
probe bace { linear(on: student) }
sweep widths of base { width in [1, 2] }
`;

test("names that a file would have brought are not mistakes where the file cannot be had, whatever keeps it away", () => {
  checkMarked(brought("./nope.jepa"));
  checkMarked(brought("../../nope.jepa"));
  checkMarked(brought("./nope.jepa"), { program: "other" });
});

test("modules that a file would have brought are not mistakes where it cannot be had; what no file brings still is", () => {
  checkMarked(`  use "./nope.jepa"
//^^^^^^^^^^^^^^^^^ JEP2028 there is no such file
use std.vit
module mine(x: Tokens[width]) -> Tokens[width] {
  part inner = special
  part many = 3 of special(4)
  repeat one in many { x = one(x) }
  inner(other(x))
}
model m {
  input image: Image[32, 32, 3]
  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 4)
  encoder student = special(4, 64, 2, 4)
  encoder teacher = ema(student, momentum: 0.996 -> 1.0)
  encoder still = frozen(special)
  head wide = mine()
  z_target = stopgrad(normalize(teacher(image))) at targts
//                                                  ^^^^^^ JEP2001 Did you mean \`targets\`
  loss smooth_l1(wide(special(still(image))), z_target)
}
`);
  // With the file, a name that is not its is a mistake.
  checkMarked(`use "./there.jepa"
model m {
  input image: Image[32, 32, 3]
  encoder student = specal(4, 64, 2, 4)
//                  ^^^^^^ JEP2001 Did you mean \`special\`
  loss variance(student(image))
}
train n { epochs 1 }
//    ^ JEP2003 Did you mean \`m\`
train m { epochs 1 }
`, { files: { "there.jepa": "module special(a, b, c, d) (image) -> Tokens[w] {\n  patches(image, 4)\n}\n" } });
});

test("names of a file with mistakes of grammar are not mistakes of its user", () => {
  const read = (path: string): string | undefined => (path === "there.jepa" ? "model base {\n}\nmodul rest(x) { x }\n" : undefined);
  const result = check({ file: "m.jepa", text: 'use "./there.jepa"\nmodel m {\n  input image: Image[32, 32, 3]\n  head h = rest()\n  loss variance(h(patches(image, 4)))\n}\ntrain m { epochs 1 }\n', read });
  expect([...new Set(result.diagnostics.map((d) => d.span.file))]).toEqual(["there.jepa"]);
  expect(result.ok).toBe(false);
});

test("an unknown part of the library is reported", () => {
  checkMarked(`use std.vt
//  ^^^^^^ JEP2028 Did you mean \`std.vit\`
use std.vit
model m {
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
train m {
  epochs 1
}
`);
});

test("a file outside of the project is refused", () => {
  checkMarked(`  use "../../../etc/passwd"
//^^^^^^^^^^^^^^^^^^^^^^^^^ JEP2028 \`../../../etc/passwd\` cannot be used: it leaves the project.
use std.vit
model m {
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
train m {
  epochs 1
}
`);
});

test("an absolute path is refused", () => {
  checkMarked(`  use "/etc/passwd"
//^^^^^^^^^^^^^^^^^ JEP2028 \`/etc/passwd\` cannot be used: it leaves the project.
use std.vit
model m {
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
train m {
  epochs 1
}
`);
});

test("files that use each other in a circle are reported", () => {
  checkMarked(`  use "./marked.jepa"
//^^^^^^^^^^^^^^^^^^^ JEP2028 \`marked.jepa\` cannot be used: the files use each other
use std.vit
model m {
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
train m {
  epochs 1
}
`);
});

test("a sweep of too many runs is refused", () => {
  checkMarked(sound("", `  sweep s of m {
//^^^^^^^^^^^^^^ JEP2029 This sweep has 11000 points; at most 10000 are
    predict.depth in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    predict.width in [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    predict.heads in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    student.depth in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
  }
`));
});

test("a binding of a variant that no loss depends on is a slip of the pen", () => {
  checkMarked(sound("", `variant v of m {
  z_targt = stopgrad(teacher(image)) at targets
//^^^^^^^ JEP2022 Did you mean \`z_target\`, which \`m\` declares?
  spare = z_hat * 2
//^^^^^ JEP2022 Use it, or remove the line
  z_hat = predict(z_context, at: targets) * 2
}
`), { program: "v" });
});

test("a binding of a variant that a loss needs through others, or that an unknown name may mean, is not dangling", () => {
  checkMarked(sound("", `variant v of m {
  half, rest = split(teacher(image), 2)
  wide = join(half, half)
  z_target = stopgrad(wide) at targets
}
`), { program: "v" });
  checkMarked(sound("", `variant w of m {
  z_aim = stopgrad(teacher(image)) at targets
  loss smooth_l1(z_hat, z_aimm)
//                      ^^^^^^ JEP2001 \`z_aimm\` is not known here
}
`), { program: "w" });
});

test("an unknown name is told the nearest of all names of the model, those of later lines too, and never its own", () => {
  const help = (lines: string): string | undefined => check({ file: "m.jepa", text: sound(lines) }).diagnostics.find((d) => d.code === "JEP2001")?.help;
  expect(help("  early = pool(lattice)\n  latice = student(image)\n  loss extra = mse(early, pool(stopgrad(latice)))\n")).toBe("Did you mean `latice`?");
  expect(help("  latice = pool(lattice)\n")).toBe("Declare it above, or add the `use` that brings it.");
});

test.each([
  ["a space", "loss mse(decode(f(image)), patches(image, 8)) in pixel", "shapes(count: 64)", "batch 16", "JEP2013", "pixels"],
  ["a source of pictures", "loss mse(decode(f(image)), patches(image, 8)) in pixels", "shape(count: 64)", "batch 16", "JEP6007", "shapes"],
  ["a setting with a word too many", "loss mse(decode(f(image)), patches(image, 8)) in pixels", "shapes(count: 64)", "batchsize 16", "JEP6005", "batch"],
  ["an argument in full", "head h = two(output: 8)\n  loss mse(decode(h(f(image))), patches(image, 8)) in pixels", "shapes(count: 64)", "batch 16", "JEP2004", "out"],
])("%s that is nearly right is found by its nearest word", (_what, lines, data, batch, code, meant) => {
  const text = `use std.vit\nuse std.heads\n\nmodule two(out) (x: Tokens[in]) -> Tokens[out] {\n  part one = linear(out)\n  one(x)\n}\n\nmodel m {\n  input image: Image[32, 32, 3]\n  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)\n  ${lines}\n}\n\ntrain m {\n  data ${data}\n  ${batch}\n}\n`;
  const found = check({ file: "m.jepa", text }).diagnostics.find((d) => d.code === code);
  expect(found?.help).toBe(`Did you mean \`${meant}\`?`);
});

test("a word that only begins like a known one is asked about and not replaced", () => {
  const found = check({ file: "m.jepa", text: sound("", "", "  epochs 1\n  batchsize 16\n") }).diagnostics.find((d) => d.code === "JEP6005");
  expect([found?.help, found?.fixes]).toEqual(["Did you mean `batch`?", []]);
});
