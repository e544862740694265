/**
 * What a dispatch costs the main thread of a page: the ViT-B/16 step (all its dispatches, narrow) encoded and submitted in
 * headless Chromium. There another process talks to the driver, so the device's speed decides only how long this takes. Prints
 * a JSON line: microseconds for each dispatch from the call of `engine.step` to its return, median and least.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { findChromium, webgpuArgs } from "../../scripts/find-chromium.mjs";
import { compileForBench } from "./program.mjs";

const { values } = parseArgs({ options: { steps: { type: "string", default: "40" } } });
const found = await findChromium();
if (found === undefined) throw new Error("no Chrome or Chromium here; node scripts/setup-chromium.mjs gets one, or set CHROME_PATH");
const { manifest, module, plan } = await compileForBench("host.jepa", { program: "host" });
const dispatches = plan.step.dispatches.length + plan.update.dispatches.length;
const dist = new URL("../../dist/", import.meta.url);

// Isolated from other origins a page's clock counts 5 microseconds instead of 100.
const isolated = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://page").pathname;
  const [type, body] = path === "/" ? ["text/html", "<!doctype html><title>host</title>"] : path === "/program.json" ? ["application/json", JSON.stringify({ manifest, module })] : ["text/javascript", textOf(path)];
  response.writeHead(body === undefined ? 404 : 200, { ...isolated, "Content-Type": type });
  response.end(body);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const { chromium } = await import("playwright-core");
const browser = await chromium.launch({ executablePath: found.path, args: [...webgpuArgs, "--enable-dawn-features=disable_workgroup_init"], env: { ...process.env, ...found.env } });
try {
  const page = await browser.newPage();
  page.on("console", (m) => m.type() === "log" && console.error(m.text()));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  page.setDefaultTimeout(0);
  const walls = await page.evaluate(inPage, Number(values.steps));
  const warm = walls.slice(Math.min(5, walls.length >> 1)).sort((a, b) => a - b).map((ms) => (1000 * ms) / dispatches);
  console.log(JSON.stringify({ dispatches, browser: browser.version(), median_us: warm[warm.length >> 1], least_us: warm[0] }));
} finally {
  await browser.close();
  server.close();
}
process.exit(0);

function textOf(path) {
  try {
    return readFileSync(new URL(`.${path}`, dist), "utf8");
  } catch {
    return undefined;
  }
}

/** Runs in the page: milliseconds of each step's call. */
async function inPage(steps) {
  const [{ createWebgpuEngine }, { deviceRequest }, { sampleMasks }, { initialState }] = await Promise.all(["backends/webgpu/engine.js", "backends/webgpu/request.js", "masks/sample.js", "train/init.js"].map((path) => import(`/runtime/${path}`)));
  const { manifest, module } = await (await fetch("/program.json")).json();
  const adapter = await navigator.gpu.requestAdapter();
  const name = adapter.info.description || adapter.info.vendor;
  const device = await adapter.requestDevice(deviceRequest(module, adapter, name));
  console.log(`on ${name}: pipelines of ${module.plan.kernels.length} kernels`);
  const engine = await createWebgpuEngine(manifest, module, { device, name, version: navigator.userAgent, initial: initialState(manifest, 1) });
  console.log("ready");
  const walls = [];
  const images = Object.fromEntries(manifest.views.map((v) => [v.name, new Float32Array(v.height * v.width * 3)]));
  for (let step = 1; step <= steps; step++) {
    const batch = { size: 1, images, masks: Object.fromEntries(sampleMasks(manifest.masks, { seed: 1, step, batch: 1 })), draws: {} };
    const begun = performance.now();
    const result = engine.step(batch, { step, learningRate: 1e-3, weightDecay: 0.05, momentum: { teacher: 0.99 } }, { watch: false, gradientNorm: false });
    walls.push(performance.now() - begun);
    await result;
    if (step % 5 === 0) console.log(`${step} of ${steps} steps`);
  }
  return walls;
}
