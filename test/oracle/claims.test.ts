import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { allCases, differences } from "./cases.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Every kind named in a call of `oracle`. */
const claimed = new Set(
  readdirSync(folder)
    .filter((file) => file.endsWith(".test.ts"))
    .flatMap((file) => [
      ...readFileSync(`${folder}${file}`, "utf8").matchAll(/\boracle(?:<[^(]*>)?\(\s*"([^"]+)"/g),
    ])
    .map((match) => match[1] as string),
);

describe.skipIf(allCases.length === 0)("what the adapters claim", () => {
  test("every claimed kind exists", () => {
    const kinds = new Set(allCases.map((one) => one.kind));
    expect([...claimed].filter((kind) => !kinds.has(kind))).toEqual([]);
  });

  test("every listed difference gives a reason, and says so where its kind has no adapter", () => {
    const byId = new Map(allCases.map((one) => [one.id, one]));
    const astray = Object.entries(differences).filter(([id, reason]) => {
      const one = byId.get(id);
      const isUnclaimed = reason.startsWith("No adapter: ");
      return !one || claimed.has(one.kind) === isUnclaimed || !/^.{20,}\.$/.test(reason);
    });
    expect(astray).toEqual([]);
  });

  test("ids are unique", () => {
    expect(new Set(allCases.map((one) => one.id)).size).toBe(allCases.length);
  });
});
