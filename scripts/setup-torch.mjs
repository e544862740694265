/**
 * Makes a Python environment with PyTorch (CPU), for the comparisons and fixtures that need it.
 *
 * Nothing of jepac depends on it: benchmarks and fidelity tests that use it say so when it is missing. It goes to
 * `.engines/torch/`, away from the system's Python. `--full` adds what the weight-exchange tests load: transformers,
 * safetensors, onnx, onnxruntime. A second run only checks that everything imports.
 *
 *   node scripts/setup-torch.mjs [--check] [--full] [--dir <folder>]
 *
 * Exit codes: 0 works, 1 cannot be made to work here (the last line says why and what would help), 2 usage.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statfsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const BASE = ["torch", "numpy"];
const FULL = ["transformers", "safetensors", "onnx", "onnxruntime"];

class CannotSetUp extends Error {}

const started = Date.now();
const say = (line) => console.log(`[${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s] ${line}`);

function main() {
  const options = { check: false, full: false, dir: join(process.cwd(), ".engines", "torch") };
  const args = process.argv.slice(2);
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--check") options.check = true;
    else if (args[i] === "--full") options.full = true;
    else if (args[i] === "--dir" && args[i + 1] !== undefined) options.dir = resolve(args[++i]);
    else {
      console.error(`unknown argument ${args[i]}\nusage: node scripts/setup-torch.mjs [--check] [--full] [--dir <folder>]`);
      process.exit(2);
    }
  }
  const wanted = options.full ? [...BASE, ...FULL] : BASE;
  const python = join(options.dir, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const found = probe(python, wanted);
  if (found.ok) return say(`already works: ${found.text} (${options.dir})`);
  if (options.check) throw new CannotSetUp(`${found.text}; run this script without --check`);

  if (probe(python, []).ok) say(`${options.dir} lacks something (${found.text}); adding to it`);
  else makeEnvironment(options.dir);
  install(python, wanted, options.dir);
  const made = probe(python, wanted);
  if (!made.ok) throw new CannotSetUp(`installed, but it does not import: ${made.text}`);
  say(`done: ${made.text} (${options.dir})`);
}

/** Imports each package, and multiplies two matrices: a wheel that installs is not yet one that runs on this processor. */
function probe(python, packages) {
  if (!existsSync(python)) return { ok: false, text: "no environment yet" };
  const code = `import importlib
names = ${JSON.stringify(packages)}
found = [(n, getattr(importlib.import_module(n), '__version__', '?')) for n in names]
if 'torch' in names:
    import torch
    assert float((torch.ones(2, 3) @ torch.ones(3, 2)).sum()) == 12.0
print(', '.join(n + ' ' + v for n, v in found))`;
  const run = spawnSync(python, ["-c", code], { encoding: "utf8" });
  return run.status === 0
    ? { ok: true, text: run.stdout.trim() }
    : { ok: false, text: (run.stderr ?? "").trim().split("\n").at(-1) || `exit ${run.status ?? run.signal}` };
}

function makeEnvironment(folder) {
  const python = ["python3", "python"].find((name) => spawnSync(name, ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).status === 0);
  if (python === undefined) throw new CannotSetUp("no Python 3.9 or newer on the path; install python3");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  requireDisk(dirname(folder), 3e9);
  say(`${python}: a virtual environment in ${folder}`);
  const run = spawnSync(python, ["-m", "venv", folder], { encoding: "utf8" });
  if (run.status !== 0) throw new CannotSetUp(`venv failed: ${(run.stderr || run.stdout).trim().split("\n").at(-1)}; on Debian: apt install python3-venv`);
}

/**
 * PyPI's torch for Linux x64 is the CUDA build, which does not import without its NVIDIA libraries (several GB). PyTorch
 * has an index of CPU builds of a few hundred MB: whoever can reach it names it in JEPAC_TORCH_INDEX.
 */
function install(python, packages, folder) {
  const pip = (args) => spawnSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", ...args], { encoding: "utf8" });
  if (packages.includes("torch") && !probe(python, ["torch"]).ok) {
    const index = process.env.JEPAC_TORCH_INDEX;
    if (index === undefined) requireDisk(folder, 12e9);
    say(index === undefined ? "pip: torch with its NVIDIA libraries (several GB; JEPAC_TORCH_INDEX can name an index of CPU builds)" : "pip: torch from the index in JEPAC_TORCH_INDEX");
    check(pip([...(index === undefined ? [] : ["--index-url", index]), "torch"]), "torch");
  }
  const rest = packages.filter((name) => name !== "torch");
  say(`pip: ${rest.join(", ")}`);
  check(pip(rest), rest.join(", "));
}

function requireDisk(folder, bytes) {
  const disk = statfsSync(folder);
  const free = disk.bavail * disk.bsize;
  if (free < bytes) throw new CannotSetUp(`${folder} has ${(free / 1e9).toFixed(1)} GB free, ${(bytes / 1e9).toFixed(0)} GB are needed`);
}

function check(run, what) {
  if (run.status !== 0) throw new CannotSetUp(`pip could not install ${what}:\n    ${(run.stderr || run.stdout || "").trim().split("\n").slice(-6).join("\n    ")}`);
}

try {
  main();
} catch (error) {
  console.error(error instanceof CannotSetUp ? `cannot set up torch: ${error.message}` : error);
  process.exitCode = 1;
}
