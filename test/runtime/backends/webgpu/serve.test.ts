/**
 * The server of the page: what it answers to addresses that are none, and what its command line says of what it cannot take.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../../..");
const script = join(root, "examples/browser/serve.mjs");

interface Offered { readonly programs: readonly string[]; readonly files: ReadonlyMap<string, string>; readonly device: string }
interface Serve { pageServer(offered: Offered, moduleText: (path: string) => string | undefined, report: string): Server }

/** Status and text of an answer; the path goes out as it is, which `fetch` would mend. */
function ask(port: number, path: string): Promise<string> {
  return new Promise((done, fail) => {
    get({ host: "127.0.0.1", port, path, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part)).on("end", () => done(`${answer.statusCode} ${text}`));
    }).on("error", fail);
  });
}

function serve(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [script, ...words], { cwd: root, encoding: "utf8" });
}

test("addresses that are none are refused, one by one, and the server goes on", async () => {
  const { pageServer }: Serve = await import(script);
  const modules: Readonly<Record<string, string>> = { "runtime/a.js": "export {};", "compiler/syntax/b.js": "export const b = 1;" };
  const server = pageServer({ programs: ["one.jepa"], files: new Map([["one.jepa", "model one {}"]]), device: "here" }, (path) => modules[path], "");
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    for (const path of ["/%ff", "/%", "/runtime/%E0%A4%A", "//"]) expect(await ask(port, path), path).toBe("400 bad request");
    for (const path of ["/nothing", "/../package.json", "/%2e%2e/%2e%2e/package.json", "/runtime/%00", "/serve.mjs", "/compiler/../../serve.mjs", "/compiler/cli/bin.js"]) expect(await ask(port, path), path).toBe("404 not found");
    expect(await ask(port, "/programs.json")).toBe('200 {"device":"here","programs":["one.jepa"],"typed":{},"files":{"one.jepa":"model one {}"}}');
    expect(await ask(port, "/runtime/a.js")).toBe("200 export {};");
    expect(await ask(port, "/compiler/syntax/b.js")).toBe("200 export const b = 1;");
    expect(await ask(port, "/")).toMatch(/^200 <!doctype html>/i);
  } finally {
    server.close();
  }
});

test("the command line has a help, and refuses ports and options that are none", () => {
  const help = serve("--help");
  expect([help.status, help.stderr]).toEqual([0, ""]);
  for (const word of ["usage: node examples/browser/serve.mjs", "--port", "--device", "here", "portable", "large", "software"]) expect(help.stdout).toContain(word);
  for (const port of ["abc", "65536", "1.5", "", "0x10"]) {
    expect(serve(`--port=${port}`)).toMatchObject({ status: 2, stdout: "", stderr: `error: --port is a whole number from 0 to 65535, not ${port === "" ? "nothing" : port}\n` });
  }
  expect(serve("--prot", "1")).toMatchObject({ status: 2, stderr: expect.stringContaining("--prot") });
});

test("the page can be written into a folder, whole, for any place on a host, without the command line", () => {
  if (!existsSync(join(root, "dist/compiler/index.js"))) {
    console.warn("NOT TESTED: writing the page, which needs the built package: npm run build");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "jepac-serve-"));
  try {
    expect(serve("--write", join(folder, "site"))).toMatchObject({ status: 0, stderr: "" });
    const files = readdirSync(join(folder, "site"), { recursive: true }).map((path) => String(path).replaceAll("\\", "/"));
    for (const path of ["index.html", "page.js", "compiler-worker.js", "report.css", "programs.json", "compiler/syntax/chevrotain.js", "compiler/index.js", "runtime/train/loop.js"]) expect(files).toContain(path);
    expect(files.filter((path) => path.startsWith("compiler/cli"))).toEqual([]);
    const bare = files.filter((path) => path.endsWith(".js") && /^(?:import|export)\b[^"]*\bfrom\s*"(?!\.{1,2}\/|node:)/m.test(readFileSync(join(folder, "site", path), "utf8")));
    expect(bare.filter((path) => path.startsWith("compiler/")), "every import of the compiler has an address").toEqual([]);
    expect(readFileSync(join(folder, "site/index.html"), "utf8"), "nothing is asked of the top of the host").not.toMatch(/(src|href)="\//);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is no program is refused; one with mistakes is served first, with what it uses, for the page to tell them", async () => {
  if (!existsSync(join(root, "dist/compiler/index.js"))) {
    console.warn("NOT TESTED: programs of the page's server, which needs the built package: npm run build");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "jepac-serve-"));
  try {
    expect(serve(join(folder, "none.jepa"))).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(/^error: there is no program \S*none\.jepa\n$/) });
    writeFileSync(join(folder, "bare.jepa"), "model bare {}\n", "utf16le");
    expect(serve(join(folder, "bare.jepa"))).toMatchObject({ status: 2, stderr: expect.stringMatching(/^error: cannot read \S*bare\.jepa: it is UTF-16 without a byte-order mark/) });
    expect(serve("--device", "toaster")).toMatchObject({ status: 2, stderr: "error: --device is here, portable, large or software, not toaster\n" });
    writeFileSync(join(folder, "base.jepa"), "model base {}\n");
    writeFileSync(join(folder, "few.jepa"), 'use "./base.jepa"\nmodel few {\n  input image: Picture[16, 16, 3]\n}\n');
    // As some shells of Windows write it.
    writeFileSync(join(folder, "few.jepa"), `\ufeff${readFileSync(join(folder, "few.jepa"), "utf8")}`, "utf16le");
    const child = spawn(process.execPath, [script, join(folder, "few.jepa"), "--port", "0", "--device", "software"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const said = await new Promise<string>((done) => child.stdout.setEncoding("utf8").once("data", done).once("end", () => done("nothing")));
      const port = Number(/^open http:\/\/127\.0\.0\.1:(\d+)\/ in Chrome\n$/.exec(said)?.[1]);
      const { device, programs, first, typed, files } = JSON.parse((await ask(port, "/programs.json")).replace(/^200 /, ""));
      expect(device).toBe("software");
      expect(first).toMatch(/few\.jepa$/);
      expect(programs[0]).toBe(first);
      expect(programs).toContain("examples/ijepa-small.jepa");
      expect(typed[programs[0]]).toBe(relative(root, join(folder, "few.jepa")));
      expect(files[programs[0]]).toMatch(/^model few|^use [^]*model few/);
      expect(Object.keys(files).some((path) => path.endsWith("/base.jepa")), "what it uses").toBe(true);
      expect(Object.keys(files).filter((path) => path.startsWith("jepac:"))).toEqual([]);
    } finally {
      child.kill();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
