/**
 * The door to the syntax stage: text in, tree and reports out. Never throws, whatever the text.
 *
 * Owns the order of the stages (lex, mend slips, lay out, parse), the bounds on size and number of reports, and the wording
 * of what the grammar expected. The tree is there even when there are errors; holes mark what is missing. Comments are
 * given back beside it, for the formatter.
 */
import type { IParserErrorMessageProvider, IRecognitionException, IToken, TokenType } from "./chevrotain.js";
import { EOF } from "./chevrotain.js";
import type { Span } from "../base/span.js";
import { report } from "../messages/report.js";
import type { Diagnostic } from "../messages/report.js";
import type * as ast from "./ast.js";
import { Grammar, typeLabel } from "./grammar.js";
import { openBlocks } from "./headers.js";
import { isVirtual, layOut } from "./layout.js";
import { straighten } from "./lookalikes.js";
import { createSink, endOf, errorLimit, spanOf } from "./sink.js";
import type { Sink } from "./sink.js";
import { mendSlips } from "./slips.js";
import { brokenIn, causes, statementsOf } from "./statements.js";
import { lexer, T } from "./tokens.js";
import { commaFix, describeToken } from "./wording.js";

/** A file is read up to this many UTF-16 units; no program is as long. */
export const lengthLimit = 1_000_000;

/** A comment with its place; `text` includes its slashes. */
export interface Comment {
  readonly kind: "doc" | "line" | "block";
  readonly text: string;
  readonly span: Span;
}

/** What `parse` gives back. */
export interface Parsed {
  readonly ast: ast.File;
  readonly diagnostics: readonly Diagnostic[];
  /** Every comment of the file, doc comments too, in order. */
  readonly comments: readonly Comment[];
}

/** Parses the text of one file; `file` is the name that spans carry. */
export function parse(text: string, file: string): Parsed {
  const sink = createSink(file);
  const source = text.length > lengthLimit ? text.slice(0, lengthLimit) : text;
  const lexed = straighten(source, lexer.tokenize(source), sink);
  const comments = lexed.groups["comments"] ?? [];
  const tokens = openBlocks(mendSlips(lexed.tokens, comments, sink), sink);
  const laid = layOut(tokens, comments, sink);
  const items = runGrammar(laid.tokens, laid.docs, sink);
  const parts = statementsOf(file, laid.starts, text.length);
  return {
    ast: { kind: "file", items, broken: brokenIn(parts, tokens, sink.broken), span: { file, start: 0, end: text.length } },
    diagnostics: finish(sink, parts, text),
    comments: comments.map((c) => asComment(file, c)),
  };
}

/** Thrown by the message provider, which chevrotain calls once per error, to leave a hopeless text; caught right below. */
class TooManyErrors extends Error {}

/** The construction of a parser analyses the grammar (some milliseconds), so there is one; each run resets it. */
const messages = createMessages();
const grammar = new Grammar(messages.provider);

function runGrammar(tokens: readonly IToken[], docs: ReadonlyMap<number, string>, sink: Sink): readonly ast.Item[] {
  messages.begin(sink);
  grammar.start(tokens, docs, sink);
  try {
    grammar.file();
  } catch (error) {
    if (!(error instanceof TooManyErrors)) throw error;
    sink.dropped += 1;
  }
  for (const error of grammar.failures) explain(error, tokens, sink);
  return [...grammar.itemsSoFar];
}

function finish(sink: Sink, parts: readonly Span[], text: string): Diagnostic[] {
  const list = causes(sink.list, parts, sink.broken).toSorted((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
  const end = { file: sink.file, start: text.length, end: text.length };
  if (sink.dropped > 0) list.push(report("JEP1012", end, { limit: errorLimit }));
  if (text.length > lengthLimit) list.push(report("JEP1013", { ...end, start: lengthLimit, end: lengthLimit }, { limit: lengthLimit }));
  return list;
}

function asComment(file: string, token: IToken): Comment {
  const type = token.tokenType;
  const kind = type === T.DocComment ? "doc" : type === T.BlockComment || type === T.OpenComment ? "block" : "line";
  return { kind, text: token.image, span: spanOf(file, token) };
}

// ------------------------------------------------------------------------------------------------ wording

/** Turns chevrotain's exception into a report; its message holds what was expected. */
function explain(error: IRecognitionException, tokens: readonly IToken[], sink: Sink): void {
  const { token } = error;
  // Layout put this bracket there, and has said that the text lacks it.
  if (isVirtual(token)) return;
  // Layout sees to it that every item begins with its word; another token here is what an earlier mistake left over.
  const rule = error.context.ruleStack.at(-1);
  if ((rule === "item" || rule === "file") && sink.list.length > 0) return;
  sink.broken.push(Number.isFinite(token.startOffset) ? token.startOffset : Infinity);
  const index = token.tokenType === EOF ? tokens.length : tokens.indexOf(token);
  const previous = tokens[index - 1];
  const at = previous === undefined ? 0 : endOf(previous);
  const nextLine = previous !== undefined && (token.startLine ?? 0) > (previous.endLine ?? 0);
  const ends = token.tokenType === EOF || token.tokenType === T.Sep || (nextLine && closers.has(token.tokenType));
  const span = ends ? { file: sink.file, start: at, end: at } : spanOf(sink.file, token);
  sink.add(report("JEP1002", span, { expected: error.message, found: ends && token.tokenType !== EOF ? "the end of the line" : describeToken(token) }, {
    ...(error.context.ruleStack.includes("axis") ? { help: "An axis is `width in [16, 32]`; another one stands on a line of its own or behind a comma." } : {}),
    ...(error.message === "`,`" && operandStarts.has(token.tokenType) ? { fixes: [commaFix(span.file, span.start, at)] } : {}),
    ...(beginsAxis(rule, tokens, index) ? { fixes: [{ title: "write `,`", edits: [{ span: { file: sink.file, start: at, end: at }, text: "," }] }] } : {}),
  }));
}

/** Whether another axis of a sweep follows with nothing before it: a path and `in`. */
function beginsAxis(rule: string | undefined, tokens: readonly IToken[], index: number): boolean {
  if (rule !== "axis") return false;
  let at = index;
  while (tokens[at]?.tokenType === T.Ident && tokens[at]?.image !== "in" && tokens[at + 1]?.tokenType === T.Dot) at += 2;
  return tokens[at]?.tokenType === T.Ident && tokens[at + 1]?.image === "in";
}

/** What a comma may stand before. */
const operandStarts: ReadonlySet<TokenType> = new Set([T.Ident, T.Number, T.String, T.True, T.False, T.LParen, T.LBracket]);

const closers: ReadonlySet<TokenType> = new Set([T.RBrace, T.RParen, T.RBracket]);

function createMessages(): { provider: IParserErrorMessageProvider; begin(sink: Sink): void } {
  let left = 0;
  const counted = (text: string): string => {
    left -= 1;
    if (left < 0) throw new TooManyErrors();
    return text;
  };
  return {
    begin(sink) {
      left = errorLimit - sink.list.length;
    },
    provider: {
      buildMismatchTokenMessage: ({ expected, ruleName }) => counted(expectedToken(expected, ruleName)),
      buildNoViableAltMessage: ({ ruleName, expectedPathsPerAlt }) => counted(expectedRule(ruleName, expectedPathsPerAlt)),
      buildEarlyExitMessage: ({ ruleName }) => counted(ruleWords.get(ruleName) ?? "more"),
      buildNotAllInputParsedMessage: () => counted("the end of the line"),
    },
  };
}

function expectedToken(expected: TokenType, ruleName: string): string {
  if (expected === T.RBrace && ruleName !== "block") return "the end of the line";
  if (expected === T.RParen || expected === T.RBracket) return ruleName === "primary" ? typeLabel(expected) : "`,`";
  return typeLabel(expected);
}

function expectedRule(ruleName: string, paths: TokenType[][][]): string {
  const words = ruleWords.get(ruleName);
  if (words !== undefined) return words;
  const first = new Set(paths.flatMap((alternative) => alternative.flatMap((path) => (path[0] === undefined ? [] : [typeLabel(path[0])]))));
  const all = [...first];
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`;
}

/** What a rule is called in a message. */
const ruleWords: ReadonlyMap<string, string> = new Map([
  ["primary", "a value"], ["operand", "a value"], ["expression", "a value"],
  ["item", "`use`, `module`, `model`, `train`, `probe`, `variant` or `sweep`"],
  ["statement", "a statement"],
  ["definition", "`=`"],
  ["use", "a library (`std.vit`) or a file (`\"./name.jepa\"`)"],
  ["infix", "an operator"],
  ["names", "a name"],
]);
