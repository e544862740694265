/**
 * The truth test's part of docs/results.md: one row for each program, between its marks; the rest of the page stays.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { explained } from "./disagreements.js";
import type { Outcome } from "./judgement.js";
import { STEPS } from "./recipe.js";

const page = join(import.meta.dirname, "../../docs/results.md");
const between = /<!-- truth:[\s\S]*<!-- end of truth -->/;

/** What there is to write. */
export interface TruthPage {
  readonly outcomes: readonly Outcome[];
  /** Programs whose runs are not there. */
  readonly missing: readonly string[];
  /** Programs that can only be checked. */
  readonly checkedOnly: readonly string[];
}

/** Writes the table into the page. */
export function writePage(content: TruthPage): void {
  const old = readFileSync(page, "utf8");
  const text = truthText(content);
  writeFileSync(page, between.test(old) ? old.replace(between, () => text) : `${old.trimEnd()}\n\n## The truth test\n\nMade by \`npm run test:truth\`.\n\n${text}\n`);
}

/** The text between the marks, marks included. */
export function truthText({ outcomes, missing, checkedOnly }: TruthPage): string {
  const trained = outcomes.filter((o) => o.run.refused === undefined);
  const refused = outcomes.filter((o) => o.run.refused !== undefined);
  const of = (verdict: string): readonly Outcome[] => trained.filter((o) => o.one.verdict === verdict);
  const agreeing = (list: readonly Outcome[]): number => list.filter((o) => o.agrees === true).length;
  const heard = of("error").filter((o) => o.agrees === true);
  const disagreeing = trained.filter((o) => o.agrees === false);
  const falseAlarms = of("sound").filter((o) => o.alarms.length > 0);
  return [
    "<!-- truth: written by npm run test:truth -->",
    "",
    `${trained.length} programs trained for ${STEPS} steps each. Of ${of("error").length} that the checker refuses, ${agreeing(of("error"))} fail as it says; of ${of("sound").length} that it calls sound,`,
    `${agreeing(of("sound"))} hold; ${of("risky").length} risky ones are told without being judged. Of the ${heard.length} that failed as said, the compiled monitors raised an alarm in ${heard.filter((o) => o.alarms.length > 0).length};`,
    `in ${falseAlarms.length} of the ${of("sound").length} sound runs there was one too${falseAlarms.length === 0 ? "" : ` (${falseAlarms.map((o) => o.one.id).join(", ")})`}.`,
    "",
    "Every figure is \"untrained → trained\", on pictures that were not trained on. std: spread of l2-normalized pooled features over",
    "pictures, times the root of the width; rank: RankMe of the centered pooled features; pictures/tokens: spread over pictures by spread over tokens;",
    "strangers: what the terms that compare two views say of views of two different pictures.",
    "",
    "| program | verdict, rules | encoder: std, rank, pictures/tokens | loss | strangers | measured | alarms |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...trained.map(row),
    "",
    ...(disagreeing.length === 0 ? [] : ["**Where they disagree**", "", ...disagreeing.map((o) => `- ${o.one.id}, ${o.one.title}: ${explained[o.one.id] ?? "not explained yet."}`), ""]),
    ...(refused.length === 0 ? [] : [`Checked, and refused for another reason, so not trained: ${refused.map((o) => `${o.one.id} (${(o.run.refused ?? "").split(":")[0] ?? ""})`).join(", ")}.`, ""]),
    `Checked and never trained, because no target can (films, actions, labels, pretrained networks, queues, weights that change): ${checkedOnly.join(", ")}.`,
    "",
    ...(missing.length === 0 ? [] : [`${missing.length} more have not been trained yet; \`npm run test:truth\` goes on with them.`, ""]),
    "<!-- end of truth -->",
  ].join("\n");
}

function row({ one, run, agrees, figures, alarms }: Outcome): string {
  const { encoders } = run.before;
  const features = Object.entries(encoders).map(([name, before]) => {
    const after = run.after.encoders[name];
    const pair = (pick: (r: typeof before) => number | undefined, digits: number): string => {
      const [x, y] = [pick(before), after === undefined ? undefined : pick(after)];
      return x === undefined || y === undefined ? "–" : `${x.toFixed(digits)} → ${y.toFixed(digits)}`;
    };
    return `${name}: ${pair((r) => r.std, 3)}, ${pair((r) => r.rank, 1)}, ${pair((r) => r.ratio, 2)}`;
  }).join("<br>");
  const strangers = Object.entries(run.after.terms).flatMap(([name, after]) => {
    const before = run.before.terms[name];
    return before === undefined || Math.abs(before.strangers - before.matched) < 1e-9 ? [] : [`${short(before.strangers)} → ${short(after.strangers)}`];
  }).join("<br>");
  const told = agrees === undefined ? "" : agrees ? "as said" : "**not as said**";
  const rules = one.rules.length === 0 ? "" : `: ${one.rules.join(", ")}`;
  const alarm = [...new Map(alarms.map((a) => [`${a.monitor} ${a.subject}`, `${a.monitor} of ${a.subject}, step ${a.step}`])).values()].slice(0, 2).join("<br>");
  const measured = [told, ...figures.slice(0, 2)].filter((t) => t !== "").join("; ");
  return `| ${one.id}: ${one.title.replaceAll("|", "\\|")} | ${one.verdict}${rules} | ${features} | ${short(run.heldOut.before)} → ${short(run.heldOut.after)} | ${strangers} | ${measured.replaceAll("|", "\\|")} | ${alarm} |`;
}

function short(x: number): string {
  if (Number.isNaN(x)) return "–";
  return Math.abs(x) < 1e-3 && x !== 0 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}
