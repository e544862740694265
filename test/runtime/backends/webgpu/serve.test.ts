/**
 * The server of the page: what it answers to addresses that are none, and what its command line says of what it cannot take.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../../..");
const script = join(root, "examples/browser/serve.mjs");

interface Serve { pageServer(programs: readonly { name: string; title: string; files: ReadonlyMap<string, string> }[], runtime: (path: string) => string | undefined, report: string): Server }

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
  const server = pageServer([{ name: "one", title: "One", files: new Map([["plan.json", "{}"]]) }], (path) => (path === "a.js" ? "export {};" : undefined), "");
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    for (const path of ["/%ff", "/%", "/compiled/%E0%A4%A", "//"]) expect(await ask(port, path), path).toBe("400 bad request");
    for (const path of ["/nothing", "/../package.json", "/%2e%2e/%2e%2e/package.json", "/runtime/%00", "/compiled/one/../../serve.mjs"]) expect(await ask(port, path), path).toBe("404 not found");
    expect(await ask(port, "/programs.json")).toBe('200 [{"name":"one","title":"One"}]');
    expect(await ask(port, "/compiled/one/plan.json")).toBe("200 {}");
    expect(await ask(port, "/runtime/a.js")).toBe("200 export {};");
    expect(await ask(port, "/")).toMatch(/^200 <!doctype html>/i);
  } finally {
    server.close();
  }
});

test("the command line has a help, and refuses ports and options that are none", () => {
  const help = serve("--help");
  expect([help.status, help.stderr]).toEqual([0, ""]);
  for (const word of ["usage: node examples/browser/serve.mjs", "--port", "--device", "portable", "large", "software"]) expect(help.stdout).toContain(word);
  for (const port of ["abc", "65536", "1.5", "", "0x10"]) {
    expect(serve(`--port=${port}`)).toMatchObject({ status: 2, stdout: "", stderr: `error: --port is a whole number from 0 to 65535, not ${port === "" ? "nothing" : port}\n` });
  }
  expect(serve("--prot", "1")).toMatchObject({ status: 2, stderr: expect.stringContaining("--prot") });
});

test("a program with mistakes is told with their places, and of very many only the first; a sound one is served", async () => {
  if (!existsSync(join(root, "dist/compiler/index.js"))) {
    console.warn("NOT TESTED: programs of the page's server, which needs the built package: npm run build");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "jepac-serve-"));
  try {
    const path = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const few = serve(path("few.jepa", "model few {\n  input image: Picture[16, 16, 3]\n}\n"));
    expect([few.status, few.stdout]).toEqual([2, ""]);
    expect(few.stderr).toMatch(/^error: \S*few\.jepa does not compile/);
    expect(few.stderr).toMatch(/\n {2}\S*few\.jepa:2:\d+: JEP\d{4}: /);
    const none = serve(path("none.jepa", Array.from({ length: 40 }, (_, i) => `}\u001b[31m ${i} model { loss\n`).join("")));
    expect(none.status).toBe(2);
    const lines = none.stderr.trimEnd().split("\n").slice(1);
    expect(lines.length).toBeLessThanOrEqual(11);
    expect(lines[0]).toMatch(/^ {2}\S*none\.jepa:1:1: JEP\d{4}: /);
    expect(none.stderr).not.toContain("\u001b");
    expect(serve("--device", "toaster")).toMatchObject({ status: 2, stderr: "error: --device is portable, large or software, not toaster\n" });

    const child = spawn(process.execPath, [script, join(root, "examples/browser/ijepa-page.jepa"), "--port", "0", "--device", "software"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const said = await new Promise<string>((done) => child.stdout.setEncoding("utf8").once("data", done).once("end", () => done("nothing")));
      const port = Number(/^open http:\/\/127\.0\.0\.1:(\d+)\/ in Chrome\n$/.exec(said)?.[1]);
      expect(await ask(port, "/programs.json")).toMatch(/^200 \[\{"name":"ijepa_page"/);
    } finally {
      child.kill();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
