/**
 * More programs with the verdict that the theory gives them: other mechanisms, and other spellings of the same ones.
 *
 * Each is a body of a model over two views (`views`) or over a masked picture (`masked`), or a whole model. A spelling
 * names the case that it must share its verdict with, so that what is asserted is sameness and not only a number.
 */
export interface Variation {
  readonly name: string;
  readonly verdict: "sound" | "risky" | "error";
  readonly rules: readonly string[];
  readonly text: string;
}

const header = `  input image: Image[32, 32, 3]
  view a, b = augment(image) {
    random_resized_crop(scale: 0.2..1.0)
    flip(p: 0.5)
  }
`;
const encoder = "  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)\n";
const grid = `  input image: Image[48, 48, 3]
  mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)
  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets
`;
const gridEncoder = "  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n";

function model(body: string, more = "", recipe = "  batch 64"): string {
  return `use std.vit\nuse std.heads\n\n${more}\nmodel m {\n${body}\n}\n\ntrain m {\n  data shapes(count: 256)\n  epochs 1\n${recipe}\n}\n`;
}

const lines = (text: string): string => text.trim().split("\n").map((l) => `  ${l.trim()}`).join("\n");

function views(name: string, verdict: Variation["verdict"], rules: readonly string[], body: string, more = "", recipe?: string): Variation {
  return { name, verdict, rules, text: model(`${header}${encoder}${lines(body)}`, more, recipe) };
}

function bare(name: string, verdict: Variation["verdict"], rules: readonly string[], body: string, more = "", recipe?: string): Variation {
  return { name, verdict, rules, text: model(`${header}${lines(body)}`, more, recipe) };
}

function masked(name: string, verdict: Variation["verdict"], rules: readonly string[], body: string, more = ""): Variation {
  return { name, verdict, rules, text: model(`${grid}${gridEncoder}${lines(body)}`, more) };
}

const swapped = `z1 = pool(f(a))
  z2 = pool(f(b))`;
const projected = `head p = projector(64, 64)
  z1 = p(pool(f(a)))
  z2 = p(pool(f(b)))`;
const predictor = "predictor h = vit_predictor(width: 16, depth: 1, heads: 2)";

/** Mechanisms: what each part does, alone and with others. */
export const mechanisms: readonly Variation[] = [
  views("a predictor that is a bias alone does not protect", "error", ["E-NOPRED"], `predictor h = shift_by()\n${swapped}\nloss negative_cosine(h(z1), stopgrad(z2))`, "module shift_by() (x: Features[width]) -> Features[width] {\n  learn bias[width] ~ zeros\n  x + bias\n}\n"),
  views("a predictor on both sides is part of the encoder", "error", ["E-NOPRED"], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(h(z1), stopgrad(h(z2)))`),
  views("the stop on the branch of the predictor", "error", ["E-NOPRED"], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(stopgrad(h(z1)), z2)`),
  views("a stop in front of the predictor trains the predictor only", "error", ["E-DEAD"], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(h(stopgrad(z1)), stopgrad(z2))`),
  views("an average of an average follows the first", "sound", [], `encoder t = ema(f, momentum: 0.9)\nencoder u = ema(t, momentum: 0.99)\npredictor h = mlp_bn(64)\nloss negative_cosine(h(pool(f(a))), pool(u(b)))`),
  views("momentum 0 is the encoder behind a stop", "sound", ["W-EMA-ZERO"], `encoder t = ema(f, momentum: 0)\npredictor h = mlp_bn(64)\nloss negative_cosine(h(pool(f(a))), pool(t(b)))`),
  views("momentum 0 without a predictor", "error", ["E-NOPRED"], `encoder t = ema(f, momentum: 0)\nloss negative_cosine(pool(f(a)), pool(t(b)))`),
  views("an average of another encoder, which learns nothing", "risky", ["W-FROZEN-TARGET"], `encoder g = vit(patch: 8, width: 32, depth: 1, heads: 2)\nencoder t = ema(g, momentum: 0.99)\npredictor h = mlp_bn(64)\nloss mse(h(pool(f(a))), pool(t(b)))`),
  views("no predictor towards a random network that never changes", "risky", ["W-FROZEN-TARGET"], `encoder t = ema(f, momentum: 1)\nloss mse(pool(f(a)), pool(t(b)))`),
  views("two encoders that predict each other behind stops", "risky", ["W-UNTIED"], `encoder g = vit(patch: 8, width: 32, depth: 1, heads: 2)\npredictor h = mlp_bn(64)\npredictor k = mlp_bn(64)\nloss mse(h(pool(f(a))), stopgrad(pool(g(b)))) + mse(k(pool(g(b))), stopgrad(pool(f(a))))`),
  views("a low constant momentum", "risky", ["W-EMA-RANGE"], `encoder t = ema(f, momentum: 0.5)\npredictor h = mlp_bn(64)\nloss mse(h(pool(f(a))), pool(t(b)))`),
  views("a head on the target that weight decay leaves alone", "sound", [], `encoder t = ema(f, momentum: 0.99)\npredictor h = mlp_bn(64)\nhead p = linear(32)\nloss mse(h(pool(f(a))), stopgrad(p(pool(t(b)))))`, "", "  batch 64\n  weight_decay 0"),
  views("variance and covariance with equal weights", "risky", ["W-COEF"], `${projected}\nloss mse(z1, z2) + variance(z1) + covariance(z1)`),
  views("variance over tokens", "error", ["E-GUARD-AXIS"], `head p = projector(64, 64)\nz1 = p(f(a))\nz2 = p(f(b))\nloss 25 * mse(z1, z2) + 25 * variance(z1, over: tokens) + covariance(z1)`),
  views("variance over images and tokens alike", "error", ["E-GUARD-AXIS"], `head p = projector(64, 64)\nz1 = p(f(a))\nz2 = p(f(b))\nloss 25 * mse(z1, z2) + 25 * variance(z1, over: all) + covariance(z1)`),
  views("a variance term with the wrong sign", "error", ["E-GUARD-SIGN"], `${projected}\nloss 25 * mse(z1, z2) - 25 * variance(z1) + covariance(z1)`),
  views("regularizers on one of two tied branches", "sound", [], `${projected}\nloss 25 * mse(z1, z2) + 25 * variance(z1) + covariance(z1)`),
  views("variance of the encoder, agreement of a trained projector", "risky", ["W-VACUOUS"], `${projected}\nloss 25 * mse(z1, z2) + 25 * variance(pool(f(a))) + covariance(pool(f(a)))`),
  views("multi-crop: local views against the mean of the global ones, normality of each", "sound", [], `view l1, l2 = augment(image, size: 16) {
    random_resized_crop(scale: 0.05..0.4)
  }
  head p = projector(64, 64)
  za, zb = separate(p(pool(f(union(a, b)))), 2)
  zl = p(pool(f(union(l1, l2))))
  middle = average(za, zb)
  loss mse(union(za, zb), union(middle, middle)) + mse(zl, union(middle, middle)) + 0.05 * sigreg(za) + 0.05 * sigreg(zb) + 0.05 * sigreg(zl)`),
  views("a stop without predictor, with variance", "risky", ["W-DIM"], `${projected}\nloss 25 * mse(z1, stopgrad(z2)) + 25 * variance(z1)`),
  views("a stop without predictor, with variance and covariance", "sound", [], `${projected}\nloss 25 * mse(z1, stopgrad(z2)) + 25 * variance(z1) + covariance(z1)`),
  views("a predictor without stop, with variance and covariance", "sound", [], `${projected}\npredictor h = mlp_bn(64)\nloss 25 * mse(h(z1), z2) + 25 * variance(z1) + covariance(z1)`),
  views("the diagonal of the cross-correlation alone", "risky", ["W-DIM"], `${projected}\nloss barlow_diagonal(z1, z2)`),
  views("its diagonal and its off-diagonal", "sound", [], `${projected}\nloss barlow_diagonal(z1, z2) + 0.005 * barlow_off_diagonal(z1, z2)`),
  views("layer normalization forbids nothing", "error", ["E-SYM"], `${projected}\nloss mse(normalize(z1), normalize(z2))`),
  views("a softmax forbids nothing", "error", ["E-SYM"], `${projected}\nloss mse(softmax(z1), softmax(z2))`),
  views("whitening with a batch no larger than the width", "error", ["E-WHITEN-RANK"], `${projected}\nloss mse(whiten(z1), whiten(z2))`),
  views("batch normalization, then a loss of directions", "risky", ["W-DIM"], `${projected}\nloss negative_cosine(batch_normalize(z1), batch_normalize(z2))`),
  views("negatives from the same image only", "error", ["E-GUARD-AXIS"], `head p = mlp_bn(64)\nloss info_nce(p(f(a)), p(f(b)), negatives: tokens)`),
  views("contrast with both sides stopped", "error", ["E-DEAD"], `${swapped}\nloss info_nce(stopgrad(z1), stopgrad(z2))`),
  views("a queue filled by the encoder itself", "risky", ["W-QUEUE-STALE"], `${swapped}\nloss info_nce(z1, stopgrad(z2), queue: 1024)`),
  views("contrast against a random network", "risky", ["W-FROZEN-TARGET"], `encoder t = ema(f, momentum: 1)\nloss info_nce(pool(f(a)), pool(t(b)))`),
  views("centering without sharpening", "error", ["E-UNIFORM"], `encoder t = ema(f, momentum: 0.996)\nhead d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.996)\nhead c = center()\nloss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.1), temperature: 0.1)`),
  views("a warm teacher", "risky", ["W-TEMP"], `encoder t = ema(f, momentum: 0.996)\nhead d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.996)\nhead c = center()\nloss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.08), temperature: 0.1)`),
  views("a slow center", "risky", ["W-TEMP"], `encoder t = ema(f, momentum: 0.996)\nhead d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.996)\nhead c = center(momentum: 0.999)\nloss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)`),
  views("no momentum, a softmax over the batch", "sound", [], `head d = dino_head(64, 32, 128)\nloss cross_entropy(d(pool(f(a))), stopgrad(softmax(d(pool(f(b))), temperature: 0.04, over: images)), temperature: 0.1)`),
  views("codes with a predictor, sharpened and not centered", "error", ["E-ONEHOT"], `encoder t = ema(f, momentum: 0.996)\nhead d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.996)\npredictor h = mlp_bn(64)\nloss cross_entropy(d(h(pool(f(a)))), softmax(dt(pool(t(b))), temperature: 0.04), temperature: 0.1)`),
  views("mean entropy and sharpening", "sound", [], `encoder t = ema(f, momentum: 0.996)\nhead d = prototypes(64)\nhead dt = ema(d, momentum: 0.996)\nc = d(pool(f(a)))\nloss cross_entropy(c, softmax(dt(pool(t(b))), temperature: 0.025), temperature: 0.1) + mean_entropy(softmax(c, temperature: 0.1))`),
  views("centering of a regression target behind an average", "risky", ["W-WEAK-GUARD"], `encoder t = ema(f, momentum: 0.996)\nhead c = center()\nloss mse(pool(f(a)), c(pool(t(b))))`),
  // Trained: the spread falls to 0.08 of 0.26 in 300 steps, from three seeds.
  views("labels with a gradient into the encoder", "risky", ["W-WEAK-GUARD"], `input label: Label[10]\npredictor h = mlp_bn(64)\nhead w = linear(10)\n${swapped}\nloss negative_cosine(h(z1), z2)\nloss cross_entropy(w(z1), label)`),
  views("a reconstruction of stopped features", "error", ["E-SYM"], `predictor h = mlp_bn(64)\nhead dec = decode()\n${swapped}\nloss negative_cosine(h(z1), z2)\nloss mse(dec(stopgrad(f(a))), patches(a, 8))`),
  views("a reconstruction that is given the picture as well", "risky", ["W-BYPASS"], `head dec = linear(192)\nloss mse(dec(join(f(a), patches(a, 8))), patches(a, 8))`),
  views("a weight that ends at zero", "risky", ["W-PHASE"], `${projected}\nloss 25 * mse(z1, z2) + (25 -> 0) * variance(z1) + covariance(z1)`),
  views("a weight that rises from zero", "sound", [], `${projected}\nloss 25 * mse(z1, z2) + (0 -> 25) * variance(z1) + covariance(z1)`),
  views("terms that cancel", "error", ["E-SYM"], `${projected}\nloss 25 * mse(z1, z2) + 25 * variance(z1) - 25 * variance(z1)`),
  views("agreement subtracted", "error", ["E-NOATTRACT"], `predictor h = mlp_bn(64)\n${swapped}\nloss -1 * negative_cosine(h(z1), stopgrad(z2))`),
  views("one side sees the very picture that the other predicts", "error", ["M-LEAK"], `encoder t = ema(f, momentum: 0.99)\npredictor h = mlp_bn(64)\nloss mse(h(pool(f(a))), pool(t(a)))`),
  views("a loss of its own making", "risky", ["W-UNREAD"], `${projected}\nloss mean(exp(z1) * z2)`),
  masked("no lag in masked prediction, targets of any scale", "risky", ["W-TARGET-NORM"], `${predictor}\nencoder g = plain(32)\nloss mse(h(g(image at context), at: targets), stopgrad(g(image)) at targets)`,
    "module plain(width) (image) -> Tokens[width] {\n  part embed = patch_embedding(4, width)\n  part mix = block(2)\n  mix(embed(image) + sincos2d(width))\n}\n"),
  masked("a target that is the same for all images", "risky", ["W-TARGET-UNINFORMED"], `${predictor}\nhead w = frozen(places(32))\nloss mse(h(f(image at context), at: targets), w(patches(image, 4)) at targets)`,
    "module places(width) (x: Tokens[in]) -> Tokens[width] {\n  part embed = linear(width)\n  embed(x * 0) + sincos2d(width)\n}\n"),
  masked("guards over images, both sides trained, token by token", "risky", ["W-POSITION"], `${predictor}\nz = f(image at context)\ng = f(image)\nloss 25 * mse(h(z, at: targets), g at targets) + 25 * variance(pool(g)) + covariance(pool(g))`),
  masked("next-embedding: the own patch embedding behind a stop", "sound", [], `${predictor}\nloss negative_cosine(h(f(image at context), at: targets), stopgrad(f.patch_embed(image)) at targets)`),
  masked("no lag in masked prediction", "risky", ["W-EMA-ZERO"], `${predictor}\nloss mse(h(f(image at context), at: targets), stopgrad(normalize(f(image))) at targets)`),
  masked("a random projection of pixels as target", "sound", [], `${predictor}\nhead w = frozen(linear(32))\nloss mse(h(f(image at context), at: targets), w(patches(image, 4)) at targets)`),
  masked("an untrained projection of pixels that decays", "risky", ["W-DECAYED-TARGET"], `${predictor}\nhead w = linear(32)\nloss mse(h(f(image at context), at: targets), stopgrad(w(patches(image, 4))) at targets)`),
  masked("a predictor that is not told where", "error", ["M-UNIDENT"], `encoder t = ema(f, momentum: 0.99)\npredictor h = blind(16)\nloss mse(h(f(image at context), at: targets), t(image) at targets)`,
    "module blind(width) (context: Tokens[outer], at: Positions) -> Tokens[outer] {\n  part embed = linear(width)\n  part mixing = attention(2)\n  part out = linear(outer)\n  learn token[1, 1, width] ~ trunc_normal(std: 0.02)\n  out(pick(mixing(concat(embed(context), spread(token, at))), at))\n}\n"),
  masked("targets masked at the input of their encoder", "sound", ["M-GATHER-SIDE"], `encoder t = ema(f, momentum: 0.99)\n${predictor}\nloss mse(h(f(image at context), at: targets), t(image at targets))`),
  masked("masked after mixing", "error", ["M-LEAK"], `encoder t = ema(f, momentum: 0.99)\n${predictor}\nloss mse(h(f(image) at context, at: targets), t(image) at targets)`),
  masked("batch statistics of the whole picture before the mask", "risky", ["M-STATISTICS"], `encoder t = ema(g, momentum: 0.99)\nencoder g = tokens_of(32)\n${predictor}\nloss mse(h(g(batch_normalize(patches(image, 4)) at context), at: targets), t(patches(image, 4)) at targets)`,
    "module tokens_of(width) (x: Tokens[in]) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = attention(2)\n  mix(embed(x) + sincos2d(width))\n}\n"),
  bare("a masked student that differs by its mask token only", "risky", ["W-NOPRED-MASKED"], `mask hidden = random(0.6)
    encoder f = masked_vit(8, 32)
    encoder t = ema(f, momentum: 0.999)
    loss smooth_l1(f.rest(f.token(f.embed(image), at: hidden) + sincos2d(32)) at hidden, normalize(t.rest(t.embed(image) + sincos2d(32))) at hidden)`,
    `module trunk(heads) (x: Tokens[width]) -> Tokens[width] {\n  part one = block(heads)\n  one(x)\n}\nmodule masked_vit(patch, width) (image, at: Positions) -> Tokens[width] {\n  part embed = patch_embedding(patch, width)\n  part token = mask_tokens()\n  part rest = trunk(2)\n  rest(token(embed(image), at) + sincos2d(width))\n}\n`),
];

/** Other spellings: each must share verdict and rules with the first of its list. */
export const spellings: readonly { readonly of: string; readonly programs: readonly Variation[] }[] = [
  {
    of: "SimSiam",
    programs: [
      views("plain", "sound", [], `predictor h = mlp_bn(64)\n${swapped}\nloss 0.5 * negative_cosine(h(z1), stopgrad(z2)) + 0.5 * negative_cosine(h(z2), stopgrad(z1))`),
      bare("other names, other roles in words", "sound", [], `encoder teacher = vit(patch: 8, width: 32, depth: 1, heads: 2)\nhead frozen_target = mlp_bn(64)\nx = pool(teacher(b))\ny = pool(teacher(a))\nloss negative_cosine(stopgrad(y), frozen_target(x))`),
      views("the stop inside a module", "sound", [], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(h(z1), halt(z2))`, "module halt() (x: Features[w]) -> Features[w] {\n  inner_halt(x)\n}\nmodule inner_halt() (x: Features[w]) -> Features[w] {\n  stopgrad(x)\n}\n"),
      views("the loss inside a module", "sound", [], `predictor h = mlp_bn(64)\n${swapped}\nloss half(h(z1), z2) + half(h(z2), z1)`, "module half() (p: Vector[w], z: Vector[w]) {\n  0.5 * negative_cosine(p, stopgrad(z))\n}\n"),
      views("a cosine by hand", "sound", [], `predictor h = mlp_bn(64)\n${swapped}\nloss -mean(sum(l2_normalize(h(z1)) * stopgrad(l2_normalize(z2)), over: features))`),
      views("one application on the union of the views", "sound", [], `predictor h = mlp_bn(64)\nz1, z2 = separate(pool(f(union(a, b))), 2)\nloss negative_cosine(h(z1), stopgrad(z2)) + negative_cosine(h(z2), stopgrad(z1))`),
      views("two losses with weights from parameters", "sound", [], `param w = 0.5\npredictor h = mlp_bn(64)\n${swapped}\nloss first = w * negative_cosine(h(z1), stopgrad(z2))\nloss second = (1 - w) * negative_cosine(h(z2), stopgrad(z1))`),
      views("encoder and projector in one", "sound", [], `head p = projector_bn(64, 32)\nencoder g = f\npredictor h = mlp_bn(64)\nloss mse(h(p(pool(g(a)))), stopgrad(p(pool(f(b)))))`),
    ],
  },
  {
    of: "SimSiam without its stop",
    programs: [
      views("plain", "error", ["E-SYM"], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(h(z1), z2)`),
      views("swapped operands", "error", ["E-SYM"], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(z2, h(z1))`),
      views("a stop on a value that nothing uses", "error", ["E-SYM"], `predictor h = mlp_bn(64)\n${swapped}\nunused = stopgrad(z2)\nloss negative_cosine(h(z1), z2)`),
      views("a stop on the picture, where nothing learns", "error", ["E-SYM"], `predictor h = mlp_bn(64)\nz1 = pool(f(a))\nz2 = pool(f(stopgrad(b)))\nloss negative_cosine(h(z1), z2)`),
      views("a predictor called target", "error", ["E-SYM"], `predictor target = mlp_bn(64)\nencoder teacher = f\nloss negative_cosine(target(pool(f(a))), pool(teacher(b)))`),
      views("the mean of two losses", "error", ["E-SYM"], `predictor h = mlp_bn(64)\n${swapped}\nloss (negative_cosine(h(z1), z2) + negative_cosine(h(z2), z1)) / 2`),
      views("squares by hand", "error", ["E-SYM"], `predictor h = mlp_bn(64)\n${swapped}\nd = h(z1) - z2\nloss mean(d * d)`),
      views("with a weightless regularizer", "error", ["E-SYM"], `param lambda = 0\npredictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(h(z1), z2) + lambda * variance(z1) + lambda * covariance(z1)`),
      views("with dropout of the second term to nothing", "error", ["E-SYM"], `predictor h = mlp_bn(64)\n${swapped}\nloss negative_cosine(h(z1), z2) + 3 * variance(z1) - (1 + 2) * variance(z1)`),
    ],
  },
  {
    of: "VICReg",
    programs: [
      views("plain", "sound", [], `${projected}\nloss 25 * mse(z1, z2) + 25 * variance(z1) + 25 * variance(z2) + covariance(z1) + covariance(z2)`),
      views("in a module", "sound", [], `${projected}\nloss vicreg(z1, z2)`, "module vicreg(s = 25) () (x: Vector[w], y: Vector[w]) {\n  s * mse(x, y) + s * (variance(x) + variance(y)) + covariance(x) + covariance(y)\n}\n".replace(" () (", " (")),
      views("as three losses on the union", "sound", [], `${projected}\nall = union(z1, z2)\nloss agreement = 25 * mse(z1, z2)\nloss spread_out = 25 * variance(all)\nloss decorrelated = covariance(all)`),
      views("the hinge by hand", "sound", [], `${projected}\nm = mean(z1, over: images)\ndeviation = sqrt(mean(square(z1 - m), over: images) + 0.0001)\nloss 25 * mse(z1, z2) + 25 * mean(relu(1 - deviation)) + covariance(z1)`),
    ],
  },
  {
    of: "BYOL without a predictor",
    programs: [
      views("plain", "error", ["E-NOPRED"], `encoder t = ema(f, momentum: 0.99)\nloss negative_cosine(pool(f(a)), stopgrad(pool(t(b))))`),
      views("a predictor on both sides, averaged on the target's", "error", ["E-NOPRED"], `encoder t = ema(f, momentum: 0.99)\npredictor h = mlp_bn(64)\npredictor ht = ema(h, momentum: 0.99)\nloss negative_cosine(h(pool(f(a))), ht(pool(t(b))))`),
      views("a module without parameters between", "error", ["E-NOPRED"], `encoder t = ema(f, momentum: 0.99)\npredictor h = bend()\nloss mse(h(pool(f(a))), stopgrad(pool(t(b))))`, "module bend() (x: Features[w]) -> Features[w] {\n  gelu(x)\n}\n"),
      views("a trained part that stands before what is shared", "error", ["E-NOPRED"], `encoder g = rest_of(32)\nencoder t = ema(g, momentum: 0.99)\nhead stem = linear(32)\nloss mse(pool(g(stem(patches(a, 8)))), pool(t(stopgrad(stem(patches(b, 8))))))`, "module rest_of(width) (x: Tokens[in]) -> Tokens[width] {\n  part one = mlp(64, out: width)\n  one(x)\n}\n"),
    ],
  },
];
