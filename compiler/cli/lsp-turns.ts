/**
 * When documents are checked: a moment after the last key, a program of a document at a time.
 *
 * Owns the order and the pauses. Between two programs the editor's requests are answered, and a key begins anew with the
 * document that it changed. Leaves what a check is, and what comes of it, to the caller.
 */

/** Milliseconds without a key pressed after which texts are checked. */
const PAUSE = 120;

/** What is done in turn. */
export interface Work {
  /** The steps of one document's check; the last one tells what was found. */
  check(uri: string): Generator<undefined, undefined>;
  /** A document to check where none is due. */
  more(): string | undefined;
  /** Whether a check that has begun may go on, though its document is not due again. */
  goesOn(uri: string): boolean;
  failed(uri: string, error: unknown): void;
  ended(): void;
}

/** Documents to check, in order. */
export interface Turns {
  /** These documents first, then those that are due already. */
  soon(uris: readonly string[]): void;
  /** Checks a document to its end before anything else is done, as far as that was not done yet. */
  now(uri: string): void;
  forget(uri: string): void;
  isDue(): boolean;
}

/** Turns for some work; nothing runs before the first document is due. */
export function createTurns(work: Work): Turns {
  const due = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let running: { readonly uri: string; readonly steps: Generator<undefined, undefined> } | undefined;
  const step = (): void => {
    const uri = running?.uri ?? [...due][0] ?? work.more();
    if (uri === undefined) return work.ended();
    due.delete(uri);
    try {
      running ??= { uri, steps: work.check(uri) };
      if (running.steps.next().done === true) running = undefined;
    } catch (error) {
      running = undefined;
      work.failed(uri, error);
    }
    timer = setTimeout(step, 0);
  };
  return {
    soon(uris) {
      const rest = [...due].filter((uri) => !uris.includes(uri));
      due.clear();
      for (const uri of [...uris, ...rest]) due.add(uri);
      if (running !== undefined && (due.has(running.uri) || !work.goesOn(running.uri))) running = undefined;
      clearTimeout(timer);
      timer = setTimeout(step, PAUSE);
    },
    now(uri) {
      const steps = running?.uri === uri ? running.steps : work.check(uri);
      if (running?.uri === uri) running = undefined;
      due.delete(uri);
      try {
        for (let done = false; !done;) done = steps.next().done === true;
      } catch (error) {
        work.failed(uri, error);
      }
    },
    forget: (uri) => void due.delete(uri),
    isDue: () => due.size > 0,
  };
}
