/**
 * Places where one of a few words may stand and nothing else: parts of the library, kinds of inputs, types, spaces, the words
 * that a setting or an argument chooses from.
 *
 * Owns how such a place is told from the text before it. The words are those that the checker knows.
 */
import { own } from "../base/own.js";
import { axisWords } from "../check/builtin-call.js";
import { spaceWords } from "../check/losses.js";
import { maskChoices } from "../check/masks.js";
import { inputTypes } from "../check/model.js";
import { initNames, typeNames } from "../check/statements.js";
import { settingChoices, sourceChoices } from "../check/train.js";
import { lossKind, lossNames } from "../model/losses.js";
import { sources } from "../std/sources.js";

/** The words that may stand at the end of a text; undefined where anything may. */
export function choicesAfter(before: string): readonly string[] | undefined {
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const use = /^\s*use\s+(std\.)?\w*$/.exec(line);
  if (use !== null) return Object.keys(sources).map((name) => (use[1] === undefined ? `std.${name}` : name));
  if (/^\s*input\s+\w+\s*:\s*\w*$/.test(line)) return inputTypes;
  if (/^\s*loss\b.*[\w)]\s+in\s+\w*$/.test(line) || /->\s*\w+(\[[^\]]*\])?\s+in\s+\w*$/.test(line)) return spaceWords;
  if (/(?:^|\n)\s*module\b[^{}]*(->|[(,]\s*\w+\s*:)\s*\w*$/.test(before)) return typeNames;
  if (/^\s*(learn|fixed|state)\b.*~\s*\w*$/.test(line)) return initNames;
  const argument = /[(,]\s*(\w+)\s*:\s*\w*$/.exec(before)?.[1];
  return argument === undefined ? undefined : argumentChoices(argument);
}

/** The words of a setting whose value is being written; undefined where it is no choice. */
export function settingChoicesAfter(before: string): readonly string[] | undefined {
  const name = /(?:^|[\n{;,])\s*(\w+)\s+\w*$/.exec(before)?.[1];
  return name === undefined ? undefined : own<readonly string[]>(settingChoices, name);
}

const truths = ["true", "false"] as const;

/** The words of an argument that chooses from some, whatever is called. */
function argumentChoices(name: string): readonly string[] | undefined {
  const words = [...(own<readonly string[]>({ over: Object.keys(axisWords), pool: ["mean"], causal: truths, overlap: truths, tune: truths, ...maskChoices, ...sourceChoices }, name) ?? []), ...lossNames().flatMap((loss) => own(lossKind(loss).words, name) ?? [])];
  return words.length === 0 ? undefined : words;
}
