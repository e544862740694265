/**
 * What a tuner measures: the products of a plan, the tiles to try for each, and a name for the generator that wrote them.
 *
 * Owns the order (most arithmetic first, because a tuner may run out of time) and the candidates. It measures nothing: a
 * shell with a device does (`compiler/cli/tune.ts`), through modules of single products (`product.ts`).
 */
import type { PlanTile, WgslPlan } from "../../../runtime/abi.js";
import { sha256 } from "../../base/hash.js";
import type { GemmShape } from "./kernels/tiles.js";
import { defaultTile, mostParts, tileCandidates } from "./kernels/tiles.js";
import { productModule } from "./product.js";
import { planTile, shapeOf, tileOf } from "./tile-book.js";

/** The products of a plan, those with the most arithmetic first. */
export function productsOf(plan: WgslPlan): GemmShape[] {
  const flops = ({ batch, m, n, k }: GemmShape): number => batch * m * n * k;
  return (plan.tiles ?? []).map(shapeOf).sort((a, b) => flops(b) - flops(a));
}

/** Tiles to try for a product; the first is what is taken without measuring, with `software` and `ample` as in `defaultTile`. */
export function trialsOf(shape: GemmShape, software = false, ample = false): PlanTile[] {
  const first = planTile(shape, defaultTile(shape, software, ample));
  return [first, ...tileCandidates(shape, software, ample).map((t) => planTile(shape, t)).filter((t) => t.tile.join() !== first.tile.join())];
}

/** Numbers of parts to try for a weight gradient once its tile is known; none for other products. */
export function partTrials({ form, k, batch }: GemmShape, best: PlanTile, parts: number): PlanTile[] {
  if (form !== "tn" || batch !== 1) return [];
  const counts = [parts / 2, parts * 2].map(Math.floor).filter((n) => n >= 1 && n <= mostParts(k) && n !== parts);
  return counts.map((n) => ({ ...best, parts: n }));
}

/** Names the texts that the generator writes: measured tiles of another generator say nothing of this one. */
export function generatorName(): string {
  const forms: readonly GemmShape["form"][] = ["nn", "nt", "tn"];
  const texts = forms.flatMap((form) => {
    const shape: GemmShape = { form, batch: 1, m: 256, n: 256, k: 1024, kind: "f32" };
    const half: GemmShape = { ...shape, kind: "f16-matrix" };
    return [...[...trialsOf(shape), ...trialsOf(shape, true)], ...trialsOf(half)].flatMap((t) => Object.values(productModule(shapeOf(t), tileOf(t)).kernels));
  });
  return sha256(texts.join("\n")).slice(0, 16);
}
