/**
 * Names in emitted JavaScript.
 *
 * Whatever a program calls its things, what comes out is a legal identifier that means nothing else: letters, digits and
 * `_` only, no reserved word, no global that emitted code uses, no name taken in the same scope. Texts of a program reach
 * the output as JSON strings or inside comments, never as code, and the two functions for that live here as well.
 */

/** Words that no local or function may be called: JavaScript's, and what emitted code itself says. */
const reserved: ReadonlySet<string> = new Set(
  `arguments as async await break case catch class const constructor continue debugger default delete do else enum eval export
  extends false finally for from function get if implements import in instanceof interface let new null of package private
  protected prototype public return set static super switch this throw true try typeof undefined var void while with yield
  Array Infinity Math NaN Object Symbol globalThis k p i n n2 n3 e inputs step encoders __proto__`.split(/\s+/),
);

/** The nearest legal identifier. */
function identifier(text: string): string {
  const safe = text.replace(/[^A-Za-z0-9_]/g, "_");
  const started = /^[A-Za-z_]/.test(safe) ? safe : `_${safe}`;
  return reserved.has(started) ? `${started}_` : started;
}

/** Hands out names, each once; a scope sees what its parent had taken when it was opened, and after. */
export class Scope {
  readonly #taken = new Set<string>();
  readonly #parent: Scope | undefined;

  constructor(parent?: Scope) {
    this.#parent = parent;
  }

  /** The wanted name, or the name with a number, now taken. */
  take(wanted: string): string {
    const base = identifier(wanted);
    for (let n = 1; ; n++) {
      const name = n === 1 ? base : /\d$/.test(base) ? `${base}_${n}` : `${base}${n}`;
      if (this.#has(name)) continue;
      this.#taken.add(name);
      return name;
    }
  }

  #has(name: string): boolean {
    return this.#taken.has(name) || (this.#parent !== undefined && this.#parent.#has(name));
  }
}

/** `.name`, or `["any text"]`. */
export function member(key: string): string {
  return isPlainKey(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** A key of an object literal; `__proto__` written so that it is an ordinary one. */
export function propertyKey(key: string): string {
  if (isPlainKey(key)) return key;
  return key === "__proto__" ? `["__proto__"]` : JSON.stringify(key);
}

/** `name` or `name: value` in an object literal. */
export function property(key: string, value: string): string {
  return key === value && isPlainKey(key) ? key : `${propertyKey(key)}: ${value}`;
}

/** Text that can stand in a comment: one line, and it cannot end the comment. */
export function commentText(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, " ").replace(/\*\//g, "* /").trim();
}

function isPlainKey(key: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) && key !== "__proto__";
}
