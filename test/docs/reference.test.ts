/** The reference of the library is made without a complaint: every public name has its words, and every link leads somewhere. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

test("typedoc makes the reference: `npm run docs` ends well", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "node_modules/typedoc/bin/typedoc"), "--emit", "none"], { cwd: root, encoding: "utf8" });
  expect(status, `${stdout}${stderr}`.split("\n").slice(-12).join("\n")).toBe(0);
}, 240_000);
