/**
 * Serves the page: compiles programs for WebGPU and hands out page, plans, kernels and runtime.
 *
 *   node examples/browser/serve.mjs [programs.jepa ..] [--port 8080] [--device software]
 *
 * then open the address it prints in Chrome. WebGPU wants a secure context, which 127.0.0.1 is. Without a program it serves
 * the small I-JEPA and a narrow one for software drivers. `--device` says what plans are for, as for `jepac compile`: every
 * WebGPU device (portable), graphics cards (large), or drivers that compute on a processor (software). It reads
 * nothing but the repository and the programs that are named, and answers only this machine.
 */
import { createServer } from "node:http";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, extname, isAbsolute, join, normalize, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const types = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wgsl": "text/plain" };
const own = ["index.html", "style.css", "page.js", "show.js", "features.js", "folder.js"];

const usage = `usage: node examples/browser/serve.mjs [programs.jepa ..] [--port 8080] [--device portable]

Serves a page that trains programs in the browser, on 127.0.0.1 only; open the address it prints in Chrome.

  --port <n>      where to listen; 0 takes a free one (8080)
  --device <of>   what plans are for: portable (every WebGPU device), large (graphics cards), or software
                  (drivers that compute on a processor) (portable)
  --help          this text
`;

/** Mistakes of a program that are shown. */
const MOST_SHOWN = 10;

/**
 * A server for compiled programs, the page's own first choice first: `[{ name, title, files }]`, `files` being texts by
 * path. `runtime(path)` is the text of a runtime module (`base/random.js`) or undefined; `report` the report's style sheet.
 */
export function pageServer(programs, runtime, report) {
  return createServer((request, response) => {
    const path = pathOf(request.url ?? "/");
    const text = path === undefined ? undefined : textOf(path, programs, runtime, report);
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

function textOf(path, programs, runtime, report) {
  if (path === "programs.json") return JSON.stringify(programs.map(({ name, title }) => ({ name, title })));
  if (path === "report.css") return report;
  const [folder, ...rest] = path.split(/[/\\]/);
  if (folder === "compiled") return programs.find((p) => p.name === rest[0])?.files.get(rest.slice(1).join("/"));
  if (folder === "runtime" && !rest.includes("..")) return runtime(rest.join("/"));
  return own.includes(path) ? readFileSync(join(here, path), "utf8") : undefined;
}

async function main() {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { port: { type: "string", default: "8080" }, device: { type: "string", default: "portable" }, help: { type: "boolean", short: "h", default: false } } });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const port = /^\d+$/.test(values.port) ? Number(values.port) : NaN;
  if (!(port <= 65535)) throw new Error(`--port is a whole number from 0 to 65535, not ${values.port || "nothing"}`);
  if (!existsSync(join(root, "dist/compiler/index.js"))) throw new Error("jepac is not built; run npm run build first");
  const { compile, large, portable, software } = await import(new URL("../../dist/compiler/index.js", import.meta.url).href);
  const device = new Map(Object.entries({ portable, large, software })).get(values.device);
  if (device === undefined) throw new Error(`--device is portable, large or software, not ${values.device}`);
  const { REPORT_STYLE } = await import(new URL("../../dist/runtime/train/report-style.js", import.meta.url).href);
  const read = (path) => { try { return readFileSync(isAbsolute(path) ? path : join(root, path), "utf8"); } catch { return undefined; } };
  const files = positionals.length === 0 ? ["examples/ijepa-small.jepa", "examples/browser/ijepa-page.jepa"] : positionals.map((path) => relative(root, resolve(path)));
  const programs = files.map((file) => {
    const text = read(file);
    if (text === undefined) throw new Error(`there is no program ${typed(file)}`);
    const result = compile({ file, text, read }, { target: "wgsl", device });
    if (!result.ok) throw new Error(`${typed(file)} does not compile (npx jepac check ${typed(file)} says more):\n${mistakes(result).join("\n")}`);
    const { program, parameters } = result.manifest;
    const weights = parameters.filter((p) => p.role === "trained").reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
    return { name: program, title: `${program}, ${weights.toLocaleString("en")} weights`, files: new Map(result.files.map((f) => [f.path, f.text])) };
  });
  const server = pageServer(programs, (path) => read(join("dist/runtime", path)), REPORT_STYLE);
  server.on("error", (error) => fail(error.code === "EADDRINUSE" ? `port ${port} is taken; give another with --port` : error.message));
  server.listen(port, "127.0.0.1", () => console.log(`open http://127.0.0.1:${server.address().port}/ in Chrome`));
}

/** A file of the repository, or of its library, as one would type it here. */
function typed(file) {
  return file.startsWith("jepac:") ? file : relative(process.cwd(), resolve(root, file));
}

/** The first mistakes, each in a line with its place. What is no program may be full of signs that change a terminal. */
function mistakes({ diagnostics, texts }) {
  const errors = diagnostics.filter((d) => d.severity === "error");
  const lines = errors.slice(0, MOST_SHOWN).map(({ code, message, span }) => {
    const before = (texts.get(span.file) ?? "").slice(0, span.start).split("\n");
    return `  ${typed(span.file)}:${before.length}:${before.at(-1).length + 1}: ${code}: ${message.replace(/\p{C}/gu, "\ufffd")}`;
  });
  return errors.length > lines.length ? [...lines, `  and ${errors.length - lines.length} more`] : lines;
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main().catch((error) => fail(error.message));
