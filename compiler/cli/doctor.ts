/**
 * `jepac doctor`: which engines this machine has, and what the others lack.
 *
 * Owns the table; the examination is the runtime's. Exit code 0 when a trainer can run at all, 2 when no engine is there.
 */
import type { Command } from "./command.js";
import { styleOf } from "./terminal.js";

export const doctorCommand: Command = {
  words: {},
  options: { format: { kind: "text", choices: ["text", "json"], initial: "text", help: "how to report" } },
  examples: [["jepac doctor", "what can train here"]],
  async run(args, cx) {
    const { doctor } = await import("../../runtime/backends/doctor.js");
    const reports = await doctor();
    const style = styleOf(cx.out, cx.env);
    if (args.text("format") === "json") {
      cx.out.write(`${JSON.stringify(reports, undefined, 2)}\n`);
    } else {
      for (const report of reports) {
        const state = report.available ? style.good("yes") : style.warning("no ");
        cx.out.write(`${state}  ${style.bold(report.engine.padEnd(14))} ${report.purpose}\n`);
        if (report.available) cx.out.write(`     ${style.dim([report.version, report.detail].filter((t) => t !== undefined && t !== "").join(", "))}\n`);
        else cx.out.write(`     missing: ${report.missing ?? "unknown"}\n     to get it: ${report.remedy ?? "unknown"}\n`);
      }
    }
    return reports.some((r) => r.available && r.target === "tfjs") ? 0 : 2;
  },
};
