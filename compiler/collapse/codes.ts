/**
 * Codes: how sharp a target's are beside the prediction, and whether their mean entropy keeps them in use.
 *
 * Uniform codes are in use and one code for all is sharp, so that balance alone and sharpening alone are both met by a
 * constant; together they are not. Owns the temperatures and the weights at which they are together. Who is protected by it is
 * for `null-test.ts` (by the objective) and `terms.ts` (behind a stop).
 */
import type { Term } from "./canonicalize.js";
import { lasting } from "./canonicalize.js";
import type { Fact } from "./facts.js";
import type { Facts } from "./gather.js";
import { factOf, lastModules, nodeAt, sameHeads, trainedThrough } from "./gather.js";
import { constantOf } from "../types/dim.js";

/** The temperature of a target's code and that of the prediction, on the scale of what the last learned map gave. */
export function sharpness(term: Term, own: Fact, target: Fact): { readonly soft: number; readonly warm: number } {
  return { soft: target.code.temperature ?? 0, warm: own.code.temperature ?? (term.numbers["temperature"] ?? 1) / Math.abs(own.gain) };
}

/** Codes that are softer than the compared ones by this factor are alike whichever of them an image takes. */
export const softest = 10;

/** Whether a term asks the very codes that are compared to be in use: those of the head that makes them, and not much softer. */
export function balances(facts: Facts, term: Term, encoder: string, student: number, warm: number): boolean {
  if (term.sign < 0 || term.role !== "balance") return false;
  const reached = trainedThrough(facts, term.node);
  const [read] = term.operands;
  const code = factOf(facts.values, read).code;
  const makers = lastModules(facts, student).filter((g) => trainedThrough(facts, student).has(g));
  return reached.has(encoder) && makers.every((g) => reached.has(g)) && (code.hard || (code.temperature ?? 1) <= softest * warm);
}

/**
 * The share of what it needs that the mean entropy of soft codes has beside cross-entropies that sharpen them, both sides
 * trained (SCAN, TWIST): from 1 on it holds. Undefined where nothing sharpens the codes: uniform ones are in use too.
 *
 * A constant code p costs `(sharpening - balancing) H(p)`: with the smaller balance one code takes all. Around uniform codes,
 * for logits of deviation s, cross-entropy at temperatures t (target) and u falls by `s² (1 / tu - 1 / 2u²)` however images
 * differ, and mean entropy rises by `s² / 2v²` where they do not. Where both are at least as heavy, what is left is codes that
 * differ between images. Measured at equal temperatures: 0.2 and 0.5 lose (std 0.26 -> 0.004), 0.7 loses codes, 1, 2 and 5 hold (0.9).
 */
export function balanceShare(facts: Facts, balance: Term): number | undefined {
  if (balance.role !== "balance") return undefined;
  const [read = -1] = balance.operands;
  const { values } = facts;
  const ofSame = (t: Term): boolean => t.sign > 0 && t.operands.every((o) => trainedThrough(facts, o).size > 0 && sameHeads(facts, o, read));
  const asks = { sharpening: 0, balancing: 0, down: 0, up: 0 };
  for (const t of facts.terms.filter(ofSame)) {
    const [own, target] = t.operands.map((o) => factOf(values, o));
    if (t.role === "classify" && own !== undefined && target !== undefined) {
      const { soft, warm } = sharpness(t, own, target);
      asks.sharpening += lasting(t);
      asks.down += lasting(t) * (1 / (soft * warm) - 1 / (2 * warm * warm));
    }
    if (t.role === "balance" && own !== undefined) {
      const codes = nodeAt(facts, t.operands[0])?.type.shape.at(-1);
      const weight = lasting(t) / (t.kind === "diversity" ? ((codes === undefined ? undefined : constantOf(codes)) ?? 1) : 1);
      asks.balancing += weight;
      asks.up += weight / (2 * (own.code.temperature ?? 1) ** 2);
    }
  }
  return asks.down > 0 && Number.isFinite(asks.down) ? Math.min(asks.balancing / asks.sharpening, asks.up / asks.down) : undefined;
}
