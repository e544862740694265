/**
 * A headless Chromium and the page of examples/browser in it, for tests.
 *
 * Owns finding and starting the browser, serving the page from sources (no build is needed), and waiting that follows
 * progress instead of the clock: SwiftShader on a busy machine may take seconds for a step.
 */
import { existsSync, readFileSync } from "node:fs";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { chromium } from "playwright-core";
import ts from "typescript";
import { check } from "../../../../compiler/check-source.js";
import { isLibraryName } from "../../../../compiler/std/names.js";
import { REPORT_STYLE } from "../../../../runtime/train/report-style.js";
import { readRepo } from "../../../fidelity/compiled.js";

const root = join(import.meta.dirname, "../../../..");

interface Found { readonly path: string; readonly from: string; readonly env: Readonly<Record<string, string>> }
interface Places { findChromium(): Promise<Found | undefined>; readonly webgpuArgs: readonly string[] }
interface Offered { readonly programs: readonly string[]; readonly first?: string; readonly files: ReadonlyMap<string, string>; readonly device: string }
interface Serve { pageServer(offered: Offered, moduleText: (path: string) => string | undefined, report: string): Server }

/** A running browser, or undefined where there is none; that is said aloud. */
export async function openBrowser(options: { readonly webgpu: boolean }): Promise<Browser | undefined> {
  const places: Places = await import(join(root, "scripts/find-chromium.mjs"));
  const found = await places.findChromium();
  if (found === undefined) {
    console.warn("NOT TESTED: WebGPU in a page: no Chrome or Chromium here; node scripts/setup-chromium.mjs gets one, or set CHROME_PATH");
    return undefined;
  }
  // SwiftShader takes 20 times as long for a pipeline when it also clears workgroup memory, which no kernel relies on.
  const args = [...places.webgpuArgs, "--enable-dawn-features=disable_workgroup_init"].filter((arg) => options.webgpu || arg !== "--enable-unsafe-webgpu");
  return chromium.launch({ executablePath: found.path, args, env: { ...process.env, ...found.env }, timeout: 120_000 });
}

/** Serves the page with one program, planned for a software driver; `text` is offered as if it stood in `file`. */
export async function servePage(file: string, text: string): Promise<{ readonly address: string; close(): void }> {
  const { pageServer }: Serve = await import(join(root, "examples/browser/serve.mjs"));
  const files = new Map([...check({ file, text, read: readRepo }).texts].filter(([path]) => !isLibraryName(path)));
  const server = pageServer({ programs: [file], first: file, files, device: "software" }, moduleText, REPORT_STYLE);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  return { address: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`, close: () => server.close() };
}

const texts = new Map<string, string>();

/** A module of the compiler or the runtime as JavaScript: types taken out of the source. The parser's library is one file, as in what is built. */
function moduleText(path: string): string | undefined {
  if (path === "compiler/syntax/chevrotain.js") return readFileSync(join(dirname(createRequire(import.meta.url).resolve("chevrotain")), "../chevrotain.min.mjs"), "utf8");
  const source = join(root, path.replace(/\.js$/, ".ts"));
  if (!existsSync(source)) return undefined;
  const text = texts.get(path) ?? ts.transpileModule(readFileSync(source, "utf8"), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true } }).outputText;
  texts.set(path, text);
  return text;
}

/** A page with everything that it complains about. */
export async function openPage(browser: Browser, address: string): Promise<{ readonly page: Page; readonly noise: string[] }> {
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  const noise: string[] = [];
  page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") noise.push(m.text()); });
  page.on("pageerror", (e) => noise.push(e.stack ?? e.message));
  await page.goto(address);
  return { page, noise };
}

/** Waits until `ready` (an expression in the page) holds; gives up when nothing on the page moves for two minutes. */
export async function until(page: Page, ready: string, noise: readonly string[]): Promise<void> {
  const moving = "[document.getElementById('said').textContent, document.getElementById('note').textContent, window.jepac?.losses.length].join()";
  let before = "";
  let since = Date.now();
  for (;;) {
    if (await page.evaluate(`Boolean(${ready})`)) return;
    const now = String(await page.evaluate(moving));
    if (now !== before) since = Date.now();
    before = now;
    if (Date.now() - since > 120_000) throw new Error(`the page stands still at: ${now}\n${noise.join("\n")}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
