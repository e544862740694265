/** Families 3xxx: shapes, positions and spaces, each drawn in the source. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { printGraph } from "../../../compiler/model/print.js";
import { checkMarked, sound } from "./marked.js";

test("shapes must agree", () => {
  checkMarked(sound(`  y = student(image) + image
//    ^^^^^^^^^^^^^^^^^^^^^^ JEP3001 \`+\` does not fit [B, 64, 64] with [B,
`));
});

test("what is multiplied must fit", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  learn w[3, width] ~ zeros
  affine(x, w)
//^^^^^^^^^^^^ JEP3001 \`affine\` does not fit [B, T, 64] with [3,
}
`));
});

test("tokens of two masks do not meet in a sum", () => {
  checkMarked(sound(`  y = z_context + (student(image) at targets)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3002 \`+\` joins tokens at different positions: \`context\` and \`targets\`.
`));
});

test("tokens of a mask and of the grid do not meet in a loss", () => {
  checkMarked(sound(`  loss extra = mse(z_hat, student(image))
//             ^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3002 \`mse\` joins tokens at different positions: \`targets\` and all
`));
});

test("only images are cut into patches", () => {
  checkMarked(sound(`  y = patches(z_hat, 4)
//    ^^^^^^^^^^^^^^^^^ JEP3003 The operand of \`patches\` should be an image, and
`));
});

test("only runs of tokens are joined: a learned vector, a pooled value and nothing are told, and no loss is lost", () => {
  checkMarked(sound(`  y = concat(pool(z_context), z_context)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3003 Operand 1 of \`concat\` should be tokens, a run of them for each image, and is [B, 64].
`));
  checkMarked(sound(`  loss extra = mean(square(concat()))
//                         ^^^^^^^^ JEP3003 What \`concat\` joins should be tokens
`));
  checkMarked(sound(`  y = classed(z_context)
`, `module classed() (x: Tokens[width]) -> Tokens[width] {
  learn cls[1, width] ~ zeros
  concat(cls, x)
//^^^^^^^^^^^^^^ JEP3003 \`spread(vector, at: mask)\`
}
`));
});

test("a module says what it takes", () => {
  checkMarked(sound(`  y = predict(mean(z_context, over: tokens), at: targets)
//            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3003 This argument should be Tokens, and is [B, 64]
`));
});

test("a reduction names an axis that is there", () => {
  checkMarked(sound(`  y = mean(image, over: tokens)
//                      ^^^^^^ JEP3004 \`mean\` over \`tokens\`: the axes here are batch, height,
`));
});

test("a reduction names an axis", () => {
  checkMarked(sound(`  y = mean(z_hat, over: pixels)
//                      ^^^^^^ JEP3004 \`mean\` over \`pixels\`: the axes here are batch, token,
`));
});

test("patches cover the image", () => {
  checkMarked(sound(`  y = patches(image, 5)
//    ^^^^^^^^^^^^^^^^^ JEP3005 A 32x32 image cannot be cut into 5x5 patches.
`));
});

test("one module has one set of parameters", () => {
  checkMarked(sound(`  y = predict(patches(image, 4) at context, at: targets)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3006 The shared parameter \`embed.weight\` would be [64, 32] and
`));
});

test("tokens already chosen have none to choose", () => {
  checkMarked(sound(`  y = z_context at targets
//    ^^^^^^^^^^^^^^^^^^^^ JEP3007 \`at targets\` cannot pick from \`context\`.
`));
});

test("pooled tokens have no places", () => {
  checkMarked(sound(`  y = mean(z_context, over: tokens) at targets
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3007 \`at targets\` cannot pick from no positions.
`));
});

test("a mask lies on one grid", () => {
  checkMarked(sound(`  y = patches(image, 8) at targets
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3008 The mask \`targets\` is used on a 8x8 grid
`));
});

test("a predictor of a pooled value needs masks whose grid is known", () => {
  checkMarked(sound(`  mask late = random(0.5)
  y = expand(pool(z_context), at: late)
`, `module expand(x: Vector[width], at: Positions) -> Tokens[width] {
  learn token[1, 1, width] ~ zeros
  spread(token, at)
//^^^^^^^^^^^^^^^^^ JEP3009 The grid of the mask \`late\` is not known
}
`));
});

test("a mask lies on the grid of the tokens that a predictor is given", () => {
  checkMarked(sound(`  mask late = random(0.5)
  y = predict(z_context, at: late)
`));
});

test("a position table needs positions", () => {
  checkMarked(sound(`  y = concat(z_context, z_context) + sincos2d(64)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3010 A position table cannot be added to tokens at
`));
});

test("heads divide the width", () => {
  checkMarked(sound(`  encoder e = vit(4, 64, 2, 5)
//                          ^ JEP3011 A width of 64 cannot be split into 5
  y = e(image)
`));
});

test("every wrong number of heads is told where it was given, in one run, also where what follows depends on it", () => {
  checkMarked(`use std.vit
model m {
  param count = 5
  input image: Image[32, 32, 3]
  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 4)
  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 4) minus targets
  encoder student = vit(4, 64, 2, heads: 5)
//                                ^^^^^^^^ JEP3011 \`vit\` is applied here
  encoder teacher = ema(student, momentum: 0.996 -> 1.0)
  encoder other = vit(4, 64, 2, heads: 5)
//                              ^^^^^^^^ JEP3011 A width of 64 cannot be split into 5
  encoder deeper = vit(4, 64, 3, count)
//                               ^^^^^ JEP3011 \`count\` is given here
  predictor predict = vit_predictor(32, 1, 3)
//                                         ^ JEP3011 A width of 32 cannot be split into 3
  z_hat = predict(student(image at context), at: targets)
  loss smooth_l1(z_hat, stopgrad(teacher(image)) at targets)
  loss extra = mse(predict(student(image at context), at: targets), stopgrad(teacher(image)) at targets)
  loss more = variance(pool(other(image))) + variance(pool(deeper(image)))
}
train m { epochs 1 }
`);
});

test("in a module of the program, a number is told where the program gives it to the library", () => {
  checkMarked(sound(`  head mine = wide(3)
  head none = thin()
  y = mine(z_hat)
  z = none(z_hat)
`, `module wide(count) (x: Tokens[width]) -> Tokens[width] {
  part inner = attention(count)
//                       ^^^^^ JEP3011 \`wide\` is applied here
  inner(x)
}
module thin() (x: Tokens[width]) -> Tokens[width] {
  part inner = attention(7)
//                       ^ JEP3011 A width of 64 cannot be split into 7
  inner(x)
}
`));
});

test("a patch size is told where it was given", () => {
  checkMarked(sound(`  encoder e = vit(patch: 5, width: 64, depth: 1, heads: 4)
//                ^^^^^^^^ JEP3005 A 32x32 image cannot be cut into 5x5 patches.
  y = e(image)
`));
});

test("a split divides the width", () => {
  checkMarked(sound(`  a, b, c = split(z_hat, 3)
//          ^^^^^^^^^^^^^^^ JEP3011 A width of 64 cannot be split into 3
`));
});

test("a position table codes in fours", () => {
  checkMarked(sound(`  encoder e = vit(4, 66, 2, 3)
//                   ^^ JEP3012 A two-dimensional sine-cosine table needs a width divisible by
  y = e(image)
`));
});

test("two encoders have two spaces", () => {
  checkMarked(sound(`  encoder e = vit(4, 64, 2, 4)
  loss extra = mse(student(image), stopgrad(e(image)))
//             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3013 \`mse\` compares latent(student) with latent(e).
`));
});

test("two encoders that a loss trains on both sides have one joint space, whatever stands between", () => {
  const codes = (loss: string, also = ""): string[] => check({ file: "m.jepa", text: sound(`  encoder e = vit(4, 64, 2, 4)\n${also}  loss extra = ${loss}\n`) }).diagnostics.filter((d) => d.severity === "error").map((d) => d.code);
  expect(codes("mse(pool(student(image)), pool(e(image))) + 25 * variance(pool(e(image))) + covariance(pool(e(image)))")).toEqual([]);
  expect(codes("info_nce(pool(student(image)), pool(e(image)))")).toEqual([]);
  expect(codes("mse(pool(student(image)), pool(stopgrad(e(image))))")).toEqual(["JEP3013"]);
  expect(codes("mse(pool(student(image)), pool(g(image)))", "  encoder g = frozen(e)\n")).toContain("JEP3013");
  expect(codes("mse(pool(teacher(image)), pool(e(image)))")).toContain("JEP3013");
});

test("a declared space is held to", () => {
  checkMarked(sound(`  loss extra = mse(z_hat, z_target) in pixels
//                                     ^^^^^^ JEP3014 The loss is declared in pixels, but compares in
`));
});

test("what a loop carries keeps its shape", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  repeat 3 { x = concat(x, x) }
//^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3015 \`x\` is [B, T, 64] at the positions of
  x
}
`));
});

test("an input has a type that there is", () => {
  checkMarked(`model m {
  input image: Imge[32, 32, 3]
//             ^^^^ JEP3016 Did you mean \`Image\`
}
train m { epochs 1 }
`);
});

test("an image has three sizes", () => {
  checkMarked(`model m {
  input image: Image[32, 32]
//             ^^^^^^^^^^^^^ JEP3017 \`Image\` takes three sizes, and 2 are given.
}
train m { epochs 1 }
`);
});

test("a picture has as many channels as the program says, and generated ones are gray or in color", () => {
  for (const channels of ["2", "4", "13"]) {
    const { graph } = check({ file: "m.jepa", text: sound("  head paint = decode()\n  loss seen = mse(paint(z_hat), patches(image, 4) at targets)\n").replace("Image[32, 32, 3]", `Image[32, 32, ${channels}]`) });
    expect(graph?.inputs).toMatchObject([{ height: 32, width: 32, channels: Number(channels) }]);
    const { diagnostics } = check({ file: "m.jepa", text: sound("", "", "  epochs 1\n  data shapes(count: 64)\n").replace("Image[32, 32, 3]", `Image[32, 32, ${channels}]`) });
    expect(diagnostics.map(({ code, message }) => `${code} ${message}`)).toEqual([`JEP6025 Generated pictures are gray or in color, and this program takes ${channels} channels.`]);
  }
});

test("a gray picture goes through a model as one channel, and films may be gray too", () => {
  const gray = (text: string): string => text.replace("Image[32, 32, 3]", "Image[32, 32, 1]");
  checkMarked(gray(sound("  head paint = decode()\n  loss seen = mse(paint(z_hat), patches(image, 4) at targets)\n")));
  const { graph } = check({ file: "m.jepa", text: gray(sound()) });
  expect(graph?.inputs).toMatchObject([{ height: 32, width: 32, channels: 1 }]);
  const film = "use std.vit\nmodel m {\n  input film: Video[4, 16, 16, 1]\n  encoder f = linear(8)\n  x = f(tubes(film, patch: 8, frames: 2))\n  loss mse(x, 0 * x)\n  allow collapse(\"shapes\")\n}\ntrain m { epochs 1 }\n";
  const films = check({ file: "m.jepa", text: film }).graph;
  expect(films === undefined ? "" : printGraph(films)).toContain("2x2/8x1x2*2");
});

test("the pictures of a program all have the same channels", () => {
  checkMarked(`model m {
  input image: Image[32, 32, 3]
  input other: Image[16, 16, 1]
//                           ^ JEP3023 The number of channels of \`other\` is 1, and of \`image\` it is 3
  loss mse(image, 0 * image)
  loss dark = mse(other, 0 * other)
  allow collapse("shapes")
}
train m { epochs 1 }
`);
});

test("a loss is one number", () => {
  checkMarked(sound(`  loss extra = z_hat
//             ^^^^^ JEP3018 A loss is one number, and this is a
`));
});

test("a video has four sizes", () => {
  checkMarked(`model m {
  input film: Video[32, 32]
//            ^^^^^^^^^^^^^ JEP3019 \`Video\` is written \`Video[frames, height, width, channels]\`, and 2
}
train m { epochs 1 }
`);
});

test("one set of tokens goes with several, each of two with each of four, and a third number of sets with neither", () => {
  const contexts = (count: number, mark = ""): string => sound().replace("mask context = block", `mask context = ${count} of block`).replace("min_keep: 4) minus targets", "min_keep: 1) minus targets").replace("  loss smooth", `${mark}  loss smooth`);
  checkMarked(contexts(1));
  checkMarked(contexts(2));
  checkMarked(contexts(4));
  const third = "  mask others = 3 of block(scale: 0.15..0.20, aspect: 1.0, min_keep: 1)\n";
  checkMarked(sound(`${third}  two = concat(teacher(image) at others, teacher(image) at targets)\n  z = concat(teacher(image) at context, teacher(image) at others, teacher(image) at targets)\n`));
  checkMarked(contexts(2).replace("  loss smooth", `${third}  z = concat(teacher(image) at context, teacher(image) at others, teacher(image) at targets)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3021 \`concat\` joins 2 sets of tokens for each image with 4\n  loss smooth`));
  checkMarked(contexts(2).replace("  loss smooth", `  two = concat(teacher(image) at context, teacher(image) at targets)
  b = two at targets
  a = two at context
//    ^^^^^^^^^^^^^^ JEP3007 \`at context\` cannot pick from
  loss smooth`));
});

test("a mask is used on the batches of a union, and not on the union", () => {
  const told = "JEP3022 A mask has places for the images of one batch, and these are the tokens of 2 batches.\n";
  const union = "  both = union(student(image), teacher(image))\n";
  checkMarked(sound("  both = union(student(image at context), teacher(image at context))\n  spread = pool(both)\n"));
  checkMarked(sound(`${union}  some = both at context\n//       ^^^^^^^^^^^^^^^ ${told}`));
  checkMarked(sound(`  head hide = mask_tokens()\n${union}  some = hide(both, at: context)\n//       ^^^^^^^^^^^^^^^^^^^^^^^ ${told}`).replace("use std.vit", "use std.vit\nuse std.heads"));
  checkMarked(sound(`  both = union(student(image at context), teacher(image at context))\n  some = predict(both, at: targets)\n//       ^^^^^^^^^^^^^^^^^^^^^^^^^^ ${told}`));
});

test("rotary positions need places, of one grid or of moments", () => {
  checkMarked(sound(`  y = rotary(pool(z_context), heads: 4)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3033 these sit at no positions
`));
  checkMarked(sound(`  y = rotary(image, 1)
//    ^^^^^^^^^^^^^^^^ JEP3003 queries or keys with features
`));
  checkMarked(sound(`  y = rotary(union(z_context, z_context), heads: 4)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3022
`));
});

test("a head is wide enough for what turns in it", () => {
  checkMarked(sound(`  y = rotary(z_context, heads: 32)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3031 A head of 2 features has no pair to turn for each of 2 axes
`));
  checkMarked(sound(`  y = rotary(z_context, heads: 5)
//    ^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP3011 A width of 64 cannot be split into 5
`));
  checkMarked(sound(`  y = rotary(z_context, heads: 4, base: 1)
//                                      ^ JEP2011 from 2 to
`));
});
