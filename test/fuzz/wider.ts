/**
 * What drawn programs have beside the plain: crops of another size, a second grid, masks cut within groups of images, running
 * states and lists of parts walked in loops, learned scalars, averages by schedules; and a program written as a variant.
 *
 * Drawn from numbers of their own, so that a seed's plain part stays what it was. Owns text only, as `generate.ts` does.
 */
import type { Draw } from "./generate.js";

/** What the plain part of a program is like. */
export interface Plain {
  readonly patch: number;
  readonly batch: number;
  /** Rows of the batch may meet. */
  readonly meets: boolean;
  /** The views that the student and the teacher see. */
  readonly seen: string;
  readonly told: string;
}

/** Lines to add, and terms of the objective that read them. */
export interface Wider {
  readonly modules: readonly string[];
  readonly model: readonly string[];
  readonly losses: readonly string[];
}

/** A module with states, lists, loops within loops and scalars; of values that keep their width. */
function paced(d: Draw, meets: boolean): string {
  const list = meets ? d.of("center(momentum: 0.7)", "plain_batch_norm(eps: 0.05)", "batch_norm(eps: 0.05)", "layer_norm()") : d.of("layer_norm()", "linear(w)", "mlp(3)");
  const walk = d.of("each(gelu(x) * exp(t))", "each(x) + tanh(y)", "gelu(each(x))", "each(x * gate)");
  const parts = [`part line = ${d.between(1, 3)} of ${list}`, "learn t[1] ~ constant(0.3)", "learn gate[w] ~ normal(0.5)", "fixed half[1] ~ constant(0.5)", ...(meets ? ["state seen[w] ~ ones"] : [])];
  const lines = [
    meets ? d.of("y = recenter(x, seen, 0.8)", "y = recenter(2 * x, seen, 0.5) + recenter(tanh(x), seen, 0.9)", "y = x + seen") : "y = x * half",
    `repeat each in line { x = ${walk} }`,
    d.of("repeat 2 { x = linear(w)(x) / (1 + square(t)) }", "repeat 2 {\n    part mix = linear(w)\n    learn s[1] ~ constant(0.5)\n    y = mix(tanh(y)) / (1 + square(s))\n    x = x + y * gate\n  }",
      "repeat 3 {\n    repeat 2 { y = gelu(y + x) * half }\n    x = x - 0.1 * y\n  }", "repeat 2 {\n    repeat 2 { x = layer_norm()(x) + tanh(linear(w)(y)) }\n    y = 0.5 * y + x * gate\n  }",
      `x = gelu(x) + y${meets ? "\n  repeat 2 { x = batch_norm(eps: 0.05)(x + t) }" : ""}`),
    ...(d.chance(0.5) ? ["repeat each in line { x = each(tanh(x)) }"] : []),
    meets && d.chance(0.5) ? "x + y * seen" : "x + y",
  ];
  return `module paced (x: Features[w]) -> Features[w] {\n${[...parts, ...lines].map((l) => `  ${l}`).join("\n")}\n}\n`;
}

/** What is drawn beside the plain part. */
export function widerText(d: Draw, { patch, meets, seen, told }: Plain): Wider {
  const modules: string[] = [];
  const model: string[] = [];
  const losses: string[] = [];
  const distance = (left: string, right: string): string => `${d.of("mse", "smooth_l1", "negative_cosine")}(${left}, ${right})`;
  if (d.chance(0.35)) {
    const size = d.between(2, 3) * patch;
    model.push(`view c1, c2 = augment(image, size: ${size}) { flip(p: 0.5) }`, `head local = ${d.of("linear(3)", "mlp(5, 2)", meets ? "mlp_bn(4, 3)" : "linear(2)")}`, `far = stopgrad(local(pool(teacher(${told}))))`);
    if (d.chance(0.4)) model.push(`mask spots = random(${d.of("0.5", "0.4..0.8")})`, "mask others = all minus spots");
    const spots = model.some((l) => l.startsWith("mask spots"));
    const near = d.of("union(c1, c2)", spots ? "c1 at spots" : "c1", spots ? "c2 at others" : "c2");
    model.push(`near = local(pool(student(${near})))`);
    losses.push(distance("near", near.startsWith("union") ? "union(far, far)" : "far"));
  }
  if (d.chance(0.3)) {
    const fine = patch === 4 ? 2 : 1;
    const average = d.of("ema(fine, momentum: cosine(0.8 -> 1.0))", "ema(fine, momentum: 0.5 -> 0.9)", "fine", "frozen(fine)");
    model.push(`encoder fine = vit(${fine}, 4, 1, ${d.of(1, 2)})`, `encoder slow = ${average}`, `mask grains = ${d.of("2 of ", "")}random(${d.of("0.1", "0.05..0.2")})`);
    if (d.chance(0.5)) {
      model.push("predictor guess = vit_predictor(width: 4, depth: 1, heads: 1)", "mask rest = random(0.3) minus grains");
      losses.push(distance(`guess(fine(${seen} at rest), at: grains)`, `stopgrad(slow(${told})) at grains`));
    } else losses.push(distance(`pool(fine(${seen} at grains))`, model.some((l) => l.includes("2 of random")) ? `union(pool(slow(${told})), pool(slow(${told})))` : `stopgrad(pool(slow(${told})))`));
  }
  if (d.chance(0.5)) {
    modules.push(paced(d, meets));
    model.push("head paces = paced()", `tempo = paces(${d.of("student", "teacher")}(${seen}))`, `${d.of("beat", "rhythm")} = paces(teacher(${told}))`);
    losses.push(distance("tempo", `stopgrad(${model.at(-1)?.split(" ")[0] ?? ""})`));
    if (d.chance(0.4)) losses.push(distance("pool(tempo)", "paces(pool(tempo))"));
  }
  return { modules, model, losses };
}

/** Masks of a program with rows cut within groups, or otherwise than at their ends. */
export function cutRows(d: Draw, lines: readonly string[], { batch, meets }: Plain): string[] {
  const options = [...(!meets && batch % 2 === 0 && d.chance(0.4) ? [`trim_group: ${d.of(2, batch / 2, batch, 2 * batch)}`] : []), ...(d.chance(0.3) ? ["trim: random"] : [])];
  return lines.map((line) => (line.startsWith("mask ") && d.chance(0.7) && options.length > 0 ? line.replace(/(block|random)\(([^)]*)\)/, (_, kind: string, inside: string) => `${kind}(${inside}, ${options.join(", ")})`) : line));
}

/** The program as a variant of one in which some lines are others, which the variant says again. */
export function asVariant(text: string, d: Draw): string {
  const again: string[] = [];
  const other = text.split("\n").map((line) => {
    const [, head, value] = /^ {2}((?!loss|view|input|mask|train|param|part|learn|state|fixed)\w+ = |loss \w+ = |head \w+ = )(.*)$/.exec(line) ?? [];
    const [, setting] = /^ {2}(steps|batch|optimizer|learning_rate|weight_decay) /.exec(line) ?? [];
    if (!(inModel(text, line) ? head : setting) || !d.chance(0.4)) return line;
    again.push(setting === undefined ? line : `train {${line} }`);
    if (setting !== undefined) return setting === "optimizer" ? "  optimizer adamw" : `  ${setting} 7`;
    return head?.startsWith("head") ? `  ${head}linear(3)` : head?.startsWith("loss") ? `  ${head}2 * (${value})` : `  ${head}normalize(${value})`;
  });
  return `${other.join("\n").replace("model fuzz {", "model plain {").replace("train fuzz {", "train plain {")}variant fuzz of plain {\n${again.map((l) => `  ${l.trim()}`).join("\n")}\n}\n`;
}

function inModel(text: string, line: string): boolean {
  const start = text.indexOf("model fuzz {\n");
  const at = text.indexOf(`\n${line}\n`, start);
  return at > 0 && at < text.indexOf("\n}", start);
}
