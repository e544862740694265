/**
 * From a flat list of tokens to one that a context-free grammar can read.
 *
 * Owns everything that depends on place: where a statement ends (line breaks become `Sep` tokens), which names are
 * keywords here (a word is one only at the start of a statement, or between two operands), which brackets are missing,
 * and how deep a program may nest. The parser behind it then has balanced brackets, certain statement ends and bounded
 * depth, so its recovery never runs past a statement and its stack cannot overflow. Misspelt keywords are put right here,
 * so that what follows them still means something.
 * The rules for line breaks are written down in docs/language-grammar.md ("Lines").
 */
import { createTokenInstance } from "./chevrotain.js";
import type { IToken, TokenType } from "./chevrotain.js";
import { suggest } from "../base/suggest.js";
import { report } from "../messages/report.js";
import type { Fix } from "../messages/report.js";
import { closerOf, matchBrackets } from "./brackets.js";
import type { Brackets } from "./brackets.js";
import { endOf, errorLimit, shorten, spanOf } from "./sink.js";
import type { Sink } from "./sink.js";
import { infixWords, itemWords, statementWords, T, unitWords, wordTokens } from "./tokens.js";

/** How deep operators may nest. */
const depthLimit = 256;
/** How deep brackets may nest: each weighs as much as four operators, itself counted as one. */
const bracketLimit = 64;
const bracketWeight = depthLimit / bracketLimit - 1;

/** What layout hands to the parser. */
export interface Laid {
  readonly tokens: readonly IToken[];
  /** The text of the doc comments before an item, statement or setting, by the offset of its first token. */
  readonly docs: ReadonlyMap<number, string>;
  /** Offsets at which statements begin and blocks end, in order. */
  readonly starts: readonly number[];
}

/** Lays out the tokens of one file; `comments` in source order. */
export function layOut(tokens: readonly IToken[], comments: readonly IToken[], sink: Sink): Laid {
  const layout = new Layout(tokens, comments, sink);
  layout.run();
  return { tokens: layout.out, docs: layout.docs, starts: layout.starts };
}

/** True for tokens that layout made up (a bracket that the text lacks); what stands there was reported already. */
export function isVirtual(token: IToken): boolean {
  return token.payload === "virtual";
}

type FrameKind = "file" | "body" | "settings" | "axes" | "exprs" | "group";

/** An open bracket, or the file. */
interface Frame {
  readonly kind: FrameKind;
  readonly opener: IToken | undefined;
  /** Column where the opener's line begins. */
  readonly indent: number;
  /** Whether the opener was handed on; what lies inside skipped text is not. */
  readonly emitted: boolean;
  atStart: boolean;
  pending: boolean;
  /** The keyword that began the current statement. */
  word: string | undefined;
  /** Operators since the last separator, and the depth of the deepest bracket among them. */
  operators: number;
  inner: number;
}

class Layout {
  readonly out: IToken[] = [];
  readonly docs = new Map<number, string>();
  readonly starts: number[] = [];
  /** Columns of `starts`. */
  private readonly columns: number[] = [];
  private readonly brackets: Brackets;
  private readonly frames: Frame[] = [];
  private top: Frame;
  private nextComment = 0;
  /** Weight of the frames below the top one. */
  private weight = 0;
  /** Index of the frame whose statement is being left out; -1 when none is. */
  private skipFrom = -1;
  private badItem = false;
  private operandEnd = false;
  private prev: IToken | undefined;
  /** Set when `startStatement` has left out the word that it looked at. */
  private dropped = false;

  constructor(private readonly tokens: readonly IToken[], private readonly comments: readonly IToken[], private readonly sink: Sink) {
    this.brackets = matchBrackets(tokens);
    this.top = { kind: "file", opener: undefined, indent: 0, emitted: true, atStart: true, pending: false, word: undefined, operators: 0, inner: 0 };
    this.frames.push(this.top);
  }

  run(): void {
    for (let i = 0; i < this.tokens.length; i++) {
      const token = this.tokens[i];
      if (token === undefined) continue;
      if (this.sink.list.length >= errorLimit) break;
      this.step(token, i);
      this.prev = token;
    }
    this.closeWhile(() => this.frames.length > 1);
  }

  private step(token: IToken, i: number): void {
    const breaks = this.prev !== undefined && (token.startLine ?? 0) > (this.prev.endLine ?? 0);
    if (breaks) this.closeWhile(() => this.endsUnclosed(token, i));
    const type = token.tokenType;
    if (type === T.RParen || type === T.RBracket || type === T.RBrace) return this.closer(token);
    const frame = this.top;
    if (frame.kind === "group") {
      if (type === T.Comma && this.trailingComma(i)) return;
      if (type === T.Comma) frame.operators = frame.inner = 0;
    } else {
      if (breaks && !frame.atStart && !this.continues(token, i)) this.endStatement();
      const separates = type === T.Semicolon || (type === T.Comma && frame.kind !== "file" && frame.kind !== "body");
      if (separates && !frame.atStart) return this.endStatement();
      if (frame.atStart) this.startStatement(token, i);
      if (this.dropped) {
        this.dropped = false;
        return;
      }
    }
    this.place(token, i);
  }

  /** Hands on a token that is not a closing bracket, as what it is in its place. */
  private place(token: IToken, i: number): void {
    if (token.tokenType === T.Ident && this.operandEnd) {
      // A name right after an operand is a mistake unless it is an operator, so an operator's word is taken for one.
      const onLine = this.prev?.endLine === token.startLine && this.top.kind !== "settings";
      if (this.isInfix(i) || (onLine && wordSets.infix.has(token.image))) retype(token, token.image);
      else if (this.prev?.tokenType === T.Number && this.prev.endLine === token.startLine && isUnit(token.image)) setType(token, T.UnitWord);
    }
    const opens = closerOf.has(token.tokenType);
    if (opens || deepening.has(token.tokenType)) this.top.operators += 1;
    const depth = this.weight + this.top.operators + this.top.inner + (opens ? bracketWeight : 0);
    if (depth > depthLimit && this.skipFrom < 0) this.skipTooDeep(token);
    if (this.skipFrom < 0) this.emit(token);
    if (opens) this.open(token, i);
  }

  private emit(token: IToken): void {
    this.out.push(token);
    this.operandEnd = operandEnds.has(token.tokenType);
  }

  private open(token: IToken, i: number): void {
    const outer = this.top;
    this.weight += outer.operators + bracketWeight;
    this.top = {
      kind: token.tokenType === T.LBrace ? blockKind(outer) : "group",
      opener: token,
      indent: this.brackets.indent[i] ?? 1,
      emitted: this.skipFrom < 0,
      atStart: true, pending: false, word: undefined, operators: 0, inner: 0,
    };
    this.frames.push(this.top);
    this.operandEnd = false;
  }

  private closer(token: IToken): void {
    if (this.brackets.stray.has(token) || this.frames.length === 1) {
      const span = spanOf(this.sink.file, token);
      const fixes: Fix[] = [{ title: "remove it", edits: [{ span, text: "" }] }];
      if (this.skipFrom < 0 || this.frames.length === 1) this.sink.add(report("JEP1005", span, { close: token.image }, { fixes }));
      if (token.tokenType !== T.RBrace) this.lost(token);
      return;
    }
    this.closeWhile(() => this.top.opener !== undefined && this.brackets.unclosed.has(this.top.opener));
    this.pop(token);
    if (token.tokenType === T.RBrace) this.begins(endOf(token), Infinity);
  }

  private begins(offset: number, column: number): void {
    this.starts.push(offset);
    this.columns.push(column);
  }

  /** What a bracket that closes nothing leaves unread: its statement; where it begins a line, all down to it from the one that it stands under. */
  private lost(token: IToken): void {
    const column = token.startColumn ?? 1;
    const leads = (this.prev?.endLine ?? 0) < (token.startLine ?? 1);
    const from = leads ? this.starts.findLastIndex((_, i) => (this.columns[i] ?? 1) <= column) : -1;
    if (from >= 0) for (const start of this.starts.slice(from)) this.sink.broken.push(start);
    this.sink.broken.push(token.startOffset);
  }

  /** Closes the top frame with `token`. */
  private pop(token: IToken): void {
    const closed = this.frames.pop();
    const outer = this.frames.at(-1);
    if (closed === undefined || outer === undefined) return;
    if (this.skipFrom >= this.frames.length) this.skipFrom = -1;
    this.top = outer;
    this.weight -= outer.operators + bracketWeight;
    outer.inner = Math.max(outer.inner, bracketWeight + closed.operators + closed.inner);
    if (closed.emitted) this.emit(token);
    // A call's block ends an operand: `augment(x) { … } at p`.
    if (closed.kind === "exprs") this.operandEnd = true;
  }

  /** Closes frames that the text leaves open, as long as `more` says; those at one place make one report. */
  private closeWhile(more: () => boolean): void {
    const opened: IToken[] = [];
    let text = "";
    const at = this.prev === undefined ? 0 : endOf(this.prev);
    while (this.frames.length > 1 && more()) {
      const opener = this.top.opener;
      const type = opener === undefined ? undefined : closerOf.get(opener.tokenType);
      if (opener === undefined || type === undefined) break;
      const image = closers.get(type) ?? "";
      if (this.top.emitted) {
        opened.push(opener);
        text += type === T.RBrace ? `\n${" ".repeat(Math.max(0, this.top.indent - 1))}}` : image;
      }
      const line = this.prev?.endLine ?? 1;
      const column = this.prev?.endColumn ?? 1;
      const token = createTokenInstance(type, image, at, at - 1, line, line, column, column);
      token.payload = "virtual";
      this.pop(token);
    }
    const outermost = opened.at(-1);
    if (outermost === undefined || this.sink.list.length >= errorLimit) return;
    const file = this.sink.file;
    const close = closers.get(closerOf.get(outermost.tokenType) ?? T.RBrace) ?? "";
    const related = opened.toReversed().slice(0, 3).map((o) => ({ span: spanOf(file, o), message: `this \`${o.image}\` is open` }));
    const fixes: Fix[] = [{ title: opened.length === 1 ? `write \`${close}\`` : "close the brackets", edits: [{ span: { file, start: at, end: at }, text }] }];
    for (const o of opened) if (o.tokenType !== T.LBrace) this.sink.broken.push(o.startOffset);
    this.sink.add(report("JEP1004", { file, start: at, end: at }, { open: outermost.image, close }, { related, fixes }));
  }

  /** Whether the top frame, never closed in the text, ends before this first token of a line. */
  private endsUnclosed(token: IToken, i: number): boolean {
    const frame = this.top;
    if (frame.opener === undefined || !this.brackets.unclosed.has(frame.opener)) return false;
    const outdented = (token.startColumn ?? 1) <= frame.indent;
    if (frame.kind === "group") {
      const inHeader = this.frames.length === 2 && this.frames[0]?.word === "module";
      return outdented || this.looksLikeStatement(i) || (!inHeader && this.is(i, T.Ident) && this.is(i + 1, T.Equals));
    }
    if (this.frames.length > 2) return outdented;
    const item = token.image !== "train" && token.image !== "probe" ? wordSets.file.has(token.image) : this.is(i + 1, T.Ident);
    return outdented && item && this.operandOnLine(i);
  }

  private endStatement(): void {
    const frame = this.top;
    frame.atStart = frame.pending = true;
    frame.word = undefined;
    frame.operators = frame.inner = 0;
    if (this.skipFrom === this.frames.length - 1) this.skipFrom = -1;
    this.operandEnd = false;
  }

  private startStatement(token: IToken, i: number): void {
    const frame = this.top;
    frame.atStart = false;
    this.operandEnd = false;
    // A comma may have lost the bracket around it.
    if (this.prev?.tokenType !== T.Comma) this.begins(token.startOffset, token.startColumn ?? 1);
    if (this.skipFrom >= 0) return;
    if (frame.pending) this.emit(this.separator());
    frame.pending = false;
    this.attachDoc(token);
    if (frame.kind === "file") this.startItem(token, i);
    else if (frame.kind === "body") this.startBodyStatement(token, i);
    else if (frame.kind === "settings" && token.tokenType === T.Ident && !wordSets.infix.has(token.image)) setType(token, T.SettingWord);
  }

  private startItem(token: IToken, i: number): void {
    if (wordSets.file.has(token.image)) {
      this.badItem = false;
      return this.keyword(token, token.image);
    }
    const near = token.tokenType === T.Ident ? suggest(token.image, itemWords, 1)[0] : undefined;
    if (near !== undefined && this.operandOnLine(i)) {
      this.unknownWord(token, "an item of a file", near);
      this.badItem = false;
      return this.keyword(token, near);
    }
    // After one item that cannot be read, the lines that follow it most likely belong to it.
    if (!this.badItem) {
      const foreign = foreignWords.get(token.image);
      if (token.tokenType !== T.Ident) {
        const expected = "`use`, `module`, `model`, `train`, `probe`, `variant` or `sweep`";
        this.sink.add(report("JEP1002", spanOf(this.sink.file, token), { expected, found: `\`${shorten(token.image)}\`` }));
      } else if (wordSets.body.has(token.image)) {
        this.unknownWord(token, "an item of a file", undefined, `Put this line inside \`model name { … }\`.`);
      } else this.unknownWord(token, "an item of a file", undefined, foreign ?? "A file is a list of `use`, `module`, `model`, `train`, `probe`, `variant` and `sweep`.");
    }
    this.badItem = true;
    this.skip(token);
  }

  private startBodyStatement(token: IToken, i: number): void {
    if (token.tokenType !== T.Ident) return;
    const next = this.tokens[i + 1];
    const onLine = next !== undefined && next.startLine === token.endLine;
    if (wordSets.body.has(token.image)) {
      if (this.isKeywordHere(token.image, i, onLine)) this.keyword(token, token.image);
      return;
    }
    const wordFollows = onLine && !this.isInfix(i + 1) && (next.tokenType === T.Ident || next.tokenType === T.Number || next.tokenType === T.String || next.tokenType === T.LBrace);
    if (!wordFollows) return;
    if (needlessWords.has(token.image) && next.tokenType === T.Ident) return this.dropWord(token, next);
    const near = suggest(token.image, statementWords, 1)[0];
    if (near !== undefined) {
      this.unknownWord(token, "a statement", near);
      return this.keyword(token, near);
    }
    const place = wordSets.file.has(token.image) ? "`{word}` stands outside of every `{ … }`.".replace("{word}", token.image) : undefined;
    this.unknownWord(token, "a statement", undefined, place ?? foreignWords.get(token.image) ?? "A line begins with a statement word, or names a value: `name = …`.");
    this.skip(token);
  }

  /** Whether a statement word at the start of a statement is meant as one, and not as the name of a value. */
  private isKeywordHere(word: string, i: number, onLine: boolean): boolean {
    const next = this.tokens[i + 1];
    if (next === undefined) return true;
    if (!onLine) return !this.isInfix(i + 1) && !lineContinuers.has(next.tokenType) && next.tokenType !== T.RBrace;
    if (next.tokenType === T.Ident) return !this.isInfix(i + 1);
    if (word === "train" || word === "probe") return next.tokenType === T.LBrace;
    if (word === "loss" || word === "repeat") return operandStarts.has(next.tokenType);
    return next.tokenType === T.Number || next.tokenType === T.String;
  }

  private keyword(token: IToken, word: string): void {
    retype(token, word);
    this.top.word = word;
  }

  private unknownWord(token: IToken, place: string, near: string | undefined, help?: string): void {
    const span = spanOf(this.sink.file, token);
    const fixes: Fix[] = near === undefined ? [] : [{ title: `write \`${near}\``, edits: [{ span, text: near }] }];
    const advice = near === undefined ? help : `Did you mean \`${near}\`?`;
    this.sink.add(report("JEP1003", span, { word: token.image, place }, { fixes, ...(advice === undefined ? {} : { help: advice }) }));
  }

  /** Leaves out `let`, `return` and their like; the statement begins at the next word. */
  private dropWord(token: IToken, next: IToken): void {
    const { start, end } = spanOf(this.sink.file, token);
    const fixes: Fix[] = [{ title: `remove \`${token.image}\``, edits: [{ span: { file: this.sink.file, start, end: next.startOffset }, text: "" }] }];
    const help = foreignWords.get(token.image) ?? "Remove it.";
    this.sink.add(report("JEP1003", { file: this.sink.file, start, end }, { word: token.image, place: "a statement" }, { fixes, help }));
    this.top.atStart = true;
    this.dropped = true;
  }

  private skipTooDeep(token: IToken): void {
    this.sink.add(report("JEP1011", spanOf(this.sink.file, token), { limit: bracketLimit }));
    this.skip(token);
  }

  /** Leaves out the rest of the statement; a `Skipped` token stands for it where an operand may stand. */
  private skip(token: IToken): void {
    this.sink.broken.push(token.startOffset);
    if (!this.operandEnd) {
      const { startOffset, startLine, startColumn } = token;
      this.emit(createTokenInstance(T.Skipped, "", startOffset, startOffset - 1, startLine ?? 1, startLine ?? 1, startColumn ?? 1, startColumn ?? 1));
    }
    this.skipFrom = this.frames.findLastIndex((frame) => frame.kind !== "group");
  }

  /** Whether this first token of a line goes on with the statement of the line before. */
  private continues(token: IToken, i: number): boolean {
    const type = token.tokenType;
    if (lineContinuers.has(type)) return true;
    if (type === T.LParen && this.top.word === "module") return true;
    if (type === T.Dash) {
      // `- b` goes on, `-b` begins: as in Swift, the blank after it makes the sign an operator between two operands.
      const next = this.tokens[i + 1];
      return this.operandEnd && next !== undefined && next.startOffset > endOf(token);
    }
    if (type === T.Ident && this.operandEnd && this.top.kind !== "axes" && this.isInfix(i)) return true;
    const last = this.prev?.tokenType;
    if (last === T.Comma) return this.top.kind === "body" || this.top.kind === "file";
    const open = last !== undefined && lineOpeners.has(last);
    return open && !this.looksLikeStatement(i) && !(this.is(i, T.Ident) && this.is(i + 1, T.Equals));
  }

  /** Whether the name at `i` is used as an operator: a word between two operands. The left one is the caller's to know. */
  private isInfix(i: number): boolean {
    const token = this.tokens[i];
    const next = this.tokens[i + 1];
    if (token === undefined || next === undefined || token.tokenType !== T.Ident || !wordSets.infix.has(token.image)) return false;
    // `at - a` and `at(a)` are about a value named `at`; `x at -a` and `x at(a)` are seen from the operand before them.
    const named = next.tokenType === T.Dash || (next.tokenType === T.LParen && next.startOffset === endOf(token));
    if (named || !operandStarts.has(next.tokenType)) return false;
    // `at = …` on the next line is a definition of its own: then this word ends its line.
    return !(next.startLine !== token.endLine && this.is(i + 2, T.Equals));
  }

  private looksLikeStatement(i: number): boolean {
    const token = this.tokens[i];
    if (token === undefined || token.tokenType !== T.Ident) return false;
    const known = wordSets.body.has(token.image) || wordSets.file.has(token.image);
    return known && this.operandOnLine(i) && this.is(i + 1, T.Ident) && !this.isInfix(i + 1);
  }

  /** Whether something follows the token at `i` on its line. */
  private operandOnLine(i: number): boolean {
    const token = this.tokens[i];
    const next = this.tokens[i + 1];
    return token !== undefined && next !== undefined && next.startLine === token.endLine && (operandStarts.has(next.tokenType) || next.tokenType === T.LBrace);
  }

  private trailingComma(i: number): boolean {
    const next = this.tokens[i + 1]?.tokenType;
    const last = this.prev?.tokenType;
    const closes = next === T.RParen || next === T.RBracket;
    return closes && last !== T.Comma && last !== T.LParen && last !== T.LBracket;
  }

  private is(i: number, type: TokenType): boolean {
    return this.tokens[i]?.tokenType === type;
  }

  private separator(): IToken {
    const at = this.prev === undefined ? 0 : endOf(this.prev);
    const line = this.prev?.endLine ?? 1;
    const column = this.prev?.endColumn ?? 1;
    return createTokenInstance(T.Sep, "", at, at - 1, line, line, column, column);
  }

  private attachDoc(token: IToken): void {
    const from = this.prev === undefined ? -1 : this.prev.startOffset;
    let lines: string[] = [];
    for (; this.nextComment < this.comments.length; this.nextComment++) {
      const comment = this.comments[this.nextComment];
      if (comment === undefined || comment.startOffset > token.startOffset) break;
      const doc = comment.startOffset > from && comment.tokenType === T.DocComment;
      const trailing = comment.startLine === this.prev?.endLine;
      if (doc && !trailing) lines.push(comment.image.replace(/^\/\/\/ ?/, "").trimEnd());
      else lines = [];
    }
    if (lines.length > 0) this.docs.set(token.startOffset, lines.join("\n"));
  }
}

/** A unit, or a word near to one; another name after a number rather lacks a comma before it. */
function isUnit(word: string): boolean {
  return unitWords.some((unit) => unit === word) || suggest(word, unitWords, 1).length > 0;
}

function setType(token: IToken, type: TokenType): void {
  token.tokenType = type;
  token.tokenTypeIdx = type.tokenTypeIdx ?? token.tokenTypeIdx;
}

function retype(token: IToken, word: string): void {
  const type = wordTokens.get(word);
  if (type !== undefined) setType(token, type);
}

/** What a `{` opens, from the statement that it belongs to. */
function blockKind(outer: Frame): FrameKind {
  if (outer.kind !== "file" && outer.kind !== "body") return "exprs";
  switch (outer.word) {
    case "model": case "module": case "variant": case "repeat": return "body";
    case "train": return "settings";
    case "sweep": return "axes";
    default: return "exprs";
  }
}

const wordSets = {
  file: new Set<string>(itemWords),
  body: new Set<string>(statementWords),
  infix: new Set<string>(infixWords),
};

/** Words of other languages, and what to write here. */
const foreignWords: ReadonlyMap<string, string> = new Map([
  ["import", "Write `use std.vit` or `use \"./file.jepa\"`."],
  ["from", "Write `use std.vit` or `use \"./file.jepa\"`."],
  ["def", "Write `module name(…) (x) { … }`."],
  ["fn", "Write `module name(…) (x) { … }`."],
  ["function", "Write `module name(…) (x) { … }`."],
  ["class", "Write `module name(…) (x) { … }`, or `model name { … }`."],
  ["let", "Write `name = value`, without a word before it."],
  ["const", "Write `name = value`, without a word before it."],
  ["var", "Write `name = value`, without a word before it."],
  ["return", "Write the value alone; the last value of a module is its result."],
  ["for", "Write `repeat n { … }` or `repeat part in parts { … }`."],
  ["while", "Write `repeat n { … }`."],
]);

/** Words of other languages that only need to be left out. */
const needlessWords: ReadonlySet<string> = new Set(["let", "const", "var", "return"]);

const infixTypes = infixWords.flatMap((w) => wordTokens.get(w) ?? []);
const signs: readonly TokenType[] = [T.Plus, T.Star, T.Slash, T.AtSign, T.Caret, T.Arrow, T.DotDot, T.Dot];
const lineContinuers: ReadonlySet<TokenType> = new Set([...signs, T.Comma, T.Equals, T.Colon, T.Tilde, T.LBrace]);
const lineOpeners: ReadonlySet<TokenType> = new Set([...signs, T.Dash, T.Equals, T.Colon, T.Tilde, ...infixTypes]);
const deepening: ReadonlySet<TokenType> = new Set([...signs, T.Dash, ...infixTypes]);
const operandStarts: ReadonlySet<TokenType> = new Set([
  T.Ident, T.Number, T.String, T.True, T.False, T.LParen, T.LBracket, T.Dash,
]);
const operandEnds: ReadonlySet<TokenType> = new Set([
  T.Ident, T.Number, T.String, T.True, T.False, T.RParen, T.RBracket, T.UnitWord, T.Skipped,
]);
const closers: ReadonlyMap<TokenType, string> = new Map([[T.RParen, ")"], [T.RBracket, "]"], [T.RBrace, "}"]]);
