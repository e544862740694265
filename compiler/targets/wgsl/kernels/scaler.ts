/**
 * The dynamic loss scale of f16, kept on the device.
 *
 * Gradients of a loss of size 1 are too small for f16, so the backward pass starts from `scale` instead of 1, and what comes
 * out is divided by it. One kernel, between the sums of squares of the gradients and the update, looks whether they are
 * finite: if not, the step is skipped and the scale halved; after a number of good steps in a row it is doubled
 * (Micikevicius et al. 2018, Mixed Precision Training, section 3.2; numbers as in PyTorch's GradScaler). The host reads nothing back. A skipped
 * step does not count for Adam's bias correction either, so the corrections are kept here: 1 - beta^t follows from its value
 * at t - 1 without cancellation as beta * (1 - beta^(t-1)) + (1 - beta).
 */
import type { TrainConfig } from "../../../../runtime/abi.js";
import { constantDim } from "../../../types/dim.js";
import type { BufferRef, Draft } from "../kernel.js";
import { KernelWriter, linearEntry, rowEntry, up } from "../kernel.js";
import { literal } from "../lowering.js";

/** Places in the state of the loss scale, f32 each. */
export const SCALER = {
  /** What the next backward pass starts from. */
  scale: 0,
  /** Good steps since the scale last changed. */
  good: 1,
  /** 1 - beta1^t and 1 - beta2^t over the steps that were taken; below 0 they are taken from the hyperparameters. */
  bias1: 2,
  bias2: 3,
  /** What gradients are multiplied with: clipping over scale. */
  factor: 4,
  /** 1 when the last step was skipped. */
  skip: 5,
  /** The scale that the last step's gradients have. */
  used: 6,
  /** Steps skipped so far. */
  skipped: 7,
} as const;

/** Numbers in the state. */
export const SCALER_COUNT = 8;

/** How the scale moves. */
export interface ScalerRules {
  readonly initial: number;
  /** Good steps in a row after which it is doubled. */
  readonly growthEvery: number;
}

/** PyTorch's GradScaler. */
export const scalerRules: ScalerRules = { initial: 65536, growthEvery: 2000 };

/** The scale never leaves these. */
const [LEAST, MOST] = [1, 2 ** 24];

/** Decides what happens with the gradients whose squares were summed. */
export function scalerDraft(state: BufferRef, norms: BufferRef, rules: ScalerRules, optimizer: TrainConfig["optimizer"], clip: number | undefined, fields: readonly string[]): Draft {
  const w = new KernelWriter("loss_scale", "Looks whether all gradients are finite; skips the step and halves the loss scale if not, else counts, and doubles it in time.");
  w.hyper(fields);
  const s = w.update("state", state);
  const get = (name: keyof typeof SCALER): string => s.get(`${SCALER[name]}u`);
  const set = (name: keyof typeof SCALER, value: string): string => s.set(`${SCALER[name]}u`, value);
  const bias = (name: "bias1" | "bias2", beta: number, given: string): string =>
    `    ${set(name, `select(${literal(beta)} * ${get(name)} + ${literal(1 - beta)}, ${given}, ${get(name)} < 0f)`)}`;
  const code = `${w.fold("sum", 256, (a, b) => `${a} + ${b}`)}

${rowEntry("1u", 256)}
  var part = 0f;
  for (var j = thread; j < ${w.size("n", constantDim(norms.count))}; j += 256u) { part += ${w.read("x", norms)("j")}; }
  let squares = all_sum(thread, part);
  if (thread != 0u) { return; }
  let scale = ${get("scale")};
  ${set("used", "scale")}
  // The bits, because a compiler may take for granted that no float is infinite.
  if ((bitcast<u32>(squares) & 0x7f800000u) == 0x7f800000u) {
    ${set("scale", `max(0.5f * scale, ${literal(LEAST)})`)}
    ${set("good", "0f")}
    ${set("factor", "0f")}
    ${set("skip", "1f")}
    ${set("skipped", `${get("skipped")} + 1f`)}
  } else {
    let good = ${get("good")} + 1f;
    let grows = good >= ${literal(rules.growthEvery)};
    ${set("good", "select(good, 0f, grows)")}
    ${set("scale", `select(scale, min(2f * scale, ${literal(MOST)}), grows)`)}
    ${set("factor", clip === undefined ? "1f / scale" : `${literal(clip)} / (scale * max(sqrt(squares), ${literal(clip)}))`)}
    ${set("skip", "0f")}
${optimizer.kind === "adamw" ? [bias("bias1", optimizer.beta1, "h.bias1"), bias("bias2", optimizer.beta2, "h.bias2_root * h.bias2_root")].join("\n") : ""}
  }
}`;
  return w.finish(code, [constantDim(1)], undefined, `[${norms.count}]`);
}

/** f16 copies of an arena, for when the host has written it. */
export function halfDraft(value: BufferRef, half: BufferRef): Draft {
  const w = new KernelWriter("to_half", "The f16 copy of an arena of parameters.");
  const code = `${linearEntry(w.size("n", constantDim(value.count)))}
  ${w.write("half", half)("i", w.read("value", value)("i"))}
}`;
  return w.finish(code, [up(constantDim(value.count), 256)], undefined, `[${value.count}]`);
}
