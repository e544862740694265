/**
 * `jepac explain JEP2001`: the page of a diagnostic.
 *
 * Owns the layout of the page; its words are the catalogue's, the same that SARIF carries, and its example is that of the table.
 */
import { suggest } from "../base/suggest.js";
import { catalogue } from "../messages/catalogue.js";
import type { CatalogueEntry, Code } from "../messages/catalogue.js";
import { exampleOf, exampleText } from "../messages/examples.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { styleOf } from "./terminal.js";

export const explainCommand: Command = {
  words: { code: "a code such as JEP3013, its name such as spaces/mismatch, or a group such as collapse" },
  options: {},
  examples: [["jepac explain JEP3013", "what a mismatch of spaces is"], ["jepac explain collapse", "all that is said of collapse"]],
  async run(args, cx) {
    const group = groupNamed(args.need("code"));
    if (group.length > 0) {
      cx.out.write(`${group.map(([name, entry]) => `${name}  ${entry.severity.padEnd(7)}  ${entry.slug}: ${entry.message}`).join("\n")}\n`);
      return 0;
    }
    const code = findCode(args.need("code"));
    const entry: CatalogueEntry = catalogue[code];
    const example = exampleOf(code);
    const style = styleOf(cx.out, cx.env);
    const lines = [
      `${style[entry.severity](`${entry.severity}[${code}]`)} ${style.bold(entry.slug)}`,
      "",
      `  ${entry.message}`,
      ...(entry.help === undefined ? [] : [`  ${style.bold("help")}: ${entry.help}`]),
      "",
      ...wrap(entry.explain, 96),
      ...(example === undefined ? [] : ["", ...exampleText(example, entry.severity).split("\n")]),
    ];
    cx.out.write(`${lines.join("\n")}\n`);
    return 0;
  },
};

/** The diagnostics of a group (`collapse`, or `collapse/`), which names begin with; none for other words. */
function groupNamed(word: string): readonly (readonly [string, CatalogueEntry])[] {
  return Object.entries(catalogue).filter(([, { slug }]) => groupOf(slug) === word.toLowerCase().replace(/\/$/, ""));
}

function groupOf(slug: string): string {
  return slug.slice(0, slug.indexOf("/"));
}

/** A code as the catalogue has it, from any case and with or without its letters, or from its name. */
function findCode(word: string): Code {
  const wanted = /^\d+$/.test(word) ? `JEP${word}` : word.toUpperCase();
  const rows = Object.entries(catalogue);
  for (const [code, entry] of rows) if ((code === wanted || entry.slug === word.toLowerCase()) && isCode(code)) return code;
  const near = suggest(wanted, rows.map(([code]) => code))[0] ?? suggest(word, rows.map(([, entry]) => entry.slug))[0];
  throw new CliError(`there is no diagnostic \`${word}\``, near === undefined ? `codes look like JEP2001; all of a group are listed by its name: ${[...new Set(rows.map(([, { slug }]) => groupOf(slug)))].join(", ")}` : `did you mean \`${near}\`?`);
}

function isCode(word: string): word is Code {
  return Object.hasOwn(catalogue, word);
}

/** Lines of at most `width` characters; line breaks of the text stay. */
function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    return [...lines, line];
  });
}
