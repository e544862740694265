/** What proofs rely on that no other program of the corpus does: codes of a codebook, targets that never change beside a way round. */
import type { Unseen } from "./template.js";
import { pair } from "./template.js";

export const relied: readonly Unseen[] = [
  pair({ id: "U801", title: "symmetric agreement, and every code of a codebook in use", verdict: "sound", accept: ["sound", "risky"], why: "MSN, Prop. 1: hard codes cannot all be used by one embedding",
    body: "head q = quantizer(64)\nz1 = pool(f(a))\nz2 = pool(f(b))\nwords, ids = q(z1)\nloss mse(z1, z2) + diversity(ids)" }),
  pair({ id: "U802", title: "a pretrained target, and the prediction told of it", verdict: "risky", accept: ["risky", "error"], rules: ["W-BYPASS"], why: "what the prediction is told it need not learn",
    body: `encoder g = pretrained(vit(patch: 8, width: 32, depth: 1, heads: 2))\npredictor h = linear(32)\nloss mse(h(join(pool(f(a)), pool(g(b)))), pool(g(b)))` }),
];
