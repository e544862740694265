/**
 * Queues of earlier keys: what their negatives hold, whom they reach, and who fills them. Written with the meaning that a queue has
 * (the query is told from keys of earlier steps, through which no gradient passes), before the checker was asked.
 */
import type { Unseen } from "./template.js";
import { pair, predictor, projected } from "./template.js";

const follower = "encoder t = ema(f, momentum: 0.99)";
const heads = "head p = mlp(64, out: 32)\nhead pt = ema(p, momentum: 0.99)";

export const queues: readonly Unseen[] = [
  pair({ id: "U1040", title: "MoCo v2: heads of their own on both sides, a queue of 512", verdict: "sound", why: "MoCo, 3.2; MoCo v2, table 1", body: `${follower}\n${heads}\nloss info_nce(p(pool(f(a))), stopgrad(pt(pool(t(b)))), temperature: 0.2, queue: 512)` }),
  pair({ id: "U1041", title: "a queue whose query is the average, and whose keys learn", verdict: "error", rules: ["E-NOPRED"], why: "no gradient passes through a queue: for the keys the loss is agreement with the average, without a predictor", body: `${follower}\nloss info_nce(stopgrad(pool(t(a))), pool(f(b)), temperature: 0.2, queue: 512)` }),
  pair({ id: "U1042", title: "a queue filled by the encoder itself, stopped", verdict: "risky", rules: ["W-QUEUE-STALE"], why: "MoCo, table 'momentum': 0 fails", body: `${heads}\nloss info_nce(p(pool(f(a))), stopgrad(p(pool(f(b)))), temperature: 0.2, queue: 512)` }),
  pair({ id: "U1043", title: "a queue without negatives", verdict: "error", rules: ["E-NOPRED"], why: "of weight 0, they are none", body: `${follower}\nloss info_nce(pool(f(a)), stopgrad(pool(t(b))), negative_weight: 0, queue: 512)` }),
  pair({ id: "U1044", title: "keys of a network that never learns", verdict: "risky", rules: ["W-FROZEN-TARGET"], why: "they hold, and teach what a random network says", body: "encoder g = frozen(vit(patch: 8, width: 32, depth: 1, heads: 2))\nhead h = linear(32)\nloss info_nce(h(pool(f(a))), pool(g(b)), queue: 512)" }),
  pair({ id: "U1045", title: "patches against patches of earlier steps", verdict: "sound", accept: ["sound", "risky"], why: "negatives, of tokens", body: `${follower}\nloss info_nce(f(a), stopgrad(t(b)), negatives: all, queue: 1024)` }),
  pair({ id: "U1046", title: "two encoders, of which only one asks a queue", verdict: "risky", rules: ["W-QUEUE-STALE"], why: "the query is held by negatives, the other follows it; its keys grow old quickly", body: "encoder g = vit(patch: 8, width: 32, depth: 1, heads: 2)\nloss info_nce(pool(f(a)), pool(g(b)), temperature: 0.2, queue: 512)" }),
  pair({ id: "U1047", title: "NNCLR: the neighbors of one view's embeddings, and predictions from the other", verdict: "sound", why: "Dwibedi et al., 2021: negatives of the step", body: `${projected}\n${predictor}\nloss 0.5 * info_nce(nearest(z1, queue: 512), h(z2)) + 0.5 * info_nce(nearest(z2, queue: 512), h(z1))` }),
  pair({ id: "U1048", title: "a neighbor as the target of a predictor, without negatives", verdict: "sound", accept: ["sound", "risky"], why: "as SimSiam: a stopped target and a predictor", body: `${projected}\n${predictor}\nloss 0.5 * negative_cosine(h(z1), nearest(z2, queue: 512)) + 0.5 * negative_cosine(h(z2), nearest(z1, queue: 512))` }),
  pair({ id: "U1049", title: "a neighbor as the target, without predictor and negatives", verdict: "error", rules: ["E-NOPRED"], why: "as SimSiam without its predictor: the neighbors of a constant are constant once it has filled the queue", body: "z1 = pool(f(a))\nz2 = pool(f(b))\nloss negative_cosine(z1, nearest(z2, queue: 512)) + negative_cosine(z2, nearest(z1, queue: 512))" }),
];
