/**
 * A trained encoder of a run, for features of pictures that one has: what is made of a run once it is trained.
 *
 * Owns the way from a run's folder to an engine that holds a checkpoint, and the walk over a source in parts, each laid out as
 * probes lay pictures out (`data/eval-set.ts`), so that no more than a part is in memory whatever the source's size.
 */
import { join, resolve } from "node:path";
import type { EncoderInfo, Engine, Manifest } from "../abi.js";
import { encoderPicture } from "../base/encoder-input.js";
import { HostError } from "../base/errors.js";
import { evalSet } from "../data/eval-set.js";
import type { ImageSource } from "../data/source.js";
import { isCut } from "./datasets.js";
import { openCheckpoints } from "./checkpoint-store.js";
import type { Which } from "./checkpoint-store.js";
import { loadCompiled } from "./compiled.js";
import { createEngine } from "./engines.js";
import { chunkOf, meanPool } from "./features.js";
import type { EngineChoice } from "./options.js";
import { probedEncoders } from "./probe.js";

/** Which encoder of a run, and how it is run. */
export interface RunEncoderOptions {
  /** Its name; the moving average where there is one unless given, as papers evaluate it. */
  readonly encoder?: string;
  /** `auto` unless given: the fastest engine that is here. */
  readonly engine?: EngineChoice;
  /** The latest checkpoint unless given. */
  readonly which?: Which;
  /** The folder of the compiled program, where it is not `compiled` in the run's. */
  readonly compiled?: string;
}

/** Features of the pictures of a source. */
export interface SourceFeatures {
  /** `[count, width]`: for each picture the mean over its tokens. */
  readonly features: Float32Array;
  readonly count: number;
  readonly width: number;
  /** By row, the picture's index in the source. */
  readonly indices: Int32Array;
  /** Pictures that cannot be read or decoded, by name; they have no row. */
  readonly corrupt: readonly string[];
}

/** An encoder that is ready. */
export interface RunEncoder {
  readonly manifest: Manifest;
  readonly encoder: EncoderInfo;
  /** For features of tokens: `engine.encode(encoder.name, pixels, n)`. */
  readonly engine: Engine;
  /** Steps that it was trained for. */
  readonly step: number;
  /**
   * Features of all pictures of a source: of each the largest middle part of the encoder's shape, of a film those of the clip in its
   * middle (`openPictures` opens a folder as the program takes it), normalized as in training; `onPart` hears
   * how many are done, before each part. Throws what the source throws for pictures that it refuses.
   */
  features(source: ImageSource, onPart?: (done: number) => void): Promise<SourceFeatures>;
  /** Releases the engine; the encoder is not to be used afterwards. */
  dispose(): void;
}

/**
 * Opens the encoder of a run's folder, such as `runs/ijepa_small`. Throws `HostError` "bad-file" where there is no compiled program,
 * "not-found" where there is no checkpoint, "mismatch" for one of another program or an encoder that there is not, and those of
 * `createEngine`.
 */
export async function openRunEncoder(folder: string, options: RunEncoderOptions = {}): Promise<RunEncoder> {
  const compiled = options.compiled ?? join(folder, "compiled");
  const { manifest, module } = await loadCompiled(resolve(compiled), compiled);
  const encoder = encoderOf(manifest, options.encoder);
  const { state, seed, step } = await openCheckpoints(folder, manifest).load(options.which ?? "latest");
  const { engine } = await createEngine(manifest, module, options.engine, seed);
  try {
    await engine.importState(state);
  } catch (error) {
    engine.dispose();
    throw error;
  }
  return { manifest, encoder, engine, step, features: (source, onPart) => featuresOf(manifest, encoder, engine, source, onPart), dispose: () => engine.dispose() };
}

function encoderOf(manifest: Manifest, name: string | undefined): EncoderInfo {
  const found = name === undefined ? probedEncoders({ ...manifest, probes: [] })[0] : manifest.encoders.find((e) => e.name === name);
  if (found !== undefined) return found;
  throw new HostError("mismatch", `the program has no encoder${name === undefined ? " that can be run alone" : ` ${name}`}`, `its encoders are ${manifest.encoders.map((e) => e.name).join(", ") || "none"}`);
}

async function featuresOf(manifest: Manifest, encoder: EncoderInfo, engine: Engine, source: ImageSource, onPart?: (done: number) => void): Promise<SourceFeatures> {
  const { width } = encoder;
  const picture = encoderPicture(manifest, encoder);
  if (picture === undefined) throw new HostError("mismatch", `the manifest does not say what pictures ${encoder.name} takes`, "compile the program again");
  const features = new Float32Array(source.size * width);
  const indices: number[] = [];
  const corrupt: string[] = [];
  const part = chunkOf(picture.frames);
  for (let from = 0; from < source.size; from += part) {
    onPart?.(from);
    const set = await evalSet(partOf(source, from, part), { height: picture.height, width: picture.width, frames: picture.frames, mean: manifest.train.mean, std: manifest.train.std, cut: isCut(manifest) });
    corrupt.push(...set.corrupt);
    if (set.count === 0) continue;
    features.set(meanPool(await engine.encode(encoder.name, set.images, set.count), set.count, width), indices.length * width);
    for (const index of set.indices) indices.push(from + index);
  }
  const count = indices.length;
  return { features: features.slice(0, count * width), count, width, indices: Int32Array.from(indices), corrupt };
}

/** The pictures of a source from `from` on, as many as are encoded at once. */
function partOf(source: ImageSource, from: number, part: number): ImageSource {
  const { films } = source;
  return {
    ...(films === undefined ? {} : { films: { ...films, length: (index) => films.length(from + index), read: (index, frames) => films.read(from + index, frames) } }),
    name: source.name, factors: source.factors, report: source.report, spec: undefined, onCorrupt: source.onCorrupt, onSmall: source.onSmall,
    size: Math.min(part, source.size - from),
    describe: (index) => source.describe(from + index),
    label: (index, factor) => source.label(from + index, factor),
    decode: (index) => source.decode(from + index),
  };
}
