/**
 * The contract between compiled programs and the runtime: types only, no code.
 *
 * Owns the shape of `manifest.json`, of the module a target emits, and of the engine that runs it. The compiler imports
 * this file (and nothing else of the runtime); the runtime imports nothing of the compiler, so a compiled trainer runs
 * without it. Everything here is plain data that survives JSON, except the functions of compiled modules and engines.
 * Units: images are float32 NHWC, clips NTHWC; mask indices are int32 raster positions on a patch grid (`row * cols + column`, with
 * frames `(frame * rows + row) * cols + column`).
 */

/** Version of this contract; a manifest of another version is refused with a message that says so. */
export type FormatVersion = 1;

/** Everything a runtime needs to know of a compiled program. */
export interface Manifest {
  readonly format: FormatVersion;
  readonly program: string;
  readonly doc: string;
  readonly compiler: string;
  readonly target: "tfjs" | "wgsl";
  /** What activations and copies of weights are stored as; f32 unless said. */
  readonly precision?: "f16";
  /** SHA-256 of the canonical source text; a checkpoint of another hash is refused unless told otherwise. */
  readonly source: { readonly file: string; readonly hash: string };
  /** SHA-256 of the files that a run reads beside the manifest (the module, the plan, its kernels), by name; absent where nobody has written them. */
  readonly files?: Readonly<Record<string, string>>;
  readonly parameters: readonly Parameter[];
  readonly inputs: readonly ImageInput[];
  /** What comes with each picture or clip beside its pixels; absent where a program takes nothing else. */
  readonly numbers?: readonly NumberInput[];
  readonly views: readonly ViewSpec[];
  readonly masks: readonly MaskSpec[];
  /** Random tensors that a step takes as input (projections, noise), drawn by counter-based streams. */
  readonly draws: readonly DrawSpec[];
  readonly encoders: readonly EncoderInfo[];
  readonly ema: readonly EmaEdge[];
  /** Modules whose parameters are read from a file at the start of a run; absent where all begin by their initializers. */
  readonly pretrained?: readonly PretrainedSpec[];
  readonly losses: readonly LossInfo[];
  readonly watches: readonly Watch[];
  readonly monitors: readonly MonitorSpec[];
  readonly train: TrainConfig;
  readonly probes: readonly ProbeSpec[];
  /** `allow` statements of the program: refusals that the author turned into warnings, with the reason. */
  readonly allowed: readonly { readonly what: string; readonly reason: string; readonly codes: readonly string[] }[];
  readonly counts: { readonly parameters: number; readonly trainable: number; readonly flopsPerImage: number };
}

/** One tensor with a name, e.g. `student.blocks.3.attn.qkv.weight`; linear weights are stored `[in, out]`. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** The module instance that owns it: `student`, `predict`. */
  readonly group: string;
  readonly role: "trained" | "ema" | "fixed" | "state";
  /** Whether weight decay applies: matrices and tokens yes; one-dimensional tensors and biases no (I-JEPA 1.6). */
  readonly decay: boolean;
  readonly init: Initializer;
  /** For `ema`: the name of the parameter it follows (and starts as a copy of). */
  readonly follows?: string;
}

/** How a parameter begins. */
export type Initializer =
  | { readonly kind: "zeros" }
  | { readonly kind: "ones" }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal"; readonly std: number }
  /** Normal cut at `±cut` (absolute), by rejection. */
  | { readonly kind: "trunc_normal"; readonly std: number; readonly cut: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  /** Rows of length 1 in random directions: normal numbers, each row of the last axis over its length. */
  | { readonly kind: "unit_rows" }
  /** `xavier` over the last two axes. */
  | { readonly kind: "xavier_uniform" }
  /** Two-dimensional sine-cosine table (I-JEPA 1.2): first half codes the column, second half the row; with `frames`, the same for each. */
  | { readonly kind: "sincos2d"; readonly rows: number; readonly cols: number; readonly frames?: number }
  /** Three-dimensional sine-cosine table (V-JEPA): in this order frames, rows and columns. */
  | { readonly kind: "sincos3d"; readonly frames: number; readonly rows: number; readonly cols: number }
  /** Turns of rotary positions (RoFormer, eq. 15): cosines, then sines, with the same number of frequencies for each axis of `sides`, frames first. */
  | { readonly kind: "rotary"; readonly sides: readonly number[]; readonly base: number };

/** Pictures that a program takes: `[height, width, channels]` in pixels; with `frames`, clips `[frames, height, width, channels]`. */
export interface ImageInput {
  readonly name: string;
  readonly frames?: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/**
 * Numbers that come with a picture or clip: an action `[size]`, actions over time `[moments, size]` (the one at `t` leads from
 * frame `t` to the next), or the one-hot row of a label `[classes]`.
 */
export interface NumberInput {
  readonly name: string;
  readonly kind: "action" | "label";
  readonly shape: readonly number[];
}

/** One augmented copy of an input that a step takes; a program without `view` has one per input, of the same name. All frames of a clip are augmented alike. */
export interface ViewSpec {
  readonly name: string;
  readonly input: string;
  readonly frames?: number;
  readonly height: number;
  readonly width: number;
  readonly transforms: readonly Transform[];
}

/** One step of augmentation: `{ name: "random_resized_crop", args: { scale: [0.3, 1] } }`. */
export interface Transform {
  readonly name: string;
  readonly args: Readonly<Record<string, number | string | boolean | readonly number[]>>;
}

/** A set of grid positions drawn anew for every image and step. */
export interface MaskSpec {
  readonly name: string;
  /** With `frames`, blocks, quadrants and what they are taken out of go through all of them; random positions are drawn among all. */
  readonly grid: { readonly rows: number; readonly cols: number; readonly frames?: number };
  readonly kind: "block" | "random" | "rasterized" | "complement" | "all";
  /** How many sets per image (4 target blocks). Index tensors are `[count * B, K]`, set-major. */
  readonly count: number;
  /** Area of a block as a share of the grid. */
  readonly scale: readonly [number, number];
  /** Height over width of a block. */
  readonly aspect: readonly [number, number];
  /** Share of positions in a `random` mask. */
  readonly ratio: readonly [number, number];
  /** A draw is kept only when it has more than this many positions. */
  readonly minKeep: number;
  /** Masks whose positions are taken out of this one. */
  readonly minus: readonly string[];
  /** `published`: the sampler of the I-JEPA release with its quirks; `corrected`: see docs/masks.md. */
  readonly sampler: "published" | "corrected";
  readonly allowOverlap: boolean;
  /** How rows are cut to the batch minimum: the raster tail (published) or at random. */
  readonly trim: "tail" | "random";
  /** Rows are cut to the shortest of every so many images, instead of the batch's: what a release with so many on each GPU does. */
  readonly trimGroup?: number;
  /** Other masks are made of it, and no step reads it: it is sampled, and not given to a module. */
  readonly unread?: true;
}

/** Random numbers that a step needs from the host, by the program's seed and the step. */
export interface DrawSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly distribution: "normal" | "uniform";
}

/** An encoder that can be run alone on images: for probes, features and export. */
export interface EncoderInfo {
  readonly name: string;
  /** The input whose pictures it takes, or the view where the program applies it only to a view of another size. */
  readonly input: string;
  /** The size of those pictures, where `input` is a view. */
  readonly size?: Omit<ImageInput, "name">;
  readonly width: number;
  /** Tokens per image, 0 when the encoder pools by itself. */
  readonly tokens: number;
  /** Positions of its tokens; `patch` is a patch's side in pixels, or its height where `across` says another width. */
  readonly grid: { readonly rows: number; readonly cols: number; readonly patch: number; readonly across?: number; readonly frames?: number } | undefined;
  readonly trained: boolean;
  /** A hash of what it computes, names left out: encoders of one hash give the same features of the same parameters. */
  readonly computes?: string;
}

/** `target ← m·target + (1 − m)·source` after every optimizer step, with the updated source. */
export interface EmaEdge {
  readonly target: string;
  readonly source: string;
  readonly momentum: Schedule;
}

/** A module that begins with parameters that others trained. Frozen or not is said by their roles. */
export interface PretrainedSpec {
  /** The parameter group. */
  readonly module: string;
  /** A file or a folder, as the program writes it: see runtime/train/pretrained.ts for where it is looked for. */
  readonly path: string;
  /** What it is called in that file, its own name unless said; only a run's checkpoint has several. */
  readonly name?: string;
  /** For an encoder that is the library's `vit`, what no parameter shows of it: then weights in the layout of transformers are taken as well. */
  readonly vit?: { readonly heads: number; readonly eps: number };
}

/** A term of the objective: what it is, its weight at the start, and what the checker said of it. */
export interface LossInfo {
  readonly name: string;
  readonly kind: string;
  readonly weight: number;
  /** The course of a weight that changes over training; read at the 0-based step, so that the first one has the first value. */
  readonly course?: Schedule;
  /** Values at which this loss says "collapsed" or "nothing learned" (ln K, −1, 0, 0.4247); empty where none is known. */
  readonly trivial: readonly TrivialValue[];
  readonly verdict: string;
}

/** A value that a loss has without anything being learned, and of what it is the value. */
export interface TrivialValue {
  readonly value: number;
  /** Sides that are constant; all rows of one code; all codes alike (ln K); a prediction of 0 for normalized targets; such targets known exactly. */
  readonly of: "constant" | "one code" | "uniform codes" | "no prediction" | "foreseen";
}

/**
 * Features that a step can hand back for the live collapse signals: of an encoder pooled over tokens, `[B, width]` (over
 * images); for encoders of tokens, the mean token of all images at each position, `[tokens, width]` (over positions); and
 * for encoders that are held by balanced codes, the mean code of the batch, `[1, width]` (over codes).
 */
export interface Watch {
  readonly name: string;
  readonly width: number;
  readonly over: "images" | "positions" | "codes";
  /** Over positions and codes: the watch over images that it belongs to. */
  readonly of?: string;
}

/** What is watched while a program trains, and when that is an alarm. */
export interface MonitorSpec {
  readonly kind: "embedding-std" | "token-std" | "effective-rank" | "loss-trivial" | "teacher-distance" | "code-entropy" | "gradient-norm" | "mask-overlap";
  /** The watch, group, target or mask that it looks at; all of its kind where absent. */
  readonly watch: string | undefined;
  readonly loss: string | undefined;
  /** loss-trivial: the value that it must not stay within the threshold of. */
  readonly trivial?: TrivialValue;
  readonly threshold: number;
  /** loss-trivial, as shares of the way from the first value to the trivial one: what may be left of it where that is more than the threshold, and what must not be left even within it. */
  readonly share?: number;
  readonly most?: number;
  /** How many steps in a row the alarm must hold; in a short run a quarter of it, unless it is patient. */
  readonly steps: number;
  readonly patient?: true;
  readonly because: string;
}

/** A length of training. */
export type Duration = { readonly unit: "epochs" | "steps"; readonly value: number };

/** Values over a run; `points` are start, (peak,) end. See runtime/optim/schedule.ts for the exact formulas (I-JEPA 4.1). */
export interface Schedule {
  readonly kind: "constant" | "linear" | "cosine" | "warmup_cosine";
  readonly points: readonly number[];
  readonly warmup: Duration | undefined;
  /** Horizon over run length (`ipe_scale`), 1 unless said. */
  readonly stretch: number;
}

/** Where pictures or clips come from: a folder, or shapes that are drawn as they are asked for. */
export type DataConfig =
  | {
      readonly kind: "images";
      readonly path: string;
      readonly onCorrupt: "skip" | "refuse";
      /** What happens to pictures smaller than a view in some direction. */
      readonly onSmall: "scale" | "skip" | "refuse";
      /** Bands of a file to take, counted from 1, one for each channel; all unless said. */
      readonly bands?: readonly number[];
    }
  /** Shapes; for a program that takes clips, shapes that move, with the actions that move them. */
  | { readonly kind: "synthetic"; readonly count: number }
  /** Generated signals: waves over noise. */
  | { readonly kind: "waves"; readonly count: number }
  /** Numbers as they stand, of NumPy's files; `normalize` is in their units. */
  | { readonly kind: "arrays"; readonly path: string; readonly onCorrupt: "skip" | "refuse"; readonly onSmall: "scale" | "skip" | "refuse" }
  | {
      readonly kind: "videos";
      readonly path: string;
      /** Every so many frames of a film one is taken; 1 unless said. */
      readonly every: number;
      readonly onCorrupt: "skip" | "refuse";
      readonly onSmall: "scale" | "skip" | "refuse";
      /** What happens to films with fewer frames than a clip takes. */
      readonly onShort: "skip" | "refuse";
      readonly bands?: readonly number[];
    };

/** The recipe, as the program says it. */
export interface TrainConfig {
  readonly data: DataConfig;
  readonly duration: Duration;
  readonly batch: number;
  /** Parts that the batch runs in, one after the other, with their gradients added; 1 unless said. */
  readonly accumulate?: number;
  /** No value of an image depends on the others of its step: gradients of equal parts of a batch have that of the batch as their mean. */
  readonly separable?: true;
  /** What the backward pass makes again rather than keep; for targets that plan their memory. */
  readonly recompute?: "blocks";
  readonly seed: number;
  readonly optimizer:
    | { readonly kind: "adamw"; readonly beta1: number; readonly beta2: number; readonly eps: number }
    | { readonly kind: "sgd"; readonly momentum: number }
    | { readonly kind: "lars"; readonly momentum: number; readonly trust: number };
  readonly learningRate: Schedule;
  readonly weightDecay: Schedule;
  readonly gradientClip: number | undefined;
  readonly checkpointEvery: Duration;
  /** Normalization, of shades in 0..1: a value for each channel of the pictures. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly onCollapse: "warn" | "stop";
}

/**
 * A measurement of an encoder's features after training: a linear classifier or nearest neighbors over the mean of its tokens, or a
 * classifier with an attention of its own over all of them. `args` are what the program says of it: `k` of neighbors; `heads`, `epochs`,
 * `learning_rate` and `weight_decay` of an attentive one.
 */
export interface ProbeSpec {
  readonly kind: "linear" | "knn" | "attentive";
  readonly on: string;
  readonly pool: "mean" | "attention";
  readonly args: Readonly<Record<string, number>>;
}

/** One training batch on the host. */
export interface StepBatch {
  readonly size: number;
  /** By view name, `[B, H, W, C]` normalized; clips `[B, T, H, W, C]`. */
  readonly images: Readonly<Record<string, Float32Array>>;
  /** By name of a `NumberInput`, `[B, ...shape]`; absent where a program has none. */
  readonly numbers?: Readonly<Record<string, Float32Array>>;
  readonly masks: Readonly<Record<string, MaskBatch>>;
  readonly draws: Readonly<Record<string, Float32Array>>;
}

/** Index rows `[count * B, length]`, set-major: row `m * B + b` belongs to image `b`. */
export interface MaskBatch {
  readonly count: number;
  readonly length: number;
  readonly indices: Int32Array;
  /** For how many images the sampler kept positions that should have been taken out, because it found no other ones. */
  readonly relaxed?: number;
  /**
   * Where rows were cut within groups of images, the rows of each group, which are as many images one after the other; then
   * `length` is that of the longest, and `indices` holds the groups' one after the other.
   */
  readonly groups?: readonly MaskBatch[];
}

/** The scalars of one step. `step` counts from 1. */
export interface Hyper {
  readonly step: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Momentum by EMA target. */
  readonly momentum: Readonly<Record<string, number>>;
  /** Weights of the losses that have a course, by loss; absent where a program has none. */
  readonly weights?: Readonly<Record<string, number>>;
}

/** What a step hands back beside its losses, and when. */
export interface StepWants {
  readonly watch: boolean;
  readonly gradientNorm: boolean;
  /**
   * The result may come together with those of later steps, which saves a wait for the device. A step without it, and
   * `exportState`, bring all results that are still out.
   */
  readonly later?: boolean;
}

/** What a training step hands back. */
export interface StepResult {
  readonly loss: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Present when asked for: features by watch name, `[rows, width]`. */
  readonly watch: Readonly<Record<string, Float32Array>>;
  /** Euclidean norm of the gradient per parameter group, when asked for. */
  readonly gradientNorm: Readonly<Record<string, number>>;
}

/**
 * A compiled program on a device. The training loop knows nothing of tfjs or WebGPU beyond this.
 * State maps hold parameters by name and optimizer slots as `optimizer.<slot>.<name>`; export then import is bit-exact.
 */
export interface Engine {
  readonly name: string;
  readonly version: string;
  /**
   * How many steps may be begun before the result of the first is awaited; 1 unless said. Steps run in the order of the
   * calls and results come in that order. A step that wants features or norms is awaited before the next one of its kind.
   */
  readonly ahead?: number;
  /** One forward and backward pass and update of all parameters, moving averages last. */
  step(batch: StepBatch, hyper: Hyper, want: StepWants): Promise<StepResult>;
  /** Token features `[n, tokens, width]` (or `[n, width]` for an encoder that pools) of normalized images `[n, H, W, C]`, or clips `[n, T, H, W, C]`. */
  encode(encoder: string, images: Float32Array, n: number): Promise<Float32Array>;
  /** All parameters and optimizer slots by name, for a checkpoint. */
  exportState(): Promise<ReadonlyMap<string, Float32Array>>;
  /** Takes what `exportState` gave, bit-exact: every parameter, and optimizer slots where there are some. Anything else is refused, and changes nothing. */
  importState(state: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Live tensors or buffers, for leak tests. */
  memory(): { readonly tensors: number; readonly bytes: number };
  /** Releases everything; the engine is not to be used afterwards. */
  dispose(): void;
}

/** A tree of tensors whose leaves sit at the dotted parameter path; numbers index lists: `p.student.blocks[3].attn`. */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

/**
 * What `model.mjs` of the tfjs target exports, generic in the tensor type `T` and the kernel library `K`.
 * Functions are pure: they read parameters and inputs, and return new tensors that the caller disposes.
 */
export interface TfjsModule<T, K> {
  /** One forward and backward pass. `grads` mirrors the trained part of `p`. */
  step(k: K, p: Tree<T>, inputs: TfjsInputs<T>): TfjsStep<T>;
  /** Each encoder alone: token features of a batch of images. */
  readonly encoders: Readonly<Record<string, (k: K, p: Tree<T>, image: T) => T>>;
}

/** Tensors of one step, as `T` of the backend. */
export interface TfjsInputs<T> {
  readonly images: Readonly<Record<string, T>>;
  readonly numbers?: Readonly<Record<string, T>>;
  /** int32 `[count * B, length]` by mask name. */
  readonly masks: Readonly<Record<string, T>>;
  readonly draws: Readonly<Record<string, T>>;
  /** Scalars `[]`, by loss: see `Hyper.weights`. */
  readonly weights?: Readonly<Record<string, T>>;
}

/** Results of one step before the optimizer, as `T` of the backend. */
export interface TfjsStep<T> {
  readonly loss: T;
  readonly losses: Readonly<Record<string, T>>;
  readonly grads: Tree<T>;
  readonly watch: Readonly<Record<string, T>>;
  /** New values of parameters with role `state`, by name. */
  readonly state: Readonly<Record<string, T>>;
}

/**
 * A size of the run as data: an integer, or a sum of terms `coefficient * Π symbols` over the batch (`B`) and mask lengths
 * (`K_context`); `up` is `ceil(of / by) * times`.
 */
export type SizeExpr = number | { readonly terms: readonly (readonly [coefficient: number, ...symbols: string[]])[] } | { readonly up: SizeExpr; readonly by: number; readonly times: number };

/** A piece of a buffer of the plan: `bytes` bytes from `at`, which is a multiple of 256. */
export interface PlanRef {
  /** Index in `WgslPlan.buffers`. */
  readonly buffer: number;
  readonly at: number;
  readonly bytes: number;
}

/** One dispatch of a compute kernel. */
export interface PlanDispatch {
  /** Index in `WgslPlan.kernels`. */
  readonly kernel: number;
  /** What is bound at 1, 2, ...; binding 0 is the block of sizes. */
  readonly bind: readonly PlanRef[];
  /** Values of the block of sizes, u32 each, in the order of the kernel's struct. */
  readonly sizes: readonly SizeExpr[];
  /** Workgroups. A single number is folded over two dimensions where it is larger than a device takes. */
  readonly groups: readonly [SizeExpr] | readonly [SizeExpr, SizeExpr, SizeExpr];
  /** What it does at the least, for profiles: floating-point operations of matrix work, and bytes read and written. */
  readonly cost: { readonly flops?: SizeExpr; readonly bytes: SizeExpr };
}

/** A kernel: one WGSL file with the entry point `main`. */
export interface PlanKernel {
  readonly name: string;
  readonly file: string;
  /** For each binding from 1 on, whether the kernel may write it. */
  readonly writes: readonly boolean[];
  /** Whether the binding after those is the block of hyperparameters. */
  readonly hyper: boolean;
  /** Other texts for the same dispatches, for devices that have what they need. */
  readonly forms?: readonly PlanForm[];
}

/**
 * A text of a kernel for devices with subgroups of one known size, or with subgroup matrices. The constants at its top (`SUBGROUP`,
 * `MM`, `MN`, `MK`) are set by the runtime to what the device has.
 */
export interface PlanForm {
  readonly file: string;
  readonly needs: "subgroups" | "subgroup-matrix";
}

/**
 * A buffer that the engine makes once. `kind` says who fills it. By name: `sizes` holds the blocks of sizes, 256 bytes for each
 * dispatch in the order step, norms, update, encoders; `hyper` the hyperparameters; `read losses 0` and `1` (each for the losses of
 * `WgslPlan.held` steps), `read watches`, `read norms` and `read features` are what the host maps.
 */
export interface PlanBuffer {
  readonly name: string;
  readonly kind: "parameter" | "half" | "scaler" | "gradient" | "slot" | "work" | "input" | "scratch" | "uniform" | "staging";
  readonly bytes: number;
}

/** A tensor that a person or the host reads. */
export interface PlanOutput {
  readonly name: string;
  readonly ref: PlanRef;
  /** Number of elements in this run. */
  readonly count: SizeExpr;
}

/** Where a parameter lives: its values, and its optimizer slots by name (`adam_m`). */
export interface PlanParameter {
  readonly name: string;
  readonly ref: PlanRef;
  readonly grad?: PlanRef;
  readonly slots: Readonly<Record<string, PlanRef>>;
}

/**
 * The state of a dynamic loss scale, f32 each: scale of the next step, good steps since it changed, 1 - beta1^t, 1 - beta2^t (below
 * 0: taken from the hyperparameters), factor, whether the last step was skipped, scale of the last step, steps skipped so far.
 */
export interface PlanScaler {
  readonly ref: PlanRef;
  /** The state at the start of a run. */
  readonly initial: readonly number[];
}

/**
 * The tile of one product as it was compiled: sizes at their bounds, `[bm, bn, bk, tm, tn]` as in `compiler/targets/wgsl/kernels/tiles.ts`,
 * and for a weight gradient the parts of k where they were measured. Another tile may give other last bits, so it belongs to a run.
 */
export interface PlanTile {
  readonly form: "nn" | "nt" | "tn" | "tt";
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly kind: "f32" | "f16" | "f16-matrix";
  readonly tile: readonly [number, number, number, number, number];
  readonly parts?: number;
}

/** Something to run: dispatches in order. */
export interface PlanProgram {
  readonly dispatches: readonly PlanDispatch[];
  readonly outputs: readonly PlanOutput[];
}

/** `plan.json` of the wgsl target: a training step as a fixed list of dispatches over fixed buffers. */
export interface WgslPlan {
  readonly format: FormatVersion;
  /** Upper bound of each symbol; the run may use any value up to it. */
  readonly bounds: Readonly<Record<string, number>>;
  readonly kernels: readonly PlanKernel[];
  readonly buffers: readonly PlanBuffer[];
  /** Inputs of a step and of encoders, by name (`weight near` is the weight of the loss `near`); `symbol` is what an index input's length is called. */
  readonly inputs: readonly { readonly name: string; readonly ref: PlanRef; readonly symbol?: string }[];
  /**
   * How many parts a batch runs in, where there is more than one: `B` is then the size of a part, every input lies `parts`
   * times in its buffer (each part from the next multiple of 256), and after each part `first` or `rest` takes its
   * gradients into the sums that `norms` and `update` read.
   */
  readonly accumulate?: { readonly parts: number; readonly first: PlanProgram; readonly rest: PlanProgram };
  readonly parameters: readonly PlanParameter[];
  /** Forward and backward; outputs are the losses (the objective first). */
  readonly step: PlanProgram;
  readonly watches: readonly PlanOutput[];
  /** Steps whose losses are read back together; as many again may be begun meanwhile. */
  readonly held: number;
  /** Squares of gradients by group, 256 partial sums each; run before `update` when the norm is wanted. */
  readonly norms: PlanProgram;
  /** Clipping, optimizer, moving averages and running state; with a loss scale also the norms and the scale itself. */
  readonly update: PlanProgram;
  /** Makes f16 copies of parameters; run whenever the host has written parameters. */
  readonly prepare?: PlanProgram;
  /** The loss scale of f16: its state (see `PlanScaler`). */
  readonly scaler?: PlanScaler;
  /** Features that a device must have: `shader-f16`. */
  readonly features?: readonly string[];
  /** Names of the hyperparameters in their block, f32 each, from offset 0: `learningRate`, `momentum teacher`. */
  readonly hyper: readonly string[];
  readonly encoders: Readonly<Record<string, PlanProgram>>;
  /** Tiles of all products. */
  readonly tiles?: readonly PlanTile[];
  /** Bytes of all buffers; `lowerBound` is what a perfect packing of the live values would take for `work`. */
  readonly memory: { readonly total: number; readonly work: number; readonly lowerBound: number };
}

/** What `model.mjs` of the wgsl target exports: the plan and the texts of its kernels by file. */
export interface WgslModule {
  readonly plan: WgslPlan;
  readonly kernels: Readonly<Record<string, string>>;
}
