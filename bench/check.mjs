/**
 * How long checking takes: the reference program after an edit, and programs of 1,000 to 10,000 bindings.
 *
 *   npm run build && node bench/check.mjs
 *
 * Prints wall time and processor time of the fastest of several runs, warm; the large programs have a module per five
 * bindings, ten bindings per loss, and chains through shared modules, so that every analysis has work to do.
 */
import { readFileSync } from "node:fs";
import { check } from "../dist/compiler/compile.js";

function measure(source, runs) {
  let wall = Infinity;
  let cpu = Infinity;
  let result;
  for (let i = 0; i < runs; i++) {
    const start = process.cpuUsage();
    const from = performance.now();
    result = check(source);
    wall = Math.min(wall, performance.now() - from);
    const used = process.cpuUsage(start);
    cpu = Math.min(cpu, (used.user + used.system) / 1000);
  }
  return { wall, cpu, result };
}

/** A program of `bindings` values, `modules` heads and `losses` losses over two views. */
function large(bindings, modules, losses) {
  const lines = ["use std.vit", "use std.heads", "model m {", "  input image: Image[32, 32, 3]", "  view a, b = augment(image) {", "    flip(p: 0.5)", "  }", "  encoder f = vit(patch: 8, width: 32, depth: 2, heads: 2)"];
  for (let i = 0; i < modules; i++) lines.push(`  head h${i} = linear(32)`);
  lines.push("  x0 = pool(f(a))", "  y0 = pool(f(b))");
  for (let i = 1; i < bindings / 2; i++) {
    lines.push(`  x${i} = h${i % modules}(x${i % 50 === 0 ? 0 : i - 1}) + x0`, `  y${i} = h${i % modules}(y${i % 50 === 0 ? 0 : i - 1}) + y0`);
  }
  for (let i = 0; i < losses; i++) {
    const at = Math.floor(((i + 1) * (bindings / 2 - 1)) / losses);
    lines.push(`  loss l${i} = 25 * mse(x${at}, y${at}) + 25 * variance(x${at}) + covariance(x${at})`);
  }
  lines.push("}", "train m {", "  data shapes(count: 64)", "  epochs 1", "  batch 64", "}");
  return { file: "large.jepa", text: lines.join("\n") };
}

const reference = { file: "ijepa.jepa", text: readFileSync(new URL("../specs/ijepa.jepa", import.meta.url), "utf8") };
const row = (name, { wall, cpu, result }) => console.log(`${name.padEnd(44)} ${wall.toFixed(1).padStart(9)} ms wall ${cpu.toFixed(1).padStart(9)} ms processor   ${result.analyses?.program.verdict ?? result.diagnostics.find((d) => d.severity === "error")?.message}`);
row("specs/ijepa.jepa, warm", measure(reference, 40));
for (const [bindings, modules, losses] of [[1000, 200, 100], [2000, 200, 100], [5000, 200, 100], [10000, 200, 100]]) {
  row(`${bindings} bindings, ${modules} modules, ${losses} losses`, measure(large(bindings, modules, losses), bindings > 4000 ? 3 : 25));
}
