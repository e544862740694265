/**
 * Findings: which rule of the theory speaks against which term, and the code that users see. // tidy: table
 *
 * One row per rule of the collapse theory (section 3.5). A finding is data about the graph (a term, an encoder, the groups
 * that play a part); `report.ts` makes a diagnostic of it. The level is the rule's own: errors refuse, warnings make a
 * program risky, notes change no verdict.
 */
import type { Term } from "./canonicalize.js";

/** Rules by the name that the theory gives them. */
export const rules = {
  "E-SYM": { code: "JEP4001", level: "error" },
  "E-NOPRED": { code: "JEP4002", level: "error" },
  "E-PRED-FROZEN": { code: "JEP4003", level: "error" },
  "E-PRED-DEAD": { code: "JEP4004", level: "error" },
  "E-TARGET-HEAD": { code: "JEP4005", level: "error" },
  "E-WRONG-SIDE": { code: "JEP4006", level: "error" },
  "E-NOGUARD": { code: "JEP4007", level: "error" },
  "E-GUARD-NOGRAD": { code: "JEP4008", level: "error" },
  "E-GUARD-AXIS": { code: "JEP4009", level: "error" },
  "E-GUARD-SIGN": { code: "JEP4010", level: "error" },
  "E-NOATTRACT": { code: "JEP4011", level: "error" },
  "E-DEAD": { code: "JEP4012", level: "error" },
  "E-ONEHOT": { code: "JEP4013", level: "error" },
  "E-UNIFORM": { code: "JEP4014", level: "error" },
  "E-UNBALANCED": { code: "JEP4015", level: "error" },
  "E-CENTER-NO-EMA": { code: "JEP4016", level: "error" },
  "E-WHITEN-RANK": { code: "JEP4017", level: "error" },
  "E-UNBOUNDED": { code: "JEP4018", level: "error" },
  "E-NO-CODE": { code: "JEP4019", level: "error" },
  "W-FROZEN-TARGET": { code: "JEP4020", level: "warning" },
  "W-TARGET-UNINFORMED": { code: "JEP4021", level: "warning" },
  "W-EMA-ZERO": { code: "JEP4022", level: "warning" },
  "W-TARGET-NORM": { code: "JEP4023", level: "warning" },
  "W-NOPRED-MASKED": { code: "JEP4024", level: "warning" },
  "W-WEAK-GUARD": { code: "JEP4025", level: "warning" },
  "W-UNTIED": { code: "JEP4026", level: "warning" },
  "W-DIM": { code: "JEP4027", level: "warning" },
  "W-SLOW": { code: "JEP4028", level: "warning" },
  "W-POSITION": { code: "JEP4029", level: "warning" },
  "W-COEF": { code: "JEP4030", level: "warning" },
  "W-TEMP": { code: "JEP4031", level: "warning" },
  "W-EMA-RANGE": { code: "JEP4032", level: "warning" },
  "W-PHASE": { code: "JEP4033", level: "warning" },
  "W-QUEUE-STALE": { code: "JEP4034", level: "warning" },
  "W-DECAYED-TARGET": { code: "JEP4035", level: "warning" },
  "W-VACUOUS": { code: "JEP4036", level: "warning" },
  "W-ANCHOR-NOGRAD": { code: "JEP4037", level: "note" },
  "W-UNREAD": { code: "JEP4039", level: "warning" },
  "W-BYPASS": { code: "JEP4040", level: "warning" },
  "E-REVERSED": { code: "JEP4041", level: "error" },
  "W-NARROW": { code: "JEP4043", level: "warning" },
  "E-BLIND": { code: "JEP4042", level: "error" },
} as const satisfies Readonly<Record<string, { readonly code: string; readonly level: Level }>>;

export type Level = "error" | "warning" | "note";
export type RuleName = keyof typeof rules;

/** One rule that speaks against one term. */
export interface Finding {
  readonly rule: RuleName;
  readonly level: Level;
  readonly term: Term | undefined;
  readonly encoder: string;
  /** Instances that play the part that the rule names. */
  readonly heads: readonly string[];
  /** The operand that the rule is about: the target, or what a guard reads. */
  readonly other: number | undefined;
  /** A figure or words for the message. */
  readonly detail: string;
}

/** What a finding may add. */
export interface FindingParts {
  readonly heads: readonly string[];
  readonly other: number | undefined;
  readonly detail?: string;
}

/** Makes a finding at its rule's own level. */
export function finding(rule: RuleName, term: Term | undefined, encoder: string, parts: FindingParts): Finding {
  return { rule, level: rules[rule].level, term, encoder, heads: parts.heads, other: parts.other, detail: parts.detail ?? "" };
}
