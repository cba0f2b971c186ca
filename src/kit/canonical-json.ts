/**
 * One text for one value: keys sorted by code unit, no spaces, undefined members left out. Used for hashes, idempotency
 * and golden files. Numbers are written as JavaScript writes them, so exact values must already be strings.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string")
    return JSON.stringify(value);
  if (typeof value === "number") {
    // JSON.stringify would write null, and two different values would have one hash.
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
    return JSON.stringify(value);
  }
  if (typeof value === "bigint") return `"${value}"`;
  if (Array.isArray(value))
    return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value === "object" && isPlain(value)) {
    const record = value as Record<string, unknown>;
    // Written in one go: whole documents are hashed by the thousand.
    let members = "";
    for (const key of Object.keys(record).toSorted()) {
      if (record[key] === undefined) continue;
      members += `${members === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(record[key])}`;
    }
    return `{${members}}`;
  }
  throw new TypeError(`${typeof value} has no JSON form`);
}

/** Not an instance of some class (a Decimal, a date), whose members are its own affair and not its value. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
