/**
 * The table of losses: what each compares, and what role it plays in keeping or losing variation. // tidy: table
 *
 * A loss is a named kind so that the collapse analysis can reason about it (attract, spread, decorrelate, contrast,
 * anchor) rather than about the arithmetic that happens to implement it. Typing is in `check/losses.ts`; arithmetic in
 * `lower/losses.ts`, whose table must have the same keys. A word such as `over` says which axis a statistic runs along:
 * what varies over that axis is what the loss protects.
 */

/** The part a loss plays (collapse theory, section 2). */
export type LossRole =
  /** Minimal when the two sides agree. */
  | "attract"
  /** A code is predicted from another: agreement of distributions. */
  | "classify"
  /** Agreement of a pair against all other pairs (`negatives` axis); repels with weight `negative_weight`. */
  | "contrast"
  /** Cross-correlation of two batches towards the identity: agreement, a guard, and decorrelation at once. */
  | "correlate"
  /** Its diagonal: agreement after standardization over the batch. */
  | "correlate_diagonal"
  /** Its off-diagonal: decorrelation of two sides, no agreement. */
  | "decorrelate"
  /** Guards: a hinge on the standard deviation; off-diagonal covariance; closeness to a normal distribution. */
  | "variance" | "covariance" | "gaussian"
  /** Distance to the nearest neighbor in the batch. */
  | "spread"
  /** The mean code of the batch towards the uniform one. */
  | "balance";

/** One row of the table. */
export interface LossKind {
  readonly role: LossRole;
  /** How many tensor operands; a pair must agree in shape, positions and space. */
  readonly operands: 1 | 2;
  /** The fewest features of an operand of which the loss has a gradient: the direction of one is a sign, and a distribution of one is 1. */
  readonly features: 1 | 2;
  /** Named numbers with defaults. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Named words with what they may be; the first is the default. */
  readonly words: Readonly<Record<string, readonly string[]>>;
  /** The value when the outputs have collapsed to a constant, if it is known. */
  readonly trivial: number | undefined;
  /** The power of an operand's length with which the value grows where nothing bounds that length; 0 where it has a largest value. */
  readonly grows: 0 | 1 | 2 | 4;
  readonly doc: string;
}

const axes = ["images", "tokens", "time", "all"] as const;

export const losses = {
  smooth_l1: { role: "attract", operands: 2, features: 1, numbers: { beta: 1 }, words: {}, trivial: 0, grows: 1, doc: "0.5 d²/β where |d| < β, |d| − β/2 elsewhere; mean over all elements (I-JEPA 3)." },
  mse: { role: "attract", operands: 2, features: 1, numbers: {}, words: {}, trivial: 0, grows: 2, doc: "Mean of squared differences over all elements." },
  l1: { role: "attract", operands: 2, features: 1, numbers: {}, words: {}, trivial: 0, grows: 1, doc: "Mean of absolute differences over all elements (V-JEPA)." },
  negative_cosine: { role: "attract", operands: 2, features: 2, numbers: {}, words: {}, trivial: -1, grows: 0, doc: "Minus the cosine of the angle between feature vectors, mean over the rest (SimSiam eq. 1)." },
  cross_entropy: { role: "classify", operands: 2, features: 2, numbers: { temperature: 1 }, words: {}, trivial: 0, grows: 1, doc: "−Σ target · log softmax(logits / temperature) over features, mean over the rest; operands (logits, target probabilities)." },
  info_nce: {
    role: "contrast", operands: 2, features: 2, numbers: { temperature: 0.1, negative_weight: 1, queue: 0 }, words: { negatives: ["images", "tokens", "all"], candidates: ["keys", "both"] }, trivial: undefined, grows: 0,
    doc: "−q·k₊/τ + w · log Σ exp(q·k/τ) on l2-normalized features, mean over queries (van den Oord 2018; w = negative_weight is BYOL's β, section 5). candidates: keys (MoCo eq. 1) or both (SimCLR eq. 1: the other queries too, averaged over both directions). queue: of so many keys of earlier steps, in the place of the step's other ones (MoCo algorithm 1).",
  },
  barlow: { role: "correlate", operands: 2, features: 1, numbers: { lambda: 0.0051 }, words: {}, trivial: undefined, grows: 0, doc: "Σ (1 − cᵢᵢ)² + λ Σ cᵢⱼ² with c the cross-correlation of the batch-standardized sides (Barlow Twins eq. 1)." },
  barlow_diagonal: { role: "correlate_diagonal", operands: 2, features: 1, numbers: {}, words: {}, trivial: undefined, grows: 0, doc: "Σ (1 − cᵢᵢ)²: the invariance part of Barlow Twins." },
  barlow_off_diagonal: { role: "decorrelate", operands: 2, features: 2, numbers: {}, words: {}, trivial: 0, grows: 0, doc: "Σ cᵢⱼ², i ≠ j: the redundancy part of Barlow Twins." },
  variance: { role: "variance", operands: 1, features: 1, numbers: { target: 1, eps: 1e-4 }, words: { over: axes }, trivial: undefined, grows: 0, doc: "Mean over features of max(0, target − sqrt(Var + eps)), Var unbiased along `over` (VICReg eq. 1)." },
  covariance: { role: "covariance", operands: 1, features: 2, numbers: {}, words: { over: axes }, trivial: 0, grows: 4, doc: "Σ of squared off-diagonal covariances / features, covariance unbiased along `over` (VICReg eq. 3)." },
  sigreg: {
    role: "gaussian", operands: 1, features: 1, numbers: { directions: 256, points: 17, range: 5 }, words: { over: axes }, trivial: undefined, grows: 0,
    doc: "n ∫ |φₙ(t) − e^(−t²/2)|² e^(−t²/2) dt on random directions, new each step, mean over directions: the Epps-Pulley test of normality (LeJEPA, SIGReg); trapezoids at `points` places of [−range, range].",
  },
  koleo: { role: "spread", operands: 1, features: 2, numbers: { eps: 1e-8 }, words: {}, trivial: undefined, grows: 0, doc: "−mean log distance to the nearest other row, l2-normalized (KoLeo: Sablayrolles 2019, DINOv2)." },
  mean_entropy: { role: "balance", operands: 1, features: 2, numbers: {}, words: {}, trivial: undefined, grows: 0, doc: "Σ p̄ log p̄ of the batch-mean code p̄: minimal when all codes are used (me-max: MSN eq. 2). The operand is a distribution." },
  diversity: { role: "balance", operands: 1, features: 2, numbers: {}, words: {}, trivial: undefined, grows: 0, doc: "Σ p̄ log p̄ / codes (wav2vec 2.0 eq. 4)." },
} as const satisfies Readonly<Record<string, LossKind>>;

export type LossName = keyof typeof losses;

/** Every name that some loss has a number by. */
type NumberName = { [K in LossName]: keyof (typeof losses)[K]["numbers"] }[LossName];

/** What a number of a loss may be, whichever loss has it: from and to, both included. Beyond it a loss is undefined, or no longer what its name says. */
const ranges = {
  beta: { low: 1e-6, high: 1e6 },
  temperature: { low: 1e-6, high: 1e6 },
  negative_weight: { low: 0, high: 1e6 },
  queue: { low: 0, high: 1 << 24, whole: true },
  lambda: { low: 0, high: 1e6 },
  // What a constant fulfils is the collapse analysis's to tell.
  target: { low: -1e6, high: 1e6 },
  eps: { low: 0, high: 1 },
  directions: { low: 1, high: 65536, whole: true },
  points: { low: 2, high: 65536, whole: true },
  range: { low: 1e-3, high: 1e3 },
} as const satisfies Readonly<Record<NumberName, { readonly low: number; readonly high: number; readonly whole?: true }>>;

/** What the number of that name may be; undefined for a name that no loss has. */
export function numberRange(name: string): { readonly low: number; readonly high: number; readonly whole?: true } | undefined {
  return Object.hasOwn(ranges, name) ? new Map<string, (typeof ranges)[NumberName]>(Object.entries(ranges)).get(name) : undefined;
}

/** The value of one application when its operands have collapsed to a constant: some kinds say it only with their numbers. */
export function trivialValue(name: string, numbers: Readonly<Record<string, number>>): number | undefined {
  if (!isLoss(name)) return undefined;
  // Without negatives a constant has the cosine 1.
  if (name === "info_nce") return numbers["negative_weight"] === 0 ? -1 / (numbers["temperature"] ?? losses.info_nce.numbers.temperature) : undefined;
  return lossKind(name).trivial;
}

/** Whether a name is a loss. */
export function isLoss(name: string): name is LossName {
  return Object.hasOwn(losses, name);
}

/** All loss names. */
export function lossNames(): LossName[] {
  return Object.keys(losses).filter(isLoss);
}

/** A row by its general type. */
export function lossKind(name: LossName): LossKind {
  return losses[name];
}
