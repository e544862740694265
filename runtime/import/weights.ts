/**
 * Weights that somebody else wrote: a folder or a file of safetensors, read with distrust.
 *
 * Owns finding the files (one file, `model.safetensors` of a folder, or the shards that `model.safetensors.index.json`
 * names), the rule that an index names files of its own folder only, and `config.json`. Every header is checked before a
 * tensor is allocated (base/safetensors.ts), and tensors are read one by one when they are asked for, so that weights of any
 * size come in. Which tensor goes where is for vit.ts.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorText, HostError } from "../base/errors.js";
import { openBytes, readBytes } from "../base/files.js";
import { openSafetensors } from "../base/safetensors.js";
import type { StoredTensor, StoredTensors } from "../base/safetensors.js";

/** What was read. */
export interface Weights {
  /** The files that the tensors came from. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** `config.json` of the folder, when there is one. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
}

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const MAX_JSON = 64 * 2 ** 20;

/** Reads the weights at `path`, a folder, a `.safetensors` file or an index. Throws `HostError` that names the file and the reason. */
export async function readWeights(path: string): Promise<Weights> {
  if (!existsSync(path)) throw new HostError("not-found", `there is no ${path}`, "name a folder with model.safetensors, or a .safetensors file");
  if (!statSync(path).isDirectory()) return path.endsWith(".json") ? sharded(path, await readConfig(dirname(path))) : single(path, undefined);
  const config = await readConfig(path);
  if (existsSync(join(path, SINGLE))) return single(join(path, SINGLE), config);
  if (existsSync(join(path, INDEX))) return sharded(join(path, INDEX), config);
  throw new HostError("not-found", `${path} has neither ${SINGLE} nor ${INDEX}`, "name a folder that holds one of them, or a .safetensors file");
}

function single(path: string, config: Weights["config"]): Weights {
  const { tensors, metadata } = stored(path);
  return { files: [path], tensors, metadata, config };
}

/** The header of a file now; each tensor opens the file again, so that nothing stays open. */
function stored(path: string): StoredTensors {
  const first = openBytes(path);
  try {
    const read = (from: number, to: number): Uint8Array => {
      const file = openBytes(path);
      try {
        if (file.size !== first.size) throw damaged(path, "it changed while it was read");
        return file.read(from, to);
      } finally {
        file.close();
      }
    };
    return openSafetensors({ size: first.size, read }, path);
  } finally {
    first.close();
  }
}

async function sharded(path: string, config: Weights["config"]): Promise<Weights> {
  const folder = dirname(path);
  const index = await readObject(path);
  const map = index["weight_map"];
  if (!isRecord(map)) throw damaged(path, "it has no weight_map");
  const wanted = new Map<string, Set<string>>();
  for (const [name, file] of Object.entries(map)) {
    const shard = insideName(path, folder, file);
    wanted.set(shard, (wanted.get(shard) ?? new Set()).add(name));
  }
  const tensors = new Map<string, StoredTensor>();
  const files: string[] = [];
  let metadata: Readonly<Record<string, string>> = {};
  for (const [file, names] of wanted) {
    const shard = join(folder, file);
    const read = stored(shard);
    for (const name of names) if (!read.tensors.has(name)) throw damaged(path, `it says that ${file} holds ${show(name)}, which is not there`);
    for (const [name, tensor] of read.tensors) {
      if (!names.has(name)) throw damaged(path, `${file} holds ${show(name)}, ${tensors.has(name) ? "which another file holds too" : "which it does not name there"}`);
      tensors.set(name, tensor);
    }
    files.push(shard);
    metadata = { ...metadata, ...read.metadata };
  }
  return { files, tensors, metadata, config };
}

/** A file name of an index: plain, in its folder, and not a link out of it. */
function insideName(path: string, folder: string, file: unknown): string {
  if (typeof file !== "string") throw damaged(path, `it names the file ${show(file)}`);
  const plain = file === basename(file) && !/[\\/:\0]/.test(file) && file !== "." && file !== ".." && file.endsWith(".safetensors");
  if (!plain) throw damaged(path, `it names ${show(file)}, which is not a .safetensors file of its folder`);
  const whole = join(folder, file);
  if (existsSync(whole) && dirname(realpathSync(whole)) !== realpathSync(folder)) throw damaged(path, `${show(file)} is a link to a file outside of its folder`);
  return file;
}

async function readConfig(folder: string): Promise<Weights["config"]> {
  const path = join(folder, "config.json");
  return existsSync(path) ? readObject(path) : undefined;
}

async function readObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  if (existsSync(path) && statSync(path).size > MAX_JSON) throw damaged(path, `it has more than ${MAX_JSON} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await readBytes(path)));
  } catch (error) {
    if (error instanceof HostError) throw error;
    throw damaged(path, `it is not JSON (${errorText(error).slice(0, 100)})`);
  }
  if (!isRecord(value)) throw damaged(path, "it is not a JSON object");
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function damaged(path: string, what: string): HostError {
  return new HostError("bad-file", `${path} cannot be trusted: ${what}`, "use a folder as the transformers library writes it");
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
