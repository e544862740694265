/**
 * How tokens are called in messages, and the report that one of them lacks a comma before it.
 *
 * Owns words only: which mistake it is, is decided where it is found (the grammar, or `parse.ts` from what chevrotain
 * expected).
 */
import { EOF } from "chevrotain";
import type { IToken } from "chevrotain";
import { report } from "../messages/report.js";
import type { Diagnostic, Fix } from "../messages/report.js";
import { endOf, spanOf } from "./sink.js";
import { shorten } from "./slips.js";
import { T } from "./tokens.js";

/** A token as a message names it. */
export function describeToken(token: IToken): string {
  switch (token.tokenType) {
    case EOF: return "the end of the file";
    case T.Ident: return `the name \`${shorten(token.image)}\``;
    case T.Number: return `the number \`${shorten(token.image)}\``;
    case T.String: return `the text ${shorten(token.image)}`;
    case T.Skipped: return "text that cannot be read";
    default: return `\`${shorten(token.image)}\``;
  }
}

/** A comma written before an offset. Where the two touch (`4px`), one word was more likely meant, and it is a guess. */
export function commaFix(file: string, at: number, previousEnd: number): Fix {
  const edits = [{ span: { file, start: at, end: at }, text: ", " }];
  return { title: "write `,`", edits, ...(previousEnd === at ? { guess: true as const } : {}) };
}

/** Two elements of a list with nothing between them. */
export function lacksComma(file: string, previous: IToken, token: IToken): Diagnostic {
  return report("JEP1002", spanOf(file, token), { expected: "`,`", found: describeToken(token) }, { fixes: [commaFix(file, token.startOffset, endOf(previous))] });
}
