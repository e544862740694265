// The parameters of a program: a row for each tensor of a module, and totals.
// node examples/api/parameters.mjs [program.jepa]
import { check, parameterCount } from "jepac";
import { readProgram } from "./read-program.mjs";

const path = process.argv[2] ?? "examples/ijepa-small.jepa";
const { ok, graph } = check(readProgram(path).source);
if (!ok) throw new Error(`${path} has mistakes: run jepac check ${path}`);

for (const instance of graph.instances) {
  const { total, trained } = parameterCount(graph, instance);
  console.log(`${instance.name}: ${instance.module}, ${total.toLocaleString("en")} values, ${trained === 0 ? instance.training.kind : `${trained.toLocaleString("en")} trained`}`);
  for (const p of instance.params) console.log(`  ${p.path.padEnd(28)} ${[...p.stack.map((n) => `${n} of`), `[${p.shape.join(", ")}]`].join(" ").padEnd(18)} ${p.init.kind}${p.role === "learn" ? "" : `, ${p.role}`}`);
}
console.log(`in all: ${parameterCount(graph).total.toLocaleString("en")}`);
