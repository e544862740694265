/**
 * Words of other libraries, for what has another name here.
 *
 * Owns the list, so that who writes `MSELoss` or `lr` from habit is told the word of this language, and not a neighbor by
 * spelling or nothing. Leaves the report, and which words are known in a place, to the caller.
 */
const said: Readonly<Record<string, string>> = {
  // Losses, as PyTorch and papers name them.
  mseloss: "mse", mse_loss: "mse", l1loss: "l1", l1_loss: "l1", smoothl1loss: "smooth_l1", smooth_l1_loss: "smooth_l1", huber: "smooth_l1", huber_loss: "smooth_l1", huberloss: "smooth_l1",
  crossentropyloss: "cross_entropy", infonce: "info_nce", nt_xent: "info_nce", ntxent: "info_nce", barlow_twins: "barlow",
  // Functions and modules.
  detach: "stopgrad", stop_gradient: "stopgrad", stop_grad: "stopgrad", layernorm: "layer_norm", batchnorm: "batch_norm", batchnorm1d: "batch_norm", multiheadattention: "attention", avgpool: "pool", mean_pool: "pool", cat: "concat", l2norm: "l2_normalize",
  // Settings of `train`.
  lr: "learning_rate", wd: "weight_decay", batch_size: "batch", bs: "batch", num_epochs: "epochs", max_epochs: "epochs", max_steps: "steps", num_steps: "steps", grad_clip: "gradient_clip", clip_grad: "gradient_clip", dataset: "data", npy: "arrays", numpy: "arrays", array: "arrays", signals: "arrays", opt: "optimizer", cosine_annealing: "cosine", cosineannealinglr: "cosine", warmup_cosine: "cosine", cosine_schedule: "cosine",
  // Augmentations.
  randomcrop: "random_crop", randomresizedcrop: "random_resized_crop", horizontal_flip: "flip", random_horizontal_flip: "flip", randomhorizontalflip: "flip", hflip: "flip", gaussian_blur: "blur", gaussianblur: "blur", colorjitter: "color_jitter",
  random_grayscale: "grayscale", randomgrayscale: "grayscale", randomsolarize: "solarize", centercrop: "center_crop",
  // Arguments of transformers.
  num_heads: "heads", n_heads: "heads", nhead: "heads", embed_dim: "width", dim: "width", hidden_size: "width", d_model: "width", layers: "depth", num_layers: "depth", n_layers: "depth", num_hidden_layers: "depth", mlp_ratio: "ratio", patch_size: "patch",
  out_features: "out", output_dim: "out", hidden_dim: "hidden", mlp_dim: "hidden", k_neighbors: "k",
};

/** What `word` of another library is called here, where that is one of `known`. */
export function otherWord(word: string, known: Iterable<string>): string | undefined {
  const here = Object.hasOwn(said, word.toLowerCase()) ? said[word.toLowerCase()] : undefined;
  return here !== undefined && [...known].includes(here) ? here : undefined;
}
