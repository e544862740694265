/**
 * chevrotain, by the names that the syntax uses.
 *
 * The one door to it, because the build puts chevrotain's own one-file bundle in the place of this module
 * (`scripts/finish-build.mjs`): through its package a command loads 678 files, of which 640 are lodash's.
 */
export { createToken, createTokenInstance, EarlyExitException, EmbeddedActionsParser, EOF, Lexer, MismatchedTokenException, NoViableAltException } from "chevrotain";
export type { ILexingResult, IParserErrorMessageProvider, IRecognitionException, IToken, ParserMethod, TokenType } from "chevrotain";
