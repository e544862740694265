/** Pages that are made from code are up to date, and no page points to what is not there. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./page.js";

const pages = ["README.md", "CHANGELOG.md", ...markdown("docs")];

function markdown(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((e) => {
    const path = `${folder}/${e.name}`;
    return e.isDirectory() ? (path === "docs/reference" ? [] : markdown(path)) : e.name.endsWith(".md") ? [path] : [];
  });
}

/** The anchor that a heading gets. */
function anchor(heading: string): string {
  return heading.toLowerCase().replace(/[^\w\- ]/g, "").trim().replaceAll(" ", "-");
}

test("the page of diagnostics and the tables of the library are what `npm run docs` writes", () => {
  expect(() => execFileSync(process.execPath, [join(root, "scripts/docs.mjs"), "--check"])).not.toThrow();
});

test("links inside the documents lead somewhere", () => {
  const broken = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), "utf8").replace(/^```[^]*?^```$/gm, "");
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((m) => m[1] ?? "").filter((link) => !/^(https?:|mailto:)/.test(link)).flatMap((link) => {
      const [path = "", fragment] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      if (target.startsWith("docs/reference/api")) return [];
      if (!existsSync(join(root, target))) return [`${page}: ${link}`];
      if (fragment === undefined || !target.endsWith(".md")) return [];
      const anchors = [...readFileSync(join(root, target), "utf8").matchAll(/^#+ (.*)$/gm)].map((m) => anchor(m[1] ?? ""));
      return anchors.includes(fragment) ? [] : [`${page}: ${link}`];
    });
  });
  expect(broken).toEqual([]);
});

test("files and folders that the architecture page names are there", () => {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const named = [...text.matchAll(/`((?:compiler|runtime|test|scripts|docs|specs|examples|bench)\/[\w./-]*)`/g)].map((m) => m[1] ?? "");
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("the first page of the documents leads to every other one", () => {
  const text = readFileSync(join(root, "docs/README.md"), "utf8");
  const linked = [...text.matchAll(/\]\(([^)\s#]+)/g)].map((m) => `docs/${m[1] ?? ""}`);
  expect(markdown("docs").filter((page) => page !== "docs/README.md" && !linked.includes(page))).toEqual([]);
});

test("the architecture page maps every folder of the compiler and of the runtime", () => {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const folders = ["compiler", "runtime", "compiler/targets", "runtime/backends"].flatMap((folder) => readdirSync(join(root, folder), { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [`${folder}/${e.name}/`] : [])));
  expect(folders.length).toBeGreaterThan(25);
  expect(folders.filter((folder) => !text.includes(`\`${folder}\``))).toEqual([]);
});
