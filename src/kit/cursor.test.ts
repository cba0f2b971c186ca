import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCursor, encodeCursor } from "./cursor.ts";

const position = fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.integer()));

test("a position comes back as it went", () => {
  fc.assert(
    fc.property(position, (value) => {
      const cursor = encodeCursor(value);
      expect(decodeCursor(cursor)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(cursor).toMatch(/^[\w-]*$/);
    }),
  );
});

test("what we did not make is refused, whatever it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const decoded = decodeCursor(text);
      expect(decoded === undefined || Array.isArray(decoded)).toBe(true);
    }),
  );
  const forged = [{ a: 1 }, "x", null, [null], [[1]], [true], 7].map((value) =>
    Buffer.from(JSON.stringify(value)).toString("base64url"),
  );
  expect(forged.map(decodeCursor)).toEqual(forged.map(() => undefined));
});
