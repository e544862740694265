/**
 * The other libraries of the race, in a folder of their own (`bench/.peers`, not in the repository), with pinned versions.
 * `peers()` installs them when they are not there. They need `navigator.gpu`, which Node gets from the package `webgpu`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Exact versions; `webgpu` and tfjs itself are jepac's own dependencies, found one folder up. */
export const versions = { "@jax-js/jax": "0.1.25", "@tensorflow/tfjs-backend-webgpu": "4.22.0" };

const folder = fileURLToPath(new URL("../.peers/", import.meta.url));

/** Installs what is missing; undefined when all is there, else the reason in words. */
export function install() {
  const wanted = Object.entries(versions);
  const installed = (name) => existsSync(`${folder}node_modules/${name}/package.json`) && JSON.parse(readFileSync(`${folder}node_modules/${name}/package.json`, "utf8")).version;
  if (wanted.every(([name, version]) => installed(name) === version)) return undefined;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}package.json`, `${JSON.stringify({ private: true, dependencies: versions }, undefined, 1)}\n`);
  const done = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"], { cwd: folder, encoding: "utf8" });
  return done.status === 0 ? undefined : `npm install in bench/.peers failed: ${done.stderr?.trim().split("\n").at(-1)}`;
}

/** Puts Dawn where browsers have WebGPU. The object must stay alive, and it does: as a property of the global object. */
export async function provideNavigator() {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const gpu = create([]);
  Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "node", hardwareConcurrency: 2 }, configurable: true, writable: true });
  return gpu;
}

/** tfjs with its WebGPU backend ready. */
export async function loadTfjs() {
  const require = createRequire(`${folder}package.json`);
  const tf = require("@tensorflow/tfjs");
  require("@tensorflow/tfjs-backend-webgpu");
  await tf.setBackend("webgpu");
  await tf.ready();
  if (tf.getBackend() !== "webgpu") throw new Error(`tfjs took ${tf.getBackend()}, not webgpu`);
  return tf;
}

/** jax-js with WebGPU as its device. */
export async function loadJax() {
  const require = createRequire(`${folder}package.json`);
  const jax = await import(pathToFileURL(require.resolve("@jax-js/jax").replace(/index\.cjs$/, "index.js")).href);
  const devices = await jax.init("webgpu");
  if (!devices.includes("webgpu")) throw new Error("jax-js finds no WebGPU");
  jax.defaultDevice("webgpu");
  return jax;
}
