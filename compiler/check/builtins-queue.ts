/**
 * Built-ins that remember rows of earlier steps: `nearest`, the neighbor of a vector among them (NNCLR).
 *
 * Owns their typing, and that a queue belongs to the model, as that of a loss does (`losses.ts`). The operand is stopped in the
 * graph, where every analysis sees it: the choice of a neighbor has no gradient. Arithmetic is in `lower/batch-ops.ts`.
 */
// tidy: table
import { report } from "../messages/report.js";
import { isVectors } from "../model/rules.js";
import { numberRange } from "../model/losses.js";
import { emit } from "./body.js";
import type { Builtin } from "./builtin-call.js";
import { tensor } from "./builtin-call.js";
import { shapeText } from "./expr.js";
import { asCount } from "./static.js";
import { poison } from "./values.js";

/** Built-ins with a queue of their own, by name. */
export const queueBuiltins: Readonly<Record<string, Builtin>> = {
  nearest: {
    formals: ["x", "queue"],
    run: (call) => {
      const { cx, at } = call;
      const x = tensor(call, "x");
      const arg = call.args.get("queue");
      const size = arg === undefined ? undefined : asCount(arg.value, "`queue` of `nearest`", arg.span, cx.diagnostics, 1, numberRange("queue")?.high);
      if (x === undefined || size === undefined) return poison;
      if (!isVectors(x.type)) {
        cx.diagnostics.add(report("JEP3003", call.args.get("x")?.span ?? at, { what: "`x` of `nearest`", expected: "one vector of features for each image", found: `${shapeText(x.type)} (${x.type.axes.join(", ")})` }, { help: "`pool(x)` makes one vector of an image's tokens." }));
        return poison;
      }
      if (cx.kind !== "model") {
        cx.diagnostics.add(report("JEP3030", at, { loss: "nearest", why: "it stands in a module, and a queue belongs to one place of the model" }, { help: "Give the features back from the module, and look for their neighbors in the model." }));
        return poison;
      }
      const still = emit(cx, "stop_gradient", [x.id], {}, x.type, at);
      return emit(cx, "nearest", [still.id], { size }, x.type, at);
    },
  },
};
