/**
 * How the tensors of a vision transformer are called and laid out here and in Hugging Face's `IJepaModel`.
 *
 * Owns the one table that export and import both read: for every tensor of the other side its name, its shape, the
 * parameter it comes from and the way of its elements there and back. Linear weights lie `[in, out]` here and `[out, in]`
 * there; a patch is one row `(y, x, channel)` here and a kernel `[out, channel, y, x]` there; queries, keys and values are
 * thirds of one matrix here and three matrices there. Every way is a permutation, so there and back gives the same bits.
 * Which files they lie in is for hf.ts and runtime/import.
 */
import type { Manifest } from "../abi.js";
import { encoderPicture } from "../base/encoder-input.js";
import { HostError } from "../base/errors.js";

/** The numbers of a vision transformer. `image` is the side of a square picture, `hidden` the width inside the MLPs. */
export interface VitSizes {
  readonly image: number;
  readonly patch: number;
  readonly channels: number;
  readonly width: number;
  readonly depth: number;
  readonly hidden: number;
}

/** One tensor of the other side. */
export interface LayoutEntry {
  /** Its name there. */
  readonly key: string;
  /** Its shape there. */
  readonly shape: readonly number[];
  /** The parameter here, without the encoder's name. */
  readonly parameter: string;
  /** The elements there from those here. */
  readonly give: (parameter: Float32Array) => Float32Array;
  /** Puts the elements of there into the parameter here. */
  readonly take: (tensor: Float32Array, parameter: Float32Array) => void;
}

/** An encoder of a program that has the parameters of a standard vision transformer. */
export interface VitLayout {
  readonly encoder: string;
  readonly sizes: VitSizes;
  readonly entries: readonly LayoutEntry[];
  /** The whole name of an entry's parameter in the program. */
  readonly nameOf: (parameter: string) => string;
}

/**
 * The layout of an encoder. Throws `HostError` "mismatch" that says how its parameters differ from those of the library's
 * `vit`, and "usage" when the program has no such encoder.
 */
export function vitLayout(manifest: Pick<Manifest, "parameters" | "encoders" | "inputs">, encoder: string): VitLayout {
  const info = manifest.encoders.find((e) => e.name === encoder);
  if (info === undefined) throw new HostError("usage", `the program has no encoder ${encoder}`, `its encoders are ${manifest.encoders.map((e) => e.name).join(", ") || "none"}`);
  const input = encoderPicture(manifest, info);
  const own = new Map(manifest.parameters.filter((p) => p.group === encoder).map((p) => [p.name.slice(encoder.length + 1), p.shape]));
  const sizeOf = (name: string): number => own.get(name)?.[0] ?? 0;
  if (input === undefined || info.grid === undefined) throw unlike(encoder, ["it does not give one token for every patch of a picture"]);
  if (input.frames !== undefined) throw new HostError("mismatch", `the encoder ${encoder} takes clips of ${input.frames} frames, and IJepaModel takes pictures`, "its weights lie in checkpoint.safetensors of the run, by their names in the program, and its features are what jepac features writes");
  if (input.height !== input.width) throw unlike(encoder, [`its pictures are ${input.height} by ${input.width}, not square`]);
  if (info.grid.across !== undefined) throw unlike(encoder, [`its patches are ${info.grid.patch} by ${info.grid.across} pixels, not square`]);
  const depth = [...own.keys()].filter((name) => /^blocks\.\d+\.norm1\.weight$/.test(name)).length;
  const sizes: VitSizes = { image: input.width, patch: info.grid.patch, channels: input.channels, width: sizeOf("norm.weight"), depth, hidden: sizeOf("blocks.0.mlp.fc1.bias") };
  // In a program of several grids, tables of the later ones have the grid in their name.
  const ownTable = `pos_embed_${info.grid.rows}x${info.grid.cols}`;
  const table = !own.has("pos_embed") && own.has(ownTable) ? ownTable : "pos_embed";
  const problems = differences(new Map([...own].map(([name, shape]) => [name === table ? "pos_embed" : name, shape])), parameterShapes(sizes));
  if (problems.length > 0) throw unlike(encoder, problems);
  return { encoder, sizes, entries: layoutEntries(sizes), nameOf: (parameter) => `${encoder}.${parameter === "pos_embed" ? table : parameter}` };
}

function unlike(encoder: string, problems: readonly string[]): HostError {
  const shown = problems.slice(0, 6);
  const more = problems.length - shown.length;
  return new HostError(
    "mismatch",
    `the encoder ${encoder} is not the library's \`vit\`, which is what IJepaModel computes: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`,
    "export it with --format onnx, which takes any encoder",
  );
}

function differences(own: ReadonlyMap<string, readonly number[]>, wanted: ReadonlyMap<string, readonly number[]>): string[] {
  const missing = [...wanted].flatMap(([name, shape]) => {
    const held = own.get(name);
    if (held === undefined) return [`it has no ${name}`];
    return held.join() === shape.join() ? [] : [`${name} is ${held.join("×")}, not ${shape.join("×")}`];
  });
  return [...missing, ...[...own.keys()].filter((name) => !wanted.has(name)).map((name) => `it has ${name} besides`)];
}

/** The parameters of the library's `vit` and their shapes here. */
function parameterShapes({ image, patch, channels, width, depth, hidden }: VitSizes): Map<string, readonly number[]> {
  const side = Math.floor(image / patch);
  const block: readonly (readonly [string, readonly number[]])[] = [
    ["norm1.weight", [width]], ["norm1.bias", [width]], ["attn.qkv.weight", [width, 3 * width]], ["attn.qkv.bias", [3 * width]],
    ["attn.proj.weight", [width, width]], ["attn.proj.bias", [width]], ["norm2.weight", [width]], ["norm2.bias", [width]],
    ["mlp.fc1.weight", [width, hidden]], ["mlp.fc1.bias", [hidden]], ["mlp.fc2.weight", [hidden, width]], ["mlp.fc2.bias", [width]],
  ];
  return new Map<string, readonly number[]>([
    ["patch_embed.proj.weight", [patch * patch * channels, width]], ["patch_embed.proj.bias", [width]], ["pos_embed", [side * side, width]],
    ...Array.from({ length: depth }, (_, i) => block.map(([name, shape]): [string, readonly number[]] => [`blocks.${i}.${name}`, shape])).flat(),
    ["norm.weight", [width]], ["norm.bias", [width]],
  ]);
}

/** The tensors of `IJepaModel`, in the order of the encoder: `16·depth + 5` of them. */
export function layoutEntries({ image, patch, channels, width, depth, hidden }: VitSizes): LayoutEntry[] {
  const tokens = Math.floor(image / patch) ** 2;
  const plain = (key: string, parameter: string, shape: readonly number[]): LayoutEntry => ({ key, shape, parameter, give: (x) => x.slice(), take: (x, into) => into.set(x) });
  const matrix = (key: string, parameter: string, rows: number, cols: number): LayoutEntry => ({
    key, parameter, shape: [cols, rows], give: (x) => transpose(x, rows, cols), take: (x, into) => into.set(transpose(x, cols, rows)),
  });
  const pair = (key: string, parameter: string, rows: number, cols: number): LayoutEntry[] => [matrix(`${key}.weight`, `${parameter}.weight`, rows, cols), plain(`${key}.bias`, `${parameter}.bias`, [cols])];
  const norm = (key: string, parameter: string): LayoutEntry[] => [plain(`${key}.weight`, `${parameter}.weight`, [width]), plain(`${key}.bias`, `${parameter}.bias`, [width])];
  const block = (i: number): LayoutEntry[] => {
    const [there, here] = [`encoder.layer.${i}`, `blocks.${i}`];
    return [
      ...norm(`${there}.layernorm_before`, `${here}.norm1`),
      ...["query", "key", "value"].flatMap((name, third) => thirdOf(`${there}.attention.attention.${name}`, `${here}.attn.qkv`, width, third)),
      ...pair(`${there}.attention.output.dense`, `${here}.attn.proj`, width, width),
      ...norm(`${there}.layernorm_after`, `${here}.norm2`),
      ...pair(`${there}.intermediate.dense`, `${here}.mlp.fc1`, width, hidden),
      ...pair(`${there}.output.dense`, `${here}.mlp.fc2`, hidden, width),
    ];
  };
  return [
    plain("embeddings.position_embeddings", "pos_embed", [1, tokens, width]),
    kernel("embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight", patch, channels, width),
    plain("embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias", [width]),
    ...Array.from({ length: depth }, (_, i) => block(i)).flat(),
    ...norm("layernorm", "norm"),
  ];
}

/** Rows `(y, x, channel)` here, `[out, channel, y, x]` there. */
function kernel(key: string, parameter: string, patch: number, channels: number, width: number): LayoutEntry {
  const area = patch * patch;
  const walk = (visit: (here: number, there: number) => void): void => {
    for (let out = 0; out < width; out++) {
      for (let c = 0; c < channels; c++) for (let at = 0; at < area; at++) visit((at * channels + c) * width + out, (out * channels + c) * area + at);
    }
  };
  const moved = (x: Float32Array, back: boolean): Float32Array => {
    const result = new Float32Array(x.length);
    walk((here, there) => { result[back ? here : there] = x[back ? there : here] ?? Number.NaN; });
    return result;
  };
  return { key, parameter, shape: [width, channels, patch, patch], give: (x) => moved(x, false), take: (x, into) => into.set(moved(x, true)) };
}

/** Weight and bias of queries (third 0), keys (1) or values (2): columns of one matrix here. */
function thirdOf(key: string, parameter: string, width: number, third: number): LayoutEntry[] {
  const column = third * width;
  const all = 3 * width;
  return [
    {
      key: `${key}.weight`, parameter: `${parameter}.weight`, shape: [width, width],
      give: (x) => Float32Array.from({ length: width * width }, (_, at) => x[(at % width) * all + column + Math.floor(at / width)] ?? Number.NaN),
      take: (x, into) => { for (let at = 0; at < x.length; at++) into[(at % width) * all + column + Math.floor(at / width)] = x[at] ?? Number.NaN; },
    },
    { key: `${key}.bias`, parameter: `${parameter}.bias`, shape: [width], give: (x) => x.slice(column, column + width), take: (x, into) => into.set(x, column) },
  ];
}

function transpose(x: Float32Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(x.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = x[r * cols + c] ?? Number.NaN;
  return out;
}
