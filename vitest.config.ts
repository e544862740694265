/**
 * How the tests run: all of `test/`, in at most two processes.
 *
 * Two because the suite must not starve a small machine, and because engines bring threads of their own. `.ci/run` asks for
 * a report in JSON by `JEPAC_TEST_REPORT`, so that its last line does not depend on how a summary is worded.
 */
import { defineConfig } from "vitest/config";

const report = process.env["JEPAC_TEST_REPORT"];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});
