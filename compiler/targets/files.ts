/**
 * What a target hands to its caller: files as plain data.
 *
 * The compiler core touches no disk; the command line writes these where the user asked, a browser keeps them in memory.
 */

/** One file of a compiled artefact. */
export interface OutputFile {
  /** Relative to the artefact's folder, with forward slashes. */
  readonly path: string;
  readonly text: string;
}
