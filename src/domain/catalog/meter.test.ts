import { describe, expect, test } from "vitest";
import { changeMeter, type Meter, readMeter, writeMeter } from "./meter.ts";

const tokens = {
  key: "llm.tokens",
  name: "Tokens",
  event_type: "llm.call",
  aggregation: "sum",
  value_property: "tokens",
  value_kind: "integer",
  unit: "token",
  filters: [{ property: "side", op: "eq", values: ["input"] }],
  dimensions: [{ key: "model" }, { key: "area", values: ["eu", "us"] }],
};

const read = (over: Record<string, unknown> = {}): Meter => {
  const { meter, faults } = readMeter({ ...tokens, ...over });
  if (!meter) throw new Error(JSON.stringify(faults));
  return meter;
};
const pointersOf = (document: unknown) =>
  readMeter(document).faults?.map((fault) => fault.pointer) ?? [];

describe("reading a meter", () => {
  test("what is left out has its default", () => {
    const meter = readMeter({
      key: "calls",
      event_type: "call",
      aggregation: "count",
      unit: "call",
    });
    expect(meter.meter).toEqual({
      key: "calls",
      name: "calls",
      eventType: "call",
      aggregation: "count",
      valueProperty: "value",
      valueKind: "decimal",
      allowNegative: false,
      unit: "call",
      filters: [],
      dimensions: [],
      status: "published",
    });
  });

  test("a level meter takes steps down without being told", () => {
    const disk = { key: "disk", event_type: "disk", aggregation: "weighted_sum", unit: "GB-hour" };
    expect(readMeter(disk).meter?.allowNegative).toBe(true);
  });

  test("written and read again it is the same meter", () => {
    const meter = read({
      aggregation: "percentile",
      percentile: "95",
      sample_seconds: 300,
      missing_samples_are_zero: true,
      rounding: { mode: "ceiling", digits: 2 },
    });
    expect(readMeter(writeMeter(meter)).meter).toEqual(meter);
    expect(readMeter(JSON.parse(JSON.stringify(writeMeter(meter)))).meter).toEqual(meter);
  });

  test.each([
    [{ aggregation: "median" }, "/aggregation"],
    [{ key: "No Spaces" }, "/key"],
    [{ event_type: "" }, "/event_type"],
    [{ unit: undefined }, "/unit"],
    [{ price: "0.10" }, "/price"],
    [{ allow_negative: "yes" }, "/allow_negative"],
    [{ aggregation: "percentile" }, "/percentile"],
    [{ percentile: "95" }, "/percentile"],
    [{ aggregation: "percentile", percentile: "0" }, "/percentile"],
    [{ aggregation: "percentile", percentile: "100.1" }, "/percentile"],
    [{ sample_seconds: 300 }, "/sample_seconds"],
    [{ aggregation: "percentile", percentile: "95", sample_seconds: 7 }, "/sample_seconds"],
    [
      { aggregation: "percentile", percentile: "95", missing_samples_are_zero: true },
      "/missing_samples_are_zero",
    ],
    [{ dimensions: [{ key: "a" }, { key: "a" }] }, "/dimensions/1/key"],
    [{ dimensions: [{ key: "project" }] }, "/dimensions/0/key"],
    [{ dimensions: [{ key: "a", values: [] }] }, "/dimensions/0/values"],
    [{ dimensions: Array.from({ length: 13 }, (_, i) => ({ key: `d${i}` })) }, "/dimensions"],
    [{ filters: [{ property: "a", op: "like", values: ["x"] }] }, "/filters/0/op"],
    [{ filters: [{ property: "a", op: "eq", values: [] }] }, "/filters/0/values"],
    [{ filters: [{ property: "a", op: "exists", values: ["x"] }] }, "/filters/0/values"],
    [{ filters: ["a"] }, "/filters/0"],
    [{ rounding: { mode: "ceiling" } }, "/rounding"],
    [{ rounding: { mode: "half_even", digits: 2 } }, "/rounding"],
  ])("%j is refused at %s", (over, pointer) => {
    expect(pointersOf({ ...tokens, ...over })).toEqual([pointer]);
  });

  test("all faults are named at once, and anything but an object is one", () => {
    expect(pointersOf({ key: 1 })).toEqual(["/key", "/aggregation", "/event_type", "/unit"]);
    expect(pointersOf([])).toEqual([""]);
    expect(pointersOf(null)).toEqual([""]);
  });
});

describe("changing a meter", () => {
  test.each([
    [{ key: "other" }, "/key"],
    [{ event_type: "llm.reply" }, "/event_type"],
    [{ aggregation: "max" }, "/aggregation"],
    [{ unit: "thousand tokens" }, "/unit"],
    [{ value_property: "value" }, "/value_property"],
    [{ filters: [] }, "/filters"],
    [{ rounding: { mode: "floor", digits: 0 } }, "/rounding"],
  ])("a published meter keeps what it measures: %j", (over, pointer) => {
    expect(changeMeter(read(), read(over))).toMatchObject({
      kind: "refused",
      reason: "meter_field_fixed",
      pointer,
    });
  });

  test("name, new dimensions and a step forward are fine", () => {
    const next = read({
      name: "Input tokens",
      dimensions: [
        { key: "model" },
        { key: "area", values: ["eu", "us", "asia"] },
        { key: "team" },
      ],
      status: "deprecated",
    });
    expect(changeMeter(read(), next)).toEqual({
      kind: "ok",
      changed: ["name", "dimensions", "status"],
    });
    expect(changeMeter(read(), read())).toEqual({ kind: "ok", changed: [] });
    expect(
      changeMeter(read(), read({ dimensions: [{ key: "model" }, { key: "area" }] })).kind,
    ).toBe("ok");
  });

  test.each([
    [[{ key: "model" }]],
    [[{ key: "model" }, { key: "area", values: ["eu"] }]],
    [
      [
        { key: "model", values: ["large"] },
        { key: "area", values: ["eu", "us"] },
      ],
    ],
  ])("a dimension is never narrowed: %j", (dimensions) => {
    expect(changeMeter(read(), read({ dimensions }))).toMatchObject({
      reason: "meter_dimension_removed",
    });
  });

  test("phases go forward only; a draft may still change everything but its key", () => {
    const order = ["draft", "published", "deprecated", "retired"];
    for (const [i, from] of order.entries()) {
      for (const [j, to] of order.entries()) {
        const change = changeMeter(read({ status: from }), read({ status: to }));
        expect(change.kind).toBe(j >= i ? "ok" : "refused");
      }
    }
    const draft = read({ status: "draft" });
    expect(
      changeMeter(draft, read({ status: "draft", aggregation: "max", dimensions: [] })).kind,
    ).toBe("ok");
    expect(changeMeter(draft, read({ key: "other" })).kind).toBe("refused");
  });
});
