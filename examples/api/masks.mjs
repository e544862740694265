// The masks of a program, and one draw of each: # is in the first set, digits are further sets.
// node examples/api/masks.mjs [program.jepa]
import { compile } from "jepac";
import { sampleMasks } from "jepac/runtime";
import { readProgram } from "./read-program.mjs";

const path = process.argv[2] ?? "examples/ijepa-small.jepa";
const { ok, manifest } = compile(readProgram(path).source);
if (!ok) throw new Error(`${path} has mistakes: run jepac check ${path}`);

const drawn = sampleMasks(manifest.masks, { seed: 0, step: 0, batch: 1 });
for (const mask of manifest.masks) {
  const { rows, cols } = mask.grid;
  const { count, length, indices } = drawn.get(mask.name);
  console.log(`${mask.name}: ${count} ${count === 1 ? "set" : "sets"} of ${length} of ${rows * cols} positions${mask.minus.length > 0 ? `, without ${mask.minus.join(", ")}` : ""}`);
  const picture = Array.from({ length: rows * cols }, () => ".");
  for (let set = count - 1; set >= 0; set--) for (const at of indices.subarray(set * length, (set + 1) * length)) picture[at] = set === 0 ? "#" : String(set + 1);
  for (let row = 0; row < rows; row++) console.log(`  ${picture.slice(row * cols, (row + 1) * cols).join(" ")}`);
}
