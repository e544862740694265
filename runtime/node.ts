/**
 * The runtime under Node: trainers, engines, data, checkpoints on disk, probes of a run, reports, and the doctor.
 *
 * What a compiled program's `train.mjs` and the command line import. The pure parts are in `jepac/runtime`.
 *
 * @module
 */
export { doctor } from "./backends/doctor.js";
export type { EngineName, EngineReport } from "./backends/doctor.js";
export { EngineMissing, loadTf, tfEngines } from "./backends/tfjs/engine.js";
export type { LoadedTf, TfEngine } from "./backends/tfjs/engine.js";
export { makeKernels } from "./backends/tfjs/kernels.js";
export type { Kernels } from "./backends/tfjs/kernels.js";
export { createTfjsEngine } from "./backends/tfjs/run.js";
export type { TfjsHost } from "./backends/tfjs/run.js";
export type { Tensor, Tf } from "./backends/tfjs/tf.js";
export { readBytes, writeAtomic } from "./base/files.js";
export { evalSet } from "./data/eval-set.js";
export type { EvalOptions, EvalSet, EvalSize } from "./data/eval-set.js";
export { filmSource } from "./data/films.js";
export type { FilmOptions } from "./data/films.js";
export { folderSource } from "./data/folder.js";
export { createLoader } from "./data/loader.js";
export type { Loader, LoaderBatch, LoaderOptions } from "./data/loader.js";
export type { Actions, Films, ImageSource, RawImage } from "./data/source.js";
export { arraySource } from "./data/arrays.js";
export type { ArrayOptions } from "./data/arrays.js";
export { syntheticSource, waveSource } from "./data/synthetic.js";
export type { WaveOptions } from "./data/synthetic.js";
export { openRows, readRows } from "./log/jsonl.js";
export { createProgress } from "./log/progress.js";
export type { Progress, Terminal, Tick } from "./log/progress.js";
export { textTable } from "./log/table.js";
export { openBatches } from "./train/batches.js";
export type { Batches, BatchOptions } from "./train/batches.js";
export { CHECKPOINT_FILES, openCheckpoints } from "./train/checkpoint-store.js";
export type { CheckpointStore, Which } from "./train/checkpoint-store.js";
export { openPictures, openTestData, openTrainingData, probeSets } from "./train/datasets.js";
export type { PictureOptions, ProbeSets, TestData, TrainingData } from "./train/datasets.js";
export { createEngine } from "./train/engines.js";
export type { ChosenEngine, CompiledModule } from "./train/engines.js";
export { loadCompiled, readManifest } from "./train/compiled.js";
export type { CompiledProgram } from "./train/compiled.js";
export { runCompiled, runTrainer, train } from "./train/main.js";
export type { RunSummary, Trainer, TrainerHost } from "./train/main.js";
export { ENGINE_CHOICES, optionsHelp, parseOptions } from "./train/options.js";
export type { EngineChoice, TrainerOptions } from "./train/options.js";
export { readPretrained } from "./train/pretrained.js";
export type { PretrainedOptions } from "./train/pretrained.js";
export { maskGallery } from "./train/pictures.js";
export { loadCheckpoint, probeRun, runProbe } from "./train/probe-main.js";
export type { ProbeRun } from "./train/probe-main.js";
export { openRunEncoder } from "./train/run-encoder.js";
export type { RunEncoder, RunEncoderOptions, SourceFeatures } from "./train/run-encoder.js";
export { renderReport } from "./train/report.js";
export type { ReportData } from "./train/report.js";
export { RUN_FILES } from "./train/run-folder.js";
