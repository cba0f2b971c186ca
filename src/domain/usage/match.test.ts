import { describe, expect, test } from "vitest";
import type { Meter } from "../catalog/index.ts";
import { writeUnits } from "../grants/index.ts";
import { indexMeters, matchEvent } from "./match.ts";

const aMeter = (over: Partial<Meter> = {}): Meter => ({
  key: "tokens",
  name: "Tokens",
  eventType: "llm.call",
  aggregation: "sum",
  valueProperty: "tokens",
  valueKind: "integer",
  allowNegative: false,
  unit: "token",
  filters: [],
  dimensions: [],
  status: "published",
  ...over,
});

const match = (meters: Meter[], data: Record<string, unknown>, isCorrection = false) =>
  matchEvent(indexMeters(meters), { type: "llm.call", data, isCorrection });

/** `tokens 5 {"model":"large"}`, one line for each meter that measured. */
const lines = (meters: Meter[], data: Record<string, unknown>, isCorrection = false) => {
  const found = match(meters, data, isCorrection);
  if (found.kind === "faulty") return `${found.reason} at ${found.pointer}`;
  if (found.kind === "unknown_meter") return found.kind;
  return found.measurements.map(
    (m) => `${m.meter.key} ${writeUnits(m.quantity)} ${m.thing}${m.dimensions}`,
  );
};

describe("which meters measure an event", () => {
  test("several meters read the same event, each its own property", () => {
    const meters = [
      aMeter({ key: "seconds", valueProperty: "seconds" }),
      aMeter({ key: "talks", aggregation: "unique", valueProperty: "talk" }),
      aMeter({ key: "calls", aggregation: "count" }),
    ];
    expect(lines(meters, { seconds: "61", talk: "a" })).toEqual([
      "seconds 61 {}",
      "talks 1 a{}",
      "calls 1 {}",
    ]);
  });

  test("a type nobody listens to is unknown; a filter that does not hold leaves the event unmeasured", () => {
    const filters = [{ property: "side", op: "eq", values: ["input"] }] as const;
    expect(lines([], { tokens: "1" })).toBe("unknown_meter");
    expect(lines([aMeter({ status: "draft" })], { tokens: "1" })).toBe("unknown_meter");
    expect(lines([aMeter({ status: "retired" })], { tokens: "1" })).toBe("unknown_meter");
    expect(lines([aMeter({ filters })], { tokens: "1", side: "output" })).toEqual([]);
    expect(
      lines([aMeter({ filters, status: "deprecated" })], { tokens: "1", side: "input" }),
    ).toEqual(["tokens 1 {}"]);
  });

  test.each([
    ["eq", ["a"], "a", true],
    ["eq", ["a"], undefined, false],
    ["ne", ["a"], "a", false],
    ["ne", ["a"], undefined, true],
    ["in", ["a", "b"], "b", true],
    ["in", ["a", "b"], "c", false],
    ["not_in", ["a", "b"], "c", true],
    ["not_in", ["a", "b"], "a", false],
    ["exists", [], "x", true],
    ["exists", [], null, false],
    ["eq", ["true"], true, true],
    ["eq", ["3"], 3, true],
  ] as const)("%s %j on %j holds: %s", (op, values, written, holds) => {
    const meter = aMeter({ filters: [{ property: "p", op, values }] });
    expect(lines([meter], { tokens: "1", p: written })).toHaveLength(holds ? 1 : 0);
  });

  test.each([
    [{ tokens: "42abc" }, "invalid_value_type at /data/tokens"],
    [{ tokens: "12.5" }, "invalid_value_type at /data/tokens"],
    [{ tokens: "-1" }, "negative_value at /data/tokens"],
    [{ tokens: "" }, "invalid_value_type at /data/tokens"],
    [{ tokens: "1e3" }, "invalid_value_type at /data/tokens"],
    [{ tokens: 2 ** 63 }, "invalid_value_type at /data/tokens"],
    [{ tokens: [1] }, "invalid_value_type at /data/tokens"],
    [{ tokens: null }, "missing_value at /data/tokens"],
    [{}, "missing_value at /data/tokens"],
  ])("a quantity %j is refused: %s", (data, sentence) => {
    expect(lines([aMeter()], data)).toBe(sentence);
  });

  test("exact quantities pass whole", () => {
    expect(lines([aMeter()], { tokens: "9223372036854775807" })).toEqual([
      "tokens 9223372036854775807 {}",
    ]);
    const decimals = aMeter({ valueKind: "decimal" });
    expect(lines([decimals], { tokens: "0.00000000000000000001" })).toEqual([
      "tokens 0.00000000000000000001 {}",
    ]);
    expect(lines([decimals], { tokens: 0.1 })).toEqual(["tokens 0.1 {}"]);
    expect(lines([decimals], { tokens: 0.12345678901234568 })).toBe(
      "invalid_value_type at /data/tokens",
    );
  });

  test("a correction may be below zero, and takes one from a count", () => {
    const meters = [aMeter(), aMeter({ key: "calls", aggregation: "count" })];
    expect(lines(meters, { tokens: "-40" }, true)).toEqual(["tokens -40 {}", "calls -1 {}"]);
    expect(lines([aMeter({ allowNegative: true })], { tokens: "-40" })).toEqual(["tokens -40 {}"]);
  });

  test("declared dimensions are kept in one written form; undeclared and forbidden ones are named", () => {
    const meter = aMeter({ dimensions: [{ key: "model" }, { key: "area", values: ["eu", "us"] }] });
    expect(lines([meter], { tokens: "1", model: "m", area: "eu", note: "free text" })).toEqual([
      'tokens 1 {"area":"eu","model":"m"}',
    ]);
    expect(lines([meter], { tokens: "1", dimensions: { model: "m" } })).toEqual([
      'tokens 1 {"model":"m"}',
    ]);
    expect(lines([meter], { tokens: "1", dimensions: { mood: "m" } })).toBe(
      "invalid_dimensions at /data/dimensions/mood",
    );
    expect(lines([meter], { tokens: "1", area: "mars" })).toBe(
      "dimension_value_not_allowed at /data/area",
    );
    expect(lines([meter], { tokens: "1", model: { a: 1 } })).toBe(
      "invalid_dimensions at /data/model",
    );
  });

  test("what objects inherit is not data", () => {
    expect(lines([aMeter({ valueProperty: "constructor" })], {})).toBe(
      "missing_value at /data/constructor",
    );
  });
});
