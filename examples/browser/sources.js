/**
 * Where programs come from: what the server has, what was written last in this tab, and the fragment of a link, which holds a text of one's own.
 *
 * A link is `#file=..&program=..&text=..`, its text deflated and in base64 for addresses. Nothing of it goes to a server, since
 * fragments do not; `file` is where the text stands, for what it uses by relative paths.
 */

/** Characters of a text that a link may hold; what is longer is no program, or is meant to fill the memory. */
const MOST = 200_000;

/** What the server offers: `{ device, programs, first, files, typed }`; `first` is what it was started with, `typed(file)` is the file as one types it on a command line. */
export async function shipped() {
  const answer = await fetch("programs.json").catch(() => undefined);
  if (answer === undefined || !answer.ok) throw Object.assign(new Error("The server does not give its programs."), { help: "Is examples/browser/serve.mjs still running?" });
  const { device, programs, first, typed, files } = await answer.json();
  return { device, programs, first, files: new Map(Object.entries(files)), typed: (file) => typed[file] ?? file };
}

/** Names of models and variants that a text declares, in its order; of a text with mistakes too. */
export function declared(text) {
  return [...text.matchAll(/^[ \t]*(?:model|variant)[ \t]+([A-Za-z_]\w*)/gm)].map((m) => m[1]);
}

/** The fragment that holds a program. */
export async function fragmentOf({ file, text, program }) {
  const bytes = new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer());
  const packed = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join("")).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `#${new URLSearchParams({ file, ...(program === undefined ? {} : { program }), text: packed })}`;
}

const KEPT = "jepac: written last";

/** Keeps, for when this address is loaded again in this tab, a program that the address does not hold yet; at once, as a page that goes away must. */
export function keep(program) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ ...program, address: location.href }));
  } catch {
    // A browser that keeps nothing, or not so much, is left with the address.
  }
}

/** What was kept for this address, undefined where nothing was; it is kept no longer. */
export function kept() {
  try {
    const { address, ...program } = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
    sessionStorage.removeItem(KEPT);
    return address === location.href ? program : undefined;
  } catch {
    return undefined;
  }
}

/** The program of a fragment, undefined where it holds none. Throws, with the way out, where it is damaged. */
export async function programOfFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const packed = fields.get("text");
  if (packed === null) return undefined;
  try {
    const bytes = Uint8Array.from(atob(packed.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).pipeThrough(new TextDecoderStream("utf-8", { fatal: true })).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
      if (text.length > MOST) throw new Error("too long");
    }
    return { file: fields.get("file") ?? "linked.jepa", text, program: fields.get("program") ?? undefined };
  } catch {
    throw Object.assign(new Error("The link holds a program that cannot be read."), { help: "Part of it may be lost; ask for the link again." });
  }
}
