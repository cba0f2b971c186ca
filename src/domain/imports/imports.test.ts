import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columnsOf, type ImportMap, readImportMap, type Row, rowMapper } from "./index.ts";

const trace = {
  format: "csv",
  event: {
    type: "llm.request",
    source: "trace",
    subject: "prod",
    time: { column: "TIMESTAMP", form: "local", zone: "UTC" },
    data: {
      input_tokens: { column: "ContextTokens" },
      output_tokens: { column: "GeneratedTokens" },
    },
  },
};

function mapOf(document: unknown): ImportMap {
  const read = readImportMap(document);
  if (read.kind === "faulty") throw new Error(JSON.stringify(read.faults));
  return read.map;
}

describe("an import map", () => {
  test("names the columns a file must have", () => {
    expect(columnsOf(mapOf(trace))).toEqual(["TIMESTAMP", "ContextTokens", "GeneratedTokens"]);
  });

  test("is refused with every fault named by its place", () => {
    const read = readImportMap({
      format: "xls",
      event: { type: 7, source: "s", time: { form: "noon" }, extra: 1 },
    });
    expect(read.kind === "faulty" && read.faults.map((fault) => fault.pointer)).toEqual([
      "/event/extra",
      "/format",
      "/event/type",
      "/event/subject",
      "/event/time/form",
      "/event/time/column",
    ]);
  });
});

describe("a row", () => {
  const row: Row = {
    TIMESTAMP: "2023-11-16 18:17:03.9799600",
    ContextTokens: "4808",
    GeneratedTokens: "10",
  };

  test("becomes an event with its microseconds and its exact digits", () => {
    const mapped = rowMapper(mapOf(trace))(row);
    expect(mapped).toMatchObject({
      kind: "event",
      event: {
        time: "2023-11-16T18:17:03.979960Z",
        type: "llm.request",
        data: { input_tokens: "4808", output_tokens: "10" },
      },
    });
  });

  test("is read at the local time of the zone the map names", () => {
    const berlin = {
      ...trace,
      event: {
        ...trace.event,
        time: { column: "TIMESTAMP", form: "local", zone: "Europe/Berlin" },
      },
    };
    const mapped = rowMapper(mapOf(berlin))({ ...row, TIMESTAMP: "2025-07-01 00:30:00" });
    expect(mapped).toMatchObject({ event: { time: "2025-06-30T22:30:00.000Z" } });
  });

  test.each([
    ["unix_seconds", "1735689600.5", "2025-01-01T00:00:00.500Z"],
    ["unix_milliseconds", "1735689600001", "2025-01-01T00:00:00.001Z"],
    ["unix_microseconds", "1735689600000001", "2025-01-01T00:00:00.000001Z"],
    ["rfc3339", "2025-01-01T01:00:00+01:00", "2025-01-01T00:00:00.000Z"],
  ])("reads a time as %s", (form, text, expected) => {
    const map = mapOf({ ...trace, event: { ...trace.event, time: { column: "TIMESTAMP", form } } });
    expect(rowMapper(map)({ ...row, TIMESTAMP: text })).toMatchObject({
      event: { time: expected },
    });
  });

  test("without a readable time is bad, and says which column holds what", () => {
    const mapped = rowMapper(mapOf(trace))({ ...row, TIMESTAMP: "yesterday" });
    expect(mapped).toEqual({
      kind: "bad",
      reason:
        'column TIMESTAMP holds "yesterday", which is not a date and time, such as 2025-01-31 23:59:59',
    });
  });

  test("without a quantity is bad", () => {
    expect(rowMapper(mapOf(trace))({ ...row, ContextTokens: " " })).toEqual({
      kind: "bad",
      reason: "column ContextTokens is empty or missing",
    });
  });

  test("keeps its derived id whatever the order of the file, and equal rows stay two uses", () => {
    const anyRow = fc.record({
      TIMESTAMP: fc.constantFrom("2023-11-16 18:17:03", "2023-11-16 18:17:04.1"),
      ContextTokens: fc.nat(3).map(String),
      GeneratedTokens: fc.nat(2).map(String),
    });
    const ids = (rows: readonly Row[]) => {
      const map = rowMapper(mapOf(trace));
      return rows
        .map((one) => map(one))
        .flatMap((mapped) => (mapped.kind === "event" ? [mapped.event.id] : []));
    };
    fc.assert(
      fc.property(
        fc.array(anyRow, { maxLength: 30 }),
        fc.infiniteStream(fc.nat()),
        (rows, order) => {
          const shuffled = rows
            .map((one) => ({ one, at: order.next().value }))
            .toSorted((a, b) => a.at - b.at)
            .map(({ one }) => one);
          expect(ids(shuffled).toSorted()).toEqual(ids(rows).toSorted());
          expect(new Set(ids(rows)).size).toBe(rows.length);
        },
      ),
    );
  });
});
