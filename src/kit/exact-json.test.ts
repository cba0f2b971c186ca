import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonSyntaxError, parseExactJson, WrittenNumber } from "./exact-json.ts";

describe("JSON whose numbers are not trusted to a float", () => {
  test.each([
    ["1e3", "1e3"],
    ["[1E+2]", ["1E+2"]],
    ['{"a":9007199254740993}', { a: "9007199254740993" }],
    ['{"a": 1.00000000000000001 }', { a: "1.00000000000000001" }],
    ['{"a":[1,-0.1234567890123456]}', { a: [1, "-0.1234567890123456"] }],
  ])("%s keeps what was written", (text, kept) => {
    expect(JSON.parse(JSON.stringify(parseExactJson(text)))).toEqual(kept);
  });

  test("numbers that a float holds exactly stay numbers, also beside those that it does not", () => {
    expect(
      parseExactJson('{"a":1e1,"b":0.1,"c":999999999999999,"d":"1e1","e":-0.00000000012}'),
    ).toEqual({
      a: new WrittenNumber("1e1"),
      b: 0.1,
      c: 999_999_999_999_999,
      d: "1e1",
      e: -0.000_000_000_12,
    });
  });

  test("whatever is not JSON is refused", () => {
    for (const text of ["", "{", "[1e3", '{"a":01e1}', "[1e3]]", "{'a':1e3}", '["\n",1e3]'])
      expect(() => parseExactJson(text)).toThrow(JsonSyntaxError);
  });

  test("any value reads as JSON.parse reads it, on both ways through", () => {
    const anyText = fc.json({ noUnicodeString: false } as never);
    fc.assert(
      fc.property(anyText, (text) => {
        const value: unknown = JSON.parse(text);
        const numberless = JSON.stringify(value, (_, item: unknown) =>
          typeof item === "number" ? String(item) : item,
        );
        expect(parseExactJson(numberless)).toEqual(JSON.parse(numberless));
        const forced = parseExactJson(`[1e3,${numberless}]`) as unknown[];
        expect(forced[1]).toEqual(JSON.parse(numberless));
      }),
    );
  });
});
