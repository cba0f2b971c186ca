import { expect, test } from "vitest";
import { parseCatalogFile } from "./catalog-file.ts";
import { UsageError } from "./config.ts";

const documentOf = (text: string) => parseCatalogFile(text, "a.yaml").document;

test("numbers keep the text they are written with, unless they are whole and safe", () => {
  const text = `
    whole: 10000
    below: -3
    price: 0.10
    tiny: 1e-7
    long: 0.30000000000000004
    huge: 12345678901234567890
    hex: 0x10
    quoted: "0.10"
    none: null
    not: .nan`;
  expect(documentOf(text)).toEqual({
    whole: 10000,
    below: -3,
    price: { bareNumber: "0.10" },
    tiny: { bareNumber: "1e-7" },
    long: { bareNumber: "0.30000000000000004" },
    huge: { bareNumber: "12345678901234567890" },
    hex: { bareNumber: "0x10" },
    quoted: "0.10",
    none: null,
    not: { bareNumber: ".nan" },
  });
});

test("JSON is read by the same rules", () => {
  const text = '{"a": [1, 2.50, "2.50", true, null]}\r\n';
  expect(documentOf(text)).toEqual({ a: [1, { bareNumber: "2.50" }, "2.50", true, null] });
});

test("a member that stands twice is an error that names its line", () => {
  expect(() => documentOf("a: 1\nb: 2\na: 3\n")).toThrow(UsageError);
  expect(() => documentOf("a: 1\nb: 2\na: 3\n")).toThrow(/^a\.yaml, line 3: /);
});

test("references may repeat a part, but not blow a small file up", () => {
  expect(documentOf("a: &t [1]\nb: *t")).toEqual({ a: [1], b: [1] });
  const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 9; i++)
    bomb.push(`a${i}: &a${i} [${Array.from({ length: 9 }, () => `*a${i - 1}`).join(", ")}]`);
  expect(() => documentOf(bomb.join("\n"))).toThrow(UsageError);
});

test("a pointer finds its line, or that of the nearest thing around it", () => {
  const { lineOf } = parseCatalogFile("tiers:\n  - up_to: 5\n  - up_to: 3\n", "a.yaml");
  expect(lineOf("/tiers/1/up_to")).toBe(3);
  expect(lineOf("/tiers/1/unit_amount")).toBe(3);
  expect(lineOf("/currency")).toBe(1);
});
