/**
 * How the figure of a generated clip moves.
 *
 * Owns the path: a heading that turns at random, a speed that changes at random, and a start from which the figure stays in the
 * picture. A path is a pure function of (seed, index, frames). Its steps are the actions of the clip, in parts of the side: to
 * the right, and down. The last of them leads out of the clip, to a frame that is not drawn.
 */
import { stream } from "../base/random.js";
import type { Factor } from "./source.js";

/** Where the figure goes over the whole clip, by eighths of a turn. */
export const DIRECTION: Factor = { name: "direction", classes: ["right", "down right", "down", "down left", "left", "up left", "up", "up right"] };

/** Where a figure is in each frame, and the steps from each to the next: `[x, y]` in parts of the side. */
export interface Path {
  readonly places: readonly (readonly [x: number, y: number])[];
  /** `[frames, 2]`. */
  readonly steps: Float32Array;
  /** Class of {@link DIRECTION}. */
  readonly direction: number;
}

/** The part of a picture in which the middle of the figure stays, as in a picture without motion. */
const [LOW, HIGH] = [0.19, 0.81];

/** The path of (seed, index) over so many frames. */
export function pathOf(seed: number, index: number, frames: number): Path {
  const draws = stream(seed, "motion", index);
  // Never more than there is room for, whatever the turns.
  const length = draws.range(0.3, 0.6);
  let heading = draws.range(0, 2 * Math.PI);
  const raw = Array.from({ length: frames }, () => {
    const speed = draws.range(0.4, 1.6);
    const step = { x: speed * Math.cos(heading), y: speed * Math.sin(heading), speed };
    heading += draws.range(-0.4, 0.4);
    return step;
  });
  const scale = length / raw.reduce((sum, { speed }) => sum + speed, 0);
  const steps = Float32Array.from(raw.flatMap(({ x, y }) => [x * scale, y * scale]));
  const along = (axis: 0 | 1): number[] => {
    const moved = [0];
    for (let t = 0; t < frames; t++) moved.push((moved[t] ?? 0) + (steps[2 * t + axis] ?? 0));
    const start = draws.range(LOW - Math.min(...moved), HIGH - Math.max(...moved));
    return moved.map((by) => start + by);
  };
  const [xs, ys] = [along(0), along(1)];
  const turn = Math.atan2((ys.at(-1) ?? 0) - (ys[0] ?? 0), (xs.at(-1) ?? 0) - (xs[0] ?? 0));
  return {
    places: Array.from({ length: frames }, (_, t) => [xs[t] ?? 0, ys[t] ?? 0] as const),
    steps,
    direction: (Math.round(turn / (Math.PI / 4)) + 8) % 8,
  };
}
