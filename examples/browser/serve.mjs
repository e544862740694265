/**
 * Serves the page: compiles the program beside this file for WebGPU and hands out page, plan, kernels and runtime.
 *
 *   npm run build && node examples/browser/serve.mjs [port]
 *
 * then open the address it prints in Chrome. WebGPU wants a secure context, which 127.0.0.1 is.
 */
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wgsl": "text/plain" };

/** A server: `files` are the compiled ones by name, `runtime(path)` the text of a runtime module (`base/random.js`) or undefined. */
export function pageServer(files, runtime) {
  return createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://page").pathname).replace(/^\/+/, "");
    const text = textOf(path === "" ? "index.html" : path, files, runtime);
    response.writeHead(text === undefined ? 404 : 200, { "content-type": `${types[extname(path === "" ? "index.html" : path)] ?? "text/plain"}; charset=utf-8`, "cache-control": "no-store" });
    response.end(text ?? "not found");
  });
}

function textOf(path, files, runtime) {
  if (path.startsWith("compiled/")) return files.get(path.slice("compiled/".length));
  if (path.startsWith("runtime/")) return runtime(path.slice("runtime/".length));
  const file = join(here, path);
  return ["index.html", "page.js", "batches.js"].includes(path) && existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { compile } = await import(join(root, "dist/compiler/index.js"));
  const name = "examples/browser/ijepa-page.jepa";
  const read = (path) => { try { return readFileSync(join(root, path), "utf8"); } catch { return undefined; } };
  const result = compile({ file: name, text: read(name) ?? "", read }, { target: "wgsl" });
  if (!result.ok) throw new Error(result.diagnostics.map((d) => d.message).join("\n"));
  const files = new Map(result.files.map((f) => [f.path, f.text]));
  const server = pageServer(files, (path) => read(join("dist/runtime", path)));
  server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => console.log(`open http://127.0.0.1:${server.address().port}/ in Chrome`));
}
