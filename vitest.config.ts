/**
 * How the tests run: all of `test/`, in at most two processes.
 *
 * Two because the suite must not starve a small machine, and because engines bring threads of their own. Files that change nothing
 * of the process that they run in (the compiler's core, its targets, the runtime's parts) share what it has loaded; all others,
 * with folders, environments, signals and mocks of their own, load it anew. `.ci/run` asks for a report in JSON
 * by `JEPAC_TEST_REPORT`, so that its last line does not depend on how a summary is worded.
 */
import { defineConfig } from "vitest/config";

const report = process.env["JEPAC_TEST_REPORT"];
const sharing = [
  ...["autodiff", "base", "check", "collapse", "dead", "editor", "lower", "masks", "messages", "model", "passes", "specs", "syntax", "targets", "tensor", "types"].map((folder) => `compiler/${folder}`),
  ...["base", "data", "log", "masks", "optim"].map((folder) => `runtime/${folder}`),
].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    projects: [
      { extends: true, test: { name: "core", include: sharing, isolate: false } },
      { extends: true, test: { name: "rest", include: ["test/**/*.test.ts"], exclude: sharing } },
    ],
  },
});
