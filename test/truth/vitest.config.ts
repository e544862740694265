/**
 * How the truth test runs: first all training, in two processes; more seeds where a figure came near its threshold; then the
 * judgement, which reads what they left.
 */
import { defineConfig } from "vitest/config";

const shared = { root: import.meta.dirname, testTimeout: 900_000, hookTimeout: 900_000 } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    passWithNoTests: true,
    projects: [
      { test: { ...shared, name: "train", include: ["*.train.ts"], sequence: { groupOrder: 0 } } },
      { test: { ...shared, name: "again", include: ["*.again.ts"], sequence: { groupOrder: 1 } } },
      { test: { ...shared, name: "judge", include: ["*.judge.ts"], sequence: { groupOrder: 2 } } },
    ],
  },
});
