/**
 * Parameter updates on the native engine: TensorFlow resource variables, changed in place by fused optimiser ops.
 *
 * `ResourceApplyAdam` is one sweep where tf.train.adam takes fourteen. It has TensorFlow's form of Adam, whose epsilon
 * stands inside the bias correction; fed with lr * sqrt(1 - beta2^t) / (1 - beta1^t) as the rate, powers of zero and
 * eps * sqrt(1 - beta2^t), it computes PyTorch's form. The betas enter as float32, so the corrections are taken from the
 * rounded values too: the two then cancel. Decay and moving average are gradient-descent ops with the right delta.
 *
 * A tensor read from a variable shares its memory, and an update copies while one is alive; so reads are kept only till
 * the next update of that variable.
 */
import type { AdamWStep, ParamSpec, Slot, Updates } from "./params.js";
import { rawOps } from "./raw-ops.js";
import type { RawOps } from "./raw-ops.js";
import type { NodeBackend, Tensor, Tf } from "./tf.js";

let stores = 0;

/** Updates of resource variables. */
export function rawUpdates(tf: Tf, node: NodeBackend, initial: readonly (readonly [ParamSpec, Float32Array])[]): Updates {
  const ops = rawOps(tf, node);
  const store = ++stores;
  const variables = new Map<string, Variable>();
  const shapes = new Map(initial.map(([spec]) => [spec.name, spec.shape]));
  const add = (key: string, shape: readonly number[], values: Float32Array): Variable => {
    const made = variable(tf, ops, `jepac.${store}.${key}`, shape, values);
    variables.set(key, made);
    return made;
  };
  for (const [spec, values] of initial) add(spec.name, spec.shape, values);
  const param = (name: string): Variable => {
    const found = variables.get(name);
    if (found === undefined) throw new Error(`no parameter ${name}`);
    return found;
  };
  const slotKey = (slot: Slot, name: string): string => `${slot}/${name}`;
  const slotOf = (slot: Slot, name: string): Variable => {
    const shape = shapes.get(name) ?? [];
    return variables.get(slotKey(slot, name)) ?? add(slotKey(slot, name), shape, new Float32Array(shape.reduce((product, size) => product * size, 1)));
  };
  const stateKeys = (): string[] => [...variables.keys()].filter((key) => !shapes.has(key));
  const scalars = stepScalars(tf);
  const applyAttrs = [ops.justT, ops.attr("use_locking", "BOOL", false)].flat();
  const momentumAttrs = [...applyAttrs, ops.attr("use_nesterov", "BOOL", false)];
  const apply = (op: string, attrs: typeof applyAttrs, changed: readonly Variable[], inputs: Tensor[]): void => {
    for (const one of changed) one.forget();
    ops.runMany(op, attrs, [...changed.map(({ handle }) => handle), ...inputs], 0);
  };
  /** p -= rate * delta; `delta` may be a read of p itself. */
  const descend = (p: Variable, rate: Tensor, delta: Tensor): void => apply("ResourceApplyGradientDescent", applyAttrs, [p], [rate, delta]);
  const decayBy = (p: Variable, rate: Tensor): void => {
    const now = p.fresh();
    descend(p, rate, now);
    now.dispose();
  };
  return {
    read: (name) => param(name).read(),
    write: (name, values) => param(name).assign(values),
    readSlot: (slot, name) => variables.get(slotKey(slot, name))?.read(),
    writeSlot: (slot, name, values) => slotOf(slot, name).assign(values),
    clearSlots: () => {
      for (const key of stateKeys()) {
        variables.get(key)?.dispose();
        variables.delete(key);
      }
    },
    adamw: (name, grad, step, decay) => {
      const s = scalars.adam(step);
      const p = param(name);
      if (decay && step.weightDecay !== 0) decayBy(p, s.decay);
      apply("ResourceApplyAdam", momentumAttrs, [p, slotOf("adam.m", name), slotOf("adam.v", name)], [s.zero, s.zero, s.rate, s.beta1, s.beta2, s.eps, grad]);
    },
    sgd: (name, grad, { lr, momentum, weightDecay }, decay) => tf.tidy(() => {
      const p = param(name);
      const pulled = decay && weightDecay !== 0 ? grad.add(p.read().mul(weightDecay)) : grad;
      apply("ResourceApplyMomentum", momentumAttrs, [p, slotOf("sgd.momentum", name)], [tf.scalar(lr), pulled, tf.scalar(momentum)]);
    }),
    ema: (target, source, m) => {
      const follower = param(target);
      const gap = ops.binary("Sub", follower.read(), param(source).read());
      descend(follower, scalars.one(1 - m), gap);
      gap.dispose();
    },
    dispose: () => {
      for (const one of variables.values()) one.dispose();
      variables.clear();
      scalars.dispose();
      ops.dispose();
    },
  };
}

type Variable = {
  readonly handle: Tensor;
  readonly shape: readonly number[];
  /** The value as a tensor that stays the store's own, made once between updates. */
  read(): Tensor;
  /** The value as a tensor that is the caller's. */
  fresh(): Tensor;
  /** Gives up the read tensor, so that the next update can work in place. */
  forget(): void;
  assign(values: Float32Array): void;
  dispose(): void;
};

function variable(tf: Tf, ops: RawOps, name: string, shape: readonly number[], values: Float32Array): Variable {
  const dtype = ops.attr("dtype", "TYPE", ops.float);
  const [handle] = ops.runMany("VarHandleOp", [
    dtype, ops.attr("shape", "SHAPE", [...shape]), ops.attr("shared_name", "STRING", name), ops.attr("container", "STRING", ""),
  ], [], 1).map((tensor) => tf.keep(tensor));
  if (handle === undefined) throw new Error(`no variable could be made for ${name}`);
  let held: Tensor | undefined;
  const fresh = (): Tensor => ops.run("ReadVariableOp", [dtype], [handle]);
  const forget = (): void => {
    held?.dispose();
    held = undefined;
  };
  const assign = (data: Float32Array): void => {
    forget();
    const value = tf.tensor(Float32Array.from(data), [...shape], "float32");
    ops.runMany("AssignVariableOp", [dtype, ops.attr("validate_shape", "BOOL", false)], [handle, value], 0);
    value.dispose();
  };
  assign(values);
  return {
    handle, shape, fresh, forget, assign,
    read: () => held ??= tf.keep(fresh()),
    dispose: () => {
      forget();
      ops.runMany("DestroyResourceOp", [ops.attr("ignore_lookup_error", "BOOL", true)], [handle], 0);
      handle.dispose();
    },
  };
}

type AdamScalars = { readonly zero: Tensor; readonly rate: Tensor; readonly beta1: Tensor; readonly beta2: Tensor; readonly eps: Tensor; readonly decay: Tensor };

/** The scalars of a step, made once for all its parameters. */
function stepScalars(tf: Tf) {
  let of: string | undefined;
  let made: AdamScalars | undefined;
  let last: { value: number; tensor: Tensor } | undefined;
  const clear = (): void => {
    if (made !== undefined) for (const tensor of Object.values(made)) tensor.dispose();
    made = undefined;
  };
  return {
    adam: (step: AdamWStep): AdamScalars => {
      const { lr, weightDecay, beta1, beta2, eps, t } = step;
      const key = [lr, weightDecay, beta1, beta2, eps, t].join();
      if (made !== undefined && of === key) return made;
      clear();
      const [first, second] = [1 - Math.fround(beta1) ** t, Math.sqrt(1 - Math.fround(beta2) ** t)];
      const scalar = (value: number): Tensor => tf.keep(tf.scalar(value));
      made = { zero: scalar(0), rate: scalar((lr * second) / first), beta1: scalar(beta1), beta2: scalar(beta2), eps: scalar(eps * second), decay: scalar(lr * weightDecay) };
      of = key;
      return made;
    },
    one: (value: number): Tensor => {
      if (last?.value === value) return last.tensor;
      last?.tensor.dispose();
      last = { value, tensor: tf.keep(tf.scalar(value)) };
      return last.tensor;
    },
    dispose: (): void => {
      clear();
      last?.tensor.dispose();
      last = undefined;
    },
  };
}
