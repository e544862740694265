/**
 * The lists of dispatches that a plan has, for everything that goes over all of them: bind groups, limits, proofs. Owns their
 * order, in which blocks of sizes lie in the buffer of that name.
 */
import type { PlanProgram, WgslPlan } from "../../abi.js";

/** Everything that is run, in the order in which blocks of sizes lie. */
export function programsOf(plan: WgslPlan): PlanProgram[] {
  const { accumulate } = plan;
  return [plan.step, ...(accumulate === undefined ? [] : [accumulate.first, accumulate.rest]), plan.norms, plan.update, ...(plan.prepare === undefined ? [] : [plan.prepare]), ...Object.values(plan.encoders)];
}
