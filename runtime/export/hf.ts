/**
 * An encoder as the two files that `transformers.IJepaModel.from_pretrained` reads, and one for its image processor.
 *
 * Owns their content: `config.json`, `model.safetensors` (float32, names of the format's own layout; several files with an
 * index where one would be too large) and
 * `preprocessor_config.json` with the mean and deviation the encoder was trained with (a default processor has others). The
 * metadata of the tensors say which encoder of which program at which step this is. No clock and no machine name goes in.
 * Writing to disk is for the caller.
 */
import type { Manifest } from "../abi.js";
import { isNumbers } from "../base/data-kinds.js";
import { HostError } from "../base/errors.js";
import { safetensorsParts } from "../base/safetensors.js";
import type { TensorToMake } from "../base/safetensors.js";
import type { VitLayout } from "./vit-layout.js";

/** One file to write: its bytes in parts, made when they are asked for. */
export interface ExportFile {
  readonly path: string;
  readonly parts: Iterable<Uint8Array>;
}

/** Most bytes of tensors in one file unless said; beyond, there are shards with an index, as the transformers library writes them. */
const defaultShardBytes = 5e9;

/** Names of files with weights that an export may have left in a folder. */
export const weightFile = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;

/** What an exported encoder is, beside its layout. */
export interface HfExport {
  readonly manifest: Pick<Manifest, "program" | "compiler" | "source" | "train" | "ema">;
  readonly layout: VitLayout;
  /** From the encoder's attention. */
  readonly heads: number;
  /** Of its layer norms. */
  readonly eps: number;
  /** Parameters by name, of the whole program. */
  readonly state: ReadonlyMap<string, Float32Array>;
  readonly step: number;
  /** Most bytes of tensors in one file; {@link defaultShardBytes} unless given. */
  readonly shardBytes?: number;
}

/** The encoder that a paper would evaluate: the moving average where the program has one, else the first encoder. */
export function defaultEncoder(manifest: Pick<Manifest, "ema" | "encoders">): string {
  const target = manifest.ema.find((edge) => manifest.encoders.some((e) => e.name === edge.target))?.target;
  const name = target ?? manifest.encoders[0]?.name;
  if (name === undefined) throw new HostError("mismatch", "the program has no encoder that can be run alone", "export another program");
  return name;
}

/** The files. Throws `HostError` "mismatch" when a parameter is missing from the state. */
export function hfFiles(job: HfExport): ExportFile[] {
  const { layout, state } = job;
  const tensors = layout.entries.map((entry) => {
    const name = layout.nameOf(entry.parameter);
    const values = state.get(name);
    if (values === undefined) throw new HostError("mismatch", `the checkpoint has no ${name}`, "it was made from another version of the program");
    return { name: entry.key, shape: entry.shape, dtype: "F32", length: entry.shape.reduce((a, b) => a * b, 1), make: () => entry.give(values) } satisfies TensorToMake;
  });
  return [
    { path: "config.json", parts: json(config(job)) },
    ...weightFiles(tensors, metadata(job), job.shardBytes ?? defaultShardBytes),
    { path: "preprocessor_config.json", parts: json(processor(job)) },
  ];
}

/** One file where the tensors fit it, else shards in their order and the index that says where each tensor is. */
function weightFiles(tensors: readonly TensorToMake[], words: Readonly<Record<string, string>>, most: number): ExportFile[] {
  const shards: TensorToMake[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = 4 * tensor.length;
    // A tensor larger than a shard has one of its own.
    if (bytes > room) {
      shards.push([]);
      room = most;
    }
    shards.at(-1)?.push(tensor);
    room -= bytes;
  }
  if (shards.length <= 1) return [{ path: "model.safetensors", parts: safetensorsParts(tensors, words) }];
  const name = (i: number): string => `model-${String(i + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
  const map = Object.fromEntries(shards.flatMap((shard, i) => shard.map((t) => [t.name, name(i)])));
  const index = { metadata: { total_size: tensors.reduce((n, t) => n + 4 * t.length, 0) }, weight_map: map };
  return [...shards.map((shard, i) => ({ path: name(i), parts: safetensorsParts(shard, words) })), { path: "model.safetensors.index.json", parts: json(index) }];
}

function json(value: object): Uint8Array[] {
  return [new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`)];
}

function config({ layout: { sizes }, heads, eps }: HfExport): object {
  return {
    architectures: ["IJepaModel"],
    model_type: "ijepa",
    hidden_size: sizes.width,
    num_hidden_layers: sizes.depth,
    num_attention_heads: heads,
    intermediate_size: sizes.hidden,
    mlp_ratio: sizes.hidden / sizes.width,
    hidden_act: "gelu",
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    initializer_range: 0.02,
    layer_norm_eps: eps,
    image_size: sizes.image,
    patch_size: sizes.patch,
    num_channels: sizes.channels,
    qkv_bias: true,
    torch_dtype: "float32",
  };
}

/** `format: "pt"` is what transformers asks for; the rest says where the weights come from. */
function metadata({ manifest, layout, step }: HfExport): Record<string, string> {
  const averages = manifest.ema.find((edge) => edge.target === layout.encoder);
  return {
    format: "pt",
    "jepac.compiler": manifest.compiler,
    "jepac.encoder": layout.encoder,
    "jepac.encoder_is": averages === undefined ? "trained by gradient" : `moving average of ${averages.source}`,
    "jepac.program": manifest.program,
    "jepac.source": manifest.source.hash,
    "jepac.step": String(step),
  };
}

function processor({ manifest, layout: { sizes } }: HfExport): object {
  // Means of arrays are in the arrays' own units.
  const numbers = isNumbers(manifest.train.data);
  return {
    image_processor_type: "ViTImageProcessor",
    do_resize: true,
    size: { height: sizes.image, width: sizes.image },
    resample: 2,
    do_rescale: !numbers,
    ...(numbers ? {} : { rescale_factor: 1 / 255 }),
    do_normalize: true,
    image_mean: manifest.train.mean,
    image_std: manifest.train.std,
  };
}
