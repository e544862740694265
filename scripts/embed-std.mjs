// Writes compiler/std/sources.ts from compiler/std/*.jepa, so that the compiler's core needs no file system.
// The result is committed; a test says when it is out of date.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const folder = new URL("../compiler/std/", import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith(".jepa")).sort();
const rows = names.map((name) => {
  const text = readFileSync(new URL(name, folder), "utf8");
  return `  ${JSON.stringify(name.replace(/\.jepa$/, ""))}: ${JSON.stringify(text)},\n`;
});
const out = `/**
 * The standard library as text, generated from \`compiler/std/*.jepa\` by \`scripts/embed-std.mjs\`. // tidy: table
 *
 * Owns nothing: edit the .jepa files and run \`npm run build\`. It exists so that the compiler stays pure (no file access)
 * and works in a browser.
 */

/** Library files by name: \`vit\` is what \`use std.vit\` brings. */
export const sources: Readonly<Record<string, string>> = {
${rows.join("")}};
`;
const target = new URL("sources.ts", folder);
let old = "";
try {
  old = readFileSync(target, "utf8");
} catch {
  // first run
}
if (old !== out) writeFileSync(target, out);
