/**
 * The text field in which a program is written: a plain textarea, with the same text colored behind it.
 *
 * The field is the browser's own, so that selecting, undoing, spelling out loud and every keyboard work as everywhere; its letters are
 * transparent, and those behind it are seen, colored by the compiler's own lexer through the CSS Custom Highlight API (without that, or
 * in forced colors, the text is plain). The box around both scrolls, so the two never come apart. Tab leaves the field; Enter keeps
 * the indentation.
 */
import { coloring, colors } from "./compiler/editor/colors.js";

/** Pieces that are colored, by class, and marks of findings by severity. */
const classes = [...colors.map((c) => `jepa-${c}`), "jepa-error", "jepa-warning", "jepa-note", "jepa-line-error", "jepa-line-warning"];

/**
 * Makes an editor of `box`, which holds a `textarea`, `.letters` behind it and `.numbers` beside it. `changed` is called after every
 * change of the text, `moved` with the caret's offset when it has moved.
 */
export function openEditor(box, { changed, moved }) {
  const field = box.querySelector("textarea");
  const letters = box.querySelector(".letters");
  const numbers = box.querySelector(".numbers");
  const painted = globalThis.CSS?.highlights === undefined ? undefined : new Map(classes.map((name) => [name, new Highlight()]));
  for (const [name, highlight] of painted ?? []) CSS.highlights.set(name, highlight);
  const marks = ["error", "warning", "note"];
  let found = [];

  field.addEventListener("input", () => { found = []; draw(); changed(); });
  document.addEventListener("selectionchange", () => { if (document.activeElement === field) moved(field.selectionStart); });
  field.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.key !== "Enter" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    event.preventDefault();
    const before = field.value.slice(0, field.selectionStart);
    const line = before.slice(before.lastIndexOf("\n") + 1);
    write(`\n${/^[ \t]*/.exec(line)[0]}${/[{(]\s*$/.test(line) ? "  " : ""}`);
  });

  function draw() {
    const text = field.value;
    // An empty last line has no height of its own.
    letters.textContent = `${text}\n`;
    numbers.textContent = Array.from({ length: text.split("\n").length }, (_, i) => i + 1).join("\n");
    if (painted === undefined) return;
    for (const highlight of painted.values()) highlight.clear();
    for (const { start, end, color } of coloring(text)) painted.get(`jepa-${color}`).add(rangeIn(letters, start, end));
    drawMarks();
  }

  function drawMarks() {
    if (painted === undefined) return;
    for (const name of [...marks.map((m) => `jepa-${m}`), "jepa-line-error", "jepa-line-warning"]) painted.get(name).clear();
    for (const { severity, start, end, file, line } of found) {
      if (file !== undefined) continue;
      painted.get(`jepa-${severity}`).add(rangeIn(letters, start, Math.max(end, start + 1)));
      if (severity === "note") continue;
      painted.get(`jepa-line-${severity}`).add(rangeIn(numbers, numberAt(line), numberAt(line + 1) - 1));
    }
  }

  /** Writes over the selection, so that undoing takes it back; browsers have no other way for that. */
  function write(text) {
    const done = text === "" ? document.execCommand("delete") : document.execCommand("insertText", false, text);
    if (done) return;
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input"));
  }

  function show(offset) {
    const line = field.value.slice(0, offset).split("\n").length - 1;
    const high = parseFloat(getComputedStyle(letters).lineHeight);
    const [top, bottom] = [line * high, (line + 4) * high];
    if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, top - box.clientHeight / 3);
    box.scrollIntoView({ block: "nearest" });
  }

  return {
    get text() { return field.value; },
    get caret() { return field.selectionStart; },
    field,
    /** Puts `text` in the place of what stands from `start` on up to the caret, as one change. */
    put(start, text) {
      field.setSelectionRange(start, field.selectionStart);
      write(text);
    },
    /** Where the text at an offset is seen in the window: `{ left, top, bottom }`. */
    placeOf(offset) {
      const { left, top, bottom } = rangeIn(letters, offset, offset).getBoundingClientRect();
      return { left, top, bottom };
    },
    box,
    /** Another program: what was typed before is no longer undone. */
    open(text) {
      field.value = text;
      field.setSelectionRange(0, 0);
      box.scrollTop = box.scrollLeft = 0;
      found = [];
      draw();
    },
    /** Puts a text in the place of the present one, as one change, and the caret behind what has changed. */
    become(text) {
      const old = field.value;
      let from = 0;
      while (from < old.length && from < text.length && old[from] === text[from]) from++;
      let same = 0;
      while (same < old.length - from && same < text.length - from && old[old.length - 1 - same] === text[text.length - 1 - same]) same++;
      field.focus();
      if (old === text) return;
      field.setSelectionRange(from, old.length - same);
      write(text.slice(from, text.length - same));
      show(field.selectionStart);
    },
    /** Marks what was found; places are those of the text as it is. */
    mark(findings) {
      found = findings;
      drawMarks();
    },
    /** Goes to a place. */
    select(start, end) {
      field.focus({ preventScroll: true });
      field.setSelectionRange(start, end);
      show(start);
    },
  };
}

/** Offset of a line's number among the numbers, which lie on a line each. */
function numberAt(line) {
  let at = 0;
  for (let digits = 1, first = 1; first < line; digits++, first *= 10) at += (Math.min(line, first * 10) - first) * (digits + 1);
  return at;
}

function rangeIn(element, start, end) {
  const range = new Range();
  const text = element.firstChild;
  range.setStart(text, Math.min(start, text.length));
  range.setEnd(text, Math.min(end, text.length));
  return range;
}
