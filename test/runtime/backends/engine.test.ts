/** Which engine is taken, what is said about those that are not there, and the doctor's rows. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { expect, test, vi } from "vitest";
import { doctor } from "../../../runtime/backends/doctor.js";
import type { EngineReport } from "../../../runtime/backends/doctor.js";
import { EngineMissing, loadTf, nativeRoots, tfEngines, wayToGet } from "../../../runtime/backends/tfjs/engine.js";
import { scriptCommand } from "../../../runtime/backends/ways.js";

// The doctor starts a process per engine; a busy machine takes its time over that.
vi.setConfig({ testTimeout: 120_000 });
const examined = doctor();

test("the automatic choice takes the quickest engine present and says why the better ones were passed over", async () => {
  const { tf, name, raw, notes, version } = await loadTf("auto");
  const passedOver = tfEngines.slice(0, tfEngines.indexOf(name));
  expect(notes.length).toBe(passedOver.length);
  passedOver.forEach((engine, i) => expect(notes[i]).toContain(engine));
  expect(raw).toBe(name === "tfjs-node" || name === "tfjs-node-gpu");
  expect(version).toMatch(/^4\.22\.0/);
  expect(tf.tidy(() => [...tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync()])).toEqual([11]);
});

test("an engine that is not there is refused with what gets it", async () => {
  const rows = await examined;
  if (rows.find(({ engine }) => engine === "tfjs-node-gpu")?.available === true) {
    expect((await loadTf("tfjs-node-gpu")).name).toBe("tfjs-node-gpu");
    return;
  }
  await expect(loadTf("tfjs-node-gpu")).rejects.toThrow(EngineMissing);
  await expect(loadTf("tfjs-node-gpu")).rejects.toThrow(/npm install/);
});

test("the engine folder is found from any folder below it", () => {
  const top = mkdtempSync(join(tmpdir(), "jepac-engine-"));
  try {
    mkdirSync(join(top, ".engines", "tfjs-node"), { recursive: true });
    mkdirSync(join(top, "a", "b"), { recursive: true });
    expect(nativeRoots(join(top, "a", "b"))).toContain(join(top, ".engines", "tfjs-node"));
  } finally {
    rmSync(top, { recursive: true });
  }
});

test("the doctor has a row for each engine, with a version or with the way to get it", async () => {
  const rows = await examined;
  expect(rows.map(({ engine }) => engine)).toEqual(["tfjs-node-gpu", "tfjs-node", "wasm", "webgpu-node", "chromium"]);
  for (const row of rows) {
    if (row.available) expect(row.version, row.engine).not.toBe("");
    else expect([row.missing, row.remedy].every((text) => text !== undefined && text !== ""), row.engine).toBe(true);
  }
  expect(rows.find(({ engine }) => engine === "wasm")).toMatchObject({ available: true, version: "4.22.0" });
});

test("the doctor's row for tfjs-node agrees with what loads", async () => {
  const row = (await examined).find(({ engine }) => engine === "tfjs-node");
  const { name } = await loadTf("auto");
  if (name !== "tfjs-node-gpu") expect(row?.available).toBe(name === "tfjs-node");
});

test("the doctor reports a broken installation instead of failing on it", async () => {
  const top = mkdtempSync(join(tmpdir(), "jepac-broken-"));
  const folder = join(top, "node_modules", "@tensorflow", "tfjs-node-gpu");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "@tensorflow/tfjs-node-gpu", version: "0.0.0", main: "index.js" }));
  writeFileSync(join(folder, "index.js"), "throw new Error('cannot open libcudart.so.11.0');\n");
  const home = process.cwd();
  // Worker threads have no working folder of their own; test files run in processes.
  process.chdir(top);
  try {
    const row = (await doctor()).find(({ engine }) => engine === "tfjs-node-gpu");
    expect(row?.available).toBe(false);
    expect(row?.missing).toBe("installed, but does not work: cannot open libcudart.so.11.0");
  } finally {
    process.chdir(home);
    rmSync(top, { recursive: true });
  }
});

/** The doctor's row for WebGPU under Node in a folder whose package `webgpu` gives this adapter. */
async function webgpuRow(adapter: string): Promise<EngineReport | undefined> {
  const top = mkdtempSync(join(tmpdir(), "jepac-webgpu-"));
  const folder = join(top, "node_modules", "webgpu");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "webgpu", version: "9.8.7", type: "module", main: "index.js" }));
  writeFileSync(join(folder, "index.js"), `export const create = () => ({ requestAdapter: async () => (${adapter}) });\n`);
  const home = process.cwd();
  process.chdir(top);
  try {
    return (await doctor()).find(({ engine }) => engine === "webgpu-node");
  } finally {
    process.chdir(home);
    rmSync(top, { recursive: true });
  }
}

test("the doctor says of a WebGPU driver whether a processor computes, and of one that is missing only what is missing", async () => {
  const info = (description: string, isFallbackAdapter: boolean): string => `{ features: new Set(), info: ${JSON.stringify({ vendor: "maker", architecture: "", device: "", description, isFallbackAdapter })} }`;
  const card = await webgpuRow(info("A Card", false));
  expect(card).toMatchObject({ available: true, version: "9.8.7", detail: "maker A Card", purpose: expect.stringContaining("any GPU") });
  expect(card?.software).toBeUndefined();
  const slow = { available: true, software: true, purpose: expect.stringMatching(/slow.*processor/) };
  expect(await webgpuRow(info("llvmpipe: Mesa 25", false))).toMatchObject(slow);
  expect(await webgpuRow(info("Some Renderer", true))).toMatchObject(slow);
  expect(await webgpuRow("null")).toMatchObject({ available: false, missing: "no adapter: no usable Vulkan, Metal or D3D12 driver", remedy: expect.stringContaining("driver") });
});

test("where no package is installed, the doctor names the version of webgpu that this one was made with", () => {
  const about: { optionalDependencies: Record<string, string> } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const top = mkdtempSync(join(tmpdir(), "jepac-bare-"));
  try {
    writeFileSync(join(top, "package.json"), JSON.stringify({ type: "module" }));
    const sources = ["base/errors", "backends/doctor", "backends/ways", "backends/tfjs/engine", "backends/tfjs/tf"];
    for (const source of sources) {
      const path = join(top, "runtime", `${source}.js`);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, ts.transpileModule(readFileSync(join(root, "runtime", `${source}.ts`), "utf8"), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true } }).outputText);
    }
    const ask = `import { doctor } from "./runtime/backends/doctor.js"; console.log(JSON.stringify(await doctor()));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", ask], { cwd: top, encoding: "utf8" });
    expect(stderr).toBe("");
    const rows: EngineReport[] = JSON.parse(stdout);
    expect(rows.find(({ engine }) => engine === "webgpu-node")).toMatchObject({ available: false, remedy: `npm install --no-save webgpu@${about.optionalDependencies["webgpu"]}` });
  } finally {
    rmSync(top, { recursive: true });
  }
});

test("the set-up scripts refuse unknown arguments, and say plainly when asked only to check and nothing is there", () => {
  for (const script of ["setup-tfjs-node.mjs", "setup-torch.mjs"]) {
    const path = join(import.meta.dirname, "../../../scripts", script);
    expect(existsSync(path)).toBe(true);
    const wrong = spawnSync(process.execPath, [path, "--nonsense"], { encoding: "utf8" });
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain("usage:");
  }
  const empty = mkdtempSync(join(tmpdir(), "jepac-check-"));
  const check = spawnSync(process.execPath, [join(import.meta.dirname, "../../../scripts/setup-torch.mjs"), "--check", "--dir", join(empty, "none")], { encoding: "utf8" });
  expect(check.status).toBe(1);
  expect(check.stderr).toContain("no environment yet");
  rmSync(empty, { recursive: true });
});

const root = join(import.meta.dirname, "../../..");

test("the command that gets tfjs-node is one that can be typed, in a checkout and where the package was installed", () => {
  expect(wayToGet("tfjs-node")).toBe(scriptCommand("setup-tfjs-node.mjs"));
  expect(scriptCommand("setup-tfjs-node.mjs", root)).toBe(`node ${join("scripts", "setup-tfjs-node.mjs")}`);
  // From a folder beside, the way back up would be longer than the whole path.
  expect(scriptCommand("setup-tfjs-node.mjs", join(root, "..", "beside"))).toContain(join(root, "scripts", "setup-tfjs-node.mjs"));
  // As npm lays it out: the built runtime and the scripts, both of which the package ships.
  const packed: { files: string[] } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(packed.files).toEqual(expect.arrayContaining(["dist", "scripts/setup*.mjs"]));
  const project = mkdtempSync(join(tmpdir(), "jepac-installed-"));
  try {
    const files = ["package.json", "dist/runtime/backends/ways.js", "scripts/setup-tfjs-node.mjs"];
    for (const file of files) {
      const path = join(project, "node_modules/jepac", file);
      mkdirSync(join(path, ".."), { recursive: true });
      copyFileSync(join(root, file), path);
    }
    const ask = `import { scriptCommand } from "./node_modules/jepac/dist/runtime/backends/ways.js"; console.log(scriptCommand("setup-tfjs-node.mjs"));`;
    const command = spawnSync(process.execPath, ["--input-type=module", "-e", ask], { cwd: project, encoding: "utf8" }).stdout.trim();
    expect(command).toBe(`node ${join("node_modules", "jepac", "scripts", "setup-tfjs-node.mjs")}`);
    const wrong = spawnSync(`${command} --nonsense`, { cwd: project, encoding: "utf8", shell: true });
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain(`usage: ${command} [--check]`);
  } finally {
    rmSync(project, { recursive: true });
  }
});
