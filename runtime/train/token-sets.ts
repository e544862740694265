/**
 * Tokens of a set of pictures under a frozen encoder, for probes that read all of them.
 *
 * Owns whether they are held or made again: tokens of a whole set are kept while they fit, and are encoded anew whenever they are asked
 * for where they do not, so that memory is bounded by `HELD` whatever the set. Pooled rows come from the same walk.
 */
import type { EncoderInfo, Engine } from "../abi.js";
import { HostError } from "../base/errors.js";
import { requireRows } from "../base/rows.js";
import type { TokenSet } from "./attentive.js";
import type { ImageFeed } from "./features.js";
import { meanPool } from "./features.js";

/** Bytes that tokens of one set may take in memory. */
const HELD = 1024 ** 3;

/** A set of tokens, and what the mean over each row's is. */
export interface EncodedSet extends TokenSet {
  /** `[count, width]`. */
  readonly pooled: Float32Array;
  /** Whether all tokens are in memory. */
  readonly held: boolean;
}

/** How a set is encoded. */
export interface EncodeOptions {
  /** Pictures or clips at once. */
  readonly chunk: number;
  /** Most bytes of tokens to keep; 1 GiB unless said. */
  readonly most?: number;
  /** Hears how many are done, before each part of the first walk. */
  readonly onPart?: (done: number) => void;
}

/**
 * Encodes all of a feed once. The engine must keep its state as long as rows are asked of a set that is not held. Throws `HostError`
 * "mismatch" for an encoder that gives no tokens, and what the feed and the engine throw.
 */
export async function encodedSet(engine: Engine, encoder: EncoderInfo, feed: ImageFeed, { chunk, most = HELD, onPart }: EncodeOptions): Promise<EncodedSet> {
  const { name, tokens, width } = encoder;
  const { count } = feed;
  if (tokens < 1) throw new HostError("mismatch", `an attentive probe reads tokens, and ${name} gives one row for a picture`, "probe it with `linear` and `knn`, or look at an encoder that does not pool");
  const one = tokens * width;
  const held = count * one * 4 <= most;
  const kept = new Float32Array(held ? count * one : 0);
  const pooled = new Float32Array(count * width);
  for (let from = 0; from < count; from += chunk) {
    const to = Math.min(count, from + chunk);
    onPart?.(from);
    const part = await engine.encode(name, await feed.images(from, to, encoder), to - from);
    requireRows(part, (to - from) * tokens, width);
    pooled.set(meanPool(part, to - from, width), from * width);
    if (held) kept.set(part, from * one);
  }
  const rows = held ? (chosen: Int32Array): Promise<Float32Array> => Promise.resolve(copied(kept, one, chosen)) : async (chosen: Int32Array): Promise<Float32Array> => {
    const out = new Float32Array(chosen.length * one);
    for (let from = 0; from < chosen.length; from += chunk) {
      const part = chosen.subarray(from, from + chunk);
      out.set(await engine.encode(name, await pictures(feed, part, encoder), part.length), from * one);
    }
    return out;
  };
  return { count, tokens, width, pooled, held, rows };
}

function copied(from: Float32Array, one: number, chosen: Int32Array): Float32Array {
  const out = new Float32Array(chosen.length * one);
  chosen.forEach((row, i) => out.set(from.subarray(row * one, (row + 1) * one), i * one));
  return out;
}

async function pictures(feed: ImageFeed, chosen: Int32Array, encoder: EncoderInfo): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (const row of chosen) parts.push(await feed.images(row, row + 1, encoder));
  const size = parts[0]?.length ?? 0;
  const out = new Float32Array(parts.length * size);
  parts.forEach((pixels, i) => out.set(pixels, i * size));
  return out;
}
