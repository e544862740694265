/**
 * `npm run setup`: gets what the engines and their tests need, part after part, as far as this machine allows.
 *
 * Owns the order and the summary; how each part is got is in its own script, which can be run alone. A part that cannot
 * be had is no failure of the set-up: everything else works without it, and tests of it say NOT TESTED aloud. PyTorch is
 * large (several GB with its NVIDIA libraries), so it comes only when asked for: --torch, or JEPAC_SETUP_TORCH=1 as in CI.
 *
 *   node scripts/setup.mjs [--torch]
 */
import { spawnSync } from "node:child_process";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const wrong = process.argv.slice(2).find((word) => word !== "--torch");
if (wrong !== undefined) {
  console.error(`unknown argument ${wrong}\nusage: node scripts/setup.mjs [--torch]`);
  process.exit(2);
}
const torch = process.argv.includes("--torch") || (process.env.JEPAC_SETUP_TORCH ?? "0") !== "0";

const parts = [
  { name: "tfjs-node", script: "setup-tfjs-node.mjs", without: "training runs on wasm, more slowly" },
  { name: "Vulkan driver", script: "setup-vulkan.mjs", without: "the WGSL target needs a GPU driver" },
  { name: "Chromium", script: "setup-chromium.mjs", without: "the WGSL target is not tested in a browser" },
  ...(torch ? [{ name: "PyTorch", script: "setup-torch.mjs", args: ["--full"], without: "nothing is compared with PyTorch, transformers, onnxruntime" }] : []),
];

const done = parts.map((part, i) => {
  console.log(`\n[${i + 1}/${parts.length}] ${part.name}`);
  return { ...part, ok: spawnSync(process.execPath, [join(here, part.script), ...(part.args ?? [])], { stdio: "inherit" }).status === 0 };
});

console.log("");
for (const { name, ok, without, script } of done) {
  console.log(ok ? `set up: ${name}` : `NOT SET UP: ${name}. ${without}; tests of it say NOT TESTED. The reason is above; again with node ${relative(process.cwd(), join(here, script))}`);
}
if (!torch) console.log("not asked for: PyTorch, several GB, for comparisons in tests and benchmarks: node " + relative(process.cwd(), join(here, "setup.mjs")) + " --torch");
