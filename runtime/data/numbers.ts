/**
 * Numbers that come with pictures and clips: labels and actions as a step takes them.
 *
 * Owns the way from a source to the rows of a batch, and the refusal, before anything runs, of a source that has no such numbers. A label is
 * the one-hot row of a class. Actions over time are those of a clip's frames: an action leads from a frame to the next, so where a
 * clip takes one of every `n` frames, those of the `n` frames are added up, as displacements are. One action of a film is its
 * own row, or, where there is one for each frame, the sum over the clip.
 */
import type { NumberInput } from "../abi.js";
import { counted } from "../base/counted.js";
import { HostError } from "../base/errors.js";
import { drawnStart } from "./clip.js";
import type { ImageSource } from "./source.js";
import { wordsOf } from "./source.js";

/** Numbers of the batches of a run. */
export interface Numbers {
  /** Rows by name, `[B, ...shape]`, of what lies in the slots of a 0-based step; undefined for a program that takes none. */
  batch(step: number, indices: Int32Array): Readonly<Record<string, Float32Array>> | undefined;
}

type Row = (index: number, step: number, slot: number) => (out: Float32Array, at: number) => void;

/**
 * The numbers that a program takes (`specs` of its manifest) of a source. Throws `HostError` "bad-data" for a source that has no labels
 * or actions, "mismatch" where their sizes are not those of the program.
 */
export function openNumbers(specs: readonly NumberInput[] | undefined, source: ImageSource, seed: number): Numbers {
  if (specs === undefined || specs.length === 0) return { batch: () => undefined };
  const readers = specs.map((spec) => ({ spec, size: spec.shape.reduce((n, side) => n * side, 1), row: spec.kind === "label" ? labelRow(spec, source) : actionRow(spec, source, seed) }));
  return {
    batch: (step, indices) => Object.fromEntries(readers.map(({ spec, size, row }) => {
      const out = new Float32Array(indices.length * size);
      indices.forEach((index, slot) => row(index, step, slot)(out, slot * size));
      return [spec.name, out];
    })),
  };
}

function labelRow({ name, shape: [classes = 0] }: NumberInput, source: ImageSource): Row {
  const [, many] = wordsOf(source);
  if (source.factors.length === 0) throw new HostError("bad-data", `the program takes the label \`${name}\`, and the ${many} of ${source.name} have none`, `put the ${many} into one sub-folder per class, or leave the label out of the program`);
  const factor = source.factors.find((one) => one.classes.length === classes);
  if (factor === undefined) {
    const found = source.factors.map((one) => `${counted(one.classes.length, "class", "classes")}${source.factors.length > 1 ? ` of ${one.name}` : ""}`).join(", ");
    throw new HostError("mismatch", `the label \`${name}\` has ${counted(classes, "class", "classes")}, and ${source.name} has ${found}`, `write Label[${source.factors[0]?.classes.length ?? 0}], or give other ${many}`);
  }
  return (index) => {
    const label = source.label(index, factor.name);
    if (label < 0 || label >= classes) throw new HostError("bad-data", `${source.describe(index)} has no label of ${factor.name}`, "label it, or leave it out");
    return (out, at) => { out[at + label] = 1; };
  };
}

function actionRow({ name, shape }: NumberInput, source: ImageSource, seed: number): Row {
  const { actions, films } = source;
  const [one, many] = wordsOf(source);
  if (actions === undefined) throw new HostError("bad-data", `the program takes the action \`${name}\`, and none come with the ${many} of ${source.name}`, films === undefined ? "put an actions.csv beside the pictures, a row for each, or leave the action out of the program" : "put an actions.csv into the folder of each film, or leave the action out of the program");
  const [moments, size = 0] = shape.length === 2 ? shape : [undefined, shape[0]];
  if (actions.size !== size) throw new HostError("mismatch", `the action \`${name}\` has ${counted(size, "number")}, and those of ${source.name} have ${actions.size}`, `write ${moments === undefined ? `Action[${actions.size}]` : `Action[${moments}, ${actions.size}]`}, or give other ${many}`);
  if (moments !== undefined && films === undefined) throw new HostError("mismatch", `the action \`${name}\` is over time, and ${source.name} has pictures`, "write Action[size], or take a Video");
  if (moments !== undefined && films !== undefined && moments > films.frames) throw new HostError("mismatch", `the action \`${name}\` has ${moments} moments, and a clip has ${films.frames} frames`, "take as many moments as frames, or one less");
  return (index, step, slot) => {
    const rows = actions.rows(index);
    const count = rows.length / size;
    if (moments === undefined && count === 1) return (out, at) => out.set(rows, at);
    if (films === undefined || count !== films.length(index)) throw new HostError("bad-data", `${source.describe(index)} has ${counted(count, "action")}, and the ${one} takes ${films === undefined ? 1 : films.length(index)}`, "give one for each frame");
    const start = drawnStart(films, films.length(index), { seed, step, slot });
    const spans = moments === undefined ? [films.frames * films.every] : Array.from({ length: moments }, () => films.every);
    return (out, at) => {
      spans.forEach((span, m) => {
        for (let c = 0; c < size; c++) {
          let sum = 0;
          for (let t = 0; t < span; t++) sum += rows[(start + m * films.every + t) * size + c] ?? 0;
          out[at + m * size + c] = sum;
        }
      });
    };
  };
}
