/**
 * Every program with a known verdict, in one list for all tests that need programs: the published cases (`cases/`), those
 * written without looking at the checker (`unseen/`), and the mechanisms of `variations.ts`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { adversarial } from "./unseen/adversarial.js";
import { anchors } from "./unseen/anchors.js";
import { codes } from "./unseen/codes.js";
import { computed } from "./unseen/computed.js";
import { dynamics } from "./unseen/dynamics.js";
import { guarded } from "./unseen/guarded.js";
import { guards } from "./unseen/guards.js";
import { maskedPrograms } from "./unseen/masked.js";
import { masks } from "./unseen/masks.js";
import type { Unseen, Verdict } from "./unseen/template.js";
import { worlds } from "./unseen/worlds.js";
import { queues } from "./unseen/queues.js";
import { recent } from "./unseen/recent.js";
import { relied } from "./unseen/relied.js";
import { rotaryPrograms } from "./unseen/rotary.js";
import { hunted } from "./unseen/hunted.js";
import { narrow } from "./unseen/narrow.js";
import { theory } from "./unseen/theory.js";
import { spelled } from "./unseen/spelled.js";
import { mechanisms } from "./variations.js";

export interface Case {
  readonly id: string;
  readonly source: string;
  /** The verdict that theory or literature gives. */
  readonly verdict: Verdict;
  /** Verdicts that are not wrong, `verdict` among them. */
  readonly accept: readonly Verdict[];
  /** Rules of the theory that must be among the reasons. */
  readonly rules: readonly string[];
  /** Whether it trains on pictures alone; films, actions, labels and pretrained networks ask for more than a source of pictures. */
  readonly trains: boolean;
}

const beyondPictures = /: (?:Video|Action|Label|Sequence)\[|pretrained\(/;

/** Whether its text takes pictures and nothing else. */
export const canTrain = (source: string): boolean => !beyondPictures.test(source);

/** Where the published cases are. */
export const folder: string = join(import.meta.dirname, "cases");

/** What is known of a published case, by its file. */
export interface Expected {
  readonly id: string;
  readonly file: string;
  readonly verdict: Verdict;
  readonly accept: readonly Verdict[];
  readonly rules: readonly string[];
}

export const expected: readonly Expected[] = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));

/** The published cases. */
export const published: readonly Case[] = expected.map(({ id, file, verdict, accept, rules }) => {
  const source = readFileSync(join(folder, file), "utf8");
  return { id, source, verdict, accept, rules, trains: canTrain(source) };
});

/** Programs of this project, written from the theory before the checker was asked. */
export const unseen: readonly Unseen[] = [...dynamics, ...guards, ...codes, ...anchors, ...maskedPrograms, ...worlds, ...masks];

export const corpus: readonly Case[] = [
  ...published,
  ...unseen.map(({ id, source, verdict, accept, rules }) => ({ id, source, verdict, accept, rules, trains: canTrain(source) })),
  ...mechanisms.map((m, i) => ({ id: `M${String(i + 1).padStart(3, "0")}`, source: m.text, verdict: m.verdict, accept: [m.verdict], rules: m.rules, trains: canTrain(m.text) })),
];

/** Programs written after the checker had been asked about the others: they stand apart, so that tests that rewrite the corpus keep their size. */
export const later: readonly Unseen[] = [...relied, ...adversarial, ...spelled, ...guarded, ...recent, ...computed, ...queues, ...rotaryPrograms, ...theory, ...hunted, ...narrow];

/** Every program with a known verdict. The truth test measures them all. */
export const everything: readonly Case[] = [...corpus, ...later.map(({ id, source, verdict, accept, rules }) => ({ id, source, verdict, accept, rules, trains: canTrain(source) }))];
