/**
 * Says which engines this machine has, and for each that it lacks, what is missing and the command that gets it.
 *
 * Pure data: the command line prints it. Every engine is tried in a process of its own, doing real work (a product of two
 * matrices, an adapter request), because a native library that is there may still refuse to load, need an instruction
 * that the processor lacks, or keep its process alive; none of that may take the doctor down.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nativeRoots, wayToGet } from "./tfjs/engine.js";
import { WEBGPU_PACKAGE } from "./ways.js";

/** The engines of the design, best first within each target. */
export type EngineName = "tfjs-node-gpu" | "tfjs-node" | "wasm" | "webgpu-node" | "chromium";

/** What one engine's examination found. */
export type EngineReport = {
  readonly engine: EngineName;
  /** Which compiled target runs on it. */
  readonly target: "tfjs" | "wgsl";
  /** One line: what this engine is for. */
  readonly purpose: string;
  readonly available: boolean;
  /** When a processor stands in for the GPU that the engine is for. */
  readonly software?: boolean;
  readonly version?: string;
  /** When available: the device or file in use. */
  readonly detail: string;
  /** When not available: what is missing, in words. */
  readonly missing?: string;
  /** When not available: what to type to get it. */
  readonly remedy?: string;
};

type Verdict = Pick<EngineReport, "available" | "software" | "version" | "detail" | "missing" | "remedy">;

/** Examines every engine, all at once. Never throws: what goes wrong is in the reports. */
export async function doctor(): Promise<EngineReport[]> {
  const [gpu, cpu, wasm, webgpu, page] = await Promise.all([
    native("tfjs-node-gpu"), native("tfjs-node"), plainWasm(), webgpuNode(), chromium(),
  ]);
  return [
    { engine: "tfjs-node-gpu", target: "tfjs", purpose: "TensorFlow on an NVIDIA GPU", ...gpu },
    { engine: "tfjs-node", target: "tfjs", purpose: "TensorFlow at native CPU speed", ...cpu },
    { engine: "wasm", target: "tfjs", purpose: "the embedded default: npm alone, no native parts", ...wasm },
    { engine: "webgpu-node", target: "wgsl", purpose: webgpu.software === true ? "WebGPU from Node, but slow: a processor computes, not a GPU" : "any GPU with Vulkan, Metal or D3D12, from Node", ...webgpu },
    { engine: "chromium", target: "wgsl", purpose: "WebGPU in a page", ...page },
  ];
}

const tensorflowProbe = `
const { createRequire } = require("node:module");
const tf = createRequire(process.argv[1])(process.argv[2]);
const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])).arraySync();
if (JSON.stringify(product) !== "[[19,22],[43,50]]") throw new Error("wrong product " + JSON.stringify(product));
const backend = tf.backend();
const device = backend.isUsingGpuDevice ? "GPU" : "CPU";
console.log(JSON.stringify({ version: tf.version.tfjs, detail: "TensorFlow " + backend.binding.TF_Version + ", " + device, device }));
`;

async function native(name: "tfjs-node-gpu" | "tfjs-node"): Promise<Verdict> {
  const packageName = `@tensorflow/${name}`;
  const remedy = wayToGet(name);
  let broken: string | undefined;
  for (const root of nativeRoots()) {
    const from = join(root, "resolve-from-here.js");
    if (!resolves(packageName, from)) continue;
    const found = await inChild(tensorflowProbe, [from, packageName]);
    if (!found.ok) {
      broken = `installed, but does not work: ${found.reason}`;
    } else if (name === "tfjs-node-gpu" && found.values["device"] !== "GPU") {
      broken = "installed, but it sees no GPU (needs an NVIDIA driver, CUDA 11.2 and cuDNN 8.1)";
    } else {
      return available(found.values);
    }
  }
  return missing(broken ?? `${packageName} is not installed`, remedy);
}

const wasmProbe = `
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");
const load = createRequire(process.argv[1]);
const tf = load("@tensorflow/tfjs");
load("@tensorflow/tfjs-backend-wasm").setWasmPaths(join(dirname(load.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist") + "/");
tf.setBackend("wasm").then(async () => {
  await tf.ready();
  const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])).arraySync();
  if (JSON.stringify(product) !== "[[19,22],[43,50]]") throw new Error("wrong product " + JSON.stringify(product));
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  console.log(JSON.stringify({ version: tf.version.tfjs, detail: simd ? "128-bit SIMD" : "no SIMD: several times slower" }));
}).catch((error) => { console.error(error); process.exit(1); });
`;

async function plainWasm(): Promise<Verdict> {
  const from = fileURLToPath(import.meta.url);
  for (const name of ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"]) {
    if (!resolves(name, from)) return missing(`${name} is not installed`, wayToGet("wasm"));
  }
  const found = await inChild(wasmProbe, [from]);
  return found.ok ? available(found.values) : missing(`does not start: ${found.reason}`, wayToGet("wasm"));
}

/** The GPU object keeps a Node process alive, hence the explicit exit. */
const webgpuProbe = `
import { pathToFileURL } from "node:url";
const { create } = await import(pathToFileURL(process.argv[1]).href);
const adapter = await create([]).requestAdapter();
if (adapter === null) { console.error("Error: no adapter: no usable Vulkan, Metal or D3D12 driver"); process.exit(1); }
const info = adapter.info;
const name = [info.vendor, info.architecture, info.device, info.description].filter((text) => text !== "").join(" ");
const f16 = adapter.features.has("shader-f16") ? ", f16" : "";
// A software driver is told by its type, and by its name where a driver keeps that to itself.
const software = info.isFallbackAdapter === true || /llvmpipe|lavapipe|swiftshader/i.test(name);
process.stdout.write(JSON.stringify({ detail: name + f16, software }), () => process.exit(0));
`;

async function webgpuNode(): Promise<Verdict> {
  for (const from of [join(process.cwd(), "resolve-from-here.js"), fileURLToPath(import.meta.url)]) {
    const require = createRequire(from);
    if (!resolves("webgpu", from)) continue;
    const found = await inChild(webgpuProbe, [require.resolve("webgpu")], ["--input-type=module"]);
    if (found.ok) return { ...available({ ...found.values, version: packageVersion(require.resolve("webgpu")) }), ...(found.values["software"] === "true" ? { software: true } : {}) };
    return missing(found.reason, "install a GPU driver with Vulkan; for a software one on Debian: apt install mesa-vulkan-drivers (25 or newer)");
  }
  return missing("npm package webgpu is not installed", WEBGPU_PACKAGE);
}

function packageVersion(entry: string): string {
  const require = createRequire(entry);
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const about: unknown = require(file);
    if (typeof about === "object" && about !== null && "version" in about) return String(about.version);
  }
  return "unknown";
}

const browserNames = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"];
const browserPlaces = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

async function chromium(): Promise<Verdict> {
  const file = findBrowser();
  const remedy = "apt install chromium, or set CHROME_PATH to a Chrome or Chromium of version 113 or newer";
  if (file === undefined) return missing("no Chrome or Chromium found", remedy);
  const shown = await output(file, ["--version"], 20_000);
  const version = /(\d+)\.[\d.]+/.exec(shown.text);
  if (!shown.ok || version === null) return missing(`${file} does not start: ${shown.text}`, remedy);
  if (Number(version[1]) < 113) return missing(`${file} is version ${version[0]}, which has no WebGPU`, remedy);
  return available({ version: version[0], detail: file });
}

function findBrowser(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const onPath = browserNames.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [process.env["CHROME_PATH"], ...onPath, ...browserPlaces].find((file) => file !== undefined && executable(file));
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function resolves(name: string, from: string): boolean {
  try {
    createRequire(from).resolve(name);
    return true;
  } catch {
    return false;
  }
}

function available(values: Readonly<Record<string, string>>): Verdict {
  return { available: true, version: values["version"] ?? "unknown", detail: values["detail"] ?? "" };
}

function missing(what: string, remedy: string): Verdict {
  return { available: false, detail: "", missing: what, remedy };
}

type Outcome = { readonly ok: true; readonly values: Record<string, string> } | { readonly ok: false; readonly reason: string };

/** Runs a probe that prints one JSON object of strings. */
async function inChild(code: string, args: string[], flags: string[] = []): Promise<Outcome> {
  const run = await output(process.execPath, [...flags, "-e", code, ...args], 60_000);
  if (!run.ok) return { ok: false, reason: run.text };
  const values = parsed(run.text);
  if (typeof values !== "object" || values === null) return { ok: false, reason: `unexpected answer ${run.text}` };
  return { ok: true, values: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)])) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const ERROR_CLASS = /^(?:[A-Z]\w*)?Error(?: \[\w+\])?: /;

/** What a command printed last, or the line of its error output that says most. */
function output(command: string, args: string[], limit: number): Promise<{ ok: boolean; text: string }> {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" };
  return new Promise((done) => {
    execFile(command, args, { encoding: "utf8", timeout: limit, env }, (error, stdout, stderr) => {
      if (error === null) return done({ ok: true, text: stdout.trim().split("\n").at(-1) ?? "" });
      const lines = stderr.split("\n").filter((line) => /\berror\b|cannot|not found|GLIBC/i.test(line));
      // Node shows the line that threw before what was thrown; its class says nothing to a person.
      const thrown = lines.find((line) => ERROR_CLASS.test(line))?.replace(ERROR_CLASS, "");
      done({ ok: false, text: (thrown ?? lines[0] ?? (error.killed ? "no answer in time" : `ended with ${String(error.code ?? error.signal)}`)).trim() });
    });
  });
}
