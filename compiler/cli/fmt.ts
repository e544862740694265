/**
 * `jepac fmt`: the one way to write a program.
 *
 * Owns the choice between writing back, `--check` (say which files would change, exit 1) and `--stdin` (for editors). A
 * file with syntax errors is left as it is and its errors are shown. Style itself belongs to `syntax/format.ts`.
 */
import { renderDiagnostics } from "../messages/render.js";
import { format } from "../syntax/format.js";
import { writeAtomic } from "../../runtime/base/files.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { openSource } from "./source.js";
import type { CliTerminal } from "./terminal.js";
import { styleOf } from "./terminal.js";

export const fmtCommand: Command = {
  words: { files: "programs to format" },
  options: {
    check: { kind: "flag", help: "change nothing, name the files that would change, exit with 1 if there are any" },
    stdin: { kind: "flag", help: "format standard input to standard output" },
  },
  examples: [
    ["jepac fmt specs/*.jepa", "format in place"],
    ["jepac fmt --check examples/*.jepa", "for continuous integration"],
    ["jepac fmt --stdin < my.jepa", "for editors"],
  ],
  async run(args, cx) {
    const files = args.texts("files");
    const onlyCheck = args.flag("check");
    if (args.flag("stdin")) {
      if (files.length > 0) throw new CliError("--stdin takes no files");
      return formatInput(onlyCheck, cx);
    }
    if (files.length === 0) throw new CliError("name the files to format", "or give --stdin");
    let broken = 0;
    const changed: string[] = [];
    for (const path of files) {
      const { source, path: absolute, shown } = openSource(path, cx);
      const result = format(source.text, shown);
      if (tellErrors(result, source.text, shown, cx)) {
        broken += 1;
      } else if (result.text !== source.text) {
        changed.push(shown);
        if (!onlyCheck) await writeAtomic(absolute, result.text);
      }
    }
    for (const shown of changed) cx.out.write(`${onlyCheck ? "would format" : "formatted"} ${shown}\n`);
    return broken > 0 || (onlyCheck && changed.length > 0) ? 1 : 0;
  },
};

async function formatInput(onlyCheck: boolean, cx: CliTerminal): Promise<number> {
  const text = await cx.readInput();
  const result = format(text, "<stdin>");
  if (tellErrors(result, text, "<stdin>", cx)) return 1;
  if (onlyCheck) return result.text === text ? 0 : 1;
  cx.out.write(result.text);
  return 0;
}

/** Shows syntax errors; true when there are some, and the text was left alone. */
function tellErrors(result: ReturnType<typeof format>, text: string, shown: string, cx: CliTerminal): boolean {
  const errors = result.diagnostics.filter((d) => d.severity === "error");
  if (errors.length === 0) return false;
  cx.err.write(renderDiagnostics(errors, (file) => (file === shown ? text : undefined), styleOf(cx.err, cx.env)));
  return true;
}
