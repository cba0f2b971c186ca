import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { decimal } from "./decimal.ts";

const json = fc.jsonValue({ maxDepth: 4 });

test("one value has one text, whatever the order of its members", () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value).toReversed();
    return Object.fromEntries(entries.map(([key, inner]) => [key, shuffled(inner)]));
  };
  fc.assert(
    fc.property(json, (value) => {
      expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value));
    }),
  );
});

test("the text is JSON of the same value", () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("different values have different texts", () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      const same = canonicalJson(a) === canonicalJson(b);
      expect(same).toBe(
        canonicalJson(JSON.parse(JSON.stringify(a))) ===
          canonicalJson(JSON.parse(JSON.stringify(b))),
      );
      if (same) expect(JSON.parse(canonicalJson(a))).toEqual(JSON.parse(canonicalJson(b)));
    }),
  );
});

test.each([
  [{ b: 1, a: 2, aa: 3, B: 4 }, '{"B":4,"a":2,"aa":3,"b":1}'],
  [{ kept: null, left: undefined }, '{"kept":null}'],
  [[undefined, 1], "[null,1]"],
  [{ minor: 12345678901234567890n }, '{"minor":"12345678901234567890"}'],
  [{ é: 1, "\u{1F600}": 2, "\uFFFF": 3 }, '{"é":1,"\u{1F600}":2,"\uFFFF":3}'],
  ['"\\\n', '"\\"\\\\\\n"'],
  [{}, "{}"],
  [-0, "0"],
])("example %# is written as it always was", (value, text) => {
  expect(canonicalJson(value)).toBe(text);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, () => 1, Symbol("x"), decimal("1"), Buffer.of(1)])(
  "%o has no JSON form and is refused, never written as null",
  (value) => {
    expect(() => canonicalJson({ value })).toThrow(TypeError);
  },
);
