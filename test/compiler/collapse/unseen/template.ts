/**
 * The frames that programs of the corpus stand in, so that a case shows only what it is about: two views of a picture
 * (`pair`), a masked picture (`grid`), a film with actions (`film`), or a frame of its own (`whole`).
 */
export type Verdict = "sound" | "risky" | "error";

/** A program with the verdict that theory or literature gives it. */
export interface Unseen {
  readonly id: string;
  readonly title: string;
  readonly verdict: Verdict;
  /** Verdicts that are not wrong, where the literature is split or the failure is not one of the graph. */
  readonly accept: readonly Verdict[];
  /** Rules that must be among the reasons. */
  readonly rules: readonly string[];
  /** The code with which the types refuse it already. */
  readonly code: string | undefined;
  /** What the verdict rests on. */
  readonly why: string;
  readonly source: string;
}

/** What a case says beside its body. */
export interface Claim {
  readonly id: string;
  readonly title: string;
  readonly verdict: Verdict;
  readonly accept?: readonly Verdict[];
  readonly rules?: readonly string[];
  readonly why: string;
  readonly code?: string;
  readonly body: string;
  /** Modules of its own. */
  readonly modules?: string;
  /** Lines of the recipe beside data, length and batch. */
  readonly recipe?: string;
  /** Lines in the place of the frame's encoder. */
  readonly encoder?: string;
  /** Lines in the place of the frame's masks. */
  readonly masks?: string;
  /** Side of the picture of a masked program. */
  readonly side?: number;
}

const indent = (text: string): string => text.trim().split("\n").map((line) => `  ${line.trim()}`).join("\n");

function build(claim: Claim, head: string): Unseen {
  const name = claim.id.toLowerCase();
  const source = [
    `/// ${claim.id}: ${claim.title}`,
    "use std.vit\nuse std.heads\n",
    ...(claim.modules === undefined ? [] : [`${claim.modules.trim()}\n`]),
    `model ${name} {`,
    ...(head === "" ? [] : [indent(head)]),
    indent(claim.body),
    "}\n",
    `train ${name} {`,
    "  data shapes(count: 256)\n  epochs 1\n  batch 64",
    ...(claim.recipe === undefined ? [] : [indent(claim.recipe)]),
    "}\n",
  ].join("\n");
  const { id, title, verdict, why, rules = [], accept = [verdict] } = claim;
  return { id, title, verdict, accept, rules, code: claim.code, why, source };
}

/** Two views of a picture, `a` and `b`, and an encoder `f`. */
export function pair(claim: Claim): Unseen {
  return build(claim, `input image: Image[32, 32, 3]
    view a, b = augment(image) {
      random_resized_crop(scale: 0.2..1.0)
      flip(p: 0.5)
    }
    ${claim.encoder ?? "encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)"}`);
}

/** The two embeddings of a pair: straight from the encoder, and through a projector. */
export const plain = "z1 = pool(f(a))\nz2 = pool(f(b))";
export const projected = "head p = projector(64, 64)\nz1 = p(pool(f(a)))\nz2 = p(pool(f(b)))";
export const predictor = "predictor h = mlp_bn(64)";
export const teacher = "encoder t = ema(f, momentum: 0.99 -> 1)";

/** A picture on a grid of patches with disjoint `context` and `targets`, and an encoder `f`. */
export function grid(claim: Claim): Unseen {
  const side = claim.side ?? 48;
  return build(claim, `input image: Image[${side}, ${side}, 3]
    ${claim.masks ?? `mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)
    mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets`}
    ${claim.encoder ?? "encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)"}`);
}

export const where = "predictor h = vit_predictor(width: 16, depth: 1, heads: 2)";
export const lagging = "encoder t = ema(f, momentum: 0.996 -> 1)";

/** A film of eight frames with an action for each, an encoder `f` of frames and a dynamics model `h`. */
export function film(claim: Claim): Unseen {
  const frame = `module net(width) (clip) {
  part embed = linear(width)
  part hidden = mlp(2 * width)
  pool(hidden(embed(patches(clip, 8))))
}
${claim.modules ?? ""}`;
  return build({ ...claim, modules: frame }, `input video: Video[8, 32, 32, 3]
    input action: Action[8, 4]
    ${claim.encoder ?? "encoder f = net(32)"}`);
}

/** A program that brings all its lines. */
export function whole(claim: Claim): Unseen {
  return build(claim, "");
}
