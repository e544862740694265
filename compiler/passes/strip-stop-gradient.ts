/**
 * strip-stop-gradient: removes the marks that only autodiff reads.
 *
 * Why: after differentiation a stop-gradient is an identity that would cost a target a copy and hide its operand from local rules.
 * Requires: verified IR, after autodiff. Ensures: no `stop_gradient`.
 * Example: `y = stop_gradient(x); z = neg(y)` -> `z = neg(x)`.
 */
import { rewriteFunc } from "../tensor/visit.js";
import { perFunction } from "./pass.js";

export const stripStopGradient = perFunction("strip-stop-gradient", "removes the marks that only autodiff reads", (module, func) =>
  rewriteFunc(module, func, (b, node, args) => (node.op === "stop_gradient" ? args : b.copy(node, args))),
);
