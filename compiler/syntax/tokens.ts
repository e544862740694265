/**
 * The words of the language: token types and the lexer. // tidy: table
 *
 * Owns what a piece of text *is* on its own: names, numbers, strings, punctuation, comments, and the catch-alls that make
 * lexing total (every character belongs to some token, so the lexer cannot fail). What a word *means* depends on where it
 * stands, so no keyword is lexed here: `layout.ts` turns a name into one of the word tokens below when its place says so,
 * which is why `at`, `in`, `input` or `loss` may also name a thing.
 * Does not report mistakes; tokens that are mistakes (`#` comments, `==`, stray characters) are told apart by type.
 */
import { createToken, Lexer } from "./chevrotain.js";
import type { TokenType } from "./chevrotain.js";

/** The words that begin an item of a file. */
export const itemWords = ["use", "module", "model", "train", "probe", "variant", "sweep"] as const;

/** The words that begin a statement of a model, module or variant. */
export const statementWords = [
  "param", "input", "mask", "view", "encoder", "predictor", "head", "part", "learn", "fixed", "state", "loss", "repeat", "allow",
  "train", "probe",
] as const;

/** The words that stand between two operands; `in` names the space of a loss or type, and the values of an axis. */
export const infixWords = ["minus", "at", "of", "in"] as const;

/** The words that may follow a number: `40 epochs`. */
export const unitWords = [
  "epoch", "epochs", "step", "steps", "percent", "image", "images", "minute", "minutes", "hour", "hours",
] as const;

const word = (name: string): TokenType => createToken({ name: `Word_${name}`, label: `\`${name}\``, pattern: Lexer.NA });
const sign = (name: string, text: string): TokenType => createToken({ name, label: `\`${text}\``, pattern: text });

/** Word tokens that layout makes out of names, by their text. */
export const wordTokens: ReadonlyMap<string, TokenType> = new Map(
  [...new Set<string>([...itemWords, ...statementWords, ...infixWords])].map((w) => [w, word(w)]),
);

/** The token type of one of the language's own words. */
export function wordToken(text: (typeof itemWords)[number] | (typeof statementWords)[number] | (typeof infixWords)[number]): TokenType {
  const type = wordTokens.get(text);
  if (type === undefined) throw new Error(`no token for the word ${text}`);
  return type;
}

/** All the token types that the grammar and the layout name. */
export const T = {
  Ident: createToken({ name: "Ident", label: "a name", pattern: /[A-Za-z_][A-Za-z0-9_]*/ }),
  True: createToken({ name: "True", label: "`true`", pattern: Lexer.NA }),
  False: createToken({ name: "False", label: "`false`", pattern: Lexer.NA }),
  /** The first word of a line in a train block. */
  SettingWord: createToken({ name: "SettingWord", label: "a setting", pattern: Lexer.NA }),
  UnitWord: createToken({ name: "UnitWord", label: "a unit", pattern: Lexer.NA }),
  Number: createToken({ name: "Number", label: "a number", pattern: /[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+-]?[0-9]+)?/ }),
  BareFraction: createToken({ name: "BareFraction", label: "a number", pattern: /\.[0-9]+([eE][+-]?[0-9]+)?/ }),
  String: createToken({ name: "String", label: "a text in quotes", pattern: /"([^"\\\n\r]|\\[^\n\r])*"/ }),
  SingleQuoted: createToken({ name: "SingleQuoted", label: "a text in quotes", pattern: /'([^'\\\n\r]|\\[^\n\r])*'/ }),
  OpenString: createToken({ name: "OpenString", label: "a text without its closing quote", pattern: /["'][^\n\r]*/ }),
  LParen: sign("LParen", "("), RParen: sign("RParen", ")"),
  LBracket: sign("LBracket", "["), RBracket: sign("RBracket", "]"),
  LBrace: sign("LBrace", "{"), RBrace: sign("RBrace", "}"),
  Arrow: sign("Arrow", "->"), DotDot: sign("DotDot", ".."), Dot: sign("Dot", "."),
  Comma: sign("Comma", ","), Colon: sign("Colon", ":"), Semicolon: sign("Semicolon", ";"),
  EqualsEquals: sign("EqualsEquals", "=="), Equals: sign("Equals", "="), Tilde: sign("Tilde", "~"),
  Plus: sign("Plus", "+"), Dash: sign("Dash", "-"), StarStar: sign("StarStar", "**"), Star: sign("Star", "*"),
  Slash: sign("Slash", "/"), AtSign: sign("AtSign", "@"), Caret: sign("Caret", "^"),
  /** Inserted by layout where a line break (or `;`, or a comma between settings) ends a statement. */
  Sep: createToken({ name: "Sep", label: "the end of the line", pattern: Lexer.NA }),
  /** Stands for text that layout has reported and left out; parses as a hole. */
  Skipped: createToken({ name: "Skipped", label: "text that was left out", pattern: Lexer.NA }),
  DocComment: createToken({ name: "DocComment", pattern: /\/\/\/(?!\/)[^\n\r]*/, group: "comments" }),
  LineComment: createToken({ name: "LineComment", pattern: /\/\/[^\n\r]*/, group: "comments" }),
  BlockComment: createToken({ name: "BlockComment", pattern: /\/\*[^]*?\*\//, group: "comments", line_breaks: true }),
  OpenComment: createToken({ name: "OpenComment", pattern: /\/\*[^]*/, group: "comments", line_breaks: true }),
  HashComment: createToken({ name: "HashComment", pattern: /#[^\n\r]*/, group: "comments" }),
  Blank: createToken({ name: "Blank", pattern: /[ \t\n\r\f\v\u00A0\uFEFF]+/, group: Lexer.SKIPPED, line_breaks: true }),
  Unknown: createToken({ name: "Unknown", label: "a stray character", pattern: /[\u0080-\uFFFF]+|[!$%&`?\\|<>\x00-\x08\x0E-\x1F\x7F]/ }),
} as const;

const lexed: TokenType[] = [
  T.Blank, T.Ident, T.DocComment, T.LineComment, T.BlockComment, T.OpenComment, T.HashComment,
  T.Number, T.BareFraction, T.String, T.SingleQuoted, T.OpenString,
  T.LParen, T.RParen, T.LBracket, T.RBracket, T.LBrace, T.RBrace,
  T.Arrow, T.DotDot, T.Dot, T.Comma, T.Colon, T.Semicolon, T.EqualsEquals, T.Equals, T.Tilde,
  T.Plus, T.Dash, T.StarStar, T.Star, T.Slash, T.AtSign, T.Caret, T.Unknown,
];

/** Every token type that may reach the parser. */
export const vocabulary: TokenType[] = [
  ...lexed.filter((t) => t.GROUP === undefined),
  ...wordTokens.values(), T.True, T.False, T.UnitWord, T.SettingWord, T.Sep, T.Skipped,
];

/** The lexer; it holds no state between calls. */
export const lexer = new Lexer(lexed, { positionTracking: "full", ensureOptimizations: true });
