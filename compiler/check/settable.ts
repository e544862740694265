/**
 * What `--set` and `sweep` can change, and what was meant by a name that they cannot.
 *
 * Owns the list's meaning (params by name, options of an instance by path, `predict.depth`) and the way from a wrong name to
 * the nearest right ones: a misspelt one, an option said without its instance, an option of a moving average. Leaves the
 * changing to `model.ts` and the reading of sweeps to `sweep.ts`.
 */
import { suggest } from "../base/suggest.js";
import type { Span } from "../base/span.js";
import type { ReportExtras } from "../messages/report.js";

/** Names that can be given another value; `follows` says of a moving average what it is one of. */
export interface Settable {
  readonly names: readonly string[];
  readonly follows: ReadonlyMap<string, string>;
}

/** Most names that a help lists. */
const most = 12;

/** Help for a `path` that is not among the names; where it stands in the program, and one name is meant, a fix as well. */
export function meantSetting(path: string, settable: Settable, at?: Span): ReportExtras {
  const near = nearest(path, settable);
  const help = near.length > 0 ? `Did you mean ${listed(near, " or ")}?` : settable.names.length === 0 ? undefined : `There ${settable.names.length === 1 ? "is" : "are"} ${listed(settable.names.slice(0, most), ", ")}${settable.names.length > most ? ", …" : ""}.`;
  return {
    ...(help === undefined ? {} : { help }),
    ...(at === undefined || near.length !== 1 ? {} : { fixes: near.map((name) => ({ title: `Replace with \`${name}\``, edits: [{ span: at, text: name }] })) }),
  };
}

function nearest(path: string, { names, follows }: Settable): readonly string[] {
  const [root = "", option] = path.split(".");
  const source = follows.get(root);
  // The configuration of an average is that of what it follows.
  if (source !== undefined && option !== undefined) return nearest(`${source}.${option}`, { names, follows: new Map([...follows].filter(([name]) => name !== root)) });
  if (names.includes(path)) return [path];
  const whole = suggest(path, names, 1);
  if (whole.length > 0 || option !== undefined) return whole;
  // `depht` for `student.depth`: an option said without its instance, misspelt or not.
  const options = names.filter((name) => name.includes("."));
  const [word] = suggest(path, new Set(options.map((name) => name.slice(name.indexOf(".") + 1))), 1);
  return word === undefined ? [] : options.filter((name) => name.endsWith(`.${word}`)).slice(0, most);
}

function listed(names: readonly string[], between: string): string {
  return names.map((name) => `\`${name}\``).join(between);
}
