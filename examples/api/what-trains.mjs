// Which modules does each loss train, and what moves without being trained?
// node examples/api/what-trains.mjs [program.jepa]
import { check, edges, neverTrained, trainedBy } from "jepac";
import { readProgram } from "./read-program.mjs";

const { source } = readProgram(process.argv[2] ?? "specs/ijepa.jepa");
const { ok, graph, diagnostics } = check(source);
if (!ok) {
  for (const d of diagnostics) console.error(`${d.code} ${d.message}`);
  process.exit(1);
}

for (const loss of graph.losses) console.log(`${loss.name} (${loss.kind}) trains ${trainedBy(graph, loss).join(", ")}`);
for (const edge of edges(graph)) {
  if (edge.kind === "ema") console.log(`${edge.to} follows ${edge.from}, momentum ${edge.momentum.points.join(" -> ")}`);
}
const idle = neverTrained(graph);
console.log(idle.length === 0 ? "nothing waits in vain for a gradient" : `no loss trains ${idle.join(", ")}`);
