/**
 * What the page's parts have in common: elements by their ids, the lines that say something, and mistakes that are said with the way out.
 *
 * `window.jepac` holds what tests read: the run, its losses, whether it is done, the last mistake, the last overview of the compiler.
 */
export const $ = (id) => document.getElementById(id);

window.jepac = { run: undefined, losses: [], done: false, error: undefined, overview: undefined };

/** The line under the progress bar. */
export function say(text) {
  $("said").textContent = text;
}

let touched = false;
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touched = true; }, { once: true, capture: true });

/** What went wrong, or nothing. */
export function note(text) {
  $("note").textContent = text;
  $("note").hidden = text === "";
  // A page that nobody has touched yet is read from its top.
  if (text !== "" && touched) $("note").scrollIntoView({ block: "nearest" });
}

/** A mistake with the way out of it. */
export function failure(message, help) {
  return Object.assign(new Error(message), { help });
}

/** Runs something; what goes wrong is said, with the way out. `explain(error)` may put `{ what, way, said }` in the place of the error's own words. */
export async function guarded(action, explain = async () => undefined) {
  try {
    note("");
    await action();
  } catch (error) {
    const { what, way, said } = (await explain(error)) ?? { what: error instanceof Error ? error.message : String(error), way: error?.help ?? "", said: "" };
    note(`${sentence(what)}${way === "" ? "" : `\n${sentence(way)}`}`);
    say(said);
    window.jepac.error = $("note").textContent;
  }
}

/** With a large letter, unless it begins with the name of a file. */
function sentence(text) {
  const first = /^\S*[./\\]\S/.test(text) ? text.charAt(0) : text.charAt(0).toUpperCase();
  return `${first}${text.slice(1)}${/[.!?:)]$/.test(text) ? "" : "."}`;
}
