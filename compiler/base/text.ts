/**
 * From the bytes of a file to the text of a program.
 *
 * Owns which encodings are read, and the words for what is none; where bytes come from (a disk, a file that is chosen in a page) is
 * the caller's.
 */

/** Why bytes are no text, as the end of a sentence, and the way out. */
export interface Undecodable {
  readonly why: string;
  readonly help: string;
}

/**
 * The text of a file. A byte-order mark stays out of it, and says when it is UTF-16, as some shells of Windows write it. What
 * is in neither encoding is not guessed at: a letter read wrongly would change a name or the folder of the pictures in silence.
 */
export function decode(bytes: Uint8Array): string | Undecodable {
  const [first, second] = bytes;
  const marked = first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : undefined;
  const unmarked = marked === undefined ? unmarkedUtf16(bytes) : undefined;
  if (unmarked !== undefined) return { why: "it is UTF-16 without a byte-order mark, and a program is UTF-8", help: asUtf8(unmarked) };
  try {
    return new TextDecoder(marked ?? "utf-8", { fatal: true }).decode(bytes);
  } catch {
    if (marked !== undefined) return { why: "it begins as UTF-16 and does not go on so", help: asUtf8(undefined) };
    if (bytes.includes(0)) return { why: "it is not text", help: "name a file with a program in it" };
    return { why: `it is not UTF-8: line ${badLine(bytes)} has a letter in another encoding`, help: asUtf8(undefined) };
  }
}

/** Letters of the Latin alphabet in UTF-16 have every other byte zero, always on the same side. */
function unmarkedUtf16(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, 1024);
  const zeros = (side: number): number => head.filter((byte, i) => byte === 0 && i % 2 === side).length;
  const [even, odd] = [zeros(0), zeros(1)];
  if (even + odd === 0 || (even > 0 && odd > 0) || even + odd < head.length / 4) return undefined;
  return odd > 0 ? "UTF-16LE" : "UTF-16BE";
}

/** The first line that is not UTF-8; a line's end is a byte that is part of no other letter. */
function badLine(bytes: Uint8Array): number {
  for (let line = 1, start = 0; ; line++) {
    const end = bytes.indexOf(10, start);
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    start = end + 1;
  }
}

function asUtf8(from: string | undefined): string {
  return `save it as UTF-8 in your editor, or: iconv -f ${from ?? "<its encoding, such as WINDOWS-1252>"} -t UTF-8 old.jepa > new.jepa`;
}
