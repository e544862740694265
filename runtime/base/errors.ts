/**
 * The typed error of the runtime.
 *
 * Owns `HostError`: everything the host can do wrong to a run (files, disks, pictures, masks that cannot be drawn) reaches
 * the user as one of these, with a code for programs, a message that names the place, and the way out. What a user writes
 * in a `.jepa` file is never reported this way: that is a diagnostic of the compiler.
 */

/** What kind of thing went wrong, for programs that react to it. */
export type HostErrorCode =
  | "bad-file"
  | "truncated-file"
  | "disk-full"
  | "io"
  | "not-found"
  | "empty-folder"
  | "bad-image"
  | "unreadable-image"
  | "small-image"
  | "bad-data"
  | "bad-mask"
  | "bad-schedule"
  | "closed"
  | "mismatch"
  | "not-a-number"
  | "no-engine"
  | "device-lost"
  | "interrupted"
  | "usage";

/** An error of the host, with the way out. `message` says what and where; `help` says what to do. */
export class HostError extends Error {
  readonly code: HostErrorCode;
  readonly help: string;

  constructor(code: HostErrorCode, message: string, help: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "HostError";
    this.code = code;
    this.help = help;
  }
}

/** The `code` of a system error (`ENOSPC`), or an empty string. */
export function systemCode(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string") return error.code;
  return "";
}

/** The words of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A `HostError` from anything thrown: one that already is passes through; others get the code, place and help given. */
export function asHostError(error: unknown, code: HostErrorCode, where: string, help: string): HostError {
  if (error instanceof HostError) return error;
  return new HostError(code, `${where}: ${errorText(error)}`, help, { cause: error });
}
