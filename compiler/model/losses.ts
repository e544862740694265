/**
 * The table of losses: what each compares, and what role it plays in keeping or losing variation. // tidy: table
 *
 * A loss is a named kind so that the collapse analysis can reason about it (attract, spread, decorrelate, contrast,
 * anchor) rather than about the arithmetic that happens to implement it. Typing is in `check/losses.ts`; arithmetic in
 * `lower/losses.ts`, whose table must have the same keys.
 */

/** The part a loss plays (collapse theory, section 2). */
export type LossRole =
  /** Minimal when the two sides agree. */
  | "attract"
  /** A code is predicted from another: agreement of distributions. */
  | "classify";

/** One row of the table. */
export interface LossKind {
  readonly role: LossRole;
  /** How many tensor operands; a pair must agree in shape, positions and space. */
  readonly operands: 1 | 2;
  /** Named numbers with defaults. */
  readonly numbers: Readonly<Record<string, number>>;
  /** The value when the outputs have collapsed to a constant, if it is known. */
  readonly trivial: number | undefined;
  readonly doc: string;
}

export const losses = {
  smooth_l1: { role: "attract", operands: 2, numbers: { beta: 1 }, trivial: 0, doc: "0.5 d²/β where |d| < β, |d| − β/2 elsewhere; mean over all elements (I-JEPA 3)." },
  mse: { role: "attract", operands: 2, numbers: {}, trivial: 0, doc: "Mean of squared differences over all elements." },
  l1: { role: "attract", operands: 2, numbers: {}, trivial: 0, doc: "Mean of absolute differences over all elements (V-JEPA)." },
  negative_cosine: { role: "attract", operands: 2, numbers: {}, trivial: -1, doc: "Minus the cosine of the angle between feature vectors, mean over the rest (SimSiam eq. 1)." },
  cross_entropy: { role: "classify", operands: 2, numbers: { temperature: 1 }, trivial: undefined, doc: "−Σ target · log softmax(logits / temperature) over features, mean over the rest; operands (logits, target probabilities)." },
} as const satisfies Readonly<Record<string, LossKind>>;

export type LossName = keyof typeof losses;

/** Whether a name is a loss. */
export function isLoss(name: string): name is LossName {
  return Object.hasOwn(losses, name);
}

/** All loss names. */
export function lossNames(): LossName[] {
  return Object.keys(losses).filter(isLoss);
}
