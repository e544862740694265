/**
 * The list of what may be written at the caret: the compiler's own choice, narrowed by the letters that stand there.
 *
 * It opens while a word is being written, with nothing chosen, so that Enter stays a new line until the arrows have chosen; `Ctrl Space`
 * opens it anywhere, with its first word chosen. Enter puts the chosen word in, Escape closes, Tab leaves the field as ever. What may
 * stand where is `compiler/editor/completion.ts`'s.
 */
import { el } from "./findings.js";
import { $ } from "./page-parts.js";

/** Most words that are listed. */
const MOST = 60;

/** Watches an editor (editor.js). `completions(caret)` is a promise of what may be written there, undefined without a compiler. */
export function openCompleting(editor, completions) {
  const list = $("offered");
  const { field, box } = editor;
  /** What is listed for the word from `start` on; `chosen` is an index, -1 for none. */
  let open = { items: [], start: 0, chosen: -1 };
  let asked = 0;
  let wanted = false;

  // Before the editor hears of them: what it calls then looks at `wanted`, and a key that is taken here is not its own.
  field.addEventListener("input", (event) => { wanted = event.inputType === "insertText" ? event.data?.length === 1 && /^[A-Za-z_]\w*$/.test(word()) : event.inputType === "deleteContentBackward" && !list.hidden; }, { capture: true });
  field.addEventListener("keydown", keys, { capture: true });
  field.addEventListener("blur", close);
  box.addEventListener("scroll", close);
  addEventListener("scroll", close);
  document.addEventListener("selectionchange", () => { if (!list.hidden && (editor.caret < open.start || /\W/.test(field.value.slice(open.start, editor.caret)))) close(); });
  // The field keeps the focus.
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const at = [...list.children].indexOf(event.target.closest("li"));
    if (at >= 0) put(at);
  });

  /** The letters before the caret that belong to what is being written. */
  function word() {
    return /\w*$/.exec(field.value.slice(0, editor.caret))[0];
  }

  async function ask(chosen) {
    const mine = ++asked;
    const [text, caret] = [field.value, editor.caret];
    const all = await completions(caret)?.catch(() => []) ?? [];
    if (mine !== asked || field.value !== text || editor.caret !== caret || document.activeElement !== field) return;
    const typed = word().toLowerCase();
    const begins = ({ label }) => label.toLowerCase().startsWith(typed);
    const within = ({ label }) => !begins({ label }) && label.toLowerCase().includes(typed);
    const fit = [...all.filter(begins), ...(typed.length < 2 ? [] : all.filter(within))].slice(0, MOST);
    // A word that stands there already is no offer.
    const items = chosen < 0 && fit.some(({ label }) => label.toLowerCase() === typed) ? [] : fit;
    if (items.length === 0) return close();
    open = { items, start: caret - typed.length, chosen };
    draw();
  }

  function draw() {
    list.replaceChildren(...open.items.map(({ label, kind, detail }, i) => {
      const row = el("li", { id: `offered-${i}` }, label, el("span", {}, detail ?? kind));
      row.setAttribute("role", "option");
      return row;
    }));
    list.hidden = false;
    field.setAttribute("aria-haspopup", "listbox");
    const { left, top, bottom } = editor.placeOf(open.start);
    const below = bottom + list.offsetHeight + 4 <= innerHeight;
    list.style.left = `${Math.max(4, Math.min(left, innerWidth - list.offsetWidth - 4))}px`;
    list.style.top = `${below ? bottom + 2 : Math.max(4, top - list.offsetHeight - 2)}px`;
    choose(open.chosen);
  }

  function choose(index) {
    open.chosen = index;
    [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === index)));
    if (index < 0) field.removeAttribute("aria-activedescendant");
    else field.setAttribute("aria-activedescendant", `offered-${index}`);
    list.children[index]?.scrollIntoView({ block: "nearest" });
  }

  function put(index) {
    const { label, insert = label } = open.items[index];
    const { start } = open;
    close();
    editor.put(start, insert);
  }

  function close() {
    asked++;
    wanted = false;
    list.hidden = true;
    field.removeAttribute("aria-activedescendant");
  }

  function keys(event) {
    const { key } = event;
    if (key === " " && event.ctrlKey) {
      event.preventDefault();
      void ask(0);
      return;
    }
    if (list.hidden || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { items, chosen } = open;
    if (key === "ArrowDown" || key === "ArrowUp") choose(key === "ArrowDown" ? (chosen + 1) % items.length : (chosen <= 0 ? items.length : chosen) - 1);
    else if (key === "Enter" && chosen >= 0) put(chosen);
    else if (key !== "Escape") return;
    else close();
    event.preventDefault();
  }

  return {
    /** The text has changed: what is listed is of another text. */
    changed() {
      if (wanted) void ask(list.hidden || open.chosen < 0 ? -1 : 0);
      else close();
    },
  };
}
