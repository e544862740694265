/**
 * Text in pictures: how wide it is about, how to shorten it, and how to make it harmless.
 *
 * Widths are of a Helvetica-like face in 1/1000 em, by class of character: exact enough to size boxes with a margin. The
 * escapes are for text content and quoted attributes of XML, for DOT strings and for Mermaid strings; characters that the
 * notation cannot hold at all become the replacement character, so that no name of a program can break a picture.
 */

const narrow = new Map<string, number>([..."il|'!.,:;jI"].map((c) => [c, 260]));
const slim = new Map<string, number>([..."frt()[]{}-/\\ *\"`°·"].map((c) => [c, 340]));
const wide = new Map<string, number>([..."mwMWQOGDHNCU%@→×−"].map((c) => [c, 780]));
const widths: ReadonlyMap<string, number> = new Map([...narrow, ...slim, ...wide]);

/** Approximate width in pixels. */
export function textWidth(text: string, size: number, bold = false, mono = false): number {
  let units = 0;
  for (const c of text) units += mono ? ((c.codePointAt(0) ?? 0) > 0x2e7f ? 1100 : 602) : (widths.get(c) ?? ((c.codePointAt(0) ?? 0) > 0x2e7f ? 1050 : /[A-Z]/.test(c) ? 680 : 565));
  return (units / 1000) * size * (bold && !mono ? 1.07 : 1);
}

/** The text, cut with an ellipsis where it is wider than `most` pixels. */
export function fit(text: string, most: number, size: number, face: { readonly bold: boolean; readonly mono: boolean }): string {
  const whole = clean(text);
  if (textWidth(whole, size, face.bold, face.mono) <= most) return whole;
  const letters = [...whole];
  let length = letters.length;
  while (length > 1 && textWidth(`${letters.slice(0, length).join("")}…`, size, face.bold, face.mono) > most) length = Math.floor(length * 0.9);
  return `${letters.slice(0, length).join("")}…`;
}

/** One line without control characters and broken surrogates. */
function clean(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd").replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]+/gu, " ");
}

/** For XML text and quoted attributes; line breaks stay. */
export function escapeXml(text: string): string {
  return text.split("\n").map(clean).join("\n").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A quoted DOT string; `\n` in the text becomes a line break. */
export function dotString(text: string): string {
  return `"${text.split("\n").map((line) => clean(line).replace(/["\\]/g, "\\$&")).join("\\n")}"`;
}

/** A quoted Mermaid string: everything but letters, digits and harmless punctuation as entity codes. */
export function mermaidString(text: string): string {
  const safe = (line: string): string => [...clean(line)].map((c) => (/[A-Za-z0-9 .,:+()[\]=/·×→−_-]/u.test(c) || (c.codePointAt(0) ?? 0) > 0x9f ? c : `#${c.codePointAt(0) ?? 63};`)).join("");
  return `"${text.split("\n").map(safe).join("<br/>")}"`;
}
