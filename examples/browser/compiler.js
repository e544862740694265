/**
 * The page's side of the compiler: one worker checks what is typed, another makes plans.
 *
 * A plan of a large model takes a while, and checks must not wait for it; one that is overtaken by another text is ended with its
 * worker. A program is `{ file, text, program }`: the path that its text stands for, and which model or variant of it is meant.
 */

/**
 * Opens the compiler over the texts of `files`. `told` has what is called with each overview
 * (`overview`, and the milliseconds it took), drawing (`drawing`) and failure of the compiler's own (`failed`).
 */
export function openCompiler(files, told) {
  let ids = 0;
  const checker = start({
    check: ({ overview, ms, id }) => { if (id === lastCheck) told.overview(overview, ms); },
    drawing: ({ svg, id }) => { if (id === lastCheck) told.drawing(svg); },
  });
  let lastCheck = 0;
  let planner;
  /** The last plan by its program, done or under way. */
  let planned;

  /** A worker whose answers go to who asked, or to `heard` by their kind. */
  function start(heard) {
    const worker = new Worker(new URL("./compiler-worker.js", import.meta.url), { type: "module" });
    const asked = new Map();
    worker.addEventListener("message", ({ data }) => {
      const waiting = asked.get(data.id);
      asked.delete(data.id);
      if (data.kind === "failed") (waiting?.refuse ?? ((e) => told.failed(e.message)))(new Error(`The compiler failed: ${data.message}`));
      else if (waiting !== undefined) waiting.give(data);
      else heard[data.kind]?.(data);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const message = `The compiler does not run in this browser${event.message ? `: ${event.message}` : ""}.`;
      told.failed(message);
      settle(new Error(message));
    });
    /** Nothing that was asked is answered any more. */
    function settle(error) {
      for (const { refuse } of asked.values()) refuse(error);
      asked.clear();
    }
    worker.postMessage({ kind: "files", files: [...files] });
    return {
      post: (message) => { const id = ++ids; worker.postMessage({ ...message, id }); return id; },
      ask: (message) => new Promise((give, refuse) => { const id = ++ids; asked.set(id, { give, refuse }); worker.postMessage({ ...message, id }); }),
      end: () => { worker.terminate(); settle(Object.assign(new Error("The text was changed while its step was being planned."), { help: "Train again", overtaken: true })); },
    };
  }

  return {
    check(program) { lastCheck = checker.post({ kind: "check", ...program }); },
    async format({ file, text }) { return checker.ask({ kind: "format", file, text }); },
    /** What may be written at a place of the text. */
    async complete({ file, text }, offset) { return (await checker.ask({ kind: "complete", file, text, offset })).list; },
    async about({ file, text }, offset) { return (await checker.ask({ kind: "about", file, text, offset })).text; },
    /** The plan of a program for a device; asked again for the same it is the same. Refused when another is asked for before it is there. */
    plan(program, device) {
      const key = keyOf(program);
      if (planned?.key === key) return planned.answer;
      if (planned?.under === true) {
        planner.end();
        planner = undefined;
      }
      planner ??= start({});
      const mine = { key, under: true };
      planned = mine;
      mine.answer = planner.ask({ kind: "compile", ...program, device }).then((answer) => ({ ...answer, key }), (error) => {
        // A worker that has failed is not asked again.
        if (planned === mine) {
          planner.end();
          planner = planned = undefined;
        }
        throw error;
      });
      void mine.answer.catch(() => undefined).then(() => { mine.under = false; });
      return mine.answer;
    },
  };
}

/** What tells programs apart. */
export function keyOf({ file, text, program }) {
  return [file, program ?? "", text].join("\n");
}
