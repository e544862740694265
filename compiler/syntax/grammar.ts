/**
 * The grammar, as a chevrotain parser that builds the tree as it goes. // tidy: table
 *
 * Owns what may follow what. It sees the tokens that `layout.ts` made: keywords told apart from names, `Sep` between
 * statements, brackets in balance. Recovery is chevrotain's: a mistake inside an expression leaves a hole, one inside a
 * statement skips to the next `Sep`. Slips that a reader can guess (`=` for `:`) are accepted and reported with a fix.
 * A class because chevrotain wants one; `parse.ts` is the door.
 */
import { EarlyExitException, EmbeddedActionsParser, EOF, MismatchedTokenException, NoViableAltException } from "./chevrotain.js";
import type { IParserErrorMessageProvider, IRecognitionException, IToken, ParserMethod, TokenType } from "./chevrotain.js";
import type { Span } from "../base/span.js";
import { suggest } from "../base/suggest.js";
import { report } from "../messages/report.js";
import type * as ast from "./ast.js";
import { fold } from "./expression.js";
import type { Infix, Operand } from "./expression.js";
import { numberValue, stringValue } from "./slips.js";
import { createSink, endOf, spanOf } from "./sink.js";
import type { Sink } from "./sink.js";
import { T, unitWords, vocabulary, wordToken } from "./tokens.js";
import { lacksComma } from "./wording.js";

const W = {
  use: wordToken("use"), module: wordToken("module"), model: wordToken("model"), train: wordToken("train"),
  probe: wordToken("probe"), variant: wordToken("variant"), sweep: wordToken("sweep"), param: wordToken("param"),
  input: wordToken("input"), mask: wordToken("mask"), view: wordToken("view"), encoder: wordToken("encoder"),
  predictor: wordToken("predictor"), head: wordToken("head"), part: wordToken("part"), learn: wordToken("learn"),
  fixed: wordToken("fixed"), state: wordToken("state"), loss: wordToken("loss"), repeat: wordToken("repeat"), allow: wordToken("allow"),
  minus: wordToken("minus"), at: wordToken("at"), of: wordToken("of"), in: wordToken("in"),
} as const;

/** Optional settings of the parser, for tests. */
export interface GrammarOptions {
  /** Checks the grammar for ambiguity on construction; a test does, users do not wait for it. */
  readonly validate?: boolean;
}

/** The parser. `start`, then `file()`; then `itemsSoFar` and `failures`. */
export class Grammar extends EmbeddedActionsParser {
  private sink: Sink = createSink("");
  private docs: ReadonlyMap<number, string> = new Map();
  /** Items read so far: what is left when a run is broken off for too many errors. */
  private items: ast.Item[] = [];
  /** Errors that a statement survived with a hole; chevrotain's own list has the others. */
  private survived: IRecognitionException[] = [];
  /** False where a `{` belongs to the statement and not to a call. */
  private callBlocks = true;

  constructor(messages: IParserErrorMessageProvider, options: GrammarOptions = {}) {
    super(vocabulary, {
      recoveryEnabled: true,
      maxLookahead: 2,
      skipValidations: options.validate !== true,
      errorMessageProvider: messages,
    });
    this.performSelfAnalysis();
  }

  /** Gets ready to read the tokens of one file. */
  start(tokens: readonly IToken[], docs: ReadonlyMap<number, string>, sink: Sink): void {
    this.input = [...tokens];
    this.docs = docs;
    this.sink = sink;
    this.items = [];
    this.survived = [];
    this.callBlocks = true;
  }

  /** All errors of this run, in source order, at most one per token. */
  get failures(): readonly IRecognitionException[] {
    const seen = new Set<IToken>();
    const all = [...this.survived, ...this.errors].filter((e) => !seen.has(e.token) && seen.add(e.token));
    return all.toSorted((a, b) => order(a) - order(b));
  }

  /** The items read so far, in order. */
  get itemsSoFar(): readonly ast.Item[] {
    return this.items;
  }

  // ---------------------------------------------------------------------------------------------------- places

  private begin(): number {
    return this.LA(1).startOffset;
  }

  private span(start: number): Span {
    const last = this.LA(0);
    const end = last.tokenType === EOF || last.startOffset === undefined ? start : endOf(last);
    return { file: this.sink.file, start: Math.min(start, end), end };
  }

  private here(): Span {
    const last = this.LA(0);
    const at = last.startOffset === undefined || Number.isNaN(last.startOffset) ? 0 : endOf(last);
    return { file: this.sink.file, start: at, end: at };
  }

  private hole(): ast.Hole {
    return { kind: "hole", span: this.here() };
  }

  private noType(): ast.TypeExpr {
    return { name: { text: "", span: this.here() }, args: [], space: undefined, span: this.here() };
  }

  private doc(start: number): string | undefined {
    return this.docs.get(start);
  }

  private asName(token: IToken): ast.Name {
    if (token.isInsertedInRecovery === true) return { text: "", span: this.here() };
    return { text: token.image, span: spanOf(this.sink.file, token) };
  }

  /** Reports a sign that stands where another belongs. */
  private slip(token: IToken, what: string, right: string, fix: string): void {
    const span = spanOf(this.sink.file, token);
    const title = fix === "" ? `remove \`${token.image}\`` : `write \`${fix}\``;
    // A word in the place of a sign that touches the one before it.
    const apart = /^\w/.test(fix) && this.ACTION(() => endOf(this.LA(-1)) === token.startOffset) === true ? " " : "";
    this.sink.add(report("JEP1009", span, { what, right, wrong: token.image }, { fixes: [{ title, edits: [{ span, text: `${apart}${fix}` }] }] }));
  }

  /** Reports a comma that is missing before the next element, and says so; the list goes on, so that all of it is known. */
  private lacking(found: IToken | undefined, last: ast.Arg | undefined, again: boolean): boolean {
    return this.ACTION(() => {
      const [previous, token, next] = [this.LA(0), this.LA(1), this.LA(2)];
      if (found !== undefined || token.tokenType === T.Skipped) return false;
      // Recovery has passed over a sign that cannot stand there, and it has been told.
      if (signs.has(previous.tokenType)) return true;
      const argument = last === undefined ? "value" : last.name !== undefined ? "named" : last.value.kind === "ref" ? "word" : "value";
      const lack = lacksComma(this.sink.file, { previous, token, next, argument, again });
      this.sink.add(lack);
      if (lack.fixes.every((f) => f.guess === true)) this.sink.broken.push(token.startOffset);
      return true;
    });
  }

  /**
   * Runs a part of a statement; if it fails, the statement goes on with `instead`, so that its name stays known. Chevrotain
   * would give up the whole statement, because nothing that could follow stands in the statement's own rule.
   */
  private survive<R>(run: () => R, instead: () => R): R {
    const outer = this.callBlocks;
    try {
      return run();
    } catch (error) {
      const known = error instanceof MismatchedTokenException || error instanceof NoViableAltException || error instanceof EarlyExitException;
      if (!known) throw error;
      this.survived.push(error);
      this.callBlocks = outer;
      return instead();
    }
  }

  /**
   * Passes over what is left of a statement that has been read as far as it could be, with its block: chevrotain would go on at
   * the next `Sep`, which may be one of the block's, and then take the block's end for that of the body.
   */
  private passOver(expected: string, rule = "statement"): void {
    this.ACTION(() => {
      const at = (): TokenType => this.LA(1).tokenType;
      if (at() === T.Sep || at() === T.RBrace || at() === EOF) return;
      const error = new MismatchedTokenException(expected, this.LA(1), this.LA(0));
      error.context = { ruleStack: [rule], ruleOccurrenceStack: [0] };
      this.survived.push(error);
      for (let depth = 0; at() !== EOF && (depth > 0 || (at() !== T.Sep && at() !== T.RBrace)); this.SKIP_TOKEN()) {
        depth += at() === T.LBrace ? 1 : at() === T.RBrace ? -1 : 0;
      }
    });
  }

  private value(): ast.Expr {
    return this.survive(() => this.SUBRULE9(this.expression), () => this.hole());
  }

  // ----------------------------------------------------------------------------------------------------- items

  readonly file = this.RULE("file", (): void => {
    this.MANY_SEP({
      SEP: T.Sep,
      DEF: () => {
        const item = this.SUBRULE(this.item);
        this.ACTION(() => {
          if (item !== undefined) this.items.push(item);
        });
      },
    });
  });

  private readonly item = this.RULE("item", (): ast.Item | undefined => this.OR<ast.Item | undefined>([
    { ALT: () => this.SUBRULE(this.use) },
    { ALT: () => this.SUBRULE(this.module) },
    { ALT: () => this.SUBRULE(this.model) },
    { ALT: () => this.SUBRULE(this.train) },
    { ALT: () => this.SUBRULE(this.probe) },
    { ALT: () => this.SUBRULE(this.variant) },
    { ALT: () => this.SUBRULE(this.sweep) },
    { ALT: () => { this.CONSUME(T.Skipped); return undefined; } },
  ]), { recoveryValueFunc: () => undefined });

  private readonly use = this.RULE("use", (): ast.Use => {
    const start = this.begin();
    this.CONSUME(W.use);
    const path = this.OR<ast.Use["path"]>([
      {
        ALT: () => {
          const token = this.CONSUME(T.String);
          return this.ACTION(() => ({ kind: "file" as const, text: stringValue(token, this.sink), span: spanOf(this.sink.file, token) }));
        },
      },
      { ALT: () => ({ kind: "library" as const, names: this.SUBRULE(this.path) }) },
    ]);
    return { kind: "use", doc: this.doc(start), path, span: this.span(start) };
  });

  private readonly path = this.RULE("path", (): ast.Name[] => {
    const names = [this.SUBRULE(this.name)];
    this.MANY(() => {
      this.CONSUME(T.Dot);
      names.push(this.SUBRULE2(this.name));
    });
    return names;
  }, { recoveryValueFunc: () => [] });

  private readonly module = this.RULE("module", (): ast.Module => {
    const start = this.begin();
    this.CONSUME(W.module);
    const name = this.SUBRULE(this.name);
    const first = this.SUBRULE(this.formals);
    const second = this.OPTION(() => this.SUBRULE2(this.formals));
    const result = this.OPTION2(() => {
      this.CONSUME(T.Arrow);
      return this.SUBRULE(this.typeExpr);
    });
    const body = this.SUBRULE(this.body);
    return {
      kind: "module", doc: this.doc(start), name,
      config: second === undefined ? [] : first, inputs: second ?? first, result, body, span: this.span(start),
    };
  });

  private readonly formals = this.RULE("formals", (): ast.Formal[] => {
    const formals: ast.Formal[] = [];
    this.CONSUME(T.LParen);
    this.MANY_SEP({ SEP: T.Comma, DEF: () => formals.push(this.SUBRULE(this.formal)) });
    this.CONSUME(T.RParen);
    return formals;
  }, { recoveryValueFunc: () => [] });

  private readonly formal = this.RULE("formal", (): ast.Formal => {
    const start = this.begin();
    const name = this.SUBRULE(this.name);
    const type = this.OPTION(() => {
      this.CONSUME(T.Colon);
      return this.SUBRULE(this.typeExpr);
    });
    const value = this.OPTION2(() => {
      this.CONSUME(T.Equals);
      return this.SUBRULE(this.expression);
    });
    return { name, type, default: value, span: this.span(start) };
  }, { recoveryValueFunc: () => ({ name: { text: "", span: this.here() }, type: undefined, default: undefined, span: this.here() }) });

  private readonly typeExpr = this.RULE("type", (): ast.TypeExpr => {
    const start = this.begin();
    const name = this.SUBRULE(this.name);
    const args: ast.Expr[] = [];
    this.OPTION(() => {
      this.CONSUME(T.LBracket);
      this.MANY_SEP({ SEP: T.Comma, DEF: () => args.push(this.SUBRULE(this.expression)) });
      this.CONSUME(T.RBracket);
    });
    const space = this.OPTION2(() => {
      this.CONSUME(W.in);
      const outer = this.callBlocks;
      this.callBlocks = false;
      const named = this.SUBRULE2(this.expression);
      this.callBlocks = outer;
      return named;
    });
    return { name, args, space, span: this.span(start) };
  }, { recoveryValueFunc: () => this.noType() });

  private readonly model = this.RULE("model", (): ast.Model => {
    const start = this.begin();
    this.CONSUME(W.model);
    const name = this.SUBRULE(this.name);
    const body = this.SUBRULE(this.body);
    return { kind: "model", doc: this.doc(start), name, body, span: this.span(start) };
  });

  private readonly variant = this.RULE("variant", (): ast.Variant => {
    const start = this.begin();
    this.CONSUME(W.variant);
    const name = this.SUBRULE(this.name);
    this.CONSUME(W.of);
    const base = this.SUBRULE2(this.name);
    const body = this.SUBRULE(this.body);
    return { kind: "variant", doc: this.doc(start), name, base, body, span: this.span(start) };
  });

  private readonly train = this.RULE("train", (): ast.Train => {
    const start = this.begin();
    const settings: ast.Setting[] = [];
    this.CONSUME(W.train);
    const model = this.OPTION(() => this.SUBRULE(this.name));
    this.CONSUME(T.LBrace);
    this.MANY_SEP({ SEP: T.Sep, DEF: () => { const s = this.SUBRULE(this.setting); this.passOver("the end of the line"); this.ACTION(() => { if (s !== undefined) settings.push(s); }); } });
    this.CONSUME(T.RBrace);
    return { kind: "train", doc: this.doc(start), model, settings, span: this.span(start) };
  });

  private readonly setting = this.RULE("setting", (): ast.Setting | undefined => {
    const start = this.begin();
    const values: ast.Expr[] = [];
    const word = this.CONSUME(T.SettingWord);
    this.OPTION(() => this.slip(this.SUBRULE(this.definitionSign), "A setting", "its values alone", ""));
    const outer = this.callBlocks;
    this.callBlocks = false;
    this.MANY(() => values.push(this.value()));
    this.callBlocks = outer;
    const block = this.OPTION2(() => this.SUBRULE(this.block));
    return { kind: "setting", name: this.asName(word), values, block, span: this.span(start) };
  }, { recoveryValueFunc: () => undefined });

  private readonly probe = this.RULE("probe", (): ast.Probe => {
    const start = this.begin();
    this.CONSUME(W.probe);
    const model = this.OPTION(() => this.SUBRULE(this.name));
    const entries = this.SUBRULE(this.block);
    return { kind: "probe", doc: this.doc(start), model, entries, span: this.span(start) };
  });

  private readonly sweep = this.RULE("sweep", (): ast.Sweep => {
    const start = this.begin();
    const axes: ast.SweepAxis[] = [];
    this.CONSUME(W.sweep);
    const name = this.SUBRULE(this.name);
    this.CONSUME(W.of);
    const base = this.SUBRULE2(this.name);
    this.CONSUME(T.LBrace);
    this.MANY_SEP({ SEP: T.Sep, DEF: () => { const a = this.SUBRULE(this.axis); this.passOver("the end of the line", "axis"); this.ACTION(() => { if (a !== undefined) axes.push(a); }); } });
    this.CONSUME(T.RBrace);
    return { kind: "sweep", doc: this.doc(start), name, base, axes, span: this.span(start) };
  });

  private readonly axis = this.RULE("axis", (): ast.SweepAxis | undefined => {
    const start = this.begin();
    const path = this.SUBRULE(this.path);
    this.OR([
      { ALT: () => this.CONSUME(W.in) },
      { ALT: () => this.slip(this.SUBRULE(this.definitionSign), "An axis of a sweep", "`in`", "in") },
    ]);
    const values = this.value();
    return { path, values, span: this.span(start) };
  }, { recoveryValueFunc: () => undefined });

  // ------------------------------------------------------------------------------------------------ statements

  private readonly body = this.RULE("body", (): ast.Statement[] => {
    const statements: ast.Statement[] = [];
    this.CONSUME(T.LBrace);
    this.MANY_SEP({
      SEP: T.Sep,
      DEF: () => {
        const statement = this.SUBRULE(this.statement);
        this.passOver("the end of the line");
        this.ACTION(() => {
          if (statement !== undefined) statements.push(statement);
        });
      },
    });
    this.CONSUME(T.RBrace);
    return statements;
  }, { recoveryValueFunc: () => [] });

  private readonly statement: ParserMethod<[], ast.Statement | undefined> = this.RULE("statement", (): ast.Statement | undefined => this.OR<ast.Statement | undefined>([
    { ALT: () => this.SUBRULE(this.param) },
    { ALT: () => this.SUBRULE(this.inputStatement) },
    { ALT: () => this.SUBRULE(this.mask) },
    { ALT: () => this.SUBRULE(this.view) },
    { ALT: () => this.SUBRULE(this.instance) },
    { ALT: () => this.SUBRULE(this.part) },
    { ALT: () => this.SUBRULE(this.learn) },
    { ALT: () => this.SUBRULE(this.loss) },
    { ALT: () => this.SUBRULE(this.repeat) },
    { ALT: () => this.SUBRULE(this.allow) },
    { ALT: () => this.SUBRULE(this.train) },
    { ALT: () => this.SUBRULE(this.probe) },
    { ALT: () => this.SUBRULE(this.binding) },
    { ALT: () => this.SUBRULE(this.result) },
  ]), { recoveryValueFunc: () => undefined });

  /** `= value`; another sign in its place is reported and passed over. */
  private readonly definition = this.RULE("definition", (): ast.Expr => this.survive(() => {
    this.OR([
      { ALT: () => this.CONSUME(T.Equals) },
      { ALT: () => this.slip(this.CONSUME(T.Colon), "A definition", "`=`", "=") },
      { ALT: () => this.slip(this.CONSUME(T.Tilde), "A definition", "`=`", "=") },
    ]);
    return this.SUBRULE(this.expression);
  }, () => this.hole()), { recoveryValueFunc: () => this.hole() });

  private readonly definitionSign = this.RULE("definitionSign", (): IToken => this.OR([
    { ALT: () => this.CONSUME(T.Equals) },
    { ALT: () => this.CONSUME(T.Colon) },
  ]));

  private readonly param = this.RULE("param", (): ast.Param => {
    const start = this.begin();
    this.CONSUME(W.param);
    const name = this.SUBRULE(this.name);
    const value = this.SUBRULE(this.definition);
    return { kind: "param", doc: this.doc(start), name, value, span: this.span(start) };
  });

  private readonly inputStatement = this.RULE("inputStatement", (): ast.Input => {
    const start = this.begin();
    this.CONSUME(W.input);
    const name = this.SUBRULE(this.name);
    this.OR([
      { ALT: () => this.CONSUME(T.Colon) },
      { ALT: () => this.slip(this.CONSUME(T.Equals), "A type", "`:`", ":") },
    ]);
    const type = this.survive(() => this.SUBRULE(this.typeExpr), () => this.noType());
    return { kind: "input", doc: this.doc(start), name, type, span: this.span(start) };
  });

  private readonly mask = this.RULE("mask", (): ast.Mask => {
    const start = this.begin();
    this.CONSUME(W.mask);
    const name = this.SUBRULE(this.name);
    const value = this.SUBRULE(this.definition);
    return { kind: "mask", doc: this.doc(start), name, value, span: this.span(start) };
  });

  private readonly view = this.RULE("view", (): ast.View => {
    const start = this.begin();
    this.CONSUME(W.view);
    const names = this.SUBRULE(this.names);
    const value = this.SUBRULE(this.definition);
    return { kind: "view", doc: this.doc(start), names, value, span: this.span(start) };
  });

  private readonly instance = this.RULE("instance", (): ast.Instance => {
    const start = this.begin();
    const role = this.OR<ast.Instance["role"]>([
      { ALT: () => { this.CONSUME(W.encoder); return "encoder"; } },
      { ALT: () => { this.CONSUME(W.predictor); return "predictor"; } },
      { ALT: () => { this.CONSUME(W.head); return "head"; } },
    ]);
    const name = this.SUBRULE(this.name);
    const value = this.SUBRULE(this.definition);
    return { kind: "instance", doc: this.doc(start), role, name, value, span: this.span(start) };
  });

  private readonly part = this.RULE("part", (): ast.Part => {
    const start = this.begin();
    this.CONSUME(W.part);
    const name = this.SUBRULE(this.name);
    const value = this.SUBRULE(this.definition);
    return { kind: "part", doc: this.doc(start), name, value, span: this.span(start) };
  });

  private readonly learn = this.RULE("learn", (): ast.Learn => {
    const start = this.begin();
    const role = this.OR<ast.Learn["role"]>([
      { ALT: () => { this.CONSUME(W.learn); return "learn"; } },
      { ALT: () => { this.CONSUME(W.fixed); return "fixed"; } },
      { ALT: () => { this.CONSUME(W.state); return "state"; } },
    ]);
    const name = this.SUBRULE(this.name);
    const shape = this.OPTION(() => this.SUBRULE(this.list)) ?? [];
    this.OR2([
      { ALT: () => this.CONSUME(T.Tilde) },
      { ALT: () => this.slip(this.SUBRULE(this.definitionSign), "How numbers start", "`~`", "~") },
    ]);
    const init = this.value();
    return { kind: "learn", doc: this.doc(start), role, name, shape, init, span: this.span(start) };
  });

  private readonly binding = this.RULE("binding", (): ast.Binding => {
    const start = this.begin();
    const names = this.SUBRULE(this.names);
    const value = this.SUBRULE(this.definition);
    return { kind: "binding", doc: this.doc(start), names, value, span: this.span(start) };
  });

  private readonly loss = this.RULE("loss", (): ast.Loss => {
    const start = this.begin();
    this.CONSUME(W.loss);
    const name = this.OPTION(() => {
      const named = this.SUBRULE(this.name);
      this.CONSUME(T.Equals);
      return named;
    });
    const value = this.value();
    const space = this.OPTION2(() => {
      this.CONSUME(W.in);
      return this.survive(() => this.SUBRULE2(this.expression), () => this.hole());
    });
    return { kind: "loss", doc: this.doc(start), name, value, space, span: this.span(start) };
  });

  private readonly repeat = this.RULE("repeat", (): ast.Repeat => {
    const start = this.begin();
    this.CONSUME(W.repeat);
    const outer = this.callBlocks;
    this.callBlocks = false;
    const head = this.OR<Pick<ast.Repeat, "count" | "over">>([
      {
        ALT: () => {
          const element = this.SUBRULE(this.name);
          this.CONSUME(W.in);
          const list = this.SUBRULE2(this.name);
          return { count: undefined, over: { element, list } };
        },
      },
      { ALT: () => ({ count: this.SUBRULE(this.expression), over: undefined }) },
    ]);
    this.callBlocks = outer;
    const body = this.SUBRULE(this.body);
    return { kind: "repeat", doc: this.doc(start), ...head, body, span: this.span(start) };
  });

  private readonly allow = this.RULE("allow", (): ast.Allow => {
    const start = this.begin();
    this.CONSUME(W.allow);
    const what = this.SUBRULE(this.name);
    const reason = this.OPTION(() => {
      this.CONSUME(T.LParen);
      const text = this.OPTION2(() => this.SUBRULE(this.expression));
      this.CONSUME(T.RParen);
      return text;
    });
    return { kind: "allow", doc: this.doc(start), what, reason, span: this.span(start) };
  });

  private readonly result = this.RULE("result", (): ast.Result | undefined => {
    const start = this.begin();
    const value = this.SUBRULE(this.expression);
    if (value.kind === "hole") return undefined;
    return { kind: "result", doc: this.doc(start), value, span: this.span(start) };
  }, { recoveryValueFunc: () => undefined });

  // ----------------------------------------------------------------------------------------------- expressions

  /** Operands and signs in a row; `fold` makes the tree. */
  private readonly expression: ParserMethod<[], ast.Expr> = this.RULE("expression", (): ast.Expr => {
    const operands: Operand[] = [];
    const signs: Infix[] = [];
    operands.push(this.SUBRULE(this.operand));
    this.MANY(() => {
      signs.push(this.SUBRULE(this.infix));
      operands.push(this.SUBRULE2(this.operand));
    });
    return this.ACTION(() => fold(this.sink.file, operands, signs, (span) => this.sink.add(report("JEP1017", span, {}))) ?? this.hole());
  }, { recoveryValueFunc: () => this.hole() });

  private readonly infix = this.RULE("infix", (): Infix => this.OR<Infix>([
    { ALT: () => { this.CONSUME(W.minus); return "minus"; } },
    { ALT: () => { this.CONSUME(W.at); return "at"; } },
    { ALT: () => { this.CONSUME(W.of); return "of"; } },
    { ALT: () => { this.CONSUME(T.Arrow); return "->"; } },
    { ALT: () => { this.CONSUME(T.DotDot); return ".."; } },
    { ALT: () => { this.CONSUME(T.Plus); return "+"; } },
    { ALT: () => { this.CONSUME(T.Dash); return "-"; } },
    { ALT: () => { this.CONSUME(T.Star); return "*"; } },
    { ALT: () => { this.CONSUME(T.Slash); return "/"; } },
    { ALT: () => { this.CONSUME(T.AtSign); return "@"; } },
    { ALT: () => { this.CONSUME(T.Caret); return "^"; } },
  ]), { resyncEnabled: false });

  private readonly operand = this.RULE("operand", (): Operand => {
    const signs: number[] = [];
    this.MANY(() => signs.push(this.CONSUME(T.Dash).startOffset));
    const start = this.begin();
    const expr = this.SUBRULE(this.postfix);
    const { end } = this.span(start);
    return { expr, start: Math.min(start, end), end, signs };
  }, { resyncEnabled: false });

  private readonly postfix = this.RULE("postfix", (): ast.Expr => {
    const start = this.begin();
    let expr = this.SUBRULE(this.primary);
    this.MANY({
      GATE: () => this.LA(1).tokenType !== T.LParen || this.LA(1).startLine === this.LA(0).endLine,
      DEF: () => {
        this.OR([
          {
            ALT: () => {
              const args = this.SUBRULE(this.args);
              expr = { kind: "call", callee: expr, args, block: undefined, span: this.span(start) };
            },
          },
          {
            ALT: () => {
              this.CONSUME(T.Dot);
              const member = this.SUBRULE(this.name);
              expr = { kind: "member", object: expr, member, span: this.span(start) };
            },
          },
        ]);
      },
    });
    this.OPTION({
      GATE: () => this.callBlocks && expr.kind === "call",
      DEF: () => {
        const block = this.SUBRULE(this.block);
        this.ACTION(() => {
          if (expr.kind === "call") expr = { ...expr, block, span: this.span(start) };
        });
      },
    });
    return expr;
  }, { resyncEnabled: false });

  private readonly primary = this.RULE("primary", (): ast.Expr => this.OR<ast.Expr>([
    { ALT: () => this.SUBRULE(this.number) },
    {
      ALT: () => {
        const token = this.CONSUME(T.String);
        return this.ACTION(() => ({ kind: "string" as const, value: stringValue(token, this.sink), span: spanOf(this.sink.file, token) }));
      },
    },
    { ALT: () => ({ kind: "bool", value: true, span: spanOf(this.sink.file, this.CONSUME(T.True)) }) },
    { ALT: () => ({ kind: "bool", value: false, span: spanOf(this.sink.file, this.CONSUME(T.False)) }) },
    {
      ALT: () => {
        const token = this.CONSUME(T.Ident);
        return { kind: "ref", name: token.image, span: spanOf(this.sink.file, token) };
      },
    },
    {
      ALT: () => {
        const start = this.begin();
        const items = this.SUBRULE(this.list);
        return { kind: "list", items, span: this.span(start) };
      },
    },
    {
      ALT: () => {
        const outer = this.callBlocks;
        this.callBlocks = true;
        this.CONSUME(T.LParen);
        const inner = this.SUBRULE(this.expression);
        this.CONSUME(T.RParen);
        this.callBlocks = outer;
        return inner;
      },
    },
    {
      ALT: () => {
        this.CONSUME(T.Skipped);
        return this.hole();
      },
    },
  ]), { resyncEnabled: false });

  private readonly number = this.RULE("number", (): ast.Expr => {
    const token = this.CONSUME(T.Number);
    const value = this.ACTION((): ast.NumberLit | ast.Hole => {
      const span = spanOf(this.sink.file, token);
      const number = numberValue(token, this.sink);
      return number === undefined ? { kind: "hole", span } : { kind: "number", value: number, text: token.image, span };
    });
    const unit = this.OPTION(() => this.CONSUME(T.UnitWord));
    if (unit === undefined) return value;
    this.ACTION(() => checkUnit(unit, this.sink));
    return this.ACTION(() => ({ kind: "unit" as const, value, unit: this.asName(unit), span: this.span(token.startOffset) }));
  }, { resyncEnabled: false });

  private readonly args = this.RULE("args", (): ast.Arg[] => {
    const args: ast.Arg[] = [];
    const outer = this.callBlocks;
    this.callBlocks = true;
    this.CONSUME(T.LParen);
    this.OPTION(() => {
      let lacks = false;
      args.push(this.SUBRULE(this.arg));
      this.MANY(() => {
        lacks = this.lacking(this.OPTION2(() => this.CONSUME(T.Comma)), args.at(-1), lacks);
        args.push(this.SUBRULE2(this.arg));
      });
    });
    this.CONSUME(T.RParen);
    this.callBlocks = outer;
    return args;
  }, { recoveryValueFunc: () => [] });

  private readonly arg = this.RULE("arg", (): ast.Arg => {
    const start = this.begin();
    const name = this.OPTION(() => {
      const named = this.SUBRULE(this.name);
      this.OR([
        { ALT: () => this.CONSUME(T.Colon) },
        { ALT: () => this.slip(this.CONSUME(T.Equals), "A named argument", "`:`", ":") },
      ]);
      return named;
    });
    const value = this.SUBRULE(this.expression);
    return { name, value, span: this.span(start) };
  }, { recoveryValueFunc: () => ({ name: undefined, value: this.hole(), span: this.here() }) });

  /** `[a, b]` */
  private readonly list = this.RULE("list", (): ast.Expr[] => {
    const items: ast.Expr[] = [];
    const outer = this.callBlocks;
    this.callBlocks = true;
    this.CONSUME(T.LBracket);
    this.OPTION(() => {
      let lacks = false;
      items.push(this.SUBRULE(this.expression));
      this.MANY(() => {
        lacks = this.lacking(this.OPTION2(() => this.CONSUME(T.Comma)), undefined, lacks);
        items.push(this.SUBRULE2(this.expression));
      });
    });
    this.CONSUME(T.RBracket);
    this.callBlocks = outer;
    return items;
  }, { recoveryValueFunc: () => [] });

  /** `{ a(…)  b(…) }`: expressions, each on a line of its own or after a comma. */
  private readonly block = this.RULE("block", (): ast.Expr[] => {
    const entries: ast.Expr[] = [];
    const outer = this.callBlocks;
    this.callBlocks = true;
    this.CONSUME(T.LBrace);
    this.MANY_SEP({ SEP: T.Sep, DEF: () => { entries.push(this.SUBRULE(this.expression)); this.passOver(this.LA(1).tokenType === T.Ident ? "`,`" : "`}`"); } });
    this.CONSUME(T.RBrace);
    this.callBlocks = outer;
    return entries;
  }, { recoveryValueFunc: () => [] });

  private readonly names = this.RULE("names", (): ast.Name[] => {
    const names: ast.Name[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => names.push(this.SUBRULE(this.name)) });
    return names;
  }, { recoveryValueFunc: () => [] });

  private readonly name = this.RULE("name", (): ast.Name => this.asName(this.CONSUME(T.Ident)), { resyncEnabled: false });
}

/** Signs that end no element of a list. */
const signs: ReadonlySet<TokenType> = new Set([T.Equals, T.Colon, T.Tilde, T.Arrow, T.DotDot, T.Dot, T.Semicolon, T.LBrace]);

function checkUnit(unit: IToken, sink: Sink): void {
  const words: readonly string[] = unitWords;
  if (words.includes(unit.image)) return;
  const span = spanOf(sink.file, unit);
  const fixes = suggest(unit.image, words, 1).map((text) => ({ title: `write \`${text}\``, edits: [{ span, text }] }));
  sink.add(report("JEP1010", span, { word: unit.image }, { fixes }));
}

function order(error: IRecognitionException): number {
  return error.token.tokenType === EOF ? Infinity : error.token.startOffset;
}

/** The words by which a message calls a token type. */
export function typeLabel(type: TokenType): string {
  if (type === EOF) return "the end of the file";
  return type.LABEL ?? type.name;
}
