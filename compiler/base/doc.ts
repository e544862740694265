/**
 * A layout algebra for printers: documents that know where they may break, and the function that lays them out.
 *
 * Owns Wadler's and Prettier's idea in small: a group is printed on one line if it fits in the width, else all its own
 * lines break. Kept free of any language, so that the formatter, the IR printers and the code emitters share one notion of
 * "fits". Iterative, so that a deep document cannot exhaust the stack.
 */

/** A piece of text with possible breaks. A plain string is printed as it is. */
export type Doc = string | readonly Doc[] | Nest | Group | Line | IfBroken | Suffix;

/** Lines inside begin `by` columns further in. */
export interface Nest {
  readonly kind: "nest";
  readonly by: number;
  readonly doc: Doc;
}

/** One line if it fits and `broken` is not set; else its own lines break. */
export interface Group {
  readonly kind: "group";
  readonly doc: Doc;
  readonly broken: boolean;
}

/** A possible line break; `flat` is what stands there otherwise, `hard` means that it always breaks. */
export interface Line {
  readonly kind: "line";
  readonly flat: string;
  readonly hard: boolean;
}

/** One text where the enclosing group breaks, another where it does not. */
export interface IfBroken {
  readonly kind: "if-broken";
  readonly broken: string;
  readonly flat: string;
}

/** Text that waits for the end of its line: a trailing comment. It does not count towards the width. */
export interface Suffix {
  readonly kind: "suffix";
  readonly text: string;
}

/** A blank, or a break where the group breaks. */
export const line: Line = { kind: "line", flat: " ", hard: false };
/** Nothing, or a break where the group breaks. */
export const softLine: Line = { kind: "line", flat: "", hard: false };
/** Always a break; the groups around it break too. */
export const hardLine: Line = { kind: "line", flat: "", hard: true };

/** A group: flat if it fits. */
export function group(...parts: Doc[]): Group {
  return { kind: "group", doc: parts, broken: parts.some(hasHardLine) };
}

/** A group that breaks whether it fits or not. */
export function brokenGroup(...parts: Doc[]): Group {
  return { kind: "group", doc: parts, broken: true };
}

/** Lines inside begin two columns further in. */
export function nest(...parts: Doc[]): Nest {
  return { kind: "nest", by: 2, doc: parts };
}

/** `broken` where the enclosing group breaks, else `flat`. */
export function ifBroken(broken: string, flat = ""): IfBroken {
  return { kind: "if-broken", broken, flat };
}

/** Text for the end of the line. */
export function suffix(text: string): Suffix {
  return { kind: "suffix", text };
}

/** The parts with `separator` between them. */
export function joinDocs(parts: readonly Doc[], separator: Doc): Doc[] {
  return parts.flatMap((part, i) => (i === 0 ? [part] : [separator, part]));
}

/** Lays out a document in `width` columns; lines carry no blanks at their end. */
export function layout(doc: Doc, width: number): string {
  const out: string[] = [];
  const work: Item[] = [{ doc, indent: 0, flat: false }];
  let column = 0;
  let suffixes = "";
  const put = (text: string): void => {
    out.push(text);
    const at = text.lastIndexOf("\n");
    column = at < 0 ? column + text.length : text.length - at - 1;
  };
  for (let item = work.pop(); item !== undefined; item = work.pop()) {
    const { doc: current, indent, flat } = item;
    if (typeof current === "string") put(current);
    else if (isList(current)) for (let i = current.length - 1; i >= 0; i--) work.push({ doc: current[i] ?? "", indent, flat });
    else {
      switch (current.kind) {
        case "nest": work.push({ doc: current.doc, indent: indent + current.by, flat }); break;
        case "group": {
          const rest = { doc: current.doc, indent, flat: true };
          work.push({ ...rest, flat: !current.broken && (flat || fits(rest, width - column, work)) });
          break;
        }
        case "if-broken": put(flat ? current.flat : current.broken); break;
        case "suffix": suffixes += current.text; break;
        case "line":
          if (flat && !current.hard) put(current.flat);
          else {
            if (suffixes !== "") put(suffixes);
            suffixes = "";
            out.push("\n", " ".repeat(indent));
            column = indent;
          }
      }
    }
  }
  out.push(suffixes);
  return out.join("").replace(/[ \t]+$/gm, "");
}

interface Item {
  readonly doc: Doc;
  readonly indent: number;
  readonly flat: boolean;
}

function isList(doc: Doc): doc is readonly Doc[] {
  return Array.isArray(doc);
}

/** Whether `first`, and what follows it up to the next possible break, fits in `room` columns. */
function fits(first: Item, room: number, after: readonly Item[]): boolean {
  const work: Item[] = [first];
  let left = room;
  let next = after.length - 1;
  while (left >= 0) {
    const item = work.pop() ?? after[next--];
    if (item === undefined) return true;
    const { doc, indent, flat } = item;
    if (typeof doc === "string") {
      const at = doc.indexOf("\n");
      if (at >= 0) return left >= at;
      left -= doc.length;
    } else if (isList(doc)) for (let i = doc.length - 1; i >= 0; i--) work.push({ doc: doc[i] ?? "", indent, flat });
    else {
      switch (doc.kind) {
        case "nest": work.push({ doc: doc.doc, indent, flat }); break;
        case "group": work.push({ doc: doc.doc, indent, flat: flat && !doc.broken }); break;
        case "if-broken": left -= (flat ? doc.flat : doc.broken).length; break;
        case "suffix": break;
        case "line":
          if (!flat || doc.hard) return true;
          left -= doc.flat.length;
      }
    }
  }
  return false;
}

function hasHardLine(doc: Doc): boolean {
  if (typeof doc === "string") return false;
  if (isList(doc)) return doc.some(hasHardLine);
  switch (doc.kind) {
    case "line": return doc.hard;
    case "group": return doc.broken;
    case "nest": return hasHardLine(doc.doc);
    default: return false;
  }
}
