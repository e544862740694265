/**
 * Where the syntax stages put their reports, and how a token becomes a place and words.
 *
 * Owns the cap: a text that is not a program at all would otherwise be reported character by character, so after
 * `errorLimit` reports the sink only counts. Shared by slips, layout and grammar, so that one limit holds for the file.
 */
import type { IToken } from "./chevrotain.js";
import type { Span } from "../base/span.js";
import type { Diagnostic } from "../messages/report.js";

/** After this many syntax errors, one JEP1012 ends the list. */
export const errorLimit = 100;

/** A capped list of reports about one file. */
export interface Sink {
  readonly file: string;
  readonly list: Diagnostic[];
  /** How many reports did not fit. */
  dropped: number;
  add(diagnostic: Diagnostic): void;
  /** Offsets of mistakes after which the rest of a statement is not what was meant: it is read no further, or was put together. */
  readonly broken: number[];
}

/** An empty sink for `file`. */
export function createSink(file: string): Sink {
  return {
    file,
    list: [],
    dropped: 0,
    broken: [],
    add(diagnostic) {
      if (this.list.length < errorLimit) this.list.push(diagnostic);
      else this.dropped += 1;
    },
  };
}

/** The offset after a token's last character. */
export function endOf(token: IToken): number {
  return (token.endOffset ?? token.startOffset - 1) + 1;
}

/** The place of a token. */
export function spanOf(file: string, token: IToken): Span {
  return { file, start: token.startOffset, end: endOf(token) };
}

/** The text, cut so that a message stays one line. */
export function shorten(text: string, limit = 40): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`;
}
