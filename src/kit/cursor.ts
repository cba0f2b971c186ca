/** A page position that clients pass back unread. Keyset, not offset: rows that arrive meanwhile never shift a page. */
export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position), "utf8").toString("base64url");
}

/** Read a cursor back; undefined when it was not made by us. */
export function decodeCursor(text: string): (string | number)[] | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (!Array.isArray(value)) return undefined;
    return value.every((part) => typeof part === "string" || typeof part === "number")
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}
