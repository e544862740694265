/**
 * The page in headless Chromium: twenty steps, number by number beside Node.
 */
import { existsSync, readFileSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { chromium } from "playwright-core";
import ts from "typescript";
import { expect, test } from "vitest";
import { compile } from "../../../../compiler/compile.js";
import type { StepBatch } from "../../../../runtime/abi.js";
import { drawPicture } from "../../../../runtime/data/synthetic.js";
import { sampleMasks } from "../../../../runtime/masks/sample.js";
import { resolveRecipe } from "../../../../runtime/train/recipe.js";
import { compilePlan, engineFor } from "../../../compiler/targets/wgsl/programs.js";
import { readRepo } from "../../../fidelity/compiled.js";

const file = "examples/browser/ijepa-page.jepa";
const STEPS = 20;
const browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", process.env["CHROME_PATH"] ?? ""].find((path) => path !== "" && existsSync(path));

/** The page's own modules are plain JavaScript; these are their types. */
interface PageModules {
  pageServer(files: ReadonlyMap<string, string>, runtime: (path: string) => string | undefined): Server;
  createBatches(manifest: unknown, recipe: unknown, count: number, draw: (index: number) => Promise<unknown>, masks: typeof sampleMasks): { next(step: number): Promise<StepBatch> };
}

async function pageModules(): Promise<PageModules> {
  const folder = join(import.meta.dirname, "../../../../examples/browser");
  const [serve, batches]: [Pick<PageModules, "pageServer">, Pick<PageModules, "createBatches">] = await Promise.all([import(join(folder, "serve.mjs")), import(join(folder, "batches.js"))]);
  return { pageServer: serve.pageServer, createBatches: batches.createBatches };
}

/** A runtime module as JavaScript: types taken out of the source. */
function runtimeText(path: string): string | undefined {
  const source = join(import.meta.dirname, "../../../../runtime", path.replace(/\.js$/, ".ts"));
  if (!existsSync(source)) return undefined;
  return ts.transpileModule(readFileSync(source, "utf8"), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true } }).outputText;
}

async function inPage(pageServer: PageModules["pageServer"]): Promise<{ losses: number[]; error: string | undefined }> {
  const compiled = compile({ file, text: readRepo(file) ?? "", read: readRepo }, { target: "wgsl" });
  const server = pageServer(new Map(compiled.files.map((f) => [f.path, f.text])), runtimeText);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const chrome = await chromium.launch({ executablePath: browser ?? "", args: ["--headless=new", "--enable-unsafe-webgpu", "--no-sandbox"] });
  try {
    const page = await chrome.newPage();
    const noise: string[] = [];
    page.on("console", (m) => noise.push(m.text()));
    page.on("pageerror", (e) => noise.push(e.message));
    await page.goto(`http://127.0.0.1:${port}/?auto&steps=${STEPS}`);
    try {
      await page.waitForFunction("window.jepac?.done === true || window.jepac?.error !== undefined", undefined, { timeout: 200_000 });
    } catch (error) {
      throw new Error(`the page did not come to an end: ${noise.join("\n")}`, { cause: error });
    }
    const found: { losses: number[]; error?: string } = await page.evaluate("({ losses: window.jepac.losses, error: window.jepac.error })");
    return { losses: found.losses, error: found.error };
  } finally {
    await chrome.close();
    server.close();
  }
}

test("a page in Chromium trains twenty steps, and Node gets the same losses from the same batches", async () => {
  if (browser === undefined) {
    console.warn("NOT TESTED: WebGPU in a page: no Chrome or Chromium here; apt install chromium, or set CHROME_PATH");
    return;
  }
  const { pageServer, createBatches } = await pageModules();
  const { losses, error } = await inPage(pageServer);
  expect(error).toBeUndefined();
  expect(losses.length).toBe(STEPS);
  const ready = compilePlan(readRepo(file)?.replace("../../specs", "../specs") ?? "", "ijepa_page");
  const engine = await engineFor(ready, ready.manifest.train.seed);
  if (engine === undefined) return;
  const { manifest } = ready;
  const count = manifest.train.data.kind === "synthetic" ? manifest.train.data.count : 0;
  const recipe = resolveRecipe(manifest, count, { duration: { unit: "steps", value: STEPS } });
  const batches = createBatches(manifest, recipe, count, async (i) => drawPicture(manifest.train.seed, i, 32), sampleMasks);
  const seed0 = await engine.exportState();
  expect(seed0.size).toBeGreaterThan(10);
  const own: number[] = [];
  for (let step = 1; step <= STEPS; step++) own.push((await engine.step(await batches.next(step - 1), recipe.hyperAt(step), { watch: false, gradientNorm: false })).loss);
  engine.dispose();
  const worst = Math.max(...own.map((x, i) => Math.abs(x / (losses[i] ?? NaN) - 1)));
  console.info(`page beside Node, worst loss of ${STEPS}: ${worst.toExponential(1)} relative; from ${own[0]?.toFixed(4)} to ${own.at(-1)?.toFixed(4)}`);
  expect(worst).toBeLessThan(1e-3);
}, 300_000);
