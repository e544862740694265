/**
 * Serves the page: the texts of programs, and the page with the compiler and the runtime that it runs.
 *
 *   node examples/browser/serve.mjs [programs.jepa ..] [--port 8080] [--device software] [--write folder]
 *
 * then open the address it prints in Chrome. WebGPU wants a secure context, which 127.0.0.1 is. Programs are written, checked,
 * compiled and trained in the page; those that are named here stand first in its list, with mistakes or without. `--device` says
 * what plans are for, as for `jepac compile`: this browser's device (here), every WebGPU device (portable), graphics cards (large),
 * or drivers that compute on a processor (software). It reads nothing but the repository and the programs that are named with what
 * they use, and answers only this machine.
 */
import { createServer } from "node:http";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, extname, isAbsolute, join, normalize, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const types = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wgsl": "text/plain" };
/** Files of the page that are handed out. */
const own = readdirSync(here).filter((name) => /\.(html|css|js)$/.test(name));
const devices = ["here", "portable", "large", "software"];

const usage = `usage: node examples/browser/serve.mjs [programs.jepa ..] [--port 8080] [--device here] [--write folder]

Serves a page in which programs are written, checked and trained, on 127.0.0.1 only; open the address it prints in Chrome.

  --port <n>      where to listen; 0 takes a free one (8080)
  --device <of>   what plans are for: here (the browser's own device), portable (every WebGPU device), large
                  (graphics cards), or software (drivers that compute on a processor) (here)
  --write <to>    writes the page into a folder instead, for any web server; it is all relative, and needs https
  --help          this text
`;

/** Folders of the programs that come along, in the order of the page's list. */
const shipped = ["examples", "examples/browser", "examples/ablations", "specs", "specs/published"];

/**
 * All texts of the page by their paths, undefined where there is none. `programs` are the paths that are offered, `first` the one that is
 * opened where the page does not choose; `files` are texts by path, theirs and those that they use; `typed` says how one types some
 * of them on a command line; `device` is what plans are for. `moduleText(path)` is the text of a module of the compiler or the runtime
 * (`runtime/base/random.js`) or undefined, `report` the report's style sheet.
 */
function pageTexts({ programs, first, files, typed = {}, device }, moduleText, report) {
  return (path) => {
    if (path === "programs.json") return JSON.stringify({ device, programs, first, typed, files: Object.fromEntries(files) });
    if (path === "report.css") return report;
    const [folder, ...rest] = path.split(/[/\\]/);
    if ((folder === "runtime" || folder === "compiler") && !rest.includes("..")) return moduleText(path.replaceAll("\\", "/"));
    return own.includes(path) ? readFileSync(join(here, path), "utf8") : undefined;
  };
}

/** A server of the page, from what `pageTexts` takes. */
export function pageServer(offered, moduleText, report) {
  const textOf = pageTexts(offered, moduleText, report);
  return createServer((request, response) => {
    const path = pathOf(request.url ?? "/");
    const text = path === undefined ? undefined : textOf(path);
    const type = text === undefined ? "text/plain" : types[extname(path)] ?? "text/plain";
    response.writeHead(path === undefined ? 400 : text === undefined ? 404 : 200, { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" });
    response.end(text ?? (path === undefined ? "bad request" : "not found"));
  });
}

/** The path that is asked for, or undefined where the address is none (`/%ff`, `//`). */
function pathOf(url) {
  try {
    const asked = normalize(decodeURIComponent(new URL(url, "http://page").pathname)).replace(/^[/\\]+/, "");
    return asked === "" || asked === "." ? "index.html" : asked;
  } catch {
    return undefined;
  }
}

async function main() {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { port: { type: "string", default: "8080" }, device: { type: "string", default: "here" }, write: { type: "string" }, help: { type: "boolean", short: "h", default: false } } });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const port = /^\d+$/.test(values.port) ? Number(values.port) : NaN;
  if (!(port <= 65535)) throw new Error(`--port is a whole number from 0 to 65535, not ${values.port || "nothing"}`);
  if (!existsSync(join(root, "dist/compiler/index.js"))) throw new Error("jepac is not built; run npm run build first");
  if (!devices.includes(values.device)) throw new Error(`--device is here, portable, large or software, not ${values.device}`);
  const { REPORT_STYLE } = await import(new URL("../../dist/runtime/train/report-style.js", import.meta.url).href);
  const { decode } = await import(new URL("../../dist/compiler/base/text.js", import.meta.url).href);
  const { check } = await import(new URL("../../dist/compiler/index.js", import.meta.url).href);
  const read = (path) => { try { return decode(readFileSync(isAbsolute(path) ? path : join(root, path))); } catch { return undefined; } };
  const files = new Map(shipped.flatMap((folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith(".jepa")).map((name) => `${folder}/${name}`)).map((path) => [path, read(path)]));
  const programs = [...files.keys()];
  const given = positionals.map((path) => relative(root, resolve(path)).replaceAll("\\", "/"));
  for (const file of given) {
    const text = read(file);
    if (text === undefined) throw new Error(`there is no program ${typed(file)}`);
    if (typeof text !== "string") throw new Error(`cannot read ${typed(file)}: ${text.why}; ${text.help}`);
    for (const [path, used] of check({ file, text, read }).texts) if (!path.startsWith("jepac:")) files.set(path, used);
  }
  const offered = { programs: [...new Set([...given, ...programs])], first: given[0], files, device: values.device };
  const moduleText = (path) => read(join("dist", path));
  if (values.write !== undefined) return write(values.write, pageTexts(offered, moduleText, REPORT_STYLE));
  const server = pageServer({ ...offered, typed: Object.fromEntries(offered.programs.map((path) => [path, typed(path)])) }, moduleText, REPORT_STYLE);
  server.on("error", (error) => fail(error.code === "EADDRINUSE" ? `port ${port} is taken; give another with --port` : error.message));
  server.listen(port, "127.0.0.1", () => console.log(`open http://127.0.0.1:${server.address().port}/ in Chrome`));
}

/** The page as files of a folder. */
function write(folder, textOf) {
  const built = ["compiler", "runtime"].flatMap((part) => readdirSync(join(root, "dist", part), { recursive: true }).map((path) => `${part}/${path.replaceAll("\\", "/")}`));
  const modules = built.filter((path) => path.endsWith(".js") && !path.startsWith("compiler/cli/"));
  for (const path of [...own, "programs.json", "report.css", ...modules]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), textOf(path));
  }
  console.log(`wrote the page to ${folder}`);
}

/** A file of the repository as one would type it here. */
function typed(file) {
  return relative(process.cwd(), resolve(root, file));
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main().catch((error) => fail(error.message));
