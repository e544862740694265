/**
 * Scenes of the embedded data, and their drawing.
 *
 * Owns a scene with factors to probe: a figure of some shape, filled with a texture, of a color, in one of nine cells,
 * before a textured background with clutter. Position, size, rotation, contrast, lighting and colors vary freely, so shape
 * and texture cannot be read off single pixels and a trained encoder has something to gain over an untrained one. A
 * scene is a pure function of (seed, index). Sources of pictures and of clips of such scenes are synthetic.ts.
 */
import { stream, type Stream } from "../base/random.js";
import type { Factor } from "./source.js";

const SHAPES = ["disc", "square", "triangle", "cross", "ring", "bar", "crescent", "star"] as const;
const TEXTURES = ["plain", "stripes", "checks", "dots", "rings", "noise"] as const;
const COLORS = ["red", "orange", "yellow", "green", "cyan", "blue", "violet", "gray"] as const;
const CELLS = ["top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"] as const;

/** The factors of a scene, in the order of its labels. */
export const SCENE_FACTORS: readonly Factor[] = [
  { name: "shape", classes: SHAPES },
  { name: "texture", classes: TEXTURES },
  { name: "color", classes: COLORS },
  { name: "cell", classes: CELLS },
];

type Rgb = readonly [number, number, number];

interface Waves {
  readonly fx: number;
  readonly fy: number;
  readonly phase: number;
  readonly gain: number;
}

/** Something in a scene: its kind, and where it is. */
export interface Figure {
  readonly shape: number;
  readonly texture: number;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly cos: number;
  readonly sin: number;
  readonly textureScale: number;
  readonly texturePhase: number;
  readonly ink: Rgb;
  readonly paper: Rgb;
}

/** What is to be seen; the main figure is the last one. Places and sizes are in parts of the side. */
export interface Scene {
  readonly labels: readonly [number, number, number, number];
  readonly figures: readonly Figure[];
  readonly sky: Rgb;
  readonly ground: Rgb;
  readonly slope: readonly [number, number];
  readonly waves: readonly Waves[];
  readonly light: readonly [number, number];
  readonly grain: number;
}

const HUES: readonly number[] = [0, 0.075, 0.15, 0.34, 0.5, 0.62, 0.79];

/** Hue, saturation and value in 0..1 to RGB in 0..1. */
function hsv(h: number, s: number, v: number): Rgb {
  const at = (n: number): number => {
    const k = (n + h * 6) % 6;
    return v - v * s * Math.max(0, Math.min(k, 4 - k, 1));
  };
  return [at(5), at(3), at(1)];
}

function colorOf(label: number, draws: Stream): Rgb {
  const hue = HUES[label];
  const value = draws.range(0.55, 1);
  if (hue === undefined) return hsv(draws.uniform(), draws.range(0, 0.06), value);
  return hsv((hue + draws.range(-0.025, 0.025) + 1) % 1, draws.range(0.65, 1), value);
}

/** A figure in a cell of a 3 × 3 grid over the middle of the picture, so that it is seen whole or nearly so. */
function figure(labels: readonly [number, number, number, number], radius: number, draws: Stream): Figure {
  const angle = draws.range(0, 2 * Math.PI);
  const ink = colorOf(labels[2], draws);
  const dark = draws.range(0.15, 0.5);
  return {
    shape: labels[0],
    texture: labels[1],
    x: 0.19 + (0.62 * ((labels[3] % 3) + draws.uniform())) / 3,
    y: 0.19 + (0.62 * (Math.floor(labels[3] / 3) + draws.uniform())) / 3,
    radius,
    cos: Math.cos(angle),
    sin: Math.sin(angle),
    textureScale: draws.range(2.2, 3.6),
    texturePhase: draws.uniform(),
    ink,
    paper: [ink[0] * dark, ink[1] * dark, ink[2] * dark],
  };
}

/** The scene of (seed, index). */
export function compose(seed: number, index: number): Scene {
  const draws = stream(seed, "picture", index);
  const labels = [draws.int(SHAPES.length), draws.int(TEXTURES.length), draws.int(COLORS.length), draws.int(CELLS.length)] as const;
  const main = figure(labels, draws.range(0.22, 0.38), draws);
  const clutter = Array.from({ length: draws.int(4) }, () => {
    const other = [draws.int(SHAPES.length), 0, draws.int(COLORS.length), draws.int(CELLS.length)] as const;
    return { ...figure(other, draws.range(0.03, 0.08), draws), x: draws.uniform(), y: draws.uniform() };
  });
  const muted = (): Rgb => hsv(draws.uniform(), draws.range(0, 0.45), draws.range(0.2, 0.85));
  const waves = Array.from({ length: 3 }, () => ({ fx: draws.range(-14, 14), fy: draws.range(-14, 14), phase: draws.range(0, 6.3), gain: draws.range(0, 0.06) }));
  return {
    labels,
    figures: [...clutter, main],
    sky: muted(),
    ground: muted(),
    slope: [draws.range(-1, 1), draws.range(-1, 1)],
    waves,
    light: [draws.range(-0.25, 0.25), draws.range(-0.25, 0.25)],
    grain: draws.range(0, 0.04),
  };
}

/** Signed distance, roughly, to a figure of unit size: negative inside. */
function distance(shape: number, x: number, y: number): number {
  const ax = Math.abs(x);
  const ay = Math.abs(y);
  switch (SHAPES[shape]) {
    case "disc":
      return Math.hypot(x, y) - 0.9;
    case "square":
      return Math.max(ax, ay) - 0.78;
    case "triangle":
      return Math.max(ax * 0.866 + y * 0.5, -y) - 0.5;
    case "cross":
      return Math.max(Math.min(ax, ay) - 0.27, Math.max(ax, ay) - 0.95);
    case "ring":
      return Math.abs(Math.hypot(x, y) - 0.7) - 0.25;
    case "bar":
      return Math.max(ax - 1, ay - 0.32);
    case "crescent":
      return Math.max(Math.hypot(x, y) - 0.95, 0.75 - Math.hypot(x - 0.5, y));
    default: {
      const turn = Math.atan2(y, x);
      return Math.hypot(x, y) - (0.66 + 0.34 * Math.cos(5 * turn));
    }
  }
}

/** How much ink (0 paper, 1 ink) a texture has at a point of the figure. */
function ink(texture: number, u: number, v: number, scale: number, phase: number): number {
  const soft = (t: number): number => Math.min(1, Math.max(0, 0.5 + 2.5 * t));
  const a = Math.PI * (u * scale + phase);
  const b = Math.PI * (v * scale + phase);
  switch (TEXTURES[texture]) {
    case "stripes":
      return soft(Math.sin(a));
    case "checks":
      return soft(Math.sin(a) * Math.sin(b) * 2);
    case "dots":
      return soft(Math.cos(a) + Math.cos(b) - 0.6);
    case "rings":
      return soft(Math.sin(Math.PI * (Math.hypot(u, v) * scale * 1.3 + phase)));
    case "noise":
      return soft(Math.sin(a * 1.1 + 2 * Math.sin(b * 0.9)) * Math.cos(b * 1.3 + 1.5 * Math.sin(a * 0.7)) * 2);
    default:
      return 1;
  }
}

function background(scene: Scene, x: number, y: number, out: Float64Array): void {
  let mix = 0.5 + scene.slope[0] * (x - 0.5) + scene.slope[1] * (y - 0.5);
  mix = Math.min(1, Math.max(0, mix));
  let wave = 0;
  for (const { fx, fy, phase, gain } of scene.waves) wave += gain * Math.sin(fx * x + fy * y + phase);
  for (let c = 0; c < 3; c++) out[c] = (scene.sky[c] ?? 0) * mix + (scene.ground[c] ?? 0) * (1 - mix) + wave;
}

/** Draws a scene as `side · side · 3` values of 8 bits; `grain` gives its noise. */
export function paint(scene: Scene, side: number, grain: Stream): Uint8Array {
  const [picture] = paintMoving(scene, scene.figures.slice(-1), side, grain);
  return picture ?? new Uint8Array();
}

/** Draws a scene once for each of `mains`, with that as its main figure; all else, noise included, stays and is reckoned once. */
export function paintMoving(scene: Scene, mains: readonly Figure[], side: number, grain: Stream): Uint8Array[] {
  const behind = new Float64Array(side * side * 3);
  const noise = new Float64Array(side * side * 3);
  const pixel = new Float64Array(3);
  const clutter = scene.figures.slice(0, -1);
  eachPixel(side, (x, y, at) => {
    background(scene, x, y, pixel);
    for (const f of clutter) paintFigure(f, x, y, side, pixel);
    behind.set(pixel, at);
    for (let k = 0; k < 3; k++) noise[at + k] = scene.grain * (grain.uniform() * 2 - 1);
  });
  return mains.map((main) => {
    const data = new Uint8Array(side * side * 3);
    eachPixel(side, (x, y, at) => {
      for (let k = 0; k < 3; k++) pixel[k] = behind[at + k] ?? 0;
      paintFigure(main, x, y, side, pixel);
      const light = 1 + scene.light[0] * (x - 0.5) * 2 + scene.light[1] * (y - 0.5) * 2;
      for (let k = 0; k < 3; k++) data[at + k] = Math.round(255 * Math.min(1, Math.max(0, (pixel[k] ?? 0) * light + (noise[at + k] ?? 0))));
    });
    return data;
  });
}

/** The middle of every pixel, row by row, in parts of the side, and where its values lie. */
function eachPixel(side: number, visit: (x: number, y: number, at: number) => void): void {
  for (let r = 0; r < side; r++) for (let c = 0; c < side; c++) visit((c + 0.5) / side, (r + 0.5) / side, (r * side + c) * 3);
}

function paintFigure(f: Figure, x: number, y: number, side: number, pixel: Float64Array): void {
  const dx = (x - f.x) / f.radius;
  const dy = (y - f.y) / f.radius;
  if (dx * dx + dy * dy > 2.2) return;
  const u = f.cos * dx + f.sin * dy;
  const v = f.cos * dy - f.sin * dx;
  const cover = Math.min(1, Math.max(0, 0.5 - distance(f.shape, u, v) * f.radius * side));
  if (cover === 0) return;
  const amount = ink(f.texture, u, v, f.textureScale, f.texturePhase);
  for (let k = 0; k < 3; k++) {
    const color = (f.ink[k] ?? 0) * amount + (f.paper[k] ?? 0) * (1 - amount);
    pixel[k] = (pixel[k] ?? 0) * (1 - cover) + color * cover;
  }
}
