/**
 * Diagnostics as SARIF 2.1.0, for code hosts and editors that read it.
 *
 * Owns the mapping: a code is a rule, a because-note a related location, a fix an artifact change. Only what the standard
 * asks for and readers show is written (OASIS SARIF 2.1.0, 3.14 run, 3.27 result, 3.55 fix). Columns are UTF-16 units.
 */
import type { Span } from "../base/span.js";
import { catalogue } from "./catalogue.js";
import type { Code } from "./catalogue.js";
import { placer } from "./json.js";
import type { Texts } from "./json.js";
import type { Diagnostic, Fix } from "./report.js";

/** A SARIF log with one run. */
export function toSarif(diagnostics: readonly Diagnostic[], texts: Texts, tool: { readonly version: string }): SarifLog {
  const place = placer(texts);
  const codes: Code[] = [...new Set(diagnostics.map((d) => d.code))].toSorted();
  const region = (span: Span): Region => {
    const { start, end } = place(span);
    return { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
  };
  const physical = (span: Span): Physical => ({ artifactLocation: { uri: toUri(span.file) }, region: region(span) });
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{
      tool: { driver: { name: "jepac", version: tool.version, rules: codes.map(toRule) } },
      columnKind: "utf16CodeUnits",
      results: diagnostics.map((d) => ({
        ruleId: d.code,
        ruleIndex: codes.indexOf(d.code),
        level: d.severity,
        message: { text: d.help === undefined ? d.message : `${d.message} ${d.help}` },
        locations: [{ physicalLocation: physical(d.span) }],
        relatedLocations: d.related.map((r, id) => ({ id, message: { text: r.message }, physicalLocation: physical(r.span) })),
        fixes: d.fixes.map((fix) => toFix(fix, region)),
      })),
    }],
  };
}

export interface SarifLog {
  readonly $schema: string;
  readonly version: "2.1.0";
  readonly runs: readonly SarifRun[];
}

export interface SarifRun {
  readonly tool: { readonly driver: { readonly name: string; readonly version: string; readonly rules: readonly SarifRule[] } };
  readonly columnKind: "utf16CodeUnits";
  readonly results: readonly SarifResult[];
}

export interface SarifRule {
  readonly id: string;
  readonly name: string;
  readonly shortDescription: { readonly text: string };
  readonly fullDescription: { readonly text: string };
  readonly defaultConfiguration: { readonly level: string };
}

export interface SarifResult {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: "error" | "warning" | "note";
  readonly message: { readonly text: string };
  readonly locations: readonly { readonly physicalLocation: Physical }[];
  readonly relatedLocations: readonly { readonly id: number; readonly message: { readonly text: string }; readonly physicalLocation: Physical }[];
  readonly fixes: readonly SarifFix[];
}

export interface SarifFix {
  readonly description: { readonly text: string };
  readonly artifactChanges: readonly {
    readonly artifactLocation: { readonly uri: string };
    readonly replacements: readonly { readonly deletedRegion: Region; readonly insertedContent: { readonly text: string } }[];
  }[];
}

interface Region {
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}

interface Physical {
  readonly artifactLocation: { readonly uri: string };
  readonly region: Region;
}

function toRule(code: Code): SarifRule {
  const entry = catalogue[code];
  return {
    id: code,
    name: entry.slug,
    shortDescription: { text: entry.message },
    fullDescription: { text: entry.explain },
    defaultConfiguration: { level: entry.severity },
  };
}

function toFix(fix: Fix, region: (span: Span) => Region): SarifFix {
  const files = [...new Set(fix.edits.map((e) => e.span.file))];
  return {
    description: { text: fix.title },
    artifactChanges: files.map((file) => ({
      artifactLocation: { uri: toUri(file) },
      replacements: fix.edits.filter((e) => e.span.file === file)
        .map((e) => ({ deletedRegion: region(e.span), insertedContent: { text: e.text } })),
    })),
  };
}

/** A path as a relative or `file:` URI reference. */
function toUri(path: string): string {
  const uri = path.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/");
  return uri.startsWith("/") ? `file://${uri}` : uri;
}
