/**
 * Rewritings of a program's text that leave its meaning alone, and some that change it in a known way.
 *
 * They work on statements (runs of lines with balanced brackets) of the one model of a corpus program, so that each is a few
 * lines. A rewriting that does not apply gives back undefined. Randomness comes in as a function, so that a seed decides.
 */

/** A whole number below `n`. */
export type Draw = (n: number) => number;

/** A program in parts: before the model, its statements, behind it. */
interface Parts {
  readonly before: string;
  readonly statements: readonly string[];
  readonly behind: string;
}

/** Takes a program apart; a statement goes on while a bracket is open. */
export function partsOf(source: string): Parts | undefined {
  const open = /^model \w+ \{\n/m.exec(source);
  if (open === null) return undefined;
  const start = open.index + open[0].length;
  const end = source.indexOf("\n}", start);
  if (end < 0) return undefined;
  const statements: string[] = [];
  let depth = 0;
  let at = "";
  for (const line of source.slice(start, end).split("\n")) {
    if (line.trim() === "" || line.trim().startsWith("//")) continue;
    at = at === "" ? line : `${at}\n${line}`;
    for (const c of line) depth += "([{".includes(c) ? 1 : ")]}".includes(c) ? -1 : 0;
    if (depth > 0) continue;
    if (/^\s*[+\-*/] /.test(line) && statements.length > 0) statements.push(`${statements.pop() ?? ""}\n${at}`);
    else statements.push(at);
    at = "";
  }
  return { before: source.slice(0, start), statements, behind: source.slice(end) };
}

function join({ before, behind }: Parts, statements: readonly string[], modules = ""): string {
  const at = before.lastIndexOf("model ");
  return `${before.slice(0, at)}${modules}${before.slice(at)}${statements.join("\n")}${behind}`;
}

const lossPattern = /^\s*loss (?:(\w+) = )?([\s\S]*)$/;

interface LossLine {
  readonly name: string | undefined;
  readonly value: string;
  readonly space: string;
}

function readLoss(statement: string): LossLine | undefined {
  const found = lossPattern.exec(statement);
  if (found === null) return undefined;
  const text = found[2] ?? "";
  const space = / in (?:pixels|logits|latent\(\w+\))\s*$/.exec(text)?.[0] ?? "";
  return { name: found[1], value: text.slice(0, text.length - space.length).trim(), space };
}

const isLoss = (statement: string): boolean => lossPattern.test(statement);
const named = (l: LossLine, value: string): string => `  loss ${l.name === undefined ? "" : `${l.name} = `}${value}${l.space}`;

/** Replaces a name where it stands for the thing: not as an argument's name, not as a member. */
function rename(text: string, from: string, to: string): string {
  return text.replace(new RegExp(`(?<![\\w.])${from}(?!\\w)(?!\\s*:)`, "g"), to);
}

function declared(statements: readonly string[]): string[] {
  const names = statements.flatMap((s) => {
    const instance = /^\s*(?:encoder|predictor|head|param|mask|input) (\w+)/.exec(s);
    if (instance !== null) return [instance[1] ?? ""];
    if (isLoss(s) || /^\s*(?:view|repeat|allow)\b/.test(s)) return [];
    return /^\s*(\w+(?:, \w+)*) = /.exec(s)?.[1]?.split(", ") ?? [];
  });
  return [...new Set(names)];
}

/** A rewriting: undefined where it does not apply. */
export type Rewriting = (source: string, draw: Draw) => string | undefined;

const over = (rewrite: (parts: Parts, draw: Draw) => string | undefined): Rewriting => (source, draw) => {
  const parts = partsOf(source);
  return parts === undefined ? undefined : rewrite(parts, draw);
};

/** Splits the arguments of a call at its outermost commas. */
export function argumentsOf(text: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let from = 0;
  [...text].forEach((c, i) => {
    depth += "([{".includes(c) ? 1 : ")]}".includes(c) ? -1 : 0;
    if (c === "," && depth === 0) {
      out.push(text.slice(from, i).trim());
      from = i + 1;
    }
  });
  return [...out, text.slice(from).trim()];
}

/** Rewrites every call of a function, the innermost first. */
export function mapCalls(text: string, name: string, f: (args: readonly string[]) => string): string {
  const pattern = new RegExp(`(?<![\\w.])${name}\\(`, "g");
  let out = text;
  const starts = [...text.matchAll(pattern)].map((m) => m.index).reverse();
  for (const start of starts) {
    let depth = 0;
    let end = start + name.length;
    for (; end < out.length; end++) {
      depth += "([{".includes(out[end] ?? "") ? 1 : ")]}".includes(out[end] ?? "") ? -1 : 0;
      if (depth === 0) break;
    }
    out = out.slice(0, start) + f(argumentsOf(out.slice(start + name.length + 1, end))) + out.slice(end + 1);
  }
  return out;
}

const strange = ["teacher", "student", "target", "frozen_net", "predict", "loss_a", "anchor", "ema_copy", "stopped", "negatives", "q", "momentum_net"];

/** Rewritings that leave the meaning alone. */
export const equivalent: Readonly<Record<string, Rewriting>> = {
  "other names": over((p, draw) => {
    const names = declared(p.statements).filter((n) => !/^(?:image|video|action|label)$/.test(n));
    const taken = new Set(declared(p.statements));
    const pool = strange.filter((s) => !taken.has(s) && !p.statements.some((x) => new RegExp(`\\b${s}\\b`).test(x)));
    const text = names.reduce((all, n, i) => rename(all, n, `${pool[(i + draw(pool.length)) % pool.length] ?? "x"}_${i}`), p.statements.join("\n"));
    return join(p, [text.replace(/^(\s*(?:encoder|predictor|head|param|mask|input) )/gm, "$1")]);
  }),
  "other order": over((p, draw) => {
    const fixed = p.statements.filter((s) => /^\s*(?:mask|input|view|param)\b/.test(s));
    const rest = p.statements.filter((s) => !fixed.includes(s));
    for (let i = rest.length - 1; i > 0; i--) {
      const j = draw(i + 1);
      [rest[i], rest[j]] = [rest[j] ?? "", rest[i] ?? ""];
    }
    return join(p, [...fixed, ...rest]);
  }),
  "an alias of each encoder": over((p) => {
    const names = p.statements.flatMap((s) => /^\s*encoder (\w+) = (?!\w+\s*$)/.exec(s)?.[1] ?? []);
    if (names.length === 0) return undefined;
    const uses = p.statements.map((s) => (/^\s*(?:encoder|head|predictor) /.test(s) ? s : names.reduce((t, n) => t.replace(new RegExp(`(?<![\\w.])${n}([.(])`, "g"), `${n}_again$1`), s)));
    return join(p, [...uses, ...names.map((n) => `  encoder ${n}_again = ${n}`)]);
  }),
  "losses in two halves": over((p) => join(p, p.statements.flatMap((s, i) => {
    const loss = readLoss(s);
    return loss === undefined ? [s] : [named(loss, `0.5 * (${loss.value})`), `  loss half_${i} = 0.5 * (${loss.value})${loss.space}`];
  }))),
  "losses times three": over((p) => join(p, p.statements.map((s) => {
    const loss = readLoss(s);
    return loss === undefined ? s : named(loss, `3 * (${loss.value})`);
  }))),
  "losses times a param of one": over((p) => join(p, ["  param unit = 1", ...p.statements.map((s) => {
    const loss = readLoss(s);
    return loss === undefined ? s : named(loss, `(${loss.value}) * unit + 0`);
  })])),
  "a term of weight zero": over((p) => {
    const loss = p.statements.map(readLoss).find((l) => l !== undefined);
    return loss === undefined ? undefined : join(p, ["  param nothing = 0", ...p.statements, `  loss idle_term = nothing * (${loss.value})`]);
  }),
  "a term and its negative": over((p) => {
    const loss = p.statements.map(readLoss).find((l) => l !== undefined);
    return loss === undefined ? undefined : join(p, [...p.statements, `  loss void_term = (${loss.value}) - (${loss.value})`]);
  }),
  "dead values": over((p) => {
    const value = p.statements.map(readLoss).find((l) => l !== undefined)?.value;
    return value === undefined ? undefined : join(p, [...p.statements, `  seen_only = stopgrad(${value})`, "  head unused_head = linear(4)"]);
  }),
  "each value through a module": over((p) => {
    let count = 0;
    const statements = p.statements.map((s) => {
      const found = /^(\s*\w+ = )([\s\S]*)$/.exec(s);
      if (found === null || isLoss(s) || /^\s*(?:view|param|mask|encoder)\b/.test(s)) return s;
      count++;
      return `${found[1] ?? ""}passed_on(${found[2] ?? ""})`;
    });
    return count === 0 ? undefined : join(p, statements, "module passed_on(x: Tensor) -> Tensor {\n  inner_passed_on(x)\n}\n\nmodule inner_passed_on(x: Tensor) -> Tensor {\n  x\n}\n\n");
  }),
  "comparisons in a module": over((p) => {
    const kinds = ["mse", "l1", "negative_cosine"].filter((k) => p.statements.some((s) => isLoss(s) && s.includes(`${k}(`)));
    if (kinds.length === 0) return undefined;
    const statements = p.statements.map((s) => (isLoss(s) ? kinds.reduce((t, k) => t.replaceAll(new RegExp(`(?<![\\w.])${k}\\(`, "g"), `own_${k}(`), s) : s));
    return join(p, statements, kinds.map((k) => `module own_${k}(x: Tensor, y: Tensor) {\n  ${k}(x, y)\n}\n\n`).join(""));
  }),
  "operands exchanged": over((p) => {
    const kinds = ["mse", "l1", "negative_cosine", "smooth_l1", "barlow"].filter((k) => p.statements.some((s) => isLoss(s) && s.includes(`${k}(`)));
    if (kinds.length === 0) return undefined;
    return join(p, p.statements.map((s) => (isLoss(s) ? kinds.reduce((t, k) => mapCalls(t, k, ([x = "", y = "", ...rest]) => `${k}(${[y, x, ...rest].join(", ")})`), s) : s)));
  }),
  "views exchanged": over((p) => {
    if (!p.statements.some((s) => /^\s*view a, b = /.test(s))) return undefined;
    return join(p, p.statements.map((s) => (/^\s*view /.test(s) ? s : s.replace(/(?<![\w.])([ab])(?![\w(])(?!\s*:)/g, (_, n: string) => (n === "a" ? "b" : "a")))));
  }),
  "squares written out": over((p) => {
    if (!p.statements.some((s) => isLoss(s) && s.includes("mse("))) return undefined;
    return join(p, p.statements.map((s) => (isLoss(s) ? mapCalls(s, "mse", ([x = "", y = ""]) => `mean(square((${x}) - (${y})))`) : s)));
  }),
  "frozen as an average that never moves": over((p) => {
    const pattern = /^(\s*(?:encoder|head|predictor) )(\w+) = frozen\(([\s\S]*)\)\s*$/;
    if (!p.statements.some((s) => pattern.test(s) && s.includes("(", s.indexOf("frozen(") + 7))) return undefined;
    return join(p, p.statements.flatMap((s) => {
      const found = pattern.exec(s);
      if (found === null || !(found[3] ?? "").includes("(")) return [s];
      return [`${found[1] ?? ""}${found[2] ?? ""}_start = ${found[3] ?? ""}`, `${found[1] ?? ""}${found[2] ?? ""} = ema(${found[2] ?? ""}_start, momentum: 1)`];
    }));
  }),
  "a stop twice": over((p) => {
    if (!p.statements.some((s) => s.includes("stopgrad("))) return undefined;
    return join(p, p.statements.map((s) => s.replaceAll("stopgrad(", "stopgrad(1 * stopgrad(").replace(/$/, "")).map((s) => closeTwice(s)));
  }),
  "the picture stopped": over((p) => {
    if (!p.statements.some((s) => /\((?:a|b)\)/.test(s))) return undefined;
    return join(p, p.statements.map((s) => (/^\s*view /.test(s) ? s : s.replace(/(?<=\w\()([ab])\)/g, "stopgrad($1))"))));
  }),
};

/** Behind each `stopgrad(1 * stopgrad(…`, the bracket that closes it once more. */
function closeTwice(statement: string): string {
  return mapCalls(statement.replaceAll("stopgrad(1 * stopgrad(", "double_stop("), "double_stop", ([x = ""]) => `stopgrad(1 * stopgrad(${x}))`);
}

/** Rewritings that change the meaning. */
export const changing = {
  /** Every stop taken away. */
  unstopped: over((p) => (p.statements.some((s) => s.includes("stopgrad(")) ? join(p, p.statements.map((s) => mapCalls(s, "stopgrad", ([x = ""]) => `(${x})`))) : undefined)),
  /** No predictor `h`. */
  unpredicted: over((p) => join(p, p.statements.filter((s) => !/^\s*predictor h = /.test(s)).map((s) => mapCalls(s, "h", ([x = ""]) => `(${x})`)))),
  /** Every loss of weight zero. */
  weightless: over((p) => join(p, ["  param nothing = 0", ...p.statements.map((s) => {
    const loss = readLoss(s);
    return loss === undefined ? s : named(loss, `nothing * (${loss.value})`);
  })])),
  /** Averages that never move. */
  unmoving: over((p) => (p.statements.some((s) => s.includes("ema(")) ? join(p, p.statements.map((s) => s.replace(/momentum: [\d. >-]+\d/, "momentum: 1"))) : undefined)),
  /** Variance, normality and cross-correlation away. */
  unguarded: over((p) => join(p, p.statements.map((s) => (isLoss(s) ? ["variance", "sigreg"].reduce((t, k) => mapCalls(t, k, (args) => `0 * ${k}(${args.join(", ")})`), s) : s)))),
  /** Masks that know nothing of each other. */
  overlapping: over((p) => (p.statements.some((s) => / minus /.test(s)) ? join(p, p.statements.map((s) => s.replace(/ minus \w+\s*$/, ""))) : undefined)),
} as const satisfies Readonly<Record<string, Rewriting>>;
