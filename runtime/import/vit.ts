/**
 * Foreign weights into the parameters of an encoder, tensor by tensor.
 *
 * Owns the fit: names with and without the prefix of a classifier model, shapes, element types, what `config.json` says
 * against what the tensors are and against what the program is, and position embeddings, which are kept as they are even
 * where they differ from the sine-cosine table. Nothing is interpolated: another resolution has other positions, and that is
 * said. The result is a report and, when all fits, values. Reading files is weights.ts.
 */
import { HostError } from "../base/errors.js";
import { sincos2d } from "../base/positions.js";
import type { StoredTensor, TensorData } from "../base/safetensors.js";
import type { LayoutEntry, VitLayout, VitSizes } from "../export/vit-layout.js";
import type { Weights } from "./weights.js";

/** What became of one tensor. */
export interface TensorFate {
  readonly name: string;
  readonly kind: "taken" | "missing" | "misfit" | "ignored";
  /** Why, or what is to be known of it. */
  readonly note: string;
}

/** The encoder to fill, and facts about it that are not in its parameters. */
export interface ImportTarget {
  readonly layout: VitLayout;
  readonly heads: number;
  readonly eps: number;
}

/** The fate of every tensor of either side, and the encoder's parameters when all of them were found. */
export interface ImportResult {
  readonly fates: readonly TensorFate[];
  /** By parameter name without the encoder's, when everything fits. */
  readonly values: ReadonlyMap<string, Float32Array> | undefined;
}

const PREFIX = "ijepa.";

/** Fits weights to an encoder. Throws `HostError` "mismatch" where `config.json` contradicts the tensors or the program. */
export function fitWeights(weights: Weights, target: ImportTarget): ImportResult {
  const { layout } = target;
  const tensors = stripped(weights.tensors);
  checkConfig(weights.config, tensors, target);
  const fates: TensorFate[] = [];
  const values = new Map<string, Float32Array>();
  for (const entry of layout.entries) {
    const tensor = tensors.get(entry.key);
    // One tensor at a time: weights may be larger than memory would hold twice.
    const data = tensor !== undefined && tensor.shape.join() === entry.shape.join() ? tensor.read() : undefined;
    const fate = fateOf(entry, tensor, data, layout.sizes);
    fates.push(fate);
    if (fate.kind !== "taken" || !(data instanceof Float32Array)) continue;
    const into = values.get(entry.parameter) ?? new Float32Array(parameterSize(layout.entries, entry.parameter));
    entry.take(data, into);
    values.set(entry.parameter, into);
  }
  const known = new Set(layout.entries.map((entry) => entry.key));
  for (const name of tensors.keys()) if (!known.has(name)) fates.push({ name, kind: isEncoderPart(name) ? "misfit" : "ignored", note: unknownNote(name, layout.sizes) });
  return { fates, values: fates.every((f) => f.kind === "taken" || f.kind === "ignored") ? values : undefined };
}

/** What is said of a tensor with NaN or infinity in it. */
export const NOT_FINITE = "it holds values that are not finite";

/** The names of a bare model; a model with a classifier has `ijepa.` before the encoder's. */
function stripped(tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const inner = [...tensors.keys()].some((name) => name.startsWith(PREFIX));
  return new Map([...tensors].map(([name, tensor]) => [inner && name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name, tensor]));
}

function parameterSize(entries: readonly LayoutEntry[], parameter: string): number {
  return entries.filter((e) => e.parameter === parameter).reduce((n, e) => n + e.shape.reduce((a, b) => a * b, 1), 0);
}

function fateOf(entry: LayoutEntry, tensor: StoredTensor | undefined, data: TensorData | undefined, sizes: VitSizes): TensorFate {
  const name = entry.key;
  if (tensor === undefined) return { name, kind: "missing", note: `the file has no such tensor; the program needs ${entry.shape.join("×")}` };
  if (tensor.shape.join() !== entry.shape.join()) return { name, kind: "misfit", note: `it is ${tensor.shape.join("×") || "a scalar"}, the program's encoder needs ${entry.shape.join("×")}${entry.parameter === "pos_embed" ? " (positions of another grid are not interpolated)" : ""}` };
  if (!(data instanceof Float32Array)) return { name, kind: "misfit", note: `its elements are ${tensor.dtype}; weights are F32, F16 or BF16` };
  if (!data.every(Number.isFinite)) return { name, kind: "misfit", note: NOT_FINITE };
  return { name, kind: "taken", note: entry.parameter === "pos_embed" ? positionNote(data, sizes) : tensor.dtype === "F32" ? "" : `${tensor.dtype}, widened to float32` };
}

/** Half of a unit in the last place of bfloat16 is the most that storing a table can have moved it. */
const TABLE_ERROR = 2 ** -8;

function positionNote(values: Float32Array, { image, patch, width }: VitSizes): string {
  const side = Math.floor(image / patch);
  const table = sincos2d(side, side, width);
  const apart = table.reduce((most, x, i) => Math.max(most, Math.abs(x - (values[i] ?? Number.NaN))), 0);
  if (apart === 0) return "the sine-cosine table";
  return apart < TABLE_ERROR ? `the sine-cosine table to ${apart.toExponential(0)}; kept as they are` : `not the sine-cosine table (${apart.toPrecision(2)} apart at most); kept as they are`;
}

function isEncoderPart(name: string): boolean {
  return name.startsWith("encoder.layer.") || name.startsWith("embeddings.");
}

function unknownNote(name: string, { depth }: VitSizes): string {
  const layer = Number(/^encoder\.layer\.(\d+)\./.exec(name)?.[1] ?? Number.NaN);
  if (layer >= depth) return `a tensor of layer ${layer}; the program's encoder has ${depth} layers`;
  if (isEncoderPart(name)) return "a part of the encoder that the program's does not have";
  return name.startsWith("classifier.") ? "a classifier, which is not part of the encoder" : "not part of the encoder";
}

/** What a configuration may say, what that is called, and where the same number shows in tensors and program. */
function checkConfig(config: Weights["config"], tensors: ReadonlyMap<string, StoredTensor>, { layout: { sizes }, heads, eps }: ImportTarget): void {
  if (config === undefined) return;
  const shape = (name: string): readonly number[] | undefined => tensors.get(name)?.shape;
  const layers = new Set([...tensors.keys()].flatMap((name) => /^encoder\.layer\.(\d+)\./.exec(name)?.[1] ?? [])).size;
  const tokens = shape("embeddings.position_embeddings")?.[1];
  const [image, patch] = [config["image_size"], config["patch_size"]];
  const says = typeof image === "number" && typeof patch === "number" && patch > 0 ? Math.floor(image / patch) ** 2 : undefined;
  const rows: readonly (readonly [field: string, inTensors: number | undefined, inProgram: unknown])[] = [
    ["model_type", undefined, "ijepa"],
    ["hidden_size", shape("layernorm.weight")?.[0], sizes.width],
    ["num_hidden_layers", layers === 0 ? undefined : layers, sizes.depth],
    ["intermediate_size", shape("encoder.layer.0.intermediate.dense.bias")?.[0], sizes.hidden],
    ["patch_size", shape("embeddings.patch_embeddings.projection.weight")?.[2], sizes.patch],
    ["num_channels", shape("embeddings.patch_embeddings.projection.weight")?.[1], sizes.channels],
    ["image_size", undefined, sizes.image],
    ["num_attention_heads", undefined, heads],
    ["layer_norm_eps", undefined, eps],
    ["hidden_act", undefined, "gelu"],
    ["qkv_bias", undefined, true],
  ];
  for (const [field, inTensors] of rows) {
    const said = config[field];
    if (said !== undefined && inTensors !== undefined && said !== inTensors) throw contradiction(`config.json says ${field} ${JSON.stringify(said)}, the tensors have ${inTensors}`);
  }
  if (says !== undefined && tokens !== undefined && says !== tokens) throw contradiction(`config.json says pictures of ${String(image)} in patches of ${String(patch)}, which are ${says} positions; the tensors have ${tokens}`);
  for (const [field, , inProgram] of rows) {
    const said = config[field];
    if (said !== undefined && said !== inProgram) throw new HostError("mismatch", `config.json says ${field} ${JSON.stringify(said)}, the program's encoder has ${JSON.stringify(inProgram)}`, "change the program's numbers to those of the weights, or import other weights");
  }
}

function contradiction(what: string): HostError {
  return new HostError("mismatch", `the weights contradict their own description: ${what}`, "get the folder again from where it came; its files do not belong together");
}
