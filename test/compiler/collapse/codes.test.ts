/** Every code of the collapse family is the rule that it should be, and some program is told so. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { ruleCodes } from "../../../compiler/analyses.js";
import { examples, programOf } from "../../../compiler/messages/examples.js";
import { mechanisms } from "./variations.js";

/** The theory's name of each code. */
const codes: Readonly<Record<string, string>> = {
  "E-SYM": "JEP4001", "E-NOPRED": "JEP4002", "E-PRED-FROZEN": "JEP4003", "E-PRED-DEAD": "JEP4004", "E-TARGET-HEAD": "JEP4005", "E-WRONG-SIDE": "JEP4006",
  "E-NOGUARD": "JEP4007", "E-GUARD-NOGRAD": "JEP4008", "E-GUARD-AXIS": "JEP4009", "E-GUARD-SIGN": "JEP4010", "E-NOATTRACT": "JEP4011", "E-DEAD": "JEP4012",
  "E-ONEHOT": "JEP4013", "E-UNIFORM": "JEP4014", "E-UNBALANCED": "JEP4015", "E-CENTER-NO-EMA": "JEP4016", "E-WHITEN-RANK": "JEP4017", "E-UNBOUNDED": "JEP4018", "E-NO-CODE": "JEP4019",
  "W-FROZEN-TARGET": "JEP4020", "W-TARGET-UNINFORMED": "JEP4021", "W-EMA-ZERO": "JEP4022", "W-TARGET-NORM": "JEP4023", "W-NOPRED-MASKED": "JEP4024",
  "W-WEAK-GUARD": "JEP4025", "W-UNTIED": "JEP4026", "W-DIM": "JEP4027", "W-SLOW": "JEP4028", "W-POSITION": "JEP4029", "W-COEF": "JEP4030", "W-TEMP": "JEP4031",
  "W-EMA-RANGE": "JEP4032", "W-PHASE": "JEP4033", "W-QUEUE-STALE": "JEP4034", "W-DECAYED-TARGET": "JEP4035", "W-VACUOUS": "JEP4036",
  "W-ANCHOR-NOGRAD": "JEP4037", "W-UNREAD": "JEP4039", "W-BYPASS": "JEP4040", "E-REVERSED": "JEP4041", "E-BLIND": "JEP4042", "W-NARROW": "JEP4043",
};

test("rules and codes belong together one to one", () => {
  expect(Object.fromEntries(ruleCodes())).toEqual(codes);
});

test("every rule speaks against some program of the tests", () => {
  const folder = join(import.meta.dirname, "cases");
  const texts = [...readdirSync(folder).filter((f) => f.endsWith(".jepa")).map((f) => readFileSync(join(folder, f), "utf8")), ...mechanisms.map((m) => m.text), ...Object.values(examples).map((e) => programOf(e, e.refused))];
  const heard = new Set(texts.flatMap((text) => check({ file: "m.jepa", text }).analyses?.program.rules ?? []));
  expect(Object.keys(codes).filter((rule) => !heard.has(rule))).toEqual([]);
});
