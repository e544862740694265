/**
 * The runtime in a page: the engine on the browser's WebGPU.
 *
 * What it runs on, pictures, masks, the loop, checkpoints and probes, is in `jepac/runtime`; the same under Node is `createEngine` of
 * `jepac/runtime/node`.
 *
 * @module
 */
export { openPageEngine, pageLimits } from "./train/page-engine.js";
export type { PageEngine, PageLimits } from "./train/page-engine.js";
export type { Engine, Manifest, WgslModule, WgslPlan } from "./abi.js";
