/**
 * "Did you mean": the nearest known names to a misspelt one.
 *
 * Owns edit distance (Damerau-Levenshtein, restricted) and the threshold at which a suggestion helps more than it
 * distracts. Leaves wording to the message catalogue.
 */

/** A known name, and how many edits it is away. */
export interface Near {
  readonly name: string;
  readonly distance: number;
}

/** Up to `limit` candidates within two fifths of the name's length (at least 1 edit), nearest first. */
export function suggest(name: string, candidates: Iterable<string>, limit = 3): string[] {
  return nearest(name, candidates).slice(0, limit).map((s) => s.name);
}

/** All such candidates with their distances, nearest first. Every letter is one edit from every other: of several, none is near. */
export function nearest(name: string, candidates: Iterable<string>): Near[] {
  const bound = Math.max(1, Math.floor(name.length * 0.4));
  const scored: Near[] = [];
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > bound) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= bound) scored.push({ name: candidate, distance });
  }
  scored.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return name.length === 1 && scored.length > 1 ? scored.filter((s) => s.distance === 0) : scored;
}

function editDistance(a: string, b: string): number {
  let previous: number[] = [];
  let current = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const older = previous;
    previous = current;
    current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (older[j - 2] ?? 0) + 1);
      current[j] = best;
    }
  }
  return current[b.length] ?? 0;
}
