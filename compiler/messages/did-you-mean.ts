/**
 * "Did you mean": help and fix for a word that is not known.
 *
 * Owns the pairing of the two, so that wherever a name can be wrong the same edit is offered that the help speaks of. The
 * distance between words is `base/suggest.ts`; which words are known is the caller's.
 */
import type { Span } from "../base/span.js";
import type { Near } from "../base/suggest.js";
import { nearest } from "../base/suggest.js";
import { otherWord } from "./other-words.js";
import type { Fix, ReportExtras } from "./report.js";

/** Extras of a report about `word` at `at`: the nearest known word as help and as a fix, else the help `otherwise`. */
export function didYouMean(word: string, among: Iterable<string>, at: Span, otherwise?: string): ReportExtras {
  const known = [...among];
  const near = nearestWords(word, known);
  if (near[0] === undefined) {
    const [longer] = stem(word, known);
    const help = longer === undefined ? otherwise : `Did you mean \`${longer}\`?`;
    // Far apart as spellings: a guess to read, and no edit.
    return help === undefined ? {} : { help };
  }
  return { help: `Did you mean \`${near[0].name}\`?`, fixes: replacement(word, near, at) };
}

/** The known words nearest to one that is not known: the one that another library's word stands for, else by spelling. */
export function nearestWords(word: string, known: Iterable<string>): readonly Near[] {
  const all = [...known];
  const other = otherWord(word, all);
  return other === undefined ? nearest(word, all) : [{ name: other, distance: 0 }];
}

/** The word that a report's fix puts there, where it is no guess. */
export function surelyMeant({ fixes }: ReportExtras): string | undefined {
  const [first] = fixes ?? [];
  return first?.guess === true ? undefined : first?.edits[0]?.text;
}

/** Letters from which on a word is told by its spelling. */
const SPELLED = 3;

/** The fix that puts the nearest word in the place of one that is not known. Of short words, and of words as near as another, it is a guess: `za` is no slip of `zb`. */
export function replacement(word: string, near: readonly Near[], at: Span): Fix[] {
  const [first, second] = near;
  if (first === undefined) return [];
  const certain = first.distance === 0 || (word.length >= SPELLED && second?.distance !== first.distance);
  return [{ title: `Replace with \`${first.name}\``, ...(certain ? {} : { guess: true as const }), edits: [{ span: at, text: first.name }] }];
}

/** Known words that a word begins with, or that begin with it: `output` for `out`, `batchsize` for `batch`; longest first. */
function stem(word: string, known: readonly string[]): string[] {
  const shares = (one: string): boolean => Math.min(one.length, word.length) >= 3 && (one.startsWith(word) || word.startsWith(one));
  return known.filter(shares).toSorted((a, b) => b.length - a.length);
}
