/**
 * What happens to gradients between the backward pass and the optimizer.
 *
 * Owns norms by module, clipping by the global norm and the layer-wise scaling of LARS, all on the device: none of it
 * waits for a number to come back. Results are new tensors that the caller owns.
 */
import type { Parameter } from "../../abi.js";
import type { Kernels } from "./kernels.js";
import type { Tensor, Tf } from "./tf.js";

/** Euclidean norm of the gradient of every parameter group, as scalars; a group none of whose parameters has one gets 0. */
export function groupNorms(k: Kernels, grads: ReadonlyMap<string, Tensor>, trained: readonly Pick<Parameter, "name" | "group">[]): Map<string, Tensor> {
  const norms = new Map<string, Tensor>();
  for (const group of new Set(trained.map((parameter) => parameter.group))) {
    const squares: Tensor[] = [];
    for (const parameter of trained) {
      const grad = parameter.group === group ? grads.get(parameter.name) : undefined;
      if (grad === undefined) continue;
      const square = k.square(grad);
      squares.push(k.sum(square));
      k.free(square);
    }
    if (squares.length === 0) squares.push(k.mul(k.scalar(0), 1));
    const total = k.addN(squares);
    norms.set(group, k.sqrt(total));
    k.free(squares, total);
  }
  return norms;
}

/** Gradients times `min(1, limit / norm)`, the norm taken over all of them together. The ones given stay the caller's. */
export function clipGradients(tf: Tf, grads: ReadonlyMap<string, Tensor>, limit: number): Map<string, Tensor> {
  const scale = tf.tidy(() => {
    const squares = [...grads.values()].map((grad) => tf.sum(tf.square(grad)));
    const norm = tf.sqrt(squares.length === 0 ? tf.scalar(0) : tf.addN(squares));
    return tf.div(limit, tf.maximum(norm, limit));
  });
  const out = new Map([...grads].map(([name, grad]): [string, Tensor] => [name, tf.mul(grad, scale)]));
  scale.dispose();
  return out;
}

/**
 * LARS (You et al. 2017) as the self-supervised codes use it: matrices get `g + decay · w`, scaled by
 * `trust · ‖w‖ / ‖g + decay · w‖` where both norms are above 0; parameters without decay pass unscaled. What comes out is
 * fed to plain momentum.
 */
export function larsUpdates(tf: Tf, grads: ReadonlyMap<string, Tensor>, values: Readonly<Record<string, Tensor>>, trained: readonly Pick<Parameter, "name" | "decay">[], options: { readonly trust: number; readonly weightDecay: number }): Map<string, Tensor> {
  const out = new Map<string, Tensor>();
  for (const { name, decay } of trained) {
    const grad = grads.get(name);
    const value = values[name];
    if (grad === undefined || value === undefined) continue;
    out.set(name, decay ? tf.tidy(() => scaled(tf, grad, value, options)) : tf.clone(grad));
  }
  return out;
}

function scaled(tf: Tf, grad: Tensor, value: Tensor, options: { readonly trust: number; readonly weightDecay: number }): Tensor {
  const decayed = tf.add(grad, tf.mul(value, options.weightDecay));
  const size = tf.norm(value);
  const slope = tf.norm(decayed);
  const both = tf.logicalAnd(tf.greater(size, 0), tf.greater(slope, 0));
  const ratio = tf.div(tf.mul(size, options.trust), tf.maximum(slope, 1e-30));
  return tf.mul(decayed, tf.where(both, ratio, tf.onesLike(ratio)));
}
