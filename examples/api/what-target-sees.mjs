// What is a value made of? By default: the target and the prediction of I-JEPA.
// node examples/api/what-target-sees.mjs [program.jepa] [value…]
import { check, dependsOn } from "jepac";
import { readProgram } from "./read-program.mjs";

const [path = "specs/ijepa.jepa", ...names] = process.argv.slice(2);
const { ok, graph } = check(readProgram(path).source);
if (!ok) throw new Error(`${path} has mistakes: run jepac check ${path}`);

for (const name of names.length > 0 ? names : ["z_target", "z_hat"]) {
  const { sources, instances, follows, masks } = dependsOn(graph, name);
  console.log(`${name}: sees ${sources.join(", ")}; uses ${instances.join(", ")}; follows ${follows.join(", ") || "nothing"}; chosen by ${masks.join(", ") || "no mask"}`);
}
