/**
 * Gets a Chromium, so that the WGSL target can be tested in a page.
 *
 * One that is there already is taken (find-chromium.mjs says where it looks). Else on Debian as root: by apt. Elsewhere on
 * Linux x64, or with --npm: out of the npm package @sparticuz/chromium, unpacked into .engines/chromium with the libraries
 * that it needs. Ends by asking the browser for a WebGPU adapter, since a browser without one is of no use here.
 *
 *   node scripts/setup-chromium.mjs [--npm] [--force]
 */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { findChromium, home, webgpuArgs } from "./find-chromium.mjs";

/** The package and its version; newer ones are no better for this. */
const PACKAGE = "@sparticuz/chromium@147.0.0";

const flags = new Set(process.argv.slice(2));
const wrong = [...flags].find((flag) => !["--npm", "--force"].includes(flag));
if (wrong !== undefined) fail(`there is no option ${wrong}`, "options: --npm, --force");

const before = await look();
const unpacked = { path: join(home, "chromium"), from: ".engines", env: { LD_LIBRARY_PATH: join(home, "lib") } };
if (before !== undefined && flags.size === 0) {
  say(`${before.path} is there already (${before.from})`);
  await tryOut(before);
} else if (flags.has("--npm")) {
  if (flags.has("--force") || !existsSync(unpacked.path)) unpack();
  else say(`a Chromium out of npm is there already: ${home}`);
  await tryOut(unpacked);
} else {
  const why = aptUnusable();
  if (why === undefined) installByApt();
  if (why !== undefined || (await look()) === undefined) {
    say(`not by apt: ${why ?? "it installed none"}; taking Chromium from npm instead`);
    unpack();
  }
  await tryOut((await look()) ?? fail("no Chromium is found after installing one", "set CHROME_PATH to one"));
}

async function look() {
  try {
    return await findChromium();
  } catch (error) {
    return fail(error.message, "unset it, or let it name a Chrome or Chromium");
  }
}

/** Why apt cannot be used here, or undefined. Ubuntu's package is only a pointer to a snap, which no headless test can start. */
function aptUnusable() {
  if (process.platform !== "linux") return `this is ${process.platform}`;
  if (spawnSync("apt-get", ["--version"]).status !== 0) return "there is no apt-get";
  if (process.getuid?.() !== 0) return "this is not root (or install chromium yourself)";
  if (!/^ID="?debian"?$/m.test(readFileSync("/etc/os-release", "utf8"))) return "only Debian has Chromium as a package of its own";
  return undefined;
}

function installByApt() {
  for (const words of [["update"], ["install", "-y", "--no-install-recommends", "chromium"]]) {
    const run = spawnSync("apt-get", words, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
    if (run.status === 0) continue;
    say(`apt-get ${words.join(" ")} failed: ${run.stderr.trim().split("\n").slice(-3).join(" / ")}`);
    return;
  }
  say("apt installed chromium");
}

function unpack() {
  if (process.platform !== "linux" || process.arch !== "x64") fail(`Chromium in npm is for Linux on x64, this is ${process.platform} ${process.arch}`, "install Chrome or Chromium, or set CHROME_PATH to one");
  const work = mkdtempSync(join(tmpdir(), "jepac-chromium-"));
  try {
    const archive = execFileSync("npm", ["pack", "--silent", PACKAGE, "--pack-destination", work], { encoding: "utf8", cwd: work }).trim().split("\n").at(-1) ?? "";
    execFileSync("tar", ["-xzf", join(work, archive), "-C", work]);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    const opened = (name) => brotliDecompressSync(readFileSync(join(work, "package", "bin", name)));
    for (const name of ["al2023.tar", "swiftshader.tar"]) {
      writeFileSync(join(work, name), opened(`${name}.br`));
      execFileSync("tar", ["-xf", join(work, name), "-C", home]);
    }
    writeFileSync(join(home, "chromium"), opened("chromium.br"));
    chmodSync(join(home, "chromium"), 0o755);
  } catch (error) {
    fail(`Chromium could not be taken from npm: ${error instanceof Error ? error.message.split("\n")[0] : error}`, "check that npm reaches its registry, or install Chrome or Chromium, or set CHROME_PATH to one");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  say(`took ${PACKAGE} from npm into ${home}`);
}

/** Starts the browser and asks for an adapter. */
async function tryOut({ path, env }) {
  // It comes with a checkout, and does not come with the package.
  const { chromium } = await import("playwright-core").catch(() => fail("playwright-core is not here, which starts the browser for tests", "pages need nothing of this; to try it all the same: npm install --no-save playwright-core"));
  const server = createServer((_, response) => response.end("<!doctype html>"));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  try {
    const browser = await chromium.launch({ executablePath: path, args: webgpuArgs, env: { ...process.env, ...env } });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      const adapter = await page.evaluate("(async () => { const a = await navigator.gpu?.requestAdapter(); return a ? [a.info.vendor, a.info.architecture].filter(Boolean).join(' ') : ''; })()");
      if (adapter === "") fail(`Chromium ${browser.version()} gives no WebGPU adapter`, "it needs version 113 or newer, and on Linux a driver or its own SwiftShader; another one: node scripts/setup-chromium.mjs --npm");
      say(`Chromium ${browser.version()} runs and gives WebGPU on ${adapter}`);
    } finally {
      await browser.close();
    }
  } catch (error) {
    fail(`${path} does not start: ${error instanceof Error ? error.message.split("\n").slice(0, 3).join(" / ") : error}`, "install the libraries that it names, or set CHROME_PATH to another");
  } finally {
    server.close();
  }
}

function say(text) {
  console.log(`setup-chromium: ${text}`);
}

function fail(what, way) {
  console.error(`setup-chromium: ${what}; ${way}`);
  process.exit(1);
}
