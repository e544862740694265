/**
 * The runtime's pure parts, usable anywhere: the contract with compiled programs, streams, masks, schedules, initial
 * values, the training loop over any engine, checkpoints as bytes, probes and charts.
 *
 * Nothing here touches files, threads or a terminal; `jepac/runtime/node` adds those.
 *
 * @module
 */
export type {
  DataConfig, DrawSpec, Duration, EmaEdge, EncoderInfo, Engine, FormatVersion, Hyper, ImageInput, Initializer, LossInfo, Manifest, MaskBatch,
  MaskSpec, MonitorSpec, NumberInput, Parameter, PretrainedSpec, ProbeSpec, Schedule, StepBatch, StepResult, StepWants, TfjsInputs, TfjsModule, TfjsStep, TrainConfig, Transform, Tree,
  ViewSpec, Watch, WgslModule, WgslPlan,
} from "./abi.js";
export { HostError } from "./base/errors.js";
export type { HostErrorCode } from "./base/errors.js";
export { effectiveRank, embeddingStd, singularValues } from "./base/linalg.js";
export { stream } from "./base/random.js";
export type { Stream } from "./base/random.js";
export { readSafetensors, writeSafetensors } from "./base/safetensors.js";
export type { DType, NamedTensor, TensorData, TensorFile, TensorToWrite } from "./base/safetensors.js";
export { evalSet } from "./data/eval-set.js";
export type { EvalOptions, EvalSet, EvalSize } from "./data/eval-set.js";
export type { Actions, FilmPlace, Films, ImageSource, RawImage, SourceReport, SourceSpec } from "./data/source.js";
export { syntheticSource, waveSource } from "./data/synthetic.js";
export type { WaveOptions } from "./data/synthetic.js";
export type { SyntheticOptions } from "./data/synthetic.js";
export { sampleMasks } from "./masks/sample.js";
export type { MaskDraw, MaskKey } from "./masks/sample.js";
export { durationSteps, scheduleValue } from "./optim/schedule.js";
export type { Horizon } from "./optim/schedule.js";
export { lineChart } from "./train/charts.js";
export type { Chart, Series } from "./train/charts.js";
export { checkFits, decodeCheckpoint, encodeCheckpoint } from "./train/checkpoint.js";
export type { Checkpoint } from "./train/checkpoint.js";
export type { LastGood } from "./train/checkpoint-store.js";
export { attentiveProbe, usualEpochs, usualHeads } from "./train/attentive.js";
export type { AttentiveOptions, AttentiveRecipe, AttentiveResult, AttentiveTask, TokenSet } from "./train/attentive.js";
export { meanPool, pooledFeatures } from "./train/features.js";
export type { Factor, ImageFeed, ProbeSet } from "./train/features.js";
export { initialState, initialValue, sincos2d, sincos3d } from "./train/init.js";
export type { LabelledFeatures } from "./train/labelled.js";
export { linearProbe } from "./train/linear-head.js";
export type { LinearResult } from "./train/linear-head.js";
export { runLoop, teacherDistance } from "./train/loop.js";
export type { BatchSource, LoopEnd, LoopJob, LoopSink, MetricRow, StepReport } from "./train/loop.js";
export { alarmText, createMonitors } from "./train/monitors.js";
export type { Alarm, Monitors, Observation } from "./train/monitors.js";
export { nearestAccuracy } from "./train/nearest.js";
export type { NearestOptions } from "./train/nearest.js";
export { plainBatches } from "./train/plain-batches.js";
export { probeTable, runProbes } from "./train/probe.js";
export type { EncoderScore, FactorScore, ProbeJob, ProbeReport } from "./train/probe.js";
export { resolveRecipe } from "./train/recipe.js";
export type { Recipe, RecipeOverrides } from "./train/recipe.js";
export { createSignals } from "./train/signals.js";
export type { Signals, WatchSignal } from "./train/signals.js";
