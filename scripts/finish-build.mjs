/**
 * The end of `npm run build`: what was built of sources that are gone goes too (tsc leaves it, and it would be packed), the
 * library's files lie beside the compiler, for readers and for editors that go to a definition, chevrotain is the one file
 * that it publishes itself as (its package imports hundreds, most of a command's start), the extension for VS Code is packed,
 * the command line may be executed, and its time says when the build was (tsc leaves files that did not change alone), which is what `prepare.mjs` goes by.
 */
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
for (const folder of ["compiler", "runtime"]) {
  for (const file of readdirSync(join(dist, folder), { recursive: true })) {
    const built = /^(.*)(?:\.d\.ts|\.js|\.js\.map)$/.exec(String(file));
    if (built !== null && !existsSync(join(root, folder, `${built[1]}.ts`))) rmSync(join(dist, folder, String(file)));
  }
}

const library = join("compiler", "std");
for (const name of readdirSync(join(root, library))) if (name.endsWith(".jepa")) copyFileSync(join(root, library, name), join(dist, library, name));

// Its bundle holds lodash too; both licenses ask to be handed on.
const entry = fileURLToPath(import.meta.resolve("chevrotain"));
const chevrotain = join(dirname(entry), "..", "..");
const lodash = dirname(createRequire(entry).resolve("lodash-es/package.json"));
const door = join(dist, "compiler", "syntax", "chevrotain");
const { version } = JSON.parse(readFileSync(join(chevrotain, "package.json"), "utf8"));
const licenses = [["chevrotain", join(chevrotain, "LICENSE.txt")], ["lodash-es", join(lodash, "LICENSE")]].map(([name, file]) => `${name}\n\n${readFileSync(file, "utf8")}`);
writeFileSync(`${door}.js`, `// chevrotain ${version} with what it needs of lodash-es, as published (lib/chevrotain.min.mjs); licenses in chevrotain.LICENSE.txt.\n${readFileSync(join(chevrotain, "lib", "chevrotain.min.mjs"), "utf8")}`);
writeFileSync(`${door}.LICENSE.txt`, licenses.join("\n\n"));
rmSync(`${door}.js.map`, { force: true });

const { packExtension } = await import("./vscode.mjs");
packExtension(join(dist, "jepac.vsix"));

const bin = join(dist, "compiler", "cli", "bin.js");
chmodSync(bin, 0o755);
utimesSync(bin, new Date(), new Date());
