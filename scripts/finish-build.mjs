/**
 * The end of `npm run build`: what was built of sources that are gone goes too (tsc leaves it, and it would be packed), the
 * library's files lie beside the compiler, for readers and for editors that go to a definition, the command line may be
 * executed, and its time says when the build was (tsc leaves files that did not change alone), which is what `prepare.mjs` goes by.
 */
import { chmodSync, copyFileSync, existsSync, readdirSync, rmSync, utimesSync } from "node:fs";
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

const bin = join(dist, "compiler", "cli", "bin.js");
chmodSync(bin, 0o755);
utimesSync(bin, new Date(), new Date());
