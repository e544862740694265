/**
 * How the truth test runs: every program once; more seeds where a figure came near its threshold; longer where the verdict
 * and the measurement part; long from more seeds where they still do; then the table. One program at a time, on one thread: a step of such small networks takes less
 * processor time so, and two runs that share two cores are no faster.
 */
import { defineConfig } from "vitest/config";

const one = { OMP_NUM_THREADS: "1", TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" };
const shared = { root: import.meta.dirname, testTimeout: 900_000, hookTimeout: 900_000, env: one } as const;
const stage = (name: string, include: string, groupOrder: number) => ({ test: { ...shared, name, include: [include], sequence: { groupOrder } } });

export default defineConfig({
  test: {
    maxWorkers: 1,
    projects: [stage("first", "*.train.ts", 0), stage("seeds", "*.again.ts", 1), stage("longer", "*.last.ts", 2), stage("majority", "*.most.ts", 3), stage("judge", "*.judge.ts", 4)],
  },
});
