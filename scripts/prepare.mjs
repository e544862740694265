/**
 * `npm run prepare`: builds, unless what is built is newer than every source.
 *
 * npm runs it at `npm ci`, and again when `npx jepac` is first used in a checkout, since npx then links the package into its
 * cache; without the look at the times that first use would build everything a second time, in silence.
 */
import { execSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, "dist", "compiler", "cli", "bin.js");
const sources = ["compiler", "runtime"].flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(root, folder, file)));
const newest = [...sources, join(root, "package.json"), join(root, "tsconfig.json"), join(root, "tsconfig.build.json")].reduce((time, file) => Math.max(time, statSync(file).mtimeMs), 0);
if (!existsSync(built) || statSync(built).mtimeMs < newest) execSync("npm run build", { cwd: root, stdio: "inherit" });
