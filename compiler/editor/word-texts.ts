/**
 * What the language's own words mean, for hovers: settings, data, augmentations, kinds of masks and probes, schedules, starts of
 * parameters, spaces. // tidy: table
 *
 * Owns one line for each word and how it is written with what it takes unless said. Losses and built-ins tell of themselves
 * (`model/losses.ts`, `check/builtins.ts`). A test holds the words against those that the checker knows, and the calls against docs/language.md.
 */

/** How a word is written, and what it means. */
export interface WordText {
  readonly usage: string;
  readonly text: string;
}

export const wordTexts: Readonly<Record<string, WordText>> = {
  data: { usage: "data images(\"folder\")", text: "What is trained on: `images`, `videos`, `arrays`, or generated `shapes` or `waves`, with augmentations and `normalize` in braces behind it. Generated pictures unless said." },
  epochs: { usage: "epochs 1", text: "The length of the run, in passes over the data. One of `epochs` and `steps`." },
  steps: { usage: "steps 1000", text: "The length of the run, in steps. One of `epochs` and `steps`." },
  batch: { usage: "batch 64", text: "Images a step." },
  accumulate: { usage: "accumulate 1", text: "Parts that the batch runs in, one after the other, with their gradients added: the step of the whole batch, in less memory. Refused where images are compared with each other." },
  recompute: { usage: "recompute blocks", text: "What the backward pass makes again rather than keep: same numbers, less memory, about a third more work. For `--target wgsl`." },
  seed: { usage: "seed 0", text: "Of every random draw." },
  optimizer: { usage: "optimizer adamw(beta1: 0.9, beta2: 0.999, eps: 1e-8)", text: "How gradients become steps: `adamw`, `sgd` or `lars`." },
  learning_rate: { usage: "learning_rate cosine(1e-4 -> 1e-3 -> 1e-6, warmup: 10 epochs)", text: "A number or a schedule; 1e-3 unless said." },
  weight_decay: { usage: "weight_decay 0.05", text: "A number or a schedule; not on biases and other one-dimensional parameters." },
  gradient_clip: { usage: "gradient_clip 1.0", text: "The largest norm of all gradients together; none unless said." },
  checkpoint_every: { usage: "checkpoint_every 1 epochs", text: "How often a run is written, so that it can be gone on with." },
  on_collapse: { usage: "on_collapse warn", text: "What a run does where its watch on the features sees a collapse: `warn` and go on, or `stop`." },
  shapes: { usage: "shapes(count: 4096)", text: "Generated pictures of shapes, for a `Video` generated clips; so many of them." },
  images: { usage: "images(\"folder\", on_corrupt: skip, on_small: scale)", text: "A folder of pictures; sub-folders are classes, for probes and labels. `bands: [4, 3, 2]` takes some bands of each file." },
  videos: { usage: "videos(\"folder\", every: 1, on_short: skip)", text: "A folder of films, for a `Video`: a sub-folder with the frames of each, or animated pictures. Every so many frames of a film one is taken." },
  arrays: { usage: "arrays(\"folder\", on_corrupt: skip, on_small: refuse)", text: "NumPy's arrays, numbers as they stand: a folder of `.npy` files with a sample in each (sub-folders are classes), or one file whose first axis counts samples." },
  waves: { usage: "waves(count: 4096)", text: "Generated signals for an `Image[1, length, channels]`: a wave over drift and noise, with form, rate and place to probe." },
  normalize: { usage: "normalize(mean: […], std: […])", text: "What shades from 0 to 1 are shifted and divided by, a value for each channel; ImageNet's unless said. Of `arrays` in their own units." },
  adamw: { usage: "adamw(beta1: 0.9, beta2: 0.999, eps: 1e-8)", text: "Adam with decoupled weight decay (Loshchilov and Hutter, 2019)." },
  sgd: { usage: "sgd(momentum)", text: "Stochastic gradient descent with momentum." },
  lars: { usage: "lars(momentum, trust)", text: "Layer-wise adaptive rate scaling (You et al., 2017), as SimSiam's and Barlow Twins' large batches use it." },
  blocks: { usage: "recompute blocks", text: "The backward pass makes the inside of each repeated block again instead of keeping it." },
  warn: { usage: "on_collapse warn", text: "Says that features collapse, and trains on." },
  stop: { usage: "on_collapse stop", text: "Ends a run whose features collapse." },
  cosine: { usage: "cosine(start -> peak -> final, warmup: 40 epochs)", text: "A schedule: along half a cosine, from its first to its last value, or after a linear warm-up from the peak to the final one." },
  random_resized_crop: { usage: "random_resized_crop(scale: 0.08..1, aspect: 3/4..4/3)", text: "A window of a random share of the area and a random aspect, resized to the view (torchvision's RandomResizedCrop)." },
  random_crop: { usage: "random_crop", text: "A part of the view's size anywhere in a larger picture or array, without scaling (torchvision's RandomCrop)." },
  resize: { usage: "resize", text: "The whole picture, resized to the view." },
  center_crop: { usage: "center_crop", text: "The largest centered part of the view's shape, resized to it." },
  flip: { usage: "flip(p: 0.5)", text: "Mirrors left to right, with probability `p`." },
  color_jitter: { usage: "color_jitter(brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1, p: 0.8)", text: "Changes brightness, contrast, saturation and hue by random factors, in random order (torchvision's ColorJitter)." },
  grayscale: { usage: "grayscale(p: 0.2)", text: "Leaves the luma alone, with probability `p`." },
  blur: { usage: "blur(p: 0.5, radius: 0.1..2)", text: "A Gaussian blur whose standard deviation in pixels is drawn from `radius`." },
  solarize: { usage: "solarize(p: 0.2, threshold: 0.5)", text: "Inverts what is brighter than `threshold`, a share of white." },
  block: { usage: "block(scale: 0.15..0.2, aspect: 0.75..1.5)", text: "A mask: a rectangle of the grid; `scale` is its share of it, `aspect` its height over its width (I-JEPA 3)." },
  random: { usage: "random(0.5)", text: "A mask: so large a share of the grid, anywhere." },
  rasterized: { usage: "rasterized", text: "A mask: one quarter of the grid (I-JEPA table 6)." },
  quadrant: { usage: "quadrant", text: "A mask: one quarter of the grid, as `rasterized`." },
  all: { usage: "all", text: "A mask: every position." },
  linear: { usage: "linear(on: teacher, pool: mean)", text: "A probe: a linear classifier on frozen features, trained when the run is done." },
  knn: { usage: "knn(on: teacher, k: 20)", text: "A probe: the vote of the nearest neighbors among frozen features." },
  attentive: { usage: "attentive(on: teacher, heads: 3, epochs: 20, learning_rate: 1e-3, weight_decay: 0.01)", text: "A probe: a learned query that attends to all tokens of a frozen encoder, an MLP and a linear classifier (V-JEPA), trained by AdamW. Unless said, heads have 32 features or more, and a small training set has more epochs: 400 steps of 64." },
  zeros: { usage: "zeros", text: "A parameter that starts at 0." },
  ones: { usage: "ones", text: "A parameter that starts at 1." },
  constant: { usage: "constant(value)", text: "A parameter that starts at one value." },
  normal: { usage: "normal(std)", text: "A parameter that starts at draws of a normal distribution." },
  trunc_normal: { usage: "trunc_normal(std, cut)", text: "A parameter that starts at draws of a normal distribution, cut off at so many deviations." },
  uniform: { usage: "uniform(low, high)", text: "A parameter that starts at draws between two values." },
  xavier_uniform: { usage: "xavier_uniform", text: "A parameter that starts at draws between ± √(6 / (inputs + outputs)) (Glorot and Bengio, 2010)." },
  pixels: { usage: "in pixels", text: "The space of what is seen: patches of pictures and of clips." },
  latent: { usage: "in latent(teacher)", text: "The space of an encoder's features." },
  logits: { usage: "in logits", text: "The space of unnormalized scores over classes or prototypes." },
  labels: { usage: "in labels", text: "The space of rows with a one at a class." },
  actions: { usage: "in actions", text: "The space of actions." },
  tokens: { usage: "in tokens", text: "The space of codes of a tokenizer." },
};
