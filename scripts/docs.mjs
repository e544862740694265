// Writes docs/diagnostics.md from the catalogue of the compiled package, and the library's tables in docs/language.md from
// its sources, so that a page never says other than the code. With --check it writes nothing and ends with 1 when one of
// them is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { catalogue } from "../dist/compiler/messages/catalogue.js";
import { exampleOf, exampleText } from "../dist/compiler/messages/examples.js";
import { sources } from "../dist/compiler/std/sources.js";
import { parse } from "../dist/compiler/syntax/parse.js";
import { printExpr, printType } from "../dist/compiler/syntax/print.js";

const families = {
  1: "Syntax", 2: "Names, structure, files, variants", 3: "Shapes, positions, spaces", 4: "Collapse", 5: "Masks and leaks", 6: "Training recipe", 7: "Target limits", 8: "Known gaps", 9: "Internal",
};
const parts = [
  "# Diagnostics", "",
  "Everything that the compiler can say about a program, from its catalogue (`npm run docs` writes this page). Words in braces", "are filled in from the program. `jepac explain <code>` shows the same.", "",
];
let family = "";
for (const [code, entry] of Object.entries(catalogue)) {
  if (code[3] !== family) {
    family = code[3];
    parts.push(`## ${families[family]}`, "");
  }
  parts.push(`### ${code} ${entry.slug}`, "", `*${entry.severity}*: ${entry.message}`, "");
  if (entry.help !== undefined) parts.push(`Help: ${entry.help}`, "");
  parts.push(entry.explain, "");
  const example = exampleOf(code);
  if (example !== undefined) parts.push(exampleText(example, entry.severity), "");
}
update("diagnostics.md", () => `${parts.join("\n").trimEnd()}\n`);
update("language.md", (old) => old.replace(/(<!-- library: .*? -->\n)[^]*?(<!-- end -->)/, (_, start, end) => `${start}${libraryTables()}${end}`));

/** A table for each part of the library: how a module is configured, what it is applied to, what comes of it. */
function libraryTables() {
  return Object.entries(sources).map(([name, text]) => {
    const modules = parse(text, name).ast.items.filter((item) => item.kind === "module");
    const rows = modules.map((m) => `| ${code(called(m))} | ${m.inputs.map((f) => code(f.type === undefined ? f.name.text : `${f.name.text}: ${printType(f.type)}`)).join(", ")} | ${gives(m)} | ${(m.doc ?? "").replace(/\s+/g, " ").trim()} |`);
    return [`\n\`use std.${name}\`\n`, "| module | applied to | gives | |", "|---|---|---|---|", ...rows, ""].join("\n");
  }).join("") + "\n";
}

function called(module) {
  return `${module.name.text}(${module.config.map((f) => (f.default === undefined ? f.name.text : `${f.name.text} = ${printExpr(f.default)}`)).join(", ")})`;
}

/** The declared type is that of the first value. */
function gives(module) {
  const last = module.body.findLast((s) => s.kind === "result")?.value;
  const more = last?.kind === "list" ? last.items.length - 1 : 0;
  return `${module.result === undefined ? "" : code(printType(module.result))}${more === 0 ? "" : `, and ${more === 1 ? "a second value" : `${more} more values`}`}`;
}

function code(text) {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

/** Writes a page where it has changed; only says so with --check. */
function update(name, made) {
  const page = new URL(`../docs/${name}`, import.meta.url);
  let old = "";
  try {
    old = readFileSync(page, "utf8");
  } catch {
    // first run
  }
  const text = made(old);
  if (old === text) return;
  if (process.argv.includes("--check")) process.exitCode = 1;
  else writeFileSync(page, text);
}
