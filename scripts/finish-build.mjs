/**
 * The end of `npm run build`: the library's files lie beside the compiler, for readers and for editors that go to a definition;
 * the command line may be executed, and its time says when the build was (tsc leaves files that did not change alone), which
 * is what `prepare.mjs` goes by.
 */
import { chmodSync, copyFileSync, readdirSync, utimesSync } from "node:fs";
import { fileURLToPath } from "node:url";

const from = new URL("../compiler/std/", import.meta.url);
const to = new URL("../dist/compiler/std/", import.meta.url);
for (const name of readdirSync(from)) if (name.endsWith(".jepa")) copyFileSync(new URL(name, from), new URL(name, to));

const bin = fileURLToPath(new URL("../dist/compiler/cli/bin.js", import.meta.url));
chmodSync(bin, 0o755);
utimesSync(bin, new Date(), new Date());
