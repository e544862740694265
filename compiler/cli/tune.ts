/**
 * `jepac tune`: measures tiles for the matrix products of a program on this machine's device, and keeps the fastest.
 *
 * Owns the search (each product by itself, the tiles that its shape allows, then the number of parts of a weight gradient)
 * within a budget of seconds, and what is said of it. A tile must be clearly faster than the default to take its place, so
 * that noise does not choose. `jepac train` takes what is found here; without it, it starts at once with the defaults.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../compile.js";
import { textTable } from "../../runtime/log/table.js";
import type { PlanTile, WgslPlan } from "../../runtime/abi.js";
import { HostError } from "../../runtime/base/errors.js";
import type { GemmShape } from "../targets/wgsl/kernels/tiles.js";
import { productModule } from "../targets/wgsl/product.js";
import { productKey, shapeOf, tileOf } from "../targets/wgsl/tile-book.js";
import { generatorName, partTrials, productsOf, trialsOf } from "../targets/wgsl/tuning.js";
import type { Arguments, Command } from "./command.js";
import { CliError } from "./command.js";
import { deviceOptions, planLimits, precisionFor, precisionOption } from "./compile.js";
import { tellDiagnostics } from "./show.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";
import type { CacheKey } from "./tile-cache.js";
import { readTiles, tileFolder, tilesOfPlan, writeTiles } from "./tile-cache.js";
import type { CliTerminal } from "./terminal.js";

/** Part of the default's time that another tile may take at the most to win. */
const CLEARLY = 0.97;
/** Runs of a candidate, and milliseconds after which it is not run again. */
const [REPEATS, ENOUGH] = [5, 400];
/** Seconds of tuning unless told otherwise. */
const BUDGET = 60;

/** Measures a product's candidate, in milliseconds; undefined where the device cannot run it. */
export type Measure = (tile: PlanTile) => Promise<number | undefined>;

/** What was found for a product. */
export interface Tuned {
  readonly best: PlanTile;
  readonly milliseconds: number;
  readonly before: number;
}

/** The fastest tile of a product, beside the default one for the device; undefined where nothing of it could be measured in time. */
export async function tuneProduct(shape: GemmShape, measure: Measure, inTime: () => boolean, device: { readonly software?: boolean; readonly ample?: boolean } = {}): Promise<Tuned | undefined> {
  const [first, ...others] = trialsOf(shape, device.software, device.ample);
  const before = first === undefined ? undefined : await measure(first);
  if (first === undefined || before === undefined) return undefined;
  let best = { tile: first, milliseconds: before };
  const look = async (tile: PlanTile): Promise<void> => {
    const milliseconds = inTime() ? await measure(tile) : undefined;
    if (milliseconds !== undefined && milliseconds < best.milliseconds && milliseconds < CLEARLY * before) best = { tile, milliseconds };
  };
  for (const tile of others) await look(tile);
  const { parts } = productModule(shape, tileOf(best.tile));
  for (const tile of partTrials(shape, best.tile, parts)) await look(tile);
  return { best: best.tile, milliseconds: best.milliseconds, before };
}

/**
 * Puts tiles into the cache, and gives its path. That it cannot be written is an error where keeping them is all that was
 * asked for; a run (`asked` is "by the way") is told once, and does without.
 */
function keeper(key: CacheKey, asked: "alone" | "by the way", cx: Pick<CliTerminal, "err" | "env">): (tiles: readonly PlanTile[]) => string | undefined {
  let closed = false;
  return (tiles) => {
    if (closed) return undefined;
    try {
      return writeTiles(key, tiles, cx.env);
    } catch (error) {
      if (asked === "alone" || !(error instanceof HostError)) throw error;
      closed = true;
      cx.err.write(`tiles are measured for this run and kept for no other: ${error.message}\n`);
      return undefined;
    }
  };
}

/** Tunes the products of a plan on this machine's device, and keeps what is found as it is found: a person may stop it. */
export async function tunePlan(plan: WgslPlan, seconds: number, cx: Pick<CliTerminal, "err" | "env" | "clock">, asked: "alone" | "by the way" = "by the way"): Promise<readonly PlanTile[]> {
  const { openNodeDevice } = await import("../../runtime/backends/webgpu/device.js");
  const { timePlan } = await import("../../runtime/backends/webgpu/stopwatch.js");
  const node = await openNodeDevice({ plan }, { timestamps: true });
  const key: CacheKey = { device: node.version, generator: generatorName() };
  const started = cx.clock();
  const inTime = (): boolean => cx.clock() - started < 1000 * seconds;
  const measure: Measure = async (tile) => {
    try {
      return await timePlan(productModule(shapeOf(tile), tileOf(tile)), { device: node.device, name: node.name, clock: cx.clock, repeats: REPEATS, enough: ENOUGH });
    } catch (error) {
      if (error instanceof HostError && error.code !== "device-lost") return undefined;
      throw error;
    }
  };
  const keep = keeper(key, asked, cx);
  const found: Tuned[] = [];
  const products = productsOf(plan);
  try {
    // Before any time is spent.
    keep([]);
    for (const shape of products) {
      const tuned = inTime() ? await tuneProduct(shape, measure, inTime, node) : undefined;
      if (tuned === undefined) continue;
      found.push(tuned);
      keep([tuned.best]);
    }
  } finally {
    node.device.destroy();
    node.release();
  }
  cx.err.write(`${table(found)}\n`);
  if (found.length < products.length) cx.err.write(`${products.length - found.length} of ${products.length} products were not measured within ${seconds} s and keep the default; \`jepac tune\` gives them more with --budget\n`);
  const tiles = found.map((t) => t.best);
  const path = keep(tiles);
  if (path !== undefined) cx.err.write(`tiles for ${node.name}: ${path}\n`);
  return tiles;
}

/**
 * The tiles that a run compiles with: a resumed one keeps those of its folder (`compiled`, absolute), a new one takes what is
 * measured now (`--tune`) or was measured on this device before, where the person does not want the defaults.
 */
export async function tilesForRun(plan: WgslPlan, compiled: string, resumed: boolean, args: Arguments, cx: Pick<CliTerminal, "err" | "env" | "clock">): Promise<readonly PlanTile[]> {
  if (resumed) return tilesOfPlan(join(compiled, "plan.json"));
  if (args.flag("tune")) return tunePlan(plan, BUDGET, cx);
  if (args.text("tiles") === "default" || !existsSync(tileFolder(cx.env))) return [];
  const device = await deviceHere(plan);
  if (device === undefined) return [];
  const { tiles, note } = readTiles({ device, generator: generatorName() }, cx.env);
  if (note !== undefined) cx.err.write(`${note}\n`);
  const wanted = new Set(productsOf(plan).map(productKey));
  const fitting = tiles.filter((t) => wanted.has(productKey(shapeOf(t))));
  if (fitting.length > 0) cx.err.write(`tiles of ${fitting.length} of ${wanted.size} matrix products are those measured on this device (--tiles default does without)\n`);
  return fitting;
}

/** Device and driver, as the engine names them; undefined where there is none, which the run itself will say. */
async function deviceHere(plan: WgslPlan): Promise<string | undefined> {
  const { openNodeDevice } = await import("../../runtime/backends/webgpu/device.js");
  try {
    const node = await openNodeDevice({ plan });
    node.device.destroy();
    node.release();
    return node.version;
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

function table(found: readonly Tuned[]): string {
  const words = ({ tile: [bm, bn, bk, tm, tn], parts }: PlanTile): string => `${bm}x${bn}x${bk}, ${tm}x${tn} a thread${parts === undefined ? "" : `, ${parts} parts`}`;
  return textTable(["product", "default ms", "best ms", "gain", "tile"], found.map(({ best, milliseconds, before }) => [
    `${best.form} ${best.batch === 1 ? "" : `${best.batch} x `}${best.m} x ${best.n} x ${best.k}`, before.toFixed(3), milliseconds.toFixed(3), `${(before / milliseconds).toFixed(2)}x`, words(best),
  ]));
}

/** The seconds that were asked for. @throws CliError */
function budgetOf(text: string | undefined): number {
  const seconds = Number(text ?? BUDGET);
  if (!Number.isFinite(seconds) || seconds <= 0) throw new CliError(`--budget takes seconds, not ${text ?? ""}`, `leave it away for ${BUDGET}`);
  return seconds;
}

export const tuneCommand: Command = {
  words: { file: "the program" },
  options: { budget: { kind: "text", initial: String(BUDGET), help: "seconds to spend at the most" }, precision: precisionOption, ...deviceOptions, ...programOptions },
  examples: [["jepac tune specs/ijepa.jepa --budget 120", "then: jepac train specs/ijepa.jepa --target wgsl"]],
  async run(args, cx) {
    const opened = openSource(args.need("file"), cx);
    const seconds = budgetOf(args.text("budget"));
    const precision = precisionFor("wgsl", args);
    const result = compile(opened.source, { ...readProgramOptions(args), target: "wgsl", precision, device: await planLimits(args, "here", precision) });
    tellDiagnostics(result, opened, cx);
    if (result.plan === undefined) return 1;
    await tunePlan(result.plan, seconds, cx, "alone");
    return 0;
  },
};
