/** A broken promise of our own code: never the caller's fault, always a bug. */
class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throw when something that must hold does not. `because` says what the reader should look at. */
export function assert(condition: unknown, because: string): asserts condition {
  if (!condition) throw new AssertionError(because);
}

/** Close a switch over a union: a case that was forgotten fails to compile, and at run time says which. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected case: ${JSON.stringify(value)}`);
}
