/**
 * Which arguments of a call have their value: an argument has one.
 *
 * Owns the report of a second value for the same argument (JEP2032), wherever arguments are bound: of modules, built-ins,
 * losses, masks, augmentations, data, optimizers and probes. Which name an argument without one stands for is its binder's.
 */
import { join } from "../base/span.js";
import type { Span } from "../base/span.js";
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";

/** What binding has to know of an argument: its name, if it is written with one, and where it stands. */
export interface Place {
  readonly nameSpan?: Span | undefined;
  readonly span: Span;
}

/** The arguments of one call that have their value. */
export interface Taken {
  has(name: string): boolean;
  /** Notes the place of `name`; where it has a value already, that is reported, and false comes back. */
  take(name: string, place: Place, help?: string): boolean;
}

/** No argument of `callee` has a value yet. */
export function createTaken(callee: string, diagnostics: Diagnostics): Taken {
  const first = new Map<string, Span>();
  return {
    has: (name) => first.has(name),
    take(name, place, help) {
      const before = first.get(name);
      const span = wholeOf(place);
      if (before === undefined) {
        first.set(name, span);
        return true;
      }
      const related = [{ span: before, message: "given first here" }];
      diagnostics.add(report("JEP2032", span, { callee, name }, { related, ...(help === undefined ? {} : { help }) }));
      return false;
    },
  };
}

/** The place of an argument as it is written. */
export function placeOf(arg: ast.Arg): Place {
  return { nameSpan: arg.name?.span, span: arg.value.span };
}

/** An argument with its name. */
export function wholeOf({ nameSpan, span }: Place): Span {
  return nameSpan === undefined ? span : join(nameSpan, span);
}
