/**
 * Makes the native CPU engine, `@tensorflow/tfjs-node`, work from npm and PyPI alone.
 *
 * The package's own installer downloads a C library and an addon from the vendor's storage. Where that is out of reach
 * this script builds the same thing from parts that package registries carry: the JavaScript and the addon's two C++
 * files from npm, the Node-API headers from npm, the TensorFlow C library from the `tensorflow-cpu` wheel.
 *
 * It leaves package.json and node_modules alone. Everything goes to `.engines/tfjs-node/`, which jepac looks for by
 * itself and which `npm ci` does not touch. It is built in a folder beside it and renamed at the end, so an interrupted
 * run leaves nothing half-made; a second run only checks that the engine loads and multiplies.
 *
 *   node scripts/setup-tfjs-node.mjs [--check] [--force] [--dir <folder>]
 *
 * Exit codes: 0 works, 1 cannot be made to work here (the last line says why and what would help), 2 usage.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, symlinkSync, writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TFJS_NODE = "4.22.0";
const NODE_API_HEADERS = "1.9.0";
/** The C API is stable across TensorFlow 2; this release is the one that the test suite runs on. */
const WHEEL = { name: "tensorflow-cpu", version: "2.21.0", python: "3.11", abi: "cp311" };
const WHEEL_PLATFORMS = ["manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"];
const DISK_NEEDED = 2.0e9;

/** Only what the addon includes, and the two libraries that hold the C API. Runs under any Python 3. */
const UNPACK = `
import sys, os, shutil, zipfile
wheel, out = sys.argv[1], sys.argv[2]
headers = ('tensorflow/include/tensorflow/c/', 'tensorflow/include/tensorflow/core/platform/',
           'tensorflow/include/xla/tsl/', 'tensorflow/include/tsl/')
libraries = ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2')
with zipfile.ZipFile(wheel) as archive:
    for item in archive.infolist():
        name = item.filename
        if name in libraries:
            target = os.path.join(out, 'lib', os.path.basename(name))
        elif name.startswith(headers) and name.endswith('.h'):
            target = os.path.join(out, name[len('tensorflow/'):])
        else:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(item) as source, open(target, 'wb') as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
`;

/** Loads the engine the way jepac does and multiplies: a library that opens is not yet a library that works. */
const PROBE = `
const { createRequire } = require("node:module");
const tf = createRequire(process.argv[1])("@tensorflow/tfjs-node");
const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])).arraySync();
if (JSON.stringify(product) !== "[[19,22],[43,50]]") throw new Error("wrong product " + JSON.stringify(product));
const b = tf.backend();
console.log("@tensorflow/tfjs-node " + tf.version["tfjs-node"] + " on TensorFlow " + b.binding.TF_Version);
`;

class CannotSetUp extends Error {}

const started = Date.now();
const say = (line) => console.log(`[${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s] ${line}`);

function main() {
  const options = readArguments(process.argv.slice(2));
  const here = resolve(dirname(fileURLToPath(import.meta.url)), "..");
  const target = resolve(options.dir ?? join(process.cwd(), ".engines", "tfjs-node"));

  if (!options.force) {
    for (const from of new Set([process.cwd(), here])) {
      const found = probe(from);
      if (found.ok) return say(`already works: ${found.text} (resolved from ${from})`);
    }
    const built = existsSync(target) ? probe(target) : { ok: false, text: "not there" };
    if (built.ok) return say(`already works: ${built.text} (${target})`);
    if (existsSync(target)) say(`${target} does not work (${built.text}); building it again`);
  }
  if (options.check) throw new CannotSetUp("@tensorflow/tfjs-node does not load; run this script without --check to build it");

  build(target);
  const made = probe(target);
  if (!made.ok) throw new CannotSetUp(`built, but it does not load from ${target}: ${made.text}`);
  say(`done: ${made.text} (${target})`);
}

function readArguments(args) {
  const options = { check: false, force: false, dir: undefined };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--check") options.check = true;
    else if (args[i] === "--force") options.force = true;
    else if (args[i] === "--dir" && args[i + 1] !== undefined) options.dir = args[++i];
    else {
      console.error(`unknown argument ${args[i]}\nusage: node ${relative(process.cwd(), fileURLToPath(import.meta.url))} [--check] [--force] [--dir <folder>]`);
      process.exit(2);
    }
  }
  return options;
}

function probe(folder) {
  const run = spawnSync(process.execPath, ["-e", PROBE, join(folder, "resolve-from-here.js")], {
    encoding: "utf8", timeout: 120_000, env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" },
  });
  const lines = (run.stderr ?? "").split("\n").filter((line) => /Error|cannot|GLIBC/.test(line));
  return run.status === 0
    ? { ok: true, text: run.stdout.trim() }
    : { ok: false, text: (lines[0] ?? run.error?.message ?? `exit ${run.status ?? run.signal}`).trim() };
}

function build(target) {
  const { python, compiler } = requireTools(target);
  const parent = dirname(target);
  mkdirSync(parent, { recursive: true });
  const work = join(parent, `.tfjs-node-${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  try {
    installPackages(work);
    const addon = join(work, "node_modules", "@tensorflow", "tfjs-node");
    fetchLibrary(python, work, join(addon, "deps"));
    compileAddon(compiler, work, addon);
    rmSync(join(addon, "deps", "include"), { recursive: true });
    const check = probe(work);
    if (!check.ok) throw new CannotSetUp(`the addon compiled but does not load: ${check.text}`);
    rmSync(target, { recursive: true, force: true });
    renameSync(work, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Everything that can be known to be missing is said before the first download. */
function requireTools(target) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new CannotSetUp(`this recipe is for linux x64, this is ${process.platform} ${process.arch}; `
      + `try \`npm install --no-save @tensorflow/tfjs-node@${TFJS_NODE}\`, or stay with the wasm engine`);
  }
  const python = ["python3", "python"].find((name) => works(name, ["-c", "import sys, zipfile; sys.exit(sys.version_info < (3, 7))"]));
  if (python === undefined) throw new CannotSetUp("no Python 3.7 or newer on the path (needed to fetch and unpack the wheel); install python3");
  if (!works(python, ["-m", "pip", "--version"])) throw new CannotSetUp(`${python} has no pip; install python3-pip`);
  const compiler = [process.env.CXX, "g++", "clang++", "c++"].find((name) => name && works(name, ["--version"]));
  if (compiler === undefined) throw new CannotSetUp("no C++ compiler on the path (g++ or clang++); install g++ or build-essential");
  const above = nearestExisting(target);
  const disk = statfsSync(above);
  const free = disk.bavail * disk.bsize;
  if (free < DISK_NEEDED) {
    throw new CannotSetUp(`${above} has ${(free / 1e9).toFixed(1)} GB free, ${(DISK_NEEDED / 1e9).toFixed(1)} GB are needed while building (0.9 GB stay)`);
  }
  return { python, compiler };
}

function nearestExisting(path) {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}

function works(command, args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function installPackages(work) {
  say(`npm: @tensorflow/tfjs-node@${TFJS_NODE} and node-api-headers@${NODE_API_HEADERS}, without their install scripts`);
  writeFileSync(join(work, "package.json"), JSON.stringify({ name: "jepac-engine-tfjs-node", private: true }, null, 2) + "\n");
  step("npm could not install the packages", "npm", [
    "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error",
    `@tensorflow/tfjs-node@${TFJS_NODE}`, `node-api-headers@${NODE_API_HEADERS}`,
  ], work);
}

function fetchLibrary(python, work, deps) {
  say(`pip: the C library from ${WHEEL.name} ${WHEEL.version} (274 MB)`);
  const download = join(work, "wheel");
  step("pip could not download the wheel", python, [
    "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary=:all:",
    "--implementation", "cp", "--python-version", WHEEL.python, "--abi", WHEEL.abi,
    ...WHEEL_PLATFORMS.flatMap((name) => ["--platform", name]),
    "--dest", download, `${WHEEL.name}==${WHEEL.version}`,
  ], work);
  const file = readdirSync(download).find((name) => name.endsWith(".whl"));
  if (file === undefined) throw new CannotSetUp(`pip left no wheel in ${download}`);
  say("unpacking two libraries and the C headers (0.9 GB)");
  step("the wheel could not be unpacked", python, ["-c", UNPACK, join(download, file), deps], work);
  rmSync(download, { recursive: true });
}

/**
 * The addon is two C++ files over Node-API, so one compiler call does what node-gyp would, without node-gyp, its Python
 * requirements or the download of Node's full headers. The libraries are found relative to the addon, so the folder can move.
 */
function compileAddon(compiler, work, addon) {
  say(`compiling the addon with ${compiler}`);
  const lib = join(addon, "deps", "lib");
  const napi = highestNapi(addon);
  const folder = join(addon, "lib", `napi-v${napi}`);
  mkdirSync(folder, { recursive: true });
  // The names that the vendor's library has, for whoever loads it by those.
  for (const [name, real] of [["libtensorflow.so.2", "libtensorflow_cc.so.2"], ["libtensorflow.so", "libtensorflow_cc.so.2"]]) {
    symlinkSync(real, join(lib, name));
  }
  step("the addon does not compile", compiler, [
    "-shared", "-fPIC", "-O2", "-std=c++17", "-w", `-DNAPI_VERSION=${napi}`, "-DBUILDING_NODE_EXTENSION",
    "-I", join(work, "node_modules", "node-api-headers", "include"), "-I", join(addon, "deps", "include"), "-I", addon,
    join(addon, "binding", "tfjs_backend.cc"), join(addon, "binding", "tfjs_binding.cc"),
    "-L", lib, "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", "-Wl,-rpath,$ORIGIN/../../deps/lib",
    "-o", join(folder, "tfjs_binding.node"),
  ], work);
}

/** The folder name that the package's loader will ask for under this Node. */
function highestNapi(addon) {
  const text = execFileSync(process.execPath, ["-p", `JSON.stringify(require(${JSON.stringify(join(addon, "package.json"))}).binary.napi_versions)`], { encoding: "utf8" });
  return Math.max(...JSON.parse(text).filter((version) => version <= Number(process.versions.napi)));
}

function step(what, command, args, cwd) {
  const run = spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 });
  if (run.status === 0) return;
  const tail = `${run.stdout ?? ""}${run.stderr ?? ""}`.trim().split("\n").slice(-12).join("\n    ");
  throw new CannotSetUp(`${what}: \`${command} ${args.slice(0, 3).join(" ")} …\` ended with ${run.error?.code ?? run.status ?? run.signal}\n    ${tail}`);
}

try {
  main();
} catch (error) {
  console.error(error instanceof CannotSetUp ? `cannot set up tfjs-node: ${error.message}` : error);
  process.exitCode = 1;
}
