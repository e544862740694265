/**
 * Where a Chromium or Chrome is on this machine: one list, for the set-up and for the tests.
 *
 * In this order: CHROME_PATH; the usual places and names of the system; playwright's own download; the one that
 * `scripts/setup-chromium.mjs` unpacked into .engines/chromium. A CHROME_PATH that names nothing is a mistake and is said.
 */
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the browser that comes from npm. */
export const home = join(dirname(dirname(fileURLToPath(import.meta.url))), ".engines", "chromium");

/** Arguments with which a headless Chromium gives WebGPU, on SwiftShader where there is no GPU. */
export const webgpuArgs = ["--headless=new", "--enable-unsafe-webgpu", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])];

/** A browser as `{ path, from, env }`, or undefined. `env` is what it needs in its environment. Throws for a CHROME_PATH without a file. */
export async function findChromium() {
  const wanted = process.env.CHROME_PATH;
  if (wanted !== undefined && wanted !== "") {
    if (!existsSync(wanted)) throw new Error(`CHROME_PATH is ${wanted}, and there is no such file`);
    return { path: wanted, from: "CHROME_PATH", env: {} };
  }
  const system = systemPlaces().find((path) => existsSync(path));
  if (system !== undefined) return { path: system, from: "this system", env: {} };
  const own = await playwrightPlace();
  if (own !== undefined) return { path: own, from: "playwright's download", env: {} };
  const unpacked = join(home, "chromium");
  return existsSync(unpacked) ? { path: unpacked, from: ".engines", env: { LD_LIBRARY_PATH: join(home, "lib") } } : undefined;
}

function systemPlaces() {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"];
  const fixed = {
    darwin: ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"],
    win32: ["ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"].flatMap((name) => (process.env[name] === undefined ? [] : [join(process.env[name], "Google/Chrome/Application/chrome.exe")])),
  };
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...(fixed[process.platform] ?? []), ...names.flatMap((name) => folders.map((folder) => join(folder, name)))];
}

async function playwrightPlace() {
  try {
    const { chromium } = await import("playwright-core");
    const path = chromium.executablePath();
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}
