/**
 * An encoder as the two files that `transformers.IJepaModel.from_pretrained` reads, and one for its image processor.
 *
 * Owns their content: `config.json`, `model.safetensors` (float32, names of the format's own layout) and
 * `preprocessor_config.json` with the mean and deviation the encoder was trained with (a default processor has others). The
 * metadata of the tensors say which encoder of which program at which step this is. No clock and no machine name goes in.
 * Writing to disk is for the caller.
 */
import type { Manifest } from "../abi.js";
import { HostError } from "../base/errors.js";
import { writeSafetensors } from "../base/safetensors.js";
import type { VitLayout } from "./vit-layout.js";

/** One file to write. */
export interface ExportFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

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
    const name = `${layout.encoder}.${entry.parameter}`;
    const values = state.get(name);
    if (values === undefined) throw new HostError("mismatch", `the checkpoint has no ${name}`, "it was made from another version of the program");
    return { name: entry.key, shape: entry.shape, data: entry.give(values) };
  });
  return [
    { path: "config.json", bytes: json(config(job)) },
    { path: "model.safetensors", bytes: writeSafetensors(tensors, metadata(job)) },
    { path: "preprocessor_config.json", bytes: json(processor(job)) },
  ];
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
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
  return {
    image_processor_type: "ViTImageProcessor",
    do_resize: true,
    size: { height: sizes.image, width: sizes.image },
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: manifest.train.mean,
    image_std: manifest.train.std,
  };
}
