/**
 * "Did you mean": help and fix for a word that is not known.
 *
 * Owns the pairing of the two, so that wherever a name can be wrong the same edit is offered that the help speaks of. The
 * distance between words is `base/suggest.ts`; which words are known is the caller's.
 */
import type { Span } from "../base/span.js";
import { suggest } from "../base/suggest.js";
import type { ReportExtras } from "./report.js";

/** Extras of a report about `word` at `at`: the nearest known word as help and as a fix, else the help `otherwise`. */
export function didYouMean(word: string, among: Iterable<string>, at: Span, otherwise?: string): ReportExtras {
  const known = [...among];
  const [near] = suggest(word, known);
  if (near === undefined) {
    const [longer] = stem(word, known);
    const help = longer === undefined ? otherwise : `Did you mean \`${longer}\`?`;
    // Far apart as spellings: a guess to read, and no edit.
    return help === undefined ? {} : { help };
  }
  return { help: `Did you mean \`${near}\`?`, fixes: [{ title: `Replace with \`${near}\``, edits: [{ span: at, text: near }] }] };
}

/** Known words that a word begins with, or that begin with it: `output` for `out`, `batchsize` for `batch`; longest first. */
function stem(word: string, known: readonly string[]): string[] {
  const shares = (one: string): boolean => Math.min(one.length, word.length) >= 3 && (one.startsWith(word) || word.startsWith(one));
  return known.filter(shares).toSorted((a, b) => b.length - a.length);
}
