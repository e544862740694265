/**
 * Parameter updates by plain tfjs calls, for engines that offer nothing better. Slow, and right: the other two forms are
 * held against the same float64 test.
 */
import type { ParamSpec, Updates } from "./params.js";
import type { Tensor, Tf } from "./tf.js";

/** Updates that replace tensors by new ones. */
export function tensorUpdates(tf: Tf, initial: readonly (readonly [ParamSpec, Float32Array])[]): Updates {
  const params = new Map(initial.map(([spec, values]) => [spec.name, tf.keep(tf.tensor(Float32Array.from(values), [...spec.shape], "float32"))]));
  const state = new Map<string, Tensor>();
  const param = (name: string): Tensor => {
    const found = params.get(name);
    if (found === undefined) throw new Error(`no parameter ${name}`);
    return found;
  };
  const replace = (table: Map<string, Tensor>, key: string, next: Tensor): void => {
    table.get(key)?.dispose();
    table.set(key, tf.keep(next));
  };
  const slotOrZero = (key: string, like: Tensor): Tensor => state.get(key) ?? tf.zerosLike(like);
  const filled = (name: string, values: Float32Array): Tensor => tf.tensor(Float32Array.from(values), param(name).shape, "float32");
  return {
    read: param,
    write: (name, values) => replace(params, name, filled(name, values)),
    readSlot: (slot, name) => state.get(`${slot}/${name}`),
    writeSlot: (slot, name, values) => replace(state, `${slot}/${name}`, filled(name, values)),
    clearSlots: () => {
      for (const tensor of state.values()) tensor.dispose();
      state.clear();
    },
    adamw: (name, grad, { lr, weightDecay, beta1, beta2, eps, t }, decay) => tf.tidy(() => {
      const p = param(name);
      const [mOld, vOld] = [slotOrZero(`adam.m/${name}`, p), slotOrZero(`adam.v/${name}`, p)];
      const m = mOld.add(grad.sub(mOld).mul(1 - beta1));
      const v = vOld.add(grad.square().sub(vOld).mul(1 - beta2));
      const move = m.div(v.sqrt().mul(1 / Math.sqrt(1 - beta2 ** t)).add(eps)).mul(lr / (1 - beta1 ** t));
      const next = p.mul(decay ? 1 - lr * weightDecay : 1).sub(move);
      replace(state, `adam.m/${name}`, m);
      replace(state, `adam.v/${name}`, v);
      replace(params, name, next);
    }),
    sgd: (name, grad, { lr, momentum, weightDecay }, decay) => tf.tidy(() => {
      const p = param(name);
      const velocity = slotOrZero(`sgd.momentum/${name}`, p).mul(momentum).add(decay ? grad.add(p.mul(weightDecay)) : grad);
      const next = p.sub(velocity.mul(lr));
      replace(state, `sgd.momentum/${name}`, velocity);
      replace(params, name, next);
    }),
    ema: (target, source, m) => tf.tidy(() => replace(params, target, param(target).mul(m).add(param(source).mul(1 - m)))),
    dispose: () => {
      for (const tensor of [...params.values(), ...state.values()]) tensor.dispose();
      params.clear();
      state.clear();
    },
  };
}
