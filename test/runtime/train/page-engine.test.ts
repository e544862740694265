/** The public engine in a page: features of a trained encoder in Chromium beside those of Node, and what is said where it cannot run. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Browser } from "playwright-core";
import type { PlanLimits } from "../../../compiler/targets/wgsl/plan.js";
import { software } from "../../../compiler/targets/wgsl/plan.js";
import { createEngine } from "../../../runtime/train/engines.js";
import { encodeCheckpoint } from "../../../runtime/train/checkpoint.js";
import { loadCompiled } from "../../../runtime/train/compiled.js";
import { temporary } from "../../compiler/cli/support.js";
import { compileRepo } from "../../fidelity/compiled.js";
import { openBrowser, openPage, servePage } from "../backends/webgpu/browser.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 });

const file = "examples/browser/feature-test.jepa";
const text = `use "./ijepa-page.jepa"
variant feature_test of ijepa_page {
  param width = 24
  param depth = 1
  param heads = 2
  predictor predict = vit_predictor(width: 16, depth: 1, heads)
}
`;
/** In the page: modules by their addresses. What is typed is what Node gets back. */
const opened = `Promise.all([import("/runtime/webgpu.js"), import("/runtime/index.js"), fetch("/compiled/feature_test/manifest.json").then((r) => r.json()), import("/compiled/feature_test/model.mjs")])`;

/** A page beside a compiled folder, as a user's own server would have it. */
async function openBeside(on: Browser, address: string): Promise<Awaited<ReturnType<typeof openPage>>> {
  const files = new Map(compileRepo(file, { text, target: "wgsl", device: software }).files.map((f) => [f.path, f.text]));
  const opened = await openPage(on, address);
  await opened.page.route("**/compiled/feature_test/*", (route) => {
    const name = new URL(route.request().url()).pathname.split("/").at(-1) ?? "";
    return route.fulfill({ body: files.get(name) ?? "", contentType: name.endsWith(".mjs") ? "text/javascript" : "text/plain", status: files.has(name) ? 200 : 404 });
  });
  return opened;
}

let browser: Browser | undefined;
let server: { readonly address: string; close(): void } | undefined;
beforeAll(async () => {
  browser = await openBrowser({ webgpu: true });
  if (browser !== undefined) server = await servePage(file, text);
});
afterAll(async () => {
  await browser?.close();
  server?.close();
});

test("an encoder whose weights come from a checkpoint gives in a page the features that it gives under Node", async () => {
  if (browser === undefined || server === undefined) return;
  const { manifest, files } = compileRepo(file, { text });
  const folder = temporary(Object.fromEntries(files.map((f) => [f.path, f.text])));
  const { engine } = await createEngine(manifest, (await loadCompiled(folder, "the program")).module, "cpu", 7);
  const state = await engine.exportState();
  const pixels = Float32Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * 0.011));
  const own = await engine.encode("teacher", pixels, 2);
  engine.dispose();
  const bytes = encodeCheckpoint({ step: 3, totalSteps: 9, seed: 7, batch: 2, data: "none", program: manifest.program, hash: manifest.source.hash, engine: "cpu", state, queues: new Map(), monitors: "[]" }, manifest.parameters);

  const { page, noise } = await openBeside(browser, server.address);
  // What the page's device says of itself is a device to compile for.
  const device: PlanLimits = await page.evaluate('import("/runtime/webgpu.js").then((m) => m.pageLimits())');
  expect(device).toMatchObject({ software: true, ample: false });
  expect(Math.min(device.bindingBytes, device.bufferBytes)).toBeGreaterThanOrEqual(software.bindingBytes);
  expect(compileRepo(file, { text, target: "wgsl", device }).plan?.kernels).toEqual(compileRepo(file, { text, target: "wgsl", device: software }).plan?.kernels);
  const got: { features: number[]; rank: number; device: string; lost: string; after: string; step: number } = await page.evaluate(`(async () => {
    const [{ openPageEngine }, { decodeCheckpoint, effectiveRank, meanPool }, manifest, module] = await ${opened};
    const engine = await openPageEngine(manifest, module, 1);
    const { state, step } = decodeCheckpoint(Uint8Array.from(${JSON.stringify([...bytes])}), "a checkpoint");
    await engine.importState(state);
    const pixels = Float32Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * 0.011));
    const features = await engine.encode("teacher", pixels, 2);
    engine.dispose();
    const after = await engine.encode("teacher", pixels, 2).then(() => "features", (error) => error.code);
    return { features: [...features], rank: effectiveRank(meanPool(features, 2, 24), 2, 24), device: engine.device, lost: await engine.lost, after, step };
  })()`);
  expect(got.step).toBe(3);
  expect(got.device).not.toBe("");
  expect(got.lost).not.toBe("");
  expect(got.after).toBe("device-lost");
  expect(got.features.length).toBe(own.length);
  const worst = Math.max(...got.features.map((x, i) => Math.abs(x - (own[i] ?? NaN))));
  console.info(`features in a page beside Node, worst: ${worst.toExponential(1)}`);
  expect(worst).toBeLessThan(1e-4);
  expect(noise).toEqual([]);
  await page.close();
});

test("an engine that cannot be made leaves no device behind", { timeout: 120_000 }, async () => {
  if (browser === undefined || server === undefined) return;
  const { page } = await openBeside(browser, server.address);
  const [code, reason]: [string, string] = await page.evaluate(`(async () => {
    const [{ openPageEngine }, , manifest, module] = await ${opened};
    const { requestDevice } = GPUAdapter.prototype;
    const devices = [];
    GPUAdapter.prototype.requestDevice = async function (...words) { const device = await requestDevice.apply(this, words); devices.push(device); return device; };
    const parameters = module.plan.parameters.map((p, i) => (i === 0 ? { ...p, name: "of another program" } : p));
    const code = await openPageEngine(manifest, { ...module, plan: { ...module.plan, parameters } }).then(() => "an engine", (error) => error.code);
    return [code, (await devices[0].lost).reason];
  })()`);
  expect([code, reason]).toEqual(["mismatch", "destroyed"]);
  await page.close();
});

test("a program of another target is refused in a page, and so is a browser without WebGPU", async () => {
  if (browser === undefined || server === undefined) return;
  const ask = `(async () => { const [{ openPageEngine }, , manifest, module] = await ${opened}; return openPageEngine(CHANGED, module).then(() => "an engine", (error) => [error.code, error.message, error.help].join(" | ")); })()`;
  const { page } = await openBeside(browser, server.address);
  expect(await page.evaluate(ask.replace("CHANGED", '{ ...manifest, target: "tfjs" }'))).toBe('mismatch | a page runs programs that were compiled for wgsl, this one was compiled for tfjs | compile it with --target wgsl, or { target: "wgsl" }');
  expect(await page.evaluate(ask.replace("CHANGED, module", "manifest, { ...module, plan: { format: 2 } }"))).toMatch(/^mismatch \| this plan has format 2, this runtime reads format 1/);
  await page.close();
  const plain = await openBrowser({ webgpu: false });
  if (plain === undefined) return;
  try {
    const without = await openBeside(plain, server.address);
    expect(await without.page.evaluate(ask.replace("CHANGED", "manifest"))).toMatch(/^no-engine \| This browser .*WebGPU.* \| .*--enable-unsafe-webgpu/);
  } finally {
    await plain.close();
  }
});
