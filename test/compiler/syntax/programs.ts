/**
 * Programs that the syntax tests share: the language's own examples, and one file with every construct.
 *
 * Owns fixtures and the small helpers that turn a tree into something a test can compare. The examples are those of the
 * language's design, to the letter.
 */
import { parse } from "../../../compiler/syntax/parse.js";
import type { Parsed } from "../../../compiler/syntax/parse.js";

export const ijepa = `/// I-JEPA (Assran et al., CVPR 2023): ViT-H/14 on ImageNet-1k.
use std.vit

model ijepa {
  param image_size = 224
  param patch      = 14
  param width = 1280
  param depth = 32
  param heads = 16

  input image: Image[image_size, image_size, 3]

  // Masks: sets of positions on the patch grid, drawn anew for every image.
  mask targets = 4 of block(scale: 0.15..0.20, aspect: 0.75..1.5)
  mask context = block(scale: 0.85..1.00, aspect: 1.0) minus targets

  encoder   student = vit(patch, width, depth, heads)
  encoder   teacher = ema(student, momentum: 0.996 -> 1.0)
  predictor predict = vit_predictor(width: 384, depth: 12, heads)

  z_context = student(image at context)
  z_target  = stopgrad(normalize(teacher(image))) at targets
  z_hat     = predict(z_context, at: targets)

  loss smooth_l1(z_hat, z_target, beta: 1.0) in latent(teacher)
}

train ijepa {
  data           images("imagenet/train") { random_resized_crop(scale: 0.3..1.0) }
  epochs         300
  batch          2048
  optimizer      adamw(beta1: 0.9, beta2: 0.999, eps: 1e-8)
  learning_rate  cosine(2e-4 -> 1e-3 -> 1e-6, warmup: 40 epochs)
  weight_decay   cosine(0.04 -> 0.4)
}

probe ijepa { linear(on: teacher, pool: mean) }
`;

export const variants = `use "./ijepa.jepa"

/// Loss in pixel space instead of representation space (paper, table 7).
variant pixel_target of ijepa {
  z_target = normalize(patches(image)) at targets
  z_hat    = decode(predict(z_context, at: targets))
  loss mse(z_hat, z_target) in pixels
}

variant no_stop_gradient of ijepa {           // error: both branches learn and nothing stops collapse
  encoder teacher = student
  z_target = normalize(teacher(image)) at targets
}

sweep predictor_depth of ijepa { predict.depth in [6, 12] }
`;

export const modules = `module block(heads, ratio = 4.0) (x: Tokens[width]) -> Tokens[width] {
  x = x + attention(layer_norm(x), heads)
  x + mlp(layer_norm(x), hidden: ratio * width)
}
module vit(patch, width, depth, heads) (image) -> Tokens[width] {
  x = linear(patches(image, patch), width) + sincos2d(width)
  repeat depth { x = block(heads)(x) }
  layer_norm(x)
}
`;

/** Every construct of the grammar, and comments in every kind of place. */
export const kitchenSink = `// A file that holds everything once.

use std.vit // the library
use "./other.jepa"

/// Attention, as in the paper.
/// Two lines of it.
module attention(heads, scale = -0.5 ^ 2) (x: Tokens[width] in pixels, mask_token) -> Tokens[width] in latent(x) {
  learn weight[in, out] ~ trunc_normal(std: 0.02)
  fixed table[n, d] ~ zeros
  state center[d] ~ zeros
  learn bias ~ ones
  part attn = attention(heads)
  part blocks = depth of block(heads)
  repeat block in blocks { x = block(x) }
  repeat 2 * depth + 1 {
    /// What the line does.
    q, k, v = split(x, 3) /* trailing */
    x = softmax(q @ transpose(k) / sqrt(width)) @ v

    // the end
  }
  head project = mlp(
    x, // why x
    hidden: 4 * width, // and why this
  )
  -x ^ 2
}

module pool (x) { mean(x) }

model m { // note
  input image: Image[32, 32, 3]
  view a, b = augment(image, 2) {
    crop(scale: 0.3..1.0)
    flip()
  }
  mask at = random(0.5)
  mask of = block(aspect: 1.0) minus at minus 2 of 3 of block() at a
  at_once = f(at: of, of: at, in: 3, minus: -4)(x).y.z(1)
  long = first_operand_of_a_sum(with: arguments) + second_operand_of_a_sum(with: arguments) - third(of: it)
  loss inv = 25 * mse(a, b) in latent(teacher)
  loss -a
  loss (a + b) * 2 in pixels
  allow collapse("ablation: \\"why\\" \\\\ not")
  allow leak
  train { epochs 10, optimizer adamw(beta1: 0.9) }
  probe { linear(on: teacher), knn(k: 20, weighted: true) }
}

train m {
  data images("a") { crop() }
  amp
  save every 10 epochs
  learning_rate cosine(1 -> 2, warmup: 5 percent)
}
sweep s of m { predict.depth in [6, 12], width in [64, 128] }
// eof
`;

export const programs: Readonly<Record<string, string>> = { ijepa, variants, modules, kitchenSink };

/** Parses, and fails the test when there is any report. */
export function parseClean(text: string): Parsed {
  const parsed = parse(text, "test.jepa");
  if (parsed.diagnostics.length > 0) throw new Error(parsed.diagnostics.map((d) => `${d.span.start}: ${d.code} ${d.message}`).join("\n"));
  return parsed;
}

/** A tree without its spans, for comparison. */
export function withoutSpans(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree, (key, value: unknown) => (key === "span" ? undefined : value)));
}

/** Every object in the tree that has a span, with its innermost parent that has one. */
export function spanned(tree: unknown): { node: Spanned; parent: Spanned | undefined }[] {
  const found: { node: Spanned; parent: Spanned | undefined }[] = [];
  const step = (value: unknown, parent: Spanned | undefined): void => {
    if (Array.isArray(value)) for (const item of value) step(item, parent);
    else if (typeof value === "object" && value !== null) {
      const own = isSpanned(value) ? value : undefined;
      if (own !== undefined) found.push({ node: own, parent });
      for (const [key, inner] of Object.entries(value)) if (key !== "span") step(inner, own ?? parent);
    }
  };
  step(tree, undefined);
  return found;
}

export interface Spanned {
  readonly kind?: string;
  readonly span: { readonly file: string; readonly start: number; readonly end: number };
}

function isSpanned(value: object): value is Spanned {
  return "span" in value;
}
