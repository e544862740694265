/**
 * Forms that were called sound by theory alone, written down to be trained: targets through a queue of an average's keys, a pretrained
 * head on the very encoder that learns, contrast over flattened time; and the sound twin of a leak in films.
 */
import type { Unseen } from "./template.js";
import { film, pair, predictor, whole } from "./template.js";

const follower = "encoder t = ema(f, momentum: 0.99)";
const clipNet = "module clip_net(width, depth, heads) (clip) -> Tokens[width] {\n  part embed = linear(width)\n  part blocks = depth of block(heads)\n  x = embed(tubes(clip, 4, 2)) + sincos2d(width)\n  repeat block in blocks { x = block(x) }\n  x\n}";
const clip = "input video: Video[8, 32, 32, 3]\nmask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)\nmask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets\nencoder f = clip_net(32, 1, 2)\npredictor h = vit_predictor(width: 16, depth: 1, heads: 2)";

export const theory: readonly Unseen[] = [
  pair({ id: "U1060", title: "BYOL whose targets are the nearest keys of a queue", verdict: "sound", accept: ["sound", "risky"], why: "a predictor, and keys of an average: what stands in the queue is older still", body: `${follower}\n${predictor}\nloss mse(h(pool(f(a))), nearest(pool(t(b)), queue: 512))` }),
  pair({ id: "U1061", title: "a stopped pretrained head on the same encoder as the target", verdict: "risky", rules: ["W-EMA-ZERO"], why: "it can turn all targets one way: measured, strangers agree to 0.998, 0.72 and 0.94", body: `head k = pretrained(mlp(64, out: 32))\n${predictor}\nloss negative_cosine(h(pool(f(a))), stopgrad(k(pool(f(b)))))` }),
  film({ id: "U1062", title: "contrast of films, the moments of each side by side", verdict: "sound", accept: ["sound", "risky"], why: "negatives of other films: a constant tells no film from another", body: "predictor h = mlp(64, out: 32)\nz = f(video)\nnext = h(join(earlier(z), earlier(action)))\nloss info_nce(flatten(next), flatten(later(z)))" }),
  whole({ id: "U1063", title: "masked films behind an average, over l1", verdict: "sound", accept: ["sound", "risky"], why: "V-JEPA without a norm on its targets: what U620 is without its leak", modules: clipNet, body: `${clip}\nencoder t = ema(f, momentum: 0.99)\nloss l1(h(f(video at context), at: targets), t(video) at targets)` }),
];
