/**
 * The compiler's version, written into manifests.
 *
 * Owned as a constant because the core reads no files; a test holds it equal to `package.json`.
 */

/** Version of the `jepac` package. */
export const version = "0.1.0";
