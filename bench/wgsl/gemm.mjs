/**
 * A square product by the kernels of the WGSL target, with the tile that `jepac tune` would choose on this device:
 * `node bench/wgsl/gemm.mjs --side 4096 [--kind f16]`. Prints a JSON line. f16 goes through subgroup matrices; a device
 * without them has no figure, and that is said.
 */
import { parseArgs } from "node:util";
import { measureCeilings } from "../../dist/runtime/backends/webgpu/ceilings.js";
import { openNodeDevice } from "../../dist/runtime/backends/webgpu/device.js";
import { abilitiesOf, descriptionOf } from "../../dist/runtime/backends/webgpu/forms.js";
import { timePlan } from "../../dist/runtime/backends/webgpu/stopwatch.js";
import { productModule } from "../../dist/compiler/targets/wgsl/product.js";
import { tileOf } from "../../dist/compiler/targets/wgsl/tile-book.js";
import { trialsOf } from "../../dist/compiler/targets/wgsl/tuning.js";

const { values } = parseArgs({ options: { side: { type: "string", default: "4096" }, kind: { type: "string", default: "f32" } } });
const side = Number(values.side);
const shape = { form: "nn", batch: 1, m: side, n: side, k: side, kind: values.kind === "f16" ? "f16-matrix" : "f32" };
const module = productModule(shape);
const node = await openNodeDevice(module, { timestamps: true });
if (values.kind === "f16" && abilitiesOf(descriptionOf(node.device)).matrix === undefined) {
  console.error(`${node.name} has no subgroup matrices with f16 operands and f32 results`);
  process.exit(3);
}
const tiles = [];
for (const trial of trialsOf(shape, node.software, node.ample)) {
  const timed = await timePlan(productModule(shape, tileOf(trial)), { device: node.device, name: node.name, clock: () => performance.now(), repeats: 5, enough: 5_000 });
  tiles.push({ tile: trial.tile.join("x"), ms: timed });
}
const { tile, ms } = tiles.reduce((best, t) => (t.ms < best.ms ? t : best));
const ceilings = await measureCeilings(node.device);
const rate = (2 * side ** 3) / (ms / 1000);
console.log(JSON.stringify({ device: node.name, side, tile, ms, by_default: tiles[0].ms, tiles, flops: rate, of_arithmetic: rate / ceilings.arithmetic, of_plain: rate / ceilings.gemm, ceilings }));
node.release();
process.exit(0);
