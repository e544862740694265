/**
 * Measured tiles on disk: one file for each device, driver and generator of kernels, in the user's cache folder.
 *
 * Owns the place, the format and the judgement of what is found there: a file that cannot be read, or that is of another
 * device, driver or generator, is ignored with a note and never trusted in part. Files are replaced in one step. What is
 * lost with this folder is time, nothing else.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import type { PlanTile } from "../../runtime/abi.js";
import { makeFolder, writeAtomicSync, writeError } from "../../runtime/base/files.js";
import { sha256 } from "../base/hash.js";
import { isWritable, productKey, shapeOf } from "../targets/wgsl/tile-book.js";
import type { CliTerminal } from "./terminal.js";

/** Whose measurements they are. */
export interface CacheKey {
  /** Device and driver, as the engine names them. */
  readonly device: string;
  /** `generatorName()`. */
  readonly generator: string;
}

/** What a look into the cache found. */
export interface CachedTiles {
  readonly tiles: readonly PlanTile[];
  /** Why a file that is there was not used. */
  readonly note?: string;
}

const FORMAT = "jepac-tiles-1";

/** The folder of measured tiles: in `$XDG_CACHE_HOME` where that is a whole path, else where the system keeps caches. */
export function tileFolder(env: CliTerminal["env"]): string {
  const asked = env["XDG_CACHE_HOME"];
  const base = (asked !== undefined && isAbsolute(asked) ? asked : undefined) ?? (process.platform === "darwin" ? join(homedir(), "Library/Caches") : process.platform === "win32" ? env["LOCALAPPDATA"] : undefined) ?? join(homedir(), ".cache");
  return join(base, "jepac", "tiles");
}

function pathOf(key: CacheKey, env: CliTerminal["env"]): string {
  return join(tileFolder(env), `${sha256(`${key.device}\n${key.generator}`).slice(0, 16)}.json`);
}

/** Tiles measured on this device with this generator; none where there is no sound file. */
export function readTiles(key: CacheKey, env: CliTerminal["env"]): CachedTiles {
  const path = pathOf(key, env);
  if (!existsSync(path)) return { tiles: [] };
  const ignored = (why: string): CachedTiles => ({ tiles: [], note: `measured tiles in ${path} are ignored: ${why}; \`jepac tune\` writes them anew` });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return ignored("the file cannot be read");
  }
  if (typeof value !== "object" || value === null || !("format" in value) || value.format !== FORMAT || !("tiles" in value) || !Array.isArray(value.tiles)) return ignored("it is not such a file");
  if (!("device" in value) || value.device !== key.device || !("generator" in value) || value.generator !== key.generator) return ignored("they are of another device or version");
  const tiles: unknown[] = value.tiles;
  return tiles.every(isPlanTile) && tiles.every(isWritable) ? { tiles } : ignored("an entry is not sound");
}

/** Adds tiles to those that are there; an entry for the same product is replaced. Gives the file's path. Throws `HostError` where nothing can be written. */
export function writeTiles(key: CacheKey, fresh: readonly PlanTile[], env: CliTerminal["env"]): string {
  const path = pathOf(key, env);
  const all = new Map([...readTiles(key, env).tiles, ...fresh].map((t) => [productKey(shapeOf(t)), t]));
  try {
    makeFolder(dirname(path));
  } catch (error) {
    throw writeError(error, path);
  }
  writeAtomicSync(path, `{"format": ${JSON.stringify(FORMAT)}, "device": ${JSON.stringify(key.device)}, "generator": ${JSON.stringify(key.generator)}, "tiles": [\n${[...all.values()].map((t) => JSON.stringify(t)).join(",\n")}\n]}\n`);
  return path;
}

/** The tiles that a plan on disk was compiled with; none where there is no such plan. */
export function tilesOfPlan(path: string): readonly PlanTile[] {
  try {
    const plan: unknown = JSON.parse(readFileSync(path, "utf8"));
    const tiles: unknown = typeof plan === "object" && plan !== null && "tiles" in plan ? plan.tiles : [];
    return Array.isArray(tiles) && tiles.every(isPlanTile) ? tiles : [];
  } catch {
    return [];
  }
}

const forms: readonly unknown[] = ["nn", "nt", "tn", "tt"];
const kinds: readonly unknown[] = ["f32", "f16", "f16-matrix"];

/** The place of a tile's slices, which may be of 0 steps. */
const SLICE = 2;

function isPlanTile(value: unknown): value is PlanTile {
  const count = (x: unknown): boolean => typeof x === "number" && Number.isSafeInteger(x) && x > 0;
  return typeof value === "object" && value !== null && "form" in value && forms.includes(value.form) && "kind" in value && kinds.includes(value.kind)
    && "batch" in value && count(value.batch) && "m" in value && count(value.m) && "n" in value && count(value.n) && "k" in value && count(value.k)
    && "tile" in value && Array.isArray(value.tile) && value.tile.length === 5 && value.tile.every((x, i) => count(x) || (i === SLICE && x === 0)) && (!("parts" in value) || count(value.parts));
}
