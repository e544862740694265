/**
 * Gets a software Vulkan driver, so that the WGSL target can be run and tested on a machine without a GPU.
 *
 * On Debian 12 and Ubuntu as root: Mesa's lavapipe by apt (from Debian backports, since Dawn refuses the 22.3 of Debian 12).
 * Elsewhere, or with --swiftshader: SwiftShader out of the npm package @sparticuz/chromium, unpacked into
 * .engines/swiftshader (slower, no f16). Does nothing where a driver is there already; says what it did and why.
 *
 *   node scripts/setup-vulkan.mjs [--swiftshader] [--force]
 *
 * The runtime looks in .engines/ by itself; for other programs the script prints the environment to set.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = join(root, ".engines", "swiftshader");
const flags = new Set(process.argv.slice(2));
const wrong = [...flags].find((flag) => !["--swiftshader", "--force"].includes(flag));
if (wrong !== undefined) fail(`there is no option ${wrong}`, "options: --swiftshader, --force");

const icdFolders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
const lavapipe = () => icdFolders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [])).find((file) => /lvp_icd/.test(file));

if (!flags.has("--force") && !flags.has("--swiftshader") && lavapipe() !== undefined && mesaVersion() >= 23) {
  say(`lavapipe (Mesa ${mesaVersion()}) is there already: ${lavapipe()}`);
} else if (!flags.has("--force") && flags.has("--swiftshader") && existsSync(join(home, "vk_swiftshader_icd.json"))) {
  say(`SwiftShader is there already: ${home}`);
} else if (!flags.has("--swiftshader") && aptUsable() === undefined) {
  installLavapipe();
} else {
  if (!flags.has("--swiftshader")) say(`not by apt: ${aptUsable()}; taking SwiftShader from npm instead (slower; better: install mesa-vulkan-drivers of version 23 or newer yourself)`);
  installSwiftShader();
}

/** Why apt cannot be used here, or undefined. */
function aptUsable() {
  if (process.platform !== "linux") return `this is ${process.platform}, where WebGPU runs on the system's own driver`;
  if (spawnSync("apt-get", ["--version"]).status !== 0) return "there is no apt-get";
  if (process.getuid?.() !== 0) return "this is not root (run it with sudo, or apt-get install mesa-vulkan-drivers)";
  return undefined;
}

function installLavapipe() {
  const release = Object.fromEntries(readFileSync("/etc/os-release", "utf8").split("\n").filter((line) => line.includes("=")).map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1).replaceAll('"', "")]));
  const from = [];
  if (release.ID === "debian" && release.VERSION_CODENAME === "bookworm") {
    const list = "/etc/apt/sources.list.d/jepac-backports.list";
    if (!existsSync(list)) {
      const mirror = debianMirror(release.VERSION_CODENAME);
      if (mirror === undefined) fail(`no apt source for ${release.VERSION_CODENAME} was found to take backports from`, "use --swiftshader, or add Debian's backports yourself");
      writeFileSync(list, `deb ${mirror} ${release.VERSION_CODENAME}-backports main\n`);
      say(`added ${list}: Debian 12 itself has Mesa 22.3, which Dawn refuses`);
    }
    from.push("-t", "bookworm-backports");
  }
  apt(["update"]);
  apt(["install", "-y", "--no-install-recommends", ...from, "mesa-vulkan-drivers", "libvulkan1"]);
  if (lavapipe() === undefined) fail("apt installed mesa-vulkan-drivers, but no lvp_icd.json is there", `look into ${icdFolders.join(" and ")}, or try --swiftshader`);
  if (mesaVersion() < 23) fail(`apt installed Mesa ${mesaVersion()}, which Dawn refuses (23 or newer is needed)`, "use --swiftshader, or a newer release of the system");
  say(`lavapipe (Mesa ${mesaVersion()}) is installed: ${lavapipe()}`);
}

/** Where this system takes Debian from already (its own mirror, perhaps): backports lie beside it. */
function debianMirror(codename) {
  const files = ["/etc/apt/sources.list", ...readdirSync("/etc/apt/sources.list.d").map((file) => join("/etc/apt/sources.list.d", file))].filter((file) => existsSync(file));
  for (const text of files.map((file) => readFileSync(file, "utf8"))) {
    const line = new RegExp(`^deb\\s+(?:\\[[^\\]]*\\]\\s+)?(\\S+)\\s+${codename}\\s`, "m").exec(text);
    if (line !== null) return line[1];
    for (const stanza of text.split(/\n\s*\n/)) {
      const uris = /^URIs:\s*(\S+)/m.exec(stanza);
      if (uris !== null && new RegExp(`^Suites:.*\\b${codename}(?!-)`, "m").test(stanza)) return uris[1];
    }
  }
  return undefined;
}

function apt(words) {
  const run = spawnSync("apt-get", words, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
  if (run.status !== 0) fail(`apt-get ${words.join(" ")} failed: ${run.stderr.trim().split("\n").slice(-3).join(" / ")}`, "or take SwiftShader from npm: node scripts/setup-vulkan.mjs --swiftshader");
}

function mesaVersion() {
  const shown = spawnSync("dpkg-query", ["-W", "-f", "${Version}", "mesa-vulkan-drivers"], { encoding: "utf8" });
  return shown.status === 0 ? Number.parseFloat(shown.stdout) : lavapipe() === undefined ? 0 : 23;
}

function installSwiftShader() {
  if (process.platform !== "linux" || process.arch !== "x64") fail(`SwiftShader in npm is for Linux on x64, this is ${process.platform} ${process.arch}`, process.platform === "linux" ? "install Mesa 23 or newer (mesa-vulkan-drivers)" : "nothing is needed: WebGPU runs on Metal or D3D12");
  const work = mkdtempSync(join(tmpdir(), "jepac-swiftshader-"));
  try {
    const archive = execFileSync("npm", ["pack", "--silent", "@sparticuz/chromium@147.0.0", "--pack-destination", work], { encoding: "utf8", cwd: work }).trim().split("\n").at(-1) ?? "";
    execFileSync("tar", ["-xzf", join(work, archive), "-C", work, "package/bin/swiftshader.tar.br"]);
    const tar = join(work, "swiftshader.tar");
    writeFileSync(tar, brotliDecompressSync(readFileSync(join(work, "package/bin/swiftshader.tar.br"))));
    mkdirSync(home, { recursive: true });
    execFileSync("tar", ["-xf", tar, "-C", home]);
  } catch (error) {
    fail(`SwiftShader could not be taken from npm: ${error instanceof Error ? error.message.split("\n")[0] : error}`, "check that npm reaches its registry, or install mesa-vulkan-drivers of version 23 or newer");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (!existsSync(join(home, "vk_swiftshader_icd.json"))) fail("the package holds no vk_swiftshader_icd.json", "it has changed: report this");
  say(`SwiftShader is in ${home}`);
  say(`for other programs: VK_DRIVER_FILES=${join(home, "vk_swiftshader_icd.json")} LD_LIBRARY_PATH=${home}`);
}

function say(text) {
  console.log(`setup-vulkan: ${text}`);
}

function fail(what, way) {
  console.error(`setup-vulkan: ${what}; ${way}`);
  process.exit(1);
}
