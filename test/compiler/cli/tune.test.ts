/** `jepac tune`, and runs that take what it found: the cache is used, left alone when told, and a resumed run keeps its own tiles. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { PlanTile } from "../../../runtime/abi.js";
import { nodeLimits, openNodeDevice } from "../../../runtime/backends/webgpu/device.js";
import { HostError } from "../../../runtime/base/errors.js";
import { readTiles, tilesOfPlan, writeTiles } from "../../../compiler/cli/tile-cache.js";
import { compile } from "../../../compiler/compile.js";
import { planTile } from "../../../compiler/targets/wgsl/tile-book.js";
import { generatorName, productsOf } from "../../../compiler/targets/wgsl/tuning.js";
import { jepac, small, temporary } from "./support.js";

async function deviceVersion(plan: Parameters<typeof openNodeDevice>[0]["plan"]): Promise<string | undefined> {
  try {
    const node = await openNodeDevice({ plan });
    node.device.destroy();
    node.release();
    return node.version;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    console.warn(`NOT TESTED: jepac tune on a device: ${error.message}; ${error.help}`);
    return undefined;
  }
}

test("a run compiles with measured tiles, or without, and goes on with those it began with", { timeout: 900_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const env = { XDG_CACHE_HOME: join(cwd, "cache") };
  const here = await nodeLimits().catch(() => undefined);
  const { plan } = compile({ file: "small.jepa", text: small }, { target: "wgsl", device: here });
  const device = plan === undefined ? undefined : await deviceVersion(plan);
  if (plan === undefined || device === undefined) return;
  // Legal, nobody's default, and compiled fast by a software driver.
  const chosen = productsOf(plan).map((p): PlanTile => planTile(p, { bm: 32, bn: 16, bk: 0, tm: 4, tn: 4 }));
  writeTiles({ device, generator: generatorName() }, chosen, env);
  const sorted = (tiles: readonly PlanTile[]): string[] => tiles.map((t) => JSON.stringify(t)).sort();
  const tilesIn = (folder: string): string[] => sorted(tilesOfPlan(join(cwd, folder, "compiled/plan.json")));
  const train = (out: string, ...more: string[]) => jepac(["train", "small.jepa", "--target", "wgsl", "--workers", "0", "--no-probe", "--no-report", "--out", join(cwd, out), ...more], { cwd, env });
  const first = await train("a", "--steps", "1");
  expect(first.code, first.err).toBe(0);
  expect(first.err).toContain(`tiles of ${chosen.length} of ${chosen.length} matrix products are those measured on this device`);
  expect(tilesIn("a")).toEqual(sorted(chosen));
  expect((await train("b", "--steps", "1", "--tiles", "default")).code).toBe(0);
  expect(tilesIn("b")).toEqual(sorted(plan.tiles ?? []));
  expect(tilesIn("b")).not.toEqual(tilesIn("a"));
  rmSync(join(cwd, "cache/jepac"), { recursive: true });
  const resumed = await train("a", "--resume", "--steps", "2");
  expect(resumed.code, resumed.err).toBe(0);
  expect(tilesIn("a")).toEqual(sorted(chosen));
  expect(readFileSync(join(cwd, "a/metrics.jsonl"), "utf8").trimEnd().split("\n").length).toBe(2);
});

test("tune measures within its budget and says what it found and where it is kept", { timeout: 900_000 }, async () => {
  const cwd = temporary({ "small.jepa": small });
  const env = { XDG_CACHE_HOME: join(cwd, "cache") };
  const { plan } = compile({ file: "small.jepa", text: small }, { target: "wgsl" });
  if (plan === undefined || (await deviceVersion(plan)) === undefined) return;
  // Every look at the clock takes 50 ms, so the budget ends after a few candidates on any machine.
  let now = 0;
  const tuned = await jepac(["tune", "small.jepa", "--budget", "2"], { cwd, env, clock: () => (now += 50) });
  expect(tuned.code, tuned.err).toBe(0);
  expect(tuned.err).toMatch(/[1-9]\d* of \d+ products were not measured within 2 s/);
  expect(tuned.err).toMatch(/gain/);
  expect(tuned.err).toMatch(/tiles for .*json/);
});

test("a cache that cannot be written is told before anything is measured; a run measures for itself and goes on", { timeout: 900_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const env = { XDG_CACHE_HOME: join(cwd, "small.jepa") };
  const { plan } = compile({ file: "small.jepa", text: small }, { target: "wgsl" });
  if (plan === undefined || (await deviceVersion(plan)) === undefined) return;
  let now = 0;
  const alone = await jepac(["tune", "small.jepa"], { cwd, env, clock: () => (now += 10_000) });
  expect([alone.code, alone.err]).toEqual([2, expect.stringMatching(/^error: cannot write .*small\.jepa[^]*help: /)]);
  now = 0;
  const run = await jepac(["train", "small.jepa", "--target", "wgsl", "--tune", "--steps", "1", "--workers", "0", "--no-probe", "--no-report", "--out", join(cwd, "a")], { cwd, env, clock: () => (now += 10_000) });
  expect(run.code, run.err).toBe(0);
  expect(run.err.match(/kept for no other: cannot write .*small\.jepa/g)?.length).toBe(1);
  expect(run.err).not.toContain("tiles for ");
});

test("what was measured is kept when a person stops the rest", { timeout: 900_000 }, async () => {
  const cwd = temporary({ "small.jepa": small });
  const env = { XDG_CACHE_HOME: join(cwd, "cache") };
  const { plan } = compile({ file: "small.jepa", text: small }, { target: "wgsl" });
  const device = plan === undefined ? undefined : await deviceVersion(plan);
  if (device === undefined) return;
  const key = { device, generator: generatorName() };
  let now = 0;
  const clock = (): number => {
    if (readTiles(key, env).tiles.length > 0) throw new Error("stopped");
    return (now += 2000);
  };
  expect((await jepac(["tune", "small.jepa"], { cwd, env, clock })).err).toContain("stopped");
  expect(readTiles(key, env).tiles.length).toBe(1);
});

test("a budget is a number of seconds", async () => {
  const cwd = temporary({ "small.jepa": small });
  const ran = await jepac(["tune", "small.jepa", "--budget", "soon"], { cwd });
  expect(ran.code).toBe(2);
  expect(ran.err).toContain("--budget takes seconds");
});
