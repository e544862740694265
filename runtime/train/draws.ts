/**
 * Random tensors that a program asks for in a step.
 *
 * Owns their values: streams named after the draw, keyed by seed and step, so that any loader makes the same ones.
 */
import type { DrawSpec } from "../abi.js";
import { stream } from "../base/random.js";
import { elementCount } from "./init.js";

/** A random tensor of a step: standard normal, or uniform in [0, 1). */
export function drawTensor(spec: DrawSpec, seed: number, step: number): Float32Array {
  const draws = stream(seed, `draw ${spec.name}`, step);
  const out = new Float32Array(elementCount(spec.shape));
  for (let i = 0; i < out.length; i++) out[i] = spec.distribution === "normal" ? draws.normal() : draws.uniform();
  return out;
}
