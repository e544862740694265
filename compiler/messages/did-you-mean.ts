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
export function didYouMean(word: string, known: Iterable<string>, at: Span, otherwise?: string): ReportExtras {
  const [near] = suggest(word, known);
  if (near === undefined) return otherwise === undefined ? {} : { help: otherwise };
  return { help: `Did you mean \`${near}\`?`, fixes: [{ title: `Replace with \`${near}\``, edits: [{ span: at, text: near }] }] };
}
