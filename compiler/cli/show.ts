/**
 * Diagnostics on the terminal, for commands that need a program without mistakes.
 *
 * Owns the one way in which `compile`, `train`, `graph` and others report what is wrong: on the error stream, in full.
 * `check` has formats of its own.
 */
import type { CheckResult } from "../compile.js";
import { waitingNote } from "../every-program.js";
import { renderDiagnostics } from "../messages/render.js";
import type { Opened } from "./source.js";
import { shownDiagnostics, shownTexts } from "./source.js";
import type { CliTerminal } from "./terminal.js";
import { styleOf } from "./terminal.js";

/** Shows all diagnostics of a result, if any. */
export function tellDiagnostics(result: CheckResult, opened: Opened, cx: CliTerminal): void {
  const texts = shownTexts(result.texts, opened);
  cx.err.write(renderDiagnostics(shownDiagnostics(result.diagnostics, opened), (file) => texts.get(file), styleOf(cx.err, cx.env)));
  cx.err.write(noteLine(waitingNote([result]), cx.err, cx.env));
}

/** A note without a place, as a line of its own; nothing for none. */
export function noteLine(note: string | undefined, stream: CliTerminal["err"], env: CliTerminal["env"]): string {
  return note === undefined ? "" : `${styleOf(stream, env).note("note")}: ${note}\n`;
}

/** A count with thousands apart: `1,234,567`. */
export function count(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A large number in three digits and a letter: `12.3 G`. */
export function short(n: number): string {
  const units = ["", " k", " M", " G", " T", " P"];
  let at = 0;
  let value = n;
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${at === 0 ? String(value) : value.toPrecision(3)}${units[at] ?? ""}`;
}
