/**
 * What the language's keywords mean, for hovers. // tidy: table
 *
 * Owns one line for each word that begins an item or a statement or stands between two operands, and how it is written. No
 * word is reserved: which places hold one is for the coloring to say. Words of recipes, masks and probes are `word-texts.ts`'s.
 */
import { own } from "../base/own.js";
import { coloring } from "./colors.js";
import type { WordText } from "./word-texts.js";

export const keywordTexts: Readonly<Record<string, WordText>> = {
  use: { usage: "use std.vit\nuse \"./other.jepa\"", text: "Brings a part of the library, or another file by a path relative to this one." },
  module: { usage: "module name(option = value) (x: Tokens[width]) -> Tokens[width] { … }", text: "A function with parameters of its own: layers, encoders, heads. Its last expression is its result." },
  model: { usage: "model name { … }", text: "A program: its inputs, masks, networks, values and losses." },
  train: { usage: "train name { data …; epochs …; batch …; learning_rate … }", text: "The recipe of a program: data, length, batch, optimizer and schedules." },
  probe: { usage: "probe name { linear(on: teacher); knn(on: teacher, k: 20) }", text: "What is measured of frozen features when a run is done, beside those of the untrained encoder." },
  variant: { usage: "variant name of base { … }", text: "Another program with some lines changed: a line of the same name takes the place of the base's." },
  sweep: { usage: "sweep name of base { width in [96, 192] }", text: "All combinations of some values, for `jepac sweep`." },
  param: { usage: "param width = 192", text: "A number that the program's lines use, and that `--set width=96` changes." },
  input: { usage: "input image: Image[32, 32, 3]", text: "What the program sees: `Image[height, width, channels]`, `Video[frames, height, width, channels]`, `Action[size]` or `Label[classes]`." },
  mask: { usage: "mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5)", text: "Sets of positions on the patch grid, drawn anew for every image and step." },
  view: { usage: "view a, b = augment(image) { random_resized_crop(scale: 0.3..1.0), flip(p: 0.5) }", text: "An augmentation of an input, drawn anew for every image and step; two views of an image are two draws." },
  encoder: { usage: "encoder student = vit(patch, width, depth, heads)", text: "A network whose output is a latent space of its own: trained by the losses, or `ema(…)`, `frozen(…)`, `pretrained(…)` of another." },
  predictor: { usage: "predictor predict = vit_predictor(width: 48, depth: 2, heads: 3)", text: "A network that maps into the space of what it is compared with. To the checker of collapse it is what stands between two views." },
  head: { usage: "head project = projector(hidden: 256, out: 64)", text: "A network after an encoder: a projection, prototypes, a classifier." },
  part: { usage: "part norm = layer_norm()\npart blocks = depth of block(heads)", text: "A module inside of a module, or a list of so many." },
  learn: { usage: "learn weight[in, out] ~ trunc_normal(std: 0.02)", text: "A trained parameter, with its sizes and how it starts." },
  fixed: { usage: "fixed table[rows, width] ~ normal(std: 1)", text: "A parameter that never learns." },
  state: { usage: "state mean[width] ~ zeros", text: "A parameter that the step rewrites: running statistics. A step reads what the step before has left." },
  loss: { usage: "loss smooth_l1(z_hat, z_target, beta: 1.0) in latent(teacher)", text: "What is minimized, and the space in which it compares. Several are added; `0.5 * mse(…) + variance(…)` is one of several terms." },
  repeat: { usage: "repeat block in blocks { x = block(x) }\nrepeat 3 { … }", text: "Walks a list of parts, or makes its parts in each round; what is assigned inside and exists outside is carried along." },
  allow: { usage: "allow collapse(\"the reason\")", text: "Lets a program through that the checker refuses: `collapse`, or `leak` for masks. The reason is told with the verdict." },
  minus: { usage: "mask context = block(…) minus targets", text: "The positions of the one without those of the other." },
  at: { usage: "image at context\nz at targets", text: "The patches or tokens at the positions of a mask." },
  of: { usage: "4 of block(…)\nvariant small of ijepa { … }", text: "So many of something, or what a variant or a sweep is of." },
  in: { usage: "loss mse(a, b) in pixels", text: "The space in which a loss compares or a value lies; in `repeat` and `sweep`, what is walked." },
};

/** The keyword at an offset of a text (UTF-16 units), with what it means; undefined where none stands. */
export function keywordAt(text: string, offset: number): (WordText & { readonly start: number; readonly end: number }) | undefined {
  const piece = coloring(text).find(({ start, end, color }) => color === "keyword" && start <= offset && offset <= end);
  const found = piece === undefined ? undefined : own(keywordTexts, text.slice(piece.start, piece.end));
  return piece === undefined || found === undefined ? undefined : { ...found, start: piece.start, end: piece.end };
}
