/**
 * Parameter updates on the wasm heap: one SIMD sweep reads parameter, gradient and both moments.
 *
 * The moments are updated in place. A parameter moves to a new tensor instead: tfjs's XNNPACK product keeps a packed copy
 * of a right operand for as long as that tensor lives, and would go on using it if the bytes changed underneath. The old
 * tensor is disposed at once, so the allocator hands the same few blocks around.
 */
import type { Heap } from "./kernels-wasm.js";
import type { AdamWStep, ParamSpec, SgdStep, Slot, Updates } from "./params.js";
import type { Tensor } from "./tf.js";

/** Updates by the heap's SIMD kernels. */
export function heapUpdates(heap: Heap, initial: readonly (readonly [ParamSpec, Float32Array])[]): Updates {
  const { simd, at } = heap;
  const fromValues = (shape: readonly number[], values: Float32Array): Tensor => {
    const made = heap.makeKept(shape);
    heap.values(made).set(values);
    return made;
  };
  const params = new Map(initial.map(([spec, values]) => [spec.name, fromValues(spec.shape, values)]));
  const state = new Map<string, Tensor>();
  const param = (name: string): Tensor => {
    const found = params.get(name);
    if (found === undefined) throw new Error(`no parameter ${name}`);
    return found;
  };
  const slot = (kind: Slot, name: string): Tensor => {
    const key = `${kind}/${name}`;
    const known = state.get(key);
    if (known !== undefined) return known;
    const made = heap.makeKept(param(name).shape);
    heap.values(made).fill(0);
    state.set(key, made);
    return made;
  };
  /** Gives a parameter a new tensor, filled by `fill` from the old one. */
  const move = (name: string, fill: (from: number, to: number, count: number) => void): void => {
    const old = param(name);
    const next = heap.makeKept(old.shape);
    fill(at(old), at(next), old.size);
    old.dispose();
    params.set(name, next);
  };
  return {
    read: param,
    write: (name, values) => move(name, (_, to) => heap.floats(to, values.length).set(values)),
    readSlot: (kind, name) => state.get(`${kind}/${name}`),
    writeSlot: (kind, name, values) => heap.values(slot(kind, name)).set(values),
    clearSlots: () => {
      for (const tensor of state.values()) tensor.dispose();
      state.clear();
    },
    adamw: (name, grad, { lr, weightDecay, beta1, beta2, eps, t }: AdamWStep, decay) => {
      const [m, v] = [slot("adam.m", name), slot("adam.v", name)];
      move(name, (from, to, count) => simd.adamw(from, to, at(grad), at(m), at(v), count, 1 - beta1, 1 - beta2,
        lr / (1 - beta1 ** t), 1 / Math.sqrt(1 - beta2 ** t), eps, decay ? 1 - lr * weightDecay : 1));
    },
    sgd: (name, grad, { lr, momentum, weightDecay }: SgdStep, decay) => {
      const velocity = slot("sgd.momentum", name);
      move(name, (from, to, count) => simd.momentum(from, to, at(grad), at(velocity), count, lr, momentum, decay ? weightDecay : 0));
    },
    ema: (target, source, m) => {
      const follows = param(source);
      move(target, (from, to, count) => simd.average(from, at(follows), to, count, m, 1 - m));
    },
    dispose: () => {
      for (const tensor of [...params.values(), ...state.values()]) tensor.dispose();
      params.clear();
      state.clear();
    },
  };
}
