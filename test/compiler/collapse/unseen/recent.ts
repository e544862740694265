/**
 * Methods of recent years, and clustering by codes that train on both sides; each beside a program that differs by little and
 * has another verdict, where one is known. Verdicts are from the theory and the papers; each was trained (docs/truth.md).
 */
import type { Unseen } from "./template.js";
import { grid, lagging, pair, plain, predictor, projected, where, whole } from "./template.js";

const logits = "head d = linear(16)\nca = d(pool(f(a)))\ncb = d(pool(f(b)))";
const clustered = (weight: number, temperature = 1): string => `${logits}\nloss cross_entropy(ca, softmax(cb)) + ${weight} * mean_entropy(softmax(ca, temperature: ${temperature}))`;
const twist = "pa = softmax(ca)\npb = softmax(cb)\nloss 0.5 * cross_entropy(ca, pb) + 0.5 * cross_entropy(cb, pa) + 0.5 * cross_entropy(ca, pa) + 0.5 * cross_entropy(cb, pb)";

const clustering: readonly Unseen[] = [
  pair({ id: "U950", title: "SCAN: codes that agree, mean entropy of weight 2", verdict: "sound", why: "Van Gansbeke et al., 2020: one code for all costs entropy, uniform codes cost agreement", body: clustered(2) }),
  pair({ id: "U951", title: "SCAN with mean entropy of weight 0.5", verdict: "error", rules: ["E-NOGUARD"], why: "a constant pays half of what one code for all saves", body: clustered(0.5) }),
  pair({ id: "U952", title: "SCAN with mean entropy of codes twice as soft", verdict: "error", rules: ["E-NOGUARD"], why: "around uniform codes it bends a quarter as much", body: clustered(2, 2) }),
  pair({ id: "U953", title: "TWIST: consistency, sharpness, diversity", verdict: "sound", why: "Wang et al., 2021", body: `${logits}\n${twist} + mean_entropy(pa) + mean_entropy(pb)` }),
  pair({ id: "U954", title: "TWIST without diversity", verdict: "error", rules: ["E-SYM"], why: "one code for all is sharp and consistent", body: `${logits}\n${twist}` }),
  pair({ id: "U955", title: "Sinkhorn at the temperature of the prediction, compared by squares", verdict: "error", rules: ["E-UNIFORM"], why: "as U906: nothing sharpens", body: "head d = prototypes(64)\nloss mse(softmax(d(pool(f(a))), temperature: 0.1), stopgrad(sinkhorn(d(pool(f(b))), temperature: 0.1)))" }),
  pair({ id: "U956", title: "self-labelling: balanced codes of the very picture", verdict: "sound", accept: ["sound", "risky"], why: "Asano et al., 2020: the code is no answer that was seen, it is made of the prediction", body: "head d = prototypes(32)\nc = d(pool(f(a)))\nloss cross_entropy(c, stopgrad(sinkhorn(c, temperature: 0.05)), temperature: 0.1)" }),
  pair({ id: "U957", title: "nearest codes of a codebook that never learns, and a head", verdict: "error", rules: ["E-UNBALANCED"], why: "all pictures are nearest to the same code from the start", body: "head vq = frozen(quantizer(32))\nhead d = linear(32)\nq, code = vq(pool(f(b)))\nloss cross_entropy(d(pool(f(a))), stopgrad(code))" }),
  whole({ id: "U958", title: "VQ-VAE: pixels through codes, codebook and commitment", verdict: "sound", why: "van den Oord et al., 2017: pixels; a code is no answer to its own value", body: "input image: Image[32, 32, 3]\nencoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)\nhead vq = quantizer(64)\nhead dec = decode()\nz = f(image)\nq, codes = vq(z)\nloss mse(dec(q), patches(image, 8)) + mse(stopgrad(z), q) + 0.25 * mse(z, stopgrad(q))" }),
  pair({ id: "U959", title: "commitment beside contrast of codes", verdict: "sound", why: "negatives", body: "head p = projector(64, 32)\nhead vq = quantizer(64)\nz = p(pool(f(a)))\nq, codes = vq(z)\nloss info_nce(q, p(pool(f(b)))) + 0.25 * mse(z, stopgrad(q))" }),
];

const regularized = `${where}\n${lagging}\nz = f(image at context)\nloss smooth_l1(h(z, at: targets), normalize(t(image)) at targets)\nhead p = projector(64, 64)\nc = p(pool(z))\ng = p(pool(f(image)))`;
const front = "head p = projector(64, 64)\nya = pool(f(a))\nyb = pool(f(b))\nza = p(ya)\nzb = p(yb)";
const spread = (by: number): string => `${by} * variance(za) + ${by} * variance(zb) + ${by / 25} * covariance(za) + ${by / 25} * covariance(zb)`;

const weighed: readonly Unseen[] = [
  grid({ id: "U960", title: "C-JEPA: I-JEPA and a thousandth of VICReg", verdict: "sound", why: "Mo and Tong, 2024: the prediction is held by its average, the rest has VICReg's own weights", body: `${regularized}\nloss reg = 0.001 * (25 * mse(c, g) + 25 * variance(c) + covariance(c))` }),
  pair({ id: "U961", title: "a cosine, and pixels of weight 0.01", verdict: "risky", rules: ["W-COEF"], why: "they pull with less than views of one picture differ by", body: `head dec = linear(192)\n${plain}\nloss negative_cosine(z1, z2) + 0.01 * mse(dec(z1), pool(patches(a, 8)))` }),
  pair({ id: "U962", title: "a cosine, and pixels of weight 0.3", verdict: "sound", why: "they pull with more", body: `head dec = linear(192)\n${plain}\nloss negative_cosine(z1, z2) + 0.3 * mse(dec(z1), pool(patches(a, 8)))` }),
  pair({ id: "U963", title: "agreement in front of the head that is guarded", verdict: "risky", rules: ["W-WEAK-GUARD"], why: "the head gives back the deviation that agreement takes", body: `${front}\nloss mse(ya, yb) + ${spread(1)}` }),
  pair({ id: "U964", title: "VICReg, and a cosine in front of its projector", verdict: "sound", accept: ["sound", "risky"], why: "what is guarded is compared as well", body: `${front}\nloss 25 * mse(za, zb) + ${spread(25)} + negative_cosine(ya, yb)` }),
];

const crossed = `module cross(width, heads) (own: Tokens[outer], other: Tokens[outer], at: Positions) -> Tokens[outer] {
  part embed = linear(width)
  part embed_other = linear(width)
  part norm = layer_norm()
  part norm_other = layer_norm()
  part mixing = block(heads)
  part out = linear(outer)
  learn token[1, 1, width] ~ trunc_normal(std: 0.02)
  x = mixing(concat(embed(own), spread(token, at) + sincos2d(width)))
  k = norm_other(embed_other(other))
  out(pick(x + attend(norm(x), k, k, heads), at))
}`;
const views = "input image: Image[32, 32, 3]\nview a, b = augment(image) {\nrandom_resized_crop(scale: 0.3..1.0)\nflip(p: 0.5)\n}\nmask hidden = random(0.75)\nmask kept = all minus hidden\nencoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)";

const masked: readonly Unseen[] = [
  grid({ id: "U970", title: "SALT in one program: the teacher learns pixels, the student follows it", verdict: "sound", accept: ["sound", "risky"], why: "Li et al., 2025: a teacher that the student does not move", body: `encoder g = vit(patch: 4, width: 32, depth: 1, heads: 2)\nhead dec = vit_decoder(width: 16, depth: 1, heads: 2)\n${where}\nloss pixels = mse(dec(g(image at context), at: targets), normalize(patches(image, 4)) at targets)\nloss latent = l1(h(f(image at context), at: targets), stopgrad(g(image)) at targets)` }),
  grid({ id: "U971", title: "V-JEPA 2.1: what is visible is predicted as well", verdict: "risky", accept: ["sound", "risky"], rules: ["M-LOSS-CTX"], why: "beside what is hidden, a shortcut and no leak", body: `${lagging}\n${where}\nz = f(image at context)\ny = normalize(t(image))\nloss hidden = l1(h(z, at: targets), y at targets)\nloss seen = 0.5 * l1(h(z, at: context), y at context)` }),
  grid({ id: "U972", title: "CAPI: balanced codes of hidden patches", verdict: "sound", accept: ["sound", "risky"], why: "Darcet et al., 2025: equipartition, an average, a predictor", body: `${lagging}\n${where}\nhead d = prototypes(64)\nhead k = prototypes(64)\nz = stopgrad(t(image))\naim = stopgrad(sinkhorn(k(z), temperature: 0.06))\nloss clusters = cross_entropy(k(z), aim, temperature: 0.12)\nloss predicted = cross_entropy(d(h(f(image at context), at: targets)), aim at targets, temperature: 0.12)` }),
  grid({ id: "U973", title: "CAE: what is regressed gives pixels, and is aligned with the encoder's own", verdict: "sound", accept: ["sound", "risky"], why: "Chen et al., 2022: pixels hold what the alignment follows", body: `${where}\nhead dec = decode()\nz = h(f(image at context), at: targets)\nloss pixels = mse(dec(z), normalize(patches(image, 4)) at targets)\nloss aligned = mse(z, stopgrad(f(image at targets)))` }),
  whole({ id: "U974", title: "CroCo: the hidden of one view from the rest and from another view", verdict: "sound", why: "Weinzaepfel et al., 2022: pixels", modules: crossed, body: `${views}\nhead x = cross(32, 2)\nhead dec = decode()\nloss mse(dec(x(f(a at kept), f(b), at: hidden)), normalize(patches(a, 8)) at hidden)` }),
  whole({ id: "U976", title: "CMAE: pixels of the hidden, contrast with another view's average", verdict: "sound", why: "Huang et al., 2022: pixels and negatives", body: `${views}\nencoder t = ema(f, momentum: 0.996 -> 1)\nhead dec = vit_decoder(width: 16, depth: 1, heads: 2)\nhead p = mlp_bn(64, out: 32)\nhead pt = ema(p, momentum: 0.996 -> 1)\nz = f(a at kept)\nloss pixels = mse(dec(z, at: hidden), normalize(patches(a, 8)) at hidden)\nloss contrast = info_nce(p(pool(z)), pt(pool(t(b))))` }),
  pair({ id: "U977", title: "Self-Classifier: a softmax over the batch, both sides train", verdict: "sound", why: "Amrani et al., 2022: no code can take all pictures", body: "head d = prototypes(64)\nca = d(pool(f(a)))\ncb = d(pool(f(b)))\nloss cross_entropy(ca, softmax(cb, temperature: 0.05, over: images), temperature: 0.1) + cross_entropy(cb, softmax(ca, temperature: 0.05, over: images), temperature: 0.1)" }),
  pair({ id: "U978", title: "SimSiam with a loss of soft codes", verdict: "sound", accept: ["sound", "risky"], why: "Chen and He, 2021, 4.5: 63.2", body: `${projected}\n${predictor}\nloss cross_entropy(h(z1), stopgrad(softmax(z2)))` }),
];

export const recent: readonly Unseen[] = [...clustering, ...weighed, ...masked];
