// Writes docs/diagnostics.md from the catalogue of the compiled package, so that a page never says other than the code.
// With --check it writes nothing and ends with 1 when the page is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { catalogue } from "../dist/compiler/messages/catalogue.js";
import { exampleOf, exampleText } from "../dist/compiler/messages/examples.js";

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
const page = new URL("../docs/diagnostics.md", import.meta.url);
const text = `${parts.join("\n").trimEnd()}\n`;
let old = "";
try {
  old = readFileSync(page, "utf8");
} catch {
  // first run
}
if (process.argv.includes("--check")) process.exitCode = old === text ? 0 : 1;
else if (old !== text) writeFileSync(page, text);
