/**
 * The end of `npm run build`: the command line may be executed, and its time says when the build was (tsc leaves files that
 * did not change alone), which is what `prepare.mjs` goes by.
 */
import { chmodSync, utimesSync } from "node:fs";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../dist/compiler/cli/bin.js", import.meta.url));
chmodSync(bin, 0o755);
utimesSync(bin, new Date(), new Date());
