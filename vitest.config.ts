/**
 * How the tests run: all of `test/`, in at most two processes.
 *
 * Two because the suite must not starve a small machine, and because engines bring threads of their own. Files that ask the
 * compiler's core, which is pure, share what a process has loaded; all others load it anew. `.ci/run` asks for a report in JSON
 * by `JEPAC_TEST_REPORT`, so that its last line does not depend on how a summary is worded.
 */
import { defineConfig } from "vitest/config";

const report = process.env["JEPAC_TEST_REPORT"];
const pure = ["autodiff", "base", "check", "collapse", "dead", "editor", "lower", "masks", "messages", "model", "passes", "specs", "syntax", "tensor", "types"].map((folder) => `test/compiler/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    projects: [
      { extends: true, test: { name: "core", include: pure, isolate: false } },
      { extends: true, test: { name: "rest", include: ["test/**/*.test.ts"], exclude: pure } },
    ],
  },
});
