/**
 * Programs drawn from a seed: modules of any ops, masks, encoders with averages or frozen ones, losses of every kind and recipes.
 *
 * Nearly all of them check; those that do not are left out by who asks. Numbers are such that float32 can tell the results: no
 * root or logarithm near 0.
 */

import { cutRows, widerText } from "./wider.js";

/** Numbers from a seed (mulberry32). */
export class Draw {
  private state: number;
  constructor(seed: number) {
    this.state = Math.imul(seed + 1, 2654435761);
  }
  /** A whole number below `n`. */
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  }
  between(low: number, high: number): number { return low + this.below(high - low + 1); }
  chance(share: number): boolean { return this.below(1000) < 1000 * share; }
  of<T>(...items: readonly [T, ...T[]]): T { return items[this.below(items.length)] ?? items[0]; }
}

/** What a module may do: rows of the batch may meet, its values have tokens. */
interface Setting { readonly meets: boolean; readonly tokens: boolean }
interface Value { readonly name: string; readonly width: number }

const pointwise = ["gelu(X)", "tanh(X)", "sigmoid(X)", "square(X)", "exp(tanh(X))", "sqrt(square(X) + 0.3)", "log(square(X) + 0.5)", "relu(X)", "abs(X)", "-X", "0.5 * X", "X / 2", "X + 1.5", "1 - X", "X^2", "(square(X) + 1)^0.5", "stopgrad(X)", "X * Y", "X + Y", "X / (square(Y) + 1)", "average(X, Y)", "gelu(X) * sigmoid(Y)", "-(X * 2 + Y)"] as const;
const byRows = ["normalize(X)", "normalize(X, eps: 0.01)", "l2_normalize(X, eps: 0.01)", "softmax(X, temperature: 0.5)", "log_softmax(X)", "layer_norm()(X)", "mlp(5)(X)", "linear(9)(X)", "linear_plain(4)(X)", "weight_norm(3)(X)", "X * GATE", "X + GATE", "X @ MATRIX", "X @ transpose(CODES)", "softmax(X @ transpose(CODES)) @ CODES", "assign(X, CODES, temperature: 0.5) @ CODES", "join(X, Y)", "PART(PART(X))", "PART(X) + PART(Y)"] as const;
const byTokens = ["attend(X, X, X, HEADS)", "attend(X, Y, X, HEADS)", "attend(Y, X, tanh(X), HEADS)", "softmax(X, over: tokens) * Y"] as const;
/** Turned by where tokens sit: a head has a pair for rows and one for columns. */
const byPlaces = "attend(rotary(X, 1), rotary(Y, 1, base: 50), X, HEADS)";
const byBatch = ["batch_normalize(X, eps: 0.01)", "batch_norm(eps: 0.01)(X)", "plain_batch_norm(eps: 0.01)(X)", "mlp_bn(4)(X)", "center()(X)", "whiten(X, eps: 0.1, iterations: 3)", "sinkhorn(tanh(X), temperature: 0.5)"] as const;
const widths: Readonly<Record<string, number>> = { "linear(9)(X)": 9, "linear_plain(4)(X)": 4, "weight_norm(3)(X)": 3, "X @ MATRIX": 5, "X @ transpose(CODES)": 3 };

/** A module from `x` to tokens or features of a width. `loops` are modules `[name, width]` that keep their width. */
function moduleText(d: Draw, name: string, out: number, { meets, tokens }: Setting, inside: number, loops: readonly Value[]): string {
  const parts: string[] = [];
  const lines: string[] = [];
  const values: Value[] = [{ name: "x", width: inside }];
  const latest = (fits = (_: Value): boolean => true): Value => d.of(values.at(-1) ?? { name: "x", width: inside }, ...values.filter(fits).slice(-3));
  const put = (text: string, width: number): void => {
    const fresh = d.chance(0.1) && values[0]?.width === width ? "x" : `v${lines.length}`;
    lines.push(`${fresh} = ${text}`);
    if (fresh !== "x") values.push({ name: fresh, width });
  };
  for (let i = d.between(1, 6); i > 0; i--) {
    const x = latest();
    const loop = loops.find((l) => l.width === x.width) ?? (x.width % 2 === 0 ? { name: "block", width: 2 } : undefined);
    if (tokens && loop !== undefined && d.chance(0.2)) {
      const once = loop.name === "block" ? `block(2, ratio: ${d.between(1, 3)})` : `${loop.name}()`;
      const [r, s] = [`r${lines.length}`, `s${lines.length}`];
      lines.push(`${r} = ${x.name}`, `${s} = tanh(${x.name})`, `repeat ${d.between(1, 4)} {\n    ${r} = ${d.chance(0.3) ? `${x.name} + ` : ""}${once}(${r})\n    ${s} = ${s} + normalize(${r})\n  }`);
      values.push({ name: r, width: x.width }, { name: s, width: x.width });
      continue;
    }
    if (x.width % 3 === 0 && d.chance(0.15)) {
      const names = [0, 1, 2].map((n) => `t${lines.length}_${n}`);
      lines.push(`${names.join(", ")} = split(${x.name}, 3)`);
      put(tokens ? `attend(${names.join(", ")}, 1)` : `${names[0] ?? ""} * ${names[2] ?? ""}`, x.width / 3);
      continue;
    }
    const form = d.of<string>(d.of(...pointwise), d.of(...byRows), ...(tokens ? [d.of(...byTokens, ...(x.width >= 4 ? [byPlaces] : []))] : []), ...(meets ? [d.of(...byBatch)] : []));
    const y = form === "join(X, Y)" ? latest((v) => v.width < 8) : values.filter((v) => v.width === x.width).at(d.between(-2, -1)) ?? x;
    if (form === "join(X, Y)" && x.width + y.width > 20) continue;
    const declare = (what: string): string => { parts.push(what); return what.split(" ")[1]?.replace(/\[.*/, "") ?? ""; };
    const n = parts.length;
    put(form.replaceAll(/\bX\b/g, x.name).replaceAll(/\bY\b/g, y.name)
      .replaceAll("HEADS", String(x.width % 2 === 0 ? d.of(1, 2) : 1))
      .replaceAll("GATE", () => declare(`learn g${n}[${d.of(String(x.width), tokens ? `1, 1, ${x.width}` : "1")}] ~ ${d.of("ones", "normal(0.5)")}`))
      .replaceAll("MATRIX", () => declare(`learn m${n}[${x.width}, 5] ~ normal(0.5)`))
      .replaceAll(/CODES.*CODES|CODES/g, (found) => found.replaceAll("CODES", declare(`learn c${n}[3, ${x.width}] ~ normal(0.5)`)))
      .replaceAll(/PART.*PART/g, (found) => found.replaceAll("PART", declare(`part p${n} = ${d.of(`linear(${x.width})`, "layer_norm()", ...(tokens && x.width % 2 === 0 ? ["block(1)"] : []), ...(meets ? ["batch_norm(eps: 0.01)"] : []))}`))), form === "join(X, Y)" ? x.width + y.width : widths[form] ?? x.width);
  }
  const result = latest();
  const kind = tokens ? "Tokens" : "Features";
  return `module ${name} (x: ${kind}[w]) -> ${kind}[${out}] {\n${[...parts, ...lines, result.width === out ? result.name : `linear(${out})(${result.name})`].map((l) => `  ${l}`).join("\n")}\n}\n`;
}

const masks: readonly [readonly [string, string], ...(readonly [string, string])[]] = [
  ["block(scale: 0.2..0.3, aspect: 1.0, min_keep: 1)", "block(scale: 0.85..1.00, aspect: 1.0, min_keep: 1) minus targets"], ["random(0.3..0.5)", "all minus targets"],
  ["random(0.25)", "random(0.5..0.7) minus targets"], ["block(scale: 0.3..0.4, aspect: 0.75..1.5, min_keep: 1, sampler: corrected)", "all minus targets"],
];
const pairs = ["mse(L, R)", "smooth_l1(L, R, beta: 0.5)", "smooth_l1(L, R)", "l1(L, R)", "negative_cosine(L, R)"] as const;
const contrasts = ["info_nce(L, R, temperature: 0.5)", "info_nce(L, R, temperature: 0.5, candidates: both)", "info_nce(L, R, negative_weight: 0.5)", "barlow(L, R)", "0.1 * barlow_off_diagonal(L, R)", "cross_entropy(L, stopgrad(sinkhorn(R, temperature: 0.5)))"] as const;
const guards = ["variance(L)", "0.04 * covariance(L)", "koleo(L)", "sigreg(L, directions: 4, points: 5, range: 3)", "mean_entropy(softmax(L))", "diversity(softmax(R, temperature: 0.5))", "variance(union(L, R))"] as const;
const alone = ["cross_entropy(L, softmax(R), temperature: 0.7)", "mse(L, R)", "smooth_l1(L, R)", "mean(square(L)) + mse(L, R)", "sum(square(mean(average(L, R), over: images)))"] as const;

/** A program by its seed, called `fuzz`. */
export function programText(seed: number): string {
  const d = new Draw(seed);
  const [patch, width, batch] = [d.of(2, 3, 4), d.of(4, 8, 12), d.of(1, 2, 3, 4, 5, 6)];
  const [meets, masked] = [batch > 1 && d.chance(0.5), d.chance(0.7)];
  const views = !masked || d.chance(0.4);
  const modules: string[] = [];
  const loops: Value[] = [];
  for (const w of [width, d.of(1, 2, 3, 4)]) {
    modules.push(moduleText(d, `mix${w}`, w, { meets: meets && d.chance(0.4), tokens: true }, w, loops));
    loops.push({ name: `mix${w}`, width: w });
    if (w === width && d.chance(0.5)) break;
  }
  if (loops[0]?.width === loops[1]?.width) modules.pop();
  const own = d.chance(0.6);
  if (own) modules.push(moduleText(d, "trunk", width, { meets: meets && d.chance(0.5), tokens: true }, width, loops), `module net (image) -> Tokens[${width}] {\n  trunk()(linear(${width})(patches(image, ${patch}))${d.of("", ` + sincos2d(${width})`)})\n}\n`);
  const [seen, told] = views ? ["a", "b"] : ["image", "image"];
  const model = [`input image: Image[${d.between(3, 4) * patch}, ${d.between(3, 5) * patch}, ${seed % 3 === 0 ? 1 : 3}]`, ...(views ? ["view a, b = augment(image) { flip(p: 0.5) }"] : []),
    `encoder student = ${own ? "net()" : `vit(${patch}, ${width}, ${d.between(1, 3)}, ${d.of(1, 2)})`}`, `encoder teacher = ${d.of("frozen(student)", "student", "ema(student, momentum: 0.9)", "ema(student, momentum: 0.99 -> 1.0)", "ema(student, momentum: 0.5)")}`];
  const losses: string[] = [];
  const pick = (forms: readonly [string, ...string[]], left: string, right: string): number => losses.push(d.of(...forms).replaceAll(/\bL\b/g, left).replaceAll(/\bR\b/g, right));
  const head = (name: string, out: number, tokens: boolean): void => {
    if (d.chance(0.6)) modules.push(moduleText(d, `${name}_net`, out, { meets, tokens }, width, loops));
    model.push(`${d.of("head", "predictor")} ${name} = ${modules.some((m) => m.startsWith(`module ${name}_net`)) ? `${name}_net()` : d.of(`mlp(6, ${out})`, `linear(${out})`, meets ? `mlp_bn(6, ${out})` : `linear(${out})`)}`);
  };
  if (masked) {
    const [target, context] = d.of(...masks);
    model.push(`mask targets = ${d.of("", "2 of ", "4 of ")}${target}`, `mask context = ${context}`, `predictor predict = vit_predictor(width: ${d.of(4, 8)}, depth: ${d.between(1, 2)}, heads: ${d.of(1, 2)})`);
    model.push(`z_context = student(${seen} at context)`, "z_hat = predict(z_context, at: targets)", `z_target = ${d.of("stopgrad(normalize(T))", "stopgrad(T)", "T", "l2_normalize(T)").replace("T", `teacher(${told})`)} at targets`);
    if (d.chance(0.4)) head("after", width, true);
    pick(pairs, model.some((l) => / after = /.test(l)) ? "after(z_hat)" : "z_hat", "z_target");
    if (d.chance(0.25)) { model.push("head paint = decode()"); pick(pairs, "paint(z_hat)", `normalize(patches(${told}, ${patch})) at targets`); }
    if (meets && d.chance(0.3)) losses.push(d.of("0.1 * variance(z_hat, over: all)", "0.1 * covariance(z_target, over: all)", "0.1 * info_nce(z_hat, z_target, temperature: 0.5, negatives: all)"));
  }
  if (!masked || d.chance(0.5)) {
    head("project", d.between(1, 7), false);
    model.push(`one = project(pool(student(${seen})))`, `two = ${d.of("project(P)", "stopgrad(project(P))").replace("P", `pool(${d.of("teacher", "student")}(${told}))`)}`);
    pick(meets ? contrasts : alone, "one", "two");
    if (meets && d.chance(0.6)) pick(guards, "one", "two");
  }
  const e = new Draw(seed + 1_000_003);
  const plain = { patch, batch, meets, seen, told };
  const wider = widerText(e, plain);
  modules.push(...wider.modules);
  losses.push(...wider.losses);
  model.splice(0, model.length, ...cutRows(e, [...model, ...wider.model], plain));
  model.push(...(d.chance(0.5) ? [`loss ${losses.join(" + ")}`] : losses.map((l, i) => `loss term${i} = ${d.of("", "0.5 * ", "2 * ")}(${l})`)), 'allow collapse("fuzz")', 'allow leak("fuzz")');
  const parts = !meets && batch % 2 === 0 && d.chance(0.4) ? ["accumulate 2"] : [];
  const train = ["data shapes(count: 64)", "steps 10", `batch ${batch}`, ...parts, `optimizer ${d.of("adamw(eps: 0.01)", "adamw(beta1: 0.8, beta2: 0.9, eps: 0.05)", "sgd(momentum: 0.9)", "sgd(momentum: 0)", "lars(momentum: 0.9, trust: 0.01)")}`,
    `learning_rate ${d.of("0.01", "0.1 -> 0.01", "cosine(0.001 -> 0.05 -> 0, warmup: 2 steps)")}`, `weight_decay ${d.of("0", "0.1", "cosine(0.04 -> 0.4)")}`, ...(d.chance(0.3) ? [`gradient_clip ${d.of(0.01, 0.5, 100)}`] : [])];
  return `use std.vit\nuse std.heads\n${modules.join("")}model fuzz {\n${model.map((l) => `  ${l}`).join("\n")}\n}\ntrain fuzz {\n${train.map((l) => `  ${l}`).join("\n")}\n}\n`;
}
