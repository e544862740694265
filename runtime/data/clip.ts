/**
 * Which frames of a film a clip is made of.
 *
 * Owns the rule alone: threads that decode and the thread that reads actions must agree on it without asking each other. A clip
 * of `frames` frames, one of every `every`, spans `frames · every` frames of its film, so that there is one whole stretch of
 * actions behind each of its frames, the last one included. In training the start is drawn from the stream (seed, "clip",
 * step, slot in the batch); for probes and features the clip lies in the middle.
 */
import { stream } from "../base/random.js";
import type { AugmentKey } from "./augment.js";
import type { Films } from "./source.js";

/** Frames of a film that a clip spans. */
export function spanOf({ frames, every }: Pick<Films, "frames" | "every">): number {
  return frames * every;
}

/** The first frame of the clip that a step takes of a film of so many frames, uniform among all that fit. */
export function drawnStart(films: Pick<Films, "frames" | "every">, length: number, key: AugmentKey): number {
  return stream(key.seed, "clip", key.step, key.slot).int(Math.max(1, length - spanOf(films) + 1));
}

/** The first frame of the clip in the middle of a film of so many frames. */
export function middleStart(films: Pick<Films, "frames" | "every">, length: number): number {
  return Math.max(0, Math.floor((length - spanOf(films)) / 2));
}

/** The frames of a clip, in order. */
export function framesFrom({ frames, every }: Pick<Films, "frames" | "every">, start: number): number[] {
  return Array.from({ length: frames }, (_, t) => start + t * every);
}
