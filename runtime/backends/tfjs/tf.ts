/**
 * The few names through which the rest of jepac speaks of TensorFlow.js.
 *
 * tfjs-node and the wasm build hand out the same API object, so one type (api.ts) serves both; what only the native
 * engine can do (running any TensorFlow op by its name) is described here structurally, because the package that
 * declares it is not a dependency and may not be installed.
 */
import type { Tensor, Tf } from "./api.js";


export type { Tensor, Tf };

/** One attribute of a TensorFlow op, as the native binding takes it. */
export type OpAttr = { readonly name: string; readonly type: number; readonly value: unknown };

/** The part of the native backend that runs ops by name; outputs are registered with tfjs like any other tensor. */
export type NodeBackend = {
  readonly binding: { readonly [name: string]: unknown; readonly TF_Version?: string };
  /** Whether tensors lie on a GPU. */
  readonly isUsingGpuDevice?: boolean;
  executeSingleOutput(op: string, attrs: OpAttr[], inputs: Tensor[]): Tensor;
  executeMultipleOutputs(op: string, attrs: OpAttr[], inputs: Tensor[], outputs: number): Tensor[];
};

/** The native backend of `tf`, or undefined where the engine has none (wasm, cpu). */
export function nodeBackend(tf: Tf): NodeBackend | undefined {
  const backend: unknown = tf.backend();
  return isNodeBackend(backend) ? backend : undefined;
}

function isNodeBackend(value: unknown): value is NodeBackend {
  return typeof value === "object" && value !== null && "binding" in value
    && "executeSingleOutput" in value && "executeMultipleOutputs" in value;
}
