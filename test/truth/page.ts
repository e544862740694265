/**
 * The truth test's part of docs/results.md: one row for each program, between its marks; the rest of the page stays.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { corpus } from "./corpus.js";
import { alarming, explained, untrained } from "./disagreements.js";
import type { Outcome } from "./judgement.js";
import { outcomesOf } from "./judgement.js";
import { LONG, STEPS } from "./recipe.js";
import type { Kept } from "./store.js";
import { pending } from "./store.js";

const page = join(import.meta.dirname, "../../docs/results.md");
const between = /<!-- truth:[\s\S]*<!-- end of truth -->/;

/** Writes the table into the page. */
export function writePage(text: string): void {
  const old = readFileSync(page, "utf8");
  writeFileSync(page, between.test(old) ? old.replace(between, () => text) : `${old.trimEnd()}\n\n## The truth test\n\nMade by \`npm run test:truth\`.\n\n${text}\n`);
}

/** The table as it stands in the page. */
export function pageText(): string {
  return between.exec(readFileSync(page, "utf8"))?.[0] ?? "";
}

/** What the page is to say of these measurements, marks included. */
export function pageNow(kept: readonly Kept[]): string {
  const outcomes = outcomesOf(corpus(), kept);
  const of = (verdict: string): readonly Outcome[] => outcomes.filter((o) => o.one.verdict === verdict);
  const agreeing = (list: readonly Outcome[]): readonly Outcome[] => list.filter((o) => o.agrees === true);
  const alarmed = (list: readonly Outcome[]): readonly Outcome[] => list.filter((o) => o.alarms.length > 0);
  const long = outcomes.filter((o) => o.run.steps === LONG);
  const heard = agreeing(of("error")).filter((o) => o.run.failed === undefined);
  const engines = [...new Set(kept.map((k) => k.measured.engine))].join(", ");
  return [
    "<!-- truth: written by npm run test:truth -->",
    "",
    `${outcomes.length} programs, ${kept.length} training runs (${engines}). Of ${of("error").length} programs that the checker refuses, ${agreeing(of("error")).length} fail as it says; of ${of("sound").length} that it calls sound,`,
    `${agreeing(of("sound")).length} hold; ${of("risky").length} risky ones are told without being judged. ${STEPS} steps each, and ${LONG} for ${long.length} of them: those that had parted from their verdict, and a sample of the others.`,
    `Of the ${heard.length} that were trained and failed as said, the compiled monitors raised an alarm in ${alarmed(heard).length}; in ${alarmed(of("sound")).length} of the ${of("sound").length} sound runs there was one too.`,
    "",
    "Every figure is \"untrained → trained\", on pictures and clips that were not trained on. std: spread of l2-normalized pooled features over",
    "pictures, times the root of the width; rank: RankMe of the centered pooled features; pictures/tokens: spread over pictures by spread over tokens;",
    "strangers: what the terms that compare two views say of views of two different pictures.",
    "",
    "| program | verdict, rules | steps | encoder: std, rank, pictures/tokens | loss | strangers | measured | alarms |",
    "| --- | --- | ---: | --- | --- | --- | --- | --- |",
    ...outcomes.map(row),
    "",
    ...told("Where they disagree", explained, outcomes),
    ...told("Where a monitor is heard in a sound program", alarming, outcomes),
    `Checked, and refused for another reason, so not trained: ${Object.entries(untrained).map(([id, why]) => `${id} (${why})`).join(", ")}.`,
    "",
    ...(pending().length === 0 ? [] : [`Not measured yet (\`npm run test:truth\` goes on with them): ${pending().join(", ")}.`, ""]),
    "<!-- end of truth -->",
  ].join("\n");
}

function told(title: string, reasons: Readonly<Record<string, string>>, outcomes: readonly Outcome[]): string[] {
  const lines = outcomes.flatMap(({ one }) => {
    const reason = reasons[one.id];
    return reason === undefined ? [] : [`- ${one.id}, ${one.title}: ${reason}`];
  });
  return lines.length === 0 ? [] : [`**${title}**`, "", ...lines, ""];
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
  return `| ${one.id}: ${one.title.replaceAll("|", "\\|")} | ${one.verdict}${rules} | ${run.steps} | ${features} | ${short(run.heldOut.before)} → ${short(run.heldOut.after)} | ${strangers} | ${measured.replaceAll("|", "\\|")} | ${alarm} |`;
}

function short(x: number): string {
  if (Number.isNaN(x)) return "–";
  return Math.abs(x) < 1e-3 && x !== 0 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}
